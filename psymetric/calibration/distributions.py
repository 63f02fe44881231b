"""Where people disagree: the judge's distribution of labels beside theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.distances import (
    STATISTICS,
    distances,
    entropy,
    entropy_moments,
    floors,
    spread_of_people,
)
from psymetric.calibration.panels import JudgeRows, Panel, check_level, panel_of
from psymetric.calibration.resampled import correlation, interval, over_subjects
from psymetric.data.coding import Label
from psymetric.data.messages import counted
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["DistributionAgreement", "check_uniform_share", "distribution_agreement"]

Array = NDArray[np.float64]

_WHO = "distribution_agreement"
_UNBIASED, _DIFFERENCE, _CORRELATION = "squared distance, unbiased", "entropy difference", "entropy correlation"
_ROWS = (*STATISTICS, _UNBIASED, _DIFFERENCE, _CORRELATION)


@final
@dataclass(frozen=True, repr=False)
class DistributionAgreement:
    """Distributions of people's labels beside a judge's.

    Attributes:
        frame: One row per group, judge and statistic: group (None for all units), judge, statistic, value, lower,
            upper, perfect (what a judge that states the share of all people exactly is expected to show on these few
            labels), n_units, n_subjects.
        units: One row per judge and unit: judge, the facets of the unit, n_people, a column per distance (total
            variation, …), entropy_people and entropy_judge (bits, of the labels as they are),
            entropy_expected (of all people, given these labels).
        level: Coverage of the intervals.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    units: pd.DataFrame
    level: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        whole = self.frame[self.frame["group"].isna()]
        lines = [
            f"  {row['judge']!s:<16.16}{row['statistic']:<28}{row['value']:7.3f}  [{row['lower']:.3f}, "
            f"{row['upper']:.3f}]  perfect {row['perfect']:.3f}"
            for _, row in whole[whole["value"].notna()].iterrows()
        ]
        title = f"distributions of people and judges, {self.level:.0%} intervals over subjects"
        return "\n".join([title, *lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def distribution_agreement(
    table: ResponseTable,
    tested: Label | Sequence[Label],
    *,
    people: Sequence[Label] | None = None,
    judge: str = "judge",
    unit: Sequence[str] | None = None,
    by: str | None = None,
    uniform_share: float = 0.01,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> DistributionAgreement:
    r"""How far a judge's distribution over the categories is from people's, unit by unit and overall.

    With p the shares of the people who gave unit u each category and q the judge's:

    | statistic | of one unit | unit of measure |
    |---|---|---|
    | total variation | $\frac12 \sum \lvert p - q \rvert$ | share of labels that would have to move |
    | Jensen-Shannon | divergence of p and q from their mean | bits, 0 to 1 |
    | Wasserstein | $\int \lvert F_p - F_q \rvert$ | categories' numbers; ordered categories only |
    | squared distance | $\sum (p - q)^2$ | 0 to 2 |
    | log loss | $-\sum p \log_2 \tilde q$ | bits |
    | squared distance, unbiased | less $(1 - \sum p^2)/(n - 1)$, which n people add | may be below 0 |
    | entropy difference | judge − people, theirs corrected for few labels | bits; below 0: the judge is too sure |
    | entropy correlation | Pearson's r of the two entropies, over units | |

    A few people's labels are not the share of all people. Even a judge who states that share exactly is at some
    distance from what three or five of them happen to say, and `perfect` is that distance: the share of each category
    (for Wasserstein, of each side of a cut) is given the Beta law that fits how often two people agree on it, and
    averaged over what it can be given the labels. For the entropy correlation, which few labels dilute, `perfect` is
    the highest that can be expected, under a Dirichlet law. Only distances above it are the judge's, and only those
    well above it, as shares need not follow such laws: ordered categories were simulated in which `perfect` was 4 %
    too high for total variation and 9 % for Jensen-Shannon. The unbiased squared distance has it taken off without any
    law. Beside what other people would reach is `human_ceiling`, which assumes nothing.

    A judge's distribution is that of its rows: several samples of a unit, or one row per category with its probability
    as weight. One label is a distribution without spread. Units without the judge are left out, units with one person
    stay (except in the unbiased distance, which needs two).

    Args:
        table: Labels of people and judges, told apart by one facet; weights of people 0 or 1.
        tested: Level or levels of that facet to compare with the people.
        people: Levels that are people; by default all that are not tested.
        judge: The facet.
        unit: Facets that tell one thing from another; by default subject and item.
        by: Also report each level of this facet.
        uniform_share: Part of the judge's distribution that is spread over all categories in the log loss, in (0, 1);
            a category that people give and the judge never does costs at most $\log_2(K/s)$ bits.
        level: Coverage of the intervals, in (0, 1).
        draws: Bootstrap samples of subjects.
        seed: Seed of the bootstrap and of `perfect`.

    Returns:
        Frames of statistics and of units. Intervals: percentiles of the bootstrap of subjects; the people stay.

    Raises:
        DataError: Fewer than two people, a judge that is one of them or meets none of them, no such facet or level, a
            person's label given twice, or settings out of range.

    Source: Uma et al. (2021), Journal of Artificial Intelligence Research 72, 1385-1470, section 4 (soft measures and
    entropy correlation); Nie, Zhou & Bansal (2020), EMNLP (Jensen-Shannon to many people); see `distances` and
    `spread_of_people` in `psymetric.calibration.distances`.
    """
    check_level(level, draws, who=_WHO)
    check_uniform_share(uniform_share, who=_WHO)
    panel = panel_of(table, tested, people=people, judge=judge, unit=unit, by=by, who=_WHO)
    people_shares = panel.counts / panel.counts.sum(axis=1, keepdims=True)
    perfect = [
        (label, mask, _perfect(panel.counts[mask], panel.values, uniform_share, seed)) for label, mask in panel.cases()
    ]
    frames: list[pd.DataFrame] = []
    units: list[pd.DataFrame] = []
    notes: list[str] = []
    for rows in panel.judges:
        shares = rows.shares(panel.n_units, len(panel.values))
        columns = _columns(panel, people_shares, shares, uniform_share)
        met = np.isfinite(shares[:, 0])
        for label, mask, best in perfect:
            chosen = mask & met
            if not chosen.any():
                notes.append(f"{by} {label!r}: {rows.label!r} labelled nothing there that people labelled")
                continue
            joined = np.hstack([columns[chosen], best[met[mask]]])
            value, drawn = over_subjects(joined, panel.subject[chosen], _statistics, draws=draws, seed=seed)
            lower, upper = interval(drawn[:, : len(_ROWS)], level)
            own = {
                "group": pd.Series([label] * len(_ROWS), dtype=object),
                "judge": rows.label,
                "statistic": _ROWS,
                "value": value[: len(_ROWS)],
                "lower": lower,
                "upper": upper,
                "perfect": value[len(_ROWS) :],
                "n_units": int(chosen.sum()),
                "n_subjects": len(np.unique(panel.subject[chosen])),
            }
            frames.append(pd.DataFrame(own))
        units.append(_unit_frame(panel, rows.label, columns, perfect[0][2][:, len(STATISTICS)], met))
        notes += _notes(rows, shares[met], people_shares[met], panel.counts[met], uniform_share)
    return DistributionAgreement(
        pd.concat(frames, ignore_index=True), pd.concat(units, ignore_index=True), level, tuple(dict.fromkeys(notes))
    )


def check_uniform_share(uniform_share: float, *, who: str) -> None:
    """Raises DataError unless it is a share between 0 and 1."""
    if not 0 < uniform_share < 1:
        raise DataError(
            f"{who}: uniform_share={uniform_share} is not a share between 0 and 1, such as 0.01; without it a category "
            "that the judge never gives has an infinite log loss."
        )


def _columns(panel: Panel, people: Array, judge: Array, uniform_share: float) -> Array:
    """Per unit: 1, the distances, whether two people or more, the unbiased distance, entropies and their products."""
    size = panel.counts.sum(axis=1)
    far = distances(people, judge, panel.values, uniform_share)
    several = size > 1
    noise = (1 - np.sum(people**2, axis=1)) / np.where(several, size - 1, 1.0)
    mine, theirs = entropy(judge), entropy(people)
    moments = np.stack([theirs, mine, theirs**2, mine**2, theirs * mine], axis=1)
    unbiased = np.where(several, far[:, STATISTICS.index("squared distance")] - noise, 0.0)
    return np.hstack([np.ones((len(size), 1)), far, several[:, None], unbiased[:, None], moments])


def _perfect(counts: Array, values: Array, uniform_share: float, seed: int) -> Array:
    """Per unit, for a judge that states the truth: distances and entropy; moments of its entropy beside theirs."""
    found = floors(counts, values, uniform_share, np.random.default_rng(seed))
    moments = entropy_moments(counts, spread_of_people(counts))
    seen = entropy(counts / counts.sum(axis=1, keepdims=True))
    return np.column_stack([found, moments, moments[:, 0] * seen])


def _statistics(sums: Array) -> Array:
    """The statistics of `_ROWS`, then those of a perfect judge, from sums over units; shape (..., 2 × rows)."""
    n, far, several, unbiased = sums[..., 0], sums[..., 1:6], sums[..., 6], sums[..., 7]
    theirs, mine, theirs2, mine2, both = np.moveaxis(sums[..., 8:13], -1, 0)
    best, true = sums[..., 13:18], sums[..., 18]
    drawn, drawn2, drawn_both = np.moveaxis(sums[..., 19:22], -1, 0)
    free = np.divide(unbiased, several, out=np.full_like(n, np.nan), where=several > 0)
    ours = [free, (mine - true) / n, correlation(n, theirs, mine, theirs2, mine2, both)]
    perfect = [np.where(several > 0, 0.0, np.nan), np.zeros_like(n)]
    perfect.append(correlation(n, theirs, drawn, theirs2, drawn2, drawn_both))
    parts = [far / n[..., None], np.stack(ours, -1), best / n[..., None], np.stack(perfect, -1)]
    return np.concatenate(parts, axis=-1)


def _unit_frame(panel: Panel, label: Label, columns: Array, expected: Array, met: NDArray[np.bool_]) -> pd.DataFrame:
    chosen = columns[met]
    named = {name.lower().replace(" ", "_").replace("-", "_"): chosen[:, 1 + k] for k, name in enumerate(STATISTICS)}
    size = panel.counts[met].sum(axis=1).astype(np.int64)
    entropies = {"entropy_people": chosen[:, 8], "entropy_judge": chosen[:, 9], "entropy_expected": expected[met]}
    own = pd.DataFrame({"n_people": size, **named, **entropies})
    facets = panel.units[met].reset_index(drop=True)
    return pd.concat([pd.DataFrame({"judge": [label] * len(own)}), facets, own], axis=1)


def _notes(rows: JudgeRows, judge: Array, people: Array, counts: Array, uniform_share: float) -> Iterator[str]:
    unseen = int(np.sum(np.any((judge == 0) & (people > 0), axis=1)))
    alone = int(np.sum(counts.sum(axis=1) == 1))
    if np.all(judge.max(axis=1) == 1):
        yield (
            f"{rows.label!r} gives one label per unit, a distribution without spread: its entropy correlation is not "
            "defined; human_ceiling(panel=1) compares it with one person"
        )
    elif len(judge) < 2 or np.ptp(entropy(judge)) == 0 or np.ptp(entropy(people)) == 0:
        yield f"{rows.label!r}: entropies do not vary over units, so that their correlation is not defined"
    if unseen:
        yield (
            f"{rows.label!r}: in {unseen:,} of {counted(len(judge), 'unit')} people give a category that the judge "
            f"never gives; its log loss rests on uniform_share={uniform_share:g}"
        )
    if alone:
        yield f"{alone:,} of {counted(len(counts), 'unit')} have one person, who cannot disagree with anybody"
