"""Where people disagree: their entropy against a judge's, and judges beside the human ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.calibration.distributions import DistributionAgreement
from psymetric.calibration.human_ceiling import HumanCeiling
from psymetric.data.messages import counted, nearest
from psymetric.errors import DataError
from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.plots.style import ACCENT, GRID, INK, SOFT, WARN, panel_axes, round_ticks, shorten, style

__all__ = ["Entropies", "draw_entropies", "plot_entropies", "plot_human_ceiling"]

Array = NDArray[np.float64]

_TALL, _WIDEST = 230.0, 300.0
_BINS = 16
"""Places along each axis that units are gathered at."""
_LARGEST = 11.0
"""Radius in pixels of the bubble with the most units."""
_FEW = 5
"""Units from which the mean of a column of bubbles is drawn."""


@final
@dataclass(frozen=True)
class Entropies:
    """Entropies of U units, in bits.

    Attributes:
        label: The judge.
        people: Of people's labels, shape (U,).
        judge: Of the judge's, shape (U,).
        expected: Of all people, given the labels of these, shape (U,): what a perfect judge's would be.
        r: Pearson's correlation of the two; NaN where it is not defined.
    """

    label: str
    people: Array
    judge: Array
    expected: Array
    r: float


def plot_entropies(found: DistributionAgreement, *, width: float = 720) -> Figure:
    """Where people disagree, does the judge hesitate? Entropy of its labels against theirs, a panel for each judge.

    The dashed line is a judge that knows what all people would say: above the diagonal where people are few, since a
    few who agree need not be all. The full line, the judge's mean, should follow it.

    Args:
        found: From `distribution_agreement`.
        width: Pixels at 72 per inch.
    """
    whole = found.frame[found.frame["group"].isna() & (found.frame["statistic"] == "entropy correlation")]
    panels: list[Entropies] = []
    for _, row in whole.iterrows():
        own = found.units[found.units["judge"] == row["judge"]]
        bits = (own[f"entropy_{whose}"].to_numpy(np.float64) for whose in ("people", "judge", "expected"))
        panels.append(Entropies(str(row["judge"]), *bits, r=float(row["value"])))
    return draw_entropies(panels, width=width)


def draw_entropies(panels: list[Entropies], *, width: float) -> Figure:
    """Bubbles of units, a dashed line of what is expected of a perfect judge, and a full one of the judge's mean.

    Args:
        panels: Judges, one panel each.
        width: Pixels.
    """
    bits = [float(values.max(initial=0)) for one in panels for values in (one.people, one.judge, one.expected)]
    highest = max(bits, default=0.0)
    top = max(highest, 0.5) * 1.06
    across = max(min(len(panels), int(width // 230)), 1)
    # A lone panel is not stretched over the whole width.
    wide = min(width, 60 + across * _WIDEST)
    with style():
        figure, axes = panel_axes(wide, len(panels), across=across, tall=_TALL, left=46, gap=44, head=34, foot=50)
        for panel, place in zip(panels, axes, strict=True):
            _draw_panel(place, panel, top)
        return figure


def _draw_panel(axes: Axes, panel: Entropies, top: float) -> None:
    low = -0.06 * top
    axes.set(xlim=(low, top), ylim=(low, top))
    axes.grid(color=GRID, lw=1)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(round_ticks(4))
    step = top / _BINS
    spots, size = np.unique(
        np.column_stack([np.rint(panel.people / step), np.rint(panel.judge / step)]), axis=0, return_counts=True
    )
    radius = np.maximum(_LARGEST * np.sqrt(size / size.max()), 1.5)
    axes.scatter(*(spots * step).T, s=np.pi * radius**2, color=ACCENT, alpha=0.45, linewidths=0, zorder=2)
    column = np.rint(panel.people / step).astype(np.int64)
    count = np.bincount(column)
    kept = np.flatnonzero(count >= _FEW)
    for bits, colour, dashes in ((panel.expected, SOFT, "--"), (panel.judge, WARN, "-")):
        mean = np.bincount(column, bits)[kept] / count[kept]
        axes.plot(kept * step, mean, color=colour, lw=1.8, ls=dashes, marker="o", ms=3.5, zorder=3)
    axes.set_xlabel("people, bits", labelpad=4, loc="right")
    axes.set_ylabel("judge, bits", labelpad=4, loc="top")
    said = "" if np.isnan(panel.r) else f"r = {panel.r:.2f}"
    axes.set_title(shorten(panel.label, 24), loc="left", size=12.5, color=INK, pad=8)
    axes.set_title(said, loc="right", size=11.5, color=SOFT, pad=8)


def plot_human_ceiling(
    found: HumanCeiling, *, statistic: str = "total variation", most: int = 60, width: float = 720
) -> Figure:
    """Judges beside a fresh panel of people, both against the same other people; the panel has an open dot.

    A judge whose whole interval of the shortfall is on the wrong side of the panel is drawn in the warning colour.

    Args:
        found: From `human_ceiling`.
        statistic: Which of its statistics.
        most: Groups beyond this many rows are left out.
        width: Pixels at 72 per inch.

    Raises:
        DataError: No such statistic, or one that is not defined for this panel.
    """
    own = found.frame[(found.frame["statistic"] == statistic) & found.frame["ceiling"].notna()]
    if own.empty:
        known = found.frame.loc[found.frame["ceiling"].notna(), "statistic"].unique()
        raise DataError(f"plot_human_ceiling: no statistic {statistic!r} of this panel; {nearest(statistic, known)}")
    panel = counted(found.panel, "person", "people")
    grouped = own["group"].notna().any()
    rows = [
        IntervalRow(
            label=f"{panel} more" if row["judge"] is None else str(row["judge"]),
            estimate=float(row["value"]),
            lower=float(row["lower"]),
            upper=float(row["upper"]),
            value=f"{row['value']:.2f}",
            group=str(row["group"]) if row["group"] is not None else "all" if grouped else "",
            marked=row["judge"] is None,
            alarming=bool(row["shortfall_lower"] > 0),
        )
        for _, row in own.iterrows()
    ]
    # All units together are said first, and the groups have their own ceilings.
    reference = None if grouped else float(own["ceiling"].iloc[0])
    axis = f"{statistic} from the other people"
    return draw_intervals(rows[:most], width=width, axis=axis, reference=reference, skipped=0)
