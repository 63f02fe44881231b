"""Turning answers round where an item is keyed against its trait."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psymetric.errors import DataError

__all__ = ["recode"]


def recode(category: ArrayLike, key: ArrayLike, n: int) -> NDArray[np.int64]:
    """Category codes in the direction of the trait: k where the key is 1, n - 1 - k where it is -1.

    Args:
        category: Codes 0..n-1, any shape. Missing answers are not codes: leave them out.
        key: 1 or -1, broadcast against `category`.
        n: Number of categories.

    Returns:
        Codes 0..n-1, shape of the broadcast.

    Raises:
        DataError: A code outside 0..n-1, not whole, or missing; a key other than 1 and -1.
    """
    codes, keys = np.broadcast_arrays(np.asarray(category), np.asarray(key))
    legal = np.isin(codes, np.arange(n))
    if not legal.all():
        first = int(np.flatnonzero(~legal.ravel())[0])
        got = codes.ravel()[first]
        raise DataError(
            f"recode: {int((~legal).sum())} of {codes.size} codes are not in 0..{n - 1}, first at position {first} "
            f"({got}); leave missing answers out"
        )
    if not np.isin(keys, (1, -1)).all():
        raise DataError(f"recode: keys must be 1 or -1, got {sorted(set(np.unique(keys).tolist()) - {1, -1})}")
    whole = codes.astype(np.int64)
    return np.where(keys == 1, whole, n - 1 - whole)
