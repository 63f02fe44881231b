"""Probabilities as a shaded matrix: of ranks, or of one being preferred to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from psymetric.plots.style import (
    ACCENT,
    BACK,
    INK,
    LINE,
    SOFT,
    canvas,
    pixels_by_data,
    shorten,
    style,
    text_width,
)

__all__ = ["draw_matrix"]


def draw_matrix(
    probability: NDArray[np.float64],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    width: float,
    heading: str,
    darkest: float = 1.0,
) -> Figure:
    """A matrix of probabilities, darker where higher, written out where there is room.

    Args:
        probability: Shape (rows, columns), in [0, 1]; NaN cells stay empty.
        rows: Their names, top to bottom.
        columns: Their names, left to right.
        width: Pixels.
        heading: What the columns are.
        darkest: Probability from which cells are darkest.
    """
    narrow = width < 480
    labels = [shorten(row, 13 if narrow else 28) for row in rows]
    left = min(max(map(text_width, labels), default=40) + 12, width * 0.4)
    cell = min((width - left - 4) / max(len(columns), 1), 44.0)
    tall = min(max(cell, 20.0), 26.0)
    top = 38
    height = top + tall * len(rows) + 6
    with style():
        figure, axes = canvas(width, height, left=left, right=width - left - cell * len(columns), top=top, bottom=6)
        axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
        axes.axis("off")
        across = pixels_by_data(axes)
        written = cell >= 23.5
        for i, j in np.argwhere(np.isfinite(probability)):
            p = float(probability[i, j])
            shade = round(0.92 * min(p / darkest, 1.0), 2)
            if shade >= 0.01:
                axes.add_patch(Rectangle((j + 0.03, i + 0.04), 0.94, 0.92, facecolor=ACCENT, alpha=shade))
            if written and p >= 0.005:
                text = "1" if p >= 0.995 else f"{p:.2f}".lstrip("0")
                axes.text(
                    j + 0.5,
                    i + 0.52,
                    text,
                    ha="center",
                    va="center_baseline",
                    size=10.5,
                    color=BACK if shade > 0.72 else INK,
                )
        for i, label in enumerate(labels):
            axes.text(0, i + 0.52, label, transform=across, va="center_baseline", size=12)
            axes.plot([left, left + cell * len(columns)], [i + 1, i + 1], transform=across, color=LINE, lw=0.4)
        step = 1 if cell >= 15 else 5
        for j, column in enumerate(columns):
            if (j + 1) % step == 0 or j == 0:
                axes.text(j + 0.5, -0.2, column, ha="center", va="bottom", size=11, color=SOFT)
        figure.text(0, 1 - 12 / height, heading, size=12, color=SOFT)
        return figure
