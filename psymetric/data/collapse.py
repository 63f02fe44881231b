"""Merging neighbouring categories, and leaving out those nobody used: only ever on request, and noted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import listing, nearest
from psymetric.errors import DataError

__all__ = ["merged_codes", "used_codes"]

Codes = NDArray[np.int32]


def merged_codes(categories: tuple[Label, ...], merge: Mapping[Label, Label], *, who: str) -> Codes:
    """The category that each becomes, as codes into the same categories, shape (K,).

    Args:
        categories: Labels from low to high.
        merge: Category -> the category it becomes part of.
        who: The table, for messages.

    Raises:
        DataError: An unknown category, one that goes into another that is itself merged, categories merged across one
            that stays, or a single category left.
    """
    if not merge:
        raise DataError(f"{who}: merge={{}} names no category; write {{category: the one it becomes part of}}.")
    place = {label: code for code, label in enumerate(categories)}
    for label in (*merge, *merge.values()):
        if label not in place:
            raise DataError(f"{who}: no category {label!r}; {nearest(label, categories)}.")
    for label, into in merge.items():
        if into in merge and merge[into] != into:
            raise DataError(
                f"{who}: {label!r} becomes part of {into!r}, which itself becomes part of {merge[into]!r}; name the "
                "last one for both."
            )
    becomes = np.array([place[merge.get(label, label)] for label in categories], np.int32)
    if np.any(wrong := np.diff(becomes) < 0):
        first = int(np.argmax(wrong))
        raise DataError(
            f"{who}: merge={dict(merge)} puts {categories[first]!r} above {categories[first + 1]!r}, which is above "
            "it; merge neighbours only."
        )
    if becomes[0] == becomes[-1]:
        raise DataError(
            f"{who}: merge={dict(merge)} leaves one category, {categories[becomes[0]]!r}; keep two or more."
        )
    return becomes


def used_codes(
    response: Codes, weight: NDArray[np.float64], categories: tuple[Label, ...], *, who: str
) -> tuple[Codes, tuple[Label, ...]]:
    """Codes that count only the categories some response uses, -1 for the others, and their labels.

    Raises:
        DataError: All responses are in one category.
    """
    used = np.bincount(response, weights=weight, minlength=len(categories)) > 0
    kept = tuple(label for label, is_used in zip(categories, used.tolist(), strict=True) if is_used)
    if len(kept) < 2:
        raise DataError(f"{who}: the responses use {listing(kept)} alone, and a scale has two categories or more.")
    return np.where(used, np.cumsum(used) - 1, -1).astype(np.int32), kept
