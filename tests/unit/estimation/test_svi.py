"""Variational inference: its guides against SciPy, its climb on a known Gaussian, its answer against NUTS."""

from __future__ import annotations

from dataclasses import dataclass

import engine_cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import ConvergenceError, DataError
from psymetric.estimation import svi
from psymetric.estimation.arviz_adapter import pareto_smoothed
from psymetric.estimation.guides import FullRank, LowRank

REACH = 4.0
"""Monte Carlo standard errors between two estimates of one number: left by chance once in sixteen thousand."""


def guides() -> list[FullRank | LowRank]:
    rng = np.random.default_rng(0)
    mean, log_scale, square = rng.normal(size=4), rng.normal(size=4) / 2, rng.normal(size=(4, 4))
    return [FullRank(mean, log_scale, square), LowRank(mean, log_scale, square[:, :2])]


@pytest.mark.parametrize("guide", guides(), ids=lambda guide: type(guide).__name__)
def test_guide_density_is_that_of_its_draws(guide) -> None:
    """A draw is affine in the noise, so that its covariance is the Jacobian times its transpose."""
    with double_precision():
        root = np.asarray(jax.jacfwd(guide.sample)(jnp.zeros(guide.n_noise)))
        at = np.array([0.3, -1.0, 2.0, 0.1])
        found = float(guide.log_density(jnp.asarray(at)))
    assert found == pytest.approx(multivariate_normal(guide.mean, root @ root.T).logpdf(at), abs=1e-10)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Normal:
    """A target of the family, with log normaliser 3, off the centre and scale at which the guide starts."""

    mean: jax.Array
    root: jax.Array

    def log_density(self, free: jax.Array) -> jax.Array:
        noise = jnp.linalg.solve(self.root, free - self.mean)
        return 3.0 - 0.5 * jnp.sum(noise**2 + jnp.log(2 * jnp.pi)) - jnp.sum(jnp.log(jnp.diag(self.root)))


def test_finds_a_gaussian_exactly() -> None:
    """With the guide's own score left out the gradient has no noise at the optimum (Roeder et al., 2017, sec. 3)."""
    mean, root = np.array([1.0, -0.5, 0.3]), np.array([[0.6, 0, 0], [0.5, 1.5, 0], [-0.4, 0.2, 0.8]])
    with double_precision():
        target = svi._Target(Normal(jnp.asarray(mean), jnp.asarray(root)), jnp.zeros(3), jnp.eye(3))
        climbed = svi._climb(target, FullRank.standard(3), np.random.default_rng(0), 8, 20_000, 0.001)
        noise = jnp.asarray(np.random.default_rng(1).standard_normal((500, 3)))
        log_ratio = svi._pool(target, climbed.guide, noise)[1]
        found = np.asarray(jax.jacfwd(climbed.guide.sample)(jnp.zeros(3)))
    assert climbed.settled
    np.testing.assert_allclose(climbed.guide.mean, mean, atol=0.01)
    np.testing.assert_allclose(found @ found.T, root @ root.T, atol=0.02)
    np.testing.assert_allclose(log_ratio, 3.0, atol=0.1)


def test_k_hat_is_the_shape_of_a_pareto_tail() -> None:
    """u^(-k) has a Pareto tail of shape k exactly; the estimate from M tail draws errs by about (1 + k) / √M."""
    uniform = np.random.default_rng(2).random(20_000)
    tail = 3 * np.sqrt(len(uniform))
    for shape in (0.3, 0.9):
        log_weights, k_hat = pareto_smoothed(-shape * np.log(uniform))
        assert abs(k_hat - shape) < REACH * (1 + shape) / np.sqrt(tail)
        assert np.exp(log_weights).sum() == pytest.approx(1)
        assert np.corrcoef(log_weights, -np.log(uniform))[0, 1] > 0.99


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    return engine_cases.table(engine_cases.frame())


@pytest.fixture(scope="module")
def nuts(table) -> ps.Fit:
    return ps.fit(engine_cases.MODEL, table, engine=engine_cases.ENGINES["NUTS"])


