"""PyMCNUTS against the engines it checks: the same log density at any point, and the same posterior by sampling."""

from __future__ import annotations

import builtins
import dataclasses
from functools import cache

import jax.numpy as jnp
import model_cases
import numpy as np
import pytest
from model_cases import Case

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError, MissingDependencyError
from psymetric.estimation.arviz_adapter import load_arviz, named_draws
from psymetric.estimation.pymc_likelihoods import supported_models
from psymetric.estimation.pymc_nuts import _marks, pymc_model
from psymetric.models.base import ABILITY
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD, parameter_space

pytestmark = pytest.mark.usefixtures("pymc")

REACH = 4.0
"""Monte Carlo standard errors between two estimates of one number: left by chance once in sixteen thousand."""


def gapped() -> ps.ResponseTable:
    """Four categories of which i1 lacks an inner one and i2 the lowest, and weights that are not whole."""
    frame = model_cases.response_frame(4)
    odd = ((frame["item"] == "i1") & (frame["rating"] == 2)) | ((frame["item"] == "i2") & (frame["rating"] == 0))
    frame = frame.assign(rating=frame["rating"].where(~odd, 3), w=np.linspace(0.5, 2, len(frame)))
    return model_cases.response_table(frame, "w")


def one_judge() -> ps.ResponseTable:
    return model_cases.response_table(model_cases.response_frame(3).query("judge == 'j1'"))


def is_written(model) -> bool:
    """Whether PyMCNUTS knows the model with its settings: the others are refused, see below."""
    beyond = model.population.columns or any(spec.covariates or spec.course for spec in model.parameters)
    return type(model).__name__ in supported_models() and not beyond


CASES = [
    *(case for case in model_cases.cases() if is_written(case.model)),
    Case(ps.ManyFacetRasch(steps="item"), gapped()),
    Case(ps.ManyFacetRasch(steps="item", slopes=("judge",)), gapped()),
    Case(ps.GeneralizedPartialCredit(), gapped()),
    Case(ps.ManyFacetRasch(interactions=(("judge", "item"),), random=("judge", "judge:item")), gapped()),
    Case(ps.ManyFacetRasch(random=("judge",)), one_judge()),
    Case(ps.ManyFacetRasch(anchors={"judge": {"j1": 0.4, "j2": 0.0, "j3": -1}}), gapped()),
]


@pytest.mark.parametrize("case", model_cases.parameters(CASES))
def test_log_density_is_the_same_up_to_a_constant(case) -> None:
    """Parameters, priors, Jacobians and likelihood at once, against the density that NUTS, MAP and SVI use."""
    model, table = case.model, case.table
    written = pymc_model(model, table)
    names = [variable.name for variable in written.deterministics] + [v.name for v in written.free_RVs]
    outputs = written.replace_rvs_by_values([written[name] for name in names])
    evaluate = written.compile_fn([written.logp(), *outputs], mode="FAST_COMPILE")
    start, rng = written.initial_point(), np.random.default_rng(5)
    mine, theirs = [], []
    for _ in range(3):
        point = {name: rng.normal(scale=0.7, size=np.shape(value)) for name, value in start.items()}
        density, *values = evaluate(point)
        theirs.append(float(density))
        mine.append(own_log_density(model, table, dict(zip(names, values, strict=True))))
    assert np.ptp(theirs) > 1
    # Sums of a few hundred terms in double precision.
    np.testing.assert_allclose(np.diff(theirs), np.diff(mine), rtol=1e-9, atol=1e-8)


def own_log_density(model, table, values) -> float:
    """Of everything in `values`, subjects included, by the package's own likelihood and priors."""
    with double_precision():
        space = parameter_space(model, table, ability="integrated")
        values |= {block.name: values[block.name] + _marks(block) for block in space.blocks if block.name in values}
        values |= {name: value for name, value in fixed_population().items() if name not in values}
        free = jnp.asarray(space.unconstrain(values))
        columns = {*model.facets, "subject"} & table.codes.keys()
        codes = {name: jnp.asarray(table.codes[name]) for name in columns}
        params = {name: jnp.asarray(value) for name, value in values.items()}
        likelihood = model.log_likelihood(
            params,
            codes,
            jnp.asarray(table.response),
            jnp.asarray(table.weight),
            model.n_outcomes(len(table.categories)),
        )
        z = (values.get(ABILITY, np.zeros(0)) - values[POPULATION_MEAN]) / values[POPULATION_SD]
        return float(likelihood + space.log_prior(free)) - 0.5 * float(z @ z)


