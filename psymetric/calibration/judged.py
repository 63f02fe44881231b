"""What a map reads: the judge's scores or probabilities, whose label it is, and the label where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest, row_error
from psymetric.errors import DataError

__all__ = [
    "FLOOR",
    "Judged",
    "check_sums",
    "code_known",
    "log_shares",
    "number_columns",
    "refuse_constant",
    "values_of",
]

FLOOR = 1e-6
"""Least probability whose logarithm is taken: a judge that says 0 or 1 is not believed without end."""
_SUM_TOLERANCE = 1e-3
"""Printed probabilities sum to one within their rounding."""


@final
@dataclass(frozen=True)
class Judged:
    """Rows as a map reads them.

    Attributes:
        x: Scores, or log probabilities of the categories, shape (rows, columns).
        effect: Level of the effect of each row, -1 where it is none that the map knows, shape (rows,).
    """

    x: NDArray[np.float64]
    effect: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, keep: NDArray[np.bool_] | slice) -> Judged:
        """Some of the rows: a mask, or a range."""
        return Judged(self.x[keep], self.effect[keep])


def number_columns(frame: pd.DataFrame, columns: Sequence[str], *, who: str) -> NDArray[np.float64]:
    """The columns as finite numbers, shape (rows, columns).

    Raises:
        DataError: No such column; text, NaN or an infinity in it.
    """
    found: NDArray[np.float64] = np.empty((len(frame), len(columns)))
    for place, name in enumerate(columns):
        if name not in frame.columns:
            raise DataError(f"{who}: no column {name!r} of the judge; {nearest(name, frame.columns)}")
        found[:, place] = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = np.asarray(~np.isfinite(found[:, place]), np.bool_)
        if bad.any():
            fix = "leave out the rows in which the judge gave none, or say first what that is worth"
            what = f"column {name!r} of the judge holds no finite number"
            raise row_error(who, what, bad, frame[name][bad].head(100).tolist(), fix)
    return found


def check_sums(shares: NDArray[np.float64], columns: Sequence[str], *, who: str) -> None:
    """Refuse probabilities outside [0, 1], or which do not sum to one within .001; shape (rows, categories).

    Raises:
        DataError: So it is, in some rows.
    """
    outside = np.asarray(((shares < 0) | (shares > 1)).any(axis=1), np.bool_)
    if outside.any():
        fix = "give probabilities; for scores on another scale use method='ordinal' or 'isotonic'"
        what = f"{listing(columns)} hold numbers outside [0, 1]"
        raise row_error(who, what, outside, np.round(shares[outside][:100], 6).tolist(), fix)
    total = shares.sum(axis=1)
    off = np.asarray(np.abs(total - 1) > _SUM_TOLERANCE, np.bool_)
    if off.any():
        fix = "divide each row by its sum if what is missing is spread like the rest, or add the category it belongs to"
        what = f"probabilities in {listing(columns)} do not sum to one"
        raise row_error(who, what, off, np.round(total[off][:100], 6).tolist(), fix)


def log_shares(shares: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Log probabilities, none below 10⁻⁶, of rows that sum to one; and how many had to be raised to it."""
    raised = np.maximum(shares, FLOOR)
    return np.log(raised / raised.sum(axis=1, keepdims=True)), int(np.sum(shares < FLOOR))


def code_known(values: pd.Series[Any], levels: Iterable[Label]) -> NDArray[np.int32]:
    """Place of each value among the levels, -1 where it is none of them, shape (rows,)."""
    raw, found = pd.factorize(values)
    place = {level: index for index, level in enumerate(levels)}
    # A factorised missing value is -1, which reads the last entry.
    codes = np.array([*(place.get(label, -1) for label in list(found)), -1], np.int32)
    return codes[raw]


def values_of(categories: Sequence[Label]) -> NDArray[np.float64]:
    """What the categories count in an expectation: the numbers they are, texts 0…K−1, shape (categories,)."""
    if any(isinstance(category, str) for category in categories):
        return np.arange(len(categories), dtype=np.float64)
    return np.array(categories, np.float64)


def refuse_constant(x: NDArray[np.float64], columns: Sequence[str], *, who: str) -> None:
    """Refuse a judge who says the same of every row.

    Raises:
        DataError: A column of `x` that must vary does not.
    """
    flat = [name for name, low, high in zip(columns, x.min(axis=0), x.max(axis=0), strict=True) if low == high]
    if flat:
        raise DataError(
            f"{who}: {listing(flat)} of the judge {'is' if len(flat) == 1 else 'are'} the same in all "
            f"{counted(len(x), 'labelled row')}, first {x[0, list(columns).index(flat[0])]:g}: what does not vary says "
            "nothing of the label; leave it out, or label rows on which the judge differs."
        )
