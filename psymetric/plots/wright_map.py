"""Wright map: every facet on one logit ruler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from psymetric.plots.style import ACCENT, GRID, INK, LINE, SOFT, canvas, shorten, style

__all__ = ["Ruler", "draw_wright_map", "spread_labels"]

_HEIGHT = 520.0
_LINE = 14.0
_OUTERMOST = 4


@final
@dataclass(frozen=True)
class Ruler:
    """One column of the map.

    Attributes:
        heading: Name of the facet.
        labels: Its levels.
        places: Where they stand, in logits.
        upward: What being further up means: "hard", "severe", "high".
    """

    heading: str
    labels: Sequence[str]
    places: NDArray[np.float64]
    upward: str = "hard"


def draw_wright_map(
    subjects: NDArray[np.float64],
    rulers: Sequence[Ruler],
    *,
    subject: str,
    width: float,
) -> Figure:
    """Subjects as a histogram at the left, then one column per facet, all on the same logits.

    Subjects further up score higher; levels further up make high categories less likely. Labels that would overlap are
    moved and joined to their place by a line; of a facet with more levels than fit, the four outermost at each end are
    named.

    Args:
        subjects: Their measures in logits.
        rulers: The other facets.
        subject: What the subjects are called, in the plural.
        width: Pixels.
    """
    every = np.concatenate([subjects, *(ruler.places for ruler in rulers)])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (-1.0, 1.0)
    pad = 0.06 * max(high - low, 1.0)
    left, top, bottom = 34.0, 44.0, 14.0
    hist = min(width * 0.22, 150.0)
    with style():
        figure, axes = canvas(width, _HEIGHT, left=left, right=4, top=top, bottom=bottom)
        axes.set(xlim=(0, width - left - 4), ylim=(low - pad, high + pad), xticks=[])
        axes.spines["bottom"].set_visible(False)
        axes.grid(axis="y", color=GRID, lw=1)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
        figure.text(0, 1 - 14 / _HEIGHT, "logits", size=11, color=SOFT)
        _draw_subjects(axes, subjects, hist, (low - pad, high + pad), shorten(subject, int(hist / 7.4)))
        column = (width - left - 4 - hist - 14) / max(len(rulers), 1)
        for index, ruler in enumerate(rulers):
            _draw_ruler(axes, ruler, hist + 14 + index * column, column)
        return figure


def _draw_subjects(
    axes: Axes, subjects: NDArray[np.float64], hist: float, ends: tuple[float, float], heading: str
) -> None:
    """A histogram that grows to the right, with dots where there are few."""
    known = subjects[np.isfinite(subjects)]
    bins = 34
    edges = np.linspace(*ends, bins + 1)
    counts, _ = np.histogram(known, edges)
    unit = min(hist / max(counts.max(), 1), 20.0)
    tall = edges[1] - edges[0]
    for place, count in zip(edges[:-1], counts, strict=True):
        if count:
            axes.add_patch(Rectangle((0, place + 0.08 * tall), count * unit, 0.84 * tall, facecolor=ACCENT, alpha=0.55))
    _head(axes, 0, heading, "high ↑")


def _head(axes: Axes, x: float, heading: str, below: str) -> None:
    top = axes.get_ylim()[1]
    axes.annotate(heading, (x, top), (0, 20), textcoords="offset points", size=12, color=INK, fontweight="bold")
    axes.annotate(below, (x, top), (0, 6), textcoords="offset points", size=10.5, color=SOFT)


def _draw_ruler(axes: Axes, ruler: Ruler, x: float, column: float) -> None:
    low, high = axes.get_ylim()
    scale = (_HEIGHT - 58) / (high - low)
    axes.plot([x, x], [low, high], color=LINE, lw=1)
    places = ruler.places
    crowded = len(places) > int((_HEIGHT - 58) / _LINE)
    axes.plot(np.full(len(places), x), places, "o", ms=4, color=ACCENT, alpha=0.35 if crowded else 1.0)
    _head(axes, x, shorten(ruler.heading, max(int((column - 6) / 7.4), 4)), f"{ruler.upward} ↑")
    order = np.argsort(places)
    keep = np.concatenate([order[:_OUTERMOST], order[-_OUTERMOST:]]) if crowded else order
    spots = spread_labels(places[keep] * scale, _LINE, low * scale + 6, high * scale - 6) / scale
    limit = max(int((column - 22) / 6.3), 3)
    for level, spot in zip(keep, spots, strict=True):
        axes.plot([x + 3, x + 13], [places[level], spot], color=LINE, lw=0.8)
        axes.text(x + 16, spot, shorten(ruler.labels[level], limit), va="center_baseline", size=11)


def spread_labels(places: NDArray[np.float64], gap: float, low: float, high: float) -> NDArray[np.float64]:
    """The nearest places, in least squares, that keep the ascending order and stand at least `gap` apart.

    Pool-adjacent-violators on the places less their rank times the gap; then kept inside [low, high] while that leaves
    room.
    """
    if not len(places):
        return places
    steps = np.arange(len(places)) * gap
    blocks: list[list[float]] = []
    for value in places - steps:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, size = blocks.pop()
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * size) / (blocks[-1][1] + size), blocks[-1][1] + size]
    fitted = np.repeat([mean for mean, _ in blocks], [int(size) for _, size in blocks])
    return np.asarray(np.clip(fitted, low, max(high - steps[-1], low)) + steps, np.float64)
