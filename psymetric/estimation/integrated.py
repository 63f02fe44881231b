"""The mode with the subjects integrated out, by whichever way of integrating a model needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from psymetric.core.parameters import constrain
from psymetric.data.coding import Label
from psymetric.data.messages import listing
from psymetric.estimation.identification import check_dimensions
from psymetric.estimation.marginal import Climb, MarginalSolution, solve_marginal
from psymetric.estimation.multidimensional import MultidimensionalProblem, multidimensional_problem, placed
from psymetric.estimation.window_places import COARSE, accuracy
from psymetric.models.base import DIMENSION, AbstractMeasurementModel, Table
from psymetric.models.space import CORRELATION, has_dimensions

__all__ = ["placed_problem", "solve_integrated"]

Vector = NDArray[np.float64]

_COARSE_ROUNDS, _ROUNDS = 1, 16
_NEAR, _STEPS = 0.02, 3
"""Length of the Newton step at which windows are looked at again, and the most steps before that."""
_VANISHED = 1e-2
"""Logits: no sd of a dimension is ever as small but one that runs to zero."""
_LARGEST = 0.99
"""Partial correlation at which two dimensions count as one, and are held."""


def solve_integrated(
    model: AbstractMeasurementModel,
    table: Table,
    *,
    prior: bool,
    tolerance: float,
    max_iterations: int,
    start: Vector | None = None,
) -> MarginalSolution:
    """As `solve_marginal`, which see, for models of one ability or several."""
    solve = _solve_dimensions if has_dimensions(model) else solve_marginal
    return solve(model, table, prior=prior, tolerance=tolerance, max_iterations=max_iterations, start=start)


def _solve_dimensions(
    model: AbstractMeasurementModel,
    table: Table,
    *,
    prior: bool,
    tolerance: float,
    max_iterations: int,
    start: Vector | None = None,
) -> MarginalSolution:
    """Climb on coarse windows; then Newton steps on fine ones, which follow the posteriors until they stay."""
    bare = multidimensional_problem(model, table, prior=prior)
    point = bare.space.start() if start is None else start
    active, evaluations = np.ones(len(point), bool), 0
    fine, problem = accuracy(bare.integral.n_dimensions), bare
    for wanted, rounds in ((COARSE, _COARSE_ROUNDS), (fine, _ROUNDS)):
        problem = bare
        for _ in range(rounds):
            moved = placed(problem, point, wanted)
            if moved is problem:
                break
            problem = moved
            near = None if wanted is COARSE else Climb(problem, point, active).polish(_NEAR, 0, _STEPS)
            if near is not None and near.curvature.is_definite and np.isfinite(near.last_step):
                point, used = near.point, near.iterations
            else:
                point, used = Climb(problem, point, active).ascend(max_iterations)
            evaluations += used
            if not prior:
                check_dimensions(model, table, constrain(problem.space, point), least=_VANISHED)
                point, active = _held(problem, point, active)
    found = Climb(problem, point, active).polish(tolerance, evaluations, max_iterations)
    return MarginalSolution(
        problem, found, active, notes=_notes(model, table, active[problem.space.slices()[CORRELATION]])
    )


def placed_problem(
    model: AbstractMeasurementModel, table: Table, parameters: Mapping[str, Vector]
) -> MultidimensionalProblem:
    """The problem of a model of several dimensions, windows under the posteriors at known parameters."""
    bare = multidimensional_problem(model, table, prior=False)
    return placed(bare, bare.space.unconstrain(parameters), accuracy(bare.integral.n_dimensions))


def _held(
    problem: MultidimensionalProblem, point: Vector, active: NDArray[np.bool_]
) -> tuple[Vector, NDArray[np.bool_]]:
    """Hold partial correlations that run off to ±1, where Newton steps would follow them for ever."""
    place = problem.space.slices()[CORRELATION]
    off = np.zeros(len(point), bool)
    off[place] = np.abs(np.tanh(point[place])) >= _LARGEST
    held = np.clip(point, -np.arctanh(_LARGEST), np.arctanh(_LARGEST))
    return np.where(off, held, point), active & ~off


def _notes(model: AbstractMeasurementModel, table: Table, active: NDArray[np.bool_]) -> tuple[str, ...]:
    names = model.levels(table)[DIMENSION]
    pairs = zip(*(places[~active].tolist() for places in np.tril_indices(len(names), -1)), strict=True)
    return tuple(
        f"the {_correlation(names, i, j)} is held at ±{_LARGEST}, as the likelihood still rises towards ±1: the items "
        "do not tell these dimensions apart. It has no standard error. Join the two in one dimension, or use MAP(), "
        "whose prior holds it"
        for i, j in pairs
    )


def _correlation(names: tuple[Label, ...], i: int, j: int) -> str:
    """What the free number of the pair i > j is, in words."""
    given = f" given {listing(names[:j])}" if j else ""
    return f"{'partial ' if j else ''}correlation of dimensions {names[j]!r} and {names[i]!r}{given}"
