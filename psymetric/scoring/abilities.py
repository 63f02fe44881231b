"""Point estimates of abilities, items and judges known: roots of estimating equations, all subjects at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import derivatives

__all__ = [
    "Extremes",
    "Points",
    "find_extremes",
    "find_roots",
    "maximum_likelihood",
    "posterior_mode",
    "weighted_likelihood",
]

Array = NDArray[np.float64]

_REACH = 60.0
"""Logits beyond which no ability is looked for; every category that can be reached is certain there."""
_TOLERANCE = 1e-9
_MAX_STEPS = 200


@final
@dataclass(frozen=True)
class Points:
    """Estimates and standard errors in logits, each of shape (S,); NaN where the responses say nothing."""

    estimate: Array
    se: Array


@final
@dataclass(frozen=True)
class Extremes:
    """Which subjects have all responses at an end of their scale.

    Attributes:
        low: Sum of the lowest categories in reach, shape (S,).
        high: Sum of the highest categories in reach, shape (S,).
        at_low: All responses are the lowest possible, shape (S,).
        at_high: All responses are the highest possible, shape (S,).
    """

    low: Array
    high: Array
    at_low: NDArray[np.bool_]
    at_high: NDArray[np.bool_]

    @property
    def either(self) -> NDArray[np.bool_]:
        """An extreme score: no finite maximum of the likelihood."""
        return self.at_low | self.at_high


def find_extremes(rows: AlignedRows) -> Extremes:
    """Extreme subjects; a category that the fit puts out of reach does not count as an end of the scale."""
    ends = [np.rint(derivatives(rows, np.full(len(rows.response), side))[4]) for side in (-_REACH, _REACH)]
    n_responses = rows.by_subject(np.ones(len(rows.response)))
    at = [rows.by_subject((rows.response == end).astype(np.float64)) for end in ends]
    low, high = (rows.by_subject(end) for end in ends)
    full = 1e-9 * np.maximum(n_responses, 1.0)
    return Extremes(low, high, n_responses - at[0] <= full, n_responses - at[1] <= full)


def find_roots(
    equation: Callable[[Array], tuple[Array, Array]],
    start: Array,
    *,
    lower: Array,
    upper: Array,
    tolerance: float | Array = _TOLERANCE,
) -> Array:
    """Roots of decreasing functions, one per element, by Newton steps kept inside a shrinking bracket.

    Args:
        equation: From points to values and (negative) slopes, each of the shape of `start`.
        start: First points.
        lower: Where the function is positive.
        upper: Where it is negative.
        tolerance: Largest last step.
    """
    point = np.clip(start, lower, upper)
    for _ in range(_MAX_STEPS):
        value, slope = equation(point)
        lower, upper = np.where(value > 0, point, lower), np.where(value <= 0, point, upper)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = point - value / slope
        # A settled element's next step may round onto the edge of its bracket: it must not be bisected away again.
        settled = (np.abs(step - point) < tolerance) | (upper - lower < tolerance)
        inside = np.isfinite(step) & (step > lower) & (step < upper)
        point = np.where(settled, point, np.where(inside, step, (lower + upper) / 2))
        if settled.all():
            break
    return point


def maximum_likelihood(rows: AlignedRows, extremes: Extremes, *, adjustment: float) -> Points:
    """Maximum likelihood; an extreme score is first moved inwards by `adjustment` score points.

    Source: Wright & Masters (1982), Rating Scale Analysis, ch. 4; extreme scores: Wright (1998), Rasch Measurement
    Transactions 12:2, 632.
    """
    span = extremes.high - extremes.low
    inward = adjustment * np.minimum(span, 1.0)
    target = np.where(extremes.at_low, extremes.low + inward, extremes.high - inward)

    def equation(theta: Array) -> tuple[Array, Array]:
        first, second, _, _, expected, variance = derivatives(rows, theta[rows.subject])
        ordinary = rows.by_subject(first), rows.by_subject(second)
        adjusted = target - rows.by_subject(expected), -rows.by_subject(variance)
        return (
            np.where(extremes.either, adjusted[0], ordinary[0]),
            np.where(extremes.either, adjusted[1], ordinary[1]),
        )

    return _solved(rows, equation, span)


def weighted_likelihood(rows: AlignedRows, extremes: Extremes) -> Points:
    """Warm's weighted likelihood estimates: score + J / (2 I) = 0, finite for extreme scores.

    Source: Warm (1989), Psychometrika 54, 427-450, eq. 11 and 12; polytomous: Samejima (1993).
    """

    def equation(theta: Array) -> tuple[Array, Array]:
        first, second, information, bias, _, _ = derivatives(rows, theta[rows.subject])
        total = np.maximum(rows.by_subject(information), 1e-300)
        return rows.by_subject(first) + rows.by_subject(bias) / (2 * total), np.minimum(rows.by_subject(second), -total)

    return _solved(rows, equation, extremes.high - extremes.low)


def posterior_mode(
    rows: AlignedRows, mean: float | Array, sd: float | Array, *, tolerance: float | Array = _TOLERANCE
) -> Points:
    """Posterior modes under normal populations, and standard errors from the curvature there.

    Args:
        rows: The responses.
        mean: Of the population, or of each subject's, shape (S,), logits.
        sd: Of the same shape.
        tolerance: Largest last step.
    """

    def equation(theta: Array) -> tuple[Array, Array]:
        first, second, *_ = derivatives(rows, theta[rows.subject])
        return rows.by_subject(first) - (theta - mean) / sd**2, rows.by_subject(second) - 1 / sd**2

    edge = np.full(len(rows.subjects), _REACH)
    mode = find_roots(equation, edge * 0 + mean, lower=mean - edge, upper=mean + edge, tolerance=tolerance)
    return Points(mode, 1 / np.sqrt(np.maximum(-equation(mode)[1], 1e-300)))


def _solved(rows: AlignedRows, equation: Callable[[Array], tuple[Array, Array]], span: Array) -> Points:
    edge = np.full(len(rows.subjects), _REACH)
    estimate = find_roots(equation, np.zeros(len(edge)), lower=-edge, upper=edge)
    information = rows.by_subject(derivatives(rows, estimate[rows.subject])[2])
    known = (span > 0) & (information > 0)
    with np.errstate(divide="ignore"):
        return Points(np.where(known, estimate, np.nan), np.where(known, 1 / np.sqrt(information), np.nan))
