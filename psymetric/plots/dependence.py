"""Dependence map: which levels of a facet share more than the measured ability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.local_dependence import residual_correlations
from psymetric.estimation.fit import Fit
from psymetric.plots.heat_map import draw_heat_map, strongest

__all__ = ["draw_dependence", "plot_dependence"]

_FULL = 0.5
"""Corrected Q3 from which cells are darkest: small ones stay pale whatever the largest is."""


def plot_dependence(
    fit: Fit, table: ResponseTable, *, facet: str = "item", threshold: float = 0.2, width: float = 720
) -> Figure:
    """Yen's Q3 between the levels of a facet, less its mean: the lower triangle, with what is flagged in frames.

    The numbers are those of `residual_correlations`. A frame is a pair further from the mean than `threshold` and than
    twice its standard error. Of more than 24 levels those with the largest correlations are drawn.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.
        facet: "item", "judge" or another facet crossed with the subjects.
        threshold: Distance from the mean correlation that is framed, in (0, 1).
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `residual_correlations`.
    """
    frame = residual_correlations(fit, table, facet=facet, threshold=threshold)
    labels = [label for label in table.levels[facet] if label in {*frame["first"], *frame["second"]}]
    return draw_dependence(frame, labels, width=width)


def draw_dependence(frame: pd.DataFrame, labels: Sequence[object], *, width: float) -> Figure:
    """The lower triangle of corrected residual correlations.

    Args:
        frame: Columns first, second, q3_corrected and flag.
        labels: Every level, in order.
        width: Pixels.
    """
    place = {label: index for index, label in enumerate(labels)}
    first, second = (frame[name].map(place).to_numpy(np.intp) for name in ("first", "second"))
    low, high = np.minimum(first, second), np.maximum(first, second)
    values = np.full((len(labels), len(labels)), np.nan)
    framed = np.zeros(values.shape, bool)
    values[high, low] = frame["q3_corrected"].to_numpy(np.float64)
    framed[high, low] = frame["flag"].str.startswith(("dependent", "opposed")).to_numpy(bool)
    most = 12 if width < 480 else 24
    whole = np.fmax(values, values.T) if len(labels) <= most else np.where(np.isnan(values), values.T, values)
    kept, _ = strongest(whole, (most, most))
    chosen = np.ix_(kept[1:], kept[:-1])
    heading = "residual correlation (Q3) above or below its mean"
    if len(kept) < len(labels):
        heading += f" ({len(labels) - len(kept):,} levels not shown)"
    names = [str(labels[index]) for index in kept]
    return draw_heat_map(
        values[chosen],
        rows=names[1:],
        columns=names[:-1],
        width=width,
        heading=heading,
        marked=framed[chosen],
        darkest=max(_FULL, float(np.nanmax(np.abs(values), initial=0.0))),
    )
