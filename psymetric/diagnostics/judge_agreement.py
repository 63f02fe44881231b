"""Agreement of judges without a model: shares, kappas, Gwet's AC, Krippendorff's alpha, intraclass correlations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from html import escape
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.chance_corrected import (
    Estimate,
    Metric,
    Scheme,
    agreement,
    agreement_weights,
    coincidences,
    fleiss,
    gwet,
    krippendorff,
)
from psymetric.diagnostics.intraclass import one_way, two_way
from psymetric.diagnostics.judge_pairs import PairCells, observed, pair_cells, pair_frame
from psymetric.diagnostics.ratings import Ratings, grouped_ratings
from psymetric.errors import DataError

__all__ = ["JudgeAgreement", "judge_agreement"]

_WHO = "judge_agreement"
_METRICS: tuple[Metric, ...] = ("nominal", "ordinal", "interval")
_SOURCES = {
    "exact agreement": "pairs of ratings",
    "exact agreement by chance": "margins of each pair",
    "adjacent agreement": "pairs of ratings",
    "adjacent agreement by chance": "margins of each pair",
    "Fleiss kappa": "Fleiss 1971",
    "Gwet AC1": "Gwet 2008",
    "Gwet AC2 linear": "Gwet 2014",
    "Gwet AC2 quadratic": "Gwet 2014",
    **{f"Krippendorff alpha {metric}": "Krippendorff 2018" for metric in _METRICS},
    **{f"ICC({which})": "Shrout & Fleiss 1979" for which in ("1", "1,k", "2,1", "2,k", "3,1", "3,k")},
}
_ALL_UNITS, _COMPLETE_UNITS = ("Fleiss", "Gwet", "ICC(1"), ("ICC(2", "ICC(3")
_SHOWN = 3


@final
@dataclass(frozen=True, repr=False)
class JudgeAgreement:
    """Agreement of judges, over everything and per level of one facet.

    Attributes:
        frame: One row per group and coefficient: group (None for all ratings, else a level of `by`), coefficient,
            value, lower, upper, n_units (that enter it), n_judges, source.
        pairs: One row per group and pair of judges who met: group, judge_a, judge_b, n (units that both rated), exact,
            exact_chance, adjacent, adjacent_chance, and kappa, kappa_linear, kappa_quadratic with _lower and _upper.
        by: The facet of the groups; None without groups.
        level: Coverage of the intervals.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    pairs: pd.DataFrame
    by: str | None
    level: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        whole = self.frame[self.frame["group"].isna()]
        lines = [
            f"  {row['coefficient']:<30}{row['value']:6.3f}  [{row['lower']:.3f}, {row['upper']:.3f}]"
            for _, row in whole.iterrows()
        ]
        title = f"agreement, {self.level:.0%} intervals; {counted(len(self.pairs), 'row')} of pairs"
        return "\n".join([title, *lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def judge_agreement(
    table: ResponseTable,
    *,
    judge: str = "judge",
    by: str | None = "item",
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> JudgeAgreement:
    """Agreement of judges who rated the same things, by the coefficients in use, with intervals.

    A unit is one combination of the levels of every facet but the judge: a subject on an item, under a template and so
    on. Numeric category labels are taken as they are by weights, the interval metric and ICC; other labels count
    0…K−1.

    | coefficient | missing ratings |
    |---|---|
    | exact, adjacent agreement | every pair of ratings of one unit counts once |
    | the same by chance | each pair of judges by its own margins on the units both rated, averaged by those units |
    | Cohen's kappas (`pairs`) | units that both judges rated |
    | Fleiss kappa, Gwet AC1 and AC2 | units with one rating enter the category shares, not the observed agreement |
    | Krippendorff alpha | units with one rating are left out |
    | ICC(1), ICC(1,k) | all units; k is the number of ratings that balances unequal units |
    | ICC(2,·), ICC(3,·) | only units that every judge of the group rated; NaN with a note under two of them |

    Adjacent means the same or a neighbouring category. Gwet's coefficients count every category of the scale, used or
    not. Subjects and units are taken for independent draws: overall intervals over several items of the same subjects
    are too narrow, those per item are not. Non-responses are missing ratings, never a category of their own.

    Args:
        table: Ratings with a facet of judges; at most one rating of a unit by each judge.
        judge: That facet.
        by: Also report each level of this facet (or of the dimension); None for the whole alone. The default is left
            out where the table has no items, or one.
        level: Coverage of the intervals, in (0, 1).
        draws: Bootstrap samples of units for Krippendorff's alpha, 1 or more.
        seed: Seed of the bootstrap.

    Returns:
        Frames of coefficients and of pairs. Intervals: Student's t over units (shares, Fleiss, Gwet), percentiles of
        the bootstrap (Krippendorff), F (ICC), large samples (Cohen). Chance agreement has none. A value is NaN where
        the coefficient is not defined, and then `notes` says why.

    Raises:
        DataError: No such facet, one judge, no shared unit, weights, or a judge who rated a unit twice.

    Source: Cohen (1960, 1968); Fleiss (1971); Gwet (2008, 2014); Krippendorff (2018); Shrout & Fleiss (1979); McGraw &
    Wong (1996), as named at each function.
    """
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if draws < 1:
        raise DataError(f"{_WHO}: draws={draws} bootstrap samples; ask for at least 1")
    if by == "item" and len(table.levels.get("item", ())) < 2:
        by = None
    frames: list[pd.DataFrame] = []
    pairs: list[pd.DataFrame] = []
    notes: list[str] = []
    for group, ratings in grouped_ratings(table, judge, by, who=_WHO):
        shared = ratings.counts.sum(axis=1) > 1
        cells = pair_cells(ratings) if shared.any() else None
        found = {**_shares(ratings, cells, level), **_kappas(ratings, level), **_correlations(ratings, level)}
        rows, left_out = _alphas(ratings, level, draws, seed)
        found |= rows
        frames.append(_labelled(group, ratings, found))
        if cells is not None:
            pairs.append(_grouped(pair_frame(cells, ratings, level), group))
        notes += [_about(by, group) + note for note in _notes(ratings, found, left_out, pairs[-1], cells)]
    return JudgeAgreement(
        pd.concat(frames, ignore_index=True), pd.concat(pairs, ignore_index=True), by, level, tuple(notes)
    )


def _shares(ratings: Ratings, cells: PairCells | None, level: float) -> dict[str, Estimate]:
    schemes: tuple[Scheme, ...] = ("exact", "adjacent")
    found: dict[str, Estimate] = {}
    for scheme in schemes:
        names = f"{scheme} agreement", f"{scheme} agreement by chance"
        if cells is None:
            found |= dict.fromkeys(names, Estimate(float("nan")))
            continue
        weights = agreement_weights(ratings.values, scheme)
        _, chance = observed(cells, weights)
        found[names[0]] = agreement(ratings.counts, weights, level)
        found[names[1]] = Estimate(float(chance @ cells.n / cells.n.sum()))
    return found


def _kappas(ratings: Ratings, level: float) -> dict[str, Estimate]:
    names: dict[str, Scheme] = {"Gwet AC1": "exact", "Gwet AC2 linear": "linear", "Gwet AC2 quadratic": "quadratic"}
    weighted = {
        name: gwet(ratings.counts, agreement_weights(ratings.values, scheme), level) for name, scheme in names.items()
    }
    return {"Fleiss kappa": fleiss(ratings.counts, level), **weighted}


def _alphas(ratings: Ratings, level: float, draws: int, seed: int) -> tuple[dict[str, Estimate], int]:
    """Alphas, and how many draws held ratings of one category only."""
    counts, values = ratings.counts, ratings.values
    paired = counts[counts.sum(axis=1) > 1]
    used = paired.sum(axis=0) > 0
    if used.sum() < 2:
        return {f"Krippendorff alpha {metric}": Estimate(float("nan")) for metric in _METRICS}, 0
    matrices = coincidences(paired[:, used], draws, seed)
    found = {metric: krippendorff(matrices, values[used], metric, level) for metric in _METRICS}
    if len(paired) < 2:
        found = {metric: (Estimate(value.value), 0) for metric, (value, _) in found.items()}
    return {f"Krippendorff alpha {metric}": value for metric, (value, _) in found.items()}, found["nominal"][1]


def _correlations(ratings: Ratings, level: float) -> dict[str, Estimate]:
    rating = ratings.values[ratings.response]
    complete = _complete_rows(ratings)
    _, unit = np.unique(ratings.unit[complete], return_inverse=True)
    return {
        **one_way(ratings.unit, rating, level),
        **two_way(unit.astype(np.int64), ratings.judge[complete], rating[complete], level),
    }


def _complete_rows(ratings: Ratings) -> NDArray[np.bool_]:
    """Rows of units that every judge rated, shape (R,)."""
    return np.bincount(ratings.unit)[ratings.unit] == len(ratings.judges)


def _labelled(group: Label | None, ratings: Ratings, found: dict[str, Estimate]) -> pd.DataFrame:
    rows = [
        (name, *astuple(found[name]), _n_units(ratings, name), len(ratings.judges), source)
        for name, source in _SOURCES.items()
    ]
    columns = ["coefficient", "value", "lower", "upper", "n_units", "n_judges", "source"]
    return _grouped(pd.DataFrame(rows, columns=columns), group)


def _n_units(ratings: Ratings, name: str) -> int:
    """Units that enter a coefficient."""
    sizes = ratings.counts.sum(axis=1)
    if name.startswith(_COMPLETE_UNITS):
        return int(np.sum(sizes == len(ratings.judges)))
    return len(sizes) if name.startswith(_ALL_UNITS) else int(np.sum(sizes > 1))


def _grouped(frame: pd.DataFrame, group: Label | None) -> pd.DataFrame:
    frame.insert(0, "group", pd.Series([group] * len(frame), dtype=object))
    return frame


def _about(by: str | None, group: Label | None) -> str:
    return "" if group is None else f"{by} {group!r}: "


def _notes(
    ratings: Ratings, found: dict[str, Estimate], left_out: int, pairs: pd.DataFrame, cells: PairCells | None
) -> Iterator[str]:
    """Why values are missing, and which units did not enter."""
    sizes = ratings.counts.sum(axis=1)
    complete, alone = int(np.sum(sizes == len(ratings.judges))), int(np.sum(sizes == 1))
    constant = int(np.sum(ratings.counts.sum(axis=0) > 0)) < 2
    if constant:
        category = float(ratings.values[ratings.response[0]])
        yield f"every rating is category {category:g}: kappa, alpha and ICC are not defined without variation"
    if cells is None:
        yield "no two judges rated the same thing: nothing can be said of their agreement"
        return
    if len(sizes) - alone == 1:
        yield "a single unit has two ratings or more: its coefficients have no interval over units"
    if alone:
        yield f"{alone:,} of {counted(len(sizes), 'unit')} have one rating and add nothing to the observed agreement"
    if complete < 2 and not constant:
        yield (
            f"{counted(complete, 'unit')} of {len(sizes):,} rated by all {len(ratings.judges):,} judges: ICC(2) and "
            "ICC(3) need two; ask for fewer judges with table.select, use ICC(1), or fit ManyFacetRasch"
        )
    elif complete < len(sizes) and not constant:
        yield f"ICC(2) and ICC(3) rest on the {complete:,} of {len(sizes):,} units that every judge rated"
    flat = pairs["kappa"].isna()
    if flat.any() and not constant:
        names = [f"{a} and {b}" for a, b in pairs.loc[flat, ["judge_a", "judge_b"]].to_numpy()[:_SHOWN]]
        yield (
            f"kappa is not defined for {counted(int(flat.sum()), 'pair')} of judges who used one and the same category "
            f"throughout, such as {listing(names)}"
        )
    yield from _other_gaps(found, left_out, explained=constant, complete=complete)


def _other_gaps(found: dict[str, Estimate], left_out: int, *, explained: bool, complete: int) -> Iterator[str]:
    if left_out:
        yield f"{counted(left_out, 'bootstrap sample')} without variation left out of the interval of alpha"
    if explained:
        return
    missing = [
        name
        for name, estimate in found.items()
        if not np.isfinite(estimate.value) and (complete >= 2 or not name.startswith(_COMPLETE_UNITS))
    ]
    if missing:
        yield f"not defined, for want of variation among the ratings that enter or of a second unit: {listing(missing)}"
