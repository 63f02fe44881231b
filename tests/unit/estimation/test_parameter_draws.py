"""Joint draws of parameters against draws of the free vector, and joint factors against what they stand for."""

from __future__ import annotations

from dataclasses import replace

import engine_cases
import jax.numpy as jnp
import model_cases
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.estimation.casewise import constraint_jacobian
from psymetric.estimation.marginal import resolved_problem
from psymetric.estimation.parameter_draws import parameter_draws, parameter_factors

N_SUBJECTS = 150
SAME = 1e-6  # two ways through the same numbers, one of which solved for a mode


def item_table(n_categories: int) -> ps.ResponseTable:
    """150 subjects × 5 items that share an ability."""
    rng = np.random.default_rng(7)
    latent = rng.normal(size=(N_SUBJECTS, 1)) + rng.logistic(size=(N_SUBJECTS, 5)) * 0.7 + np.linspace(-0.5, 0.5, 5)
    values = np.digitize(latent, np.linspace(-1, 1, n_categories - 1) if n_categories > 2 else [0.0])
    rows = [(f"s{s}", f"i{i}", int(values[s, i])) for s in range(N_SUBJECTS) for i in range(5)]
    return ps.ResponseTable.from_frame(pd.DataFrame(rows, columns=["s", "i", "x"]), response="x", subject="s", item="i")


CASES = {
    "steps and facets": (ps.ManyFacetRasch(facets=("item",), steps="item"), 3),
    "ordered and positive": (ps.GradedResponse(), 4),
    "probabilities": (ps.ThreePL(), 2),
}


@pytest.fixture(scope="module", params=CASES)
def case(request) -> tuple[ps.Fit, ps.ResponseTable]:
    model, n_categories = CASES[request.param]
    table = item_table(n_categories)
    return ps.fit(model, table, engine=ps.MAP()), table


def free_side(fit: ps.Fit, table: ps.ResponseTable) -> tuple[object, np.ndarray, np.ndarray]:
    """The parameter space, the mode, and the root on the free scale that the factors are images of."""
    with double_precision():
        problem, point = resolved_problem(fit.model, table, fit.parameters, prior=True)
        jacobian = np.asarray(constraint_jacobian(problem.space, jnp.asarray(point)))
    images = [fit.factors[block.name].reshape(-1, len(point)) for block in problem.space.blocks]
    return problem.space, point, np.linalg.lstsq(jacobian, np.concatenate(images), rcond=None)[0]


def test_draws_are_those_of_the_free_vector(case):
    """The same normal numbers through the bijectors, which know nothing of factors."""
    fit, table = case
    space, point, root = free_side(fit, table)
    names = tuple(fit.factors)
    drawn = parameter_draws(fit, names, n=6, seed=3, who="test")
    noise = np.random.default_rng(3).standard_normal((3, len(point)))
    for place, z in enumerate([*noise, *-noise]):
        with double_precision():
            expected = space.constrain(jnp.asarray(point + root @ z))
        for name in names:
            np.testing.assert_allclose(drawn[name][place], expected[name], atol=SAME, rtol=SAME, err_msg=name)


def test_factors_are_roots_of_the_standard_errors_and_covariances(case):
    fit, _ = case
    for name, factor in fit.factors.items():
        np.testing.assert_allclose((factor**2).sum(axis=-1), fit.standard_errors[name] ** 2, atol=1e-12)
        if name in fit.covariances:
            flat = factor.reshape(-1, factor.shape[-1])
            np.testing.assert_allclose(flat @ flat.T, fit.covariances[name], atol=1e-12)


def test_factors_survive_a_file(case, tmp_path):
    fit, _ = case
    loaded = ps.Fit.load(fit.save(tmp_path / "fit.npz"))
    assert loaded.factors.keys() == fit.factors.keys()
    for name, factor in fit.factors.items():
        np.testing.assert_array_equal(loaded.factors[name], factor)


@pytest.fixture(scope="module")
def rated() -> ps.ResponseTable:
    return engine_cases.table(engine_cases.frame())


def joint_covariance(fit: ps.Fit) -> np.ndarray:
    """All arrays, flattened in the order of their names."""
    rows = [fit.factors[name].reshape(-1, fit.factors[name].shape[-1]) for name in sorted(fit.factors)]
    stacked = np.concatenate(rows)
    return stacked @ stacked.T


def test_conditional_and_marginal_estimates_vary_together_alike(rated):
    """Two likelihoods of the same data: their joint correlations, population included, agree in sign and size.

    Steps' and items' part of the population's error is a cross-term whose sign nothing else in a fit shows.
    """
    found = {}
    for engine in (ps.MarginalML(), ps.ConditionalML()):
        covariance = joint_covariance(ps.fit(engine_cases.MODEL, rated, engine=engine))
        sd = np.sqrt(np.diag(covariance))
        found[type(engine).__name__] = covariance / np.outer(sd, sd)
    # Conditional estimates use almost all the information: correlations of 60 subjects differ in the third decimal.
    np.testing.assert_allclose(found["ConditionalML"], found["MarginalML"], atol=0.03)
    assert np.abs(found["MarginalML"]).min() > 0.03


