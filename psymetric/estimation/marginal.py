"""Solving the marginal problem: grid refinement, the mode, and the subjects' posterior on the grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from psymetric.core.complete_sum import CompleteSum
from psymetric.core.optimizers import NEARNESS, Maximum, ascend, polish
from psymetric.estimation.curvature import Information, information, penalty, value_and_gradient
from psymetric.estimation.empirical_bayes import LEAST_SD, estimate_scales, random_mask, scale_mask
from psymetric.estimation.fisher import posterior_spread
from psymetric.estimation.grids import FIRST_HALF_WIDTH, LARGE, first_grid, needed_grid
from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.nested_grid import finer_nested
from psymetric.estimation.problems import MarginalProblem, Problem, marginal_problem, rough_information
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = [
    "Climb",
    "MarginalSolution",
    "climb",
    "is_resolved",
    "resolved_problem",
    "solve_marginal",
]

Vector = NDArray[np.float64]

_NEWTON_STEPS = 60
_COARSE_FROM, _COARSE = LARGE, 0.5
"""From this many responses on the climb is made on a grid of this share of the nodes: a second program, half the time,
and an error that the Newton steps on the full grid mend."""
_SAMPLE, _PER_PARAMETER = 2_500, 25
"""Of subjects who all met the same cells, about this many, and as many for each parameter, or a few more stand for the
others in that climb."""
_NEARNESS, _NEAR = 0.1, 1e-3
"""Gradient, in the units of `ascend`, at which their own top is near enough; and length of the Newton steps with their
curvature, on all subjects, at which those with the curvature of all take over."""
_SHRINKING, _SAMPLE_STEPS = 3.0, 12
"""These steps shrink about tenfold, or a little less; where they do not, the curvature of all is the shorter way."""
_CLOSE = 2.1
"""A climb on a grid this much wider than the last one ends close enough to the top for Newton steps."""
_SADDLE = 1e-9
"""Negative curvature beyond this share of the largest is no rounding."""
_SUSPICIOUS_SD = 0.1
"""Logits: an sd under this is checked for being on its way to zero."""


@final
@dataclass(frozen=True)
class MarginalSolution:
    """The mode of a marginal problem on a grid fine enough for it.

    Attributes:
        problem: The problem, on its last grid. maximum: Mode and curvature, over the active parameters. active: Which
        parameters the mode was sought over: neither the scales of random facets nor a population sd at its
            lower bound.
        at_bound: Sds of random facets at their lower bound.
        log_sd_errors: Standard errors of the logs of the random facets' sds, by name.
        notes: What else a reader must know, as sentences.
    """

    problem: MarginalProblem | MultidimensionalProblem
    maximum: Maximum[Information]
    active: NDArray[np.bool_]
    at_bound: tuple[str, ...] = ()
    log_sd_errors: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> tuple[str, ...]:
        """Sds of the population and of a second latent variable that are at their lower bound."""
        space = self.problem.space
        where, scales = space.slices(), {block.scale for block in space.blocks}
        named = [block.name for block in space.blocks if block.is_scale and block.name not in scales]
        return tuple(name for name in named if not self.active[where[name]].all())

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood at the mode, random facets integrated out by Laplace's method, priors left out."""
        random = random_mask(self.problem.space)[self.active]
        if self.problem.prior or not random.any():
            return self.maximum.value - penalty(self.problem, self.maximum.point)
        block = self.maximum.curvature.schur[np.ix_(random, random)]
        return self.maximum.value - 0.5 * float(np.linalg.slogdet(block)[1])


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
        value, gradient = value_and_gradient(self.problem, self.full(point))
        return float(value), np.asarray(gradient)[self.active]

    def curvature(self, point: Vector) -> Information:
        """Observed information of the active parameters."""
        return information(self.problem, self.full(point), None if self.active.all() else self.active)

    def ascend(self, max_iterations: int, nearness: float = NEARNESS) -> tuple[Vector, int]:
        """Free vector near the mode, and evaluations used."""
        point, evaluations = ascend(
            self.value_and_gradient,
            self.start[self.active],
            information=rough_information(self.problem)[self.active],
            max_iterations=max_iterations,
            nearness=nearness,
        )
        return self.full(point), evaluations

    def polish(
        self,
        tolerance: float,
        evaluations: int,
        max_iterations: int,
        *,
        known: tuple[Information, Vector] | None = None,
    ) -> Maximum[Information]:
        """The mode, from a start in its neighbourhood; `known` is a curvature and the free vector it belongs to."""
        found = polish(
            self.value_and_gradient,
            self.curvature,
            self.start[self.active],
            tolerance=tolerance,
            evaluations=evaluations,
            max_steps=min(_NEWTON_STEPS, max_iterations),
            known=known and (known[0], known[1][self.active]),
        )
        return replace(found, point=self.full(found.point), origin=self.full(found.origin))


