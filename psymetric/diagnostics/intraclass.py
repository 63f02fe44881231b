"""Intraclass correlations with their F intervals: functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from psymetric.diagnostics.chance_corrected import Estimate

__all__ = ["one_way", "two_way"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_NONE = Estimate(float("nan"))
_NOTHING = 1e-12
"""Share of the total variation below which a sum of squares is rounding of zero."""


def one_way(unit: Codes, rating: Array, level: float) -> dict[str, Estimate]:
    """ICC(1) and ICC(1,k): judges are nested in units, their differences are error.

    Units may have different numbers of ratings; k is then the number that balances the expected mean squares, and the
    intervals are approximate.

    Args:
        unit: 0…U−1, shape (R,).
        rating: Numbers, shape (R,).
        level: Coverage, in (0, 1).

    Source: Shrout & Fleiss (1979), Psychological Bulletin 86, 420-428; Donner (1986), International Statistical Review
    54, 67-82, for unequal numbers.
    """
    size = np.bincount(unit).astype(np.float64)
    n, total = len(size), len(rating)
    if n < 2 or total <= n:
        return {"ICC(1)": _NONE, "ICC(1,k)": _NONE}
    rating = rating - rating.mean()
    mean = np.bincount(unit, rating) / size
    between = float(size @ mean**2) / (n - 1)
    within = float(np.sum((rating - mean[unit]) ** 2)) / (total - n)
    k = (total - float(size @ size) / total) / (n - 1)
    if not _varies(rating):
        return {"ICC(1)": _NONE, "ICC(1,k)": _NONE}
    return _from_ratio(between, within, k, (n - 1, total - n), level, ("ICC(1)", "ICC(1,k)"))


def two_way(unit: Codes, judge: Codes, rating: Array, level: float) -> dict[str, Estimate]:
    """ICC(2,1), ICC(2,k), ICC(3,1) and ICC(3,k) of a complete table: each of n units rated by each of k judges.

    ICC(2) takes judges for a sample and their severity for error (absolute agreement); ICC(3) takes them for all there
    are and leaves severity out (consistency).

    Args:
        unit: 0…n−1, shape (n k,).
        judge: 0…k−1, shape (n k,).
        rating: Numbers, shape (n k,).
        level: Coverage, in (0, 1).

    Source: Shrout & Fleiss (1979), Psychological Bulletin 86, 420-428; McGraw & Wong (1996), Psychological Methods 1,
    30-46, table 7, for the interval of ICC(2,1).
    """
    names = ("ICC(2,1)", "ICC(2,k)", "ICC(3,1)", "ICC(3,k)")
    n, k = int(unit.max()) + 1 if unit.size else 0, int(judge.max()) + 1 if judge.size else 0
    if n < 2 or k < 2 or not _varies(rating):
        return dict.fromkeys(names, _NONE)
    rating = rating - rating.mean()
    row, column = np.bincount(unit, rating) / k, np.bincount(judge, rating) / n
    rows, columns = k * float(row @ row) / (n - 1), n * float(column @ column) / (k - 1)
    residual = rating - row[unit] - column[judge]
    error = float(residual @ residual) / ((n - 1) * (k - 1))
    fixed = _from_ratio(rows, error, k, (n - 1, (n - 1) * (k - 1)), level, names[2:])
    single = _absolute(rows, columns, error, n, k, level)
    averaged = rows + (columns - error) / n
    stepped = [k * end / (1 + (k - 1) * end) for end in (single.lower, single.upper)]
    mean = Estimate((rows - error) / averaged, *stepped) if averaged > _NOTHING else _NONE
    return {names[0]: single, names[1]: mean, **fixed}


def _varies(rating: Array) -> bool:
    return float(np.ptp(rating)) > 0


def _from_ratio(
    between: float, within: float, k: float, df: tuple[int, int], level: float, names: tuple[str, ...]
) -> dict[str, Estimate]:
    """Single and averaged coefficient from two mean squares whose ratio is F under no correlation."""
    if between + (k - 1) * within <= _NOTHING or between <= _NOTHING:
        # Units do not differ at all: a single rating is as far from agreement as it can be, a mean has no scale.
        single = -1 / (k - 1) if within > 0 and k > 1 else float("nan")
        return {names[0]: Estimate(single), names[1]: _NONE}
    upper_tail = (1 + level) / 2
    bounds = [within * float(fdtri(*df, upper_tail)), within / float(fdtri(df[1], df[0], upper_tail))]
    single = [(between - w) / (between + (k - 1) * w) for w in (within, *bounds)]
    mean = [1 - w / between for w in (within, *bounds)]
    return {names[0]: Estimate(*single), names[1]: Estimate(*mean)}


def _absolute(rows: float, columns: float, error: float, n: int, k: int, level: float) -> Estimate:
    """ICC(2,1) with Satterthwaite's degrees of freedom for the mean squares of judges and error."""
    scale = rows + (k - 1) * error + k * (columns - error) / n
    if scale <= _NOTHING:
        return _NONE
    value = (rows - error) / scale
    # Both weights times n (1 − value), which keeps them finite where judges agree in everything.
    parts = k * value * columns, (n * (1 - value) + k * value * (n - 1)) * error
    spread = parts[0] ** 2 / (k - 1) + parts[1] ** 2 / ((n - 1) * (k - 1))
    if spread == 0:
        return Estimate(value, value, value)
    df = sum(parts) ** 2 / spread
    low, high = float(fdtri(n - 1, df, (1 + level) / 2)), float(fdtri(df, n - 1, (1 + level) / 2))
    other = k * columns + (k * n - k - n) * error
    lower = n * (rows - low * error) / (low * other + n * rows)
    upper = n * (high * rows - error) / (other + n * high * rows)
    return Estimate(value, lower, upper)
