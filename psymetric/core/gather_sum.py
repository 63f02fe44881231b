"""Sums of table rows picked by index: the sparse product at the heart of marginal likelihoods.

A marginal likelihood needs, for every subject, the sum of those rows of a small table (cells × nodes) that the
subject's responses point at. XLA's gather of all rows materialises responses × nodes numbers and is twenty times
slower on a CPU than a loop over slots that adds a few rows per owner at a time, which is what this file does. XLA's
scatter, the gradient of a gather, goes entry by entry on one core; the transposed matrix, gathered in the same way, is
five times faster.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.sparse import csr_array

__all__ = ["GatherSum"]

_MOST_SLOTS = 64
_TOGETHER = 4
"""Rows added in one pass over the sums: they are read and written that much more rarely."""


class _Chunks(NamedTuple):
    """Entries dealt into chunks of equal length, so that ragged designs cost little padding.

    Attributes:
        rows: Row of every entry, shape (slots, chunks). weights: Their weights, zero where a chunk is padded. owner:
            Owner of each chunk, sorted, shape (chunks,).
    """

    rows: Array
    weights: Array
    owner: Array

    @classmethod
    def build(cls, matrix: csr_array) -> _Chunks:
        """Deal the entries of every row of `matrix`, which owns them."""
        count = np.diff(matrix.indptr)
        slots = int(np.clip(np.ceil(count.mean()), 1, _MOST_SLOTS))
        if slots > _TOGETHER:
            slots += -slots % _TOGETHER
        chunks = np.maximum(-(-count // slots), 1)
        first = np.repeat((np.cumsum(chunks) - chunks) * slots - matrix.indptr[:-1], count)
        place = first + np.arange(matrix.nnz)
        shape = (int(chunks.sum()), slots)
        rows, weights = np.zeros(shape[0] * slots, np.uint32), np.zeros(shape[0] * slots)
        rows[place], weights[place] = matrix.indices, matrix.data
        owner = np.repeat(np.arange(len(count), dtype=np.uint32), chunks)
        rows, weights = (np.ascontiguousarray(dealt.reshape(shape).T) for dealt in (rows, weights))
        return cls(jax.device_put(rows), jax.device_put(weights), jax.device_put(owner))

    def sum(self, table: Array, n_owners: int) -> Array:
        """Weighted sums of rows of `table` by owner, shape (owners, columns)."""
        slots, n_chunks = self.rows.shape
        together = _TOGETHER if slots > _TOGETHER else slots

        def add(batch: Any, total: Array) -> Array:
            for slot in range(together):
                place = batch * together + slot
                total = total + self.weights[place][:, None] * table[self.rows[place]]
            return total

        start = jnp.zeros((n_chunks, table.shape[1]), table.dtype)
        sums = jax.lax.fori_loop(0, slots // together, add, start)
        if n_chunks == n_owners:
            return sums
        return jax.ops.segment_sum(sums, self.owner, n_owners, indices_are_sorted=True)


@final
@jax.tree_util.register_pytree_node_class
class GatherSum:
    """The linear map `out[s] = Σ_r weight[s, r] · table[r]` of a sparse matrix of weights, and its gradient.

    Two plans share one compiled program where their arrays have one shape.
    """

    def __init__(self, forward: _Chunks, backward: _Chunks, shape: tuple[int, int]) -> None:
        self.forward, self.backward, self.shape = forward, backward, shape

    @classmethod
    def build(cls, matrix: csr_array) -> GatherSum:
        """Plan the product with a matrix of weights, shape (owners, rows)."""
        shape = (int(matrix.shape[0]), int(matrix.shape[1]))
        return cls(_Chunks.build(matrix), _Chunks.build(csr_array(matrix.T.tocsr())), shape)

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(np.asarray(self.forward.weights).sum())

    def matrix(self) -> csr_array:
        """The matrix of weights, entries of weight zero left out."""
        weights = np.asarray(self.forward.weights).T
        chunk, slot = np.nonzero(weights)
        owner, row = np.asarray(self.forward.owner)[chunk], np.asarray(self.forward.rows).T[chunk, slot]
        return csr_array((weights[chunk, slot], (owner, row)), shape=self.shape)

    def __call__(self, table: Array) -> Array:
        """Sum rows of `table`, shape (rows, columns), to shape (owners, columns)."""
        return _apply(self, table)

    def tree_flatten(self) -> tuple[tuple[_Chunks, _Chunks], tuple[int, int]]:
        """Arrays as leaves, sizes as structure: tables of one shape share a compiled program."""
        return (self.forward, self.backward), self.shape

    @classmethod
    def tree_unflatten(cls, shape: tuple[int, int], leaves: tuple[_Chunks, _Chunks]) -> GatherSum:
        """Inverse of `tree_flatten`."""
        return cls(*leaves, shape)


@partial(jax.custom_vjp, nondiff_argnums=())
def _apply(plan: GatherSum, table: Array) -> Array:
    return plan.forward.sum(table, plan.shape[0])


def _forward(plan: GatherSum, table: Array) -> tuple[Array, GatherSum]:
    return plan.forward.sum(table, plan.shape[0]), plan


def _backward(plan: GatherSum, cotangent: Array) -> tuple[None, Array]:
    return None, plan.backward.sum(cotangent, plan.shape[1])


_apply.defvjp(_forward, _backward)
