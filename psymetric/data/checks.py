"""What must hold for a table however it was built: shapes, ranges, names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from psymetric.data.coding import kinds_of
from psymetric.data.messages import listing, row_error
from psymetric.data.nonresponse import NonResponse
from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.data.table import CodedTable

__all__ = ["check_table", "freeze"]


def freeze(values: Any, dtype: DTypeLike) -> NDArray[Any]:
    """The values as a contiguous array that cannot be written to; a caller's own array stays writable."""
    array = np.ascontiguousarray(values)
    if array.dtype != dtype:
        if not np.can_cast(array.dtype, dtype, casting="same_kind") and array.size:
            raise DataError(
                f"expected numbers of type {np.dtype(dtype)}, got {array.dtype}; use from_frame to code labels."
            )
        array = array.astype(dtype)
    if array.flags.writeable:
        array = array.copy() if array is values or array.base is not None else array
        array.flags.writeable = False
    return array


def check_table(table: CodedTable) -> None:
    """Refuse a table whose parts contradict one another.

    Raises:
        DataError: Codes outside their levels, arrays of different lengths, weights that are not finite and 0 or more,
            levels that repeat, missing rows without their columns.
    """
    who = type(table).__name__
    fix = "use from_frame to code labels"
    for name in table.required:
        if name not in table.codes:
            raise DataError(f"{who}: no codes for {name!r}, got {listing(table.codes)}; {fix}.")
    if not table.n_rows:
        raise DataError(f"{who}: no rows with a response; {fix}.")
    if {table.level_of(code) for code in table.codes} != set(table.levels):
        raise DataError(f"{who}: codes {listing(table.codes)} and levels {listing(table.levels)} do not match; {fix}.")
    for facet, labels in table.levels.items():
        if len(set(labels)) < len(labels) or len(kinds_of(labels)) != 1:
            raise DataError(f"{who}: levels of {facet!r} repeat or mix types, got {listing(labels)}; {fix}.")
    for name, code in table.codes.items():
        _check_codes(code, len(table.levels[table.level_of(name)]), table.n_rows, who=who, what=f"codes of {name!r}")
    _check_codes(table.response, table.n_categories, table.n_rows, who=who, what="responses")
    if table.weight.shape != (table.n_rows,):
        raise DataError(f"{who}: weight has shape {table.weight.shape}, the table {table.n_rows} rows; {fix}.")
    bad = ~(np.isfinite(table.weight) & (table.weight >= 0))
    if bad.any():
        raise row_error(who, "weights must be finite and 0 or more", bad, table.weight[bad].tolist(), fix)
    if table.dimension is not None and table.dimension not in table.codes:
        raise DataError(f"{who}: dimension {table.dimension!r} has no codes, got {listing(table.codes)}; {fix}.")
    _check_missing(table.missing, [*table.codes, "reason"], who=who)


def _check_codes(codes: NDArray[np.int32], n_levels: int, n_rows: int, *, who: str, what: str) -> None:
    """Codes are one per row and inside [0, n_levels)."""
    if codes.shape != (n_rows,):
        raise DataError(f"{who}: {what} have shape {codes.shape}, the table {n_rows} rows; give one code per row.")
    if codes.min() < 0 or codes.max() >= n_levels:
        bad = (codes < 0) | (codes >= n_levels)
        raise row_error(
            who, f"{what} lie outside [0, {n_levels})", bad, codes[bad].tolist(), "use from_frame to code labels"
        )


def _check_missing(missing: pd.DataFrame, names: list[str], *, who: str) -> None:
    """The frame of non-responses has the table's columns and known reasons."""
    if set(missing.columns) != set(names):
        raise DataError(f"{who}: missing has columns {listing(missing.columns)}; it needs {listing(names, shown=12)}.")
    if missing.empty:
        return
    odd = sorted(set(missing["reason"].unique().tolist()) - set(NonResponse), key=str)
    if odd:
        known = listing([reason.value for reason in NonResponse], shown=len(NonResponse))
        raise DataError(f"{who}: missing holds unknown reasons {listing(odd)}; use one of {known}.")
