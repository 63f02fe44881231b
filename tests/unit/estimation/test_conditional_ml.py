"""Conditional maximum likelihood against closed forms, enumeration and the joint likelihood it factors out of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import engine_cases
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.conditional import ConditionalProblem, answer_patterns, cell_weights, structural_space
from psymetric.estimation.curvature import information, value_and_gradient
from psymetric.estimation.problems import marginal_problem
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec

# Newton's last step is below 1e-6 and squares itself once more.
EXACT = 1e-8
ENGINE = ps.ConditionalML()
MODEL = ps.ManyFacetRasch(facets=("item", "judge"), steps="item")


def table(frame: pd.DataFrame, **columns: object) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(frame, response="x", subject="s", item="i", **columns)


def wide(rows: np.ndarray) -> ps.ResponseTable:
    """Subjects by items; NaN is missing."""
    frame = pd.DataFrame(rows).reset_index(names="s").melt(id_vars="s", var_name="i", value_name="x")
    return table(frame.dropna().astype({"x": int, "i": str}))


@pytest.fixture(scope="module")
def sparse() -> ps.ResponseTable:
    """Thirty subjects with two to five of six cells, some of them twice, three categories."""
    rng = np.random.default_rng(3)
    rows = [
        (s, f"i{cell % 3}", f"j{cell // 3}", int(rng.integers(0, 3)), w)
        for s in range(30)
        for cell, w in zip(rng.permutation(6)[: rng.integers(2, 6)], rng.integers(1, 3, 6), strict=False)
    ]
    return table(pd.DataFrame(rows, columns=["s", "i", "judge", "x", "w"]), facets=("judge",), weight="w")


@pytest.fixture(scope="module")
def problem(sparse) -> ConditionalProblem:
    with double_precision():
        space = structural_space(MODEL, sparse)
        blocks, codes, observed = answer_patterns(MODEL, sparse, "test")
        return ConditionalProblem(blocks, cell_weights(MODEL, space, codes, 3, "test"), observed)


def test_two_items_have_a_closed_form():
    """Only those who solved one of the two count: δ₂ − δ₁ = log(n₁₀ / n₀₁), with variance 1/n₁₀ + 1/n₀₁."""
    rows = np.repeat([[1, 0], [0, 1], [1, 1], [0, 0]], [30, 12, 7, 5], axis=0)
    fit = ps.fit(ps.Rasch(), wide(rows), engine=ENGINE)
    np.testing.assert_allclose(fit.parameters["item"], np.array([-0.5, 0.5]) * np.log(30 / 12), atol=EXACT)
    np.testing.assert_allclose(fit.standard_errors["item"], np.sqrt(1 / 30 + 1 / 12) / 2, atol=EXACT)
    assert fit.log_likelihood == pytest.approx(30 * np.log(30 / 42) + 12 * np.log(12 / 42), abs=EXACT)
    assert any("12 of 54 subjects have an extreme sum (5 lowest, 7 highest)" in note for note in fit.notes)


def enumerated(model: ps.ManyFacetRasch, data: ps.ResponseTable, free: np.ndarray) -> float:
    """Each subject's probability over that of all ways to reach its sum, way by way."""
    space, total = structural_space(model, data), 0.0
    params = {name: np.asarray(value) for name, value in space.constrain(jnp.asarray(free)).items()}
    rows = np.repeat(np.arange(data.n_rows), data.weight.astype(int))
    for subject in range(len(data.levels["subject"])):
        mine = rows[data.codes["subject"][rows] == subject]
        codes = {facet: data.codes[facet][mine] for facet in model.facets} | {"subject": np.zeros(len(mine), int)}
        log_p = np.asarray(model.category_log_probs(params | {ABILITY: np.array([0.7])}, codes, 3))
        ways = np.array(list(product(range(3), repeat=len(mine))))
        weight = np.exp(log_p[np.arange(len(mine)), ways].sum(axis=1))
        answer = data.response[mine]
        own = weight[(ways == answer).all(axis=1)][0]
        total += np.log(own / weight[ways.sum(axis=1) == answer.sum()].sum())
    return total


def test_likelihood_by_enumeration(sparse, problem):
    free = np.random.default_rng(4).normal(0, 0.7, problem.weights.design.shape[2])
    with double_precision():
        value = enumerated(MODEL, sparse, free)
    assert problem.value_and_gradient(free)[0] == pytest.approx(value, abs=1e-9)


def test_gradient_and_information_are_derivatives(problem):
    free = np.random.default_rng(5).normal(0, 0.7, problem.weights.design.shape[2])
    value, gradient = problem.value_and_gradient(free)
    # Forward differences of step 1.5e-8 are good to about 1e-5 here.
    np.testing.assert_allclose(gradient, approx_fprime(free, lambda x: problem.value_and_gradient(x)[0]), atol=1e-4)
    slopes = approx_fprime(free, lambda x: problem.value_and_gradient(x)[1])
    np.testing.assert_allclose(problem.information(free), -slopes, atol=1e-4)
    assert value < 0


