"""A heat map of departures around zero: biases of two facets, correlations of residuals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from psymetric.plots.style import (
    ACCENT,
    BACK,
    INK,
    LINE,
    SOFT,
    WARN,
    canvas,
    pixels_by_data,
    shorten,
    style,
    text_width,
)

__all__ = ["draw_heat_map", "strongest"]

_CELL = 64.0
_WRITTEN = 35.0
"""Pixels that a number takes."""
_DARK = 0.72
"""Strength of a shade above which what is written on it is light."""


def draw_heat_map(
    values: NDArray[np.float64],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    width: float,
    heading: str,
    marked: NDArray[np.bool_] | None = None,
    darkest: float | None = None,
) -> Figure:
    """Cells in two hues around zero, warm above and cool below, that also differ in what is written on them.

    Where there is room each cell holds its signed number, where there is not the marked ones hold their sign, so that
    the map can be read without colour. Marked cells have a frame.

    Args:
        values: Shape (rows, columns); NaN cells stay empty.
        rows: Their names, top to bottom.
        columns: Their names, left to right.
        width: Pixels.
        heading: What the cells hold, with their unit.
        marked: Cells to frame, same shape.
        darkest: Distance from zero at which a cell is darkest; by default the largest.
    """
    marks = np.zeros(values.shape, bool) if marked is None else marked
    narrow = width < 480
    labels = [shorten(row, 13 if narrow else 28) for row in rows]
    left = min(max((text_width(label) for label in labels), default=40) + 12, width * 0.4)
    widest = max((text_width(column, 11) for column in columns), default=0.0) + 8
    cell = min((width - left - 4) / max(len(columns), 1), min(max(widest, _CELL), 2 * _CELL))
    tall = min(max(cell, 18.0), 26.0)
    # Names stand upright where they fit above their column, else on their side.
    flat = widest <= cell + 4
    heads = [shorten(column, 14 if narrow else 22) for column in columns]
    top = 30 + (16 if flat else max((text_width(head, 11) for head in heads), default=20) + 8)
    height = top + tall * len(rows) + 6
    scale = darkest or float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    with style():
        figure, axes = canvas(width, height, left=left, right=width - left - cell * len(columns), top=top, bottom=6)
        axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
        axes.axis("off")
        for i, j in np.argwhere(np.isfinite(values)).tolist():
            _draw_cell(axes, i, j, float(values[i, j]), scale, marked=bool(marks[i, j]), written=cell >= _WRITTEN)
        across = pixels_by_data(axes)
        for i, label in enumerate(labels):
            axes.text(0, i + 0.52, label, transform=across, va="center_baseline", size=12)
            axes.plot([left, left + cell * len(columns)], [i + 1, i + 1], transform=across, color=LINE, lw=0.4)
        for j, head in enumerate(heads):
            axes.text(j + 0.5, -0.25, head, ha="center", va="bottom", size=11, color=SOFT, rotation=0 if flat else 90)
        figure.text(0, 1 - 12 / height, heading, size=12, color=SOFT)
        return figure


def _draw_cell(axes: Axes, i: int, j: int, value: float, scale: float, *, marked: bool, written: bool) -> None:
    shade = round(0.9 * min(abs(value) / scale, 1.0), 2)
    if shade >= 0.01:
        colour = WARN if value > 0 else ACCENT
        axes.add_patch(Rectangle((j + 0.03, i + 0.04), 0.94, 0.92, facecolor=colour, alpha=shade))
    if marked:
        axes.add_patch(Rectangle((j + 0.05, i + 0.07), 0.9, 0.86, fill=False, edgecolor=INK, lw=1.4))
    sign = "−" if value < 0 else "+"
    text = f"{sign}{abs(value):.2f}".replace("0.", ".", 1) if written else sign if marked else ""
    if text:
        axes.text(
            j + 0.5,
            i + 0.52,
            text if text.strip("+−.0") or not written else "0",
            ha="center",
            va="center_baseline",
            size=10.5,
            color=BACK if shade > _DARK else INK,
            fontweight="bold" if marked else "normal",
        )


def strongest(strength: NDArray[np.float64], most: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns to draw of a matrix that is too large, in their order: those with the strongest cell.

    Args:
        strength: Shape (rows, columns), NaN where there is nothing.
        most: Rows and columns to keep.
    """
    known = np.nan_to_num(np.abs(strength), nan=-1.0)
    rows, columns = (
        np.sort(np.argsort(-known.max(axis=axis, initial=-1.0), kind="stable")[:limit])
        for axis, limit in zip((1, 0), most, strict=True)
    )
    return rows, columns
