"""The marginal likelihood of models in which a subject's sum score is sufficient, for designs of thousands of judges.

Log-odds of the categories of a cell (a combination of facet levels) are k θ + b_k there, with b linear in the
parameters. What a subject's responses add to its likelihood is then its sum score times θ and, per cell, the log of a
normalising sum: one number per cell and node instead of one per cell, category and node. Cells that the same subjects
met, such as all items of one judge, are added up first. 1.4 million ratings of 7,900 judges come to 136,000 sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.gather_sum import GatherSum
from psymetric.core.parameters import ParameterSpace
from psymetric.core.quadrature import normal_grid
from psymetric.estimation.cells import distinct_cells
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD, parameter_space

__all__ = [
    "SumScoreProblem",
    "Tables",
    "is_linear",
    "log_odds",
    "posterior_spread",
    "score_tables",
    "sum_score_problem",
    "value_and_gradient",
]

_EXACT = 1e-6
"""Logits by which a model may miss its own linear form; weights of unused categories are 1e4, and round accordingly."""


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["space", "cells", "class_of", "classes", "counts", "totals", "nodes", "log_weights"],
    meta_fields=["model"],
)
@dataclass(frozen=True)
class SumScoreProblem:
    """Sum scores and cells of the subjects, integrated over a normal population on a grid.

    Attributes:
        cells: Codes of the distinct facet-level combinations, sorted by class, each of shape (cells,).
        class_of: Class of every cell: cells of one class were met by the same subjects, shape (cells,).
        classes: Adds the classes that subjects met.
        counts: Responses in every category of every cell, shape (cells, K).
        totals: Sum scores, shape (subjects,).
        nodes: Standard-normal nodes, shape (nodes,), and their log weights.
    """

    model: AbstractMeasurementModel
    space: ParameterSpace
    cells: dict[str, Array]
    class_of: Array
    classes: GatherSum
    counts: Array
    totals: Array
    nodes: Array
    log_weights: Array

    def linear(self, free: Array) -> tuple[Array, Array, Array]:
        """Log-odds of the categories at an ability of zero, shape (cells, K), and the population's mean and sd."""
        params = self.space.constrain(free)
        odds = log_odds(self.model, params, self.cells, self.counts.shape[1])
        return odds, params[POPULATION_MEAN], params[POPULATION_SD]

    @property
    def half_width(self) -> float:
        """The last node, in population sds."""
        return float(np.asarray(self.nodes)[-1])

    def with_grid(self, n_nodes: int, half_width: float) -> SumScoreProblem:
        """The same problem on another grid."""
        nodes, log_weights = normal_grid(n_nodes, half_width)
        return replace(self, nodes=jax.device_put(nodes), log_weights=jax.device_put(log_weights))


@final
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tables:
    """What one point gives.

    Weights are products of a number of the cell and a number of the node, so that sums over categories or nodes are
    matrix products.

    Attributes:
        weights: exp(b_k) over the largest of the cell, shape (cells, K).
        powers: exp(k θ) at the nodes, shape (K, nodes).
        norm: Σ_k `weights` · `powers`, shape (cells, nodes).
        posterior: Of the subjects, shape (subjects, nodes).
        expected: Subjects expected at every cell and node, shape (cells, nodes).
        value: Log-likelihood.
    """

    weights: Array
    powers: Array
    norm: Array
    posterior: Array
    expected: Array
    value: Array


def log_odds(
    model: AbstractMeasurementModel, params: dict[str, Array], cells: dict[str, Array], n_categories: int
) -> Array:
    """Log-odds of every category against the lowest for a subject at zero, shape (cells, K)."""
    codes = cells | {"subject": jnp.zeros_like(next(iter(cells.values())))}
    log_probs = model.category_log_probs(params | {ABILITY: jnp.zeros(1)}, codes, n_categories)
    return log_probs - log_probs[:, :1]


def score_tables(problem: SumScoreProblem, odds: Array, mean: Array, sd: Array) -> Tables:
    """Posteriors and expected counts at one point."""
    theta = mean + sd * problem.nodes
    top = jnp.max(odds, axis=1, keepdims=True)
    weights, powers = jnp.exp(odds - top), jnp.exp(jnp.arange(odds.shape[1])[:, None] * theta)
    norm = weights @ powers
    n_classes = problem.classes.shape[1]
    merged = jax.ops.segment_sum(top + jnp.log(norm), problem.class_of, n_classes, indices_are_sorted=True)
    sums, spread = jax.vjp(problem.classes, merged)
    log_joint = problem.totals[:, None] * theta - sums + problem.log_weights
    log_mass = logsumexp(log_joint, axis=1, keepdims=True)
    posterior = jnp.exp(log_joint - log_mass)
    expected = spread(posterior)[0][problem.class_of]
    value = jnp.vdot(problem.counts, odds) + jnp.sum(log_mass)
    return Tables(weights, powers, norm, posterior, expected, value)


