"""The mode with the subjects integrated out, by whichever way of integrating a model needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from psymetric.estimation.marginal import Climb, MarginalSolution, solve_marginal
from psymetric.estimation.multidimensional import MultidimensionalProblem, multidimensional_problem, placed
from psymetric.estimation.window_places import COARSE, accuracy
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.space import CORRELATION, has_dimensions

__all__ = ["placed_problem", "solve_integrated"]

Vector = NDArray[np.float64]

_ROUNDS = 8
_COARSE_FROM = 500_000
"""From this many nodes under all subjects on, the first climbs are made on coarse windows."""
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
    """Climb, move the windows to where the posteriors then are, and climb again until they stay; then Newton steps."""
    bare = multidimensional_problem(model, table, prior=prior)
    point = bare.space.start() if start is None else start
    active, evaluations = np.ones(len(point), bool), 0
    fine, problem = accuracy(bare.integral.n_dimensions), bare
    size = bare.integral.n_subjects * fine.n_nodes**bare.integral.n_dimensions
    for wanted, rounds in ((COARSE, 2), (fine, _ROUNDS)) if size >= _COARSE_FROM else ((fine, _ROUNDS),):
        problem = bare
        for _ in range(rounds):
            moved = placed(problem, point, wanted)
            if moved is problem:
                break
            problem = moved
            point, used = Climb(problem, point, active).ascend(max_iterations)
            point, active = _held(problem, point, active)
            evaluations += used
    found = Climb(problem, point, active).polish(tolerance, evaluations, max_iterations)
    return MarginalSolution(problem, found, active, notes=_notes(problem, active))


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


def _notes(problem: MultidimensionalProblem, active: NDArray[np.bool_]) -> tuple[str, ...]:
    place = problem.space.slices()[CORRELATION]
    notes: list[str] = []
    if n := int(np.count_nonzero(~active[place])):
        notes.append(
            f"{n} partial correlations of dimensions are held at ±{_LARGEST}, as the likelihood still rises towards "
            "±1: the items do not tell these dimensions apart, and one may do. They have no standard error"
        )
    return tuple(notes)
