"""Moves along what counts of labels cannot tell: judges and candidates that change together, every margin kept.

With A any matrix whose rows sum to one, judges Aθ and candidates A⁻ᵀπ have the margins of θ and π. Such moves cost no
likelihood and go where a Hamiltonian sampler creeps, the more slowly the more labels there are.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from psymetric.core.ordered_rows import in_order

__all__ = ["swap_moves"]

_LEAST = 1e-300
_DECADES = 2.5


def swap_moves(
    key: Array, prevalence: Array, confusion: Array, *, pooled: Array, truth_counts: Array, label_counts: Array
) -> tuple[Array, Array]:
    r"""One Metropolis step for every ordered pair (a, b) of truths, by stratum.

    $\theta_a \leftarrow e^{-v}\theta_a + (1 - e^{-v})\theta_b$ for every judge, $\pi_a \leftarrow e^{v}\pi_a$ and
    $\pi_b \leftarrow \pi_b - (e^{v} - 1)\pi_a$ for every candidate: a group in v, whose volume changes by
    $e^{v(C - J(K - 1))}$.

    Args:
        key: Of random numbers.
        prevalence: Shape (candidates, strata, truths).
        confusion: Shape (judges, strata, truths, categories).
        pooled: Order of the rows, as `pooling` gives it.
        truth_counts: Dirichlet parameters of the prevalence, of a shape that broadcasts to it.
        label_counts: Those of the rows.

    Source: Liu & Sabatti (2000), Biometrika 87, 353-369 (generalised Gibbs moves along a group).
    """
    n_candidates, n_strata, n_truths = prevalence.shape
    n_judges = confusion.shape[0]
    pairs = np.array([*itertools.permutations(range(n_truths), 2)])
    size, way, chance = jax.random.split(key, 3)
    shape = (len(pairs), n_strata)
    # Steps of all sizes: how far the simplex lets one go is not known beforehand.
    steps = jax.random.normal(way, shape) * 10.0 ** (-_DECADES * jax.random.uniform(size, shape))
    needed = jnp.log(jax.random.uniform(chance, shape))
    on_truth = jnp.broadcast_to(truth_counts, prevalence.shape) - 1
    on_label = jnp.broadcast_to(label_counts, confusion.shape) - 1
    table = jax.device_put(pairs)

    def move(at: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        share, rows = state
        a, b, v = table[at, 0], table[at, 1], steps[at]
        old_a, old_b, row = share[:, :, a], share[:, :, b], rows[:, :, a]
        new_a, new_b = old_a * jnp.exp(v), old_b - old_a * jnp.expm1(v)
        new_row = row + jnp.expm1(-v)[:, None] * (row - rows[:, :, b])
        moved = rows.at[:, :, a].set(new_row)
        inside = jnp.all(new_b > 0, axis=0) & jnp.all(new_row > 0, axis=(0, 2))
        inside &= jnp.all(in_order(moved, pooled), axis=0)
        gain = v * (n_candidates - n_judges * (n_truths - 1))
        gain += jnp.sum(on_truth[:, :, a] * v + on_truth[:, :, b] * _log_ratio(new_b, old_b), axis=0)
        gain += jnp.sum(on_label[:, :, a] * _log_ratio(new_row, row), axis=(0, 2))
        taken = inside & (needed[at] < gain)
        share = share.at[:, :, a].set(jnp.where(taken, new_a, old_a)).at[:, :, b].set(jnp.where(taken, new_b, old_b))
        return share, rows.at[:, :, a].set(jnp.where(taken[:, None], new_row, row))

    return jax.lax.fori_loop(0, len(pairs), move, (prevalence, confusion))


def _log_ratio(new: Array, old: Array) -> Array:
    return jnp.log(jnp.maximum(new, _LEAST)) - jnp.log(jnp.maximum(old, _LEAST))
