"""Whether chains mix: traces and ranks of the numbers that were sampled worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.diagnostics.sampling import moving_draws, rank_shares, sampling_diagnostics
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.plots.style import GRID, LINE, SERIES, SOFT, panel_axes, round_ticks, shorten, style

__all__ = ["MixingPanel", "draw_mixing", "mixing_panels", "plot_mixing"]

_BINS, _TALL = 10, 104.0
_POINTS = 160
"""Draws of a chain that its line shows: more than there are pixels add bytes and no shape."""


@final
@dataclass(frozen=True)
class MixingPanel:
    """One number that was sampled.

    Attributes:
        label: Its name.
        r_hat: Its R-hat, NaN for one chain.
        ess: The smaller of its effective sample sizes.
        draws: Shape (chains, draws).
        shares: Share of each chain's draws in equal parts of the ranks, one where even, shape (chains, parts).
        chance: Half-width of the band around one that 95 % of the parts should keep.
    """

    label: str
    r_hat: float
    ess: float
    draws: NDArray[np.float64]
    shares: NDArray[np.float64]
    chance: float


def plot_mixing(fit: Fit, *, parameters: tuple[str, ...] | None = None, most: int = 3, width: float = 720) -> Figure:
    """Traces and ranks of the worst-sampled numbers: chains should wander over one range, and their ranks be even.

    Left every chain's draws in order (every so many of long chains); right how each chain's draws are spread over the
    ranks among all chains, with the band that chance leaves to chains that agree. `sampling_diagnostics` has the
    numbers; `plot_trace` and `plot_ranks` draw whole arrays.

    Args:
        fit: A fit with chains: `NUTS` or `PyMCNUTS`.
        parameters: Names to choose among; by default every array but the subjects'.
        most: Numbers to draw, those with the fewest effective draws.
        width: Pixels at 72 per inch.

    Raises:
        DataError: As `sampling_diagnostics`, `most` below one, or nothing that varies.

    Source: Vehtari et al. (2021), Bayesian Analysis 16, 667-718, section 4.3.
    """
    if most < 1:
        raise DataError(f"plot_mixing: most={most} must be 1 or more")
    panels = mixing_panels(fit, sampling_diagnostics(fit, parameters=parameters), most=most)
    if not panels:
        raise DataError("plot_mixing: nothing that was sampled varies")
    return draw_mixing(panels, width=width)


def mixing_panels(fit: Fit, frame: pd.DataFrame, *, most: int) -> list[MixingPanel]:
    """The first rows of `sampling_diagnostics` with their draws."""
    found: list[MixingPanel] = []
    for row in frame.head(most).to_dict("records"):
        draws, labels = moving_draws(fit, row["parameter"])
        own = draws[:, :, labels.index(row["level"])]
        shares, chance = rank_shares(own, bins=_BINS)
        name = str(row["parameter"]).replace("_", " ")
        label = f"{name}: {row['level']}" if row["level"] else name
        ess = min(row["ess_bulk"], row["ess_tail"])
        found.append(MixingPanel(label, row["r_hat"], ess, own, shares, chance))
    return found


def draw_mixing(panels: Sequence[MixingPanel], *, width: float) -> Figure:
    """For each number its traces and, beside or below them, its ranks.

    Args:
        panels: What to draw; of a single chain the ranks say nothing, and are left out.
        width: Pixels.
    """
    narrow = width < 480
    with_ranks = len(panels[0].draws) > 1
    across = 2 if with_ranks and not narrow else 1
    count = len(panels) * (2 if with_ranks else 1)
    with style():
        figure, axes = panel_axes(width, count, across=across, tall=_TALL, left=42, gap=34, head=24, foot=30)
        for index, panel in enumerate(panels):
            first = index * (2 if with_ranks else 1)
            _draw_trace(axes[first], panel, limit=22 if narrow else 34)
            if with_ranks:
                _draw_ranks(axes[first + 1], panel)
        return figure


def _draw_trace(axes: Axes, panel: MixingPanel, *, limit: int) -> None:
    n_draws = panel.draws.shape[1]
    shown = np.arange(0, n_draws, max(-(-n_draws // _POINTS), 1))
    for chain, draws in enumerate(panel.draws):
        axes.plot(shown + 1, draws[shown], color=SERIES[chain % len(SERIES)], lw=0.9, alpha=0.75)
    axes.set_xlim(1, n_draws)
    _label_ends(axes, (1, n_draws), ("draw 1", f"{n_draws:,}"))
    axes.yaxis.set_major_locator(round_ticks(4))
    axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11)
    axes.grid(axis="y", color=GRID, lw=1)
    axes.set_axisbelow(True)
    axes.annotate(shorten(panel.label, limit), (0, 1), (0, 6), "axes fraction", "offset points", size=12)
    words = f"ESS {panel.ess:,.0f}"
    words = f"R-hat {panel.r_hat:.3f}, {words}" if np.isfinite(panel.r_hat) else words
    axes.annotate(words, (1, 1), (0, 6), "axes fraction", "offset points", size=11, color=SOFT, ha="right")


def _draw_ranks(axes: Axes, panel: MixingPanel) -> None:
    """A row for each chain, its bars around a line where all would stand if ranks were even."""
    scale = max(2.0, 1.05 * float(panel.shares.max()), 1.1 * (1 + panel.chance))
    edges = np.linspace(0, 1, panel.shares.shape[1] + 1)
    low, high = max(1 - panel.chance, 0.0) / scale, (1 + panel.chance) / scale
    for chain, shares in enumerate(panel.shares):
        base = len(panel.shares) - 1 - chain
        axes.axhspan(base + low, base + high, color=GRID, lw=0)
        axes.axhline(base + 1 / scale, color=LINE, lw=1)
        colour = SERIES[chain % len(SERIES)]
        axes.stairs(base + shares / scale, edges, baseline=base, fill=True, color=colour, alpha=0.3, lw=0)
        axes.stairs(base + shares / scale, edges, baseline=None, color=colour, lw=1.3)
    axes.set(xlim=(0, 1), ylim=(0, len(panel.shares)), yticks=[])
    _label_ends(axes, (0, 1), ("lowest", "highest"))
    axes.annotate("ranks, by chain", (0, 1), (0, 6), "axes fraction", "offset points", size=11, color=SOFT)


def _label_ends(axes: Axes, places: tuple[float, float], words: tuple[str, str]) -> None:
    """Two tick labels that stay inside the axes."""
    axes.set_xticks(places, labels=words)
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
