"""Joint maximum likelihood for facets of many levels: the subjects' diagonal eliminated, the judges' block sparse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array

from psymetric.core.gather_sum import GatherSum
from psymetric.core.optimizers import Maximum, ascend, polish
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.assemble import Uncertainty
from psymetric.estimation.bordered import BorderedInformation, centred_contract, centred_extend
from psymetric.estimation.cells import distinct_cells
from psymetric.estimation.problems import guessed_information
from psymetric.estimation.sparse_marginal import bordered_uncertainty, many_levels
from psymetric.estimation.sum_score_layout import Layout, loads
from psymetric.estimation.sum_scores import is_linear, log_odds
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import parameter_space

__all__ = [
    "JointInformation",
    "JointResponses",
    "SparseJointSolution",
    "joint_information",
    "joint_responses",
    "joint_uncertainty",
    "solve_joint",
    "value_and_gradient",
]

Vector = NDArray[np.float64]
Index = NDArray[np.int64]

_ROWS = 100_000
"""Responses in memory at a time, with all their products."""
_CLIMB = 20
"""Quasi-Newton iterations after which Newton steps, which the concave likelihood always allows, are faster."""
_NEWTON_STEPS = 60


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["space", "cells", "by_cell", "subject", "cell", "weight", "totals", "counts"],
    meta_fields=["model"],
)
@dataclass(frozen=True)
class JointResponses:
    """Responses by subject and cell, in which log-odds are k θ + b_k with b linear in the parameters.

    Attributes:
        cells: Codes of the distinct facet-level combinations. by_cell: Adds responses by cell.
        subject, cell: Of every response, sorted by subject. weight: Of every one.
        totals: Sum scores, shape (subjects,).
        counts: Responses in every category of every cell, shape (cells, K).
    """

    model: AbstractMeasurementModel
    space: ParameterSpace
    cells: dict[str, Array]
    by_cell: GatherSum
    subject: Array
    cell: Array
    weight: Array
    totals: Array
    counts: Array

    def odds(self, params: dict[str, Array]) -> Array:
        """Log-odds of the categories at an ability of zero, shape (cells, K)."""
        return log_odds(self.model, params, self.cells, self.counts.shape[1])

    def probabilities(self, odds: Array, ability: Array) -> tuple[Array, Array]:
        """Normalising sums over the largest weight of the cell, shape (responses,), and probabilities, (responses, K).

        Weights are products of a number of the cell and one of the subject: few exponentials serve all responses.
        """
        weights = jnp.exp(odds - jnp.max(odds, axis=1, keepdims=True))
        powers = jnp.exp(ability[:, None] * jnp.arange(odds.shape[1]))
        products = weights[self.cell] * powers[self.subject]
        norm = jnp.sum(products, axis=1)
        return norm, products / norm[:, None]


@jax.jit
def value_and_gradient(problem: JointResponses, free: Array) -> tuple[Array, Array]:
    """Joint log-likelihood and its gradient."""
    params, pullback = jax.vjp(problem.space.constrain, free)
    odds, back_to_params = jax.vjp(lambda at: problem.odds(at), params)
    norm, probability = problem.probabilities(odds, params[ABILITY])
    value = jnp.vdot(problem.counts, odds) + problem.totals @ params[ABILITY] - problem.weight @ jnp.log(norm)
    value = value - jnp.vdot(jnp.sum(problem.counts, axis=1), jnp.max(odds, axis=1))
    weighted = problem.weight[:, None] * probability
    along = back_to_params(problem.counts - problem.by_cell(weighted))[0]
    scored = weighted @ jnp.arange(odds.shape[1])
    along[ABILITY] = problem.totals - jax.ops.segment_sum(
        scored, problem.subject, len(problem.totals), indices_are_sorted=True
    )
    return value, pullback(along)[0]


@jax.jit
def _probabilities(problem: JointResponses, free: Array) -> Array:
    params = problem.space.constrain(free)
    return problem.probabilities(problem.odds(params), params[ABILITY])[1]


@final
@dataclass(frozen=True)
class JointInformation:
    """Negative Hessian: subjects, which come first in the free vector, on a diagonal, eliminated from the rest.

    Attributes:
        diagonal: Of the subjects, shape (subjects,).
        levels: What joins them with the levels, shape (subjects, levels).
        others: What joins them with the other free parameters, shape (subjects, others).
        rest: Information about the rest with the subjects profiled out.
    """

    diagonal: Vector
    levels: csr_array
    others: Vector
    rest: BorderedInformation

    def solve(self, gradient: Vector) -> Vector:
        """Newton step (−H)⁻¹ gradient."""
        n_subjects, place = len(self.diagonal), self.rest.place
        own = gradient[:n_subjects] / self.diagonal
        levels, others = self.levels.T @ own, self.others.T @ own
        carried = np.concatenate(
            [others[: place.start], centred_contract(levels - levels.mean()), others[place.start :]]
        )
        rest = self.rest.solve(gradient[n_subjects:] - carried)
        joined = self.levels @ centred_extend(rest[place]) + self.others @ np.delete(
            rest, np.arange(place.start, place.stop)
        )
        return np.concatenate([own - joined / self.diagonal, rest])

    @property
    def is_definite(self) -> bool:
        """Whether it is the information of a maximum."""
        return self.rest.is_definite

    def null_directions(self) -> Vector:
        """As `BorderedInformation.null_directions`, of the parameters that are no subject's."""
        return self.rest.null_directions()


