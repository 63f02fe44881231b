"""What judges say when the truth is what, as small matrices side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from psymetric.plots.style import ACCENT, BACK, INK, SOFT, WARN, panel_axes, shorten, style, text_width

__all__ = ["ConfusionPanel", "draw_confusions"]

_CELL, _WRITTEN, _LEAST, _DARK = 46.0, 25.0, 84.0, 0.66
"""Pixels of a cell at most, of one with its number, of a panel at least; shade on which ink is light."""


@final
@dataclass(frozen=True)
class ConfusionPanel:
    """One judge.

    Attributes:
        judge: Its name.
        probability: Of each label given the truth, shape (truths, categories); rows sum to one.
        remark: What stands under the name, such as its accuracy.
        alarming: Write the remark in the warning colour.
    """

    judge: str
    probability: NDArray[np.float64]
    remark: str = ""
    alarming: bool = False


def draw_confusions(panels: Sequence[ConfusionPanel], categories: Sequence[str], *, width: float) -> Figure:
    """A matrix for every judge: rows are the truth, columns the label; a judge without errors has a dark diagonal.

    Right labels are in the accent colour and wrong ones in the warning colour, and every probability is written where
    there is room, so that the matrix can be read without colour.

    Args:
        panels: The judges, in the order to draw them.
        categories: Their names, low to high.
        width: Pixels.
    """
    count = len(categories)
    narrow = width < 480
    names = [shorten(name, 8 if narrow else 12) for name in categories]
    left = min(max(text_width(name, 11) for name in names) + 24, width * 0.3)
    gap = 22.0
    least = max(count * (_WRITTEN if narrow else 34.0), _LEAST)
    across = int(np.clip((width - left - 8 + gap) // (least + gap), 1, max(len(panels), 1)))
    wide = min((width - left - 8 - gap * (across - 1)) / across, max(count * _CELL, _LEAST))
    cell = wide / count
    tall = count * min(max(cell, 20.0), 30.0)
    flat = max(text_width(name, 10.5) for name in names) <= cell + 6
    head = 56.0 if flat else 44.0 + max(text_width(name, 10.5) for name in names)
    total = left + across * wide + (across - 1) * gap + 8
    with style():
        figure, axes = panel_axes(total, len(panels), across=across, tall=tall, left=left, gap=gap, head=head, foot=10)
        for place, (panel, one) in enumerate(zip(panels, axes, strict=True)):
            _draw_panel(one, panel, names, flat=flat, written=cell >= _WRITTEN - 1, first=place % across == 0)
            limit = max(int(wide / 7.4), 6)
            _above(one, shorten(panel.judge, limit), head - 14, INK, 12.5)
            _above(one, panel.remark, head - 30, WARN if panel.alarming else SOFT, 11)
        return figure


def _draw_panel(
    axes: Axes, panel: ConfusionPanel, names: Sequence[str], *, flat: bool, written: bool, first: bool
) -> None:
    count = len(names)
    axes.set(xlim=(0, count), ylim=(count, 0))
    axes.axis("off")
    for i, j in np.argwhere(np.isfinite(panel.probability)).tolist():
        p = float(panel.probability[i, j])
        shade = round(0.9 * min(p, 1.0), 2)
        if shade >= 0.01:
            colour = ACCENT if i == j else WARN
            axes.add_patch(Rectangle((j + 0.03, i + 0.04), 0.94, 0.92, facecolor=colour, alpha=shade))
        if written and p >= 0.005:
            text = "1" if p >= 0.995 else f"{p:.2f}".lstrip("0")
            ink = BACK if shade > _DARK else INK
            axes.text(j + 0.5, i + 0.52, text, ha="center", va="center_baseline", size=10.5, color=ink)
    for j, name in enumerate(names):
        axes.text(j + 0.5, -0.1, name, ha="center", va="bottom", size=10.5, color=SOFT, rotation=0 if flat else 90)
    for i, name in enumerate(names if first else []):
        axes.annotate(name, (0, i + 0.52), (-6, 0), textcoords="offset points", ha="right", va="center_baseline",
                      size=11, color=SOFT, annotation_clip=False)  # fmt: skip


def _above(axes: Axes, text: str, height: float, colour: str, size: float) -> None:
    axes.annotate(text, (0, 1), (0, height), "axes fraction", "offset points", size=size, color=colour)
