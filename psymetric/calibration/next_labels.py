"""Which rows to send to a person: where the judge is likely to err, by chances that keep the estimate unbiased."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.judged_rows import label_numbers
from psymetric.data.columns import pick_columns
from psymetric.data.messages import counted, row_error
from psymetric.errors import DataError

__all__ = ["inclusion", "next_labels", "systematic"]

Array = NDArray[np.float64]

_WHO: Final = "next_labels"
_PILOT: Final = 10
_MOST_VALUES: Final = 20
_BINS: Final = 5
_SHRUNK: Final = 5.0
"""Labelled rows that the average error counts for: a verdict that was right in ten of ten rows may yet be wrong."""


def next_labels(
    df: Any,
    *,
    n: int,
    judge: str = "judge",
    label: str | None = None,
    uncertainty: str | None = None,
    probability: str | None = None,
    values: Mapping[Any, float] | None = None,
    even: float = 0.2,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Rows for people to label next, more of those on which the judge is likely to be wrong.

    Chances of a label are $\pi_i \propto (1 - e)\, u_i / \bar u + e$, where u is the expected size of the judge's
    error: the least variance for a number of labels (Neyman's allocation), with a share e spread evenly, since u is a
    guess. Exactly n rows are drawn, by systematic sampling in random order, and the estimate stays unbiased whatever u
    is worth as long as `calibrated_estimate(probability=)` is told the chances.

    u is the column `uncertainty` (such as the spread of several verdicts, or one less the probability of the verdict);
    else, where 10 rows and more have labels, the root mean square of the error among labelled rows of the same verdict
    (of many values: the same fifth); else √(f (1 − f)) of verdicts f that are probabilities.

    Args:
        df: A pandas, Polars or Arrow table; one row per thing judged.
        n: How many rows to label now.
        judge: Column of verdicts. Rows without one are not drawn.
        label: Column of the labels there are, missing elsewhere; such rows are not drawn again.
        uncertainty: Column of u, 0 or more.
        probability: Column of the chances with which the labels there are were drawn, known for every row; by default
            they are a random sample.
        values: As in `calibrated_estimate`.
        even: e, in (0, 1]; 1 draws at random.
        seed: Seed of the random numbers.

    Returns:
        One row for each of `df`, in its order and with its index: `chosen`, and `probability`, the chance of a label
        over the draws so far and this one, 0 in rows without a verdict. Keep the column beside the rows.

    Raises:
        DataError: Unknown columns, fewer rows without labels than n, a share outside (0, 1], u that is missing,
            negative or 0 throughout, and no u at all.

    Source: Zrnic & Candès (2024), Active Statistical Inference, arXiv 2403.03208, section 3; Neyman (1934), JRSS 97,
    558-625; Madow (1949), Annals of Mathematical Statistics 20, 333-354 (systematic sampling).
    """
    columns = {"judge": judge, "label": label, "uncertainty": uncertainty, "probability": probability}
    roles = {role: column for role, column in columns.items() if column is not None}
    picked = pick_columns(df, roles, who=_WHO)
    index = df.index if isinstance(df, pd.DataFrame) else picked.index
    verdict = label_numbers(picked["judge"], judge, values, who=_WHO)
    known = np.full(len(verdict), np.nan)
    if label is not None:
        known = label_numbers(picked["label"], label, values, who=_WHO)
    has = np.isfinite(verdict)
    open_rows = has & ~np.isfinite(known)
    if not 0 < even <= 1:
        raise DataError(f"{_WHO}: even={even} is not a share in (0, 1]; without any, a wrong guess costs dearly")
    if not 1 <= n <= open_rows.sum():
        raise DataError(f"{_WHO}: n={n} of {counted(int(open_rows.sum()), 'row')} with a verdict and no label")
    first = np.zeros(len(verdict))
    if np.isfinite(known[has]).any():
        first = np.where(has, np.isfinite(known[has]).mean(), 0.0)
    if probability is not None:
        first = _first(picked["probability"], has, probability)
    size = _size(picked, verdict, known, uncertainty, has)
    size = (1 - even) * size / size[open_rows].mean() + even
    second = np.where(has, inclusion(size, open_rows, n), 0.0)
    chosen = np.zeros(len(verdict), bool)
    chosen[np.flatnonzero(open_rows)[systematic(second[open_rows], np.random.default_rng(seed))]] = True
    return pd.DataFrame({"chosen": chosen, "probability": first + (1 - first) * second}, index=index)


