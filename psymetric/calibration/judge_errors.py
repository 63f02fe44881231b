"""How a judge errs on labelled rows, and whether those rows look like the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.calibration.calibrated_rows import verdict_gap
from psymetric.calibration.influence import interval, people_alone, spread
from psymetric.calibration.judged_rows import JudgedRows
from psymetric.data.coding import Label

__all__ = ["are_probabilities", "bin_table", "categories_of", "confusion_table", "groups_of", "sample_table"]

Array = NDArray[np.float64]

_MOST_CATEGORIES: Final = 8
_BINS: Final = 5
_SHARES: Final = (0.0, 1.0)


def groups_of(rows: JudgedRows, role: str) -> Iterator[tuple[Label | None, JudgedRows]]:
    """All rows, under None, then those of each level of `system` or `by` that has rows, where several do."""
    yield None, rows
    if role not in rows.codes:
        return
    codes = rows.codes[role]
    there = np.unique(codes).tolist()
    for code in there if len(there) > 1 else ():
        yield rows.levels[role][code], rows.take(codes == code)


def categories_of(rows: JudgedRows) -> Array | None:
    """Values that verdicts and labels share, where they are few; None where these are scores, or on two scales."""
    verdicts, labels = np.unique(rows.judge), np.unique(rows.label[rows.known])
    both = np.union1d(verdicts, labels)
    nested = len(both) == max(len(verdicts), len(labels))
    return both if nested and len(both) <= _MOST_CATEGORIES else None


def are_probabilities(rows: JudgedRows) -> bool:
    """Whether verdicts can be read as the chance that the label is 1."""
    inside = bool((rows.judge >= 0).all() and (rows.judge <= 1).all())
    return inside and rows.values == _SHARES and len(np.unique(rows.judge)) > _BINS


def confusion_table(rows: JudgedRows, categories: Array, level: float) -> pd.DataFrame:
    """How often labelled rows of each label got each verdict, with intervals.

    Args:
        rows: What was read.
        categories: From `categories_of`, shape (K,).
        level: Coverage of the intervals.

    Returns:
        One row per label and verdict: `label`, `verdict`, `n` (labelled rows), `share` (of the rows of that label,
        by weight and inverse chance), `lower`, `upper`; NaN where no row has the label.
    """
    found: list[dict[str, float]] = []
    for label in categories:
        part = rows.take(rows.label == label)
        for verdict in categories:
            said = part.judge == verdict
            numbers = _mean(part, said.astype(np.float64), _SHARES, level)
            found.append({"label": label, "verdict": verdict, "n": int(said.sum())} | numbers)
    return pd.DataFrame(found).rename(columns={"mean": "share"})


def bin_table(rows: JudgedRows, level: float) -> pd.DataFrame:
    """Mean label of labelled rows by verdict, in bins of about as many rows each, with intervals.

    Returns:
        One row per bin: `verdict_from`, `verdict_to`, `verdict` (mean), `n` (labelled rows), `label` (mean), `lower`,
        `upper`; NaN limits where the spread cannot be seen.
    """
    labelled = rows.take(rows.known)
    values = np.unique(labelled.judge)
    if len(values) > _MOST_CATEGORIES:
        values = np.unique(np.quantile(labelled.judge, np.arange(_BINS) / _BINS, method="higher"))
    place = np.searchsorted(values, labelled.judge, side="right") - 1
    found: list[dict[str, float]] = []
    for at in range(len(values)):
        part = labelled.take(place == at)
        ends = {"verdict_from": float(part.judge.min()), "verdict_to": float(part.judge.max())}
        verdict = _mean(part, part.judge, None, level)["mean"]
        numbers = _mean(part, part.label, rows.values, level)
        found.append(ends | {"verdict": verdict, "n": len(part.judge)} | numbers)
    return pd.DataFrame(found).rename(columns={"mean": "label"})


def sample_table(rows: JudgedRows, role: str, level: float) -> pd.DataFrame:
    """Verdicts of labelled rows beside those of all rows: alike, if the labelled ones are a random sample.

    Returns:
        One row for all rows and each level of `role`: `level` (None for all), `n`, `n_labels`, `labelled` (mean
        verdict of labelled rows, by inverse chance), `all` (mean verdict), `gap` with `se`, `lower`, `upper` (normal).
    """
    found: list[dict[str, object]] = []
    for name, part in groups_of(rows, role):
        n = int(part.known.sum())
        row: dict[str, object] = {"level": name, "n": len(part.judge), "n_labels": n, "all": float(part.judge.mean())}
        if n:
            labelled, everywhere, se = verdict_gap(part)
            gap, reach = labelled - everywhere, float(ndtri((1 + level) / 2)) * se
            row |= {"labelled": labelled, "all": everywhere, "gap": gap, "se": se}
            row |= {"lower": gap - reach, "upper": gap + reach}
        found.append(row)
    return pd.DataFrame(found)


def _mean(part: JudgedRows, values: Array, two: tuple[float, float] | None, level: float) -> dict[str, float]:
    """A mean over rows with its interval; two-valued ones count one more row of each value than was seen."""
    if not len(values):
        return dict.fromkeys(("mean", "lower", "upper"), np.nan)
    found = people_alone(values, values=two, weight=part.weight, probability=part.probability)
    cluster = None if part.cluster is None else np.unique(part.cluster, return_inverse=True)[1]
    alone = len(values) if cluster is None else int(cluster.max()) + 1
    ends = interval(found.estimate, spread(found, cluster), level, values=two)
    unseen = two is None and alone < 2
    return {"mean": found.estimate} | dict(zip(("lower", "upper"), (np.nan, np.nan) if unseen else ends, strict=True))