def test_draws_of_a_fit_with_draws_are_its_own(rated):
    fit = ps.fit(engine_cases.MODEL, rated, engine=ps.Laplace(draws=50))
    drawn = parameter_draws(fit, ("item", "judge"), n=20, seed=0, who="test")
    stored = {name: fit.draws[name].reshape(50, -1) for name in drawn}
    places = [int(np.flatnonzero((stored["item"] == row).all(axis=1))[0]) for row in drawn["item"]]
    assert len(set(places)) == 20
    np.testing.assert_array_equal(drawn["judge"], stored["judge"][places])
    factors = parameter_factors(fit, ("item", "judge"), n=20, seed=0, who="test")
    both = np.concatenate([drawn["item"], drawn["judge"]], axis=1)
    stacked = np.concatenate([factors["item"], factors["judge"]])
    np.testing.assert_allclose(stacked @ stacked.T, np.cov(both, rowvar=False), atol=1e-12)
    many = parameter_draws(fit, ("item",), n=120, seed=0, who="test")["item"]
    assert len(np.unique(many, axis=0)) == 50


def test_a_population_at_its_bound_has_no_spread():
    """Every subject has each category three times: the sd is held at 0.01, and its factor is zero and not NaN."""
    frame = model_cases.response_frame(3)
    alike = frame.assign(rating=sum(pd.factorize(frame[name])[0] for name in ("subject", "item", "judge")) % 3)
    for engine in (ps.MarginalML(), ps.ConditionalML()):
        fit = ps.fit(engine_cases.MODEL, model_cases.response_table(alike), engine=engine)
        assert np.isnan(fit.standard_errors["population_sd"])
        assert not fit.factors["population_sd"].any()
        assert fit.factors["population_mean"].any()


def test_robust_errors_bring_their_own_factors(rated):
    fit = ps.fit(engine_cases.MODEL, rated)
    robust = ps.robust_errors(fit, rated)
    for name in ("item", "judge", "step", "population_mean", "population_sd"):
        np.testing.assert_allclose(
            (robust.factors[name] ** 2).sum(axis=-1), robust.standard_errors[name] ** 2, atol=1e-12
        )
    assert not np.allclose(joint_covariance(robust), joint_covariance(fit), rtol=1e-3)


def test_a_bootstrap_becomes_a_fit(rated):
    found = ps.bootstrap(engine_cases.MODEL, rated, n=30, seed=1)
    fit = found.to_fit()
    assert fit.parameters is found.fit.parameters
    whole = {name: value.reshape(30, -1) for name, value in found.draws.items()}
    for name in ("item", "judge", "population_mean"):
        np.testing.assert_allclose(fit.standard_errors[name], found.standard_errors[name], atol=1e-12)
    expected = np.cov(np.concatenate([whole["item"], whole["judge"]], axis=1), rowvar=False)
    stacked = np.concatenate([fit.factors["item"], fit.factors["judge"]])
    np.testing.assert_allclose(stacked @ stacked.T, expected, atol=1e-12)
    np.testing.assert_allclose(fit.covariances["judge"], expected[2:, 2:], atol=1e-12)
    assert any("standard errors are from 30 bootstrap replicates (subject)" in note for note in fit.notes)
    assert fit.provenance.settings["bootstrap"] == {"resample": "subject", "n": 30, "seed": 1}


def test_a_bootstrap_without_a_value_of_everything(rated):
    """Replicates that lack a level are left out of the joint factors; with one left there are none."""
    found = ps.bootstrap(engine_cases.MODEL, rated, n=4, seed=1)
    holes = found.draws["judge"].copy()
    holes[1:, 0] = np.nan
    torn = replace(found, draws={**found.draws, "judge": holes}).to_fit()
    assert torn.factors == torn.covariances == {}
    assert np.isnan(torn.standard_errors["judge"][0])
    assert np.isfinite(torn.standard_errors["judge"][1])


def test_no_joint_uncertainty(rated):
    fit = ps.fit(engine_cases.MODEL, rated, engine=ps.MarginalML(max_iterations=1), throw=False)
    assert fit.factors == {}
    with pytest.raises(DataError, match=r"who: this fit keeps no joint uncertainty of 'item': it has over 2,000 free"):
        parameter_draws(fit, ("item",), n=2, seed=0, who="who")
    whole = ps.fit(engine_cases.MODEL, rated)
    clustered = replace(whole, factors={name: f for name, f in whole.factors.items() if name != "judge"})
    with pytest.raises(DataError, match=r"no joint uncertainty of 'judge'.*has robust errors by that facet"):
        parameter_draws(clustered, ("item", "judge"), n=2, seed=0, who="who")
