"""Residual components: how large they are beside what chance gives, and what the first of them sets apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.components import residual_components
from psymetric.estimation.fit import Fit
from psymetric.plots.style import (
    ACCENT,
    BACK,
    GRID,
    LINE,
    SOFT,
    WARN,
    canvas,
    pixels_by_data,
    round_ticks,
    shorten,
    style,
    text_width,
)

__all__ = ["draw_components", "plot_components"]

_COMPONENTS, _LEVELS = 10, 14
_TALL, _ROW, _HEAD, _FOOT = 190.0, 20.0, 30.0, 44.0
_GAP = 30.0


def plot_components(
    fit: Fit,
    table: ResponseTable,
    *,
    facet: str = "item",
    simulations: int = 100,
    quantile: float = 0.95,
    seed: int = 0,
    width: float = 720,
) -> Figure:
    """Eigenvalues of residual components with the band of simulated tables, and the loadings on the first.

    The numbers are those of `residual_components`. A component above the band is a second dimension, or dependence
    between a few levels; it is an open dot in the warning colour. Levels at the two ends of the loadings are what it
    sets apart; within the band they mean nothing.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.
        facet: "item", "judge" or another facet crossed with the subjects.
        simulations: Tables simulated for the band; 0 for none.
        quantile: Upper end of the band, in (0, 1).
        seed: Seed of the simulations.
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `residual_components`.

    Source: Horn (1965), Psychometrika 30, 179-185; Raîche (2005), Rasch Measurement Transactions 19:1, 1012.
    """
    found = residual_components(fit, table, facet=facet, simulations=simulations, quantile=quantile, seed=seed)
    return draw_components(found.eigenvalues, found.loadings, width=width)


def draw_components(eigenvalues: pd.DataFrame, loadings: pd.DataFrame, *, width: float) -> Figure:
    """The first eigenvalues beside their band; beside or below them the loadings, those near zero left out of many.

    Args:
        eigenvalues: Columns component, eigenvalue, simulated_mean and simulated_upper (NaN for no band), and flag.
        loadings: Columns level and contrast_1.
        width: Pixels.
    """
    shown, skipped = _outermost(loadings)
    narrow = width < 480
    limit = 16 if narrow else 24
    labels = [shorten(label, limit) for label in shown["level"]]
    names = max(map(text_width, labels), default=40.0) + 14
    below = _ROW * (len(shown) + bool(skipped))
    tall = _TALL if narrow else max(_TALL, below)
    height = 2 * (_HEAD + _FOOT) + tall + below if narrow else _HEAD + tall + _FOOT
    wide = width - 46 if narrow else 0.5 * (width - 38 - _GAP)
    left = names if narrow else 38 + wide + _GAP + names
    with style():
        figure, first = canvas(width, height)
        figure.delaxes(first)
        scree = figure.add_axes((38 / width, 1 - (_HEAD + tall) / height, wide / width, tall / height))
        _draw_scree(scree, eigenvalues)
        top = 2 * _HEAD + tall + _FOOT if narrow else _HEAD
        rows = figure.add_axes((left / width, 1 - (top + below) / height, (width - left - 8) / width, below / height))
        _draw_loadings(rows, shown["contrast_1"].to_numpy(np.float64), labels, left - names, skipped)
        return figure


def _outermost(loadings: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Levels by loading, the highest first; of many those at the ends, and how many were left out between them."""
    ordered = loadings.sort_values("contrast_1", ascending=False, kind="stable")
    if len(ordered) <= _LEVELS:
        return ordered, 0
    half = _LEVELS // 2
    return pd.concat([ordered.head(half), ordered.tail(half)]), len(ordered) - 2 * half


def _draw_scree(axes: Axes, eigenvalues: pd.DataFrame) -> None:
    frame = eigenvalues.head(_COMPONENTS)
    place, value, mean, upper = (
        frame[name].to_numpy(np.float64) for name in ("component", "eigenvalue", "simulated_mean", "simulated_upper")
    )
    beyond = (frame["flag"] != "").to_numpy(bool)
    if np.isfinite(upper).all():
        axes.fill_between(place, mean, upper, color=GRID, lw=0)
        axes.plot(place, upper, color=LINE, lw=1)
        axes.plot(place, mean, color=LINE, lw=1, ls=(0, (3, 3)))
    axes.plot(place, value, color=ACCENT, lw=1.4, alpha=0.5)
    axes.plot(place[~beyond], value[~beyond], "o", ms=6, color=ACCENT)
    axes.plot(place[beyond], value[beyond], "o", ms=7, mfc=BACK, mec=WARN, mew=1.8)
    axes.set_xlim(0.6, place[-1] + 0.4)
    axes.set_ylim(0, 1.1 * float(np.nanmax(np.append(value, upper))))
    axes.set_xticks(place)
    axes.yaxis.set_major_locator(round_ticks(5))
    axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
    axes.grid(axis="y", color=GRID, lw=1)
    axes.set_axisbelow(True)
    axes.set_xlabel("component", labelpad=4, loc="right")
    words = "eigenvalue (shaded: what chance gives)" if np.isfinite(upper).all() else "eigenvalue"
    axes.annotate(words, (0, 1), (-30, 10), "axes fraction", "offset points", color=SOFT)


def _draw_loadings(axes: Axes, values: NDArray[np.float64], labels: list[str], names_at: float, skipped: int) -> None:
    """Dots on lines from zero, with a gap of one row where levels were left out."""
    half = len(values) / 2
    places = np.arange(len(values)) + (np.arange(len(values)) >= half if skipped else 0)
    most = max(float(np.abs(values).max()), 0.1)
    axes.set(xlim=(-1.08 * most, 1.08 * most), ylim=(len(values) + bool(skipped) - 0.5, -0.5), yticks=[])
    axes.axvline(0, color=LINE, lw=1.2, zorder=1)
    axes.hlines(places, 0, values, color=ACCENT, lw=2.2, alpha=0.55)
    axes.plot(values, places, "o", ms=6, color=ACCENT)
    axes.xaxis.set_major_locator(round_ticks(4))
    axes.grid(axis="x", color=GRID, lw=1)
    axes.set_axisbelow(True)
    axes.set_xlabel("correlation", labelpad=4, loc="right")
    across = pixels_by_data(axes)
    for place, label in zip(places.tolist(), labels, strict=True):
        axes.text(names_at, place, label, transform=across, va="center_baseline")
    if skipped:
        axes.text(names_at, half, f"… {skipped:,} more", transform=across, va="center_baseline", color=SOFT)
    axes.text(names_at, -1.05, "loading on the first component", transform=across, va="center_baseline", color=SOFT)
