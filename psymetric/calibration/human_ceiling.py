"""The human ceiling: how near other people come to people, and whether a judge comes as near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.distances import STATISTICS
from psymetric.calibration.distributions import check_uniform_share
from psymetric.calibration.panels import Panel, check_level, panel_of
from psymetric.calibration.resampled import correlation, interval, over_subjects
from psymetric.calibration.splits import judge_moments, people_moments, splits_of
from psymetric.data.coding import Label
from psymetric.data.messages import counted
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["HumanCeiling", "human_ceiling"]

Array = NDArray[np.float64]

_WHO = "human_ceiling"
_ROWS = (*STATISTICS, "entropy correlation")
_HIGHER = np.array([name == "entropy correlation" for name in _ROWS])


@final
@dataclass(frozen=True, repr=False)
class HumanCeiling:
    """A fresh panel of people, and judges, against the same other people.

    Attributes:
        frame: One row per group, rater and statistic: group (None for all units), judge (None for the panel of
            people), statistic, value, lower, upper, ceiling (the panel's value on the units of that judge), shortfall
            (how much worse than the panel, in either direction of the statistic; below 0 the judge is nearer) with
            shortfall_lower and shortfall_upper, n_units, n_subjects.
        panel: People in the panel.
        level: Coverage of the intervals.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    panel: int
    level: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        whole = self.frame[self.frame["group"].isna()]
        lines: list[str] = []
        for _, row in whole[whole["value"].notna()].iterrows():
            gap = f"  short by {row['shortfall']:.3f} [{row['shortfall_lower']:.3f}, {row['shortfall_upper']:.3f}]"
            rater = "people" if row["judge"] is None else str(row["judge"])
            lines.append(
                f"  {rater:<16.16}{row['statistic']:<22}{row['value']:7.3f}  [{row['lower']:.3f}, "
                f"{row['upper']:.3f}]{gap if pd.notna(row['shortfall']) else ''}"
            )
        title = f"{counted(self.panel, 'fresh person', 'fresh people')} against the others, {self.level:.0%} intervals"
        return "\n".join([title, *lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def human_ceiling(
    table: ResponseTable,
    *,
    tested: Label | Sequence[Label] = (),
    people: Sequence[Label] | None = None,
    judge: str = "judge",
    unit: Sequence[str] | None = None,
    by: str | None = None,
    panel: int = 1,
    uniform_share: float = 0.01,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> HumanCeiling:
    """What people reach against people, which is what a judge can be asked for, and how far each judge is short of it.

    Of the n people who labelled a unit k = `panel` are taken out, in every possible way; their distribution of labels
    and the judge's are compared with that of the same n − k others. Both therefore meet the same noise, which a
    comparison of the judge with all n does not allow for. The statistics are those of `distribution_agreement`; a
    smaller one is better, a larger entropy correlation is.

    | the judge gives | compare it with |
    |---|---|
    | one label | `panel=1`: one person more, also with one label |
    | a distribution | the panel whose cost it saves: `panel=2` or more, at most half of the people |

    A judge beyond the ceiling is possible: it may know the mean of people better than a person does. The people who
    are taken out come from the same people; a person of another kind may be further away.

    Args:
        table: Labels of people, and of judges, told apart by one facet; weights of people 0 or 1.
        tested: Level or levels of that facet to set beside the people; none for the ceiling alone.
        people: Levels that are people; by default all that are not tested.
        judge: The facet.
        unit: Facets that tell one thing from another; by default subject and item.
        by: Also report each level of this facet.
        panel: k. Units with k people or fewer are left out, with a note.
        uniform_share: As in `distribution_agreement`, for the panel and the judge alike.
        level: Coverage of the intervals, in (0, 1).
        draws: Bootstrap samples of subjects.
        seed: Seed of the bootstrap, and of the splits of units that have too many to be enumerated.

    Returns:
        A frame of statistics. Intervals: percentiles of the bootstrap of subjects, people being taken as given; the
        shortfall is resampled as a difference. The entropy correlation of a panel of one is not defined, as one label
        has no entropy.

    Raises:
        DataError: Fewer than two people, no unit with more people than `panel`, a judge that is one of the people or
            meets none of them, no such facet or level, a person's label given twice, or settings out of range.

    Source: leave-one-out and split-half agreement of people, as in Nie, Zhou & Bansal (2020), EMNLP, section 4
    (estimated human performance on distributions), here over all splits.
    """
    check_level(level, draws, who=_WHO)
    check_uniform_share(uniform_share, who=_WHO)
    if panel < 1:
        raise DataError(f"{_WHO}: panel={panel} people; take out at least 1")
    known = panel_of(table, tested, people=people, judge=judge, unit=unit, by=by, who=_WHO)
    size = known.counts.sum(axis=1)
    enough = size > panel
    if not enough.any():
        raise DataError(
            f"{_WHO}: no unit has more than panel={panel} people (got {int(size.max())} at most), so that nobody is "
            "left to compare with; take a smaller panel."
        )
    notes = [_few(enough, panel)] if not enough.all() else []
    if panel == 1:
        notes.append("one person gives one label, which has no entropy: entropy correlation needs panel=2 or more")
    splits = splits_of(known.counts[enough], panel, np.random.default_rng(seed))
    if splits.drawn:
        notes.append(f"splits of {counted(splits.drawn, 'pattern')} of labels were drawn, there being very many")
    fresh = people_moments(splits, known.values, uniform_share)
    frames = _group_frames(known, enough, None, fresh, fresh, level, draws, seed)
    for rows in known.judges:
        shares = rows.shares(known.n_units, len(known.values))[enough]
        met = np.isfinite(shares[:, 0])
        own = np.full_like(fresh, np.nan)
        if met.any():
            own[met] = judge_moments(replace(splits, place=splits.place[met]), shares[met], known.values, uniform_share)
        else:
            notes.append(f"{rows.label!r} labelled no unit with more than {counted(panel, 'person', 'people')}")
        frames += _group_frames(known, enough, rows.label, own, fresh, level, draws, seed)
    frame = pd.concat(frames, ignore_index=True).sort_values("order", kind="stable", ignore_index=True)
    return HumanCeiling(frame.drop(columns="order"), panel, level, tuple(notes))


def _few(enough: NDArray[np.bool_], panel: int) -> str:
    return (
        f"{int(np.sum(~enough)):,} of {counted(len(enough), 'unit')} have no more than "
        f"{counted(panel, 'person', 'people')} and are left out"
    )


def _group_frames(
    known: Panel,
    enough: NDArray[np.bool_],
    label: Label | None,
    own: Array,
    fresh: Array,
    level: float,
    draws: int,
    seed: int,
) -> list[pd.DataFrame]:
    """One frame per group: a judge (or, as None, the panel) beside the panel."""
    subject = known.subject[enough]
    frames: list[pd.DataFrame] = []
    for order, (group, mask) in enumerate(known.cases()):
        chosen = mask[enough] & np.isfinite(own[:, 0])
        if not chosen.any():
            continue
        columns = np.hstack([np.ones((int(chosen.sum()), 1)), own[chosen], fresh[chosen]])
        value, drawn = over_subjects(columns, subject[chosen], _statistics, draws=draws, seed=seed)
        lower, upper = interval(drawn, level)
        mine, panels, short = np.split(np.arange(3 * len(_ROWS)), 3)
        gap = np.nan if label is None else 1.0
        found = {
            "order": order,
            "group": pd.Series([group] * len(_ROWS), dtype=object),
            "judge": pd.Series([label] * len(_ROWS), dtype=object),
            "statistic": _ROWS,
            "value": value[mine],
            "lower": lower[mine],
            "upper": upper[mine],
            "ceiling": value[panels],
            "shortfall": value[short] * gap,
            "shortfall_lower": lower[short] * gap,
            "shortfall_upper": upper[short] * gap,
            "n_units": int(chosen.sum()),
            "n_subjects": len(np.unique(subject[chosen])),
        }
        frames.append(pd.DataFrame(found))
    return frames


def _statistics(sums: Array) -> Array:
    """Statistics of the judge, of the panel, and how much worse the judge is, from sums over units."""
    n = sums[..., :1]
    mine, panels = (_values(n, sums[..., start : start + 10]) for start in (1, 11))
    return np.concatenate([mine, panels, np.where(_HIGHER, panels - mine, mine - panels)], axis=-1)


def _values(n: Array, moments: Array) -> Array:
    return np.concatenate([moments[..., :5] / n, correlation(n, *np.split(moments[..., 5:], 5, axis=-1))], axis=-1)
