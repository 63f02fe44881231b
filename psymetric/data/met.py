"""Who met whom: comparisons added up by the pair of items and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import totals

__all__ = ["Met"]

Codes = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Met:
    """The ordered pairs of items that were compared, by their codes; P pairs.

    Attributes:
        left: Items on the left, shape (P,), rising. right: Those on the right, rising under each left one.
        count: Weights of the comparisons that the left item won, the right item won, and neither, shape (P, 3).
    """

    left: Codes
    right: Codes
    count: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        left: NDArray[np.int32],
        right: NDArray[np.int32],
        outcome: NDArray[np.int32],
        weight: NDArray[np.float64],
        n_items: int,
    ) -> Self:
        """Add comparisons up; rows of weight 0 count for nothing."""
        pair = left.astype(np.int64)
        pair *= n_items
        pair += right
        pair *= 3
        pair += outcome
        cells, total = totals(pair, weight, 3 * n_items**2)
        owner = cells // 3
        is_new = np.diff(owner, prepend=-1) > 0
        count = np.zeros((int(is_new.sum()), 3))
        count[np.cumsum(is_new) - 1, cells % 3] = total
        return cls(owner[is_new] // n_items, owner[is_new] % n_items, count)
