"""Solving the marginal problem: grid refinement, the mode, and the subjects' posterior on the grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum, ascend, polish
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.curvature import Information, information, log_likelihood, value_and_gradient
from psymetric.estimation.problems import MarginalProblem, Problem, marginal_problem
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["Climb", "MarginalSolution", "climb", "solve_marginal"]

Vector = NDArray[np.float64]

_GRIDS = (61, 121, 241, 481, 961, 1921, 3841)
"""Node counts to choose from: few, so that compiled programs are shared."""
_FIRST_HALF_WIDTH = 6.0
_SPACING = 0.8
"""Largest node spacing, in sds of the narrowest posterior: the rectangle rule then errs by about 4e-14."""
_REACH = 5.0
"""The grid must extend this many posterior sds beyond the outermost posterior mean."""
_RANDOM_TOLERANCE, _RANDOM_ROUNDS = 1e-4, 200


@final
@dataclass(frozen=True)
class MarginalSolution:
    """The mode of a marginal problem on a grid fine enough for it.

    Attributes:
        problem: The problem, on its last grid.
        maximum: Mode and curvature, over the active parameters.
        active: Which parameters the mode was sought over; the scales of random facets are not among them.
    """

    problem: MarginalProblem
    maximum: Maximum[Information]
    active: NDArray[np.bool_]

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood at the mode, random facets integrated out by Laplace's method."""
        point = jnp.asarray(self.maximum.point)
        value = float(log_likelihood(self.problem, point))
        random = _random_mask(self.problem.space)[self.active]
        if not random.any():
            return value
        block = self.maximum.curvature.schur[np.ix_(random, random)]
        penalty = float(self.problem.space.random_log_density(point))
        return value + penalty - 0.5 * float(np.linalg.slogdet(block)[1])


@jax.jit
def _posterior_moments(problem: MarginalProblem, free: Array) -> tuple[Array, Array]:
    """Posterior means and sds of the standardised subjects, each of shape (subjects,)."""
    log_joint = problem.log_joint(free)
    posterior = jnp.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    mean = posterior @ problem.nodes
    return mean, jnp.sqrt(jnp.maximum(posterior @ problem.nodes**2 - mean**2, 0.0))


@final
@dataclass(frozen=True)
class Climb:
    """A problem restricted to its active parameters, the others held at `start`."""

    problem: Problem
    start: Vector
    active: NDArray[np.bool_]

    def full(self, point: Vector) -> Vector:
        """The free vector with the active parameters at `point`."""
        whole = self.start.copy()
        whole[self.active] = point
        return whole

    def value_and_gradient(self, point: Vector) -> tuple[float, Vector]:
        """Log density and its gradient in the active parameters."""
        value, gradient = value_and_gradient(self.problem, jnp.asarray(self.full(point)))
        return float(value), np.asarray(gradient)[self.active]

    def curvature(self, point: Vector) -> Information:
        """Observed information of the active parameters."""
        return information(self.problem, self.full(point), None if self.active.all() else self.active)

    def ascend(self, max_iterations: int) -> tuple[Vector, int]:
        """Free vector near the mode, and evaluations used."""
        point, evaluations = ascend(self.value_and_gradient, self.start[self.active], max_iterations=max_iterations)
        return self.full(point), evaluations

    def polish(self, tolerance: float, evaluations: int) -> Maximum[Information]:
        """The mode, from a start in its neighbourhood."""
        begin = self.start[self.active]
        found = polish(self.value_and_gradient, self.curvature, begin, tolerance=tolerance, evaluations=evaluations)
        return replace(found, point=self.full(found.point))


def climb(problem: Problem, start: Vector, *, tolerance: float, max_iterations: int) -> Maximum[Information]:
    """The mode over all parameters."""
    active = np.ones(len(start), bool)
    near, evaluations = Climb(problem, start, active).ascend(max_iterations)
    return Climb(problem, near, active).polish(tolerance, evaluations)


