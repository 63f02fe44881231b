"""The sds of random facets under marginal maximum likelihood, by empirical Bayes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.curvature import Information

__all__ = ["LEAST_SD", "Scales", "estimate_scales", "random_mask", "scale_mask"]

Vector = NDArray[np.float64]
Polish = Callable[[Vector, tuple[Information, Vector]], Maximum[Information]]
"""From a free vector, and a curvature with the free vector that it belongs to."""

LEAST_SD = 0.01
"""Logits below which the sd of a population or of a random facet is not distinguished from zero."""
_TOLERANCE, _ROUNDS, _LONGEST_STEP = 1e-5, 100, 2.0
_SHRINKING = (-1.5, -0.001)
"""Slopes of the rule's moves in the log sd at which a secant step is taken. Near zero, where an sd leaves the
likelihood as it is, the moves hardly shrink and the rule alone would take thousands of rounds."""
_DIFFERENCE = 0.05
"""Step in log sd of the central differences behind the standard errors."""


@final
@dataclass(frozen=True)
class Scales:
    """Estimated sds of random facets.

    Attributes:
        maximum: Mode and curvature of everything else at the estimated sds.
        log_sd_errors: Standard error of each log sd by parameter name; NaN where the sd is at its lower bound.
        at_bound: Names of the sds at the lower bound.
    """

    maximum: Maximum[Information]
    log_sd_errors: dict[str, float]
    at_bound: tuple[str, ...]


def scale_mask(space: ParameterSpace) -> NDArray[np.bool_]:
    """Positions of the scales of random facets in the free vector."""
    mask, where = np.zeros(space.size, bool), space.slices()
    for block in space.blocks:
        if block.scale is not None:
            mask[where[block.scale]] = True
    return mask


def random_mask(space: ParameterSpace) -> NDArray[np.bool_]:
    """Positions of the standardised levels of random facets in the free vector."""
    mask, where = np.zeros(space.size, bool), space.slices()
    for block in space.blocks:
        mask[where[block.name]] = block.scale is not None
    return mask


def estimate_scales(
    space: ParameterSpace, found: Maximum[Information], active: NDArray[np.bool_], polish: Polish
) -> Scales:
    """Maximise Laplace's approximation to the likelihood of the sds.

    At its maximum the levels' squared modes and posterior variances add up to what N(0, 1) expects:
    Σz² + tr V = levels. MacKay's fixed point σ² ← σ² Σz² / (levels − tr V) solves this in a few rounds where EM needs
    hundreds; both stop at the same place.

    Args:
        space: The parameter space.
        found: Mode at the starting sds.
        active: Parameters that the mode is sought over.
        polish: Mode from a free vector whose scales are held, by way of a curvature near there.

    Source: MacKay (1992), Neural Computation 4, 415-447; Breslow & Clayton (1993), JASA 88, 9-25, section 2.3.
    """
    where = space.slices()
    names = [block.scale for block in space.blocks if block.scale is not None]
    settled, last, taken = False, dict[str, float](), dict[str, float]()
    for _ in range(_ROUNDS):
        variance = _variances(space, found, active)
        moves = {
            block.name: _move(_moments(where[block.name], found, variance), float(found.point[where[block.scale]][0]))
            for block in space.blocks
            if block.scale is not None
        }
        settled = max(map(abs, moves.values())) < _TOLERANCE
        if settled:
            break
        ahead = {name: _secant(move, last[name], taken[name]) if last else move for name, move in moves.items()}
        last, taken = moves, ahead
        found = polish(*_moved(space, found, active, taken))
    found = replace(found, converged=found.converged and settled)
    at_bound = tuple(name for name in names if float(found.point[where[name]][0]) <= np.log(LEAST_SD) + 1e-9)
    return Scales(found, _errors(space, found, active, polish, at_bound), at_bound)


def _move(moments: tuple[float, float, int], log_sd: float) -> float:
    """What MacKay's rule adds to a log sd."""
    squares, trace, levels = moments
    move = 0.5 * float(np.log(max(squares, 1e-300) / max(levels - trace, 1e-300)))
    return max(float(np.clip(move, -_LONGEST_STEP, _LONGEST_STEP)), float(np.log(LEAST_SD)) - log_sd)


