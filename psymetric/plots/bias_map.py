"""Bias map: where one facet treats a level of another unlike the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.bias import bias_analysis
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.plots.heat_map import draw_heat_map, strongest

__all__ = ["BiasMap", "draw_bias_map", "lay_out", "plot_bias"]

_MATTERS = 0.5
"""Logits from which a bias is worth a look (Linacre, FACETS manual); smaller ones stay pale."""


@final
@dataclass(frozen=True)
class BiasMap:
    """Departures of two facets as a matrix.

    Attributes:
        rows: Levels down the side.
        columns: Levels across the top.
        estimate: Logits, positive is more severe, shape (rows, columns); NaN without an estimate.
        sure: Cells beyond chance, same shape.
        omitted: Rows and columns left out, those with the weakest departures.
    """

    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    estimate: NDArray[np.float64]
    sure: NDArray[np.bool_]
    omitted: tuple[int, int]


def plot_bias(
    fit: Fit, table: ResponseTable, first: str, second: str, *, alpha: float = 0.05, width: float = 720
) -> Figure:
    """Joint departures of two facets in logits: warm cells are more severe than both alone say, cool ones more lenient.

    The numbers are those of `bias_analysis`; framed are cells whose Holm-adjusted p is below `alpha`. Of more levels
    than fit, those with the surest departures are drawn.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.
        first: A facet, such as "judge".
        second: Another, such as "item".
        alpha: Chance of any false frame, in (0, 1).
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `bias_analysis`; `alpha` is no probability.
    """
    if not 0 < alpha < 1:
        raise DataError(f"plot_bias: alpha={alpha} is not a probability between 0 and 1, such as 0.05")
    frame = bias_analysis(fit, table, first, second)
    sure = (frame["p_holm"] < alpha).to_numpy(bool)
    return draw_bias_map(lay_out(frame, first, second, sure=sure, width=width), width=width)


def lay_out(
    frame: pd.DataFrame, first: str, second: str, *, sure: NDArray[np.bool_], strength: str = "t", width: float = 720
) -> BiasMap:
    """A table of departures as a matrix, the facet with more levels down the side, cut to what fits.

    Args:
        frame: One row per cell: both facets' labels, estimate, and the column `strength`.
        first: A facet.
        second: Another.
        sure: Rows beyond chance.
        strength: Column of what decides which levels are kept: estimates over their errors.
        width: Pixels.
    """
    if frame[first].nunique() < frame[second].nunique():
        first, second = second, first
    rows, columns = (list(dict.fromkeys(frame[name])) for name in (first, second))
    shape = (len(rows), len(columns))
    at = (
        frame[first].map({label: place for place, label in enumerate(rows)}).to_numpy(np.intp),
        frame[second].map({label: place for place, label in enumerate(columns)}).to_numpy(np.intp),
    )
    estimate, t = np.full(shape, np.nan), np.full(shape, np.nan)
    estimate[at], t[at] = (frame[name].to_numpy(np.float64) for name in ("estimate", strength))
    beyond = np.zeros(shape, bool)
    beyond[at] = sure
    kept, across = strongest(t, (30, 10 if width < 480 else 24))
    chosen = np.ix_(kept, across)
    return BiasMap(
        tuple(rows[place] for place in kept),
        tuple(columns[place] for place in across),
        estimate[chosen],
        beyond[chosen],
        (shape[0] - len(kept), shape[1] - len(across)),
    )


def draw_bias_map(found: BiasMap, *, width: float) -> Figure:
    """The matrix of departures.

    Args:
        found: What to draw.
        width: Pixels.
    """
    heading = "departure, logits: + more severe, − more lenient"
    if any(found.omitted):
        heading += f" ({found.omitted[0]:,} rows, {found.omitted[1]:,} columns not shown)"
    return draw_heat_map(
        found.estimate,
        rows=[str(label) for label in found.rows],
        columns=[str(label) for label in found.columns],
        width=width,
        heading=heading,
        marked=found.sure,
        darkest=max(_MATTERS, float(np.nanmax(np.abs(found.estimate), initial=0.0))),
    )
