"""How sure it is that one level lies above another, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.data.scores import Scores
from psymetric.estimation.fit import Fit
from psymetric.plots.matrix import draw_matrix
from psymetric.scoring.ranks import pairwise_probabilities

__all__ = ["draw_pairwise_probabilities", "plot_pairwise_probabilities"]


def plot_pairwise_probabilities(
    fit_or_scores: Fit | Scores, *, facet: str | None = None, most: int = 60, width: float = 720
) -> Figure:
    """Probability that the row's level lies above the column's, best first: pale cells right of the diagonal are open.

    The numbers are those of `pairwise_probabilities`. They are about the measures, not about single comparisons: with
    enough data every one of them is near 0 or 1.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.
        most: Levels to show, from the first.
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `pairwise_probabilities`.
    """
    frame = pairwise_probabilities(fit_or_scores, facet=facet)
    above = frame.to_numpy(np.float64, copy=True)
    np.fill_diagonal(above, np.nan)
    return draw_pairwise_probabilities(
        above[:most, :most], [str(label) for label in frame.index[:most]], width=width, total=len(frame)
    )


def draw_pairwise_probabilities(
    above: NDArray[np.float64], labels: Sequence[str], *, width: float, total: int | None = None
) -> Figure:
    """The matrix of probabilities of order.

    Args:
        above: Shape (levels, levels), NaN on the diagonal.
        labels: Names of the levels, which the columns have by number.
        width: Pixels.
        total: Levels in all, where these are the first of them.
    """
    cut = "" if total is None or total == len(labels) else f" (the first {len(labels)} of {total:,})"
    return draw_matrix(
        above,
        rows=[f"{index + 1}  {label}" for index, label in enumerate(labels)],
        columns=[str(index + 1) for index in range(len(labels))],
        width=width,
        heading=f"measures above number{cut}",
    )
