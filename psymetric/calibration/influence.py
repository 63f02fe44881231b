"""Estimates as sums over rows: how far each verdict and each label moves them, and the errors that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

__all__ = [
    "Influence",
    "Spread",
    "contrast",
    "interval",
    "judge_alone",
    "minus",
    "people_alone",
    "powered_mean",
    "spread",
    "sums",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Influence:
    """An estimate and what each of R rows adds to its error.

    Attributes:
        estimate: The number.
        power: How much of the judge is used: the coefficient of its verdicts.
        judged: First-order effect of each row through its verdict, shape (R,).
        labelled: The same through its label, 0 in rows without one, shape (R,).
        known: Rows with a label, shape (R,).
        doubt: Variance that two-valued labels may have beyond what was seen: that of one more label of each value, at a
            typical verdict. Without it a judge that errs rarely would seem never to, from few labels.
        tuned: How many coefficients were tuned on the labels.
    """

    estimate: float
    power: float
    judged: Array
    labelled: Array
    known: NDArray[np.bool_]
    doubt: float = 0.0
    tuned: int = 0


@final
@dataclass(frozen=True)
class Spread:
    """The error of an estimate.

    Attributes:
        se: Standard error.
        df: Degrees of freedom (Satterthwaite), for t intervals.
        judged: Variance that more verdicts lower, as one over their number; may be below zero.
        labelled: Variance that more labels lower, as one over their number.
    """

    se: float
    df: float
    judged: float
    labelled: float


def powered_mean(
    judge: Array,
    label: Array,
    *,
    values: tuple[float, float] | None = None,
    weight: Array | None = None,
    probability: Array | None = None,
    cluster: Codes | None = None,
) -> Influence:
    r"""Mean label of R judged rows, some of which have labels: the judge's mean, put right by the labels.

    $$\hat\theta = \sum_i \omega_i (\lambda f_i + \gamma) + \sum_i \omega_i d_i (y_i - \lambda f_i - \gamma)$$

    with weights ω that sum to one and d the inverse chance of a label, 0 without one. Valid for any λ and γ; they are
    tuned to the least variance. With equal chances γ cancels, and λ is PPI++'s with the judge's variance pooled over
    all rows (not held within [0, 1], so that the judge's scale does not matter). With unequal chances, weights or
    clusters λ is the least-squares coefficient of what clusters add; with chances given also γ, which makes the choice
    between the Horvitz-Thompson estimator (γ = 0) and Hájek's (γ the mean residual).

    Args:
        judge: Verdicts f, shape (R,).
        label: Labels y, NaN in rows without, shape (R,).
        values: The two values of the labels, where there are two.
        weight: How much rows count, shape (R,).
        probability: Chance that a row has a label, read in labelled rows, shape (R,).
        cluster: Clusters that are independent of one another, 0…C−1, shape (R,); by default each row.

    Source: Angelopoulos, Duchi & Zrnic (2023), PPI++, arXiv 2311.01453, equations 8 and 9; Zrnic & Candès (2024),
    Active Statistical Inference, arXiv 2403.03208, equation 3; Montanari (1987), International Statistical Review 55,
    191-202 (the difference estimator of least variance).
    """
    known = np.isfinite(label)
    omega = np.full(len(judge), 1 / len(judge)) if weight is None else weight / weight.sum()
    a = np.zeros(len(judge))
    a[known] = omega[known] / (omega[known].sum() if probability is None else probability[known])
    y = np.where(known, label, 0.0)
    f_bar = float(omega @ judge)
    f = judge - f_bar
    if probability is not None:
        columns = np.stack([omega, (a - omega) * f, a - omega], axis=1)
        power, level = np.linalg.lstsq(sums(columns, cluster), sums(a * y, cluster), rcond=None)[0][1:].tolist()
    elif weight is not None or cluster is not None:
        u, v = a * (y - a @ y), a * (f - a @ f) - omega * f
        u, v = sums(u, cluster), sums(v, cluster)
        power = _ratio(float(u @ v), float(v @ v))
        level = float(a @ (y - power * f))
    else:
        y_known, f_known = label[known], f[known]
        power = _ratio(float(np.mean((y_known - y_known.mean()) * f_known)), float(f @ f) / (len(f) - 1))
        level = float(a @ (y - power * f))
    fitted = power * f + level
    estimate = float(omega @ fitted + a @ (y - fitted))
    doubt = _doubt(y[known] - fitted[known], fitted, omega, values)
    effects = omega * (fitted - omega @ fitted), a * (y - fitted)
    return Influence(estimate, power, *effects, known, doubt, tuned=1 if probability is None else 2)


def people_alone(
    label: Array,
    *,
    values: tuple[float, float] | None = None,
    weight: Array | None = None,
    probability: Array | None = None,
) -> Influence:
    """Mean of the labels that there are; arguments as in `powered_mean`."""
    known = np.isfinite(label)
    a = np.where(known, 1.0 if weight is None else weight, 0.0)
    if probability is not None:
        a[known] /= probability[known]
    a /= a.sum()
    estimate = float(a[known] @ label[known])
    residual = np.where(known, label, estimate) - estimate
    fitted = np.full(len(label), estimate)
    doubt = _doubt(residual[known], fitted, np.full(len(label), 1 / len(label)), values)
    return Influence(estimate, 0.0, np.zeros(len(label)), a * residual, known, doubt)


def judge_alone(judge: Array, *, weight: Array | None = None) -> Influence:
    """Mean verdict."""
    omega = np.full(len(judge), 1 / len(judge)) if weight is None else weight / weight.sum()
    estimate = float(omega @ judge)
    return Influence(estimate, 1.0, omega * (judge - estimate), np.zeros(len(judge)), np.zeros(len(judge), bool))


def minus(one: Influence, other: Influence) -> Influence:
    """The difference of two estimates from the same rows."""
    return Influence(
        one.estimate - other.estimate,
        one.power,
        one.judged - other.judged,
        one.labelled - other.labelled,
        one.known | other.known,
        one.doubt + other.doubt,
        max(one.tuned, other.tuned),
    )


def contrast(one: Influence, other: Influence) -> Influence:
    """The difference of two estimates from different rows, those of `one` first."""
    return Influence(
        one.estimate - other.estimate,
        (one.power + other.power) / 2,
        np.concatenate([one.judged, -other.judged]),
        np.concatenate([one.labelled, -other.labelled]),
        np.concatenate([one.known, other.known]),
        one.doubt + other.doubt,
        one.tuned + other.tuned,
    )


def _ratio(above: float, below: float) -> float:
    """Zero for a judge that says the same everywhere."""
    return above / below if below > 1e-24 else 0.0


def _doubt(residual: Array, fitted: Array, omega: Array, values: tuple[float, float] | None) -> float:
    if values is None:
        return 0.0
    return float(sum(omega @ (value - fitted) ** 2 for value in values)) / len(residual) ** 2


def spread(found: Influence, cluster: Codes | None = None) -> Spread:
    """Standard error, degrees of freedom, and the two parts of the variance.

    The sum of squares of what clusters add, each part with its residual degrees of freedom in place of the number of
    clusters (less one, and less one for each coefficient that was tuned); degrees of freedom of the whole after
    Satterthwaite (1946).
    """
    judged, labelled = sums(found.judged, cluster), sums(found.labelled, cluster)
    n = int(found.known.sum()) if cluster is None else len(np.unique(cluster[found.known]))
    free = max(n - 1 - found.tuned, 1), max(len(judged) - 1, 1)
    labelled = labelled * np.sqrt(n / free[0])
    judged = judged * np.sqrt(len(judged) / free[1])
    total = float(np.sum((judged + labelled) ** 2)) + found.doubt
    by_label, by_verdict = float(labelled @ labelled) + found.doubt, float(judged @ judged)
    below = by_label**2 / free[0] + by_verdict**2 / free[1]
    df = (by_label + by_verdict) ** 2 / below if below > 0 else float(free[0])
    # What verdicts and labels of the same rows share shrinks with the number of verdicts, as the verdicts' own part.
    return Spread(float(np.sqrt(total)), df, total - by_label, by_label)


def interval(
    estimate: float, error: Spread, level: float, *, values: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Ends of an interval by Student's t; Wilson's, within the range, for the mean of two-valued labels.

    Wilson's with as many independent labels as would have this standard error: Korn & Graubard (1998), Survey
    Methodology 24, 193-201, and Franco et al. (2019), Journal of Survey Statistics and Methodology 7, 334-364.
    """
    t = float(stdtrit(error.df, (1 + level) / 2))
    if values is None or not values[0] < estimate < values[1] or error.se == 0:
        ends = estimate - t * error.se, estimate + t * error.se
        return ends if values is None else (max(ends[0], values[0]), min(ends[1], values[1]))
    low, wide = values[0], values[1] - values[0]
    share = (estimate - low) / wide
    n = share * (1 - share) / (error.se / wide) ** 2
    middle = (share + t * t / (2 * n)) / (1 + t * t / n)
    reach = t / (1 + t * t / n) * float(np.sqrt(share * (1 - share) / n + t * t / (4 * n * n)))
    return low + wide * (middle - reach), low + wide * (middle + reach)


def sums(values: Array, cluster: Codes | None) -> Array:
    """Sums over clusters along the first axis; the values themselves without clusters."""
    if cluster is None:
        return values
    found = [np.asarray(np.bincount(cluster, column), np.float64) for column in values.reshape(len(values), -1).T]
    return np.stack(found, axis=1).reshape(-1, *values.shape[1:])
