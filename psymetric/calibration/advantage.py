"""Who stands closer to the other people, a judge or the person it would replace: arrays of comparisons and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import gammaln, stdtr, xlogy
from statsmodels.stats.multitest import multipletests

__all__ = [
    "Advantage",
    "Metric",
    "Test",
    "advantage",
    "category_distances",
    "closer",
    "exact_probability",
    "probabilities",
    "redrawn_wins",
    "score",
    "smallest_epsilon",
    "without_spread",
    "won",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Metric = Literal["nominal", "ordinal", "interval"]
Test = Literal["t", "exact"]

_TIE = 1e-9
"""Sums of distances that differ by less than this share of the largest are equal but for rounding."""
_CHUNK = 1 << 24
"""Random numbers held at once."""
_GRID = 97
_NOTHING = 1e-12
"""A standard error below this is rounding of zero."""


def category_distances(values: Array, metric: Metric) -> Array:
    """How far one label is from another, shape (K, K).

    Args:
        values: The K numbers of the categories, increasing.
        metric: "nominal" (0 if equal, else 1), "ordinal" (places apart) or "interval" (squared difference of values).
    """
    place = np.arange(len(values), dtype=np.float64)
    if metric == "nominal":
        return (place[:, None] != place).astype(np.float64)
    return np.abs(place[:, None] - place) if metric == "ordinal" else (values[:, None] - values) ** 2


def closer(counts: Array, unit: Codes, person: Codes, judge: Codes, distances: Array) -> NDArray[np.int8]:
    """Who is closer to the remaining people: 1 the person of the row, -1 the judge, 0 both alike; shape (R,).

    The mean distance to the labels of the remaining people is compared, so that with the nominal metric the share of
    them who agree is, and with the interval one the root mean squared difference.

    Args:
        counts: Labels of all people, shape (U, K).
        unit: Unit of each row, shape (R,).
        person: The person's own label, shape (R,).
        judge: The judge's label of the same unit, shape (R,).
        distances: From `category_distances`.
    """
    found = np.empty(len(unit), np.int8)
    step = max(_CHUNK // distances.shape[0], 1)
    tie = _TIE * max(float(distances.max()), 1e-300)
    for start in range(0, len(unit), step):
        part = slice(start, start + step)
        own, other = person[part], judge[part]
        near, place = np.unique(unit[part], return_inverse=True)
        total = counts[near] @ distances
        # The person's own label is among the counts, at distance zero from itself.
        gap = total[place, own] - (total[place, other] - distances[other, own])
        found[part] = np.where(np.abs(gap) <= tie * counts[near].sum(axis=1)[place], 0, -np.sign(gap))
    return found


@final
@dataclass(frozen=True)
class Advantage:
    """A judge against each of M people, from comparisons over C subjects.

    Attributes:
        n_units: Comparisons with each person, shape (M,).
        n_subjects: Their subjects, shape (M,).
        judge: Share in which the judge was as close to the other people, or closer, shape (M,).
        person: The same of the person, shape (M,).
        se: Of the difference person − judge, over subjects, shape (M,); 0 where every subject says the same.
        total: Comparisons won by the person less those won by the judge, shape (M,).
        gap_influence: What each subject adds to the difference, shape (C, M); the squares sum to se².
        judge_influence: The same for the judge's share.
    """

    n_units: Codes
    n_subjects: Codes
    judge: Array
    person: Array
    se: Array
    total: Codes
    gap_influence: csr_array
    judge_influence: csr_array

    @property
    def gap(self) -> Array:
        """Person − judge, shape (M,): positive where the person was the closer one."""
        return self.total / self.n_units


def advantage(sign: NDArray[np.int8], column: Codes, subject: Codes, shape: tuple[int, int]) -> Advantage:
    """Shares and their errors, subjects being clusters.

    Args:
        sign: From `closer`, shape (R,).
        column: The person of each comparison, 0…M−1, each with two subjects or more, shape (R,).
        subject: Its subject, 0…C−1, shape (R,).
        shape: (C, M).

    Source: ratio estimator over clusters, Cochran (1977), Sampling Techniques, 3rd ed., section 9A.2; with one unit
    per subject it is the mean and its usual standard error.
    """
    n_subjects, n_people = shape
    cell, place = np.unique(subject * n_people + column, return_inverse=True)
    row, own = cell // n_people, cell % n_people
    size = np.bincount(place).astype(np.float64)
    n = np.bincount(own, size, n_people)
    clusters = np.bincount(own, minlength=n_people)
    inflate = np.sqrt(clusters / np.maximum(clusters - 1, 1)) / n

    def spread(value: NDArray[np.bool_] | NDArray[np.int8]) -> tuple[Array, csr_array]:
        total = np.bincount(place, value)
        share = np.bincount(own, total, n_people) / n
        influence = (total - share[own] * size) * inflate[own]
        return share, csr_array((influence, (row, own)), shape=(n_subjects, n_people))

    judge, judge_influence = spread(sign <= 0)
    person, _ = spread(sign >= 0)
    _, gap_influence = spread(sign)
    se = np.sqrt(np.asarray(gap_influence.multiply(gap_influence).sum(axis=0)).ravel())
    se = np.where(se > _NOTHING, se, 0.0)
    total = np.rint(np.bincount(column, sign, n_people)).astype(np.int64)
    return Advantage(n.astype(np.int64), clusters, judge, person, se, total, gap_influence, judge_influence)


def probabilities(found: Advantage, epsilon: float, test: Test) -> Array:
    """One-sided probability of the judge's lead if the person were better by `epsilon`, shape (M,).

    The hypothesis is: share of the person − share of the judge ≥ epsilon. With "t" it is Student's t over subjects;
    where every subject says the same there is no error to divide by, and `without_spread` answers.

    Source: Calderon, Reichart & Dror (2025), section 3.
    """
    if test == "exact":
        ties = found.n_units - np.rint(found.n_units * (2 - found.judge - found.person)).astype(np.int64)
        lost = (found.n_units - ties + found.total) // 2
        counts = zip(lost, lost - found.total, found.n_units, strict=True)
        return np.array([exact_probability(int(b), int(c), int(n), epsilon) for b, c, n in counts])
    t = np.divide(found.gap - epsilon, found.se, out=np.zeros_like(found.se), where=found.se > 0)
    tail = np.asarray(stdtr(found.n_subjects - 1, t), np.float64)
    return np.where(found.se > 0, tail, without_spread(found.gap, found.n_subjects, epsilon))


def without_spread(gap: Array, n: Codes, epsilon: float) -> Array:
    """Probability that n subjects all say the same, at most, if the person were better by `epsilon`; shape (M,).

    A person who leads by epsilon wins at least that share: (1 − ε)ⁿ is the chance to win nothing, and ((1 − ε)/2)ⁿ the
    chance to lose everything. One where the person wins.
    """
    nothing = min(1 - epsilon, 1.0) ** n
    everything = min((1 - epsilon) / 2, 1.0) ** n
    return np.where(gap >= 1e-12, 1.0, np.where(gap <= -1 + 1e-12, everything, nothing))


def score(person: Array, judge: Array, n: int, epsilon: float) -> Array:
    """Score statistic of the person's lead over `epsilon`, from the units that each won; low where the judge leads.

    Unlike Student's t it estimates the variance under the hypothesis, so that it is defined where nearly all
    comparisons are ties.

    Source: Tango (1998), Statistics in Medicine 17, 891-908, on matched pairs.
    """
    linear = (2 * n - person + judge) * epsilon - person - judge
    root = np.sqrt(np.maximum(linear**2 + 8 * n * judge * epsilon * (1 - epsilon), 0.0))
    least = np.clip((root - linear) / (4 * n), max(-epsilon, 0.0), (1 - epsilon) / 2)
    variance = n * (2 * least + epsilon * (1 - epsilon))
    lead = person - judge - n * epsilon
    return np.divide(
        lead,
        np.sqrt(variance),
        out=np.where(lead < 0, -np.inf, np.where(lead > 0, np.inf, 0.0)),
        where=variance > _NOTHING,
    )


def exact_probability(person: int, judge: int, n: int, epsilon: float) -> float:
    """Chance of a score as low as that of these wins, at the worst of all laws in which the person leads by `epsilon`.

    Args:
        person: Units that the person won.
        judge: Units that the judge won; the others are ties.
        n: Units, independent of one another.
        epsilon: The lead.

    Source: exact unconditional test, Sidik (2003), Journal of Statistical Planning and Inference 117, 297-312; what
    remains free, the chance that the judge wins, is searched on a grid.
    """
    lost, judged = np.nonzero(np.add.outer(np.arange(n + 1), np.arange(n + 1)) <= n)
    low = score(lost.astype(np.float64), judged.astype(np.float64), n, epsilon)
    mine = score(np.array([person * 1.0]), np.array([judge * 1.0]), n, epsilon)
    kept = low <= mine + 1e-9
    lost, judged = lost[kept], judged[kept]
    ties = n - lost - judged
    ways = gammaln(n + 1) - gammaln(lost + 1) - gammaln(judged + 1) - gammaln(ties + 1)
    least, most = max(-epsilon, 0.0), (1 - epsilon) / 2
    grid = least + (most - least) * np.linspace(0, 1, _GRID)[:, None] ** 2
    chance = (
        ways + xlogy(judged, grid) + xlogy(lost, grid + epsilon) + xlogy(ties, np.maximum(1 - 2 * grid - epsilon, 0))
    )
    return min(float(np.exp(chance).sum(axis=1).max()), 1.0)


def won(p: Array, rate: float) -> tuple[Array, NDArray[np.bool_]]:
    """Adjusted probabilities, and the people against whom the judge wins at this false discovery rate, shape (M,).

    Source: Benjamini & Yekutieli (2001), Annals of Statistics 29, 1165-1188.
    """
    adjusted = np.asarray(multipletests(p, method="fdr_by")[1], np.float64)
    return adjusted, adjusted <= rate


def smallest_epsilon(found: Advantage, own: NDArray[np.bool_], test: Test, rate: float) -> float:
    """The least epsilon with which the judge wins against half of the people in `own`; NaN where none below 1 does."""

    def passes(epsilon: float) -> bool:
        return bool(won(probabilities(found, epsilon, test), rate)[1][own].mean() >= 0.5)

    low, high = -1.0, 1.0
    if not passes(high):
        return float("nan")
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def redrawn_wins(
    found: Advantage, epsilon: float, rate: float, *, draws: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """People against whom the judge wins in samples of as many subjects, shape (draws, M), by Student's t.

    Differences are drawn around those found, subject by subject (multiplier bootstrap), so that people who labelled
    the same subjects move together; their standard errors stay.

    Source: Mammen (1993), Annals of Statistics 21, 255-285, with normal multipliers.
    """
    n_subjects, n_people = found.gap_influence.shape
    step = max(_CHUNK // n_subjects, 1)
    parts = [
        (found.gap_influence.T @ rng.standard_normal((n_subjects, min(step, draws - start)))).T
        for start in range(0, draws, step)
    ]
    gap = found.gap + np.concatenate(parts)
    t = np.divide(gap - epsilon, found.se, out=np.full_like(gap, np.inf), where=found.se > 0)
    p = np.where(found.se > 0, stdtr(found.n_subjects - 1, t), probabilities(found, epsilon, "t"))
    # Step-up of Benjamini and Yekutieli, row by row.
    rank = np.arange(1, n_people + 1)
    allowed = rank * rate / (n_people * np.sum(1 / rank))
    below = np.sort(p, axis=1) <= allowed
    last = np.where(below.any(axis=1), n_people - np.argmax(below[:, ::-1], axis=1), 0)
    limit = np.where(last > 0, allowed[np.maximum(last - 1, 0)], -1.0)
    return p <= limit[:, None]
