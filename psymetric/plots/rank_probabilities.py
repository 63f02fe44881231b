"""How likely every rank is for every level, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.data.scores import Scores
from psymetric.estimation.fit import Fit
from psymetric.plots.matrix import draw_matrix
from psymetric.scoring.ranks import rank_probabilities

__all__ = ["draw_rank_probabilities", "plot_rank_probabilities"]

_DARKEST = 0.2
"""Probability that is darkest where ranks are least settled: an order that nobody knows stays pale."""


def plot_rank_probabilities(
    fit_or_scores: Fit | Scores,
    *,
    facet: str | None = None,
    draws: int = 10_000,
    seed: int = 0,
    most: int = 60,
    width: float = 720,
) -> Figure:
    """Probability of every rank for every level, darker where higher: dark cells on the diagonal are a settled order.

    The numbers are those of `rank_probabilities`. A row whose shade is wide may be anywhere within it.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.
        draws: How many, where they are drawn here.
        seed: Seed of the random numbers.
        most: Levels and ranks to show, from the first.
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `rank_probabilities`.
    """
    frame = rank_probabilities(fit_or_scores, facet=facet, draws=draws, seed=seed)
    chances = frame.to_numpy(np.float64)
    return draw_rank_probabilities(
        chances[:most, :most], [str(label) for label in frame.index[:most]], width=width, total=len(frame)
    )


def draw_rank_probabilities(
    chances: NDArray[np.float64], labels: Sequence[str], *, width: float, total: int | None = None
) -> Figure:
    """The matrix of rank probabilities.

    Args:
        chances: Shape (levels, ranks), levels by their estimates, ranks from 1.
        labels: Names of the levels.
        width: Pixels.
        total: Levels in all, where these are the first of them.
    """
    cut = "" if total is None or total == len(labels) else f" (the first {len(labels)} of {total:,})"
    return draw_matrix(
        chances,
        rows=labels,
        columns=[str(rank + 1) for rank in range(chances.shape[1])],
        width=width,
        heading=f"rank{cut}",
        # By the usual row: one settled rank does not make all others pale.
        darkest=float(np.clip(1.5 * np.median(chances.max(axis=1)), _DARKEST, 1.0)),
    )
