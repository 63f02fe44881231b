"""Characteristic curves: expected scores along the scale, with what groups of subjects got laid over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.characteristic_curves import CharacteristicCurves, characteristic_curves
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.plots.style import ACCENT, BACK, GRID, SOFT, WARN, panel_axes, round_ticks, shorten, style

__all__ = ["CharacteristicPanel", "draw_characteristic", "panels_of", "plot_characteristic"]

_TALL = 150.0
_PANELS = 6


@final
@dataclass(frozen=True)
class CharacteristicPanel:
    """One curve and its observed means.

    Attributes:
        heading: What it belongs to.
        theta: Where, in logits, shape (points,).
        expected: Expected score there, same shape.
        at: Where the groups are, shape (groups,).
        observed: Their mean scores, same shape.
        lower: Lower ends of their intervals.
        upper: Upper ends.
    """

    heading: str
    theta: NDArray[np.float64]
    expected: NDArray[np.float64]
    at: NDArray[np.float64]
    observed: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @property
    def missed(self) -> NDArray[np.bool_]:
        """Groups whose interval does not hold the curve, shape (groups,)."""
        curve = np.interp(self.at, self.theta, self.expected)
        return (curve < self.lower) | (curve > self.upper)


def plot_characteristic(
    fit: Fit,
    table: ResponseTable,
    *,
    facet: str | None = None,
    groups: int = 6,
    level: float = 0.95,
    most: int = _PANELS,
    width: float = 720,
) -> Figure:
    """Item or judge characteristic curves, the test characteristic curve first, with observed means and intervals.

    The numbers are those of `characteristic_curves`. Open dots in the warning colour are means whose interval does not
    hold the curve. Of more levels than `most`, those furthest from their curve are drawn.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.
        facet: Whose levels; by default "item", else the model's first facet.
        groups: Groups of subjects, at least 2.
        level: Coverage of the intervals, in (0, 1).
        most: Levels to draw.
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `characteristic_curves`.
    """
    if not 0 < level < 1:
        raise DataError(f"plot_characteristic: level={level} is not a coverage between 0 and 1, such as 0.95")
    found = characteristic_curves(fit, table, facet=facet, groups=groups)
    panels = panels_of(found, level=level, most=most)
    return draw_characteristic(panels, scale=found.scale, width=width, axis="expected score along the ability, logits")


def panels_of(found: CharacteristicCurves, *, level: float, most: int = _PANELS) -> list[CharacteristicPanel]:
    """All levels together, then each, those furthest from their curve first where there are more than `most`."""
    labels = list(dict.fromkeys(found.curves["level"]))
    theta = found.test["theta"].to_numpy(np.float64)
    expected = found.curves["expected"].to_numpy(np.float64).reshape(len(labels), -1)
    far = found.observed["z"].abs().groupby(found.observed["level"], sort=False).max()
    if len(labels) > most:
        worst = sorted(range(len(labels)), key=lambda place: -float(far.get(labels[place], 0.0)))[:most]
    else:
        worst = list(range(len(labels)))
    own = found.observed.groupby("level", sort=False).indices
    whole = _panel(
        f"all {len(labels)} together", theta, found.test["average"].to_numpy(np.float64), found.test_observed, level
    )
    each = [
        _panel(str(labels[place]), theta, expected[place], found.observed.iloc[own.get(labels[place], [])], level)
        for place in worst
    ]
    return each if len(labels) == 1 else [whole, *each]


def _panel(
    heading: str, theta: NDArray[np.float64], expected: NDArray[np.float64], observed: pd.DataFrame, level: float
) -> CharacteristicPanel:
    at, middle, se = (observed[name].to_numpy(np.float64) for name in ("theta", "adjusted", "se"))
    reach = float(ndtri((1 + level) / 2)) * se
    return CharacteristicPanel(heading, theta, expected, at, middle, middle - reach, middle + reach)


def draw_characteristic(
    panels: Sequence[CharacteristicPanel], *, scale: tuple[float, float], width: float, axis: str
) -> Figure:
    """One panel per curve; open dots in the warning colour miss it.

    Args:
        panels: What to draw.
        scale: Lowest and highest score.
        width: Pixels.
        axis: What the horizontal axis measures, with its unit.
    """
    across = min(1 if width < 480 else 3, len(panels))
    low, high = scale
    pad = 0.04 * (high - low)
    with style():
        figure, drawn = panel_axes(width, len(panels), across=across, tall=_TALL, left=30, gap=20, head=28, foot=34)
        for index, (axes, panel) in enumerate(zip(drawn, panels, strict=True)):
            axes.set(xlim=(panel.theta[0], panel.theta[-1]), ylim=(low - pad, high + pad))
            axes.xaxis.set_major_locator(round_ticks(5, whole=panel.theta[-1] - panel.theta[0] > 4))
            axes.yaxis.set_major_locator(round_ticks(5))
            axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11, labelleft=index % across == 0)
            axes.grid(axis="y", color=GRID, lw=1)
            axes.set_axisbelow(True)
            _draw_panel(axes, panel)
        figure.text(30 / width, 4 / (72 * figure.get_figheight()), axis, size=12, color=SOFT)
        return figure


def _draw_panel(axes: Axes, panel: CharacteristicPanel) -> None:
    text = shorten(panel.heading, int(axes.bbox.width / 7.2))
    axes.annotate(text, (0, 1), (0, 7), "axes fraction", "offset points", size=12)
    axes.plot(panel.theta[::2], panel.expected[::2], color=ACCENT, lw=1.8)
    for which, colour, fill in ((~panel.missed, ACCENT, ACCENT), (panel.missed, WARN, BACK)):
        axes.vlines(panel.at[which], panel.lower[which], panel.upper[which], color=colour, lw=1.6, alpha=0.6)
        axes.plot(panel.at[which], panel.observed[which], "o", ms=5, mfc=fill, mec=colour, mew=1.5)
