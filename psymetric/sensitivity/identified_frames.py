"""Ranges of means and differences as frames, and in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label

__all__ = ["range_frames", "sentences"]

Numbers = NDArray[np.float64]

_ZERO = 1e-6
"""Of the range of values: differences under it are none."""


def range_frames(
    attained: Numbers, bound: Numbers, candidates: Sequence[Label], scores: Numbers
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frames `means` and `differences` of an `IdentifiedSet`.

    Args:
        attained: Lower and upper ends that worlds reach, of every mean and then of every pair's difference, as shares
            of the range of scores (means from the lowest), shape (targets, 2).
        bound: Ends that no world exceeds, same shape.
        candidates: Names.
        scores: Of the true levels, ascending.
    """
    wide, n = float(np.ptp(scores)), len(candidates)
    numbers = np.column_stack([attained, bound]) * wide
    numbers[:n] += scores[0]
    # An end that is attained up to rounding must not lie beyond the one that nothing exceeds.
    numbers[:, 2], numbers[:, 3] = np.minimum(numbers[:, 2], numbers[:, 0]), np.maximum(numbers[:, 3], numbers[:, 1])
    columns = ["lower", "upper", "lower_outer", "upper_outer"]
    frames = [pd.DataFrame(part, columns=columns) for part in (numbers[:n], numbers[n:])]
    frames[0].insert(0, "candidate", list(candidates))
    pairs = list(combinations(candidates, 2))
    frames[1].insert(0, "first", [pair[0] for pair in pairs])
    frames[1].insert(1, "second", [pair[1] for pair in pairs])
    fixed = numbers[:, 3] - numbers[:, 2] <= _ZERO * wide
    frames[0]["identified"] = np.where(
        fixed[:n], "point", np.where(numbers[:n, 1] - numbers[:n, 0] > _ZERO * wide, "no", "undecided")
    )
    found = [_status(row, zero=_ZERO * wide) for row in numbers[n:].tolist()]
    frames[1]["identified"] = [each[0] for each in found]
    frames[1]["order"] = [each[1] for each in found]
    return frames[0], frames[1]


def _status(row: list[float], *, zero: float) -> tuple[str, str]:
    """What is identified of a difference, and the order in words."""
    lower, upper, lower_outer, upper_outer = row
    if lower_outer > zero or upper_outer < -zero:
        kind = "point" if upper_outer - lower_outer <= zero else "sign"
        return kind, "first above" if lower_outer > zero else "second above"
    if max(-lower_outer, upper_outer) <= zero:
        return "point", "equal"
    if lower < -zero and upper > zero:
        return "no", "either"
    if lower_outer >= -zero or upper_outer <= zero:
        return "weak", "first not below" if lower_outer >= -zero else "second not below"
    return "undecided", "undecided"


def sentences(differences: pd.DataFrame, method: str) -> list[str]:
    """One sentence in plain words for each row of `differences`."""
    return [
        _sentence({str(name): value for name, value in row.items()}, method) for row in differences.to_dict("records")
    ]


def _sentence(row: dict[str, Any], method: str) -> str:
    first, second, order = row["first"], row["second"], row["order"]
    lower, upper = float(row["lower"]), float(row["upper"])
    low, high = float(row["lower_outer"]), float(row["upper_outer"])
    more = ", or beyond" if method == "inner" else ""
    spread = f"as low as {lower:+.2f} and as high as {upper:+.2f}{more}"
    if row["identified"] == "no":
        return f"{first} and {second} are not identified: with what is observed the mean difference can be {spread}."
    if row["identified"] == "point":
        return f"{first} and {second}: the mean difference is identified, {lower:+.2f}."
    if row["identified"] == "undecided":
        return (
            f"{first} and {second}: the search left the order open; the mean difference can be {spread}, and is "
            f"between {low:+.2f} and {high:+.2f}."
        )
    words = {
        "first above": f"{first} is above {second}",
        "second above": f"{second} is above {first}",
        "first not below": f"{first} is not below {second}",
        "second not below": f"{second} is not below {first}",
    }[str(order)]
    return f"{words} whatever the judges are: the mean difference is between {low:+.2f} and {high:+.2f}."
