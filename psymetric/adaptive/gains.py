r"""What a comparison is expected to tell about an order: uncertainty, and its fall in closed form and by outcome.

Worths are taken as normal with covariance Σ. A comparison of i and j of information w about their difference moves Σ by
a matrix of rank one,

$$\Sigma' = \Sigma - \kappa\, c c', \qquad c = \Sigma(e_i - e_j), \quad \kappa = \frac{w}{1 + w v_{ij}},$$

with $v_{ij}$ the variance of the difference. With $P_{ab}$ the probability that a lies above b, two draws of the worths
order $2\sum_{a<b} P_{ab}(1 - P_{ab})$ pairs differently. A comparison leaves the mean of $P_{ab}$ where it is and
spreads it, by $\kappa\,(c_a - c_b)^2 \phi(z_{ab})^2 / v_{ab}$ to first order, z the difference over its error. The
expected fall is thus a quadratic form in c, and the sum over all pairs of items one product of matrices for all
comparisons at once:

$$\text{gain}_{ij} = \kappa\; c' L c, \qquad L = \text{the Laplacian of } g_{ab} = 2 \phi(z_{ab})^2 / v_{ab}.$$

With g = 1/n it is the fall of the summed variance of the centred worths (A-optimality), which is exact; with weights
for the pairs across a boundary alone it serves a set of the best. Arrays have any leading axes.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = [
    "Target",
    "concerned",
    "difference_variance",
    "expected_uncertainty",
    "fall",
    "observe",
    "order_weights",
    "uncertainty",
]

Array = NDArray[np.float64]
Target = Literal["ranking", "top_k", "worths", "information"]

_LEAST: Final = 1e-12
"""Variance of a difference that counts as known, in logits²."""


def difference_variance(covariance: Array) -> Array:
    """Variances of all differences of worths, shape (..., items, items), zero on the diagonal."""
    own = np.diagonal(covariance, axis1=-2, axis2=-1)
    return np.maximum(own[..., :, None] + own[..., None, :] - 2 * covariance, 0.0)


def concerned(worth: Array, target: Target, k: int) -> NDArray[np.bool_]:
    """Pairs whose order matters to the target, shape (..., items, items): all, or those across the present top k."""
    n_items = worth.shape[-1]
    if target != "top_k":
        return np.broadcast_to(~np.eye(n_items, dtype=bool), (*worth.shape, n_items))
    is_top = np.argsort(np.argsort(-worth, axis=-1, kind="stable"), axis=-1) < k
    return is_top[..., :, None] != is_top[..., None, :]


def order_weights(worth: Array, covariance: Array, target: Target, k: int) -> Array:
    """Weights g of pairs of items, shape (..., items, items): what a unit of variance moved is worth to the target."""
    if target == "worths":
        return np.full_like(covariance, 1 / worth.shape[-1])
    variance = np.maximum(difference_variance(covariance), _LEAST)
    z_squared = (worth[..., :, None] - worth[..., None, :]) ** 2 / variance
    return np.where(concerned(worth, target, k), np.exp(-z_squared) / (np.pi * variance), 0.0)


def fall(covariance: Array, information: Array, weights: Array | None) -> Array:
    """Expected fall of uncertainty by a comparison of each two items, shape (..., items, items).

    Args:
        covariance: Of the worths.
        information: Of a comparison about the difference, shape (..., items, items).
        weights: From `order_weights`; None for the fall of entropy, ½ log(1 + w v), in nats.
    """
    variance = difference_variance(covariance)
    if weights is None:
        return np.log1p(information * variance) / 2
    laplacian = -weights
    items = np.arange(weights.shape[-1])
    laplacian[..., items, items] += weights.sum(axis=-1)
    return information / (1 + information * variance) * difference_variance(covariance @ laplacian @ covariance)


def observe(covariance: Array, left: NDArray[np.int64], right: NDArray[np.int64], information: Array) -> Array:
    """The covariance after one more comparison each, whatever comes of it.

    Args:
        covariance: Shape (sets, items, items).
        left: Item of each set, shape (sets,).
        right: The other.
        information: Of that comparison, shape (sets,).
    """
    each = np.arange(len(covariance))
    moved = covariance[each, :, left] - covariance[each, :, right]
    variance = moved[each, left] - moved[each, right]
    kappa = information / (1 + information * variance)
    return covariance - kappa[:, None, None] * moved[:, :, None] * moved[:, None, :]


def uncertainty(difference: Array, variance: Array) -> Array:
    """2 P (1 − P) of normal differences: the probability that two draws order a pair differently."""
    above = ndtr(difference / np.sqrt(np.maximum(variance, _LEAST)))
    return 2 * above * (1 - above)


def expected_uncertainty(
    worth: Array, covariance: Array, pair: tuple[int, int], probability: Array, mean: Array, variance: Array
) -> Array:
    """Uncertainty of each pair's order after a comparison, averaged over its outcomes; shape (items, items).

    The difference that is compared has its posterior mean and variance under each outcome, and all other worths follow
    by their regression on it.

    Args:
        worth: Shape (items,).
        covariance: Shape (items, items).
        pair: The two items compared.
        probability: Of each outcome, shape (outcomes,).
        mean: Of the difference given the outcome, shape (outcomes,).
        variance: The same.
    """
    left, right = pair
    moved = covariance[:, left] - covariance[:, right]
    before = moved[left] - moved[right]
    slope = (moved[:, None] - moved) / before
    difference, spread = worth[:, None] - worth, difference_variance(covariance)
    shift = mean - (worth[left] - worth[right])
    each = (
        chance * uncertainty(difference + slope * by, spread - slope**2 * (before - after))
        for chance, by, after in zip(probability, shift, variance, strict=True)
    )
    return np.sum(list(each), axis=0)
