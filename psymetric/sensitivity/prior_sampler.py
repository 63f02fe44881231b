"""Hamiltonian chains of all priors of a grid in one compiled program, each whitened by its own curvature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.optimize import minimize

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.truth import TruthProblem
from psymetric.models.dawid_skene import CONFUSION
from psymetric.models.truth import PREVALENCE
from psymetric.sensitivity.prior_density import MarginProblem, level_means
from psymetric.sensitivity.prior_swaps import swap_moves

__all__ = ["Chains", "Start", "sample_cells", "start_of"]

Matrix = NDArray[np.float64]
_LEAST = 1e-300
_TOLERANCE = 1e-3
_FLATTEST = 0.05
"""Least curvature that whitens a direction: the free numbers have a prior sd of some units."""


@final
@dataclass(frozen=True)
class Start:
    """Where the chains of one prior start: its mode, and roots of the covariance there and of its inverse."""

    mode: Matrix
    root: Matrix
    inverse: Matrix


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


@jax.jit
def _slope(problem: MarginProblem | TruthProblem, free: Array) -> tuple[Array, Array]:
    return jax.value_and_grad(lambda at: -problem.log_density(at))(free)


@jax.jit
def _curvature(problem: MarginProblem | TruthProblem, free: Array) -> Array:
    return jax.hessian(lambda at: -problem.log_density(at))(free)


def start_of(problem: MarginProblem | TruthProblem) -> Start:
    """Climb to the mode and take the curvature there."""

    def falling(free: Matrix) -> tuple[float, Matrix]:
        value, slope = _slope(problem, jax.device_put(free))
        return float(value), np.asarray(slope)

    options: Any = {"maxiter": 2_000, "maxfun": 3_000, "maxcor": 30, "ftol": 1e-12, "gtol": _TOLERANCE}
    mode = minimize(falling, problem.space.start(), jac=True, method="L-BFGS-B", options=options).x
    values, vectors = np.linalg.eigh(np.asarray(_curvature(problem, jax.device_put(mode))))
    scale = np.sqrt(np.maximum(values, _FLATTEST))
    return Start(mode, vectors / scale, (vectors * scale).T)


def sample_cells(
    problem: MarginProblem | TruthProblem,
    spaces: ParameterSpace,
    starts: list[Start],
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
    """
    rng = np.random.default_rng(seed)
    n_cells, size = len(starts), len(starts[0].mode)
    at = [np.stack([getattr(start, name) for start in starts]) for name in ("mode", "root", "inverse")]
    noise = rng.standard_normal((n_cells, chains, size))
    keys = rng.integers(0, 2**32, (n_cells, chains, 2), dtype=np.uint32)
    arguments = jax.device_put((spaces, *at, noise, keys, values, shares))
    lengths = {"warmup": warmup, "draws": draws, "steps": steps, "sweeps": sweeps}
    means, accuracy, diverging = _sample(problem, *arguments, **lengths)
    return Chains(np.asarray(means), np.asarray(accuracy), np.asarray(diverging).mean(axis=(1, 2)))


@partial(jax.jit, static_argnames=("warmup", "draws", "steps", "sweeps"))
def _sample(
    problem: MarginProblem | TruthProblem,
    spaces: ParameterSpace,
    modes: Array,
    roots: Array,
    inverses: Array,
    noise: Array,
    keys: Array,
    values: Array,
    shares: Array,
    *,
    warmup: int,
    draws: int,
    steps: int,
    sweeps: int,
) -> tuple[Array, Array, Array]:
    from numpyro.infer import HMC

    def chain(space: ParameterSpace, mode: Array, root: Array, inverse: Array, start: Array, key: Array) -> Any:
        own = replace(problem, space=space)

        def potential(white: Array) -> Array:
            return -own.log_density(mode + root @ white)

        kernel = HMC(potential_fn=potential, num_steps=steps, trajectory_length=None)  # pyright: ignore[reportArgumentType]
        first, rest = jax.random.split(jax.random.wrap_key_data(key))

        def step(state: Any, one: Array) -> tuple[Any, tuple[Array, Array, Array]]:
            after = kernel.sample(state, (), {})
            params = space.constrain(mode + root @ after.z)
            if sweeps:
                params, free = _swept(space, params, mode + root @ after.z, one, sweeps)
                white = inverse @ (free - mode)
                value, slope = jax.value_and_grad(potential)(white)
                sound = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
                moved = after._replace(z=white, potential_energy=value, z_grad=slope)
                after = jax.tree.map(lambda new, old: jnp.where(sound, new, old), moved, after)
            right = jnp.diagonal(params[CONFUSION], axis1=-2, axis2=-1).mean(axis=-1)
            right = right @ shares if right.ndim > 1 else right
            return after, (level_means(params[PREVALENCE], values, shares), right, after.diverging)

        state: Any = kernel.init(first, warmup, start, (), {})
        found = jax.lax.scan(step, state, jax.random.split(rest, warmup + draws))[1]
        return jax.tree.map(lambda drawn: drawn[warmup:], found)

    by_chain = jax.vmap(chain, (None, None, None, None, 0, 0))
    return jax.vmap(by_chain)(spaces, modes, roots, inverses, noise, keys)


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