def test_pieces_add_up(problem, monkeypatch):
    free = np.full(problem.weights.design.shape[2], 0.3)
    whole = problem.value_and_gradient(free), problem.information(free)
    monkeypatch.setattr("psymetric.estimation.conditional._BLOCK", 1)
    parts = problem.value_and_gradient(free), problem.information(free)
    assert parts[0][0] == pytest.approx(whole[0][0], abs=1e-9)
    np.testing.assert_allclose(parts[0][1], whole[0][1], atol=1e-9)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-9)


@pytest.fixture(scope="module")
def small():
    data = engine_cases.table(engine_cases.frame())
    return ps.fit(engine_cases.MODEL, data, engine=ENGINE), data


@pytest.fixture(scope="module")
def marginal(small):
    """Slope and negative Hessian of the marginal likelihood, from the other engines' density, at the fit."""
    fit, data = small
    with double_precision():
        density = marginal_problem(engine_cases.MODEL, data, prior=False, n_nodes=241, half_width=8.0)
        free = jnp.asarray(density.space.unconstrain(fit.parameters))
        slope = np.asarray(value_and_gradient(density, free)[1])
        return slope, information(density, np.asarray(free)).schur


def test_population_maximises_the_marginal_likelihood_given_the_items(marginal):
    """Mean and log sd come first in the marginal free vector."""
    slope, _ = marginal
    np.testing.assert_allclose(slope[:2], 0, atol=1e-6)
    assert np.abs(slope[2:]).max() > 1e-3, "items are not at the marginal maximum, else this test says nothing"


def test_population_errors_carry_those_of_the_items(small, marginal):
    fit, data = small
    _, hessian = marginal
    with double_precision():
        space = structural_space(engine_cases.MODEL, data)
        blocks, codes, observed = answer_patterns(engine_cases.MODEL, data, "test")
        weights = cell_weights(engine_cases.MODEL, space, codes, 3, "test")
        items = np.linalg.inv(
            ConditionalProblem(blocks, weights, observed).information(space.unconstrain(fit.parameters))
        )
    known = np.linalg.inv(hessian[:2, :2])
    share = known @ hessian[:2, 2:]
    variance = np.diag(known + share @ items @ share.T)
    sd = float(fit.parameters["population_sd"])
    assert float(fit.standard_errors["population_mean"]) == pytest.approx(np.sqrt(variance[0]), abs=1e-6)
    assert float(fit.standard_errors["population_sd"]) == pytest.approx(np.sqrt(variance[1]) * sd, abs=1e-6)


def test_scores_and_fit_statistics_follow(small):
    fit, data = small
    assert np.isfinite(ps.score(fit, data).frame["estimate"]).all()
    assert np.isfinite(ps.fit_statistics(fit, data)["infit"]).all()


def test_population_without_spread_is_held():
    rows = np.tile([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], (5, 1))
    fit = ps.fit(ps.Rasch(), wide(rows), engine=ENGINE)
    assert float(fit.parameters["population_sd"]) == pytest.approx(0.01)
    assert np.isnan(fit.standard_errors["population_sd"])
    assert any("population_sd is at its lower bound of 0.01 logits" in note for note in fit.notes)


def test_anchors_only_move_the_origin():
    rng = np.random.default_rng(6)
    data = wide((rng.normal(size=(200, 1)) - [[-1, 0, 0.5, 1]] + rng.logistic(size=(200, 4)) > 0).astype(int))
    free = ps.fit(ps.ManyFacetRasch(facets=("item",)), data, engine=ENGINE)
    anchored = ps.fit(ps.ManyFacetRasch(facets=("item",), anchors={"item": {"0": 2.0}}), data, engine=ENGINE)
    shift = 2.0 - free.parameters["item"][0]
    np.testing.assert_allclose(anchored.parameters["item"], free.parameters["item"] + shift, atol=1e-6)
    assert anchored.log_likelihood == pytest.approx(free.log_likelihood, abs=1e-8)
    assert float(anchored.parameters["population_mean"] - free.parameters["population_mean"]) == pytest.approx(shift)


def test_interactions_are_estimated(small):
    _, data = small
    model = ps.ManyFacetRasch(interactions=(("judge", "item"),))
    fit = ps.fit(model, data, engine=ENGINE)
    plain = ps.fit(ps.ManyFacetRasch(), data, engine=ENGINE)
    assert fit.n_parameters == plain.n_parameters + 1
    assert fit.log_likelihood > plain.log_likelihood
    np.testing.assert_allclose(fit.parameters["judge:item"].sum(axis=0), 0, atol=1e-12)


