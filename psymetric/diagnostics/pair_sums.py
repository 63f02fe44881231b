"""Exact distribution of scores of comparisons: wins of one side, ties counted half, summed over many comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from psymetric.core.distinct import factorized

__all__ = ["PairSums", "pair_sums"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_SHARES = np.array([1.0, 0.0, 0.5])
_WORK = 1 << 21
"""Numbers of a Fourier transform held at once; a cell that needs more has enough comparisons for the normal law."""
_ROUNDING = 1e-15
"""Chances below this are rounding of a Fourier transform."""


@final
@dataclass(frozen=True)
class PairSums:
    """Scores of C cells of comparisons under a model, each array of shape (C,).

    Attributes:
        n: Comparisons (sum of weights).
        score: Wins of the first side and half its ties.
        expected: The same by the model.
        variance: Of the score, by the model.
        at_most: Chance of a score up to the observed one.
        at_least: Chance of the observed score or a higher one.
        ahead: Chance that the first side wins more often than the other.
        behind: Chance that it wins less often.
    """

    n: Array
    score: Array
    expected: Array
    variance: Array
    at_most: Array
    at_least: Array
    ahead: Array
    behind: Array


def pair_sums(
    cell: Codes,
    kind: Codes,
    turned: NDArray[np.bool_],
    response: NDArray[np.int32],
    weight: Array,
    *,
    probability: Array,
    n_cells: int,
) -> PairSums:
    r"""Scores of cells and their distribution, comparisons being independent given the model.

    The distribution is exact, by the product of characteristic functions on the lattice of half points, to about
    1e-12. Cells with weights that are no whole numbers, and those of so many comparisons that the transform would not
    fit, have the normal one with a correction for the lattice.

    Args:
        cell: Cell of each comparison, 0…C−1, shape (R,).
        kind: Kind of each comparison, shape (R,).
        turned: Whether the cell's first side is the right one, shape (R,).
        response: 0 left, 1 right, 2 tie, shape (R,).
        weight: How often each counts, positive, shape (R,).
        probability: Chances of left, right and tie of each kind, shape (D, 3).
        n_cells: C.
    """
    share = np.where(turned, 1 - _SHARES[response], _SHARES[response])
    keys, place = factorized((cell * len(probability) + kind) * 2 + turned, 2 * n_cells * len(probability))
    times = np.bincount(place, weight).astype(np.float64)
    owner, rest = np.divmod(keys, 2 * len(probability))
    chances = probability[rest // 2]
    chances[rest % 2 == 1] = chances[rest % 2 == 1][:, [1, 0, 2]]
    mean = chances @ _SHARES
    spread = chances @ _SHARES**2 - mean**2

    def total(code: Codes, values: Array) -> Array:
        return np.bincount(code, values, n_cells).astype(np.float64)

    n, score = total(cell, weight), total(cell, weight * share)
    expected, variance = total(owner, times * mean), total(owner, times * spread)
    found = _normal(n, score, expected, variance, total(owner, chances[:, 2]) > 0)
    whole = np.bincount(owner, times != np.round(times), n_cells) == 0
    size = np.bincount(owner, minlength=n_cells)
    exact = whole & (n > 0) & (size * (2 * n + 1) <= _WORK)
    for batch in _batches(n, size, exact):
        found[:, batch] = _exact(batch, owner, chances, times, n[batch], score[batch])
    return PairSums(n, score, expected, variance, *found)


def _normal(n: Array, score: Array, expected: Array, variance: Array, ties: NDArray[np.bool_]) -> Array:
    """The four chances of each cell by the normal law, shape (4, C); `ties` says where scores have half points."""
    step = np.where(ties, 0.25, 0.5)
    # Without ties an odd number of comparisons leaves no majority tied.
    middle = np.where(ties | (n % 2 == 0), step, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(variance)
        bounds = score + step - expected, expected - score + step, expected - n / 2 - middle, n / 2 - middle - expected
        return np.stack([np.where(n > 0, ndtr(bound / error), np.nan) for bound in bounds])


def _batches(n: Array, size: Codes, exact: NDArray[np.bool_]) -> list[Codes]:
    """Cells of like numbers of comparisons, as many at once as memory allows."""
    order = np.flatnonzero(exact)[np.argsort(n[exact], kind="stable")]
    found: list[Codes] = []
    start = 0
    rows = np.cumsum(size[order])
    while start < len(order):
        before = rows[start - 1] if start else 0
        # All of a batch are padded to its longest, at most twice its shortest.
        fits = (rows[start:] - before) * (2 * n[order[start:]] + 1) <= _WORK
        near = n[order[start:]] <= 2 * n[order[start]]
        count = max(int(np.argmin(fits & near)) if not np.all(fits & near) else len(fits), 1)
        found.append(order[start : start + count])
        start += count
    return found


def _exact(batch: Codes, owner: Codes, chances: Array, times: Array, n: Array, score: Array) -> Array:
    """The four chances of each cell of a batch, shape (4, cells)."""
    place = np.full(int(owner.max()) + 1, -1)
    place[batch] = np.arange(len(batch))
    rows = np.flatnonzero(place[owner] >= 0)
    rows = rows[np.argsort(place[owner[rows]], kind="stable")]
    length = 2 * int(n.max()) + 1
    turn = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    chance = chances[rows]
    # Half points are the lattice, so that a win is two steps.
    factor = chance[:, :1] * turn**2 + chance[:, 2:] * turn + chance[:, 1:2]
    many = times[rows] > 1
    factor[many] **= times[rows][many][:, None]
    starts = np.searchsorted(place[owner[rows]], np.arange(len(batch)))
    density = np.fft.irfft(np.multiply.reduceat(factor, starts, axis=0), n=length, axis=1)
    density = np.where(density > _ROUNDING, density, 0.0)
    at, here, middle = np.arange(length), np.round(2 * score)[:, None], np.round(n)[:, None]
    return np.stack([np.sum(density * part, axis=1) for part in (at <= here, at >= here, at > middle, at < middle)])
