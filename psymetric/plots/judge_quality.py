"""What judges say of each truth: confusion matrices side by side, the most telling judge first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from psymetric.diagnostics.judge_quality import JudgeQuality
from psymetric.plots.style import ACCENT, BACK, INK, LINE, SOFT, WARN, canvas, shorten, style

__all__ = ["draw_confusions", "plot_judge_quality"]

_MOST = 24
_PANEL = 150.0
"""Pixels of a matrix with its margins, at the least."""
_TITLE, _FOOT, _NAMES = 40.0, 8.0, 44.0


def plot_judge_quality(quality: JudgeQuality, *, width: float = 720) -> Figure:
    """The confusion matrix of every judge, in order of the bits that a label of it tells of the truth.

    A row is a truth, a column what the judge says; the frame marks the diagonal. Judges with a flag have a warning
    colour in their name. Of more than 24 judges those with the most labels are drawn.

    Args:
        quality: What `judge_quality` found.
        width: Pixels at 72 per inch.
    """
    frame = quality.frame
    kept = np.sort(np.argsort(-frame["n"].to_numpy(np.float64), kind="stable")[:_MOST])
    order = kept[np.argsort(-frame["bits"].to_numpy(np.float64)[kept], kind="stable")]
    return draw_confusions(
        quality.confusion[order],
        judges=[str(label) for label in frame[quality.facet].iloc[order]],
        bits=frame["bits"].to_numpy(np.float64)[order],
        flagged=(frame["flag"] != "").to_numpy(np.bool_)[order],
        categories=[str(label) for label in quality.categories],
        width=width,
    )


def draw_confusions(
    confusion: NDArray[np.float64],
    *,
    judges: Sequence[str],
    bits: NDArray[np.float64],
    flagged: NDArray[np.bool_],
    categories: Sequence[str],
    width: float,
) -> Figure:
    """Small multiples of confusion matrices.

    Args:
        confusion: Probability of each category given each truth, shape (judges, truths, categories).
        judges: Their names, in the order drawn.
        bits: Of each judge.
        flagged: Whether to warn of each judge.
        categories: Names of truths and categories.
        width: Pixels.
    """
    n, size = len(judges), len(categories)
    across = int(np.clip(width // _PANEL, 1, max(n, 1)))
    panel = width / across
    cell = min((panel - _NAMES - 8) / size, 44.0)
    tall = cell * size + _TITLE + _FOOT
    down = -(-n // across)
    height = 26 + tall * down
    with style():
        figure, axes = canvas(width, height, left=0, right=0, top=26, bottom=0)
        axes.set(xlim=(0, width), ylim=(tall * down, 0))
        axes.axis("off")
        for place in range(n):
            corner = (place % across * panel + _NAMES, place // across * tall + _TITLE)
            _draw_matrix(axes, confusion[place], corner, cell, categories)
            axes.text(
                corner[0],
                corner[1] - 26,
                f"{shorten(judges[place], max(int(panel / 11), 6))}  {bits[place]:.2f}",
                size=11.5,
                color=WARN if flagged[place] else INK,
                fontweight="bold" if flagged[place] else "normal",
                va="center",
            )
        heading = "Share of labels (columns) by truth (rows); beside each judge its bits per label; bold: flagged"
        figure.text(0, 1 - 12 / height, heading, size=12, color=SOFT)
        return figure


def _draw_matrix(
    axes: Axes, matrix: NDArray[np.float64], corner: tuple[float, float], cell: float, categories: Sequence[str]
) -> None:
    left, top = corner
    letters = max(int(cell / 7), 1)
    for place, name in enumerate(categories):
        short = shorten(name, max(letters, 2))
        axes.text(left - 4, top + (place + 0.5) * cell, shorten(name, 6), size=9, color=SOFT, ha="right", va="center")
        axes.text(left + (place + 0.5) * cell, top - 3, short, size=9, color=SOFT, ha="center", va="bottom")
    for (row, column), share in np.ndenumerate(matrix):
        shade = round(0.92 * float(share), 2)
        at = (left + column * cell, top + row * cell)
        axes.add_patch(Rectangle(at, cell - 1, cell - 1, facecolor=ACCENT, alpha=max(shade, 0.02)))
        if row == column:
            axes.add_patch(Rectangle(at, cell - 1, cell - 1, fill=False, edgecolor=LINE, lw=1.0))
        if cell >= 20:
            text = "1" if share >= 0.995 else f"{share:.2f}".lstrip("0")
            colour = BACK if shade > 0.72 else INK
            axes.text(at[0] + cell / 2, at[1] + cell / 2, text, size=9.5, color=colour, ha="center", va="center")
