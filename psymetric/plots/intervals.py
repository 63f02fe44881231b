"""Estimates as dots with intervals, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psymetric.plots.style import (
    ACCENT,
    GRID,
    INK,
    LINE,
    SOFT,
    WARN,
    canvas,
    pixels_by_data,
    round_ticks,
    shorten,
    style,
    text_width,
)

__all__ = ["IntervalRow", "draw_intervals"]

_ROW = 25.0


@final
@dataclass(frozen=True)
class IntervalRow:
    """One row: NaN limits draw a dot alone, a NaN estimate an empty row.

    Attributes:
        label: Name at the left.
        estimate: Place of the dot.
        lower: Lower end.
        upper: Upper end.
        value: What is written at the right.
        group: Rows of one group stand together; its name is written once, at its first row.
        marked: Draw an open dot.
        alarming: Draw in the warning colour.
    """

    label: str
    estimate: float
    lower: float
    upper: float
    value: str = ""
    group: str = ""
    marked: bool = False
    alarming: bool = False


def draw_intervals(
    rows: Sequence[IntervalRow],
    *,
    width: float,
    axis: str,
    reference: float | None = None,
    skipped: int = 0,
) -> Figure:
    """Dots with intervals from top to bottom, in the order given.

    Args:
        rows: What to draw.
        width: Pixels.
        axis: What the horizontal axis measures, with its unit.
        reference: A value to mark with a thin line, such as zero.
        skipped: Rows left out in the middle, said in a gap of one row.
    """
    size = 12.5
    narrow = width < 480
    limit = 17 if narrow else 34
    labels = [shorten(row.label, limit) for row in rows]
    left = min(max((text_width(label, size) for label in labels), default=40) + 18, width * 0.46)
    values = max((text_width(row.value, 11.5) for row in rows), default=0)
    groups = 0 if narrow else max((text_width(row.group, 11) for row in rows), default=0)
    right = values + groups + (12 if values else 10) + (16 if groups else 0)
    middle = len(rows) / 2 if skipped else len(rows)
    places = [index + (1 if index >= middle else 0) for index in range(len(rows))]
    count = len(rows) + bool(skipped)
    with style():
        figure, axes = canvas(width, count * _ROW + 58, left=left, right=right, top=10, bottom=48)
        axes.set_ylim(count - 0.5, -0.5)
        _frame(axes, rows, axis, reference)
        across = pixels_by_data(axes)
        for row, label, y in zip(rows, labels, places, strict=True):
            colour = WARN if row.alarming else ACCENT
            axes.plot([row.lower, row.upper], [y, y], color=colour, lw=2.2, alpha=0.55)
            axes.plot(row.estimate, y, "o", ms=6.5, mfc="#fefefe" if row.marked else colour, mec=colour, mew=1.8)
            axes.text(0, y, label, transform=across, va="center_baseline", size=size)
            axes.text(
                width - groups - (16 if groups else 0),
                y,
                row.value,
                transform=across,
                va="center_baseline",
                ha="right",
                size=11.5,
                color=SOFT,
            )
        if skipped:
            axes.text(0, middle, f"… {skipped:,} more in the table", transform=across, va="center_baseline", color=SOFT)
        _draw_groups(axes, rows, places, width if groups else 0.0, width)
        return figure


def _frame(axes: Axes, rows: Sequence[IntervalRow], axis: str, reference: float | None) -> None:
    """Limits, grid and axis label."""
    ends = np.array([[row.lower, row.estimate, row.upper] for row in rows], dtype=float)
    known = ends[np.isfinite(ends)]
    low, high = (float(known.min()), float(known.max())) if known.size else (-1.0, 1.0)
    pad = 0.04 * max(high - low, 0.2)
    axes.set_xlim(low - pad, high + pad)
    # A tick label takes about 46 pixels.
    axes.xaxis.set_major_locator(round_ticks(max(min(int(axes.bbox.width / 46), 6), 2)))
    axes.set_yticks([])
    axes.grid(axis="x", color=GRID, lw=1)
    axes.set_axisbelow(True)
    axes.set_xlabel(axis, labelpad=6, loc="right")
    if reference is not None and low - pad < reference < high + pad:
        axes.axvline(reference, color=LINE, lw=1.2, zorder=1)


def _draw_groups(axes: Axes, rows: Sequence[IntervalRow], places: list[int], name_at: float, width: float) -> None:
    """A thin line where a group ends, and its name at its first row."""
    across = pixels_by_data(axes)
    for index, (row, y) in enumerate(zip(rows, places, strict=True)):
        if not row.group or (index and rows[index - 1].group == row.group):
            continue
        if index:
            axes.plot([0, width], [y - 0.5, y - 0.5], transform=across, color=LINE, lw=1, clip_on=False)
        if name_at:
            axes.text(name_at, y, row.group, transform=across, va="center_baseline", ha="right", size=11, color=INK)
