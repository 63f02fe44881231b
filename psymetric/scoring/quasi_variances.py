"""Quasi-variances: one number per level whose sums give the variances of all differences, nearly."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.scoring.ranked import require_one_order

__all__ = ["quasi_variances"]

Array = NDArray[np.float64]


def quasi_variances(fit: Fit, *, facet: str | None = None) -> pd.DataFrame:
    r"""Quasi-variances of the levels of a facet, for intervals that may be compared with one another.

    $$\operatorname{var}(\hat\lambda_i - \hat\lambda_j) \approx q_i + q_j$$

    The standard error of a level is that of its distance from the mean of all, so that two intervals cannot be laid
    side by side. With quasi standard errors they can: the difference of two levels has about the standard error
    √(q_i + q_j), whatever the origin.

    Args:
        fit: With covariances of the facet (MarginalML, JointML, MAP, Laplace, or with draws).
        facet: By default the items of pairs and rankings.

    Returns:
        Columns level, estimate (logits), se, quasi_variance, quasi_se; in the order of the levels. `attrs` holds
        worst_low and worst_high: the largest relative errors of the standard error of a difference, below and above.
        A quasi-variance may be negative, with a missing quasi_se; that is rare and the numbers remain usable.

    Raises:
        DataError: Fewer than three levels, levels without an estimate, or a fit without covariances.

    Source: Firth & de Menezes (2004), Biometrika 91, 65-80, as fitted by R's qvcalc: least squares of log variances.
    """
    require_one_order(fit, "quasi_variances")
    facet = facet or "item"
    spec = fit.spec(facet)
    covariance = fit.covariances.get(spec.name)
    if covariance is None:
        raise DataError(f"quasi_variances: {fit.engine} keeps no covariances of {facet!r}, which they summarise")
    levels = fit.levels[spec.axes[0]]
    if len(levels) < 3 or len(spec.axes) != 1:
        raise DataError(f"quasi_variances: {facet!r} has {len(levels)} levels; differences need at least three")
    if not np.isfinite(covariance).all():
        raise DataError(
            f"quasi_variances: some levels of {facet!r} have no standard error, so that differences have none"
        )
    quasi, low, high = fitted_quasi_variances(np.asarray(covariance, np.float64))
    frame = pd.DataFrame(
        {
            "level": pd.Series(levels, dtype=object).infer_objects(),
            "estimate": fit.parameters[spec.name],
            "se": fit.standard_errors[spec.name],
            "quasi_variance": quasi,
            "quasi_se": np.sqrt(np.where(quasi >= 0, quasi, np.nan)),
        }
    )
    frame.attrs |= {"worst_low": low, "worst_high": high}
    return frame


def fitted_quasi_variances(covariance: Array) -> tuple[Array, float, float]:
    """Quasi-variances of estimates with this covariance, and the worst relative errors of the errors of differences.

    Args:
        covariance: Shape (levels, levels), singular or not.
    """
    i, j = np.triu_indices(len(covariance), 1)
    own = np.diag(covariance)
    variance = own[i] + own[j] - 2 * covariance[i, j]
    rows = np.arange(len(i))

    def residual(quasi: Array) -> Array:
        return np.log(np.maximum(quasi[i] + quasi[j], 1e-300)) - np.log(variance)

    def jacobian(quasi: Array) -> Array:
        slope = np.zeros((len(i), len(quasi)))
        slope[rows, i] = slope[rows, j] = 1 / np.maximum(quasi[i] + quasi[j], 1e-300)
        return slope

    # Where the sums were exact, the mean variance of a level's differences would be this much of it.
    total = np.bincount(i, variance, len(own)) + np.bincount(j, variance, len(own))
    start = (total - total.sum() / (2 * (len(own) - 1))) / (len(own) - 2)
    start = np.maximum(start, 0.1 * np.min(variance))
    found = least_squares(residual, start, jac=jacobian, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    relative = np.sqrt(np.exp(found.fun)) - 1
    return np.asarray(found.x), float(relative.min()), float(relative.max())
