"""Maximisation of smooth log densities: quasi-Newton to the neighbourhood, Newton to the top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["Curvature", "Maximum", "ascend", "polish"]

Vector = NDArray[np.float64]


class Curvature(Protocol):
    """Negative Hessian at some point, ready to solve with."""

    def solve(self, gradient: Vector) -> Vector: ...


CurvatureT = TypeVar("CurvatureT", bound=Curvature, covariant=True)

NEARNESS = 1e-3
"""Gradient, in the units of `ascend`, from which Newton steps are the shorter way."""
_FAR = 1e-3
"""Curvature is computed anew when the top lies further than this, in parameter units, from where it was computed."""


@final
@dataclass(frozen=True)
class Maximum(Generic[CurvatureT]):
    """Where an optimiser stopped.

    Attributes:
        point: Shape (parameters,).
        value: Log density there.
        iterations: Evaluations of the density.
        last_step: Largest change of a parameter in the last Newton step: how far the top may still be.
        converged: Whether `last_step` fell below the tolerance.
        curvature: Negative Hessian at `origin`.
        origin: `point`, or within a millilogit of it; elsewhere only where nothing converged. Shape (parameters,).
    """

    point: Vector
    value: float
    iterations: int
    last_step: float
    converged: bool
    curvature: CurvatureT
    origin: Vector


def ascend(
    value_and_gradient: Callable[[Vector], tuple[float, Vector]],
    start: Vector,
    *,
    information: Vector,
    max_iterations: int,
    nearness: float = NEARNESS,
) -> tuple[Vector, int]:
    """L-BFGS from `start` to the neighbourhood of the maximum; returns the point and the number of evaluations.

    Args:
        value_and_gradient: Log density and its gradient.
        start: Shape (parameters,).
        information: A guess at the diagonal of the negative Hessian. In units of its square root the surface is about
            as curved in every direction, which saves evaluations where one parameter rests on a hundred responses and
            another on all of them.
        max_iterations: Cap on iterations.
        nearness: Largest element of the gradient, in those units, at which to stop.
    """
    if not len(start) or not max_iterations:
        return start, 0
    unit = 1 / np.sqrt(information)
    # The first step of L-BFGS has length one: in these units it is a Newton step by the guessed information.
    length = max(float(np.linalg.norm(value_and_gradient(start)[1] * unit)), 1.0)
    unit *= length

    def negative(scaled: Vector) -> tuple[float, Vector]:
        value, gradient = value_and_gradient(scaled * unit)
        return -value, -gradient * unit

    found = minimize(
        negative,
        start / unit,
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "ftol": 1e-5 * nearness,
            "gtol": nearness * length,
            "maxcor": 20,
        },
    )
    return np.asarray(found.x) * unit, int(found.nfev) + 1


def polish(
    value_and_gradient: Callable[[Vector], tuple[float, Vector]],
    curvature: Callable[[Vector], CurvatureT],
    point: Vector,
    *,
    tolerance: float,
    evaluations: int,
    max_steps: int,
    known: tuple[CurvatureT, Vector] | None = None,
    shrinking: float = 10.0,
    far: float = _FAR,
) -> Maximum[CurvatureT]:
    """Newton steps from `point` until a full step is smaller than `tolerance`.

    Convergence is judged by the Newton step, in the units of the parameters, because a small gradient or a small gain
    says little about how far a flat optimum is. Steps share one Hessian for as long as they shrink.

    Args:
        value_and_gradient: Log density and its gradient.
        curvature: Negative Hessian at a point.
        point: Where `ascend` stopped.
        tolerance: Largest last step that counts as converged.
        evaluations: Evaluations made so far.
        max_steps: Cap on Newton steps.
        known: A curvature to begin with, and where it was computed.
        shrinking: Factor by which a step is shorter than the last while they share a Hessian.
        far: Distance of the top from where the curvature was computed, beyond which it is computed anew at the end.
    """
    value, gradient = value_and_gradient(point)
    (hessian, origin), last = known or (curvature(point), point), np.inf
    for _ in range(max_steps):
        step = hessian.solve(gradient)
        length = float(np.max(np.abs(step), initial=0.0))
        stale = float(np.max(np.abs(point - origin), initial=0.0)) > 0
        if stale and length > max(last / shrinking, tolerance):
            hessian, origin, last = curvature(point), point, np.inf
            continue
        accepted = _line_search(value_and_gradient, point, value, step)
        evaluations += 1
        if accepted is None:
            break
        point, value, gradient = accepted
        last = length
        if length < tolerance:
            if float(np.max(np.abs(point - origin), initial=0.0)) > far:
                hessian, origin = curvature(point), point
            return Maximum(point, value, evaluations, length, True, hessian, origin)
    return Maximum(point, value, evaluations, last, False, hessian, origin)


def _line_search(
    value_and_gradient: Callable[[Vector], tuple[float, Vector]], point: Vector, value: float, step: Vector
) -> tuple[Vector, float, Vector] | None:
    """The first of the halved steps that does not lose density beyond rounding, or None."""
    scale = 1.0
    while scale > 1e-4:
        candidate = point + scale * step
        new_value, new_gradient = value_and_gradient(candidate)
        if np.isfinite(new_value) and new_value >= value - 1e-9 * (1 + abs(value)):
            return candidate, new_value, new_gradient
        scale /= 2
    return None