@final
@dataclass(frozen=True)
class SparseJointSolution:
    """The mode over subjects and all other parameters."""

    space: ParameterSpace
    many: str
    maximum: Maximum[JointInformation]


def solve_joint(
    model: AbstractMeasurementModel, table: Table, *, tolerance: float, max_iterations: int
) -> SparseJointSolution | None:
    """Find the joint mode; None for designs and models that need the general way."""
    many = many_levels(model, table)
    if many is None:
        return None
    problem = joint_responses(model, table)
    if problem is None:
        return None

    def density(point: Vector) -> tuple[float, Vector]:
        value, gradient = value_and_gradient(problem, jax.device_put(point))
        return float(value), np.asarray(gradient)

    guess = guessed_information(problem.space, float(table.weight.sum()), 1, len(table.categories))
    point, evaluations = ascend(
        density, problem.space.start(), information=guess, max_iterations=min(_CLIMB, max_iterations)
    )
    try:
        found = polish(
            density,
            lambda at: joint_information(problem, many, at),
            point,
            tolerance=tolerance,
            evaluations=evaluations,
            max_steps=min(_NEWTON_STEPS, max_iterations),
        )
    except np.linalg.LinAlgError:
        return None
    return SparseJointSolution(problem.space, many, found)


def joint_uncertainty(found: SparseJointSolution) -> Uncertainty:
    """Standard errors of all arrays and covariances of those but the subjects'."""
    curvature, n_subjects = found.maximum.curvature, len(found.maximum.curvature.diagonal)
    structure = ParameterSpace(tuple(block for block in found.space.blocks if block.name != ABILITY))
    inverse = curvature.rest.inverse()
    point = found.maximum.point[n_subjects:]
    known = bordered_uncertainty(structure, found.many, point, curvature.rest.place, inverse)
    each = 1 / curvature.diagonal
    carried = inverse.variances(csr_array(diags_array(each) @ curvature.levels), each[:, None] * curvature.others)
    known.standard_errors[ABILITY] = np.sqrt(each + carried)
    return known


