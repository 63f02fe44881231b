"""Variational inference: the Gaussian closest to the posterior with the subjects integrated out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, final, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import logsumexp

from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.estimation.arviz_adapter import pareto_smoothed
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.guides import FullRank, Guide, LowRank
from psymetric.estimation.posterior import fit_from_draws, posterior_mode, whitening
from psymetric.estimation.problems import Problem
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["SVI", "UNRELIABLE"]

GuideName = Literal["auto", "full_rank", "low_rank"]
Vector = NDArray[np.float64]

_LARGEST_FULL_RANK = 200
"""Free parameters up to which `auto` takes full rank: beyond it the gradient's noise grows with the square."""
_WINDOW = 100
"""Steps whose mean ELBO is compared with the next window's."""
_RATES = (0.05, 0.02, 0.005, 0.001)
"""Step sizes of Adam, in Laplace sds; the next is taken when the ELBO no longer rises under the last."""
_POOL = 4
"""Draws of the guide per draw kept: what the importance weights choose from."""
UNRELIABLE = 0.7
"""Pareto k-hat above which importance sampling from the guide fails (Vehtari et al., 2024)."""


@final
@dataclass(frozen=True)
class SVI:
    """Automatic variational inference of the posterior that `NUTS` samples, for sizes beyond it. Approximate.

    A Gaussian on the free vector, whitened by the Laplace approximation and started there, is moved by Adam until the
    evidence lower bound (ELBO) stops rising. Its draws are then importance-resampled towards the posterior with
    Pareto-smoothed weights; where their k-hat exceeds 0.7 the weights cannot be trusted, the Gaussian's own draws are
    kept, and a note warns. Subjects are integrated out and drawn afterwards from their exact conditional. Intervals are
    quantiles of the draws.

    Args:
        draws: Number of draws.
        seed: Seed of the random numbers.
        guide: "full_rank", "low_rank" (diagonal plus `rank` factors), or "auto": full rank up to 200 parameters.
        rank: Factors of the low-rank guide.
        particles: Draws per gradient.
        max_steps: Cap on gradient steps.
        tolerance: Rise of the ELBO between windows of 100 steps, in nats, that counts as none; twice the rise's own
            Monte Carlo error where that is larger.

    Source: Kucukelbir et al. (2017), JMLR 18(14), 1-45; gradient: Roeder, Wu & Duvenaud (2017), NeurIPS 30, eq. 8;
    k-hat: Yao et al. (2018), ICML 80, 5581-5590.
    """

    draws: int = 1_000
    seed: int = 0
    guide: GuideName = "auto"
    rank: int = 10
    particles: int = 8
    max_steps: int = 20_000
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        if self.guide not in get_args(GuideName):
            raise DataError(f"SVI(guide={self.guide!r}) must be one of {', '.join(get_args(GuideName))}")
        if self.draws < 10 or self.rank < 1 or self.particles < 1 or self.max_steps < 1 or not self.tolerance > 0:
            raise DataError(f"{self} needs draws >= 10, rank >= 1, particles >= 1, max_steps >= 1 and tolerance > 0")

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        with double_precision():
            mode = posterior_mode(model, table, tolerance=1e-4, max_iterations=2_000).for_draws()
            centre, root = mode.maximum.point, whitening(mode.maximum.curvature.schur)
            if len(centre) == 0:
                free, status, notes = np.zeros((self.draws, 0)), FitStatus(True, "nothing to fit", 0), ()
            else:
                target = _Target(mode.problem, jax.device_put(centre), jax.device_put(root))
                free, status, notes = self._approximate(target)
            return fit_from_draws(
                model, table, self, mode.problem, free[None], status=status, seed=self.seed, notes=notes
            )

    def _approximate(self, target: _Target) -> tuple[Vector, FitStatus, tuple[str, ...]]:
        """Draws of the free vector, shape (draws, parameters), how the climb ended, and warnings."""
        rng = np.random.default_rng(self.seed)
        start = self._first_guide(len(target.centre))
        climbed = _climb(target, start, rng, self.particles, self.max_steps, self.tolerance)
        noise = jax.device_put(rng.standard_normal((_POOL * self.draws, start.n_noise)))
        white, log_ratio = (np.asarray(value) for value in _pool(target, climbed.guide, noise))
        finite = bool(np.isfinite(log_ratio).all())
        log_weight, shape = pareto_smoothed(log_ratio) if finite else (np.zeros(len(log_ratio)), np.inf)
        k_hat = float(shape)
        chosen = _resample(log_weight, self.draws, rng) if k_hat <= UNRELIABLE else np.arange(self.draws)
        free = np.asarray(target.centre) + white[chosen] @ np.asarray(target.root).T
        # On the scale of the free vector: the whitening's Jacobian belongs to the guide's entropy.
        elbo = float(log_ratio.mean() + np.linalg.slogdet(np.asarray(target.root))[1])
        kind = "full-rank" if isinstance(start, FullRank) else f"low-rank ({self.rank})"
        ess = float(np.exp(2 * logsumexp(log_weight) - logsumexp(2 * log_weight)))
        status, warnings = _conclude(climbed, finite, kind, {"elbo": elbo, "pareto_k": k_hat, "ess_importance": ess})
        return free, status, warnings

    def _first_guide(self, size: int) -> Guide:
        full = self.guide == "full_rank" or (self.guide == "auto" and size <= _LARGEST_FULL_RANK)
        return FullRank.standard(size) if full else LowRank.near_standard(size, self.rank, seed=self.seed)