def distances(fit: ps.Fit, ess: float, nuts: ps.Fit) -> dict[str, float]:
    """Largest difference of posterior means, and of sds, in Monte Carlo standard errors."""
    worst = dict.fromkeys(("mean", "sd"), 0.0)
    error = np.sqrt(1 / ess + 1 / nuts.status.details["ess_bulk"])
    for name in ("item", "judge", "step", "population_mean"):
        sd = nuts.standard_errors[name]
        worst["mean"] = max(worst["mean"], np.max(np.abs(fit.parameters[name] - nuts.parameters[name]) / sd) / error)
        # The log of a normal sample's sd has standard error 1 / √(2n).
        ratio = np.abs(np.log(fit.standard_errors[name] / sd))
        worst["sd"] = max(worst["sd"], np.max(ratio) / (error / np.sqrt(2)))
    scale = [np.log(f.draws["population_sd"]).mean() for f in (fit, nuts)]
    worst["log_sd"] = abs(scale[0] - scale[1]) / np.log(nuts.draws["population_sd"]).std() / error
    return worst


@pytest.mark.thorough
@pytest.mark.parametrize("engine", [ps.SVI(draws=4_000), ps.SVI(draws=4_000, guide="low_rank", rank=2)])
def test_agrees_with_nuts(table, nuts, engine) -> None:
    fit = ps.fit(engine_cases.MODEL, table, engine=engine)
    # Resampling adds the variance of a sample of the draws kept to that of the weighted pool.
    ess = 1 / (1 / fit.status.details["ess_importance"] + 1 / engine.draws)
    assert max(distances(fit, ess, nuts).values()) < REACH
    subjects = np.abs(fit.parameters["ability"] - nuts.parameters["ability"]) / nuts.standard_errors["ability"]
    assert subjects.max() < (REACH + 1) * np.sqrt(1 / ess + 1 / 2_000)


def test_the_comparison_tells_laplace_from_nuts(table, nuts) -> None:
    """The check above can fail: the mode of the log sd lies well below its mean."""
    laplace = ps.fit(engine_cases.MODEL, table, engine=ps.Laplace(draws=4_000))
    assert distances(laplace, 4_000, nuts)["log_sd"] > REACH


def test_fits_pair_models() -> None:
    from model_cases import pair_frame, pair_table

    table = pair_table(pair_frame(("left", "right")))
    fit, exact = (ps.fit(ps.BradleyTerry(), table, engine=engine) for engine in (ps.SVI(), ps.NUTS(chains=2)))
    error = exact.standard_errors["worth"] * np.sqrt(2 / 1_000 + 1 / exact.status.details["ess_bulk"])
    assert (np.abs(fit.parameters["worth"] - exact.parameters["worth"]) < REACH * error).all()


def test_stopped_early(table) -> None:
    with pytest.raises(
        ConvergenceError, match=r"SVI did not converge: approximate: .* after 100 steps is still rising"
    ):
        ps.fit(engine_cases.MODEL, table, engine=ps.SVI(max_steps=150))


def test_wrong_settings() -> None:
    with pytest.raises(DataError, match=r"SVI\(guide='mean_field'\) must be one of auto, full_rank, low_rank"):
        ps.SVI(guide="mean_field")
    with pytest.raises(DataError, match="needs draws >= 10, rank >= 1"):
        ps.SVI(draws=1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cauchy:
    """A target whose tails no Gaussian covers."""

    scale: jax.Array

    def log_density(self, free: jax.Array) -> jax.Array:
        return -jnp.sum(jnp.log1p((free / self.scale) ** 2))


def test_unreliable_weights_are_announced_and_not_used() -> None:
    with double_precision():
        target = svi._Target(Cauchy(jnp.ones(())), jnp.zeros(2), jnp.eye(2))
        free, status, warnings = ps.SVI(seed=3)._approximate(target)
    assert status.converged
    assert status.details["pareto_k"] > 0.7
    assert status.message.endswith("(unreliable)")
    assert len(warnings) == 1
    assert "exceeds 0.7: the Gaussian is far from the posterior, check with NUTS" in warnings[0]
    assert len(np.unique(free, axis=0)) == len(free) == 1_000, "resampled draws would repeat"


def test_equal_ratios_have_no_tail() -> None:
    log_weights, k_hat = pareto_smoothed(np.full(50, -7.0))
    assert k_hat == 0
    np.testing.assert_allclose(np.exp(log_weights), 1 / 50)