def inclusion(size: Array, rows: NDArray[np.bool_], n: int) -> Array:
    """Chances in proportion to size, at most 1, that sum to n over some rows, shape (R,).

    Args:
        size: Above zero, shape (R,).
        rows: Those that can be drawn, shape (R,); others get the chance that rows of their size have.
        n: How many are drawn.
    """
    sure = np.zeros(len(size), bool)
    while True:
        left = rows & ~sure
        if not left.any():
            return np.ones(len(size))
        scale = (n - int((rows & sure).sum())) / size[left].sum()
        above = left & (size * scale >= 1)
        if not above.any():
            return np.where(sure, 1.0, np.minimum(size * scale, 1.0))
        sure |= above


def systematic(chance: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """As many places as the chances sum to, each with its chance: equal steps along the rows in random order."""
    sure = np.flatnonzero(chance >= 1)
    order = rng.permutation(np.flatnonzero(chance < 1))
    n = round(float(chance.sum())) - len(sure)
    if n == 0:
        return sure
    ends = np.cumsum(chance[order])
    at = np.searchsorted(ends * (n / ends[-1]), rng.random() + np.arange(n), side="right")
    return np.sort(np.concatenate([sure, order[np.minimum(at, len(order) - 1)]]))


def _first(values: pd.Series[Any], has: NDArray[np.bool_], column: str) -> Array:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if (bad := has & ~((numbers >= 0) & (numbers <= 1))).any():
        fix = "give every row the chance that it had so far, labelled or not"
        raise row_error(_WHO, f"column {column!r} is no chance", bad, values[bad].head(100).tolist(), fix)
    return np.where(has, numbers, 0.0)


def _size(picked: pd.DataFrame, verdict: Array, known: Array, uncertainty: str | None, has: NDArray[np.bool_]) -> Array:
    """The expected size of the judge's error, shape (R,)."""
    if uncertainty is not None:
        values = picked["uncertainty"]
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if (bad := has & ~(np.isfinite(numbers) & (numbers >= 0))).any():
            what = f"column {uncertainty!r} is missing, negative or text"
            raise row_error(_WHO, what, bad, values[bad].head(100).tolist(), "give a size of 0 or more in every row")
        return _some(np.where(has, numbers, 0.0), has)
    pilot = has & np.isfinite(known)
    if pilot.sum() >= _PILOT:
        return _some(_learned(verdict, known, has, pilot), has)
    if (verdict[has] < 0).any() or (verdict[has] > 1).any() or np.isin(verdict[has], [0.0, 1.0]).all():
        raise DataError(
            f"{_WHO}: nothing says where the judge may be wrong: its verdicts are no probabilities, and "
            f"{int(pilot.sum())} rows have labels; name a column by uncertainty=, or label {_PILOT} rows first"
        )
    return _some(np.where(has, np.sqrt(np.clip(verdict * (1 - verdict), 0, None)), 0.0), has)


def _some(size: Array, has: NDArray[np.bool_]) -> Array:
    if not size[has].any():
        raise DataError(f"{_WHO}: the expected error is 0 in every row; draw at random, with even=1 and another column")
    return size


def _learned(verdict: Array, known: Array, has: NDArray[np.bool_], pilot: NDArray[np.bool_]) -> Array:
    """Root mean square of the labels about their line on the verdicts, by verdict, shrunk to that of all."""
    f, y = verdict[pilot], known[pilot]
    slope = float(np.cov(f, y)[0, 1] / f.var(ddof=1)) if np.ptp(f) > 0 else 0.0
    squares = (y - y.mean() - slope * (f - f.mean())) ** 2
    values = np.unique(verdict[has])
    if len(values) > _MOST_VALUES:
        values = np.unique(np.quantile(verdict[has], np.arange(_BINS) / _BINS))
    place = np.clip(np.searchsorted(values, np.where(has, verdict, values[0]), side="right") - 1, 0, None)
    total = np.bincount(place[pilot], squares, len(values))
    n = np.bincount(place[pilot], minlength=len(values))
    return np.where(has, np.sqrt((total + _SHRUNK * squares.mean()) / (n + _SHRUNK))[place], 0.0)
