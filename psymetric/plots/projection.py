"""How standard errors are expected to shrink with more answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from psymetric.plots.style import ACCENT, BACK, GRID, INK, SOFT, canvas, round_ticks, style

__all__ = ["draw_projection"]


def draw_projection(
    answers: Sequence[float],
    se: Sequence[float],
    *,
    width: float,
    noun: str = "subject",
) -> Figure:
    """The median standard error against answers for each; the first point is what there is, the rest is projected.

    Args:
        answers: Answers per subject, ascending.
        se: Median standard error there, in logits.
        width: Pixels.
        noun: What is measured.
    """
    with style():
        figure, axes = canvas(width, 230, left=44, right=26, top=30, bottom=46)
        axes.plot(answers, se, color=ACCENT, lw=1.6, ls=(0, (4, 3)))
        axes.plot(answers[1:], se[1:], "o", ms=6.5, mfc=BACK, mec=ACCENT, mew=1.6)
        axes.plot(answers[0], se[0], "o", ms=7, color=ACCENT)
        axes.set_xscale("log", base=2)
        axes.set(ylim=(0, max(se) * 1.25), xlim=(answers[0] * 0.85, answers[-1] * 1.15))
        axes.set_xticks(list(answers), [f"{value:,.0f}" for value in answers])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
        axes.yaxis.set_major_locator(round_ticks(5))
        axes.grid(axis="y", color=GRID, lw=1)
        axes.set_axisbelow(True)
        for index, (x, y) in enumerate(zip(answers, se, strict=True)):
            text = f"now {_plain(y)}" if index == 0 else _plain(y)
            axes.annotate(text, (x, y), (0, 10), textcoords="offset points", ha="center", size=11.5, color=INK)
        axes.set_xlabel(f"answers per {noun}")
        figure.text(0, 1 - 14 / 230, "median standard error, logits", size=12, color=SOFT)
        return figure


def _plain(value: float) -> str:
    return f"{np.round(value, 2):.2f}".lstrip("0")
