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
        guide: Least count with each leading bits, shape (distributions × 2¹²,). last: Last random number of each count,
            shape (distributions × counts,). n_counts: Counts per distribution.
    """

    mean: NDArray[np.float64]
    is_small: NDArray[np.bool_]
    distribution: NDArray[np.int32]
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
        guide = np.array([np.searchsorted(row, edges, side="right") for row in list(below)], np.int16)
        last = np.maximum(np.ceil(below * 2.0**32) - 1, 0).astype(np.uint32)
        return cls(mean, is_small, distribution.astype(np.int32), guide.ravel(), last.ravel(), n_counts)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """One count per cell, shape (cells,)."""
        bits = rng.integers(0, 2**32, len(self.distribution), dtype=np.uint32)
        count = self.guide[(self.distribution << _BITS) + (bits >> np.uint32(32 - _BITS)).view(np.int32)]
        first = self.distribution * np.int32(self.n_counts)
        behind = np.flatnonzero(bits > self.last[first + count])
        while behind.size:
            count[behind] += 1
            behind = behind[bits[behind] > self.last[first[behind] + count[behind]]]
        if self.is_small.all():
            return count.astype(np.float64)
        counts = rng.poisson(self.mean).astype(np.float64)
        counts[self.is_small] = count
        return counts
