"""Which rows hold no response, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.messages import listing, row_error
from psymetric.data.nonresponse import NonResponse

__all__ = ["answered_rows", "read_reasons"]


def answered_rows(values: pd.Series[Any]) -> NDArray[np.bool_]:
    """Mask of the rows that hold anything but a missing value or blank text."""
    present = values.notna().to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return present
    distinct = [value for value in values[present].unique() if isinstance(value, str) and not value.strip()]
    return present & ~values.isin(distinct).to_numpy(dtype=bool) if distinct else present


def read_reasons(
    values: pd.Series[Any] | None, answered: NDArray[np.bool_], *, who: str, column: str, response: str
) -> NDArray[np.object_]:
    """The reason of each row without a response, in row order, shape (unanswered,).

    A row without a response and without a reason is `missing`.

    Args:
        values: Names of `NonResponse` values, empty where there is a response; None when the source has no such column.
        answered: Mask of the rows that hold a response.
        who: The table being built, for messages.
        column: The user's name of the reason column.
        response: The user's name of the response column.

    Raises:
        DataError: A reason is unknown, or stands beside a response.
    """
    if values is None:
        return np.full(int((~answered).sum()), NonResponse.missing.value, dtype=object)
    given = answered_rows(values)
    known = [reason.value for reason in NonResponse]
    odd = given & ~values.isin(known).to_numpy(dtype=bool)
    if odd.any():
        fix = f"use one of {listing(known, shown=len(known))} and leave it empty where there is a response"
        raise row_error(who, f"unknown reasons in column {column!r}", odd, values[odd].head(1000).tolist(), fix)
    both = given & answered
    if both.any():
        what = f"a response in {response!r} and a reason for having none in {column!r}"
        raise row_error(who, what, both, values[both].head(1000).tolist(), "empty one of the two in these rows")
    reasons = np.full(answered.size, NonResponse.missing.value, dtype=object)
    reasons[given] = values[given].astype(object).to_numpy()
    return reasons[~answered]
