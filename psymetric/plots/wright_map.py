"""Wright map: every facet on one logit ruler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from psymetric.core.steps import UNUSED
from psymetric.data.responses import ResponseTable
from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.space import has_ability
from psymetric.plots.style import ACCENT, GRID, INK, LINE, SOFT, panel_axes, shorten, style
from psymetric.scoring.score import score

__all__ = ["Ruler", "draw_wright_map", "plot_wright_map", "spread_labels", "step_ruler"]

_HEIGHT = 520.0
_LINE = 14.0
_OUTERMOST = 4
_NARROWEST = 64.0
"""Pixels that a ruler takes with its labels."""
_NAMED, _COLUMN = 24, 120.0
"""Subjects to name at most, and the width of a column that has room for their names."""


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


def plot_wright_map(fit: Fit, table: ResponseTable, *, scores: Scores | None = None, width: float = 720) -> Figure:
    """Every facet on one logit ruler: subjects, items, judges, every other facet, and the steps (FACETS' Table 6).

    Args:
        fit: A fit of a model with subjects.
        table: The responses, for the subjects' measures.
        scores: These measures, where they are known already; by default expected a posteriori ones.
        width: Pixels at 72 per inch.

    Raises:
        DataError: A model without subjects, or a mismatch of fit and table.
    """
    if not has_ability(fit.model):
        raise DataError(f"plot_wright_map: {type(fit.model).__name__} has no subjects to stand on a ruler with items")
    found = score(fit, table, method="eap") if scores is None else scores
    frame = found.frame[["subject", "estimate"]]
    rulers = [
        Ruler(
            facet,
            [str(label) for label in fit.levels[facet]],
            fit.parameters[facet],
            "hard" if facet == "item" else "severe",
        )
        for facet in fit.model.facets
        if facet in fit.parameters and len(fit.levels[facet]) > 1
    ]
    steps = step_ruler(fit)
    return draw_wright_map(
        Ruler("subject", [str(label) for label in frame["subject"]], frame["estimate"].to_numpy(np.float64), "high"),
        [*rulers, *([steps] if steps is not None else [])],
        width=width,
    )


def step_ruler(fit: Fit) -> Ruler | None:
    """Where each step stands for levels at their facets' mean; None without steps in logits or with two categories.

    Steps that belong to a facet stand at the location of their owner. Steps into categories that an owner never used
    are left out.
    """
    spec = next((spec for spec in fit.model.parameters if spec.name == "step" and spec.unit == "logit"), None)
    if spec is None or len(fit.categories) < 3:
        return None
    steps = np.atleast_2d(fit.parameters["step"])
    owner = spec.axes[0] if len(spec.axes) > 1 else None
    names = [""] if owner is None else [f"{label}: " for label in fit.levels[owner]]
    origin = np.zeros(1) if owner is None else fit.parameters[owner]
    places = np.where(np.abs(steps) > UNUSED / 2, np.nan, steps + origin[:, None])
    labels = [f"{name}{below} → {above}" for name in names for below, above in pairwise(fit.categories)]
    known = np.flatnonzero(np.isfinite(places.ravel()))
    return Ruler("step", [labels[place] for place in known], places.ravel()[known], "high")


def draw_wright_map(subjects: Ruler, rulers: Sequence[Ruler], *, width: float) -> Figure:
    """Subjects at the left, then one column per facet, all on the same logits.

    Subjects further up score higher; levels further up make high categories less likely. A few subjects are named where
    there is room, else they are a histogram. Labels that would overlap are moved and joined to their place by a line;
    of a facet with more levels than fit, the four outermost at each end are named.

    Args:
        subjects: Their measures; the heading is what they are called.
        rulers: The other facets.
        width: Pixels.
    """
    every = np.concatenate([subjects.places, *(ruler.places for ruler in rulers)])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (-1.0, 1.0)
    pad = 0.06 * max(high - low, 1.0)
    left = 34.0
    named = len(subjects.places) <= _NAMED and (width - left) / (len(rulers) + 1) >= _COLUMN
    hist = 0.0 if named else min(width * 0.22, 150.0) + 14
    drawn = [subjects, *rulers] if named else list(rulers)
    # Rulers that would be too close to be read go on below.
    most = max(int((width - left - 4 - hist) / _NARROWEST), 1)
    rows = -(-max(len(drawn), 1) // most)
    each = -(-len(drawn) // rows)
    with style():
        figure, panels = panel_axes(width, rows, across=1, tall=_HEIGHT - 58, left=left, gap=0, head=44, foot=14)
        for row, axes in enumerate(panels):
            axes.set(xlim=(0, axes.bbox.width), ylim=(low - pad, high + pad), xticks=[])
            axes.spines["bottom"].set_visible(False)
            axes.grid(axis="y", color=GRID, lw=1)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
            axes.annotate("logits", (0, 1), (-left, 32), "axes fraction", "offset points", size=11, color=SOFT)
            if not named:
                _draw_subjects(axes, subjects, hist - 14, (low - pad, high + pad))
            column = (axes.bbox.width - hist) / max(each, 1)
            for index, ruler in enumerate(drawn[row * each : (row + 1) * each]):
                _draw_ruler(axes, ruler, hist + index * column + (4 if named else 0), column)
        return figure


def _draw_subjects(axes: Axes, subjects: Ruler, hist: float, ends: tuple[float, float]) -> None:
    """A histogram that grows to the right."""
    known = subjects.places[np.isfinite(subjects.places)]
    bins = 34
    edges = np.linspace(*ends, bins + 1)
    counts, _ = np.histogram(known, edges)
    unit = min(hist / max(counts.max(), 1), 20.0)
    tall = edges[1] - edges[0]
    for place, count in zip(edges[:-1], counts, strict=True):
        if count:
            axes.add_patch(Rectangle((0, place + 0.08 * tall), count * unit, 0.84 * tall, facecolor=ACCENT, alpha=0.55))
    _head(axes, 0, shorten(subjects.heading, int(hist / 7.4)), "high ↑")


def _head(axes: Axes, x: float, heading: str, below: str) -> None:
    top = axes.get_ylim()[1]
    axes.annotate(heading, (x, top), (0, 20), textcoords="offset points", size=12, color=INK, fontweight="bold")
    axes.annotate(below, (x, top), (0, 6), textcoords="offset points", size=10.5, color=SOFT)


def _draw_ruler(axes: Axes, ruler: Ruler, x: float, column: float) -> None:
    low, high = axes.get_ylim()
    scale = (_HEIGHT - 58) / (high - low)
    axes.plot([x, x], [low, high], color=LINE, lw=1)
    places = ruler.places
    crowded = len(places) > max(int((_HEIGHT - 58) / _LINE), 2 * _OUTERMOST)
    axes.plot(np.full(len(places), x), places, "o", ms=4, color=ACCENT, alpha=0.35 if crowded else 1.0)
    _head(axes, x, shorten(ruler.heading, max(int((column - 6) / 7.4), 4)), f"{ruler.upward} ↑")
    order = np.argsort(places, kind="stable")[: int(np.isfinite(places).sum())]
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
