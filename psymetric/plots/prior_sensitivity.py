"""Probability of the order of pairs under every prior of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.plots.style import GRID, SERIES, SOFT, canvas, shorten, style
from psymetric.sensitivity.prior_grid import PriorSensitivity

__all__ = ["draw_prior_sensitivity", "plot_prior_sensitivity"]

_ROW: Final = 22.0
_NAMES: Final = 200.0


def plot_prior_sensitivity(found: PriorSensitivity, *, most: int = 30, width: float = 720) -> Figure:
    """One line per pair: its probability of order under every usable prior, the model's own as a filled dot.

    Args:
        found: From `prior_sensitivity`.
        most: Pairs to show, those whose probability moves most.
        width: Pixels at 72 per inch.
    """
    pairs = found.pairs()
    pairs = pairs.assign(moves=pairs["highest"] - pairs["lowest"])
    pairs = pairs.sort_values("moves", ascending=False, kind="stable").head(most)
    place = {str(label): at for at, label in enumerate(found.candidates)}
    rows = [
        found.above[:, place[str(first)], place[str(second)]]
        for first, second in zip(pairs["first"], pairs["second"], strict=True)
    ]
    names = [f"{one} over {other}" for one, other in zip(pairs["first"], pairs["second"], strict=True)]
    labels = [str(label) for label in pairs["label"]]
    return draw_prior_sensitivity(
        np.array(rows), names, labels, reference=found.reference, threshold=found.threshold, width=width
    )


def draw_prior_sensitivity(
    above: NDArray[np.float64],
    names: Sequence[str],
    labels: Sequence[str],
    *,
    reference: int,
    threshold: float,
    width: float,
) -> Figure:
    """Dots of probabilities, a row per pair.

    Args:
        above: Shape (pairs, cells); NaN is left out, and a pair of NaN has its label alone.
        names: Of the pairs.
        labels: How robust each is, written at its end.
        reference: The cell of the model's own prior.
        threshold: Drawn as a line.
        width: Pixels.
    """
    with style():
        tall = 60 + _ROW * len(names)
        figure, axes = canvas(width, tall, left=_NAMES, right=110, top=24, bottom=36)
        for row, values in enumerate(above):
            if np.isfinite(values).any():
                axes.plot([np.nanmin(values), np.nanmax(values)], [row, row], color=GRID, lw=3, zorder=1)
            axes.plot(values, np.full(len(values), row), "o", ms=4, mfc="none", color=SERIES[0], zorder=2)
            axes.plot(values[reference], row, "o", ms=6, color=SERIES[0], zorder=3)
            axes.text(1.03, row, labels[row], color=SOFT, va="center", size=11)
        axes.axvline(threshold, color=SOFT, lw=1, ls="--")
        axes.set_xlim(0, 1)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), [shorten(name, 28) for name in names])
        axes.set_xlabel("probability of the order under each prior")
        return figure
