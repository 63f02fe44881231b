"""Accuracy of an order against the number of comparisons, by the way in which pairs are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.adaptive.savings import Measure, PairSavings
from psymetric.errors import DataError
from psymetric.plots.style import GRID, SERIES, SOFT, canvas, round_ticks, shorten, style

__all__ = ["Course", "draw_savings", "plot_savings"]

_TALL: Final = 300.0
_ROOM: Final = 110.0
"""Pixels for the names at the ends of the curves."""
_APART: Final = 15.0
_Z: Final = 1.959964


@final
@dataclass(frozen=True)
class Course:
    """Mean accuracy of one strategy and its Monte Carlo standard error, each of shape (batches,)."""

    label: str
    accuracy: NDArray[np.float64]
    se: NDArray[np.float64]


def plot_savings(savings: PairSavings, *, measure: Measure = "kendall", width: float = 720) -> Figure:
    """Accuracy by comparisons for each strategy, with bands of 95 % for the error of the simulation.

    Args:
        savings: From `pair_savings`.
        measure: "kendall", or "top_k" where k was given.
        width: Pixels at 72 per inch.

    Raises:
        DataError: A measure that was not simulated.
    """
    courses = {"kendall": savings.kendall, "top_k": savings.top_k}.get(measure)
    if not courses:
        raise DataError(f'plot_savings: measure={measure!r} was not simulated; use "kendall", or give pair_savings k=')
    axis = "Kendall's tau with the truth" if measure == "kendall" else f"share of the true top {savings.k} found"
    drawn = [
        Course(name, values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values)))
        for name, values in courses.items()
    ]
    return draw_savings(savings.comparisons, drawn, width=width, axis=axis)


def draw_savings(comparisons: NDArray[np.int64], courses: Sequence[Course], *, width: float, axis: str) -> Figure:
    """One curve with its band per strategy, named at its end.

    Args:
        comparisons: After each batch, shape (batches,).
        courses: What to draw, six at most.
        width: Pixels.
        axis: What accuracy is.
    """
    with style():
        figure, axes = canvas(width, _TALL, left=44, right=_ROOM, top=28, bottom=44)
        for course, colour in zip(courses, SERIES, strict=False):
            low, high = course.accuracy - _Z * course.se, course.accuracy + _Z * course.se
            axes.fill_between(comparisons, low, high, color=colour, alpha=0.15)
            axes.plot(comparisons, course.accuracy, color=colour)
        axes.set_xlim(0, comparisons[-1])
        axes.grid(axis="y", color=GRID, lw=1)
        axes.set_axisbelow(True)
        axes.set_xlabel("comparisons")
        axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
        axes.xaxis.set_major_locator(round_ticks(6, whole=True))
        figure.text(0, 1 - 14 / _TALL, axis, color=SOFT, size=12)
        ends = axes.transData.transform([(float(comparisons[-1]), float(course.accuracy[-1])) for course in courses])
        for course, colour, height in zip(courses, SERIES, _spread(ends[:, 1]), strict=False):
            name = shorten(course.label.replace("_", " "), 16)
            figure.text((width - _ROOM + 8) / width, height / _TALL, name, color=colour, va="center_baseline")
        return figure


def _spread(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights of names in pixels, moved up where two would overlap."""
    order = np.argsort(heights)
    placed = heights[order].copy()
    for at in range(1, len(placed)):
        placed[at] = max(placed[at], placed[at - 1] + _APART)
    # What was pushed up is brought down by half, so that names stay about their curves.
    placed -= np.mean(placed - heights[order])
    found = np.empty_like(placed)
    found[order] = placed
    return found
