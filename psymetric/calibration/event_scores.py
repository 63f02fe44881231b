"""How good probabilities of an event are: calibration errors, the Brier score and its parts, log loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from psymetric.calibration.isotonic_map import rising

__all__ = [
    "BinSums",
    "Bins",
    "Cells",
    "brier_parts",
    "calibration_error",
    "corp_parts",
    "debiased_error",
    "debiased_square",
    "equal_bins",
    "log_losses",
    "quantile_bins",
    "sum_bins",
]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Bins:
    """Bins of forecasts.

    Attributes:
        place: Bin of each row, shape (rows,).
        count: How many there are, empty ones too.
    """

    place: NDArray[np.intp]
    count: int


@final
@dataclass(frozen=True)
class BinSums:
    """What the statistics need of the bins that hold weight.

    Attributes:
        weight: Sum of weights, positive, shape (bins,).
        forecast: Mean forecast. happened: Share of events. within: Sum of weighted (f − f̄)² − 2 (f − f̄)(y − ȳ).
    """

    weight: Array
    forecast: Array
    happened: Array
    within: Array


def equal_bins(forecast: Array, count: int) -> Bins:
    """Bins of equal width on [0, 1], each with its upper end; 0 lies in the first, shape (rows,)."""
    place = np.ceil(forecast * count).astype(np.intp) - 1
    return Bins(np.clip(place, 0, count - 1), count)


def quantile_bins(forecast: Array, count: int) -> Bins:
    """Bins of nearly equal numbers of rows; equal forecasts share a bin, so that there may be fewer."""
    # The last row of each part, by whole numbers: a share of the rows in floating point may fall on the next one.
    ends = (len(forecast) * np.arange(1, count) + count - 1) // count - 1
    edges = np.unique(np.sort(forecast)[np.maximum(ends, 0)])
    return Bins(np.searchsorted(edges, forecast, side="left"), len(edges) + 1)


def sum_bins(bins: Bins, forecast: Array, happened: Array, weight: Array) -> BinSums:
    """Weighted means of every bin that holds weight."""
    total = np.asarray(np.bincount(bins.place, weight, bins.count), np.float64)
    kept = total > 0
    total = total[kept]
    mean, rate = (np.bincount(bins.place, weight * one, bins.count)[kept] / total for one in (forecast, happened))
    square = np.bincount(bins.place, weight * forecast * (forecast - 2 * happened), bins.count)[kept]
    return BinSums(total, mean, rate, square - total * mean * (mean - 2 * rate))


def calibration_error(sums: BinSums) -> float:
    """Expected calibration error: mean distance of forecast and share over the bins, by their weight.

    Source: Naeini, Cooper & Hauskrecht (2015).
    """
    return float(sums.weight @ np.abs(sums.forecast - sums.happened) / sums.weight.sum())


def debiased_error(sums: BinSums) -> float:
    """The same less what sampling alone adds to it, as if each bin's share were normal around what was seen; ≥ 0.

    Source: Kumar, Liang & Ma (2019), their estimator for the first power, its normal draws replaced by their mean.
    """
    gap = sums.forecast - sums.happened
    sd = np.sqrt(sums.happened * (1 - sums.happened) / sums.weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(sd > 0, gap / sd, 0.0)
    folded = sd * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * ndtr(-ratio))
    added = np.where(sd > 0, folded - np.abs(gap), 0.0)
    return max(float(sums.weight @ (np.abs(gap) - added) / sums.weight.sum()), 0.0)


def debiased_square(sums: BinSums) -> float:
    """Mean squared distance of forecast and share over the bins without the bias of sampling; it may be negative.

    Bins of one row have no estimate of their sampling variance and are left out.

    Source: Kumar, Liang & Ma (2019), definition 4.2; Bröcker (2012) for the same correction of the reliability term.
    """
    several = sums.weight > 1
    weight, gap = sums.weight[several], (sums.forecast - sums.happened)[several]
    rate = sums.happened[several]
    if not several.any():
        return float("nan")
    return float(weight @ (gap**2 - rate * (1 - rate) / (weight - 1)) / weight.sum())


def brier_parts(sums: BinSums) -> dict[str, float]:
    r"""Murphy's decomposition of the Brier score, with what the bins leave.

    $$B = \text{reliability} - \text{resolution} + \text{uncertainty} + \text{within bins}$$

    holds exactly. The last term is the variance of forecasts within bins less twice their covariance with the events:
    zero where all forecasts of a bin are equal, and else what the binned parts do not see.

    Source: Murphy (1973); Stephenson, Coelho & Jolliffe (2008), eq. 6, for the terms within bins.
    """
    total = sums.weight.sum()
    base = float(sums.weight @ sums.happened / total)
    return {
        "reliability": float(sums.weight @ (sums.forecast - sums.happened) ** 2 / total),
        "resolution": float(sums.weight @ (sums.happened - base) ** 2 / total),
        "uncertainty": base * (1 - base),
        "within bins": float(sums.within.sum() / total),
    }


@final
@dataclass(frozen=True)
class Cells:
    """Rows of one and the same forecast.

    Attributes:
        forecast: Distinct forecasts, increasing, shape (cells,). place: Cell of each row, shape (rows,).
    """

    forecast: Array
    place: NDArray[np.intp]

    @classmethod
    def of(cls, forecast: Array) -> Cells:
        """The cells of forecasts, shape (rows,)."""
        return cls(*np.unique(forecast, return_inverse=True))

    def recalibrated(self, happened: Array, weight: Array) -> tuple[Array, Array, Array, Array]:
        """Forecast, weight, share of events and isotonic share of the cells that hold weight."""
        total = np.asarray(np.bincount(self.place, weight, len(self.forecast)), np.float64)
        kept = total > 0
        total = total[kept]
        rate = np.bincount(self.place, weight * happened, len(self.forecast))[kept] / total
        return self.forecast[kept], total, rate, rising(rate, total)


def corp_parts(cells: Cells, happened: Array, weight: Array) -> dict[str, float]:
    """Miscalibration and discrimination of the Brier score without bins, by isotonic recalibration.

    Brier = miscalibration − discrimination + uncertainty, exactly, and both parts are never negative.

    Source: Dimitriadis, Gneiting & Jordan (2021), eq. 3.
    """
    forecast, total, rate, recalibrated = cells.recalibrated(happened, weight)
    whole = total.sum()
    base = float(total @ rate / whole)
    # The spread of events around their own forecast's share is in every score, and cancels.
    own = total @ (rate - recalibrated) ** 2
    return {
        "miscalibration": float((total @ (rate - forecast) ** 2 - own) / whole),
        "discrimination": float((total @ (rate - base) ** 2 - own) / whole),
    }


def log_losses(forecast: Array, happened: Array) -> Array:
    """−log probability of what came true in each row, in nats; infinite where that was zero, shape (rows,)."""
    chance = np.where(happened > 0, forecast, 1 - forecast)
    return -np.log(chance, out=np.full(len(chance), -np.inf), where=chance > 0)
