"""A leaderboard: measures as dots with intervals, the ranks they may have, and tiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psymetric.data.scores import Scores
from psymetric.estimation.fit import Fit
from psymetric.plots.style import (
    ACCENT,
    GRID,
    INK,
    LINE,
    SOFT,
    canvas,
    pixels_by_data,
    round_ticks,
    shorten,
    style,
    text_width,
)
from psymetric.scoring.ranked import intervals_of, ranked
from psymetric.scoring.ranks import rank_intervals
from psymetric.scoring.tiers import tiers

__all__ = ["LeaderRow", "draw_leaderboard", "plot_leaderboard"]

_TALL, _TIGHT = 25.0, 18.0
"""Pixels of a row, of few and of many."""
_FEW = 30


@final
@dataclass(frozen=True)
class LeaderRow:
    """One level.

    Attributes:
        label: Its name.
        estimate: Place of the dot.
        lower: Lower end of its interval.
        upper: Upper end.
        rank: From 1, the highest.
        rank_lower: Best rank it may have.
        rank_upper: Worst rank it may have.
        tier: From 1.
    """

    label: str
    estimate: float
    lower: float
    upper: float
    rank: int
    rank_lower: int
    rank_upper: int
    tier: int

    @property
    def ranks(self) -> str:
        """The range of ranks."""
        one = self.rank_lower == self.rank_upper
        return f"{self.rank_lower}" if one else f"{self.rank_lower}–{self.rank_upper}"


def plot_leaderboard(
    fit_or_scores: Fit | Scores,
    *,
    facet: str | None = None,
    level: float | None = None,
    threshold: float = 0.95,
    draws: int = 2_000,
    seed: int = 0,
    most: int = 60,
    width: float = 720,
) -> Figure:
    """Measures with their intervals, beside them the ranks that each may have, by tiers.

    The numbers are those of `rank_intervals` and `tiers`. A thin line stands where a tier begins: at the first level
    that the leader of the tier above exceeds with at least the threshold probability.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.
        level: Coverage of both intervals, in (0, 1); by default .95 of a fit, and that of the scores.
        threshold: As in `tiers`.
        draws: As in `rank_intervals`.
        seed: Seed of the random numbers.
        most: Levels to show, from the first.
        width: Pixels at 72 per inch; under 480 ranks are written and not drawn.

    Raises:
        DataError: As `rank_intervals` and `tiers`; a level that the scores do not have.
    """
    found = ranked(fit_or_scores, facet, "plot_leaderboard")
    coverage, lower, upper = intervals_of(fit_or_scores, facet, level, found, "plot_leaderboard")
    ranks = rank_intervals(fit_or_scores, facet=facet, level=coverage, draws=draws, seed=seed)
    tier = tiers(fit_or_scores, facet=facet, threshold=threshold)["tier"]
    estimates = (found.comparisons.estimate, lower, upper)
    places = (ranks["rank"], ranks["rank_lower"], ranks["rank_upper"], tier)
    count = min(len(found.labels), most)
    numbers = np.column_stack([column[:count] for column in estimates]).tolist()
    whole = np.column_stack([column[:count].to_numpy(np.int64) for column in places]).tolist()
    rows = [LeaderRow(str(label), *a, *b) for label, a, b in zip(found.labels[:count], numbers, whole, strict=True)]
    unit = fit_or_scores.unit if isinstance(fit_or_scores, Scores) else "logits"
    return draw_leaderboard(rows, width=width, axis=f"{unit}, {coverage:.0%} intervals", total=len(found.labels))


def draw_leaderboard(rows: Sequence[LeaderRow], *, width: float, axis: str, total: int | None = None) -> Figure:
    """The leaderboard from top to bottom, in the order given.

    Args:
        rows: What to draw.
        width: Pixels; under 480 ranks are written and not drawn.
        axis: What the horizontal axis measures, with its unit.
        total: Levels in all, where these are the first of them.
    """
    total = len(rows) if total is None else total
    narrow = width < 480
    tall = _TALL if len(rows) <= _FEW else _TIGHT
    labels = [shorten(row.label, 17 if narrow else 30) for row in rows]
    left = min(max((text_width(label) for label in labels), default=40) + 16, width * 0.42)
    written = max([text_width(row.ranks, 11.5) for row in rows] + [text_width("rank", 11.5)]) + 12
    named = 0.0 if narrow else text_width(f"tier {max((row.tier for row in rows), default=1)}", 11) + 10
    # Above the rows there is only what has no axis to say it.
    top, bottom = 24.0 if narrow or total > len(rows) else 8.0, 48.0
    height = top + bottom + tall * len(rows)
    room = width - left - written - named
    drawn = room if narrow else room * 0.62
    with style():
        figure, axes = canvas(width, height, left=left, right=width - left - drawn, top=top, bottom=bottom)
        _measures(axes, rows, axis)
        across = pixels_by_data(axes)
        for y, (row, label) in enumerate(zip(rows, labels, strict=True)):
            axes.text(0, y, label, transform=across, va="center_baseline", size=12)
            end = width - named
            axes.text(end, y, row.ranks, transform=across, va="center_baseline", ha="right", size=11.5, color=SOFT)
        if not narrow:
            box = (
                (left + drawn + 22) / width,
                bottom / height,
                (room - drawn - 26) / width,
                1 - (top + bottom) / height,
            )
            _ranks(figure.add_axes(box), rows, total)
        else:
            figure.text(1, 1 - 14 / height, "rank", ha="right", size=11.5, color=SOFT)
        _tiers(axes, rows, width, named=not narrow)
        if total > len(rows):
            figure.text(0, 1 - 14 / height, f"the first {len(rows)} of {total:,}", size=11.5, color=SOFT)
        return figure


def _measures(axes: Axes, rows: Sequence[LeaderRow], axis: str) -> None:
    """Dots with intervals, on an axis with a grid."""
    ends = np.array([[row.lower, row.estimate, row.upper] for row in rows], dtype=float)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    pad = 0.04 * max(high - low, 0.2)
    axes.set(xlim=(low - pad, high + pad), ylim=(len(rows) - 0.5, -0.5))
    _scale(axes, axis, most=6)
    for y, (lower, estimate, upper) in enumerate(ends.tolist()):
        axes.plot([lower, upper], [y, y], color=ACCENT, lw=2.2, alpha=0.55)
        axes.plot(estimate, y, "o", ms=6 if len(rows) <= _FEW else 5, color=ACCENT)


def _ranks(axes: Axes, rows: Sequence[LeaderRow], total: int) -> None:
    """Ranges of ranks as bars, first to the left."""
    axes.set(xlim=(0.3, max(total, 2) + 0.7), ylim=(len(rows) - 0.5, -0.5), facecolor="none")
    _scale(axes, "rank", most=5)
    for y, row in enumerate(rows):
        axes.plot(
            [row.rank_lower - 0.3, row.rank_upper + 0.3], [y, y], color=INK, lw=5, alpha=0.3, solid_capstyle="butt"
        )
        axes.plot(row.rank, y, "|", ms=9, mew=1.6, color=INK)


def _scale(axes: Axes, name: str, *, most: int) -> None:
    # A tick label takes about 46 pixels.
    axes.xaxis.set_major_locator(round_ticks(max(min(int(axes.bbox.width / 46), most), 2), whole=name == "rank"))
    axes.set_yticks([])
    axes.grid(axis="x", color=GRID, lw=1)
    axes.set_axisbelow(True)
    axes.set_xlabel(name, labelpad=6, loc="right")


def _tiers(axes: Axes, rows: Sequence[LeaderRow], width: float, *, named: bool) -> None:
    """A thin line where a tier begins, and its name at its first row."""
    across = pixels_by_data(axes)
    for y, row in enumerate(rows):
        if y and rows[y - 1].tier == row.tier:
            continue
        if y:
            axes.plot([0, width], [y - 0.5, y - 0.5], transform=across, color=LINE, lw=1, clip_on=False)
        if named:
            text = f"tier {row.tier}"
            axes.text(width, y, text, transform=across, va="center_baseline", ha="right", size=11, color=INK)