def fixed_population() -> dict[str, np.ndarray]:
    return {POPULATION_MEAN: np.zeros(()), POPULATION_SD: np.ones(())}


MODEL = ps.ManyFacetRasch(steps="item", random=("judge",))


@cache
def table() -> ps.ResponseTable:
    return model_cases.response_table(model_cases.response_frame(3))


@pytest.fixture(scope="module")
def fits(pymc) -> tuple[ps.Fit, ps.Fit]:
    # One sampled model: the others share its code, and their densities are compared above at no cost of compiling.
    engines = (ps.PyMCNUTS(warmup=400, draws=800, chains=2, target_accept=0.95), ps.NUTS(target_accept=0.95))
    return tuple(ps.fit(MODEL, table(), engine=engine) for engine in engines)


def effective(fit: ps.Fit, name: str, method: str) -> np.ndarray:
    """Effective sample sizes of the mean, or of the sd, of every number of a parameter."""
    return np.asarray(load_arviz().ess(named_draws({"x": fit.draws[name]}), method=method)["x"])


@pytest.mark.example
def test_samples_the_posterior_that_nuts_samples(fits) -> None:
    """Means and sds of every number, within Monte Carlo errors from the effective sample sizes of both."""
    theirs, ours = fits
    assert theirs.draws.keys() == ours.draws.keys()
    assert theirs.n_parameters == ours.n_parameters
    compared = 0
    for name in ours.draws:
        moves = ours.standard_errors[name] > 1e-9
        gap, error = np.abs(theirs.parameters[name] - ours.parameters[name]), np.zeros(moves.shape)
        for fit in fits:
            error += fit.standard_errors[name] ** 2 / effective(fit, name, "mean")
        assert (gap < REACH * np.sqrt(error))[moves].all(), name
        log_ratio = np.abs(np.log(theirs.standard_errors[name] / ours.standard_errors[name]))
        variance = sum(relative_variance_of_sd(fit, name) for fit in fits)
        assert (log_ratio < REACH * np.sqrt(variance))[moves].all(), name
        compared += int(moves.sum())
    assert compared == 12 + 3 + 3 + 6 + 3


def relative_variance_of_sd(fit: ps.Fit, name: str) -> np.ndarray:
    """Var(log s) = (κ − 1) / (4n) by the delta method, with the draws' own kurtosis κ."""
    draws = fit.draws[name].reshape(-1, *fit.draws[name].shape[2:])
    scaled = (draws - draws.mean(axis=0)) / draws.std(axis=0)
    return ((scaled**4).mean(axis=0) - 1) / (4 * effective(fit, name, "sd"))


@pytest.mark.example
def test_fit_says_how_it_was_sampled(fits) -> None:
    fit = fits[0]
    assert fit.summary().startswith("ManyFacetRasch by PyMCNUTS (penalised")
    assert set(fit.status.details) == {"r_hat", "ess_bulk", "ess_tail", "divergences", "mean_steps"}
    assert fit.status.iterations == 2 * 800
    assert fit.draws["judge"].shape == (2, 800, 3)
    assert len(fit.estimates("subject")) == 12
    assert fit.provenance.seed == 0


def test_models_without_a_likelihood_here_are_named() -> None:
    class Unwritten(type(MODEL).__base__):
        table_kind, facets, parameters = "responses", ("item",), ps.Rasch().parameters

        def category_log_probs(self, params, codes, n_categories):
            raise NotImplementedError

    with pytest.raises(DesignError, match=r"no likelihood of Unwritten: .* BradleyTerry, FourPL, .*Use NUTS\(\)"):
        ps.fit(Unwritten(), table(), engine=ps.PyMCNUTS())


def test_settings_beyond_it_are_named() -> None:
    table = model_cases.response_table(model_cases.response_frame(3))
    model = ps.ManyFacetRasch(drift={"judge:item": "linear"})
    with pytest.raises(DesignError, match=r"does not know drift 'judge:item' of ManyFacetRasch: use NUTS\(\)"):
        ps.fit(model, table, engine=ps.PyMCNUTS())


def test_wrong_settings() -> None:
    with pytest.raises(DataError, match="needs warmup, chains and cores >= 1"):
        ps.PyMCNUTS(cores=0)


def test_without_pymc(monkeypatch) -> None:
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "pymc":
            raise ModuleNotFoundError("No module named 'pymc'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"PyMC is not installed: `pip install 'psymetric\[pymc\]'`"):
        ps.fit(MODEL, table(), engine=ps.PyMCNUTS())


def test_engine_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ps.PyMCNUTS().draws = 1