def test_category_that_only_an_extreme_subject_used():
    """The subject adds nothing; its category has no step and the subject no part in the population."""
    rng = np.random.default_rng(7)
    rows = np.vstack([rng.integers(0, 3, (80, 3)), [[3, 3, 3]]])
    fit = ps.fit(ps.ManyFacetRasch(facets=("item",)), wide(rows), engine=ENGINE)
    without = ps.fit(ps.ManyFacetRasch(facets=("item",)), wide(rows[:-1]), engine=ENGINE)
    assert fit.log_likelihood == pytest.approx(without.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(fit.parameters["item"], without.parameters["item"], atol=1e-6)
    assert fit.estimates("step")["estimate"].isna().tolist() == [False, False, True]
    assert any("1 subject(s) with an extreme sum are left out of the population" in note for note in fit.notes)


def test_what_it_cannot_fit(small):
    _, data = small
    pairs = pd.DataFrame({"a": list("xyzx"), "b": list("yzxz"), "won": ["left", "left", "left", "right"]})
    comparisons = ps.PairTable.from_frame(pairs, left="a", right="b", outcome="won")
    with pytest.raises(DesignError, match=r"ConditionalML conditions on the sums of subjects, and BradleyTerry has no"):
        ps.fit(ps.BradleyTerry(), comparisons, engine=ENGINE)
    with pytest.raises(
        DesignError, match=r"cannot estimate the sd of random facet 'judge': use MarginalML\(\), MAP\(\)"
    ):
        ps.fit(ps.ManyFacetRasch(random=("judge",)), data, engine=ENGINE)


@dataclass(frozen=True)
class Steep(AbstractMeasurementModel):
    """A Rasch model with a slope for every item, whose sums do not suffice."""

    table_kind = "responses"
    facets = ("item",)
    parameters = (ParamSpec(ABILITY, ("subject",), random=True), ParamSpec("slope", ("item",), support="positive"))

    def category_log_probs(self, params, codes, n_categories):
        logit = params["slope"][codes["item"]] * params[ABILITY][codes["subject"]]
        return jnp.stack([jax.nn.log_sigmoid(-logit), jax.nn.log_sigmoid(logit)], axis=1)


def test_model_whose_sums_do_not_suffice():
    with pytest.raises(DesignError, match=r"the sum of a subject's responses says all about the subject, and in Steep"):
        ps.fit(Steep(), wide(np.array([[0, 1], [1, 0], [1, 1]])), engine=ENGINE)


def test_weights_that_are_not_whole():
    frame = pd.DataFrame({"s": [1, 1, 2, 2], "i": list("abab"), "x": [0, 1, 1, 0], "w": [1, 1, 0.5, 1]})
    with pytest.raises(
        DesignError, match=r"weights must be whole numbers: 1 rows have others, the first row 2 with 0.5"
    ):
        ps.fit(ps.Rasch(), table(frame, weight="w"), engine=ENGINE)


def test_everyone_extreme():
    with pytest.raises(DataError, match=r"every subject has an extreme sum \(all lowest or all highest\)"):
        ps.fit(ps.Rasch(), wide(np.array([[0, 0], [1, 1]])), engine=ENGINE)


def test_one_response_each():
    with pytest.raises(DataError, match=r"no subject has two responses, and the sum of one is the response itself"):
        ps.fit(ps.ManyFacetRasch(facets=("item",)), wide(np.array([[0], [1], [2], [1]])), engine=ENGINE)


def test_nothing_to_estimate():
    twice = pd.DataFrame({"s": [1, 1, 2, 2], "i": list("aaaa"), "x": [0, 1, 1, 0]})
    with pytest.raises(DataError, match=r"nothing to estimate: the table has 1 combination\(s\) of \['item'\]"):
        ps.fit(ps.Rasch(), table(twice), engine=ENGINE)


def test_item_solved_by_all_who_count():
    rows = np.vstack([np.tile([[1, 1, 0], [1, 0, 1]], (5, 1)), [[0, 0, 0]]])
    with pytest.raises(
        IdentificationError, match=r"1 of 3 levels of 'item' have an extreme score: '0' \(all maximum\)"
    ):
        ps.fit(ps.Rasch(), wide(rows), engine=ENGINE)


def test_item_met_only_by_extreme_subjects():
    rows = np.array([[1, 0, np.nan], [0, 1, np.nan], [1, 1, 1], [0, 0, 0]])
    with pytest.raises(IdentificationError, match=r"1 of 3 levels of 'item' were met only by subjects with an extreme"):
        ps.fit(ps.Rasch(), wide(rows), engine=ENGINE)


def test_guttman_pattern_names_the_direction():
    """Every subject solves the two easy items before any hard one: their distance is infinite, no item is extreme."""
    rows = np.tile([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]], (5, 1))
    with pytest.raises(IdentificationError, match=r"the data do not determine 1 direction\(s\)"):
        ps.fit(ps.Rasch(), wide(rows), engine=ENGINE)


def test_nested_subjects_are_refused():
    """Two judges with subjects of their own: given the sums nothing compares them, though a population would."""
    frame = engine_cases.frame()
    odd = frame["subject"].str[1:].astype(int) % 2 == 1
    nested = frame[odd == (frame["judge"] == "j1")]
    ps.fit(engine_cases.MODEL, engine_cases.table(nested))
    with pytest.raises(DesignError, match="judge"):
        ps.fit(engine_cases.MODEL, engine_cases.table(nested), engine=ENGINE)
