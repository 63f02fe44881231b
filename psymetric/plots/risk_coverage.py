"""Risk by coverage: how many errors are among the judge's answers, by how many it gives."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from psymetric.calibration.abstention import Abstention
from psymetric.plots.style import ACCENT, GRID, INK, SOFT, WARN, canvas, round_ticks, style

__all__ = ["draw_risk_coverage", "plot_risk_coverage"]

Array = NDArray[np.float64]


def plot_risk_coverage(found: Abstention, *, width: float = 560) -> Figure:
    """Share of errors among the answers by the share answered, with its upper bound, and where the threshold lies.

    Args:
        found: What `abstention` gave.
        width: Pixels at 72 per inch.
    """
    curve = found.curve[found.curve["n_answered"] > 0]
    answered, risk, upper = (curve[name].to_numpy(np.float64) for name in ("answered", "risk", "upper"))
    passed = curve.loc[curve["passed"], "answered"]
    chosen = None if passed.empty else float(passed.iloc[-1])
    return draw_risk_coverage(answered, risk, upper, asked=found.risk, chosen=chosen, level=found.level, width=width)


def draw_risk_coverage(
    answered: Array, risk: Array, upper: Array, *, asked: float, chosen: float | None, level: float, width: float
) -> Figure:
    """The curve with its bound.

    Args:
        answered: Shares of rows that are answered, increasing, shape (thresholds,).
        risk: Shares of errors among them, of the same shape.
        upper: Upper bounds of the risk, of the same shape.
        asked: Risk that was asked for, drawn as a line.
        chosen: Share answered at the chosen threshold; None where there is none.
        level: Certainty of the bound, as it is written.
        width: Pixels.
    """
    top = min(1.0, 1.12 * float(np.max([asked, *risk, np.quantile(upper, 0.8) if len(upper) else asked])))
    with style():
        figure, axes = canvas(width, 300, left=52, right=12, top=30, bottom=48)
        axes.set(xlim=(0, 1.01), ylim=(0, top))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(round_ticks(5))
            axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11)
        axes.grid(axis="y", color=GRID, lw=1)
        axes.set_axisbelow(True)
        axes.fill_between(answered, risk, upper, color=ACCENT, alpha=0.14, lw=0)
        axes.plot(answered, risk, color=ACCENT, lw=2)
        axes.axhline(asked, color=WARN, lw=1.2)
        axes.text(0.985, asked + 0.012 * top, f"risk asked, {asked:.0%}", size=11, color=WARN, ha="right", va="bottom")
        if chosen is not None:
            axes.axvline(chosen, color=INK, lw=1.2)
            right = chosen < 0.7
            axes.text(
                chosen + (0.012 if right else -0.012),
                top * 0.97,
                f"answers {chosen:.0%}",
                size=11.5,
                color=INK,
                ha="left" if right else "right",
                va="top",
            )
        axes.set_xlabel("share answered", labelpad=6, loc="right")
        figure.text(
            8 / width, 1 - 18 / 300, f"errors among the answers; band: upper bound, {level:.0%}", size=12, color=SOFT
        )
        return figure
