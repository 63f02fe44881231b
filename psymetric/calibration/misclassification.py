"""What people would have said, from what a judge said and how it errs: functions on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.calibration.influence import Influence, sums
from psymetric.errors import IdentificationError

__all__ = ["confusion", "drawn_prevalence", "inverted_limits", "inverted_mean", "prevalence_limits", "solved"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_SINGULAR = 1e-9
"""Singular values this small, beside the largest, are zero but for rounding."""


def confusion(label: Codes, verdict: Codes, n_categories: int, *, weight: Array | None = None) -> Array:
    """Weight of each verdict (columns) under each label (rows), shape (K, K)."""
    cell = label * n_categories + verdict
    return np.bincount(cell, weight, n_categories**2).astype(np.float64).reshape(n_categories, n_categories)


def solved(chance: Array, share: Array, *, who: str) -> Array:
    """Shares π of the true categories with π'C = the shares of the verdicts, shape (K,).

    Args:
        chance: Chance of each verdict (columns) given the truth (rows), shape (K, K).
        share: Of the verdicts, shape (K,).
        who: Named in the message.

    Raises:
        IdentificationError: Verdicts that do not depend on the truth, or not enough for as many categories.
    """
    size = np.linalg.svd(chance, compute_uv=False)
    if size[-1] < _SINGULAR * size[0]:
        raise IdentificationError(
            f"{who}: the labels show verdicts that do not tell {len(share)} categories apart (the matrix of their "
            "chances is singular), so that any prevalence could lie behind them; label more, or merge categories"
        )
    return np.asarray(np.linalg.solve(chance.T, share), np.float64)


def inverted_mean(
    verdict: Codes,
    label: Codes,
    values: Array,
    *,
    who: str,
    weight: Array | None = None,
    probability: Array | None = None,
) -> Influence:
    """Mean of the true values behind R verdicts, with what each row adds to its error.

    The mean of g over the verdicts, where g(verdict) has as its mean under each true category that category's value.
    An error in the chances of the verdicts under category k counts as much as k is frequent.

    Args:
        verdict: Codes 0…K−1, shape (R,).
        label: Codes, −1 in rows without a label, shape (R,); every category has one.
        values: Of the categories, shape (K,).
        who: Named in messages.
        weight: How much rows count, shape (R,).
        probability: Chance that a row has a label, shape (R,).
    """
    known, n_categories = label >= 0, len(values)
    omega = np.full(len(verdict), 1 / len(verdict)) if weight is None else weight / weight.sum()
    a = omega[known] if probability is None else omega[known] / probability[known]
    counts = confusion(label[known], verdict[known], n_categories, weight=a)
    total = counts.sum(axis=1)
    chance = counts / total[:, None]
    prevalence = solved(chance, np.asarray(np.bincount(verdict, omega, n_categories), np.float64), who=who)
    g = np.linalg.solve(chance, values)
    estimate = float(omega @ g[verdict])
    labelled = np.zeros(len(verdict))
    labelled[known] = -a * (prevalence / total)[label[known]] * (g[verdict[known]] - values[label[known]])
    power = float((g[-1] - g[0]) / (values[-1] - values[0]))
    return Influence(estimate, power, omega * (g[verdict] - estimate), labelled, known, tuned=n_categories - 1)


def prevalence_limits(right: Array, of: Array, positive: float, judged: float, level: float) -> tuple[float, float]:
    r"""Limits of a prevalence behind binary verdicts: all that a test would not reject.

    Those θ in [0, 1] with $|\hat p - \theta\hat s - (1-\theta)(1-\hat t)|$ at most z standard errors, which come from
    those of $\hat p$, of $\hat s$ times θ and of $\hat t$ times 1 − θ (Fieller's way of a ratio's interval); half a row
    is added to each cell first. Where the judge cannot be told from a useless one, no θ is rejected: [0, 1].

    Args:
        right: Labelled rows judged right, among the positive and among the negative, shape (2,).
        of: Labelled positive and negative rows, shape (2,).
        positive: Positive verdicts among those without labels.
        judged: Verdicts without labels.
        level: Coverage.

    Source: Fieller (1954), JRSS B 16, 175-185; Rogan & Gladen (1978), American Journal of Epidemiology 107, 71-76.
    """
    z2 = float(ndtri((1 + level) / 2)) ** 2
    s, t = (right + 0.5) / (of + 1)
    p = (positive + 0.5) / (judged + 1)
    in_s, in_t = s * (1 - s) / (of[0] + 1), t * (1 - t) / (of[1] + 1)
    in_p = p * (1 - p) / (judged + 1)
    excess, youden = p - 1 + t, s + t - 1
    square, half = youden**2 - z2 * (in_s + in_t), excess * youden - z2 * in_t
    inside = half**2 - square * (excess**2 - z2 * (in_p + in_t))
    return _roots(square, half, inside)


def inverted_limits(
    verdict: Codes,
    label: Codes,
    *,
    t: float,
    weight: Array | None = None,
    probability: Array | None = None,
    cluster: Codes | None = None,
) -> tuple[float, float]:
    """As `prevalence_limits`, of the second of two categories among all R rows, from what each adds to the errors.

    Arguments as in `inverted_mean`; `t` is how many standard errors, and `cluster` as in `influence.powered_mean`.
    """
    known = label >= 0
    omega = np.full(len(verdict), 1 / len(verdict)) if weight is None else weight / weight.sum()
    p = float(omega @ verdict)
    effects = np.zeros((len(verdict), 3), np.float64)
    effects[:, 0] = omega * (verdict - p)
    rate, doubt = np.zeros(2), np.zeros(2)
    for truth in (0, 1):
        rows = known & (label == truth)
        a = omega[rows] if probability is None else omega[rows] / probability[rows]
        rate[truth] = float(a @ verdict[rows]) / a.sum()
        effects[rows, 1 + truth] = a * (verdict[rows] - rate[truth]) / a.sum()
        # One more label of each verdict: a judge that never erred among few may yet err.
        doubt[truth] = ((1 - rate[truth]) ** 2 + rate[truth] ** 2) / int(rows.sum()) ** 2
    total = sums(effects, cluster)
    moved = total.T @ total + np.diag([0.0, *doubt])
    # The test of θ is of p − θ rate₁ − (1 − θ) rate₀, which is linear in θ, as excess − θ youden.
    excess, youden = p - rate[0], rate[1] - rate[0]
    of_excess, of_youden = np.array([1.0, -1.0, 0.0]), np.array([0.0, -1.0, 1.0])
    square = youden**2 - t * t * float(of_youden @ moved @ of_youden)
    half = excess * youden - t * t * float(of_excess @ moved @ of_youden)
    inside = half**2 - square * (excess**2 - t * t * float(of_excess @ moved @ of_excess))
    return _roots(square, half, inside)


def _roots(square: float, half: float, inside: float) -> tuple[float, float]:
    if square <= 0 or inside < 0:
        return 0.0, 1.0
    low, high = ((half + sign * np.sqrt(inside)) / square for sign in (-1, 1))
    return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


def drawn_prevalence(counts: Array, judged: Array, draws: int, rng: np.random.Generator) -> Array:
    """Prevalences of K categories under errors of the labelled and of the judged rows, shape (draws, K).

    Chances of verdicts and shares of them from their Dirichlet posteriors, 1/K added to each cell, solved and brought
    to the nearest shares that are none below zero.

    Args:
        counts: Labelled rows by label (rows) and verdict (columns), shape (K, K).
        judged: Verdicts without labels, shape (K,).
        draws: How many.
        rng: Random numbers.
    """
    n_categories = len(judged)
    shape = np.concatenate([counts, judged[None]]) + 1 / n_categories
    gamma = rng.standard_gamma(shape, (draws, *shape.shape))
    share = np.maximum(gamma, 1e-300)
    share /= share.sum(axis=2, keepdims=True)
    chance = np.swapaxes(share[:, :-1], 1, 2)
    return _on_simplex(np.linalg.solve(chance, share[:, -1, :, None])[..., 0])


def _on_simplex(points: Array) -> Array:
    """The nearest points with entries of at least zero that sum to one (Held, Wolfe & Crowder, 1974)."""
    ordered = -np.sort(-points, axis=1)
    excess = np.cumsum(ordered, axis=1) - 1
    place = np.arange(1, points.shape[1] + 1)
    last = np.count_nonzero(ordered - excess / place > 0, axis=1)
    shift = np.take_along_axis(excess, last[:, None] - 1, axis=1) / last[:, None]
    return np.maximum(points - shift, 0)
