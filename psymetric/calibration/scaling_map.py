"""Maps of a judge's category probabilities to people's: temperature, vector and Dirichlet scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from psymetric.calibration.clusters import clustered_covariance
from psymetric.calibration.judged import Judged
from psymetric.errors import ConvergenceError

__all__ = ["Scaling", "ScalingMap", "fit_scaling"]

Array = NDArray[np.float64]
Scaling = Literal["temperature", "vector", "dirichlet"]

_MOST_STEPS = 100
_TOLERANCE = 1e-10
_LEAST_SHARE = 1e-12


@final
@dataclass(frozen=True)
class ScalingMap:
    r"""Probabilities of labels from a judge's probabilities of the same categories.

    $$P(Y = k \mid p) \propto \exp\Big(b_k + \sum_l W_{kl} \log p_l\Big)$$

    Attributes:
        scaling: What is free: `temperature` (W = I/T, no b), `vector` (a diagonal W, and b) or `dirichlet` (all).
        weights: W and b side by side, shape (categories, categories + 1).
        covariance: Of what is free, in the order of `directions`, clustered by group, shape (free, free).
    """

    scaling: Scaling
    weights: Array
    covariance: Array

    def probabilities(self, judged: Judged) -> Array:
        """Of every category, shape (rows, categories)."""
        return np.asarray(softmax(_with_one(judged.x) @ self.weights.T, axis=1), np.float64)

    def standard_error(self, judged: Judged, values: Array) -> Array:
        """Of the expected value of the label, by the delta method, shape (rows,)."""
        x = _with_one(judged.x)
        shares = np.asarray(softmax(x @ self.weights.T, axis=1), np.float64)
        pull = shares * (values - (shares @ values)[:, None])
        slope = np.column_stack(
            [pull * (x @ one.T) @ np.ones(len(one)) for one in directions(self.scaling, len(values))]
        )
        return np.sqrt(np.einsum("ij,jk,ik->i", slope, self.covariance, slope))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists."""
        return {"scaling": self.scaling, "weights": self.weights.tolist(), "covariance": self.covariance.tolist()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        weights, covariance = (np.array(record[name], np.float64) for name in ("weights", "covariance"))
        return cls(record["scaling"], weights, covariance)


def directions(scaling: Scaling, n_categories: int) -> Array:
    """What is free in the weights, one direction each, shape (free, categories, categories + 1)."""
    k = n_categories
    whole = np.eye(k * (k + 1)).reshape(-1, k, k + 1)
    if scaling == "dirichlet":
        return whole
    diagonal = whole[[row * (k + 1) + row for row in range(k)]]
    if scaling == "temperature":
        return diagonal.sum(axis=0, keepdims=True)
    return np.concatenate([diagonal, whole[[row * (k + 1) + k for row in range(k)]]])


def fit_scaling(
    judged: Judged, codes: NDArray[np.int32], group: NDArray[np.int32], *, scaling: Scaling, prior_sd: float
) -> ScalingMap:
    """Penalised maximum likelihood by Newton's method; the penalty pulls to the judge's probabilities as they are.

    Args:
        judged: Rows with log probabilities of all categories.
        codes: Label, 0…K−1, shape (rows,).
        group: Rows of one group are not independent, shape (rows,).
        scaling: What is free.
        prior_sd: Normal prior of every free weight around 1 on the diagonal and 0 elsewhere, and of b around 0.

    Raises:
        ConvergenceError: No maximum in 100 steps.

    Source: Guo et al. (2017) for temperature and vector scaling; Kull et al. (2019) for Dirichlet calibration, whose
    penalty spares the diagonal where this one holds it to 1.
    """
    x, k = _with_one(judged.x), judged.x.shape[1]
    free, identity = directions(scaling, k), np.eye(k, k + 1)
    flat, target = free.reshape(len(free), -1), np.eye(k)[codes]
    theta, prior = np.zeros(len(free)), np.eye(len(free)) * prior_sd**-2.0

    def weights(at: Array) -> Array:
        return identity + np.tensordot(at, free, axes=1)

    def value(at: Array) -> float:
        logs = np.asarray(log_softmax(x @ weights(at).T, axis=1))
        return float(logs[np.arange(len(codes)), codes].sum()) - float(at @ prior @ at) / 2

    best = value(theta)
    for _ in range(_MOST_STEPS):
        shares = np.asarray(softmax(x @ weights(theta).T, axis=1), np.float64)
        slope = flat @ ((target - shares).T @ x).ravel() - prior @ theta
        information = flat @ _information(shares, x) @ flat.T + prior
        step = np.linalg.solve(information, slope)
        share = 1.0
        while (found := value(theta + share * step)) < best and share > _LEAST_SHARE:
            share /= 2
        if found >= best:
            theta, best = theta + share * step, found
        if slope @ step < _TOLERANCE * len(codes):
            break
    else:
        raise ConvergenceError(f"calibrate: {scaling} scaling has not converged after {_MOST_STEPS} Newton steps")
    residual = target - np.asarray(softmax(x @ weights(theta).T, axis=1))
    scores = np.column_stack([np.einsum("ik,ik->i", residual, x @ one.T) for one in free])
    return ScalingMap(scaling, weights(theta), clustered_covariance(np.linalg.inv(information), scores, group, prior))


def _with_one(x: Array) -> Array:
    return np.column_stack([x, np.ones(len(x))])


def _information(shares: Array, x: Array) -> Array:
    """Of all weights, shape (categories × columns, the same): Σ (diag p − p pᵀ) ⊗ x xᵀ."""
    k, columns = shares.shape[1], x.shape[1]
    found = np.zeros((k, columns, k, columns))
    for one in range(k):
        for other in range(one + 1):
            weight = shares[:, one] * ((one == other) - shares[:, other])
            found[one, :, other] = found[other, :, one] = (x.T * weight) @ x
    return found.reshape(k * columns, k * columns)
