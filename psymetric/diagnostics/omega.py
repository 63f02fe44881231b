"""Saturation of a sum score by a general factor and by all factors: McDonald's omegas from a correlation matrix."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from statsmodels.multivariate.factor_rotation import rotate_factors

__all__ = ["Saturation", "default_factors", "saturation"]

Array = NDArray[np.float64]

_BOUNDS = (0.005, 1.0)
"""Range of uniquenesses: a variance that estimates would make negative is held at its lower end."""
_ROTATIONS, _WARM_ROTATIONS = 200, 25
"""Steps of a rotation from scratch, and of one that starts at the solution for a neighbouring matrix."""


@final
@dataclass(frozen=True)
class Saturation:
    """A factor solution of standardised items.

    Attributes:
        general: Loadings on the general factor, shape (I,).
        communality: Share of each item's variance due to all common factors, shape (I,).
        total: Omega total.
        hierarchical: Omega hierarchical; equal to total for one factor.
        remark: What is wrong with the solution, in words; empty when it is proper.
        loadings: Unrotated loadings, shape (I, F).
        turn: The oblique rotation, shape (F, F).
    """

    general: Array
    communality: Array
    total: float
    hierarchical: float
    remark: str = ""
    loadings: Array | None = None
    turn: Array | None = None


def default_factors(n_items: int) -> int:
    """Three group factors where the items can determine them, else one."""
    return 3 if n_items >= 6 else 1


def saturation(correlation: Array, factors: int, *, near: Saturation | None = None) -> Saturation:
    """Omegas of the sum of standardised items.

    Unweighted least squares; for two or more factors a direct quartimin rotation (oblimin with gamma 0), one factor of
    the factors' correlations, and the Schmid-Leiman loadings of the items on it. With two factors their loadings on the
    general one are not determined and are taken as equal. One factor: both omegas are (Σ loadings)² over
    the variance that the factor model implies.

    Args:
        correlation: Shape (I, I), I ≥ 3.
        factors: Number of group factors, 1 or more.
        near: The solution for a similar matrix, from which the rotation starts.

    Source: McDonald (1999), Test Theory, eq. 6.20; Schmid & Leiman (1957), Psychometrika 22, 53-61; Zinbarg, Revelle,
    Yovel & Li (2005), Psychometrika 70, 123-133.
    """
    if np.linalg.matrix_rank(correlation) < len(correlation):
        unknown = np.full(len(correlation), np.nan)
        remark = "the items' correlations are singular (too few subjects, or an item that repeats others)"
        return Saturation(unknown, unknown, float("nan"), float("nan"), remark)
    loadings, held = _least_squares(correlation, factors)
    communality, variance = np.sum(loadings**2, axis=1), float(correlation.sum())
    remark = f"a uniqueness of the {factors}-factor solution is held at {_BOUNDS[0]} (Heywood case)" if held else ""
    if factors == 1:
        general = _reflected(loadings)[:, 0]
        true = float(general.sum() ** 2)
        share = true / (true + float(np.sum(1 - communality)))
        return Saturation(general, communality, share, share, remark, loadings)
    pattern, turn, between = _oblique(loadings, near)
    second, doubt = _second_order(between)
    general = _reflected((pattern @ second)[:, None])[:, 0]
    total = 1 - float(np.sum(1 - communality)) / variance
    return Saturation(
        general, communality, total, float(general.sum() ** 2 / variance), remark or doubt, loadings, turn
    )


def _least_squares(correlation: Array, factors: int) -> tuple[Array, bool]:
    """Loadings (I, F) that leave the smallest squares off the diagonal, and whether a uniqueness met its bound.

    Given uniquenesses the best loadings are the largest eigenvectors, and what they leave is a function of the
    uniquenesses alone, with a closed gradient. Iterated principal axes have the same solution where it is proper, but
    run away where it is not.

    Source: Harman & Jones (1966), Psychometrika 31, 351-368; Jöreskog (1977), in Statistical Methods for Digital
    Computers, vol. 3.
    """

    def left(unique: Array) -> tuple[float, Array]:
        size, vector = np.linalg.eigh(correlation - np.diag(unique))
        rest = size.copy()
        rest[-factors:] = np.minimum(rest[-factors:], 0.0)
        return 0.5 * float(rest @ rest), -(vector**2) @ rest

    start = np.full(len(correlation), 0.5)
    found = minimize(
        left,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[_BOUNDS] * len(start),
        options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-7},
    )
    unique = np.asarray(found.x, np.float64)
    size, vector = np.linalg.eigh(correlation - np.diag(unique))
    loadings = vector[:, -factors:] * np.sqrt(np.maximum(size[-factors:], 0.0))
    # At a bound the loadings may still explain more than there is: they are cut back to what the uniqueness leaves.
    excess = np.sum(loadings**2, axis=1) / np.maximum(1 - unique, np.finfo(float).tiny)
    loadings = loadings / np.sqrt(np.where(unique <= _BOUNDS[0] + 1e-9, np.maximum(excess, 1.0), 1.0))[:, None]
    return loadings, bool(np.any(unique <= _BOUNDS[0] + 1e-9))


def _oblique(loadings: Array, near: Saturation | None) -> tuple[Array, Array, Array]:
    """Quartimin pattern (I, F), the rotation behind it and the factors' correlations (F, F), turned upwards."""
    factors, steps = loadings.shape[1], _ROTATIONS
    # The unrotated axes are a saddle of the criterion where groups of items mirror each other, hence a second start.
    starts = [np.eye(factors), np.linalg.qr(np.random.default_rng(0).normal(size=(factors, factors)))[0]]
    if near is not None and near.loadings is not None and near.turn is not None:
        # Unrotated axes are arbitrary: turned as near as possible to the neighbour's, its rotation nearly fits.
        left, _, right = np.linalg.svd(loadings.T @ near.loadings)
        loadings, starts, steps = loadings @ left @ right, [near.turn], _WARM_ROTATIONS
    pattern, turn = min((_rotated(loadings, start, steps) for start in starts), key=lambda found: _complexity(found[0]))
    sign = np.where(pattern.sum(axis=0) < 0, -1.0, 1.0)
    return pattern * sign, turn, (turn.T @ turn) * np.outer(sign, sign)


def _rotated(loadings: Array, start: Array, steps: int) -> tuple[Array, Array]:
    """Quartimin pattern and rotation from one start."""
    with warnings.catch_warnings():
        # Its warning about a slow end is no error: wherever it stops, the loadings are a rotation of the same solution.
        warnings.simplefilter("ignore")
        pattern, turn = rotate_factors(loadings, "quartimin", T=start, max_tries=steps)
    return np.asarray(pattern, np.float64), np.asarray(turn, np.float64)


def _complexity(pattern: Array) -> float:
    """What quartimin makes small: products of squared loadings of one item on different factors."""
    square = pattern**2
    return float(np.sum(square.sum(axis=1) ** 2 - np.sum(square**2, axis=1)))


def _second_order(between: Array) -> tuple[Array, str]:
    """Loadings of the group factors on the general one, shape (F,), and what is doubtful about them."""
    if len(between) == 2:
        shared = float(between[0, 1])
        return np.full(2, np.sqrt(max(shared, 0.0))), "" if shared > 0 else "the two group factors do not correlate"
    found, held = _least_squares(between, 1)
    return _reflected(found)[:, 0], (
        "a group factor is the general one or does not share it: fewer factors may do" if held else ""
    )


def _reflected(loadings: Array) -> Array:
    """Every factor turned so that its loadings sum to something positive."""
    return loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
