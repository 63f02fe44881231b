"""Shares of a whole as one bar with direct labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from psymetric.plots.style import BACK, SERIES, canvas, shorten, style, text_width

__all__ = ["Share", "draw_shares"]


@final
@dataclass(frozen=True)
class Share:
    """One part: its name and its share in [0, 1]."""

    label: str
    share: float


def draw_shares(shares: Sequence[Share], *, width: float) -> Figure:
    """A horizontal bar cut into shares; names stand inside where they fit, else below with a line.

    Args:
        shares: Parts that add up to one, in the order to draw them.
        width: Pixels.
    """
    outside = [part for part in shares if text_width(_words(part), 11.5) + 12 > part.share * width]
    height = 34 + 20 * len(outside) + 4
    with style():
        figure, axes = canvas(width, height, left=0, right=0, top=0, bottom=0)
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        at, line = 0.0, 34 + 13.0
        for index, part in enumerate(shares):
            colour, wide = SERIES[index % len(SERIES)], part.share * width
            axes.add_patch(Rectangle((at, 2), max(wide - 2, 0.5), 28, facecolor=colour))
            if part not in outside:
                axes.text(at + 7, 16.5, _words(part), size=11.5, color=BACK, va="center_baseline")
            else:
                axes.add_patch(Rectangle((0, line - 5), 9, 9, facecolor=colour))
                axes.text(15, line, _words(part), size=11.5, va="center_baseline")
                line += 20
            at += wide
        return figure


def _words(part: Share) -> str:
    percent = "<1%" if 0 < part.share < 0.005 else f"{part.share:.0%}"
    return f"{shorten(part.label, 28)} {percent}"
