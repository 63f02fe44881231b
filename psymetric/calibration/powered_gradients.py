"""The gradients, power and covariance of prediction-powered regressions: functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from psymetric.calibration.influence import sums
from psymetric.errors import IdentificationError

__all__ = ["Family", "Gradients", "LabelledSet", "covariance", "gradients", "solve", "tuned"]

Array = NDArray[np.float64]
Family = Literal["linear", "logistic"]

_FLAT: Final = 1e-10
_SINGULAR: Final = 1e-12


@final
@dataclass(frozen=True)
class LabelledSet:
    """n labelled rows and N judged ones, with d regressors.

    Attributes:
        x: Shape (n, d).
        label: Shape (n,).
        judge: Verdicts on the labelled rows, shape (n,).
        x_judged: Shape (N, d).
        judged: Verdicts on the others, shape (N,).
        weight: Of the labelled rows, with mean one.
        judged_weight: Of the others, with mean one.
    """

    x: Array
    label: Array
    judge: Array
    x_judged: Array
    judged: Array
    weight: Array
    judged_weight: Array

    def judge_as_label(self) -> LabelledSet:
        """The judged rows with verdicts in place of labels."""
        return replace(self, x=self.x_judged, label=self.judged, judge=self.judged, weight=self.judged_weight)


@final
@dataclass(frozen=True)
class Gradients:
    """Gradients of the rows' losses, shape (rows, d) each, and the inverse Hessian of the mean loss, shape (d, d)."""

    label: Array
    judge: Array
    judged: Array
    inverse: Array


def solve(rows: LabelledSet, family: Family, power: float, *, who: str) -> Array:
    """The coefficients for a given power, shape (d,).

    Raises:
        IdentificationError: Dependent regressors, or labels that these separate.
    """
    for x in (rows.x, rows.x_judged):
        size = np.linalg.svd(x / np.maximum(np.abs(x).max(axis=0), 1e-300), compute_uv=False)
        if size[-1] < _SINGULAR * size[0] * len(x):
            raise IdentificationError(f"{who}: the regressors depend on one another; leave out what others determine")
    if family == "linear":
        found = _least_squares(rows.x, rows.label - power * rows.judge, rows.weight)
        return found + _least_squares(rows.x_judged, power * rows.judged, rows.judged_weight) if power else found
    return _logistic(rows, power, who)


def _least_squares(x: Array, y: Array, weight: Array) -> Array:
    root = np.sqrt(weight)
    return np.asarray(np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0], np.float64)


def _logistic(rows: LabelledSet, power: float, who: str) -> Array:
    """The minimum of λ × the judged rows' loss plus the labelled rows' less λ × that of their verdicts: convex."""
    n, n_judged = len(rows.label), len(rows.judged)
    rest = rows.label - power * rows.judge

    def loss(theta: Array) -> tuple[float, Array]:
        eta, eta_judged = rows.x @ theta, rows.x_judged @ theta
        own = rows.weight * ((1 - power) * np.logaddexp(0, eta) - rest * eta)
        other = rows.judged_weight * (np.logaddexp(0, eta_judged) - rows.judged * eta_judged)
        slope = rows.x.T @ (rows.weight * ((1 - power) * expit(eta) - rest)) / n
        slope_judged = rows.x_judged.T @ (rows.judged_weight * (expit(eta_judged) - rows.judged)) / n_judged
        return float(own.mean() + power * other.mean()), slope + power * slope_judged

    def curvature(theta: Array) -> Array:
        return (1 - power) * _hessian(rows.x, rows.weight, theta) + power * _hessian(
            rows.x_judged, rows.judged_weight, theta
        )

    found = minimize(
        loss, np.zeros(rows.x.shape[1]), jac=True, hess=curvature, method="trust-exact", options={"gtol": _FLAT}
    )
    if np.abs(found.jac).max() > 1e-6 or np.abs(np.concatenate([rows.x, rows.x_judged]) @ found.x).max() > 500:
        raise IdentificationError(
            f"{who}: the logistic regression has no maximum: the regressors separate the labels; label more rows"
        )
    return np.asarray(found.x, np.float64)


def _hessian(x: Array, weight: Array, theta: Array) -> Array:
    chance = expit(x @ theta)
    return (x * (weight * chance * (1 - chance))[:, None]).T @ x / len(x)


def gradients(rows: LabelledSet, family: Family, theta: Array, *, judged: bool = True) -> Gradients:
    """Gradients at the coefficients; the Hessian over all rows, or over the labelled ones where the judge is unused."""
    link = expit if family == "logistic" else np.asarray
    fitted, fitted_judged = link(rows.x @ theta), link(rows.x_judged @ theta)
    own, other = rows.x * rows.weight[:, None], rows.x_judged * rows.judged_weight[:, None]
    curve, curve_judged = (
        value * (1 - value) if family == "logistic" else np.ones(len(value)) for value in (fitted, fitted_judged)
    )
    hessian = (own * curve[:, None]).T @ rows.x
    n = len(rows.label)
    if judged:
        hessian, n = hessian + (other * curve_judged[:, None]).T @ rows.x_judged, n + len(rows.judged)
    return Gradients(
        own * (fitted - rows.label)[:, None],
        own * (fitted - rows.judge)[:, None],
        other * (fitted_judged - rows.judged)[:, None],
        np.asarray(np.linalg.inv(hessian / n), np.float64),
    )


def tuned(found: Gradients, tune_for: int | None) -> float:
    """The power of least variance, in [0, 1], shape ().

    Source: Angelopoulos, Duchi & Zrnic (2023), arXiv 2311.01453, proposition 2.
    """
    n, n_judged = len(found.label), len(found.judged)
    label, judge = found.label - found.label.mean(axis=0), found.judge - found.judge.mean(axis=0)
    cross = (label.T @ judge + judge.T @ label) / n
    pooled = np.atleast_2d(np.cov(np.concatenate([found.judge, found.judged]).T))
    reach = found.inverse if tune_for is None else found.inverse[[tune_for]]
    above = float(np.trace(reach @ cross @ reach.T))
    below = 2 * (1 + n / n_judged) * float(np.trace(reach @ pooled @ reach.T))
    return float(np.clip(above / below, 0, 1)) if below > 0 else 0.0


def covariance(found: Gradients, power: float, cluster: NDArray[np.int64] | None, ddof: int) -> Array:
    """Covariance of the coefficients, shape (d, d), by rows or by clusters of labelled and judged rows together."""
    own, other = found.label - power * found.judge, power * found.judged
    own, other = ((part - part.mean(axis=0)) / len(part) for part in (own, other))
    if cluster is None:
        middle = sum(part.T @ part * len(part) / (len(part) - ddof) for part in (own, other))
    else:
        total = sums(np.concatenate([own, other]), cluster)
        middle = total.T @ total * len(total) / (len(total) - 1)
    return found.inverse @ middle @ found.inverse
