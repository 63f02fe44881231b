"""Penalised likelihood of the cumulative logit with one normal effect, and the Newton steps up it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from psymetric.errors import ConvergenceError

__all__ = ["Information", "Point", "climb", "start"]

Vector = NDArray[np.float64]

_MOST_STEPS = 100
_TOLERANCE = 1e-10
"""Of the promised gain in log-likelihood per row; the last step squares what is left."""
_LEAST_SHARE = 1e-12


def _sums(place: NDArray[Any], values: Vector, count: int) -> Vector:
    """Sum of the values at each place, shape (count,)."""
    return np.asarray(np.bincount(place, values, count), np.float64)


@final
@dataclass(frozen=True)
class Information:
    """What the curvature at the maximum says.

    Attributes:
        inverse: Inverse information of thresholds and slopes, effects profiled out, shape (free, free).
        effect_spread: Posterior standard deviation of each effect at fixed thresholds and slopes, shape (levels,).
        effect_moves: Derivative of the effects by thresholds and slopes, shape (levels, free).
        prior: What the priors of slopes and effects add to the information, shape (free, free).
    """

    inverse: Vector
    effect_spread: Vector
    effect_moves: Vector
    prior: Vector


@final
@dataclass(frozen=True)
class Point:
    """Data and a place in the space of parameters; categories all occur, columns are standardised.

    Attributes:
        place: Label of each row, 0…K−1, shape (rows,). x: Shape (rows, columns).
        effect: Level of each row, shape (rows,); unread without levels.
        precision: Of the slopes' prior, shape (columns,).
        thresholds: Increasing, shape (K - 1,). slopes: Shape (columns,). effects: Shape (levels,).
    """

    place: NDArray[np.int64]
    x: Vector
    effect: NDArray[np.int32]
    precision: Vector
    thresholds: Vector
    slopes: Vector
    effects: Vector

    def moved(self, step: Vector, step_effect: Vector) -> Point:
        """A step away: thresholds and slopes, and effects."""
        n = len(self.thresholds)
        return replace(
            self,
            thresholds=self.thresholds + step[:n],
            slopes=self.slopes + step[n:],
            effects=self.effects + step_effect,
        )

    def ends(self) -> tuple[Vector, Vector]:
        """Upper and lower end of each row's category, seen from its linear predictor."""
        eta = self.x @ self.slopes
        if len(self.effects):
            eta = eta + self.effects[self.effect]
        padded = np.concatenate([[-np.inf], self.thresholds, [np.inf]])
        return padded[self.place + 1] - eta, padded[self.place] - eta

    def value(self, sd: float) -> float:
        """Penalised log-likelihood; minus infinity where thresholds cross."""
        if np.any(np.diff(self.thresholds) <= 0):
            return -np.inf
        upper, lower = self.ends()
        # F(a) − F(b) = F(a) F(−b) (1 − e^{b−a}), which cancels nowhere.
        fits = -np.logaddexp(0, -upper) - np.logaddexp(0, lower) + np.log(-np.expm1(lower - upper))
        penalty = float(self.precision @ self.slopes**2)
        if len(self.effects):
            penalty += float(self.effects @ self.effects) / sd**2
        return float(fits.sum()) - penalty / 2

    def laplace(self, sd: float) -> float:
        """Log-likelihood with the effects integrated out by Laplace's method, at their mode."""
        _, by_effect, *_ = self.curvature(sd)
        return self.value(sd) - len(self.effects) * np.log(sd) - 0.5 * float(np.log(by_effect).sum())

    def pull(self) -> tuple[Vector, Vector, Vector]:
        """Derivative of each row by its upper and lower end, and how far one end's hold loosens the other's."""
        upper, lower = self.ends()
        with np.errstate(over="ignore"):
            hold = 1 / np.expm1(upper - lower)
        return expit(-upper) + hold, -expit(lower) - hold, hold * (1 + hold)

    def gradient(self, sd: float) -> tuple[Vector, Vector]:
        """Of the penalised log-likelihood, by thresholds and slopes, and by effects."""
        up, down, _ = self.pull()
        n = len(self.thresholds) + 1
        by_threshold = _sums(self.place, up, n)[:-1] + _sums(self.place, down, n)[1:]
        by_eta = -(up + down)
        fixed = np.concatenate([by_threshold, self.x.T @ by_eta - self.precision * self.slopes])
        if not len(self.effects):
            return fixed, self.effects
        return fixed, _sums(self.effect, by_eta, len(self.effects)) - self.effects / sd**2

    def curvature(self, sd: float) -> tuple[Vector, Vector, Vector]:
        """Negative Hessian: of thresholds and slopes, diagonal of effects, and effects by thresholds and slopes."""
        upper, lower = self.ends()
        *_, cross = self.pull()
        # Second derivatives by the ends, sign turned: aa, ab, bb.
        aa, bb = expit(upper) * expit(-upper) + cross, expit(lower) * expit(-lower) + cross
        n, n_columns = len(self.thresholds) + 1, self.x.shape[1]
        own = _sums(self.place, aa, n)[:-1] + _sums(self.place, bb, n)[1:]
        beside = -_sums(self.place, cross, n)[1:-1]
        fixed = np.zeros((n - 1 + n_columns,) * 2)
        fixed[: n - 1, : n - 1] = np.diag(own) + np.diag(beside, 1) + np.diag(beside, -1)
        # Each end moves against the linear predictor.
        at_upper, at_lower = -(aa - cross), -(bb - cross)
        for column in range(n_columns):
            up = _sums(self.place, at_upper * self.x[:, column], n)[:-1]
            down = _sums(self.place, at_lower * self.x[:, column], n)[1:]
            fixed[: n - 1, n - 1 + column] = fixed[n - 1 + column, : n - 1] = up + down
        weight = -(at_upper + at_lower)
        fixed[n - 1 :, n - 1 :] = (self.x.T * weight) @ self.x + np.diag(self.precision)
        n_levels = len(self.effects)
        if not n_levels:
            return fixed, self.effects, np.zeros((0, len(fixed)))
        cell = self.effect.astype(np.int64) * n + self.place
        ups = _sums(cell, at_upper, n_levels * n).reshape(n_levels, n)[:, :-1]
        downs = _sums(cell, at_lower, n_levels * n).reshape(n_levels, n)[:, 1:]
        by_slope = [_sums(self.effect, weight * column, n_levels) for column in self.x.T]
        across = np.column_stack([ups + downs, *by_slope])
        return fixed, _sums(self.effect, weight, n_levels) + sd**-2.0, across

    def information(self, sd: float) -> Information:
        """Of thresholds and slopes where the effects follow them."""
        fixed, by_effect, across = self.curvature(sd)
        moves = -across / by_effect[:, None]
        prior = np.diag(np.concatenate([np.zeros(len(self.thresholds)), self.precision]))
        if len(self.effects):
            prior = prior + moves.T @ moves / sd**2
        inverse = np.asarray(np.linalg.inv(fixed + across.T @ moves), np.float64)
        return Information(inverse, by_effect**-0.5, moves, prior)

    def projected_scores(self, found: Information) -> Vector:
        """Gradient of each row's log-likelihood by thresholds and slopes, effects following, shape (rows, free)."""
        up, down, _ = self.pull()
        rows, n = np.arange(len(self.place)), len(self.thresholds) + 1
        ends = np.zeros((len(rows), n + 1))
        ends[rows, self.place + 1] += up
        ends[rows, self.place] += down
        by_eta = -(up + down)
        scores = np.column_stack([ends[:, 1:-1], by_eta[:, None] * self.x])
        return scores + by_eta[:, None] * found.effect_moves[self.effect] if len(self.effects) else scores


