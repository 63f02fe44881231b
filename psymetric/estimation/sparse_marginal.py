"""Marginal maximum likelihood for facets of many levels: the sum-score problem climbed with sparse curvature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum, ascend, polish
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.assemble import LARGEST_COVARIANCE, Uncertainty, constrained_uncertainty
from psymetric.estimation.bordered import BorderedInformation, Inverse
from psymetric.estimation.grids import FIRST_HALF_WIDTH, first_grid, needed_grid
from psymetric.estimation.problems import guessed_information
from psymetric.estimation.sum_score_information import sum_score_information
from psymetric.estimation.sum_score_layout import Layout
from psymetric.estimation.sum_scores import SumScoreProblem, posterior_spread, sum_score_problem, value_and_gradient
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.space import POPULATION_SD

__all__ = ["SparseSolution", "bordered_uncertainty", "many_levels", "solve_sum_scores"]

Vector = NDArray[np.float64]
Values = dict[str, Vector]

_MANY = 300
"""Levels from which on sparse curvature is cheaper than dense."""
_MOST_OTHERS = 300
_COARSE = 0.5
_NEWTON_STEPS = 60
_LEAST_SD = 0.1
"""Logits: a population sd under this may be on its way to zero, which `solve_marginal` knows how to handle."""


@final
@dataclass(frozen=True)
class SparseSolution:
    """The mode, on a grid fine enough for it."""

    problem: SumScoreProblem
    many: str
    maximum: Maximum[BorderedInformation]


def many_levels(model: AbstractMeasurementModel, table: Table) -> str | None:
    """The facet whose levels are many and nothing but centred locations, or None.

    The others are few, and the subjects come from one distribution.
    """
    if any(spec.random and spec.name != "ability" for spec in model.parameters) or model.population.columns:
        return None
    facets = [
        spec.name
        for spec in model.parameters
        if spec.name in model.facets
        and spec.identification == "sum_to_zero"
        and not spec.anchors
        and not spec.covariates
        and len(table.levels[spec.name]) >= _MANY
    ]
    if len(facets) != 1 or any(spec.name != facets[0] and facets[0] in spec.axes for spec in model.parameters):
        return None
    others = [
        len(table.categories) if axis == "step" else len(table.levels[axis])
        for spec in model.parameters
        for axis in spec.axes
        if axis not in ("subject", facets[0])
    ]
    return facets[0] if sum(others) <= _MOST_OTHERS else None


def solve_sum_scores(
    model: AbstractMeasurementModel, table: Table, *, tolerance: float, max_iterations: int
) -> SparseSolution | None:
    """Find the mode, refining the grid; None for designs and models that need the general way.

    Args:
        model: A response model.
        table: Responses.
        tolerance: Largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations per grid, and on Newton steps.
    """
    many = many_levels(model, table)
    if many is None:
        return None
    n_nodes = first_grid(table)
    problem = sum_score_problem(model, table, many=many, n_nodes=n_nodes, half_width=FIRST_HALF_WIDTH)
    if problem is None:
        return None
    coarse = problem.with_grid(int(np.ceil(_COARSE * n_nodes)), FIRST_HALF_WIDTH)
    guess = guessed_information(
        problem.space, float(table.weight.sum()), len(table.levels["subject"]), len(table.categories)
    )
    point, evaluations = ascend(
        _density(coarse), problem.space.start(), information=guess, max_iterations=max_iterations
    )
    if not float(point[problem.space.slices()[POPULATION_SD]][0]) > np.log(_LEAST_SD):
        return None
    while True:
        mean, sd, at_end = (np.asarray(part) for part in posterior_spread(problem, jax.device_put(point)))
        needed = needed_grid(np.asarray(problem.nodes), mean, sd, float(at_end))
        if needed == (len(problem.nodes), problem.half_width):
            break
        problem = problem.with_grid(*needed)
    layout = Layout.of(problem.space, problem.cells, many)
    try:
        found = polish(
            _density(problem),
            lambda at: sum_score_information(problem, layout, at),
            point,
            tolerance=tolerance,
            evaluations=evaluations,
            max_steps=min(_NEWTON_STEPS, max_iterations),
        )
    except np.linalg.LinAlgError:
        return None
    return SparseSolution(problem, many, found)


def _density(problem: SumScoreProblem) -> Callable[[Vector], tuple[float, Vector]]:
    def at(point: Vector) -> tuple[float, Vector]:
        value, gradient = value_and_gradient(problem, jax.device_put(point))
        return float(value), np.asarray(gradient)

    return at


def bordered_uncertainty(
    space: ParameterSpace, many: str, point: Vector, place: slice, inverse: Inverse
) -> Uncertainty:
    """Standard errors and covariances of the constrained arrays.

    Args:
        space: Without incidental parameters.
        many: The block of many levels.
        point: The free vector.
        place: Where it holds the levels.
        inverse: Of the information there.
    """
    others = ParameterSpace(tuple(block for block in space.blocks if block.name != many))
    free = np.delete(point, np.arange(place.start, place.stop))
    known = constrained_uncertainty(others, free, inverse.few, np.arange(others.size))
    known.standard_errors[many] = np.sqrt(np.maximum(inverse.level_variances(), 0.0))
    if len(known.standard_errors[many]) <= LARGEST_COVARIANCE:
        known.covariances[many] = inverse.level_covariance()
    # Joint factors would leave out how the levels vary with the others.
    return replace(known, factors={})
