"""What every measurement model promises, checked on every model found in psymetric/models."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import model_cases
import numpy as np
import pandas as pd
import pytest
from model_cases import Case

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.estimation.curvature import information, value_and_gradient
from psymetric.estimation.mixture_search import mixture_problem
from psymetric.estimation.problems import Problem, joint_problem, marginal_problem
from psymetric.estimation.truth import truth_problem
from psymetric.models.choice import AbstractChoiceModel
from psymetric.models.discovery import available_models, get_model, model_settings
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import has_ability, has_dimensions
from psymetric.models.truth import AbstractTruthModel

CASES = model_cases.cases()
# Differences of float64 sums over a hundred rows, taken in another order.
ROUNDING = 1e-9
# Of the items of a ranking model, each by another judge.
SETS = ((0, 1, 2, 3), (4, 2, 0, 1), (3, 1, 4, 0))


@pytest.fixture(params=model_cases.parameters(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def _problem(case: Case, table=None) -> Problem:
    """Every parameter kept; the subjects integrated out, on few nodes, where responses share a second variable."""
    table = case.table if table is None else table
    if isinstance(case.model, JudgeMixture):
        return mixture_problem(case.model, table, prior=False)
    if isinstance(case.model, AbstractTruthModel):
        return truth_problem(case.model, table, prior=False)
    if isinstance(case.model, AbstractNestedModel):
        return marginal_problem(case.model, table, prior=False, n_nodes=15, half_width=4.0)
    return joint_problem(case.model, table, prior=False)


def _point(problem: Problem, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, problem.space.size)


def _rows(case: Case, abilities=None) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """What the probabilities of categories depend on: parameters with latent variables, and codes of the rows."""
    problem = _problem(case)
    if isinstance(case.model, AbstractTruthModel):
        return _rows_of_truths(case, problem, _point(problem) if abilities is None else abilities(problem.space.size))
    params = problem.space.constrain(jnp.asarray(_point(problem)))
    name = "ability" if has_ability(case.model) else "worth"
    if abilities is not None:
        chosen = abilities(len(case.table.levels["subject" if name == "ability" else "item"]))
        shape = np.shape(params.get(name, chosen))
        params[name] = jnp.broadcast_to(jnp.asarray(chosen).reshape(-1, *[1] * (len(shape) - 1)), shape)
    if isinstance(case.model, JudgeMixture):
        codes = {name: jnp.asarray(case.table.codes[name]) for name in case.model.facets}
        return case.model.with_membership(params, codes, seed=5), codes
    if not isinstance(case.model, AbstractNestedModel):
        return params, problem.codes
    params.setdefault("ability", jnp.asarray(np.random.default_rng(4).normal(0, 1, len(case.table.levels["subject"]))))
    codes = {name: jnp.asarray(case.table.codes[name]) for name in ("subject", *case.model.facets)}
    return case.model.with_latent(params, codes, problem.n_categories, seed=5)


def _rows_of_truths(case: Case, problem: Problem, free) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    labels = case.model.labels(case.table)
    codes = {name: jnp.asarray(code) for name, code in labels.codes.items()}
    params = problem.space.constrain(jnp.asarray(free))
    return case.model.with_truths(params, codes, problem.n_categories, seed=5), codes


def _n_outcomes(case: Case) -> int:
    return case.model.n_outcomes(len(case.table.categories))


def _log_probs(case: Case, abilities=None) -> np.ndarray:
    """Log-probability of everything that could be observed, shape (rows, outcomes)."""
    if isinstance(case.model, AbstractChoiceModel):
        params, codes, response, _ = _every_ranking(case, abilities)
        shape = (len(SETS), -1)
        return np.asarray(case.model.response_log_probs(params, codes, response, _n_outcomes(case))).reshape(shape)
    return np.asarray(case.model.category_log_probs(*_rows(case, abilities), _n_outcomes(case)))


def _every_ranking(case: Case, abilities=None):
    """Every ranking of some sets of items: parameters, codes, response, and categories, shape (sets, outcomes, 4)."""
    params, _ = _rows(case, abilities)
    outcomes = model_cases.every_outcome(case.table)
    frame = pd.DataFrame(
        [
            (f"{k:03}.{task:04}", f"j{k % 3}", f"m{item}", rank)
            for k, items in enumerate(SETS)
            for task, ranks in enumerate(outcomes)
            for item, rank in zip(items, ranks, strict=True)
        ],
        columns=["task", "judge", "item", "rank"],
    )
    choices = case.model.choices(model_cases.ranking_table(frame))
    codes = {name: jnp.asarray(code) for name, code in choices.codes.items()}
    return params, codes, jnp.asarray(choices.response), outcomes


def _log_likelihood(case: Case, table, params) -> float:
    problem = _problem(case, table)
    if isinstance(case.model, AbstractNestedModel):
        return float(jnp.sum(jax.nn.logsumexp(problem.log_joint_at(params), axis=1)))
    if isinstance(case.model, (JudgeMixture, AbstractTruthModel)):
        return float(problem.sums.log_likelihood(params))
    return float(
        case.model.log_likelihood(params, problem.codes, problem.response, problem.weight, problem.n_categories)
    )


def test_probabilities_sum_to_one(case):
    np.testing.assert_allclose(np.exp(_log_probs(case)).sum(axis=1), 1.0, atol=1e-12)


def test_finite_at_forty_logits(case):
    log_probs = _log_probs(case, lambda n: np.where(np.arange(n) % 2, 40.0, -40.0))
    assert np.all(np.isfinite(log_probs))
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1.0, atol=1e-12)


def test_gradient_equals_finite_differences(case):
    problem = _problem(case)
    free = _point(problem)
    gradient = np.asarray(value_and_gradient(problem, jnp.asarray(free))[1])
    step = 1e-5
    for index in range(len(free)):
        ends = [free.copy(), free.copy()]
        ends[0][index] -= step
        ends[1][index] += step
        low, high = (float(value_and_gradient(problem, jnp.asarray(end))[0]) for end in ends)
        # Central differences: truncation ~step² × third derivative, rounding ~1e-13 / step.
        assert gradient[index] == pytest.approx((high - low) / (2 * step), abs=2e-6)


def test_compiled_equals_eager(case):
    problem = _problem(case)
    free = jnp.asarray(_point(problem))
    compiled = float(value_and_gradient(problem, free)[0])
    with jax.disable_jit():
        assert float(problem.log_density(free)) == pytest.approx(compiled, abs=ROUNDING)


def test_row_order_does_not_matter(case):
    params = _problem(case).space.constrain(jnp.asarray(_point(_problem(case))))
    frame = model_cases.frame_for(case.model)
    shuffled = model_cases.as_table(case.model, frame.sample(frac=1, random_state=5))
    expected = _log_likelihood(case, case.table, params)
    assert _log_likelihood(case, shuffled, params) == pytest.approx(expected, abs=ROUNDING)


def test_weight_two_equals_row_twice(case):
    params = _problem(case).space.constrain(jnp.asarray(_point(_problem(case))))
    frame = model_cases.frame_for(case.model)
    twice, weighted = model_cases.first_again(frame), model_cases.first_weighted(frame, 2.0)
    expected = _log_likelihood(case, model_cases.as_table(case.model, twice), params)
    assert _log_likelihood(case, model_cases.as_table(case.model, weighted, "w"), params) == pytest.approx(
        expected, abs=ROUNDING
    )


def test_weight_zero_equals_row_absent(case):
    params = _problem(case).space.constrain(jnp.asarray(_point(_problem(case))))
    frame = model_cases.frame_for(case.model)
    weighted = model_cases.first_weighted(frame, 0.0)
    expected = _log_likelihood(case, model_cases.as_table(case.model, frame[weighted["w"] > 0]), params)
    assert _log_likelihood(case, model_cases.as_table(case.model, weighted, "w"), params) == pytest.approx(
        expected, abs=ROUNDING
    )


def test_information_has_full_rank(case):
    """Identified, and the constraints are not redundant: no direction of the free vector leaves the likelihood flat."""
    if any(spec.random and spec.name != "ability" for spec in case.model.parameters):
        pytest.skip("levels times an unknown sd are identified by their distribution, not by the likelihood")
    problem = _problem(case)
    found = information(problem, _point(problem) * 0.2)
    assert np.all(found.diagonal > 0)
    assert found.null_directions().size == 0
    if isinstance(case.model, (AbstractNestedModel, JudgeMixture, AbstractTruthModel)):
        # At a point that is no maximum the marginal likelihood need not be concave, but no direction may be flat.
        values = np.abs(np.linalg.eigvalsh(found.schur))
        assert values.min() > 1e-8 * values.max()


def test_simulated_frequencies_follow_the_probabilities(case):
    if isinstance(case.model, AbstractChoiceModel):
        _check_simulated_rankings(case)
        return
    params, codes = _rows(case)
    repeats, n_outcomes = 4_000, _n_outcomes(case)
    repeated = {name: jnp.repeat(code, repeats) for name, code in codes.items()}
    drawn = case.model.simulate(params, repeated, n_outcomes, seed=8).reshape(-1, repeats)
    frequency = np.stack([(drawn == k).mean(axis=1) for k in range(n_outcomes)], axis=1)
    probability = np.exp(_log_probs(case))
    error = np.sqrt(probability * (1 - probability) / repeats)
    # Some 400 frequencies: five standard errors are exceeded by chance once in 4,000 such tests.
    assert np.all(np.abs(frequency - probability) <= 5 * error + 1 / repeats)


def _check_simulated_rankings(case: Case) -> None:
    params, *_, outcomes = _every_ranking(case)
    repeats, items = 4_000, jnp.repeat(jnp.asarray(SETS), 4_000, axis=0)
    judges = jnp.repeat(jnp.arange(len(SETS)) % 3, repeats)
    codes = {"item": items, "shown": jnp.ones_like(items, bool), "judge": judges}
    drawn = case.model.simulate(params, codes, _n_outcomes(case), seed=8)
    place = {tuple(outcome): k for k, outcome in enumerate(model_cases.as_places(outcomes))}
    number = np.array([place[tuple(row)] for row in drawn.tolist()]).reshape(len(SETS), repeats)
    frequency = np.stack([np.bincount(row, minlength=len(outcomes)) / repeats for row in number])
    probability = np.exp(_log_probs(case))
    error = np.sqrt(probability * (1 - probability) / repeats)
    # Up to 200 frequencies, as above.
    assert np.all(np.abs(frequency - probability) <= 5 * error + 1 / repeats)


def test_free_vector_survives_the_round_trip(case):
    problem = _problem(case)
    free = _point(problem)
    values = {name: np.asarray(value) for name, value in problem.space.constrain(jnp.asarray(free)).items()}
    np.testing.assert_allclose(problem.space.unconstrain(values), free, atol=1e-9)


def test_unknown_facet_is_an_error(case):
    frame = model_cases.frame_for(case.model)
    if case.model.table_kind != "responses":
        table = model_cases.response_table(model_cases.response_frame(2))
        needs = {"pairs": "PairTable", "rankings": "RankingTable"}[case.model.table_kind]
        with pytest.raises(DataError, match=f"needs a {needs}, got a ResponseTable"):
            ps.fit(case.model, table)
        return
    table = ps.ResponseTable.from_frame(frame, response="rating", subject="subject")
    facet = case.model.facets[0] if isinstance(case.model, AbstractTruthModel) else "item"
    with pytest.raises(DataError, match=rf"reads facet '{facet}', which the table does not have: its facets are \[\]"):
        ps.fit(case.model, table)


def test_settings_survive_the_round_trip(case):
    assert get_model(type(case.model).__name__, model_settings(case.model)) == case.model


@pytest.mark.parametrize("name", sorted(available_models()))
def test_public_name(name):
    assert getattr(ps, name) is available_models()[name]


@pytest.mark.parametrize("name", sorted(available_models()))
def test_integrated_and_free_subjects_share_one_likelihood(name):
    """On a grid of one node at zero the marginal likelihood is the likelihood of subjects at the mean."""
    model = available_models()[name]()
    if not has_ability(model):
        pytest.skip("the model has no subjects")
    if has_dimensions(model):
        pytest.skip("windows in place of a grid: tests/unit/estimation/test_windows.py")
    table = model_cases.as_table(model, model_cases.frame_for(model))
    marginal = marginal_problem(model, table, prior=False, n_nodes=1, half_width=0.0)
    free = np.random.default_rng(2).normal(0, 0.5, marginal.space.size)
    params = marginal.space.constrain(jnp.asarray(free))
    at_mean = np.full(len(table.levels["subject"]), params["population_mean"])
    if isinstance(model, AbstractNestedModel):
        expected = _summed_over_the_latent(model, table, {**params, "ability": jnp.asarray(at_mean)}, marginal.nested)
    else:
        joint = joint_problem(model, table, prior=False)
        values = {key: np.asarray(value) for key, value in params.items()} | {"ability": at_mean}
        expected = float(joint.log_likelihood(jnp.asarray(joint.space.unconstrain(values))))
    assert float(marginal.log_likelihood(jnp.asarray(free))) == pytest.approx(expected, abs=ROUNDING)


def _summed_over_the_latent(model: AbstractNestedModel, table, params, plan) -> float:
    """Row by row: every owner at one node of its variable after another."""
    n_categories, codes = len(table.categories), {key: jnp.asarray(code) for key, code in table.codes.items()}
    params, codes = model.with_latent(params, codes, n_categories, seed=0)
    owner, values = np.asarray(codes[model.owner]), np.asarray(plan.grid.values(model, params))
    first = np.unique(owner, return_index=True)[1]
    own = {key: code[first] for key, code in codes.items()}
    log_joint = np.array(plan.grid.log_masses(model, params, own, n_categories))
    for place, value in enumerate(values):
        moved = params | {model.latent: jnp.full(len(first), value)}
        log_probs = np.asarray(model.category_log_probs(moved, codes, n_categories))
        chosen = log_probs[np.arange(len(owner)), table.response] * table.weight
        log_joint[:, place] += np.bincount(owner, chosen)
    return float(jax.nn.logsumexp(log_joint, axis=1).sum())


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.model, AbstractNestedModel)], ids=str)
def test_simulated_pairs_follow_the_nested_likelihood(case):
    """Two responses of one owner: the likelihoods of all pairs sum to one, and are how often simulation draws them."""
    model, repeats = case.model, 40_000
    problem = _problem(case)
    params = problem.space.constrain(jnp.asarray(_point(problem)))
    n_categories, (first, second) = len(case.table.categories), _two_rows_of_one_owner(case)
    codes = {name: jnp.tile(case.table.codes[name][np.array([first, second])], repeats) for name in model.facets}
    codes["subject"] = jnp.repeat(jnp.arange(repeats), 2)
    known = params | {"ability": jnp.full(repeats, 0.4)}
    drawn = model.simulate(*model.with_latent(known, codes, n_categories, seed=1), n_categories, seed=2).reshape(-1, 2)
    frequency = np.bincount(drawn @ [n_categories, 1], minlength=n_categories**2) / repeats
    every = (
        model_cases.frame_for(model)
        .iloc[[first, second] * n_categories**2]
        .assign(
            subject=np.repeat([f"p{pair:02}" for pair in range(n_categories**2)], 2),
            rating=np.stack(np.divmod(np.arange(n_categories**2), n_categories), axis=1).ravel(),
        )
    )
    pairs = marginal_problem(model, _in_coding_of(case, every), prior=False, n_nodes=1, half_width=0.0)
    probability = np.exp(np.asarray(pairs.nested.by_subject(params, jnp.array([0.4]))))[:, 0]
    assert probability.sum() == pytest.approx(1.0, abs=1e-8)
    # At most 16 frequencies: five standard errors are exceeded by chance once in 100,000 such tests.
    assert np.all(np.abs(frequency - probability) <= 5 * np.sqrt(probability / repeats))


def _two_rows_of_one_owner(case: Case) -> tuple[int, int]:
    pair = case.table.codes["subject"].astype(int) * 100 + case.table.codes[case.model.within]
    place = np.flatnonzero(pair == pair[0])
    return int(place[0]), int(place[1])


def _in_coding_of(case: Case, frame):
    """Further subjects in a table whose levels of the facets keep their codes."""
    whole = model_cases.as_table(case.model, model_cases.frame_for(case.model))
    part = model_cases.as_table(case.model, frame)
    codes = {
        name: np.array([whole.levels[name].index(label) for label in part.levels[name]], np.int32)[part.codes[name]]
        for name in case.model.facets
    }
    levels = {name: whole.levels[name] for name in case.model.facets}
    return dataclasses.replace(part, codes={**part.codes, **codes}, levels={**part.levels, **levels})
