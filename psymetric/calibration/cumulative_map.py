"""Cumulative-logit map: ordered labels on judge scores, with shifts of the levels of one effect drawn from a normal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from psymetric.calibration.clusters import clustered_covariance
from psymetric.calibration.cumulative_likelihood import Point, climb, start
from psymetric.calibration.judged import Judged
from psymetric.core.quadrature import normal_grid

__all__ = ["CumulativeMap", "fit_cumulative"]

Vector = NDArray[np.float64]

_NODES, _REACH = 15, 4.0
_SD_RANGE = (np.log(0.02), np.log(8.0))
_SD_TOLERANCE = 1e-4
_CHUNK = 1 << 16


@final
@dataclass(frozen=True)
class CumulativeMap:
    r"""Probabilities of ordered labels from judge scores.

    $$\operatorname{logit} P(Y \le k \mid x, j) = \tau_k - x^\top\beta - u_j, \qquad u_j \sim N(0, \sigma^2)$$

    Attributes:
        thresholds: τ, logits, shape (categories - 1,); infinite or equal around a category that no label had.
        slopes: β, logits per unit of the judge's score, shape (columns,).
        effects: Posterior mode of u, logits, shape (levels,); empty without an effect.
        effect_sd: σ, logits; 0 without an effect.
        effect_spread: Posterior standard deviation of u at the estimates of τ and β, shape (levels,).
        effect_moves: Derivative of u by the free thresholds and slopes, shape (levels, free).
        owner: Which estimated threshold each one is, shape (categories - 1,).
        covariance: Of free thresholds and slopes, clustered by group, shape (free, free).
    """

    thresholds: Vector
    slopes: Vector
    effects: Vector
    effect_sd: float
    effect_spread: Vector
    effect_moves: Vector
    owner: NDArray[np.int64]
    covariance: Vector

    def probabilities(self, judged: Judged) -> Vector:
        """Of every category, averaged over what is not known of the row's effect, shape (rows, categories)."""
        found = np.empty((len(judged), len(self.thresholds) + 1))
        for rows in _chunks(len(judged)):
            below = np.zeros((len(found[rows]), len(self.thresholds)))
            for eta, weight, _ in self._nodes(judged.rows(rows)):
                below += weight * expit(self.thresholds[None] - eta[:, None])
            found[rows] = np.diff(below, axis=1, prepend=0.0, append=1.0)
        return found

    def standard_error(self, judged: Judged, values: Vector) -> Vector:
        """Of the expected value of the label, by the delta method, shape (rows,)."""
        steps, n_free = np.diff(values), len(self.covariance) - len(self.slopes)
        own_threshold = np.eye(n_free)[self.owner]
        found = np.empty(len(judged))
        for rows in _chunks(len(judged)):
            part = judged.rows(rows)
            slope, own = np.zeros((len(part), len(self.covariance))), np.zeros(len(part))
            for eta, weight, centre in self._nodes(part):
                at = expit(self.thresholds[None] - eta[:, None])
                density = weight * at * (1 - at) * steps
                moved = density.sum(axis=1)
                # The expectation is the highest value less the steps that the label stays below.
                slope[:, :n_free] -= density @ own_threshold
                slope[:, n_free:] += moved[:, None] * part.x
                known = centre >= 0
                slope[known] += moved[known, None] * self.effect_moves[centre[known]]
                own[known] += moved[known]
            variance = np.einsum("ij,jk,ik->i", slope, self.covariance, slope)
            known = part.effect >= 0
            variance[known] += (own[known] * self.effect_spread[part.effect[known]]) ** 2
            found[rows] = np.sqrt(variance)
        return found

    def _nodes(self, judged: Judged) -> list[tuple[Vector, float, NDArray[np.int32]]]:
        """Linear predictor of the rows at each node of what their effect may be, its weight, and the known level."""
        eta = judged.x @ self.slopes
        if not self.effect_sd:
            return [(eta, 1.0, np.full(len(eta), -1, np.int32))]
        known = judged.effect >= 0
        mean = np.where(known, self.effects[judged.effect], 0.0)
        sd = np.where(known, self.effect_spread[judged.effect], self.effect_sd)
        nodes, log_weight = normal_grid(_NODES, _REACH)
        return [
            (eta + mean + sd * node, weight, judged.effect)
            for node, weight in zip(nodes.tolist(), np.exp(log_weight).tolist(), strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists; infinite thresholds as texts, which strict JSON can hold."""
        return {
            "thresholds": [value if np.isfinite(value) else str(value) for value in self.thresholds.tolist()],
            "slopes": self.slopes.tolist(),
            "effects": self.effects.tolist(),
            "effect_sd": self.effect_sd,
            "effect_spread": self.effect_spread.tolist(),
            "effect_moves": self.effect_moves.tolist(),
            "owner": self.owner.tolist(),
            "covariance": self.covariance.tolist(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        n_free = len(record["covariance"])
        return cls(
            np.array([float(value) for value in record["thresholds"]]),
            np.array(record["slopes"], np.float64),
            np.array(record["effects"], np.float64),
            float(record["effect_sd"]),
            np.array(record["effect_spread"], np.float64),
            np.array(record["effect_moves"], np.float64).reshape(-1, n_free),
            np.array(record["owner"], np.int64),
            np.array(record["covariance"], np.float64),
        )


def _chunks(n_rows: int) -> list[slice]:
    return [slice(first, first + _CHUNK) for first in range(0, n_rows, _CHUNK)]


def fit_cumulative(
    judged: Judged,
    codes: NDArray[np.int32],
    group: NDArray[np.int32],
    *,
    n_categories: int,
    n_levels: int,
    prior_sd: float,
) -> CumulativeMap:
    """Penalised maximum likelihood of the map by Newton's method, σ at the maximum of Laplace's approximation.

    Args:
        judged: Rows, all of whose effects are known.
        codes: Label, 0…K−1, shape (rows,).
        group: Rows of one group are not independent, shape (rows,).
        n_categories: K, also those that no label has.
        n_levels: Levels of the effect; 0 for a map without one.
        prior_sd: Of each slope, in logits per standard deviation of its column, around zero; infinite for none.

    Source: McCullagh (1980); Breslow & Clayton (1993) for the penalised likelihood and σ by Laplace's method.
    """
    used, place = np.unique(codes, return_inverse=True)
    centre, scale = judged.x.mean(axis=0), judged.x.std(axis=0)
    # A column may be constant in what is left when a fold is held out: its slope is then the prior's zero.
    scale = np.where(scale > 0, scale, 1.0)
    x = (judged.x - centre) / scale
    precision = np.full(x.shape[1], prior_sd**-2.0)
    point = start(place.astype(np.int64), x, judged.effect, precision, n_levels)
    sd = 0.0
    if n_levels:
        best: list[tuple[float, Point]] = []

        def loss(log_sd: float) -> float:
            found = climb(point if not best else best[-1][1], np.exp(log_sd))
            best.append((log_sd, found))
            return -found.laplace(np.exp(log_sd))

        found: Any = minimize_scalar(loss, bounds=_SD_RANGE, method="bounded", options={"xatol": _SD_TOLERANCE})
        sd = float(np.exp(found.x))
        point = best[-1][1]
    point = climb(point, sd)
    fixed = point.information(sd)
    covariance = clustered_covariance(fixed.inverse, point.projected_scores(fixed), group, fixed.prior)
    # Back from standardised columns: τ + x̄'β/s on the scale of the scores.
    n_free = len(used) - 1
    turn = np.eye(n_free + x.shape[1])
    turn[:n_free, n_free:] = centre / scale
    turn[n_free:, n_free:] = np.diag(1 / scale)
    both = turn @ np.concatenate([point.thresholds, point.slopes])
    # A threshold beside a category that no label had is its neighbour's, or out of reach.
    after = np.searchsorted(used, np.arange(n_categories - 1), side="right")
    thresholds = np.concatenate([[-np.inf], both[:n_free], [np.inf]])[after]
    return CumulativeMap(
        thresholds,
        both[n_free:],
        point.effects,
        sd,
        fixed.effect_spread,
        fixed.effect_moves @ np.linalg.inv(turn),
        np.clip(after - 1, 0, n_free - 1).astype(np.int64),
        turn @ covariance @ turn.T,
    )
