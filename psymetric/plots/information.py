"""Information curves: where on the scale a form measures well, and which of its parts do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.information_curves import InformationCurves, information_curves
from psymetric.estimation.fit import Fit
from psymetric.plots.style import (
    ACCENT,
    BACK,
    GRID,
    INK,
    LINE,
    SOFT,
    panel_axes,
    round_ticks,
    shorten,
    style,
    text_width,
)

__all__ = ["Band", "bands_of", "draw_information", "plot_information"]

_TALL = 210.0
_BANDS = 12
_FINE, _EVERY = 60, 2


@final
@dataclass(frozen=True)
class Band:
    """Information of one level along the scale, shape (points,)."""

    label: str
    information: NDArray[np.float64]


def plot_information(
    fit: Fit,
    *,
    facet: str | None = None,
    cells: pd.DataFrame | None = None,
    table: ResponseTable | None = None,
    width: float = 720,
) -> Figure:
    """Test information, cut into what each level adds, and the standard error with the population behind it.

    The numbers are those of `information_curves`, with the same arguments.

    Args:
        fit: A fit of a model with subjects.
        facet: Whose levels to tell apart; by default "item", else the first facet.
        cells: The form; by default every level of `facet` once, other facets at their mean.
        table: Instead of `cells`, the fitted responses: the form is what the mean subject was asked.
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `information_curves`.
    """
    found = information_curves(fit, facet=facet, cells=cells, table=table)
    return draw_information(found.curve, bands_of(found), width=width, axis="ability, logits")


def bands_of(found: InformationCurves) -> list[Band]:
    """The levels from low to high on the scale; beyond twelve those that say least are taken together."""
    wide = found.levels["information"].to_numpy(np.float64).reshape(len(found.peaks), -1)
    labels = found.peaks["level"].tolist()
    most = np.argsort(-found.peaks["mean_information"].to_numpy(np.float64), kind="stable")
    kept = most if len(most) <= _BANDS else most[: _BANDS - 1]
    ordered = kept[np.argsort(found.peaks["theta"].to_numpy(np.float64)[kept], kind="stable")]
    bands = [Band(str(labels[place]), wide[place]) for place in ordered]
    rest = most[len(kept) :]
    return [*bands, Band(f"{len(rest)} others", wide[rest].sum(axis=0))] if len(rest) else bands


def draw_information(curve: pd.DataFrame, bands: Sequence[Band], *, width: float, axis: str) -> Figure:
    """Two panels: information as a stack of bands, and the standard error over the population's density.

    Args:
        curve: Columns theta, information, se and density (NaN where there is no population).
        bands: What adds up to the information, from the bottom up.
        width: Pixels.
        axis: What the horizontal axis measures, with its unit.
    """
    # Fills are written point by point: half of them look the same in half the bytes.
    every = _EVERY if len(curve) > _FINE else 1
    curve, bands = curve.iloc[::every], [Band(band.label, band.information[::every]) for band in bands]
    theta = curve["theta"].to_numpy(np.float64)
    across = 1 if width < 480 else 2
    with style():
        figure, panels = panel_axes(width, 2, across=across, tall=_TALL, left=38, gap=50, head=28, foot=40)
        for axes in panels:
            axes.set_xlim(theta[0], theta[-1])
            axes.xaxis.set_major_locator(round_ticks(6, whole=theta[-1] - theta[0] > 4))
            axes.yaxis.set_major_locator(round_ticks(5))
            axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
            axes.grid(axis="y", color=GRID, lw=1)
            axes.set_axisbelow(True)
            axes.set_xlabel(axis, loc="right")
        _draw_bands(panels[0], theta, bands)
        _draw_error(panels[1], curve)
        return figure


def _heading(axes: Axes, text: str) -> None:
    axes.annotate(text, (0, 1), (-30, 10), "axes fraction", "offset points", color=SOFT)


def _draw_bands(axes: Axes, theta: NDArray[np.float64], bands: Sequence[Band]) -> None:
    _heading(axes, "information per squared logit")
    total = np.sum([band.information for band in bands], axis=0)
    top = float(total.max()) * 1.08 or 1.0
    axes.set_ylim(0, top)
    below = np.zeros_like(theta)
    unit = axes.bbox.height / top
    wide = axes.bbox.width / (len(theta) - 1)
    for index, band in enumerate(bands):
        above = below + band.information
        axes.fill_between(theta, below, above, color=ACCENT, alpha=(0.22, 0.4)[index % 2])
        if len(bands) > 1:
            axes.plot(theta, above, color=BACK, lw=0.8)
            _name(axes, theta, below * unit, above * unit, band.label, unit, wide)
        below = above
    axes.plot(theta, total, color=ACCENT)


def _name(
    axes: Axes,
    theta: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    label: str,
    unit: float,
    wide: float,
) -> None:
    """A band's name where it is thickest, if it fits between its edges over its whole length (pixels)."""
    text = shorten(label, 18)
    half = max(round(text_width(text, 10.5) / wide / 2), 1)
    if len(theta) <= 2 * half + 1:
        return
    room = [
        float(high[place - half : place + half + 1].min() - low[place - half : place + half + 1].max())
        for place in range(half, len(theta) - half)
    ]
    best = int(np.argmax(room)) + half
    if room[best - half] >= 11:
        window = slice(best - half, best + half + 1)
        middle = (high[window].min() + low[window].max()) / 2
        axes.text(theta[best], middle / unit, text, ha="center", va="center_baseline", size=10.5, color=INK)


def _draw_error(axes: Axes, curve: pd.DataFrame) -> None:
    _heading(axes, "standard error, logits")
    theta, se, density = (curve[name].to_numpy(np.float64) for name in ("theta", "se", "density"))
    known = se[np.isfinite(se)]
    best = float(known.min()) if known.size else 1.0
    top = min(float(known.max(initial=best)), 4 * best) * 1.08
    axes.set_ylim(0, top)
    if np.isfinite(density).all():
        # The lowest that the curve can come is a little above.
        shape = density / density.max() * top * 0.2
        axes.fill_between(theta, 0, shape, color=LINE, alpha=0.6)
        peak = int(density.argmax())
        axes.text(theta[peak], shape[peak] / 2, "population", ha="center", va="center_baseline", size=11, color=SOFT)
    axes.plot(theta, np.where(se <= top, se, np.nan), color=ACCENT)
