"""Agreement and Cohen's kappas of every pair of judges, from counts of what both rated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.diagnostics.chance_corrected import Scheme, agreement_weights
from psymetric.diagnostics.ratings import Ratings

__all__ = ["PairCells", "kappa", "observed", "pair_cells", "pair_frame"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_DENSE = 1 << 22
"""Judges² × categories² up to which cells are counted in one array; beyond, only those that occur."""
_NOTHING = 1e-12


@final
@dataclass(frozen=True)
class PairCells:
    """The K × K tables of all pairs of judges that met, as their non-empty cells.

    Attributes:
        first: Judge of each pair, shape (P,).
        second: The other judge, a later one, shape (P,).
        pair: Pair of each cell, 0…P−1, shape (C,).
        left: Category of the first judge, shape (C,).
        right: Category of the second judge, shape (C,).
        share: Share of the pair's units in the cell, shape (C,).
        n: Units that both rated, shape (P,).
        left_share: Shares of the first judge's categories among them, shape (P, K).
        right_share: The same of the second judge, shape (P, K).
    """

    first: Codes
    second: Codes
    pair: Codes
    left: Codes
    right: Codes
    share: Array
    n: Array
    left_share: Array
    right_share: Array


def pair_cells(ratings: Ratings) -> PairCells:
    """Count what every two judges said of the units that both rated.

    Rows lie in the order of units, so that the pairs of a unit are rows at distance 1, 2, …: memory grows with the
    ratings and the pairs of judges, not with judges × units.
    """
    n_judges, n_categories = len(ratings.judges), len(ratings.values)
    found: list[tuple[Codes, Codes]] = []
    dense = np.zeros(n_judges**2 * n_categories**2 if n_judges**2 * n_categories**2 <= _DENSE else 0, np.int64)
    left = np.arange(len(ratings.unit))
    for distance in range(1, n_judges):
        left = left[: np.searchsorted(left, len(ratings.unit) - distance)]
        left = left[ratings.unit[left] == ratings.unit[left + distance]]
        if not left.size:
            break
        right = left + distance
        pair = ratings.judge[left] * n_judges + ratings.judge[right]
        cell = (pair * n_categories + ratings.response[left]) * n_categories + ratings.response[right]
        if dense.size:
            dense += np.bincount(cell, minlength=dense.size)
        else:
            found.append(np.unique(cell, return_counts=True))
    if dense.size:
        cells = np.flatnonzero(dense)
        times = dense[cells]
    else:
        cells, place = np.unique(np.concatenate([cell for cell, _ in found]), return_inverse=True)
        times = np.bincount(place, np.concatenate([count for _, count in found]))
    return _cells(cells, times.astype(np.float64), n_judges, n_categories)


def _cells(cells: Codes, times: Array, n_judges: int, n_categories: int) -> PairCells:
    key, inside = np.divmod(cells, n_categories**2)
    left, right = np.divmod(inside, n_categories)
    pairs, pair = np.unique(key, return_inverse=True)
    n = np.bincount(pair, times).astype(np.float64)
    share = times / n[pair]
    size = len(pairs) * n_categories
    margins = [
        np.bincount(pair * n_categories + side, share, size).astype(np.float64).reshape(-1, n_categories)
        for side in (left, right)
    ]
    return PairCells(
        pairs // n_judges, pairs % n_judges, pair.astype(np.int64), left, right, share, n, margins[0], margins[1]
    )


def observed(cells: PairCells, weights: Array) -> tuple[Array, Array]:
    """Weighted agreement of each pair, and by chance under the two judges' own margins; shape (P,) each."""
    seen = np.bincount(cells.pair, cells.share * weights[cells.left, cells.right], len(cells.n))
    return seen.astype(np.float64), np.sum((cells.left_share @ weights) * cells.right_share, axis=1)


def kappa(cells: PairCells, weights: Array) -> tuple[Array, Array]:
    """Weighted kappa of each pair and its large-sample standard error, shape (P,); NaN where chance agreement is 1.

    Source: Cohen (1968), Psychological Bulletin 70, 213-220; Fleiss, Cohen & Everitt (1969), Psychological Bulletin 72,
    323-327.
    """
    seen, chance = observed(cells, weights)
    room = np.where(1 - chance > _NOTHING, 1 - chance, np.nan)
    value = (seen - chance) / room
    by_left, by_right = cells.right_share @ weights.T, cells.left_share @ weights
    towards = by_left[cells.pair, cells.left] + by_right[cells.pair, cells.right]
    departure = weights[cells.left, cells.right] - towards * (1 - value)[cells.pair]
    square = np.bincount(cells.pair, cells.share * departure**2, len(cells.n))
    variance = (square - (value - chance * (1 - value)) ** 2) / (cells.n * room**2)
    return value, np.sqrt(np.maximum(variance, 0.0))


def pair_frame(cells: PairCells, ratings: Ratings, level: float) -> pd.DataFrame:
    """One row per pair of judges that met: judge_a, judge_b, n, agreement and kappas."""
    columns: dict[str, object] = {
        "judge_a": pd.Series([ratings.judges[code] for code in cells.first], dtype=object),
        "judge_b": pd.Series([ratings.judges[code] for code in cells.second], dtype=object),
        "n": cells.n.astype(np.int64),
    }
    agreeing: tuple[Scheme, ...] = ("exact", "adjacent")
    for scheme in agreeing:
        seen, chance = observed(cells, agreement_weights(ratings.values, scheme))
        columns |= {scheme: seen, f"{scheme}_chance": chance}
    names: dict[str, Scheme] = {"kappa": "exact", "kappa_linear": "linear", "kappa_quadratic": "quadratic"}
    for name, scheme in names.items():
        value, error = kappa(cells, agreement_weights(ratings.values, scheme))
        half = float(ndtri((1 + level) / 2)) * error
        columns |= {name: value, f"{name}_lower": value - half, f"{name}_upper": np.minimum(value + half, 1.0)}
    return pd.DataFrame(columns)
