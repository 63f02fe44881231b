"""Poisson numbers of many cells at once, by inverting their distribution functions in a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

__all__ = ["PoissonTable"]

_BITS = 12
"""The first bits of a random number say where in the distribution function to look."""
_TAIL = 2.0**-33
"""Less chance than the last bit of a random number has."""
_LARGEST = 300.0
"""Means above this have tables too large to be worth it."""


@final
@dataclass(frozen=True)
class PoissonTable:
    """Distribution functions of cells that share few distinct means; exact to 2⁻³² in every probability.

    Attributes:
        mean: Of every cell, shape (cells,).
        is_small: Cells whose mean has a table. distribution: Of these, the place of their distribution function.
        guide: The count of all random numbers with the same leading bits, or -1 less the least of several, shape
            (distributions × 2¹²,). last: Last random number of each count, shape (distributions × counts,). n_counts:
            Counts per distribution.
    """

    mean: NDArray[np.float64]
    is_small: NDArray[np.bool_]
    distribution: NDArray[np.int64]
    guide: NDArray[np.int16]
    last: NDArray[np.uint32]
    n_counts: int

    @classmethod
    def build(cls, mean: NDArray[np.float64]) -> Self:
        """The table of cells with these means, shape (cells,)."""
        is_small = mean <= _LARGEST
        values, distribution = np.unique(mean[is_small], return_inverse=True)
        n_counts = int(poisson.isf(_TAIL, values.max(initial=0.0))) + 2
        below: NDArray[np.float64] = np.asarray(poisson.cdf(np.arange(n_counts)[None], values[:, None]), np.float64)
        # What rounding leaves of the tail belongs to the last count.
        below[:, -1] = 1.0
        edges = np.arange(2**_BITS) / 2**_BITS
        last = np.maximum(np.ceil(below * 2.0**32) - 1, 0).astype(np.uint32)
        least = np.array([np.searchsorted(row, edges, side="right") for row in list(below)], np.int16)
        least = least.reshape(len(values), 2**_BITS)
        end = ((np.arange(2**_BITS) + 1) * 2 ** (32 - _BITS) - 1).astype(np.uint32)
        guide = np.where(np.take_along_axis(last, least, axis=1) < end, -1 - least, least)
        return cls(mean, is_small, distribution.astype(np.int64), guide.ravel(), last.ravel(), n_counts)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """One count per cell, shape (cells,)."""
        # Halves of 64-bit numbers, which cost half of 32-bit ones.
        n_cells = len(self.distribution)
        bits = rng.integers(0, 2**64, (n_cells + 1) // 2, dtype=np.uint64).view(np.uint32)[:n_cells]
        count = self.guide.take((self.distribution << _BITS) + (bits >> np.uint32(32 - _BITS)), mode="clip")
        behind = np.flatnonzero(count < 0)
        count[behind] = -1 - count[behind]
        while behind.size:
            behind = behind[bits[behind] > self.last[self.distribution[behind] * self.n_counts + count[behind]]]
            count[behind] += 1
        if self.is_small.all():
            return count.astype(np.float64)
        counts = rng.poisson(self.mean).astype(np.float64)
        counts[self.is_small] = count
        return counts
