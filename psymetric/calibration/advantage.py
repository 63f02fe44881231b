"""Who stands closer to the other people, a judge or the person it would replace: arrays of comparisons and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import stdtr
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
    "smallest_epsilon",
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
_GRID = 257
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
    where every subject says the same there is no error to divide by and the exact test over subjects answers.

    Source: Calderon, Reichart & Dror (2025), section 3.
    """
    exact = [
        exact_probability(int(total if test == "exact" else np.rint(gap * n)), int(n), epsilon)
        if test == "exact" or se == 0
        else np.nan
        for total, gap, n, se in zip(found.total, found.gap, found.n_subjects, found.se, strict=True)
    ]
    t = np.divide(found.gap - epsilon, found.se, out=np.zeros_like(found.se), where=found.se > 0)
    tail = np.asarray(stdtr(found.n_subjects - 1, t), np.float64)
    return np.where(np.isnan(exact), tail, exact)


def exact_probability(total: int, n: int, epsilon: float) -> float:
    """Chance that n independent signs sum to `total` or less, at the worst of all laws with mean `epsilon`.

    Signs are -1, 0 and 1. A law of a larger mean makes small sums less likely, so that the worst one has the mean
    epsilon; what remains free is the chance of -1, which is searched.

    Source: unconditional exact test, Barnard (1947), Biometrika 34, 123-138, on a trinomial law.
    """
    most = min((1 - epsilon) / 2, 1.0)
    least = max(-epsilon, 0.0)
    turn = np.exp(-2j * np.pi * np.arange(2 * n + 1) / (2 * n + 1))

    def tail(minus: Array) -> Array:
        zero = 1 - epsilon - 2 * minus
        law = (minus[:, None] / turn + zero[:, None] + (epsilon + minus)[:, None] * turn) ** n
        chance = np.fft.ifft(law, axis=1).real
        sums = np.concatenate([chance[:, n + 1 :], chance[:, : n + 1]], axis=1)  # from -n to n
        return np.clip(sums[:, : total + n + 1].sum(axis=1), 0.0, 1.0)

    grid = np.linspace(least, most, _GRID)
    at = tail(grid)
    best = int(np.argmax(at))
    around = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, _GRID - 1)])
    refined = minimize_scalar(lambda minus: -float(tail(np.array([minus]))[0]), bounds=around, method="bounded")
    return max(float(at[best]), -float(refined.fun))


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
