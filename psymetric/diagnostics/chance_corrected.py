"""Agreement beyond chance from counts of ratings per unit and category: functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

__all__ = ["Estimate", "agreement", "agreement_weights", "coincidences", "fleiss", "gwet", "krippendorff"]

Array = NDArray[np.float64]
Scheme = Literal["exact", "adjacent", "linear", "quadratic"]
Metric = Literal["nominal", "ordinal", "interval"]

_NOTHING = 1e-12
"""Variation or disagreement below this is rounding of zero."""
_CHUNK = 1 << 21
"""Numbers held at once while coincidences are summed over patterns."""


@final
@dataclass(frozen=True)
class Estimate:
    """A coefficient and its interval; NaN where it is not defined."""

    value: float
    lower: float = float("nan")
    upper: float = float("nan")


def agreement_weights(values: Array, scheme: Scheme) -> Array:
    """How far two categories count as agreement, from 0 to 1, shape (K, K).

    Args:
        values: The K numbers of the categories, increasing.
        scheme: "exact" (identity), "adjacent" (neighbouring places count in full), "linear" or "quadratic" (one minus
            the distance, or its square, in units of the range).

    Source: Cohen (1968), Psychological Bulletin 70, 213-220; Gwet (2014), Handbook of Inter-Rater Reliability, ch. 3.
    """
    place = np.arange(len(values))
    if scheme in ("exact", "adjacent"):
        return (np.abs(place[:, None] - place) <= (scheme == "adjacent")).astype(np.float64)
    distance = np.abs(values[:, None] - values) / (values[-1] - values[0])
    return 1 - distance ** (1 if scheme == "linear" else 2)


def agreement(counts: Array, weights: Array, level: float) -> Estimate:
    """Share of pairs of ratings of one unit that agree; every pair counts alike.

    The interval is that of a ratio over independent units (Student's t, units − 1), cut at 0 and 1.

    Args:
        counts: Ratings of each unit in each category, shape (U, K).
        weights: From `agreement_weights`, shape (K, K).
        level: Coverage, in (0, 1).

    Source: Cochran (1977), Sampling Techniques, ch. 6.
    """
    shared = counts[counts.sum(axis=1) > 1]
    size = shared.sum(axis=1)
    pairs = size * (size - 1) / 2
    agreeing = (np.sum(shared * (shared @ weights), axis=1) - size) / 2
    share = float(agreeing.sum() / pairs.sum())
    n = len(shared)
    if n < 2:
        return Estimate(share)
    error = float(np.sqrt(n / (n - 1) * np.sum((agreeing - share * pairs) ** 2)) / pairs.sum())
    half = _quantile(n, level) * error
    return Estimate(share, max(share - half, 0.0), min(share + half, 1.0))


def fleiss(counts: Array, level: float) -> Estimate:
    """Fleiss' kappa, for units with different numbers of ratings.

    Observed agreement is the mean over units with two ratings or more; chance agreement is Σ π², π the mean over all
    units of the share of ratings in a category. NaN where all ratings are alike.

    Args:
        counts: Ratings of each unit in each category, shape (U, K).
        level: Coverage of the interval (linearised over units, Student's t), in (0, 1).

    Source: Fleiss (1971), Psychological Bulletin 76, 378-382; with missing ratings, Gwet (2014), Handbook of
    Inter-Rater Reliability, ch. 2 and 5.
    """
    share = counts / counts.sum(axis=1, keepdims=True)
    pooled = share.mean(axis=0)
    return _corrected(counts, np.eye(counts.shape[1]), float(pooled @ pooled), share @ pooled, level)


def gwet(counts: Array, weights: Array, level: float) -> Estimate:
    """Gwet's AC1 (identity weights) or AC2; every category of the scale counts, used or not.

    Args:
        counts: Ratings of each unit in each category, shape (U, K).
        weights: From `agreement_weights`, shape (K, K).
        level: Coverage of the interval (linearised over units, Student's t), in (0, 1).

    Source: Gwet (2008), British Journal of Mathematical and Statistical Psychology 61, 29-48; Gwet (2014), Handbook of
    Inter-Rater Reliability, ch. 2, 3 and 5.
    """
    n_categories = counts.shape[1]
    share = counts / counts.sum(axis=1, keepdims=True)
    pooled = share.mean(axis=0)
    factor = weights.sum() / (n_categories * (n_categories - 1))
    chance = float(factor * np.sum(pooled * (1 - pooled)))
    return _corrected(counts, weights, chance, factor * (share @ (1 - pooled)), level)


def _corrected(counts: Array, weights: Array, chance: float, unit_chance: Array, level: float) -> Estimate:
    """(observed − chance)/(1 − chance) and its interval; half the derivative of chance by a unit is `unit_chance`."""
    size, n = counts.sum(axis=1), len(counts)
    several = size > 1
    if not several.any() or 1 - chance < _NOTHING:
        return Estimate(float("nan"))
    pairs = np.where(several, size * (size - 1), 1.0)
    observed = np.where(several, (np.sum(counts * (counts @ weights), axis=1) - size) / pairs, 0.0)
    n_several = float(several.sum())
    value = (float(observed.sum()) / n_several - chance) / (1 - chance)
    if n < 2:
        return Estimate(value)
    own = n / n_several * (observed - chance * several) / (1 - chance)
    own = own - 2 * (1 - value) * (unit_chance - chance) / (1 - chance)
    half = _quantile(n, level) * float(np.sqrt(np.sum((own - value) ** 2) / (n * (n - 1))))
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))


def coincidences(counts: Array, draws: int, seed: int) -> Array:
    """Coincidence matrix of the pairable ratings and those of resampled units, shape (1 + draws, K, K).

    Units with the same counts are resampled together, by a multinomial draw: the same bootstrap, in less work.

    Source: Krippendorff (2018), Content Analysis, 4th ed., ch. 12.
    """
    patterns, times = np.unique(counts[counts.sum(axis=1) > 1].astype(np.int16), axis=0, return_counts=True)
    n_categories = counts.shape[1]
    drawn = np.random.default_rng(seed).multinomial(times.sum(), times / times.sum(), size=draws)
    weight = np.vstack([times, drawn]).astype(np.float64)
    found = np.zeros((1 + draws, n_categories**2))
    step = max(_CHUNK // n_categories**2, 1)
    for start in range(0, len(patterns), step):
        part = patterns[start : start + step].astype(np.float64)
        pairs = part[:, :, None] * part[:, None, :]
        diagonal = np.arange(n_categories)
        pairs[:, diagonal, diagonal] -= part
        pairs /= (part.sum(axis=1) - 1)[:, None, None]
        found += weight[:, start : start + step] @ pairs.reshape(len(part), -1)
    return found.reshape(-1, n_categories, n_categories)


def krippendorff(pairs: Array, values: Array, metric: Metric, level: float) -> tuple[Estimate, int]:
    """Krippendorff's alpha with percentile interval, and how many draws had no variation and were left out.

    Args:
        pairs: From `coincidences`, shape (1 + draws, K, K).
        values: The numbers of the categories, shape (K,), for the metric "interval".
        metric: How categories differ.
        level: Coverage, in (0, 1).

    Source: Krippendorff (2018), Content Analysis, 4th ed., ch. 12; the ordinal metric is the squared difference of mean
    ranks.
    """
    margins = pairs.sum(axis=2)
    total = margins.sum(axis=1)
    if metric == "nominal":
        far = np.broadcast_to(1 - np.eye(len(values)), pairs.shape)
    else:
        ranks = np.cumsum(margins, axis=1) - margins / 2
        place = ranks if metric == "ordinal" else np.broadcast_to(values, margins.shape)
        far = (place[:, :, None] - place[:, None, :]) ** 2
    seen = np.sum(pairs * far, axis=(1, 2))
    expected = np.einsum("bi,bij,bj->b", margins, far, margins) / (total - 1)
    alpha = 1 - np.divide(seen, expected, out=np.full(len(seen), np.nan), where=expected > _NOTHING)
    drawn = alpha[1:][np.isfinite(alpha[1:])]
    if not np.isfinite(alpha[0]) or not drawn.size:
        return Estimate(float(alpha[0])), len(alpha) - 1 - drawn.size
    lower, upper = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(alpha[0]), float(lower), float(upper)), len(alpha) - 1 - drawn.size


def _quantile(n: int, level: float) -> float:
    return float(stdtrit(n - 1, (1 + level) / 2))
