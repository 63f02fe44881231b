"""Distinct values of bounded whole numbers, and of their combinations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["combined", "distinct", "distinct_places", "factorized", "totals"]

_LARGEST_KEY = 2**62
_SPARE = 8
"""A table of flags may have this many places for each key: filling it then costs less than sorting the keys."""


def distinct(keys: NDArray[np.integer[Any]], bound: int) -> NDArray[np.int64]:
    """Sorted distinct keys, as `np.unique` finds them but mostly without a sort.

    Args:
        keys: Whole numbers from 0 to `bound` - 1, shape (keys,).
        bound: Above the largest key.
    """
    if bound > _SPARE * len(keys):
        return np.unique(keys).astype(np.int64)
    return np.flatnonzero(_flags(keys, bound))


def factorized(keys: NDArray[np.integer[Any]], bound: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted distinct keys, and the place of every key among them; arguments as for `distinct`."""
    if bound > _SPARE * len(keys):
        found, place = np.unique(keys, return_inverse=True)
        return found.astype(np.int64), place.reshape(-1).astype(np.int64)
    present = _flags(keys, bound)
    return np.flatnonzero(present), (np.cumsum(present) - 1)[keys]


def distinct_places(columns: Sequence[NDArray[np.integer[Any]]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row of each distinct combination of codes, in the order of the codes, and the combination of every row."""
    flat, bound = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        size = int(column.max(initial=0)) + 1
        if bound * size > _LARGEST_KEY:
            # Renumbered, so that the product of many levels cannot overflow.
            kept, flat = factorized(flat, bound)
            bound = len(kept)
        flat, bound = flat * size + column, bound * size
    keys, place = factorized(flat, bound)
    first = np.zeros(len(keys), np.int64)
    first[place[::-1]] = np.arange(len(place) - 1, -1, -1)
    return first, place


def combined(columns: Sequence[NDArray[np.integer[Any]]]) -> NDArray[np.int64]:
    """Number of the combination of codes in each row, in the order of the codes and without gaps, shape (rows,)."""
    return distinct_places(columns)[1]


def totals(
    keys: NDArray[np.integer[Any]], weight: NDArray[np.float64], bound: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sorted distinct keys, and the sum of the weights of each; those that sum to zero are left out.

    `weight` is 0 or more, shape (keys,); the other arguments are as for `distinct`.
    """
    if bound > _SPARE * len(keys):
        found, place = np.unique(keys, return_inverse=True)
        total = np.bincount(place.reshape(-1), weight).astype(np.float64)
        return found[total > 0].astype(np.int64), total[total > 0]
    total = np.bincount(keys, weight, bound).astype(np.float64)
    found = np.flatnonzero(total)
    return found, total[found]


def _flags(keys: NDArray[np.integer[Any]], bound: int) -> NDArray[np.bool_]:
    present = np.zeros(bound, bool)
    present[keys] = True
    return present
