"""Sums of table rows picked by index: the sparse product at the heart of marginal likelihoods.

A marginal likelihood needs, for every subject, the sum of those rows of a small table (cells × nodes) that the
subject's responses point at. XLA's gather of all rows materialises responses × nodes numbers and is twenty times
slower on a CPU than a loop over slots that adds one row per owner at a time, which is what this file does.
"""

from __future__ import annotations

from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = ["GatherSum"]


@final
@jax.tree_util.register_pytree_node_class
class GatherSum:
    """The linear map `out[s] = Σ_r weight_r · table[row_r]` over the entries r owned by s.

    Entries of one owner are dealt into chunks of equal length, so that ragged designs cost little padding: `rows` and
    `weights` have shape (slots, chunks), `owner` has shape (chunks,) and is sorted.
    """

    def __init__(self, rows: Array, weights: Array, owner: Array, n_owners: int, n_rows: int) -> None:
        self.rows, self.weights, self.owner = rows, weights, owner
        self.n_owners, self.n_rows = n_owners, n_rows

    @classmethod
    def build(
        cls,
        owner: NDArray[np.integer[Any]],
        rows: NDArray[np.integer[Any]],
        weights: NDArray[np.float64],
        *,
        n_owners: int,
        n_rows: int,
    ) -> GatherSum:
        """Deal entries (owner, row, weight), each of shape (entries,), into chunks."""
        order = np.argsort(owner, kind="stable")
        owner, rows, weights = owner[order], rows[order], weights[order]
        count = np.bincount(owner, minlength=n_owners)
        slots = int(np.clip(np.ceil(count.mean()), 1, 64))
        chunks = np.maximum(-(-count // slots), 1)
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        column = (np.cumsum(chunks) - chunks)[owner] + rank // slots
        index = np.zeros((slots, int(chunks.sum())), np.int32)
        weight = np.zeros(index.shape)
        index[rank % slots, column], weight[rank % slots, column] = rows, weights
        owners = np.repeat(np.arange(n_owners, dtype=np.int32), chunks)
        return cls(jnp.asarray(index), jnp.asarray(weight), jnp.asarray(owners), n_owners, n_rows)

    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Owner, row and weight of every entry that counts, each of shape (entries,)."""
        weights = np.asarray(self.weights)
        slot, chunk = np.nonzero(weights)
        owner = np.asarray(self.owner, np.int64)[chunk]
        return owner, np.asarray(self.rows, np.int64)[slot, chunk], weights[slot, chunk]

    def __call__(self, table: Array) -> Array:
        """Sum rows of `table`, shape (rows, columns), to shape (owners, columns)."""
        return _apply(self, table)

    def tree_flatten(self) -> tuple[tuple[Array, Array, Array], tuple[int, int]]:
        """Arrays as leaves, sizes as structure: tables of one shape share a compiled program."""
        return (self.rows, self.weights, self.owner), (self.n_owners, self.n_rows)

    @classmethod
    def tree_unflatten(cls, sizes: tuple[int, int], leaves: tuple[Array, Array, Array]) -> GatherSum:
        """Inverse of `tree_flatten`."""
        return cls(*leaves, *sizes)


@partial(jax.custom_vjp, nondiff_argnums=())
def _apply(plan: GatherSum, table: Array) -> Array:
    return _gather(plan, table)


def _gather(plan: GatherSum, table: Array) -> Array:
    def add(slot: Any, total: Array) -> Array:
        return total + plan.weights[slot][:, None] * table[plan.rows[slot]]

    start = jnp.zeros((plan.rows.shape[1], table.shape[1]), table.dtype)
    sums = jax.lax.fori_loop(0, plan.rows.shape[0], add, start)
    if plan.rows.shape[1] == plan.n_owners:
        return sums
    return jax.ops.segment_sum(sums, plan.owner, plan.n_owners, indices_are_sorted=True)


def _scatter(plan: GatherSum, sums: Array) -> Array:
    spread = sums if plan.rows.shape[1] == plan.n_owners else sums[plan.owner]

    def add(slot: Any, total: Array) -> Array:
        return total.at[plan.rows[slot]].add(plan.weights[slot][:, None] * spread)

    return jax.lax.fori_loop(0, plan.rows.shape[0], add, jnp.zeros((plan.n_rows, sums.shape[1]), sums.dtype))


def _forward(plan: GatherSum, table: Array) -> tuple[Array, GatherSum]:
    return _gather(plan, table), plan


def _backward(plan: GatherSum, cotangent: Array) -> tuple[None, Array]:
    return None, _scatter(plan, cotangent)


_apply.defvjp(_forward, _backward)