def solve_marginal(
    model: AbstractMeasurementModel, table: Table, *, prior: bool, tolerance: float, max_iterations: int
) -> MarginalSolution:
    """Find the mode, refining the grid until its spacing resolves the narrowest posterior.

    Args:
        model: A response model.
        table: Responses.
        prior: Add the priors (MAP) or not (maximum likelihood; random facets then by empirical Bayes).
        tolerance: Largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations per grid.
    """
    problem = marginal_problem(model, table, prior=prior, n_nodes=_first_grid(table), half_width=_FIRST_HALF_WIDTH)
    point = np.zeros(problem.space.size)
    scales = _scale_mask(problem.space)
    active = np.ones(len(point), bool) if prior else ~scales
    evaluations, settled = 0, False
    while not settled:
        point, used = Climb(problem, point, active).ascend(max_iterations)
        evaluations += used
        n_nodes, half_width = _needed_grid(problem, point)
        settled = n_nodes == len(problem.nodes) and half_width == float(problem.nodes[-1])
        if not settled:
            problem = problem.with_grid(n_nodes, half_width)
    found = Climb(problem, point, active).polish(tolerance, evaluations)
    if scales.any() and not prior:
        found = _estimate_scales(problem, found, active, tolerance=tolerance)
    return MarginalSolution(problem, found, active)


def _first_grid(table: Table) -> int:
    """Nodes that would resolve the best-measured subject if θ had variance 2: saves compiling for a grid soon left."""
    n_most = float(np.bincount(table.codes["subject"], weights=table.weight).max())
    per_response = (len(table.categories) ** 2 - 1) / 24
    return _grid_for(2 * _FIRST_HALF_WIDTH / _SPACING * np.sqrt(1 + 2 * n_most * per_response))


def _grid_for(n_nodes: float) -> int:
    return next((grid for grid in _GRIDS if grid > n_nodes), _GRIDS[-1])


def _needed_grid(problem: MarginalProblem, point: Vector) -> tuple[int, float]:
    mean, sd = (np.asarray(value) for value in _posterior_moments(problem, jnp.asarray(point)))
    n_nodes, spacing = len(problem.nodes), float(problem.nodes[1] - problem.nodes[0])
    half_width = max(float(problem.nodes[-1]), float(np.ceil(np.max(np.abs(mean) + _REACH * sd))))
    # A posterior narrower than the spacing hides in one node, and its sd reads as nearly zero: refine step by step.
    narrowest = max(float(sd.min()), spacing / 4)
    if narrowest * _SPACING >= spacing and half_width <= float(problem.nodes[-1]):
        return n_nodes, half_width
    return max(n_nodes, _grid_for(2 * half_width / (_SPACING * narrowest))), half_width


def _scale_mask(space: ParameterSpace) -> NDArray[np.bool_]:
    """Positions of the scales of random facets in the free vector."""
    mask, where = np.zeros(space.size, bool), space.slices()
    for block in space.blocks:
        if block.scale is not None:
            mask[where[block.scale]] = True
    return mask


def _random_mask(space: ParameterSpace) -> NDArray[np.bool_]:
    mask, where = np.zeros(space.size, bool), space.slices()
    for block in space.blocks:
        mask[where[block.name]] = block.scale is not None
    return mask


def _estimate_scales(
    problem: MarginalProblem, found: Maximum[Information], active: NDArray[np.bool_], *, tolerance: float
) -> Maximum[Information]:
    """Empirical Bayes: EM on the sds of random facets, the levels' posterior taken as normal (Laplace).

    σ² becomes the mean of squared modes plus their posterior variances; sds below a hundredth of a logit stay there.
    """
    where, place = problem.space.slices(), np.cumsum(active) - 1
    for _ in range(_RANDOM_ROUNDS):
        point, change = found.point.copy(), 0.0
        for block in problem.space.blocks:
            if block.scale is None:
                continue
            levels, scale = where[block.name], where[block.scale]
            rows = place[levels]
            spread = np.trace(np.linalg.inv(found.curvature.schur[np.ix_(rows, rows)]))
            old = float(point[scale][0])
            new = max(old + 0.5 * float(np.log((np.sum(point[levels] ** 2) + spread) / len(rows))), np.log(0.01))
            change = max(change, abs(new - old))
            point[levels] /= np.exp(new - old)
            point[scale] = new
        if change < _RANDOM_TOLERANCE:
            return found
        found = Climb(problem, point, active).polish(tolerance, found.iterations)
    return replace(found, converged=False)
