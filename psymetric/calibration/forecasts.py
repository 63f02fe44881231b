"""Probabilities beside what came true: of the categories, and of every event "at least this category"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from psymetric.calibration.calibration_map import CalibrationMap
from psymetric.calibration.judged import check_sums, number_columns
from psymetric.data.categories import check_categories, code_responses
from psymetric.data.coding import Label, code_labels
from psymetric.data.columns import native_frame
from psymetric.data.messages import counted, listing, nearest
from psymetric.data.missing import answered_rows
from psymetric.errors import DataError

__all__ = ["Event", "Forecasts", "events", "read_forecasts"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Forecasts:
    """Labelled rows with the probability of every category.

    Attributes:
        shares: Probabilities, rows summing to one, shape (rows, categories).
        codes: What came true, 0…K−1, shape (rows,).
        group: Rows of one group are not independent; codes 0…G−1, shape (rows,).
        categories: From low to high.
        notes: What was left out, as sentences.
    """

    shares: Array
    codes: NDArray[np.int32]
    group: NDArray[np.int32]
    categories: tuple[Label, ...]
    notes: tuple[str, ...]


@final
@dataclass(frozen=True)
class Event:
    """Something that happens or does not.

    Attributes:
        name: `≥ category`.
        forecast: Its probability in each row, in [0, 1], shape (rows,).
        happened: 1 where it did, else 0, shape (rows,).
    """

    name: str
    forecast: Array
    happened: Array


def events(found: Forecasts) -> list[Event]:
    """The K − 1 events "at least this category"; of two categories, that the label is the higher one."""
    # From above, so that a sum of all categories is never taken.
    reached = np.cumsum(found.shares[:, ::-1], axis=1)[:, ::-1]
    return [
        Event(
            f"≥ {name}" if len(found.categories) > 2 else str(name),
            np.clip(reached[:, k], 0.0, 1.0),
            (found.codes >= k).astype(np.float64),
        )
        for k, name in list(enumerate(found.categories))[1:]
    ]


def read_forecasts(
    source: CalibrationMap | Any,
    *,
    label: str | None,
    probabilities: str | Sequence[str] | None,
    categories: Sequence[Label] | None,
    group: str | None,
    who: str,
) -> Forecasts:
    """The out-of-fold predictions of a map, or columns of a frame; rows without a label are left out, with a note.

    Raises:
        DataError: Columns named beside a map, or not named beside a frame; an unknown column; NaN; probabilities
            outside [0, 1] or that do not sum to one within .001; labels outside the categories, or of one category
            where none are listed.
    """
    if isinstance(source, CalibrationMap):
        if not (label is None and probabilities is None and categories is None and group is None):
            raise DataError(f"{who}: a map has its own labels and predictions; name columns beside a frame only.")
        found = source.out_of_fold
        shares = found[source.probability_columns].to_numpy(np.float64)
        place = {name: code for code, name in enumerate(source.categories)}
        codes = np.array([place[name] for name in found["label"]], np.int32)
        group_codes, _ = code_labels(found["group"], who=who, column="group")
        return Forecasts(shares, codes, group_codes, source.categories, ())
    if label is None or probabilities is None:
        raise DataError(f"{who}: name the columns of a frame: label= and probabilities=.")
    frame = native_frame(source, who=who)
    for role, name in (("label", label), ("group", group)):
        if name is not None and name not in frame.columns:
            raise DataError(f"{who}: no column {name!r} (named as {role}); {nearest(name, frame.columns)}")
    labelled = answered_rows(frame[label])
    # Truth values and one-category samples are read when the categories are known.
    names = None if categories is None else check_categories(categories, who=who)
    codes, names, notes = code_responses(frame[label], labelled, categories=names, who=who, column=label)
    rows = frame[labelled]
    columns = (probabilities,) if isinstance(probabilities, str) else tuple(probabilities)
    shares = number_columns(rows, columns, who=who)
    if len(columns) == 1 and len(names) == 2:
        shares = np.column_stack([1 - shares[:, 0], shares[:, 0]])
    if shares.shape[1] != len(names):
        raise DataError(
            f"{who}: {counted(len(columns), 'column')} of probabilities {listing(columns)} for "
            f"{counted(len(names), 'category', 'categories')} {listing(names, shown=12)}; name one for each, in their "
            "order, or list the categories in categories=."
        )
    check_sums(shares, columns, who=who)
    left_out = int((~labelled).sum())
    notes = (*notes, *((f"{counted(left_out, 'row')} without a label left out",) if left_out else ()))
    code = np.arange(len(rows), dtype=np.int32) if group is None else code_labels(rows[group], who=who, column=group)[0]
    return Forecasts(shares / shares.sum(axis=1, keepdims=True), codes, code, names, notes)