@jax.jit
def value_and_gradient(problem: SumScoreProblem, free: Array) -> tuple[Array, Array]:
    """Marginal log-likelihood and its gradient, by Fisher's identity."""
    (odds, mean, sd), pullback = jax.vjp(problem.linear, free)
    at = score_tables(problem, odds, mean, sd)
    ratio, scores = at.expected / at.norm, jnp.arange(odds.shape[1])
    chosen = at.weights * (ratio @ at.powers.T)
    placed = at.weights * (ratio @ (at.powers * problem.nodes).T)
    along_mean = jnp.sum(problem.totals) - jnp.sum(chosen @ scores)
    along_sd = problem.totals @ (at.posterior @ problem.nodes) - jnp.sum(placed @ scores)
    return at.value, pullback((problem.counts - chosen, along_mean, along_sd))[0]


@jax.jit
def posterior_spread(problem: SumScoreProblem, free: Array) -> tuple[Array, Array, Array]:
    """Means and sds of the subjects' posteriors on the nodes, and the largest mass of any at an end node."""
    posterior = score_tables(problem, *problem.linear(free)).posterior
    mean = posterior @ problem.nodes
    spread = jnp.sum(posterior * (problem.nodes - mean[:, None]) ** 2, axis=1)
    return mean, jnp.sqrt(spread), jnp.maximum(jnp.max(posterior[:, 0]), jnp.max(posterior[:, -1]))


def sum_score_problem(
    model: AbstractMeasurementModel, table: Table, *, many: str, n_nodes: int, half_width: float
) -> SumScoreProblem | None:
    """Set up the problem; None where sum scores are not sufficient or log-odds not linear.

    Args:
        model: A response model.
        table: Responses.
        many: Facet of many levels; the cells of a class share its level.
        n_nodes: Of the grid.
        half_width: Of the grid, in population sds.
    """
    codes, cell = distinct_cells(model, table)
    n_cells, n_categories = len(next(iter(codes.values()))), len(table.categories)
    n_subjects, subject = len(table.levels["subject"]), table.codes["subject"]
    space = parameter_space(model, table, ability="integrated")
    if not is_linear(model, space, jax.device_put(dict(codes)), n_categories):
        return None
    met = csr_array((table.weight, (subject, cell)), shape=(n_subjects, n_cells))
    order, class_of = _classes(met, codes[many])
    place = np.empty(n_cells, np.int64)
    place[order] = np.arange(n_cells)
    first = order[np.flatnonzero(np.diff(class_of, prepend=-1))]
    counts = np.bincount(place[cell] * n_categories + table.response, table.weight, n_cells * n_categories)
    nodes, log_weights = normal_grid(n_nodes, half_width)
    return SumScoreProblem(
        model=model,
        space=space,
        cells={name: jax.device_put(code[order]) for name, code in codes.items()},
        class_of=jax.device_put(class_of),
        classes=GatherSum.build(csr_array(met[:, first])),
        counts=jax.device_put(counts.reshape(n_cells, n_categories)),
        totals=jax.device_put(np.bincount(subject, table.weight * table.response, n_subjects)),
        nodes=jax.device_put(nodes),
        log_weights=jax.device_put(log_weights),
    )


def is_linear(
    model: AbstractMeasurementModel, space: ParameterSpace, cells: dict[str, Array], n_categories: int
) -> bool:
    """Whether log-odds rise by k for an ability of one, and are linear in the free vector but for the population."""
    trial = jax.device_put(np.random.default_rng(0).normal(0.0, 0.5, space.size))
    bend, shift = _departures(model, space, cells, trial, n_categories)
    return float(bend) < _EXACT and float(shift) < _EXACT


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _departures(
    model: AbstractMeasurementModel, space: ParameterSpace, cells: dict[str, Array], trial: Array, n_categories: int
) -> tuple[Array, Array]:
    """Largest second difference of the log-odds along `trial`, and what an ability of one adds to them beyond k."""
    none, once, twice = (
        log_odds(model, space.constrain(times * trial), cells, n_categories) for times in (0.0, 1.0, 2.0)
    )
    codes = cells | {"subject": jnp.zeros_like(next(iter(cells.values())))}
    raised = model.category_log_probs(space.constrain(trial) | {ABILITY: jnp.ones(1)}, codes, n_categories)
    shift = raised - raised[:, :1] - once - jnp.arange(n_categories)
    return jnp.max(jnp.abs(twice - 2 * once + none)), jnp.max(jnp.abs(shift))


def _classes(met: csr_array, level: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of the cells by class, and the class of each cell in that order; cells of a class share their level.

    Columns with equal entries have equal products with any vector; unequal ones have not, with two drawn at random.
    """
    draws = np.random.default_rng(0).random((met.shape[0], 2))
    marks = np.ascontiguousarray(csr_array(met.T) @ draws).view(np.complex128)[:, 0]
    alike = np.unique(marks, return_inverse=True)[1].reshape(-1).astype(np.int64)
    class_of = np.unique(alike * (int(level.max()) + 1) + level, return_inverse=True)[1].reshape(-1)
    order = np.argsort(class_of, kind="stable")
    return order.astype(np.int64), class_of[order].astype(np.int64)
