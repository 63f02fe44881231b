"""What judges' scores show of candidates: the share of each label, by judge and candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from psymetric.data.coding import Label
from psymetric.data.messages import listing, nearest
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["JudgeMargins", "judge_margins", "simultaneous_bands"]

_SUMS_TO_ONE = 1e-6

Margins = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JudgeMargins:
    """The labels that each judge gave each candidate, as shares.

    Attributes:
        candidates: Names of what is judged.
        judges: Names of the judges.
        labels: The labels, from low to high.
        shares: Share of each label, shape (judges, candidates, labels); NaN where a judge never met a candidate.
        counts: Labels given, same shape, 0 where there are none; None where only shares are known.
    """

    candidates: tuple[Label, ...]
    judges: tuple[Label, ...]
    labels: tuple[Label, ...]
    shares: Margins
    counts: Margins | None = None

    def __post_init__(self) -> None:
        shape = (len(self.judges), len(self.candidates), len(self.labels))
        if self.shares.shape != shape:
            raise DataError(
                f"JudgeMargins: shares have shape {self.shares.shape}, and {shape[0]} judges, {shape[1]} candidates "
                f"and {shape[2]} labels take {shape}; give a row per candidate and a column per label for every judge."
            )
        if len(self.labels) < 2 or not self.candidates:
            raise DataError(
                f"JudgeMargins: {len(self.labels)} label(s) of {len(self.candidates)} candidate(s); two labels and one "
                "candidate are the least that can be asked about."
            )
        for name, names in (("candidates", self.candidates), ("judges", self.judges), ("labels", self.labels)):
            if len(set(names)) < len(names):
                raise DataError(f"JudgeMargins: {name} {listing(names)} hold a name twice; name each once.")
        silent = np.isnan(self.shares).all(axis=(0, 2))
        if silent.any():
            names = [self.candidates[place] for place in np.flatnonzero(silent)]
            raise DataError(f"JudgeMargins: no judge met {listing(names)}; leave out what has no label.")

    @classmethod
    def from_shares(
        cls,
        shares: Mapping[Label, ArrayLike],
        *,
        candidates: Sequence[Label] | None = None,
        labels: Sequence[Label] | None = None,
    ) -> Self:
        """Known shares, taken as exact.

        Args:
            shares: Judge -> shape (candidates, labels), rows that sum to one; a row of NaN where a judge never met a
                candidate.
            candidates: Names, by default `"candidate 1"` and so on.
            labels: Labels from low to high, by default 1, 2, ….

        Raises:
            DataError: Rows that are no shares, or shapes that differ.
        """
        stacked = _stacked(shares, "from_shares")
        total = stacked.sum(axis=2)
        met = ~np.isnan(stacked).all(axis=2)
        wrong = met & ~((np.abs(total - 1) <= _SUMS_TO_ONE) & (stacked >= 0).all(axis=2))
        if wrong.any():
            place = tuple(int(each[0]) for each in np.nonzero(wrong))
            raise DataError(
                f"JudgeMargins.from_shares: {int(wrong.sum())} of {wrong.size} rows are no shares, the first of judge "
                f"{list(shares)[place[0]]!r}, row {place[1]} counting from 0: {stacked[place].tolist()}; give numbers "
                "from 0 that sum to one, or from_counts()."
            )
        return cls(*_names(stacked, list(shares), candidates, labels), stacked / total[:, :, None])

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[Label, ArrayLike],
        *,
        candidates: Sequence[Label] | None = None,
        labels: Sequence[Label] | None = None,
    ) -> Self:
        """Labels counted.

        Args:
            counts: Judge -> shape (candidates, labels), 0 or more; a row of zeros where a judge never met a candidate.
            candidates: As in `from_shares`.
            labels: As in `from_shares`.

        Raises:
            DataError: Negative or missing counts, or shapes that differ.
        """
        stacked = _stacked(counts, "from_counts")
        if not (np.isfinite(stacked).all() and (stacked >= 0).all()):
            raise DataError("JudgeMargins.from_counts: counts are numbers from 0; got negative or missing ones.")
        total = stacked.sum(axis=2, keepdims=True)
        shares = np.divide(stacked, total, out=np.full_like(stacked, np.nan), where=total > 0)
        return cls(*_names(stacked, list(counts), candidates, labels), shares, stacked)


def judge_margins(table: ResponseTable, *, candidate: str = "subject", judge: str | None = "judge") -> JudgeMargins:
    """Count the labels of a table by judge and candidate.

    Rows without a response count nowhere; a row of weight w counts as w labels.

    Args:
        table: Labels given by judges; its categories are the labels.
        candidate: Facet whose levels are compared.
        judge: Facet whose levels judge; None takes all labels as given by one judge.

    Raises:
        DataError: A facet that the table does not have.
    """
    wanted = [candidate] if judge is None else [candidate, judge]
    for facet in wanted:
        if facet not in table.codes:
            raise DataError(
                f"judge_margins: no facet {facet!r}; {nearest(facet, table.codes)}. judge=None takes all labels as "
                "given by one judge"
            )
    judges: tuple[Label, ...] = ("judge",) if judge is None else table.levels[judge]
    shape = (len(judges), len(table.levels[candidate]), table.n_categories)
    judge_code = np.zeros(table.n_rows, np.int32) if judge is None else table.codes[judge]
    cell = np.ravel_multi_index((judge_code, table.codes[candidate], table.response), shape)
    counts = np.bincount(cell, weights=table.weight, minlength=int(np.prod(shape))).reshape(shape)
    return JudgeMargins.from_counts(
        dict(zip(judges, counts, strict=True)), candidates=table.levels[candidate], labels=table.categories
    )


def simultaneous_bands(counts: Margins, *, level: float) -> tuple[Margins, Margins]:
    """Intervals of all shares that hold at once with probability `level` at least.

    Clopper and Pearson's exact intervals, Bonferroni's share of 1 - level for each share that is free: all labels of a
    row, or one of two. They take the labels of one judge for one candidate as independent draws; those of different
    judges or candidates may depend on one another.

    Args:
        counts: Shape (judges, candidates, labels).
        level: In (0, 1).

    Returns:
        Lower and upper ends, shape of `counts`: 0 and 1 where there are no labels.

    Source: Clopper & Pearson (1934), Biometrika 26, 404-413.
    """
    total = np.broadcast_to(counts.sum(axis=2, keepdims=True), counts.shape)
    met, n_labels = total > 0, counts.shape[2]
    n_free = int(met[:, :, 0].sum()) * (1 if n_labels == 2 else n_labels)
    tail = (1 - level) / (2 * n_free)
    lower, upper = np.zeros(counts.shape), np.ones(counts.shape)
    some, missed = met & (counts > 0), met & (counts < total)
    lower[some] = beta.ppf(tail, counts[some], (total - counts)[some] + 1)
    upper[missed] = beta.isf(tail, counts[missed] + 1, (total - counts)[missed])
    return lower, upper


def _stacked(given: Mapping[Label, ArrayLike], who: str) -> Margins:
    arrays = [np.asarray(each, dtype=np.float64) for each in given.values()]
    if not arrays or any(each.ndim != 2 or each.shape != arrays[0].shape for each in arrays):
        shapes = [each.shape for each in arrays]
        raise DataError(
            f"JudgeMargins.{who}: every judge needs one array of shape (candidates, labels), the same for all; got "
            f"{listing(shapes)}. A judge that met no more than some candidates has empty rows for the others."
        )
    return np.stack(arrays)


def _names(
    stacked: Margins, judges: Sequence[Label], candidates: Sequence[Label] | None, labels: Sequence[Label] | None
) -> tuple[tuple[Label, ...], tuple[Label, ...], tuple[Label, ...]]:
    _, n_candidates, n_labels = stacked.shape
    named = tuple(candidates) if candidates is not None else tuple(f"candidate {c + 1}" for c in range(n_candidates))
    return named, tuple(judges), tuple(labels) if labels is not None else tuple(range(1, n_labels + 1))
