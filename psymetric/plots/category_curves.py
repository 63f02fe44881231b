"""Category curves: how likely each category is along the scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.diagnostics.categories import category_curves
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.plots.style import ACCENT, GRID, SOFT, WARN, canvas, round_ticks, shorten, style

__all__ = ["CurvePanel", "curve_panel", "draw_category_curves", "plot_categories"]

_TALL = 168.0
_PANELS = 6


@final
@dataclass(frozen=True)
class CurvePanel:
    """The curves of one group of steps.

    Attributes:
        heading: What they belong to.
        logit: Where, shape (points,).
        probability: Shape (points, categories).
        labels: Of the categories.
        marked: Categories that are most likely nowhere.
    """

    heading: str
    logit: NDArray[np.float64]
    probability: NDArray[np.float64]
    labels: Sequence[str]
    marked: frozenset[int] = frozenset()


def plot_categories(fit: Fit, *, groups: Sequence[Any] | None = None, width: float = 720) -> Figure:
    """Category probability curves, one panel per group of steps; warm curves belong to categories on top nowhere.

    The numbers are those of `category_curves`, relative to the item and judge.

    Args:
        fit: A fit of a model with steps.
        groups: Levels of the facet that owns the steps; by default the first six.
        width: Pixels at 72 per inch.

    Raises:
        DataError: A model without steps, or a group that owns none.
    """
    spec = next((spec for spec in fit.model.parameters if spec.name == "step"), None)
    if spec is None:
        raise DataError(f"plot_categories: {type(fit.model).__name__} has no steps between categories")
    owned = len(spec.axes) > 1
    chosen = list(fit.levels[spec.axes[0]])[:_PANELS] if groups is None and owned else list(groups or [None])
    panels = [curve_panel(fit, group, heading=str(group) if owned else "") for group in chosen]
    return draw_category_curves(panels, width=width, axis="measure relative to the level, logits")


def curve_panel(fit: Fit, group: Any, *, heading: str) -> CurvePanel:
    """The curves of one group of steps."""
    curves = category_curves(fit, group)
    probability = curves["probability"].to_numpy(np.float64).reshape(-1, len(fit.categories))
    theta = curves["theta"].to_numpy(np.float64)[:: len(fit.categories)]
    hidden = frozenset(range(probability.shape[1])) - set(np.nanargmax(probability, axis=1).tolist())
    return CurvePanel(heading, theta, probability, [str(label) for label in fit.categories], hidden)


def draw_category_curves(panels: Sequence[CurvePanel], *, width: float, axis: str) -> Figure:
    """One panel per group of steps; each curve carries its category's label at its peak.

    Args:
        panels: What to draw.
        width: Pixels.
        axis: What the horizontal axis measures, with its unit.
    """
    across = 1 if width < 480 or len(panels) == 1 else 2 if len(panels) in (2, 4) else 3
    down = -(-len(panels) // across)
    # One panel has no heading to make room for.
    tall, gap = (_TALL, 50) if len(panels) > 1 else (220.0, 20)
    height = down * (tall + gap) + 40
    with style():
        figure, first = canvas(width, height)
        figure.delaxes(first)
        wide = (width - 34 - 24 * (across - 1) - 8) / across
        for index, panel in enumerate(panels):
            row, column = divmod(index, across)
            x, y = 34 + column * (wide + 24), height - (row + 1) * (tall + gap) + 4
            axes = figure.add_axes((x / width, y / height, wide / width, tall / height))
            _draw_panel(axes, panel, labelled=column == 0)
        figure.text(34 / width, 4 / height, axis, size=12, color=SOFT)
        return figure


def _draw_panel(axes: Axes, panel: CurvePanel, *, labelled: bool) -> None:
    axes.set(xlim=(panel.logit[0], panel.logit[-1]), ylim=(0, 1.08), yticks=[0, 0.5, 1])
    axes.set_yticklabels(["0", ".5", "1"] if labelled else ["", "", ""], color=SOFT, size=11)
    axes.grid(axis="y", color=GRID, lw=1)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(round_ticks(5, whole=True))
    axes.annotate(shorten(panel.heading, 30), (0, 1), (0, 5), "axes fraction", "offset points", size=12)
    count = panel.probability.shape[1]
    last = len(panel.logit) - 1
    for category in range(count):
        curve = panel.probability[:, category]
        colour = WARN if category in panel.marked else ACCENT
        axes.plot(panel.logit, curve, color=colour, lw=2, alpha=0.4 + 0.6 * category / max(count - 1, 1))
        peak = min(max(int(np.argmax(curve)), int(0.03 * last)), int(0.97 * last))
        axes.annotate(
            shorten(panel.labels[category], 12),
            (panel.logit[peak], curve[peak]),
            # A category that is nowhere on top has its label below its curve, clear of the others.
            (0, -13 if category in panel.marked else 3),
            textcoords="offset points",
            ha="center",
            size=11,
            color=colour,
        )
