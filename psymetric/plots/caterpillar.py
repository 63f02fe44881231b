"""All measures at once: sorted, as a line within the band of their intervals."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.plots.style import ACCENT, GRID, SOFT, canvas, round_ticks, style

__all__ = ["draw_caterpillar"]

_POINTS = 300


def draw_caterpillar(
    estimate: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    *,
    width: float,
    axis: str,
) -> Figure:
    """Measures from the highest to the lowest against their rank; at most 300 of them are drawn, evenly spaced.

    Args:
        estimate: Sorted from high to low, shape (subjects,).
        lower: Lower ends, in the same order.
        upper: Upper ends.
        width: Pixels.
        axis: What is measured, with its unit.
    """
    known = np.flatnonzero(np.isfinite(estimate))
    chosen = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), _POINTS)).astype(int))]
    rank = chosen + 1
    with style():
        figure, axes = canvas(width, 240, left=44, right=10, top=26, bottom=48)
        axes.fill_between(rank, lower[chosen], upper[chosen], color=ACCENT, alpha=0.18)
        axes.plot(rank, estimate[chosen], color=ACCENT)
        axes.set_xlim(1, max(len(estimate), 2))
        axes.grid(axis="y", color=GRID, lw=1)
        axes.set_axisbelow(True)
        axes.set_xlabel("rank")
        axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
        axes.xaxis.set_major_locator(round_ticks(6, whole=True))
        figure.text(0, 1 - 12 / 240, axis, color=SOFT, size=12)
        return figure
