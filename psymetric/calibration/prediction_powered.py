"""Prediction-powered inference on arrays: means and regressions from few labels and many verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from psymetric.calibration.powered_gradients import Family, Gradients, LabelledSet, covariance, gradients, solve, tuned
from psymetric.data.messages import counted, listing, row_error
from psymetric.errors import DataError

__all__ = ["PredictionPowered", "prediction_powered_mean", "prediction_powered_regression"]

Array = NDArray[np.float64]
Numbers = ArrayLike | pd.DataFrame

_ROUNDS: Final = 2
"""The power is tuned at the estimate of power 1, and again at the estimate of that power, as ppi-python does."""


@final
@dataclass(frozen=True)
class PredictionPowered:
    """Estimates from labels and verdicts together.

    Attributes:
        frame: One row per number: `term`, `estimate`, `se`, `lower`, `upper`, `people_alone` (from the labels),
            `judge_alone` (from the verdicts without labels).
        power: How much of the judge is used, from 0 (labels alone) to 1.
        n_labels: Rows with labels.
        n_judged: Rows with verdicts alone.
        level: Coverage of the normal intervals.
    """

    frame: pd.DataFrame
    power: float
    n_labels: int
    n_judged: int
    level: float


def prediction_powered_mean(
    label: ArrayLike,
    judge: ArrayLike,
    judged: ArrayLike,
    *,
    power: float | None = None,
    weight: ArrayLike | None = None,
    judged_weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    judged_cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> PredictionPowered:
    r"""Mean label of a population of which n rows have labels, and N others verdicts alone.

    $$\hat\theta = \frac{\lambda}{N} \sum_{i=1}^{N} f_i^{\mathrm{judged}} + \frac1n \sum_{i=1}^{n} (y_i - \lambda f_i)$$

    However bad the judge, the estimate is unbiased and its interval holds; a good judge makes it narrow. Equals
    `ppi_mean_ci` of ppi-python 0.2.3 without weights. With weights the error is that of a weighted mean, which does not
    change when all labels and verdicts are moved by a number. Normal intervals: for few labels, unequal chances of a
    label and plain words, see `calibrated_estimate`.

    Args:
        label: Labels, shape (n,).
        judge: Verdicts on the same rows, shape (n,).
        judged: Verdicts on the other rows, shape (N,).
        power: λ in [0, 1]; by default tuned to the least variance.
        weight: How much labelled rows count, shape (n,).
        judged_weight: How much the others do, shape (N,).
        cluster: Names of what labelled rows share, such as their prompt, shape (n,): errors are then of clusters.
        judged_cluster: The same of the others, shape (N,).
        level: Coverage, in (0, 1).

    Raises:
        DataError: Missing or infinite numbers, lengths that do not fit, fewer than two rows of a kind.

    Source: Angelopoulos et al. (2023), Science 382, 669-674; Angelopoulos, Duchi & Zrnic (2023), arXiv 2311.01453.
    """
    one = (np.ones((np.shape(label)[0] if np.ndim(label) else 0, 1)), np.ones((len(np.atleast_1d(judged)), 1)))
    rows = _read("prediction_powered_mean", one[0], label, judge, one[1], judged, weight, judged_weight)
    owner = _clusters("prediction_powered_mean", cluster, judged_cluster, rows)
    return _estimated(rows, ("mean",), "linear", power, None, owner, level, 0, "prediction_powered_mean")


def prediction_powered_regression(
    x: Numbers,
    label: ArrayLike,
    judge: ArrayLike,
    x_judged: Numbers,
    judged: ArrayLike,
    *,
    family: Family = "linear",
    power: float | None = None,
    tune_for: int | None = None,
    weight: ArrayLike | None = None,
    judged_weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    judged_cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> PredictionPowered:
    """Coefficients of a linear or logistic regression of labels, of which few are known and many were judged.

    No intercept is added: give a column of ones. Errors are robust (HC0 of PPI++). Equals `ppi_ols_ci` and
    `ppi_logistic_ci` of ppi-python 0.2.3.

    Args:
        x: Regressors of the labelled rows, shape (n, d); names of a frame's columns become terms.
        label: Labels, shape (n,); in [0, 1] for "logistic".
        judge: Verdicts on the same rows, shape (n,).
        x_judged: Regressors of the other rows, shape (N, d).
        judged: Verdicts on them, shape (N,).
        family: "linear" or "logistic" (log-odds).
        power: λ in [0, 1]; by default tuned to the least sum of the coefficients' variances.
        tune_for: Place of the one coefficient that the power is tuned for, from 0 ("linear" alone, as ppi-python).
        weight: As in `prediction_powered_mean`, as are the following.
        judged_weight: Of the other rows.
        cluster: Of the labelled rows.
        judged_cluster: Of the other rows.
        level: Coverage, in (0, 1).

    Raises:
        DataError: As `prediction_powered_mean`; regressors of other columns, fewer labelled rows than coefficients.
        IdentificationError: Regressors that depend on one another, or labels that they separate.
    """
    who = "prediction_powered_regression"
    if family not in get_args(Family):
        raise DataError(f"{who}: family={family!r} is not known; use one of {[*get_args(Family)]}")
    names: list[str] | None = None
    if isinstance(x, pd.DataFrame):
        names = [str(name) for name in x.columns]
        if isinstance(x_judged, pd.DataFrame) and [str(name) for name in x_judged.columns] != names:
            raise DataError(f"{who}: x has columns {listing(names)} and x_judged {listing(x_judged.columns)}")
    rows = _read(who, x, label, judge, x_judged, judged, weight, judged_weight)
    d = rows.x.shape[1]
    if tune_for is not None and not (family == "linear" and 0 <= tune_for < d):
        raise DataError(f'{who}: tune_for={tune_for} of {counted(d, "coefficient")}; a place from 0, of "linear" only')
    if family == "logistic":
        for name, value in (("label", rows.label), ("judge", rows.judge), ("judged", rows.judged)):
            if (bad := (value < 0) | (value > 1)).any():
                raise row_error(who, f"{name} is outside [0, 1]", bad, value[bad].tolist(), "scale it to 0 and 1")
    owner = _clusters(who, cluster, judged_cluster, rows)
    terms = tuple(names or (f"x{place}" for place in range(d)))
    return _estimated(rows, terms, family, power, tune_for, owner, level, 1, who)


def _estimated(
    rows: LabelledSet,
    terms: tuple[str, ...],
    family: Family,
    power: float | None,
    tune_for: int | None,
    cluster: NDArray[np.int64] | None,
    level: float,
    ddof: Literal[0, 1],
    who: str,
) -> PredictionPowered:
    if not 0 < level < 1:
        raise DataError(f"{who}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if power is not None and not 0 <= power <= 1:
        raise DataError(f"{who}: power={power} is outside [0, 1]; 0 leaves the judge out, 1 is untuned")
    chosen = 1.0 if power is None else float(power)
    estimate = solve(rows, family, chosen, who=who)
    for _ in range(_ROUNDS if power is None else 0):
        chosen = tuned(gradients(rows, family, estimate), tune_for)
        estimate = solve(rows, family, chosen, who=who)
    found: Gradients = gradients(rows, family, estimate, judged=chosen != 0)
    se = np.sqrt(np.diag(covariance(found, chosen, cluster, ddof)))
    reach = float(ndtri((1 + level) / 2)) * se
    frame = pd.DataFrame({"term": [*terms], "estimate": estimate, "se": se})
    frame["lower"], frame["upper"] = estimate - reach, estimate + reach
    frame["people_alone"] = solve(rows, family, 0.0, who=who)
    frame["judge_alone"] = solve(rows.judge_as_label(), family, 0.0, who=who)
    return PredictionPowered(frame, chosen, len(rows.label), len(rows.judged), level)


def _read(
    who: str,
    x: Numbers,
    label: ArrayLike,
    judge: ArrayLike,
    x_judged: Numbers,
    judged: ArrayLike,
    weight: ArrayLike | None,
    judged_weight: ArrayLike | None,
) -> LabelledSet:
    """The arrays as numbers, each checked."""
    arrays = {
        name: _numbers(value, name, who, 2 if name.startswith("x") else 1)
        for name, value in (
            *(("label", label), ("judge", judge), ("judged", judged), ("x", x), ("x_judged", x_judged)),
            *(("weight", weight), ("judged_weight", judged_weight)),
        )
        if value is not None
    }
    n, n_judged = len(arrays["label"]), len(arrays["judged"])
    for name, value in arrays.items():
        wanted = n_judged if "judged" in name else n
        if len(value) != wanted:
            raise DataError(f"{who}: {name} has {counted(len(value), 'row')} and needs {wanted:,}: one for each row")
    least = max(2, arrays["x"].shape[1] + 1)
    if min(n, n_judged) < least:
        raise DataError(f"{who}: {n:,} labelled rows and {n_judged:,} judged; give at least {least} of each")
    if arrays["x"].shape[1] != arrays["x_judged"].shape[1]:
        raise DataError(f"{who}: x has {arrays['x'].shape[1]} columns and x_judged {arrays['x_judged'].shape[1]}")
    shares: list[Array] = []
    for name, size in (("weight", n), ("judged_weight", n_judged)):
        value = arrays.get(name, np.ones(size))
        if (bad := value < 0).any() or not value.any():
            raise row_error(who, f"{name} is negative, or all 0", bad, value[bad].tolist(), "give 0 or more")
        shares.append(value / value.mean())
    return LabelledSet(arrays["x"], arrays["label"], arrays["judge"], arrays["x_judged"], arrays["judged"], *shares)


def _numbers(value: Numbers, name: str, who: str, dimensions: int) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{who}: {name} holds what is no number; map categories to numbers first") from None
    if array.ndim != dimensions:
        raise DataError(f"{who}: {name} has {array.ndim} dimensions and needs {dimensions}")
    bad = np.asarray(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
    if bad.any():
        raise row_error(who, f"{name} is missing or infinite", bad, array[bad].tolist(), "leave these rows out")
    return array


def _clusters(who: str, one: ArrayLike | None, other: ArrayLike | None, rows: LabelledSet) -> NDArray[np.int64] | None:
    """Codes of the clusters of the labelled rows, then of the judged ones."""
    if one is None and other is None:
        return None
    if one is None or other is None:
        raise DataError(f"{who}: give cluster and judged_cluster, or neither")
    names = pd.Series([*np.asarray(one).tolist(), *np.asarray(other).tolist()], dtype=object)
    if len(names) != len(rows.label) + len(rows.judged) or bool(names.isna().any()):
        raise DataError(f"{who}: cluster and judged_cluster name one cluster for each row, none missing")
    codes, found = pd.factorize(names)
    if len(found) < 2:
        raise DataError(f"{who}: all rows are of cluster {found[0]!r}, which shows no spread between clusters")
    return codes.astype(np.int64)
