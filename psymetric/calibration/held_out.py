"""Labelled rows of groups that a map has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from psymetric.calibration.calibration_map import CalibrationMap
from psymetric.data.categories import code_responses
from psymetric.data.coding import code_labels
from psymetric.data.columns import native_frame
from psymetric.data.messages import nearest, row_error
from psymetric.data.missing import answered_rows
from psymetric.errors import DataError

__all__ = ["HeldOut", "read_held_out"]


@final
@dataclass(frozen=True)
class HeldOut:
    """Labelled rows that a map has not seen.

    Attributes:
        shares: Probabilities by the map, shape (rows, categories). codes: Label, 0…K−1, shape (rows,). group: Codes
            0…G−1, shape (rows,).
    """

    shares: NDArray[np.float64]
    codes: NDArray[np.int32]
    group: NDArray[np.int32]


def read_held_out(calibration: CalibrationMap, frame: Any, *, who: str) -> HeldOut:
    """The labelled rows of a frame, by the map; rows without a label are left out.

    Raises:
        DataError: An unknown column, a label outside the map's categories, no label, or a group the map has seen.
    """
    rows = native_frame(frame, who=who)
    for role, name in (("label", calibration.label), ("group", calibration.group)):
        if name is not None and name not in rows.columns:
            raise DataError(
                f"{who}: labelled= has no column {name!r} (the map's {role}); {nearest(name, rows.columns)}"
            )
    answered = answered_rows(rows[calibration.label])
    codes, _, _ = code_responses(
        rows[calibration.label], answered, categories=calibration.categories, who=who, column=calibration.label
    )
    rows = rows[answered]
    group = np.arange(len(rows), dtype=np.int32)
    if calibration.group is not None:
        group, names = code_labels(rows[calibration.group], who=who, column=calibration.group)
        known = set(calibration.out_of_fold["group"])
        seen = np.array([name in known for name in names])[group]
        if seen.any():
            what = f"labelled= holds groups of {calibration.group!r} that the map was fitted on"
            fix = "keep whole groups from the map, or leave labelled= out to use the map's own labels"
            raise row_error(who, what, seen, rows[calibration.group][seen].head(100).tolist(), fix)
    return HeldOut(calibration.fitted.probabilities(calibration.inputs(rows, who=who)), codes, group)