def joint_responses(model: AbstractMeasurementModel, table: Table) -> JointResponses | None:
    """Set up the problem; None where log-odds are not linear."""
    codes, cell = distinct_cells(model, table)
    n_cells, n_categories = len(next(iter(codes.values()))), len(table.categories)
    space = parameter_space(model, table, ability="free")
    cells = jax.device_put(dict(codes))
    if not is_linear(model, space, cells, n_categories):
        return None
    n_subjects, order = len(table.levels["subject"]), np.argsort(table.codes["subject"], kind="stable")
    cell, n_rows = cell[order], len(order)
    by_cell = csr_array((np.ones(n_rows), (cell, np.arange(n_rows))), shape=(n_cells, n_rows))
    counts = np.bincount(cell * n_categories + table.response[order], table.weight[order], n_cells * n_categories)
    return JointResponses(
        model=model,
        space=space,
        cells=cells,
        by_cell=GatherSum.build(by_cell),
        subject=jax.device_put(table.codes["subject"][order]),
        cell=jax.device_put(cell),
        weight=jax.device_put(table.weight[order]),
        totals=jax.device_put(np.bincount(table.codes["subject"], table.weight * table.response, n_subjects)),
        counts=jax.device_put(counts.reshape(n_cells, n_categories)),
    )


def joint_information(problem: JointResponses, many: str, free: Vector) -> JointInformation:
    """Negative Hessian at `free`, the block of `many` sparse."""
    structure = ParameterSpace(tuple(block for block in problem.space.blocks if block.name != ABILITY))
    layout = Layout.of(structure, problem.cells, many)
    joined, by_cell = _covariances(problem, layout, free)
    subject, cell = np.asarray(problem.subject), np.asarray(problem.cell)
    n_subjects = len(problem.totals)
    diagonal = np.bincount(subject, joined[:, -1], n_subjects).astype(np.float64)
    shape = (n_subjects, layout.n_levels)
    levels = csr_array(coo_array((joined[:, 0], (subject, layout.level[cell])), shape=shape))
    others = np.zeros((n_subjects, layout.n_few))
    for value, position in zip(joined[:, 1:-1].T, layout.position, strict=True):
        flat = subject * layout.n_few + position[cell]
        others += np.bincount(flat, value, others.size).reshape(others.shape)
    own, border, few = layout.sums(by_cell, layout.position)
    scaled = csr_array(diags_array(1 / diagonal) @ levels)
    place = np.arange(layout.n_levels)
    block = csr_array(coo_array((own, (place, place)), shape=(len(place), len(place)))) - csr_array(scaled.T) @ levels
    border -= scaled.T @ others
    few -= others.T @ (others / diagonal[:, None])
    structural = free[n_subjects:]
    jacobian, _ = layout.few_constraints(structural, np.zeros(layout.n_few))
    rest = layout.bordered(csr_array(block), border, few, structural, np.zeros(layout.n_few))
    return JointInformation(diagonal, levels, others @ jacobian, rest)


def _covariances(problem: JointResponses, layout: Layout, free: Vector) -> tuple[Vector, Vector]:
    """Covariances of the scores of the responses.

    Of every direction with the subject's, shape (responses, 2 + D), the subject's own last; and of the directions with
    one another, summed by cell, shape (cells, 1 + D, 1 + D).
    """
    point = jax.device_put(free)
    probability = np.asarray(_probabilities(problem, point))
    load = np.asarray(loads(problem, point, layout.many, layout.names))
    scores = np.broadcast_to(np.arange(load.shape[1], dtype=np.float64)[:, None], (*load.shape[:2], 1))
    load = np.concatenate([load, scores], axis=2)
    cell, weight = np.asarray(problem.cell), np.asarray(problem.weight)
    n_cells, _, n_loads = load.shape
    joined, by_cell = np.empty((len(cell), n_loads)), np.zeros((n_cells, n_loads**2))
    for start in range(0, len(cell), _ROWS):
        rows = slice(start, start + _ROWS)
        own, chance = load[cell[rows]], probability[rows]
        own -= chance[:, None] @ own
        product = (own * (weight[rows, None] * chance)[:, :, None]).transpose(0, 2, 1) @ own
        joined[rows] = product[:, -1]
        owner = csr_array((np.ones(len(own)), (cell[rows], np.arange(len(own)))), shape=(n_cells, len(own)))
        by_cell += owner @ product.reshape(len(own), -1)
    return joined, by_cell.reshape(n_cells, n_loads, n_loads)[:, :-1, :-1]
