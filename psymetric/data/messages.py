"""How a data error is worded: who, what, where (counts and first row), got, fix."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psymetric.errors import DataError

__all__ = ["counted", "listing", "nearest", "row_error"]

_SHOWN = 6


def listing(values: Iterable[object], shown: int = _SHOWN) -> str:
    """The first values as a list, with how many were left out: `['a', 'b', … 4 more]`."""
    rest = list(values)
    text = ", ".join(repr(value) for value in rest[:shown])
    return f"[{text}, … {len(rest) - shown} more]" if len(rest) > shown else f"[{text}]"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `12 rows`, `1,200 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def nearest(name: object, options: Iterable[object]) -> str:
    """`did you mean 'rating'?`, or the options when none is near."""
    known = [str(option) for option in options]
    folded = {option.casefold(): option for option in reversed(known)}
    close = get_close_matches(str(name).casefold(), list(folded), n=1)
    return f"did you mean {folded[close[0]]!r}?" if close else f"there are {listing(known, shown=12)}"


def row_error(who: str, what: str, bad: NDArray[np.bool_], got: Iterable[Any], fix: str) -> DataError:
    """An error about some rows. `bad` is a mask over the rows of the source, `got` the offending values, in any order.

    Rows are counted from 0, as `df.iloc` does. Only the first 1000 values are looked at.
    """
    first = int(np.argmax(bad))
    values = list({repr(value): value for value in islice(got, 1000)}.values())
    shown = f"; got {listing(values)}" if values else ""
    where = f"{int(bad.sum()):,} of {counted(bad.size, 'row')}, first at row {first} counting from 0"
    return DataError(f"{who}: {what} ({where}){shown}; {fix}.")
