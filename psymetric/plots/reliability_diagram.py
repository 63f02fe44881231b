"""Reliability diagram: how often what was forecast came true, in the band of calibrated forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.calibration.reliability_diagram import ReliabilityDiagram
from psymetric.plots.style import ACCENT, GRID, INK, LINE, SOFT, WARN, panel_axes, round_ticks, shorten, style

__all__ = ["ReliabilityPanel", "draw_reliability_diagram", "plot_reliability_diagram"]

Array = NDArray[np.float64]

_GAP = 34.0
"""Between panels, in pixels, so that 1.00 and the next 0.00 are two numbers."""
_LARGEST = 7.0
"""Diameter of the dot of the fullest bin, in points."""


@final
@dataclass(frozen=True)
class ReliabilityPanel:
    """One event.

    Attributes:
        heading: Written above.
        forecast: Increasing, shape (places,). share: How often the event came true there, of the same shape. lower:
            Lower end of the band. upper: Upper end.
        bin_forecast: Mean forecast of each bin, shape (bins,). bin_share: How often the event came true. bin_lower:
            Lower end of what calibrated forecasts show. bin_upper: Upper end. bin_n: Rows.
    """

    heading: str
    forecast: Array
    share: Array
    lower: Array
    upper: Array
    bin_forecast: Array
    bin_share: Array
    bin_lower: Array
    bin_upper: Array
    bin_n: Array


def plot_reliability_diagram(found: ReliabilityDiagram, *, width: float = 720) -> Figure:
    """How often each event came true at each forecast: the isotonic curve, and bins as dots.

    The band is where the curve of a calibrated forecast would lie; the diagonal is calibration itself. Dots of bins
    outside what calibration shows are open, in the warning colour; the area of a dot is the rows of its bin.

    Args:
        found: What `reliability_diagram` gave.
        width: Pixels at 72 per inch.
    """
    panels: list[ReliabilityPanel] = []
    for event, curve in found.curve.groupby("event", sort=False):
        bins = found.bins[found.bins["event"] == event]
        columns = [curve[name].to_numpy(np.float64) for name in ("forecast", "share", "lower", "upper")]
        columns += [bins[name].to_numpy(np.float64) for name in ("forecast", "share", "lower", "upper", "n")]
        panels.append(ReliabilityPanel(str(event), *columns))
    return draw_reliability_diagram(panels, width=width, level=found.level)


def draw_reliability_diagram(panels: Sequence[ReliabilityPanel], *, width: float, level: float) -> Figure:
    """Square panels side by side, one per event.

    Args:
        panels: What to draw.
        width: Pixels; under 480 the panels stand one under the other.
        level: Coverage of the bands, as it is written.
    """
    across = min(1 if width < 480 else 3, len(panels))
    side = min((width - 40 - _GAP * (across - 1) - 8) / across, 330.0)
    with style():
        figure, drawn = panel_axes(
            40 + across * side + _GAP * (across - 1) + 8,
            len(panels),
            across=across,
            tall=side,
            left=40,
            gap=_GAP,
            head=28,
            foot=48,
        )
        for index, (axes, panel) in enumerate(zip(drawn, panels, strict=True)):
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            axes.xaxis.set_major_locator(round_ticks(5))
            axes.yaxis.set_major_locator(round_ticks(5))
            axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11, labelleft=index % across == 0)
            axes.grid(color=GRID, lw=1)
            axes.set_axisbelow(True)
            axes.set_xlabel("forecast", labelpad=4, loc="right")
            _draw_panel(axes, panel)
        height = 72 * figure.get_figheight()
        text = f"share that came true; band: {level:.0%} of calibrated forecasts"
        figure.text(8 / (72 * figure.get_figwidth()), 4 / height, shorten(text, int(width / 6)), size=12, color=SOFT)
        return figure


def _draw_panel(axes: Axes, panel: ReliabilityPanel) -> None:
    axes.text(0, 1.03, shorten(panel.heading, int(axes.bbox.width / 7.2)), transform=axes.transAxes, size=12, color=INK)
    axes.plot([0, 1], [0, 1], color=LINE, lw=1.2)
    axes.fill_between(panel.forecast, panel.lower, panel.upper, color=ACCENT, alpha=0.14, lw=0)
    axes.plot(panel.forecast, panel.share, color=ACCENT, lw=2)
    outside = (panel.bin_share < panel.bin_lower) | (panel.bin_share > panel.bin_upper)
    sizes = _LARGEST * np.sqrt(panel.bin_n / panel.bin_n.max(initial=1.0))
    for x, y, size, off in zip(panel.bin_forecast, panel.bin_share, sizes, outside, strict=True):
        colour = WARN if off else INK
        axes.plot(x, y, "o", ms=max(size, 3.0), mfc="#fefefe" if off else colour, mec=colour, mew=1.6)
