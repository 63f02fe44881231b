"""Circular triads of majorities: how many there are, how many chance would make, and which they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_cycles", "count_triples", "expected_cycles", "most_cycles", "simulated_cycles", "strongest_cycles"]

Array = NDArray[np.float64]

_WORK = 1 << 22
"""Numbers of simulated tournaments held at once."""


def count_cycles(beats: NDArray[np.bool_]) -> int:
    r"""Circular triads i → j → k → i, each once: $\mathrm{tr}(A^3) / 3$.

    Args:
        beats: Whether the row's item beats the column's, shape (items, items); never both ways.
    """
    return round(expected_cycles(beats.astype(np.float64)))


def expected_cycles(chance: Array) -> float:
    r"""Expected circular triads of independent majorities, $\sum p_{ij} p_{jk} p_{ki} + p_{ik} p_{kj} p_{ji}$.

    Each pair enters a triple once and pairs are independent, so that the expectation of a product is the product.

    Args:
        chance: That the row's item beats the column's, shape (items, items), zero on the diagonal; what a pair lacks
            to one is the chance that it is tied.
    """
    return float(np.sum((chance @ chance) * chance.T) / 3)


def count_triples(decided: NDArray[np.bool_]) -> int:
    """Triples of items of which all three pairs are decided; `decided` is symmetric, shape (items, items)."""
    return round(expected_cycles(decided.astype(np.float64)) / 2)


def most_cycles(n_items: int) -> float:
    """The largest number of circular triads that n items can have.

    Source: Kendall & Babington Smith (1940), Biometrika 31, 324-345, eq. 5 and 6.
    """
    return (n_items**3 - n_items * (1 if n_items % 2 else 4)) / 24


def simulated_cycles(chance: Array, *, draws: int, seed: int) -> NDArray[np.int64]:
    """Circular triads of tournaments whose pairs are decided independently, shape (draws,).

    Args:
        chance: As for `expected_cycles`.
        draws: How many.
        seed: Of the generator.
    """
    met = np.flatnonzero((chance + chance.T).any(axis=0))
    part = chance[np.ix_(met, met)]
    size = len(met)
    rows, columns = np.triu_indices(size, 1)
    ahead, behind = part[rows, columns], part[columns, rows]
    rng = np.random.default_rng(seed)
    found = np.empty(draws, np.int64)
    step = max(_WORK // max(size**2, 1), 1)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        luck = rng.random((count, len(rows)))
        # Whole numbers up to 2^24 are exact in single precision, and no entry of the square exceeds the items.
        beats = np.zeros((count, size, size), np.float32)
        beats[:, rows, columns] = luck < ahead
        beats[:, columns, rows] = luck >= 1 - behind
        closed = np.sum((beats @ beats) * beats.transpose(0, 2, 1), axis=(1, 2), dtype=np.float64)
        found[start : start + count] = np.round(closed / 3).astype(np.int64)
    return found


def strongest_cycles(strength: Array, limit: int) -> tuple[NDArray[np.int64], Array]:
    """The circular triads whose weakest majority is the strongest.

    Args:
        strength: Of the majority of the row's item over the column's, positive where it has one, else 0; shape
            (items, items).
        limit: At most so many.

    Returns:
        Items i → j → k → i, i the earliest, shape (cycles, 3), and the weakest of their three strengths, from the
        highest down; shape (cycles,).
    """
    places, weakest = np.zeros((0, 3), np.int64), np.zeros(0)
    for i in range(len(strength) - 2):
        out, back = strength[i, i + 1 :], strength[i + 1 :, i]
        through = np.minimum(np.minimum(out[:, None], back), strength[i + 1 :, i + 1 :])
        bar = weakest[-1] if limit and len(weakest) == limit else 0.0
        j, k = np.nonzero(through > bar)
        if not len(j):
            continue
        new = np.stack([np.full(len(j), i), j + i + 1, k + i + 1], axis=1)
        places, weakest = np.concatenate([places, new]), np.concatenate([weakest, through[j, k]])
        best = np.argsort(-weakest, kind="stable")[:limit]
        places, weakest = places[best], weakest[best]
    return places, weakest