def climb(problem: Problem, start: Vector, *, tolerance: float, max_iterations: int) -> Maximum[Information]:
    """The mode over all parameters; not converged where the climb ends at a saddle that has no way up."""
    active = np.ones(len(start), bool)

    def reach(start: Vector) -> Maximum[Information]:
        near, evaluations = Climb(problem, start, active).ascend(max_iterations)
        return Climb(problem, near, active).polish(tolerance, evaluations, max_iterations)

    found = reach(start)
    # Between two mirrored modes a climb that starts in the middle stays there.
    for side in _sides(found) if problem.prior and found.converged else ():
        other = reach(side)
        if other.converged and other.curvature.is_definite:
            return other
        found = replace(found, converged=False)
    return found


def _sides(found: Maximum[Information]) -> list[Vector]:
    """Points on either side of a saddle, where its curvature is most negative; none of a mode."""
    if found.curvature.is_definite or not np.isfinite(found.curvature.schur).all():
        return []
    values, vectors = eigh(found.curvature.schur)
    if values[0] > -_SADDLE * values[-1]:
        return []
    step = np.zeros(len(found.point))
    step[len(found.curvature.diagonal) :] = vectors[:, 0] / np.sqrt(-values[0])
    return [found.point + step, found.point - step]


def solve_marginal(
    model: AbstractMeasurementModel,
    table: Table,
    *,
    prior: bool,
    tolerance: float,
    max_iterations: int,
    start: Vector | None = None,
) -> MarginalSolution:
    """Find the mode, refining the grid until its spacing resolves the narrowest posterior.

    Args:
        model: A response model.
        table: Responses.
        prior: Add the priors (MAP) or not (maximum likelihood; random facets then by empirical Bayes).
        tolerance: Largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations per grid, and on Newton steps.
        start: Free vector to climb from; None is where the priors are centred.
    """
    problem = marginal_problem(model, table, prior=prior, n_nodes=first_grid(table), half_width=FIRST_HALF_WIDTH)
    point = problem.space.start() if start is None else start
    scales = scale_mask(problem.space)
    active = np.ones(len(point), bool) if prior else ~scales
    evaluations, climbed_at = 0, np.inf
    while True:
        if climbed_at > _CLOSE * _spacing(problem):
            where = _coarser(problem) if len(table.response) >= _COARSE_FROM else problem
            is_sample = len(where.multiplicity) < len(problem.multiplicity)
            nearness = _NEARNESS if is_sample else NEARNESS
            point, used = Climb(where, point, active).ascend(max_iterations, nearness)
            evaluations, climbed_at = evaluations + used, _spacing(where)
            if not prior:
                for block in problem.space.blocks:
                    if block.is_scale:
                        point, active = _hold_at_bound(problem, block.name, point, active, max_iterations)
        finer = _finer(problem, point)
        if finer is None:
            break
        problem = finer

    point, used = _near_the_top(problem, point, active)
    evaluations += used

    def reach(start: Vector, known: tuple[Information, Vector] | None = None) -> Maximum[Information]:
        return Climb(problem, start, active).polish(tolerance, evaluations, max_iterations, known=known)

    found = reach(point)
    if prior or not scales.any() or not found.converged:
        return MarginalSolution(problem, found, active)
    estimated = estimate_scales(problem.space, found, active, reach)
    # The log-likelihood holds the determinant over all levels, to which a millilogit in each of them adds up.
    top = estimated.maximum.point
    exact = replace(estimated.maximum, curvature=Climb(problem, top, active).curvature(top[active]), origin=top)
    return MarginalSolution(problem, exact, active, estimated.at_bound, tuple(estimated.log_sd_errors.items()))