def start(place: NDArray[np.int64], x: Vector, effect: NDArray[np.int32], precision: Vector, n_levels: int) -> Point:
    """The margins of the labels as thresholds, all else zero."""
    below = np.cumsum(np.bincount(place))[:-1] / len(place)
    return Point(place, x, effect, precision, logit(below), np.zeros(x.shape[1]), np.zeros(n_levels))


def climb(point: Point, sd: float) -> Point:
    """The maximum of the penalised log-likelihood, which is concave, by Newton's method with halved steps.

    Raises:
        ConvergenceError: No maximum in 100 steps.
    """
    value = point.value(sd)
    for _ in range(_MOST_STEPS):
        fixed, by_effect, across = point.curvature(sd)
        slope, slope_effect = point.gradient(sd)
        inner = across / by_effect[:, None]
        step = np.asarray(np.linalg.solve(fixed - across.T @ inner, slope - inner.T @ slope_effect), np.float64)
        step_effect = slope_effect / by_effect - inner @ step
        share = 1.0
        moved = point.moved(step, step_effect)
        while (found := moved.value(sd)) < value and share > _LEAST_SHARE:
            share /= 2
            moved = point.moved(share * step, share * step_effect)
        if slope @ step + slope_effect @ step_effect < _TOLERANCE * len(point.place):
            return moved if found >= value else point
        point, value = moved, found
    raise ConvergenceError(f"calibrate: the ordinal map has not converged after {_MOST_STEPS} Newton steps")
