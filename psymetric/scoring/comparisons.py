"""Measures compared pair by pair: who stands above whom, which tiers follow, and how many pairs are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["Comparisons"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]

_CHUNK = 1 << 22
_BLOCK = 512
_BY_DRAWS = 400


@final
@dataclass(frozen=True)
class Comparisons:
    """Estimates of n levels, with draws of them or with a normal distribution to draw from.

    Attributes:
        estimate: Shape (n,), NaN where there is none.
        covariance: Shape (n, n), or (n,) where errors are taken as independent: then the variances.
        draws: Joint draws, shape (draws, n), or None. Where there are draws, they decide.
        threshold: Probability from which two levels count as told apart, in (.5, 1).
    """

    estimate: Array
    covariance: Array
    draws: Array | None = None
    threshold: float = 0.95

    @property
    def basis(self) -> str:
        """Where the probabilities come from, in words."""
        if self.draws is not None:
            return f"shares of {len(self.draws):,} joint draws"
        if self.covariance.ndim == 2:
            return "normal approximations with the estimated covariances"
        return "normal approximations that take the errors of two levels as independent"

    @cached_property
    def variance(self) -> Array:
        """Variance of each estimate, shape (n,)."""
        return self.covariance if self.covariance.ndim == 1 else np.diag(self.covariance)

    @cached_property
    def known(self) -> Places:
        """Levels with an estimate, from the highest to the lowest."""
        found = np.flatnonzero(np.isfinite(self.estimate))
        return found[np.argsort(-self.estimate[found], kind="stable")]

    @cached_property
    def rankable(self) -> Places:
        """Of these, the levels whose error is known too."""
        return self.known if self.draws is not None else self.known[np.isfinite(self.variance[self.known])]

    def take(self, places: Places) -> Comparisons:
        """The same for some of the levels, in that order."""
        covariance = self.covariance[np.ix_(places, places)] if self.covariance.ndim == 2 else self.covariance[places]
        draws = None if self.draws is None else self.draws[:, places]
        return replace(self, estimate=self.estimate[places], covariance=covariance, draws=draws)

    def above(self, first: int, others: Places | None = None) -> Array:
        """Probability that level `first` lies above each of `others` (by default of all), shape (others,)."""
        others = np.arange(len(self.estimate)) if others is None else others
        if self.draws is not None:
            one = self.draws[:, [first]]
            rest = self.draws[:, others]
            return (one > rest).mean(axis=0) + 0.5 * (one == rest).mean(axis=0)
        gap = self.estimate[first] - self.estimate[others]
        sd = np.sqrt(np.maximum(self._variances(np.array([first]), others)[0], 1e-300))
        return np.where(others == first, 0.5, ndtr(gap / sd))

    def matrix(self, chosen: Places) -> Array:
        """Probability that the row's level lies above the column's; NaN on the diagonal."""
        table = np.stack([self.above(int(index), chosen) for index in chosen])
        np.fill_diagonal(table, np.nan)
        return table

    @cached_property
    def tiers(self) -> NDArray[np.int64]:
        """Tier of each level, from 1; 0 where there is no estimate.

        From the top down, a new tier begins at the first level that its tier's leader exceeds with at least the
        threshold probability. Members of a tier need not be equal: only none is told apart from the leader.
        """
        tier = np.zeros(len(self.estimate), np.int64)
        rest, number = self.known, 0
        while len(rest):
            number += 1
            apart = np.flatnonzero(self.above(int(rest[0]), rest) >= self.threshold)
            end = int(apart[0]) if len(apart) else len(rest)
            tier[rest[:end]] = number
            rest = rest[end:]
        return tier

    @cached_property
    def pairs_apart(self) -> int:
        """Pairs of which one is above the other with the threshold probability.

        By the draws up to 400 levels; of more, by the normal distribution of each difference.
        """
        known = self.known
        if self.draws is not None and len(known) <= _BY_DRAWS:
            p = self.matrix(known)
            # The diagonal is NaN and never counts.
            return int(np.sum(np.maximum(p, 1 - p) >= self.threshold)) // 2
        z, apart = float(ndtri(self.threshold)), 0
        for start in range(0, len(known), _BLOCK):
            block = known[start : start + _BLOCK]
            gap = np.abs(self.estimate[block, None] - self.estimate[known][None])
            apart += int(np.sum(gap > z * np.sqrt(np.maximum(self._variances(block, known), 0.0))))
        return apart // 2

    @property
    def pairs(self) -> int:
        """How many pairs of levels with an estimate there are."""
        return len(self.known) * (len(self.known) - 1) // 2

    @property
    def told_apart(self) -> float:
        """Share of pairs in which one is above the other with the threshold probability; NaN without pairs."""
        return self.pairs_apart / self.pairs if self.pairs else float("nan")

    def _variances(self, rows: Places, columns: Places) -> Array:
        """Variances of the differences, shape (rows, columns)."""
        summed = self.variance[rows, None] + self.variance[columns][None]
        return summed if self.covariance.ndim == 1 else summed - 2 * self.covariance[np.ix_(rows, columns)]

    def samples(self, draws: int, seed: int) -> Iterator[Array]:
        """Draws of all levels in blocks of bounded memory, each of shape (some, n)."""
        n, rng = len(self.estimate), np.random.default_rng(seed)
        step = max(_CHUNK // n, 1)
        if self.draws is not None:
            yield from (self.draws[start : start + step] for start in range(0, len(self.draws), step))
            return
        root = _root(self.covariance)
        for start in range(0, draws, step):
            noise = rng.standard_normal((min(step, draws - start), n))
            yield self.estimate + (noise * root if root.ndim == 1 else noise @ root.T)

    def ranks(self, draws: int, seed: int) -> NDArray[np.int32]:
        """Ranks in every draw, 1 is the highest, shape (draws, n)."""
        place = np.arange(1, len(self.estimate) + 1, dtype=np.int32)[None]
        found: list[NDArray[np.int32]] = []
        for values in self.samples(draws, seed):
            ranks = np.empty(values.shape, np.int32)
            np.put_along_axis(ranks, np.argsort(-values, axis=1, kind="stable"), place, axis=1)
            found.append(ranks)
        return np.concatenate(found)


def _root(covariance: Array) -> Array:
    """R with R Rᵀ = covariance, which is singular for levels that sum to zero; shape (n,) for independent errors."""
    if covariance.ndim == 1:
        return np.sqrt(covariance)
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))