@final
@partial(jax.tree_util.register_dataclass, data_fields=["problem", "centre", "root"], meta_fields=[])
@dataclass(frozen=True)
class _Target:
    """The posterior of the whitened vector w, free = centre + root · w."""

    problem: Problem
    centre: Array
    root: Array

    def log_density(self, white: Array) -> Array:
        return self.problem.log_density(self.centre + self.root @ white)


@final
@dataclass(frozen=True)
class _Climbed:
    """The guide, averaged over the last window, and how the ELBO came to rest."""

    guide: Guide
    settled: bool
    steps: int
    rise: float


def _climb(
    target: _Target, guide: Guide, rng: np.random.Generator, particles: int, max_steps: int, tolerance: float
) -> _Climbed:
    """Raise the ELBO at every rate until its mean over a window no longer exceeds the last window's.

    Averaging the iterates of a window takes most of the gradient's noise out of them (Dhaka et al., 2020).
    """
    climbed = _Climbed(guide, False, 0, float("nan"))
    state: Any = None
    for rate in _RATES:
        # Steps of the old rate's noise would pass for a rise of the new one: every rate has a first window of its own.
        before: Vector | None = None
        while True:
            if climbed.steps + _WINDOW > max_steps:
                return replace(climbed, settled=False)
            key = jax.device_put(rng.integers(0, 2**32, 2, dtype=np.uint32))
            state, averaged, elbo = _window(target, state, guide, key, rate, particles=particles)
            after = np.asarray(elbo)
            climbed = _Climbed(averaged, True, climbed.steps + _WINDOW, float("nan"))
            if not np.isfinite(after).all():
                return replace(climbed, settled=False)
            if before is not None:
                rise = float(after.mean() - before.mean())
                noise = float(np.sqrt((after.var(ddof=1) + before.var(ddof=1)) / _WINDOW))
                climbed = replace(climbed, rise=rise)
                if rise < max(tolerance, 2 * noise):
                    break
            before = after
    return climbed


@partial(jax.jit, static_argnames=("particles",))
def _window(
    target: _Target, state: Any, guide: Guide, key: Array, rate: float, *, particles: int
) -> tuple[Any, Guide, Array]:
    """Some steps of Adam: its state, the mean of the guides passed through, and each step's estimate of the ELBO."""
    from numpyro.optim import Adam

    optimizer = Adam(rate)
    state = optimizer.init(guide) if state is None else state

    def step(current: Any, key: Array) -> tuple[Any, tuple[Guide, Array]]:
        at: Any = optimizer.get_params(current)
        noise = jax.random.normal(key, (particles, at.n_noise))
        white, pull = jax.vjp(lambda moved: jax.vmap(moved.sample)(noise), at)
        # One particle at a time: memory stays that of one evaluation on tables of any size.
        value, score = jax.lax.map(jax.value_and_grad(target.log_density), white)
        log_q, score_q = jax.vmap(jax.value_and_grad(at.log_density))(white)
        # The guide's own parameters count as fixed in log q: their gradient has mean zero and only adds noise.
        gradient = pull((score_q - score) / particles)[0]
        return optimizer.update(gradient, current), (at, jnp.mean(value - log_q))

    keys = jax.random.split(jax.random.wrap_key_data(key), _WINDOW)
    state, (passed, elbo) = jax.lax.scan(step, state, keys)
    return state, jax.tree.map(lambda values: jnp.mean(values, axis=0), passed), elbo


@jax.jit
def _pool(target: _Target, guide: Guide, noise: Array) -> tuple[Array, Array]:
    """Draws of the guide and the log of their importance ratios."""
    white = jax.vmap(guide.sample)(noise)
    return white, jax.lax.map(target.log_density, white) - jax.vmap(guide.log_density)(white)


def _resample(log_weight: Vector, n_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions drawn in proportion to their weights, at evenly spread quantiles and in random order."""
    cumulated = np.cumsum(np.exp(log_weight - log_weight.max()))
    places = (np.arange(n_draws) + rng.random()) / n_draws * cumulated[-1]
    return rng.permutation(np.searchsorted(cumulated, places).clip(max=len(cumulated) - 1))


def _conclude(climbed: _Climbed, finite: bool, kind: str, found: dict[str, float]) -> tuple[FitStatus, tuple[str, ...]]:
    details = found | {"elbo_rise": climbed.rise}
    elbo, k_hat = found["elbo"], found["pareto_k"]
    if not climbed.settled or not finite:
        reason = "still rising: raise max_steps" if finite and np.isfinite(elbo) else "not finite: try NUTS()"
        message = f"approximate: {kind} Gaussian, ELBO {elbo:.2f} after {climbed.steps} steps is {reason}"
        return FitStatus(False, message, climbed.steps, details), ()
    message = f"approximate: {kind} Gaussian, ELBO {elbo:.2f} stable after {climbed.steps} steps, k-hat {k_hat:.2f}"
    if k_hat <= UNRELIABLE:
        return FitStatus(True, message, climbed.steps, details), ()
    warning = f"Pareto k-hat {k_hat:.2f} exceeds {UNRELIABLE}: the Gaussian is far from the posterior, check with NUTS"
    return FitStatus(True, f"{message} (unreliable)", climbed.steps, details), (warning,)
