"""Separation, reliability and chi-squares of a set of measures: functions of numbers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

__all__ = ["ChiSquare", "Separation", "chi_square", "fixed_chi_square", "random_chi_square", "separation"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Separation:
    """Spread of a facet's measures against their errors, in logits where not a ratio.

    Attributes:
        sd: Observed standard deviation of the measures.
        rmse: Root mean squared error.
        true_sd: √(sd² − rmse²), zero where errors exceed the spread.
        separation: G = true_sd / rmse.
        strata: (4G + 1) / 3, levels that can be told apart.
        reliability: G² / (1 + G²), share of the observed variance that is not error.
    """

    sd: float
    rmse: float
    true_sd: float
    separation: float
    strata: float
    reliability: float


@final
@dataclass(frozen=True)
class ChiSquare:
    """A chi-square test: statistic, degrees of freedom, probability of a larger value."""

    statistic: float
    df: int
    p: float


def separation(sd: float, rmse: float) -> Separation:
    """Separation, strata and reliability from a standard deviation and a root mean squared error, both in logits.

    Source: Wright & Masters (1982), Rating Scale Analysis, p. 92 and 105; Linacre, FACETS manual, Table 7.
    """
    true_sd = float(np.sqrt(max(sd**2 - rmse**2, 0.0)))
    ratio = true_sd / rmse if rmse > 0 else float("inf") if true_sd > 0 else float("nan")
    reliability = true_sd**2 / sd**2 if true_sd > 0 else 0.0
    return Separation(sd, rmse, true_sd, ratio, (4 * ratio + 1) / 3, reliability)


def fixed_chi_square(measures: Array, errors: Array) -> ChiSquare:
    """Homogeneity of independent measures: Σ w (D − D̄)², w = 1/SE², D̄ weighted by w, df L − 1.

    Args:
        measures: Shape (L,), logits.
        errors: Standard errors, shape (L,), logits.
    """
    weight = 1 / errors**2
    centre = np.sum(weight * measures) / np.sum(weight)
    return chi_square(float(np.sum(weight * (measures - centre) ** 2)), len(measures) - 1)


def random_chi_square(measures: Array, errors: Array) -> ChiSquare:
    """Fit of a normal distribution: Σ w (D − D̄)², w = 1/(σ² + SE²), σ² the sample's true variance, df L − 2.

    Args:
        measures: Shape (L,), L ≥ 3, logits.
        errors: Standard errors, shape (L,), logits.

    Source: Linacre, FACETS manual, Table 7.
    """
    true_variance = max(float(np.var(measures, ddof=1) - np.mean(errors**2)), 0.0)
    found = fixed_chi_square(measures, np.sqrt(true_variance + errors**2))
    return chi_square(found.statistic, len(measures) - 2)


def chi_square(statistic: float, df: int) -> ChiSquare:
    """A statistic with its probability."""
    return ChiSquare(statistic, df, float(chi2.sf(statistic, df)))
