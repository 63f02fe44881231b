"""Estimates against the values they were simulated from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.plots.style import ACCENT, GRID, LINE, SOFT, WARN, canvas, round_ticks, shorten, style

__all__ = ["RecoveryPanel", "draw_recovery"]

_MOST = 200


@final
@dataclass(frozen=True)
class RecoveryPanel:
    """One facet: true values, estimates and interval ends in logits, each of shape (levels,)."""

    heading: str
    true: NDArray[np.float64]
    estimate: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def draw_recovery(panels: Sequence[RecoveryPanel], *, width: float) -> Figure:
    """Estimates with intervals against true values, one square panel per facet; misses in the warning colour.

    Args:
        panels: What to draw; of more than 200 levels an even sample along the true values.
        width: Pixels.
    """
    across = 1 if width < 480 else min(len(panels), 3)
    side = min((width - 44 * across) / across, 250.0)
    down = -(-len(panels) // across)
    height = down * (side + 74)
    with style():
        figure, first = canvas(width, height)
        figure.delaxes(first)
        for index, panel in enumerate(panels):
            row, column = divmod(index, across)
            x, y = 40 + column * (side + 44), height - row * (side + 74) - side - 28
            axes = figure.add_axes((x / width, y / height, side / width, side / height))
            known = np.flatnonzero(np.isfinite(panel.estimate) & np.isfinite(panel.true))
            known = known[np.argsort(panel.true[known])]
            known = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), _MOST)).astype(int))]
            true, estimate, lower, upper = (
                values[known] for values in (panel.true, panel.estimate, panel.lower, panel.upper)
            )
            ends = np.concatenate([true, lower, upper])
            ends = ends[np.isfinite(ends)]
            low, high = (ends.min(), ends.max()) if ends.size else (-1.0, 1.0)
            axes.set(xlim=(low - 0.1, high + 0.1), ylim=(low - 0.1, high + 0.1))
            axes.plot([low, high], [low, high], color=LINE, lw=1.2)
            missed = (true < lower) | (true > upper)
            for which, colour in ((~missed, ACCENT), (missed, WARN)):
                axes.vlines(true[which], lower[which], upper[which], color=colour, lw=1.4, alpha=0.5)
                axes.plot(true[which], estimate[which], "o", ms=4, color=colour)
            for which in (axes.xaxis, axes.yaxis):
                which.set_major_locator(round_ticks(5))
            axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
            axes.grid(color=GRID, lw=1)
            axes.set_axisbelow(True)
            axes.set_xlabel("true, logits")
            axes.annotate(
                f"{shorten(panel.heading, 20)}: estimate",
                (0, 1),
                (-30, 9),
                "axes fraction",
                "offset points",
                color=SOFT,
            )
        return figure
