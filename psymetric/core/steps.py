"""Maps to steps and thresholds between categories, where not every group uses all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = ["UNUSED", "Ordered", "Steps"]

Shape = tuple[int, int]

UNUSED = 1e4
"""Logits by which an unused category is pushed out of reach: exp(-1e4) is zero, 1e4 is finite."""


@final
@partial(jax.tree_util.register_dataclass, data_fields=["finite", "gaps", "beyond"], meta_fields=["shape"])
@dataclass(frozen=True)
class Ordered:
    """Rows of rising numbers that sum to zero: logs of their gaps free.

    Categories that a group never used lie at an end of its scale; the thresholds into them are out of reach.

    Attributes:
        shape: (groups, steps).
        finite: One at thresholds between used categories, else zero, shape `shape`.
        gaps: Places of the free gaps in the flattened array of gaps, shape (free,).
        beyond: ±UNUSED, rising, at the other thresholds, else zero, shape `shape`.
    """

    shape: Shape
    finite: Array
    gaps: Array
    beyond: Array

    @classmethod
    def build(cls, used: NDArray[np.bool_]) -> Ordered:
        """From a mask of used categories, contiguous in every group, shape (groups, categories)."""
        place = np.arange(used.shape[1] - 1)
        first, last = used.argmax(axis=1)[:, None], used.shape[1] - 1 - used[:, ::-1].argmax(axis=1)[:, None]
        finite = (place >= first) & (place < last)
        beyond = UNUSED * (np.minimum(place - first, 0) + np.maximum(place - last + 1, 0))
        gaps = np.flatnonzero(finite[:, 1:] & finite[:, :-1])
        return cls(
            finite.shape,
            jax.device_put(finite.astype(np.float64)),
            jax.device_put(gaps.astype(np.int32)),
            jax.device_put(beyond),
        )

    @property
    def size(self) -> int:
        return self.gaps.shape[0]

    def forward(self, free: Array) -> Array:
        groups, steps = self.shape
        gaps = jnp.zeros(groups * (steps - 1)).at[self.gaps].set(jnp.exp(free)).reshape(groups, steps - 1)
        rising = jnp.pad(jnp.cumsum(gaps, axis=1), ((0, 0), (1, 0)))
        mean = jnp.sum(self.finite * rising, axis=1, keepdims=True) / jnp.sum(self.finite, axis=1, keepdims=True)
        return self.finite * (rising - mean) + self.beyond

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(np.diff(value, axis=1).ravel()[np.asarray(self.gaps)])

    def log_jacobian(self, free: Array) -> Array:
        return jnp.sum(free)


@final
@partial(jax.tree_util.register_dataclass, data_fields=["bases", "groups", "offset"], meta_fields=["shape"])
@dataclass(frozen=True)
class Steps:
    """Step parameters that sum to zero over the categories each group uses.

    Groups (rows) with the same set of used categories share one orthonormal basis. A category that nobody in the
    group used is out of reach: the step into it is +UNUSED and the step out of it -UNUSED, so that the likelihood
    needs no mask and the scores of the remaining categories keep their place on the scale.

    Attributes:
        shape: (groups, categories - 1).
        bases: One matrix per pattern, shape (categories - 1, free).
        groups: The rows of each pattern.
        offset: Shape `shape`; ±UNUSED at unused categories, else zero.
    """

    shape: Shape
    bases: tuple[Array, ...]
    groups: tuple[Array, ...]
    offset: Array

    @classmethod
    def build(cls, used: NDArray[np.bool_]) -> Steps:
        """From a mask of used categories, shape (groups, categories)."""
        patterns, which = np.unique(used, axis=0, return_inverse=True)
        which = which.reshape(-1)
        bases, groups = [], []
        for index, pattern in enumerate(patterns):
            bases.append(jax.device_put(_step_basis(pattern)))
            groups.append(jax.device_put(np.flatnonzero(which == index).astype(np.int32)))
        # Cumulated steps carry one or two UNUSED at an unused category, in turn, so that no step that joins one looks
        # like an estimate, and nothing at a used one.
        cumulated = np.where(used, 0.0, UNUSED * (1 + np.arange(used.shape[1]) % 2))
        return cls(
            (len(used), used.shape[1] - 1), tuple(bases), tuple(groups), jax.device_put(np.diff(cumulated, axis=1))
        )

    @property
    def size(self) -> int:
        return sum(basis.shape[1] * len(rows) for basis, rows in zip(self.bases, self.groups, strict=True))

    def forward(self, free: Array) -> Array:
        if len(self.bases) == 1:  # of all rows, in their order
            return self.offset + free.reshape(self.shape[0], self.bases[0].shape[1]) @ self.bases[0].T
        value, start = self.offset, 0
        for basis, rows in zip(self.bases, self.groups, strict=True):
            width = basis.shape[1]
            block = free[start : start + width * len(rows)].reshape(len(rows), width)
            value = value.at[rows].add(block @ basis.T)
            start += width * len(rows)
        return value

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = value - np.asarray(self.offset)
        blocks = [centred[np.asarray(g)] @ np.asarray(b) for b, g in zip(self.bases, self.groups, strict=True)]
        return np.concatenate([block.ravel() for block in blocks])

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


def _step_basis(used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Orthonormal directions of the steps between used categories that sum to zero, shape (categories - 1, free).

    A step over unused categories is one jump, spread evenly over the steps it spans.
    """
    places = np.flatnonzero(used)
    jumps = np.zeros((len(used) - 1, max(len(places) - 1, 0)))
    for column, (low, high) in enumerate(pairwise(places)):
        jumps[low:high, column] = 1.0 / (high - low)
    if jumps.shape[1] < 2:
        return jumps[:, :0]
    contrast = np.linalg.svd(np.ones((1, jumps.shape[1])))[2][1:].T
    return np.linalg.qr(jumps @ contrast)[0]
