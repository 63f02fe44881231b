"""Calibrated estimates beside those of the judge alone and of people alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from psymetric.calibration.calibrated import CalibratedEstimate
from psymetric.plots.intervals import IntervalRow, draw_intervals

__all__ = ["plot_calibrated"]

_AXES = {"mean": "mean", "difference": "difference", "win_rate": "win rate"}
_MOST = 20


def plot_calibrated(result: CalibratedEstimate, *, most: int = _MOST, width: float = 720) -> Figure:
    """Three dots with intervals for each estimate: the judge alone, people alone, and both.

    The judge's dot is open, as its interval forgets that the judge errs; it is in the warning colour where the labels
    show the judge to be off.

    Args:
        result: From `calibrated_estimate`.
        most: Estimates to show, from the first; more are counted in a gap.
        width: Pixels at 72 per inch.
    """
    known = result.frame[result.frame["estimate"].notna()]
    shown = known.head(most)
    columns = [str(column) for column in shown.columns]
    names = columns[: columns.index("estimate")]
    rows: list[IntervalRow] = []
    for _, row in shown.iterrows():
        if group := " · ".join(str(row[name]) for name in names):
            rows.append(IntervalRow(group, np.nan, np.nan, np.nan))
        off = bool(row["bias_lower"] > 0 or row["bias_upper"] < 0)
        mark = "· " if group else ""
        rows += [
            _row(row, f"{mark}judge alone", "judge_alone", "judge_", marked=True, alarming=off),
            _row(row, f"{mark}people alone", "people_alone", "people_"),
            _row(row, f"{mark}both", "estimate", ""),
        ]
    axis = f"{_AXES[result.estimand]}, {result.level:.0%} intervals"
    if len(known) > most:
        axis = f"{axis}; the first {most} of {len(known):,}"
    reference = 0.0 if result.estimand == "difference" else None
    return draw_intervals(rows, width=width, axis=axis, reference=reference)


def _row(
    row: pd.Series[Any], label: str, estimate: str, ends: str, *, marked: bool = False, alarming: bool = False
) -> IntervalRow:
    numbers = float(row[estimate]), float(row[f"{ends}lower"]), float(row[f"{ends}upper"])
    return IntervalRow(label, *numbers, f"{numbers[0]:.3f}", marked=marked, alarming=alarming)
