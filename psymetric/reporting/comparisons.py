"""How sure one is that one subject measures above another, and the tiers that follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["Comparisons"]

Array = NDArray[np.float64]

_BLOCK = 512


@final
@dataclass(frozen=True)
class Comparisons:
    """Measures that can be compared pair by pair.

    Attributes:
        estimate: Shape (subjects,), in logits; NaN where there is none.
        se: Standard errors, of the same shape.
        covariance: Of the estimates, shape (subjects, subjects), or None: then they are taken as independent.
        draws: Posterior draws, shape (draws, subjects), or None. Where there are draws, they decide.
        threshold: Probability from which two subjects count as told apart.
    """

    estimate: Array
    se: Array
    covariance: Array | None = None
    draws: Array | None = None
    threshold: float = 0.95

    @property
    def basis(self) -> str:
        """Where the probabilities come from, in words."""
        if self.draws is not None:
            return f"shares of {len(self.draws):,} joint posterior draws"
        if self.covariance is not None:
            return "normal approximations with the estimated covariances"
        return "normal approximations that take the errors of two subjects as independent"

    def above(self, first: int, others: NDArray[np.intp] | None = None) -> Array:
        """Probability that subject `first` measures above each of `others` (by default of all), shape (others,)."""
        others = np.arange(len(self.estimate)) if others is None else others
        if self.draws is not None:
            one = self.draws[:, [first]]
            rest = self.draws[:, others]
            return (one > rest).mean(axis=0) + 0.5 * (one == rest).mean(axis=0)
        gap = self.estimate[first] - self.estimate[others]
        variance = self.se[first] ** 2 + self.se[others] ** 2
        if self.covariance is not None:
            variance = variance - 2 * self.covariance[first, others]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = norm.cdf(gap / np.sqrt(np.maximum(variance, 1e-300)))
        return np.where(others == first, 0.5, p)

    def matrix(self, chosen: NDArray[np.intp]) -> Array:
        """Probability that the row's subject measures above the column's; NaN on the diagonal."""
        table = np.stack([self.above(int(index), chosen) for index in chosen])
        np.fill_diagonal(table, np.nan)
        return table

    @cached_property
    def known(self) -> NDArray[np.intp]:
        """Subjects with an estimate, from the highest to the lowest."""
        found = np.flatnonzero(np.isfinite(self.estimate))
        return found[np.argsort(-self.estimate[found], kind="stable")]

    @cached_property
    def tiers(self) -> NDArray[np.int64]:
        """Tier of each subject, from 1; 0 where there is no estimate.

        From the top down, a new tier begins at the first subject that its tier's leader measures above with at least
        the threshold probability. Members of a tier need not be equal: only none is told apart from the leader.
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
    def told_apart(self) -> float:
        """Share of pairs in which one is above the other with the threshold probability; NaN without pairs."""
        return self.told_apart_with(self.se)

    def told_apart_with(self, se: Array) -> float:
        """The same were the standard errors `se` and the estimates as they are; other errors are independent."""
        count = len(self.known)
        if count < 2:
            return float("nan")
        own = se is self.se
        if own and (self.covariance is not None or self.draws is not None) and count <= 400:
            p = self.matrix(self.known)
            # The diagonal is NaN and never counts.
            return float(np.sum(np.maximum(p, 1 - p) >= self.threshold) / (count * (count - 1)))
        z = float(norm.ppf(self.threshold))
        values, errors = self.estimate[self.known], se[self.known]
        apart = 0
        for start in range(0, count, _BLOCK):
            block = slice(start, start + _BLOCK)
            gap = np.abs(values[block, None] - values[None])
            apart += int(np.sum(gap > z * np.hypot(errors[block, None], errors[None])))
        return apart / (count * (count - 1))