def _secant(move: float, last: float, taken: float) -> float:
    """Where the rule's moves come to an end if they shrink as they just did, and the move itself where they do not."""
    slope = (move - last) / taken if taken else -1.0
    ahead = -move / slope if _SHRINKING[0] < slope < _SHRINKING[1] else move
    return float(np.clip(ahead, -_LONGEST_STEP, _LONGEST_STEP))


def _moved(
    space: ParameterSpace, found: Maximum[Information], active: NDArray[np.bool_], moves: Mapping[str, float]
) -> tuple[Vector, tuple[Information, Vector]]:
    """Other log sds with the levels where they are, and the curvature there.

    The likelihood has not moved, and its curvature in the standardised levels changes with their unit; that of their
    standard normal distribution does not.
    """
    where = space.slices()
    point, origin, unit = found.point.copy(), found.origin.copy(), np.ones(space.size)
    for block in space.blocks:
        if block.scale is not None and block.name in moves:
            unit[where[block.name]] = np.exp(moves[block.name])
            for free in (point, origin):
                free[where[block.scale]] += moves[block.name]
    own, unit_of = np.diag(random_mask(space)[active].astype(float)), unit[active]
    schur = (found.curvature.schur - own) * np.outer(unit_of, unit_of) + own
    return point / unit, (replace(found.curvature, schur=schur), origin / unit)


def _variances(space: ParameterSpace, found: Maximum[Information], active: NDArray[np.bool_]) -> Vector:
    """Posterior variances of the standardised levels of all random facets together, zero elsewhere, shape (size,).

    Together, because facets that are nested, such as families and their members, leave each other uncertain.
    """
    random = random_mask(space)
    rows = (np.cumsum(active) - 1)[random]
    variances = np.zeros(space.size)
    variances[random] = np.diag(np.linalg.inv(found.curvature.schur[np.ix_(rows, rows)]))
    return variances


def _moments(levels: slice, found: Maximum[Information], variance: Vector) -> tuple[float, float, int]:
    """Sum of squared modes and of posterior variances of the standardised levels, and their number."""
    return float(np.sum(found.point[levels] ** 2)), float(np.sum(variance[levels])), levels.stop - levels.start


def _errors(
    space: ParameterSpace,
    found: Maximum[Information],
    active: NDArray[np.bool_],
    polish: Polish,
    at_bound: tuple[str, ...],
) -> dict[str, float]:
    """Standard errors of the log sds: the gradient Σz² + tr V − levels, differenced over the profiled modes."""
    where = space.slices()
    blocks = [block for block in space.blocks if block.scale is not None]
    inside = [block for block in blocks if block.scale not in at_bound]
    errors = {str(block.scale): float("nan") for block in blocks}
    if not inside or not found.converged:
        return errors

    def gradient(at: Maximum[Information]) -> Vector:
        variance = _variances(space, at, active)
        moments = [_moments(where[block.name], at, variance) for block in inside]
        return np.array([squares + trace - levels for squares, trace, levels in moments])

    information = np.zeros((len(inside), len(inside)))
    for column, block in enumerate(inside):
        ends = [
            gradient(polish(*_moved(space, found, active, {block.name: side}))) for side in (_DIFFERENCE, -_DIFFERENCE)
        ]
        information[:, column] = (ends[1] - ends[0]) / (2 * _DIFFERENCE)
    variances = np.diag(np.linalg.inv((information + information.T) / 2))
    for block, variance in zip(inside, variances, strict=True):
        errors[str(block.scale)] = float(np.sqrt(variance)) if variance > 0 else float("nan")
    return errors
