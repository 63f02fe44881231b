"""Hamiltonian chains of all priors of a grid in one compiled program, each whitened by its own curvature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.truth import TruthProblem
from psymetric.models.dawid_skene import CONFUSION
from psymetric.models.truth import PREVALENCE
from psymetric.sensitivity.prior_density import MarginProblem, level_means
from psymetric.sensitivity.prior_swaps import swap_moves
from psymetric.sensitivity.prior_whitening import Whitening

__all__ = ["Chains", "sample_cells"]

Matrix = NDArray[np.float64]
_FIRST_STEP, _JITTER = 0.1, 0.2
_ACCEPTED = 0.8
_DIVERGED = 1000.0


@final
@dataclass(frozen=True)
class Chains:
    """Draws of P priors.

    Attributes:
        means: Mean level of the candidates, shape (priors, chains, draws, candidates).
        accuracy: Mean diagonal of each judge's matrix, shape (priors, chains, draws, judges).
        diverging: Share of diverging steps by prior, shape (priors,).
    """

    means: Matrix
    accuracy: Matrix
    diverging: Matrix


def sample_cells(
    problem: MarginProblem | TruthProblem,
    spaces: ParameterSpace,
    starts: list[Whitening],
    values: Matrix,
    shares: Matrix,
    *,
    warmup: int,
    draws: int,
    chains: int,
    steps: int,
    sweeps: int,
    seed: int,
) -> Chains:
    """Draw from the posterior under every prior.

    Args:
        problem: The likelihood; its space is not read.
        spaces: Parameter spaces of P priors, stacked.
        starts: Of each prior.
        values: Score of each level, shape (truths,).
        shares: Share of each stratum, shape (strata,).
        warmup: Steps to adapt to, per chain.
        draws: Draws kept per chain.
        chains: Chains per prior.
        steps: Leapfrog steps per draw.
        sweeps: Rounds of `swap_moves` per draw; 0 where labels share truths or candidates are favoured.
        seed: Of random numbers.

    Source: Neal (2011), Handbook of Markov Chain Monte Carlo, chapter 5; the step is adapted as in Andrieu & Thoms
    (2008), Statistics and Computing 18, 343-373, equation 19, over the chains of a prior together.
    """
    rng = np.random.default_rng(seed)
    n_cells, size = len(starts), len(starts[0].mode)
    start = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
    noise = rng.standard_normal((n_cells, chains, size))
    keys = rng.integers(0, 2**32, (n_cells, 2), dtype=np.uint32)
    arguments = jax.device_put((spaces, start, noise, keys, values, shares, np.int64(steps)))
    means, accuracy, diverging = _sample(problem, *arguments, warmup=warmup, draws=draws, sweeps=sweeps)
    order = [np.moveaxis(np.asarray(found), 1, 2) for found in (means, accuracy, diverging)]
    return Chains(order[0], order[1], order[2].mean(axis=(1, 2)))


@final
@partial(jax.tree_util.register_dataclass, data_fields=["white", "step", "settled", "scale", "sums"], meta_fields=[])
@dataclass(frozen=True)
class _State:
    """Chains of one prior.

    Attributes:
        white: Where they are, shape (chains, size).
        step: Log of the leapfrog step.
        settled: Its mean over late warm-up, which draws are made with.
        scale: What the momentum divides by, shape (size,).
        sums: Number, sum and sum of squares of what warm-up went through, for `scale`.
    """

    white: Array
    step: Array
    settled: Array
    scale: Array
    sums: tuple[Array, Array, Array]


@partial(jax.jit, static_argnames=("warmup", "draws", "sweeps"))
def _sample(
    problem: MarginProblem | TruthProblem,
    spaces: ParameterSpace,
    starts: Whitening,
    noise: Array,
    keys: Array,
    values: Array,
    shares: Array,
    steps: Array,
    *,
    warmup: int,
    draws: int,
    sweeps: int,
) -> tuple[Array, Array, Array]:
    def cell(space: ParameterSpace, start: Whitening, first: Array, key: Array) -> tuple[Array, Array, Array]:
        own = replace(problem, space=space)

        def density(white: Array) -> Array:
            return own.log_density(start.free(white))

        def after(white: Array, key: Array) -> tuple[Array, tuple[Array, Array]]:
            free = start.free(white)
            params = space.constrain(free)
            if sweeps:
                params, free = _swept(space, params, free, key, sweeps)
                moved = start.white(free)
                white = jnp.where(jnp.all(jnp.isfinite(moved)), moved, white)
            right = jnp.diagonal(params[CONFUSION], axis1=-2, axis2=-1).mean(axis=-1)
            right = right @ shares if right.ndim > 1 else right
            return white, (level_means(params[PREVALENCE], values, shares), right)

        def one(state: _State, now: tuple[Array, Array]) -> tuple[_State, tuple[Array, Array, Array]]:
            at, key = now
            to_move, to_sweep = (jax.random.split(own, len(first)) for own in jax.random.split(key))
            size = jnp.exp(jnp.where(at < warmup, state.step, state.settled))
            move = partial(_trajectory, density, size=size, scale=state.scale, steps=steps)
            white, chance, diverging = jax.vmap(move)(state.white, to_move)
            white, found = jax.vmap(after)(white, to_sweep)
            return _adapted(state, white, chance, at, warmup), (*found, diverging)

        zero = jnp.zeros(first.shape[1])
        state = _State(first, jnp.log(_FIRST_STEP), jnp.zeros(()), zero + 1, (jnp.zeros(()), zero, zero))
        moments = jax.random.split(jax.random.wrap_key_data(key), warmup + draws)
        found = jax.lax.scan(one, state, (jnp.arange(warmup + draws), moments))[1]
        return jax.tree.map(lambda drawn: drawn[warmup:], found)

    return jax.vmap(cell)(spaces, starts, noise, keys)


def _trajectory(
    density: Callable[[Array], Array], white: Array, key: Array, *, size: Array, scale: Array, steps: Array
) -> tuple[Array, Array, Array]:
    """One Hamiltonian move: where it ends, its chance of acceptance, and whether it diverged."""
    to_kick, to_stretch, to_accept = jax.random.split(key, 3)
    momentum = jax.random.normal(to_kick, white.shape)
    # Steps of one size return after a period to where they came from.
    pace = size * jax.random.uniform(to_stretch, minval=1 - _JITTER, maxval=1 + _JITTER)
    slope_of = jax.value_and_grad(density)

    def leap(at: Array, state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        place, kick, before, _ = state
        value, slope = slope_of(place)
        ends = (at == 0) | (at == steps)
        kick = kick + jnp.where(ends, pace / 2, pace) * scale * slope
        energy = jnp.where(at == 0, value - 0.5 * jnp.sum(momentum**2), before)
        return jnp.where(at == steps, place, place + pace * scale * kick), kick, energy, value

    # Half steps at either end, so that the density stands in the program once.
    nothing = jnp.zeros(())
    place, kick, before, value = jax.lax.fori_loop(0, steps + 1, leap, (white, momentum, nothing, nothing))
    gain = value - 0.5 * jnp.sum(kick**2) - before
    gain = jnp.where(jnp.isfinite(gain) & jnp.all(jnp.isfinite(place)), gain, -jnp.inf)
    taken = jnp.log(jax.random.uniform(to_accept)) < gain
    return jnp.where(taken, place, white), jnp.exp(jnp.minimum(gain, 0.0)), gain < -_DIVERGED


def _adapted(state: _State, white: Array, chance: Array, at: Array, warmup: int) -> _State:
    """What warm-up learns of one move: the step, and halfway through the scale that the chains had until then."""
    half, quarter = warmup // 2, warmup // 4
    since = jnp.where(at < half, at, at - half) + 1
    step = state.step + (jnp.mean(chance) - _ACCEPTED) * since**-0.6 * 2.0
    late = jnp.clip(at - (warmup - quarter) + 1, 1)
    settled = state.settled + (step - state.settled) / late
    counted = ((at >= quarter) & (at < half)).astype(white.dtype)
    number, total, squares = state.sums
    sums = (
        number + counted * len(white),
        total + counted * jnp.sum(white, axis=0),
        squares + counted * jnp.sum(white**2, axis=0),
    )
    variance = sums[2] / sums[0] - (sums[1] / sums[0]) ** 2
    scale = jnp.where(at == half, jnp.sqrt(variance + 1e-3), state.scale)
    return _State(white, step, jnp.where(at < warmup, settled, state.settled), scale, sums)


def _swept(
    space: ParameterSpace, params: dict[str, Array], free: Array, key: Array, sweeps: int
) -> tuple[dict[str, Array], Array]:
    """Constrained arrays and free vector after some rounds of moves along the margins."""
    blocks: dict[str, Any] = {block.name: block for block in space.blocks}
    truth, label = blocks[PREVALENCE], blocks[CONFUSION]
    single = params[PREVALENCE].ndim == 2
    share, rows = params[PREVALENCE], params[CONFUSION]
    of_truth, of_label = truth.dirichlet, label.dirichlet
    if single:
        share, rows, of_truth, of_label = share[:, None], rows[:, None], of_truth[:, None], of_label[:, None]

    def sweep(state: tuple[Array, Array], one: Array) -> tuple[tuple[Array, Array], None]:
        pooled = label.bijector.pooled
        return swap_moves(one, *state, pooled=pooled, truth_counts=of_truth, label_counts=of_label), None

    share, rows = jax.lax.scan(sweep, (share, rows), jax.random.split(key, sweeps))[0]
    if single:
        share, rows = share[:, 0], rows[:, 0]
    parts = {PREVALENCE: truth.bijector.free(share), CONFUSION: label.bijector.free(rows)}
    where = space.slices()
    for name, part in parts.items():
        free = free.at[where[name]].set(part)
    return {**params, PREVALENCE: share, CONFUSION: rows}, free
