"""The door: any frame in, the named columns out as pandas under their canonical names, each checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.messages import listing, nearest, row_error
from psymetric.errors import DataError

__all__ = ["RESERVED", "code_weights", "facet_names", "native_frame", "pick_columns"]

RESERVED = frozenset(
    {
        *("subject", "item", "left", "right", "response", "weight", "reason", "outcome", "comparison"),
        *("step", "ability", "worth", "tie", "estimate", "population_mean", "population_sd"),
    }
)
"""Names that tables, parameters and results use themselves, so that no further facet may carry them."""


def facet_names(facets: str | Sequence[str], *, who: str) -> tuple[str, ...]:
    """The further facets as a tuple of names, checked.

    Raises:
        DataError: A name is reserved, repeated, no text, or holds a colon (which names interactions).
    """
    names = (facets,) if isinstance(facets, str) else tuple(facets)
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError(f"{who}: facets= holds {name!r}; name each facet by its column, a text.")
        if name in RESERVED:
            raise DataError(
                f"{who}: facet {name!r} carries a name that tables and results use themselves; "
                f"pass it by its own keyword if it is one, or rename the column, e.g. {name + '_facet'!r}."
            )
        if ":" in name:
            raise DataError(f"{who}: facet {name!r} holds ':', which names interactions; rename the column.")
        if name in names[:place]:
            raise DataError(f"{who}: facet {name!r} is named twice in facets=; name it once.")
    return names


def pick_columns(frame: Any, roles: Mapping[str, str], *, who: str) -> pd.DataFrame:
    """The columns that have a role, as pandas, under their canonical names.

    Args:
        frame: A pandas, Polars or Arrow table, or anything else narwhals reads.
        roles: Canonical name -> the user's column name.
        who: The table being built, for messages.

    Raises:
        DataError: Not a frame, no rows, a column that is unknown, occurs twice or has two roles.
    """
    native = _eager(frame, who=who)
    _check_roles(list(native.columns), roles, native, who=who)
    picked = native.select(list(roles.values())).to_pandas()
    picked = picked.set_axis(list(roles), axis="columns").reset_index(drop=True)
    if picked.empty:
        raise DataError(f"{who}: the frame has columns {listing(native.columns)} and no rows; give at least one row.")
    for role, column in roles.items():
        _refuse_objects(picked[role], who=who, column=column)
    return picked


def native_frame(frame: Any, *, who: str) -> pd.DataFrame:
    """The whole frame as pandas, whatever narwhals reads; a pandas frame keeps its index.

    Raises:
        DataError: Not a frame, no rows, or two columns of one name.
    """
    found = _eager(frame, who=who).to_pandas()
    if found.empty and not len(found):
        raise DataError(f"{who}: the frame has columns {listing(found.columns)} and no rows; give at least one row.")
    return found


def _refuse_objects(values: pd.Series[Any], *, who: str, column: str) -> None:
    """Cells that hold lists or dictionaries are several values, not one."""
    if values.dtype != object:
        return
    try:
        pd.unique(values)
    except TypeError:
        bad = values.map(lambda value: isinstance(value, (list, dict, set, np.ndarray))).to_numpy(dtype=bool)
        what = f"column {column!r} holds lists or objects"
        raise row_error(who, what, bad, values[bad].tolist(), "give one text or number per cell") from None


def _eager(frame: Any, *, who: str) -> nw.DataFrame[Any]:
    """The frame behind narwhals, collected when lazy."""
    if isinstance(frame, pd.DataFrame) and not frame.columns.is_unique:
        twice = list(frame.columns[frame.columns.duplicated()])
        raise DataError(f"{who}: the frame has two columns of one name, {listing(twice)}; rename or drop one.")
    try:
        wrapped = nw.from_native(frame)
    except TypeError:
        raise DataError(
            f"{who}: expected a pandas, Polars or Arrow table, got {type(frame).__name__}; "
            "build one first, e.g. pandas.DataFrame(rows)."
        ) from None
    return wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped


def _check_roles(columns: list[str], roles: Mapping[str, str], frame: nw.DataFrame[Any], *, who: str) -> None:
    """Every role names one known column of its own."""
    used: dict[str, str] = {}
    for role, column in roles.items():
        if column not in columns:
            native = frame.to_native()
            if isinstance(native, pd.DataFrame) and column in filter(None, native.index.names):
                raise DataError(f"{who}: {role} is {column!r}, the index of the frame; call df.reset_index() first.")
            raise DataError(f"{who}: no column {column!r} (named as {role}); {nearest(column, columns)}")
        if column in used:
            pair = " and as ".join("a facet" if name == column else name for name in (used[column], role))
            raise DataError(
                f"{who}: column {column!r} is used twice, as {pair}; "
                "give each role a column of its own, or leave one out."
            )
        used[column] = role


def code_weights(
    values: pd.Series[Any] | None, rows: NDArray[np.bool_], *, who: str, column: str
) -> NDArray[np.float64]:
    """Weights of the observed rows, shape (observed,); all 1 without a column.

    Args:
        values: How often each row happened, or None.
        rows: Mask of the observed rows; the weights of others are not read.
        who: The table being built, for messages.
        column: The user's name of the column, for messages.

    Raises:
        DataError: A weight is text, NaN, infinite or negative, or all are zero.
    """
    if values is None:
        return np.ones(int(rows.sum()), dtype=np.float64)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = rows & ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        fix = "a weight says how often a row counts: give a finite number, 0 or more, in every row"
        what = f"weights in column {column!r} are missing, negative, infinite or text"
        raise row_error(who, what, bad, values[bad].head(100).tolist(), fix)
    weight = np.ascontiguousarray(numbers[rows])
    if not weight.any():
        raise DataError(f"{who}: every weight in column {column!r} is 0, so no row counts; give a positive weight.")
    return weight