def _spacing(problem: MarginalProblem) -> float:
    return 2 * problem.half_width / (len(problem.nodes) - 1)


def _coarser(problem: MarginalProblem) -> MarginalProblem:
    """What the climb is made on: fewer nodes, and a sample of the subjects where it speaks for all of them."""
    coarse = _half(problem)
    return _sample(coarse) or coarse


def _half(problem: MarginalProblem) -> MarginalProblem:
    return problem.with_grid(int(np.ceil(_COARSE * len(problem.nodes))), problem.half_width)


def _sample(problem: MarginalProblem) -> MarginalProblem | None:
    step = len(problem.multiplicity) // max(_SAMPLE, _PER_PARAMETER * problem.space.size)
    if step < 2 or not isinstance(problem.responses, CompleteSum) or problem.background is not None:
        return None
    sample = problem.responses.thinned(step)
    return replace(problem, responses=sample, multiplicity=problem.multiplicity[::step]) if sample else None


def _near_the_top(problem: MarginalProblem, start: Vector, active: NDArray[np.bool_]) -> tuple[Vector, int]:
    """Newton steps with the curvature of a sample, which differs by a per cent and costs a tenth."""
    where = _half(problem)
    sample = _sample(where)
    if sample is None:
        return start, 0
    each = len(problem.multiplicity) / len(sample.multiplicity)
    alike = Climb(replace(sample, multiplicity=each * sample.multiplicity), start, active)
    found = polish(
        Climb(where, start, active).value_and_gradient,
        alike.curvature,
        start[active],
        tolerance=_NEAR,
        evaluations=0,
        max_steps=_SAMPLE_STEPS,
        shrinking=_SHRINKING,
        far=np.inf,
    )
    return alike.full(found.point), found.iterations


def resolved_problem(
    model: AbstractMeasurementModel, table: Table, parameters: Mapping[str, Vector], *, prior: bool
) -> tuple[MarginalProblem, Vector]:
    """The marginal problem on a grid fine enough for known parameters, and those as a free vector."""
    problem = marginal_problem(model, table, prior=prior, n_nodes=first_grid(table), half_width=FIRST_HALF_WIDTH)
    point = problem.space.unconstrain(parameters)
    while (finer := _finer(problem, point)) is not None:
        problem = finer
    return problem, point


def is_resolved(problem: MarginalProblem, point: Vector) -> bool:
    """Whether the grid is fine and wide enough for the subjects' posteriors at a free vector."""
    return _finer(problem, point) is None


def _finer(problem: MarginalProblem, point: Vector) -> MarginalProblem | None:
    """The problem on grids that resolve the posteriors, or None where its own do."""
    needed = _needed_grid(problem, point)
    nested = finer_nested(problem, point)
    if nested is None and needed == (len(problem.nodes), problem.half_width):
        return None
    return replace(problem.with_grid(*needed), nested=nested or problem.nested)


def _hold_at_bound(
    problem: MarginalProblem, name: str, point: Vector, active: NDArray[np.bool_], max_iterations: int
) -> tuple[Vector, NDArray[np.bool_]]:
    """Hold an sd at its lower bound where the likelihood falls from there, else climb from a small one.

    On the log scale such a maximum lies at minus infinity, where Newton steps would follow it for ever; and a long
    step of the climb may end on that plateau though the likelihood has its maximum elsewhere.
    """
    place = problem.space.slices()[name]
    is_single = place.stop - place.start == 1  # neither known nor one for each group
    if not is_single or not active[place].all() or float(point[place][0]) > np.log(_SUSPICIOUS_SD):
        return point, active
    held, start = active.copy(), point.copy()
    held[place] = False
    start[place] = np.log(LEAST_SD)
    near, _ = Climb(problem, start, held).ascend(max_iterations)
    gradient = np.asarray(value_and_gradient(problem, near)[1])
    if float(gradient[place][0]) <= 0:
        return near, held
    near[place] = np.log(_SUSPICIOUS_SD)
    return Climb(problem, near, active).ascend(max_iterations)[0], active


def _needed_grid(problem: MarginalProblem, point: Vector) -> tuple[int, float]:
    return needed_grid(np.asarray(problem.nodes), *posterior_spread(problem, point))
