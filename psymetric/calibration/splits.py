"""A panel of people divided: some of them taken out, and what they would say beside the rest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from psymetric.calibration.distances import STATISTICS, distances, entropy

__all__ = ["Splits", "judge_moments", "people_moments", "splits_of"]

Array = NDArray[np.float64]

_MOST = 4096
"""Ways of taking a panel out of one unit's people that are enumerated; of more, as many are drawn."""
_CHUNK = 1 << 21
"""Numbers held at once."""


@final
@dataclass(frozen=True)
class Splits:
    """All ways of taking k people out of units, units with the same labels together.

    Attributes:
        place: Pattern of each unit, shape (U,).
        first: First split of each pattern, shape (patterns + 1,); the last is their number S.
        taken: People taken per category, shape (S, K).
        rest: People left per category, shape (S, K).
        chance: Of each split; those of a pattern sum to one, shape (S,).
        drawn: Patterns whose splits were drawn and not enumerated.
    """

    place: NDArray[np.int64]
    first: NDArray[np.int64]
    taken: Array
    rest: Array
    chance: Array
    drawn: int


def splits_of(counts: Array, panel: int, rng: np.random.Generator) -> Splits:
    """The splits of units into `panel` people and the rest.

    Args:
        counts: People per unit and category, more than `panel` on each unit, shape (U, K).
        panel: k.
        rng: For units with very many splits, which are drawn.

    Source: the multivariate hypergeometric law of who is taken.
    """
    patterns, place = np.unique(counts, axis=0, return_inverse=True)
    if panel == 1:
        pattern, category = np.nonzero(patterns)
        taken = np.eye(counts.shape[1])[category]
        chance = patterns[pattern, category] / patterns.sum(axis=1)[pattern]
        sizes, drawn = np.bincount(pattern, minlength=len(patterns)), 0
    else:
        parts = [_taken(row, panel, rng) for row in patterns.astype(np.int64)]
        taken = np.concatenate([part for part, _, _ in parts])
        chance = np.concatenate([weight for _, weight, _ in parts])
        sizes, drawn = np.array([len(part) for part, _, _ in parts]), sum(by_chance for _, _, by_chance in parts)
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rest = np.repeat(patterns, sizes, axis=0) - taken
    return Splits(place.reshape(-1).astype(np.int64), first, taken, rest, chance, drawn)


def _taken(counts: NDArray[np.int64], panel: int, rng: np.random.Generator) -> tuple[Array, Array, bool]:
    """People taken per category in each way, its chance, and whether the ways were drawn."""
    used = np.flatnonzero(counts)
    most = np.minimum(counts[used], panel)
    if np.prod(most + 1.0) > 16 * _MOST:
        drawn = rng.multivariate_hypergeometric(counts, panel, size=_MOST).astype(np.float64)
        return drawn, np.full(_MOST, 1 / _MOST), True
    ways = np.array([way for way in product(*(range(top + 1) for top in most)) if sum(way) == panel], np.float64)
    log_ways = np.sum(gammaln(counts[used] + 1) - gammaln(ways + 1) - gammaln(counts[used] - ways + 1), axis=1)
    weight = np.exp(log_ways - log_ways.max())
    taken = np.zeros((len(ways), len(counts)))
    taken[:, used] = ways
    return taken, weight / weight.sum(), False


def people_moments(splits: Splits, values: Array, uniform_share: float) -> Array:
    """Means over splits per unit, of those taken against the rest, shape (U, 10).

    The distances in the order of `STATISTICS`, then entropy of the rest, of the taken, their squares, their product.
    """
    sizes = splits.taken.sum(axis=1, keepdims=True), splits.rest.sum(axis=1, keepdims=True)
    found = _moments(splits.rest / sizes[1], splits.taken / sizes[0], values, uniform_share)
    weighted = found * splits.chance[:, None]
    return np.add.reduceat(weighted, splits.first[:-1], axis=0)[splits.place]


def judge_moments(splits: Splits, judge: Array, values: Array, uniform_share: float) -> Array:
    """The same with the judge's distributions, shape (U, K), in the place of those taken; shape (U, 10)."""
    keys, where = np.unique(np.column_stack([splits.place, judge]), axis=0, return_inverse=True)
    pattern, shares = keys[:, 0].astype(np.int64), keys[:, 1:]
    sizes = np.diff(splits.first)[pattern]
    ends = np.cumsum(sizes)
    found = np.empty((len(pattern), len(STATISTICS) + 5))
    start, most = 0, max(_CHUNK // judge.shape[1], 1)
    while start < len(pattern):
        begin = int(ends[start] - sizes[start])
        stop = max(int(np.searchsorted(ends, begin + most, side="right")), start + 1)
        own, count = pattern[start:stop], sizes[start:stop]
        offset = np.cumsum(count) - count
        rows = np.repeat(splits.first[own] - offset, count) + np.arange(int(count.sum()))
        rest = splits.rest[rows] / splits.rest[rows].sum(axis=1, keepdims=True)
        part = _moments(rest, np.repeat(shares[start:stop].astype(np.float64), count, axis=0), values, uniform_share)
        found[start:stop] = np.add.reduceat(part * splits.chance[rows, None], offset, axis=0)
        start = stop
    return found[where.reshape(-1)]


def _moments(reference: Array, other: Array, values: Array, uniform_share: float) -> Array:
    theirs, mine = entropy(reference), entropy(other)
    moments = np.stack([theirs, mine, theirs**2, mine**2, theirs * mine], axis=1)
    return np.hstack([distances(reference, other, values, uniform_share), moments])
