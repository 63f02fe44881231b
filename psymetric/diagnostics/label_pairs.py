"""Pairs of labels of one subject by two judges: whether they agree, and what independence given the truth expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import distinct_places
from psymetric.estimation.truth import TruthData
from psymetric.models.truth import AbstractTruthModel

__all__ = ["LabelPairs", "duplicates", "label_pairs"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_DUPLICATE_P = 1e-3


@final
@dataclass(frozen=True)
class LabelPairs:
    """Pairs of labels, equal subjects counted.

    Attributes:
        pattern: Pattern of the subject's labels, shape (rows,).
        pair: Which two judges, a place in `first` and `second`, shape (rows,).
        categories: Label of the first and of the second, shape (rows, 2).
        multiplicity: Subjects behind each row, shape (rows,).
        first: First judge of each pair, shape (pairs,). second: The other one, of a higher code.
    """

    pattern: Codes
    pair: Codes
    categories: Codes
    multiplicity: Array
    first: Codes
    second: Codes

    @property
    def same(self) -> Array:
        """Whether the two labels agree, shape (rows,)."""
        return (self.categories[:, 0] == self.categories[:, 1]).astype(np.float64)

    def expected(self, truth: Array, confusion: Array) -> Array:
        """Probability that they agree, were judges independent given the truth, shape (rows,).

        Args:
            truth: Probabilities of the truths of each pattern, shape (patterns, truths).
            confusion: Of labels given the truth, shape (judges, truths, categories).
        """
        both = np.einsum("ptx,ptx->pt", confusion[self.first], confusion[self.second])
        return np.einsum("rt,rt->r", truth[self.pattern], both[self.pair])

    def total(self, values: Array) -> Array:
        """Sums over subjects by pair, shape (pairs,)."""
        return np.bincount(self.pair, values * self.multiplicity, len(self.first)).astype(np.float64)


def label_pairs(model: AbstractTruthModel, data: TruthData, n_categories: int) -> LabelPairs:
    """All pairs of labels that two judges gave to one subject, gold apart."""
    entries = data.counts.tocoo()
    pattern, place = (np.asarray(code, np.int64) for code in entries.coords)
    judge = data.cells[model.over].astype(np.int64)[place // n_categories]
    order = np.lexsort((judge, pattern))
    pattern, judge, category = pattern[order], judge[order], (place % n_categories)[order]
    most = int(np.bincount(pattern, minlength=1).max(initial=0))
    # Labels are sorted by subject, so that those of one subject stand at every distance up to their number.
    found = [np.flatnonzero(pattern[distance:] == pattern[:-distance]) for distance in range(1, most)]
    low = np.concatenate([np.zeros(0, np.int64), *found])
    high = low + np.repeat(np.arange(1, most), [len(rows) for rows in found])
    apart = judge[low] != judge[high]
    low, high = low[apart], high[apart]
    place_of, pair = distinct_places([judge[low], judge[high]])
    return LabelPairs(
        pattern=pattern[low],
        pair=pair,
        categories=np.stack([category[low], category[high]], axis=1),
        multiplicity=data.multiplicity[pattern[low]],
        first=judge[low][place_of],
        second=judge[high][place_of],
    )


def duplicates(pairs: LabelPairs, truth: Array, confusion: Array) -> dict[int, tuple[int, float]]:
    """Judges that repeat an earlier one: by judge, whom it repeats and on how many subjects.

    Two judges are alike where all labels of their n common subjects are the same, and independent judges of their
    quality would do that with a probability below .001 over all pairs, by Bonferroni's rule. That probability is at
    most the n-th power of the mean of those of single subjects.
    """
    n, agree = pairs.total(np.ones(len(pairs.pair))), pairs.total(pairs.same)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = n * np.log(pairs.total(pairs.expected(truth, confusion)) / n)
    alike = (agree == n) & (log_p < np.log(_DUPLICATE_P / max(len(n), 1)))
    found: dict[int, tuple[int, float]] = {}
    for place in np.flatnonzero(alike)[::-1].tolist():
        found[int(pairs.second[place])] = int(pairs.first[place]), float(n[place])
    return found
