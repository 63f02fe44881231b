"""Confidence sets for ranks: ranks that no significant difference rules out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from psymetric.errors import DataError

__all__ = ["Coverage", "rank_sets"]

Array = NDArray[np.float64]
Coverage = Literal["marginal", "simultaneous"]

_LARGEST = 2_000


def rank_sets(
    estimate: Array, covariance: Array, *, coverage: Coverage, level: float, draws: int = 10_000, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    r"""Lowest and highest rank that each level may have, 1 for the highest estimate; each of shape (n,).

    A level cannot be better than those that are significantly above it, nor worse than those below it. Level $j$ is
    compared with every other by $|\hat\theta_j - \hat\theta_k| > c\, s_{jk}$, where $s_{jk}$ is the standard error of
    the difference and $c$ the quantile of the largest of all $|z_j - z_k| / s_{jk}$ compared, for z ~ N(0, covariance).
    Such sets keep their coverage where levels are close. Quantiles of the ranks in draws around the estimates do not:
    a level that came out on top by luck is seldom far from it in the draws.

    Args:
        estimate: Shape (n,).
        covariance: Of the estimates, shape (n, n), or their variances, shape (n,), where errors are independent.
        coverage: "marginal": each set holds its level's rank with probability `level` at least; "simultaneous": all
            sets do at once.
        level: Coverage in (0, 1).
        draws: Draws that the quantiles are taken from.
        seed: Seed of the random numbers.

    Raises:
        DataError: An unknown `coverage`, or more than 2,000 levels.

    Source: Mogstad, Romano, Shaikh & Wilhelm (2024), Review of Economic Studies 91, 476-518, section 3, in one step
    and with both directions tested at once.
    """
    n = len(estimate)
    if coverage not in get_args(Coverage):
        raise DataError(f"rank_sets(coverage={coverage!r}) is not known: use one of {[*get_args(Coverage)]}")
    if n > _LARGEST:
        raise DataError(
            f"rank_sets: {n:,} levels have {n * (n - 1) // 2:,} differences; compare at most {_LARGEST:,}, or take "
            "ranks from draws"
        )
    matrix = np.diag(covariance) if covariance.ndim == 1 else covariance
    variance = np.diag(matrix)[:, None] + np.diag(matrix) - 2 * matrix
    error = np.sqrt(np.maximum(variance, 0.0))
    critical = np.array([*_critical_values(matrix, error, coverage, level, draws, seed)])
    gap = np.subtract.outer(estimate, estimate)
    reach = critical[:, None] * error
    return 1 + np.sum(gap < -reach, axis=1), n - np.sum(gap > reach, axis=1)


def _critical_values(
    covariance: Array, error: Array, coverage: Coverage, level: float, draws: int, seed: int
) -> Iterator[float]:
    """How many standard errors apart a level and another must be, for every level."""
    noise = _root_times_noise(covariance, draws, seed)
    # A difference that is known exceeds any multiple of its error.
    known = np.where(error > 0, error, np.inf)
    largest = np.zeros(draws)
    for place in range(len(error)):
        of_level = np.max(np.abs(noise[:, [place]] - noise) / known[place], axis=1)
        if coverage == "marginal":
            yield float(np.quantile(of_level, level, method="higher"))
        np.maximum(largest, of_level, out=largest)
    if coverage == "simultaneous":
        yield from [float(np.quantile(largest, level, method="higher"))] * len(error)


def _root_times_noise(covariance: Array, draws: int, seed: int) -> Array:
    """Draws from N(0, covariance), which is singular for levels that sum to zero; shape (draws, n)."""
    values, vectors = np.linalg.eigh(covariance)
    noise = np.random.default_rng(seed).standard_normal((draws, len(values)))
    return (noise * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
