"""Statistics of sums over subjects, and their intervals by drawing subjects anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["correlation", "interval", "over_subjects"]

Array = NDArray[np.float64]

_CHUNK = 1 << 23
"""Numbers held at once."""
_NOTHING = 1e-12


def over_subjects(
    columns: Array,
    subject: NDArray[np.int64],
    statistic: Callable[[Array], Array],
    *,
    draws: int,
    seed: int,
) -> tuple[Array, Array]:
    """A statistic of the summed columns, and of those of `draws` samples of as many subjects; (S,) and (draws, S).

    Args:
        columns: One row per unit, shape (U, M).
        subject: Of each unit, shape (U,).
        statistic: From sums, shape (..., M), to statistics, shape (..., S).
        draws: Samples.
        seed: Of the samples; the same for the same seed and subjects.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 6 (the subject is what is drawn).
    """
    _, place = np.unique(subject, return_inverse=True)
    place = place.reshape(-1)
    sums = np.stack([np.bincount(place, column) for column in columns.T], axis=1)
    rng, count = np.random.default_rng(seed), len(sums)
    step = max(_CHUNK // count, 1)
    parts: list[Array] = []
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = rng.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        parts.append(times.astype(np.float64) @ sums)
    return statistic(sums.sum(axis=0)), statistic(np.concatenate(parts))


def interval(drawn: Array, level: float) -> tuple[Array, Array]:
    """Percentiles of draws, shape (draws, S), those that are not defined left out; NaN where none is."""
    known = np.isfinite(drawn).any(axis=0)
    lower, upper = np.full(known.shape, np.nan), np.full(known.shape, np.nan)
    if known.any():
        lower[known], upper[known] = np.nanquantile(drawn[:, known], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return lower, upper


def correlation(n: Array, x: Array, y: Array, xx: Array, yy: Array, xy: Array) -> Array:
    """Pearson's r from sums; NaN where one of the two does not vary."""
    across = xy / n - x / n * y / n
    spread = (xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2)
    return np.divide(across, np.sqrt(np.maximum(spread, 0)), out=np.full_like(across, np.nan), where=spread > _NOTHING)
