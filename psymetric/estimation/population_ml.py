"""A normal population of subjects from their sums, items and judges at their conditional estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

from psymetric.core.steps import UNUSED
from psymetric.core.symmetric import sum_chain
from psymetric.estimation.conditional import PatternBlock
from psymetric.estimation.empirical_bayes import LEAST_SD

__all__ = ["NormalPopulation", "SumGroups", "fit_population", "item_share", "sum_groups"]

Vector = NDArray[np.float64]

_HALF_WIDTH = 8.0
_GUESSED_SD, _LARGEST_SD = 2.0, 1e3
"""The first grid is fine enough for a wide population, so that a second one is rarely needed."""
_NEWTON_STEPS, _TOLERANCE = 20, 1e-8


@final
@dataclass(frozen=True)
class SumGroups:
    """Subjects who answered the same cells and reached the same sum.

    Attributes:
        members: How often each pattern has each cell, shape (patterns, cells).
        pattern: Pattern of each group, shape (G,).
        total: Sum of each group, shape (G,).
        count: Subjects in each group, shape (G,).
        n_impossible: Subjects left out because they alone used a category.
    """

    members: csr_array
    pattern: NDArray[np.int64]
    total: Vector
    count: Vector
    n_impossible: int


@final
@dataclass(frozen=True)
class NormalPopulation:
    """Mean and log sd of the abilities, their covariance with items known, and whether the sd is at its lower bound."""

    mean: float
    log_sd: float
    covariance: Vector
    held: bool

    @property
    def sd(self) -> float:
        """Standard deviation in logits."""
        return float(np.exp(self.log_sd))


def sum_groups(blocks: tuple[PatternBlock, ...], log_weights: Vector) -> SumGroups:
    """Groups of the patterns in `blocks` whose sums the weights, shape (cells, K), can reach."""
    cells, owners, patterns, totals, counts, start, lost = [], [], [], [], [], 0, 0.0
    for block in blocks:
        n_patterns, length = block.cells.shape
        reachable = sum_chain(log_weights[block.cells]).log_gamma > -UNUSED / 2
        lost += float(block.counts[~reachable].sum())
        pattern, total = np.nonzero(block.counts * reachable)
        cells.append(block.cells.ravel())
        owners.append(start + np.repeat(np.arange(n_patterns), length))
        patterns.append(start + pattern)
        totals.append(total)
        counts.append(block.counts[pattern, total])
        start += n_patterns
    entry = np.concatenate(owners), np.concatenate(cells)
    members = csr_array((np.ones(len(entry[0])), entry), shape=(start, len(log_weights)))
    return SumGroups(
        members, np.concatenate(patterns), np.concatenate(totals).astype(float), np.concatenate(counts), round(lost)
    )


@final
@dataclass(frozen=True)
class _Grid:
    """Posteriors of the groups on the nodes.

    Attributes:
        value: Log-likelihood of the sums, up to a constant.
        z: Standardised nodes, shape (Q,).
        probability: Of each category in each cell, shape (cells, Q, K).
        posterior: Weighted by the groups' counts, shape (G, Q).
        excess: Sum minus expected sum, shape (G, Q).
        variance: Of the sum, shape (G, Q).
    """

    value: float
    z: Vector
    probability: Vector
    posterior: Vector
    excess: Vector
    variance: Vector

    def directions(self, sd: float) -> Vector:
        """Derivative of the nodes by mean and log sd, shape (2, Q)."""
        return np.stack([np.ones_like(self.z), sd * self.z])

    def slopes(self, sd: float, count: Vector) -> Vector:
        """Score of each group by mean and log sd per subject, shape (G, 2)."""
        return ((self.posterior * self.excess) @ self.directions(sd).T) / count[:, None]


def _grid(groups: SumGroups, log_weights: Vector, point: Vector, n_nodes: int) -> _Grid:
    """Everything at mean and log sd `point` on equally spaced nodes."""
    z = np.linspace(-_HALF_WIDTH, _HALF_WIDTH, n_nodes)
    theta = point[0] + np.exp(point[1]) * z
    score = np.arange(log_weights.shape[1])
    logits = log_weights[:, None] + theta[:, None] * score
    top = logits.max(axis=2, keepdims=True)
    probability = np.exp(logits - top)
    total = probability.sum(axis=2, keepdims=True)
    probability /= total
    log_norm = (top + np.log(total))[:, :, 0]
    expected = probability @ score
    variance = probability @ score**2 - expected**2
    log_norms, expecteds, variances = (groups.members @ part for part in (log_norm, expected, variance))
    joint = groups.total[:, None] * theta - log_norms[groups.pattern] - 0.5 * z**2
    highest = joint.max(axis=1, keepdims=True)
    posterior = np.exp(joint - highest)
    mass = posterior.sum(axis=1, keepdims=True)
    posterior *= groups.count[:, None] / mass
    value = float(groups.count @ (highest + np.log(mass))[:, 0])
    excess = groups.total[:, None] - expecteds[groups.pattern]
    return _Grid(value, z, probability, posterior, excess, variances[groups.pattern])


def _information(grid: _Grid, groups: SumGroups, sd: float) -> Vector:
    """Observed information of mean and log sd (Louis, 1982), shape (2, 2)."""
    along, slopes = grid.directions(sd), grid.slopes(sd, groups.count)
    curved = np.sum(grid.posterior * (grid.excess**2 - grid.variance), axis=0)
    found = -np.einsum("q,aq,bq->ab", curved, along, along) + (slopes * groups.count[:, None]).T @ slopes
    found[1, 1] -= float(np.sum(grid.posterior * grid.excess * along[1]))
    return found


def fit_population(groups: SumGroups, log_weights: Vector) -> tuple[NormalPopulation, int]:
    """Maximum-likelihood mean and sd of a normal population, and the number of nodes used.

    Args:
        groups: Subjects by pattern and sum.
        log_weights: Of the cells, shape (cells, K); they count as known.

    Source: Andersen & Madsen (1977), Psychometrika 42, 357-374.
    """
    n_nodes, enough = 0, _nodes(groups, log_weights, np.array([0.0, np.log(_GUESSED_SD)]))
    point = np.zeros(2)
    while n_nodes < enough:
        n_nodes = enough
        point = _maximise(groups, log_weights, point, n_nodes)
        enough = _nodes(groups, log_weights, point)
    held = bool(point[1] <= np.log(LEAST_SD) + 1e-6)
    information = _information(_grid(groups, log_weights, point, n_nodes), groups, float(np.exp(point[1])))
    covariance = np.full((2, 2), np.nan)
    if held:
        covariance[0, 0] = 1 / information[0, 0]
    else:
        covariance[:] = np.linalg.inv(information)
    return NormalPopulation(float(point[0]), float(point[1]), covariance, held), n_nodes


def _maximise(groups: SumGroups, log_weights: Vector, start: Vector, n_nodes: int) -> Vector:
    def negative(point: Vector) -> tuple[float, Vector]:
        grid, sd = _grid(groups, log_weights, point, n_nodes), float(np.exp(point[1]))
        return -grid.value, -(groups.count @ grid.slopes(sd, groups.count))

    bounds = [(None, None), (np.log(LEAST_SD), np.log(_LARGEST_SD))]
    point = np.asarray(minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds).x)
    for _ in range(_NEWTON_STEPS):
        sd = float(np.exp(point[1]))
        grid = _grid(groups, log_weights, point, n_nodes)
        information, slope = _information(grid, groups, sd), groups.count @ grid.slopes(sd, groups.count)
        if point[1] <= np.log(LEAST_SD) + 1e-6 or np.linalg.eigvalsh(information)[0] <= 0:
            break
        step = np.linalg.solve(information, slope)
        point = point + step
        if np.abs(step).max() < _TOLERANCE:
            break
    return point


def _nodes(groups: SumGroups, log_weights: Vector, point: Vector) -> int:
    """Nodes that keep their spacing below one posterior sd of the best-measured group."""
    probe = _grid(groups, log_weights, point, 61)
    most = float(probe.variance.max())
    return int(np.ceil(2 * _HALF_WIDTH * np.sqrt(1 + np.exp(2 * point[1]) * most))) + 1


def item_share(groups: SumGroups, log_weights: Vector, design: Vector, found: NormalPopulation, n_nodes: int) -> Vector:
    """Cross-information of (mean, log sd) with the parameters behind the weights, shape (2, D).

    Given the sums, the conditional likelihood has a score of mean zero, so that errors of items and errors of the sums
    are uncorrelated and the items' add to the population's through this matrix alone.

    Args:
        groups: As fitted.
        log_weights: Shape (cells, K).
        design: Derivative of the log weights by the parameters, shape (cells, K, D).
        found: The fitted population.
        n_nodes: Number of nodes it was fitted on.
    """
    grid = _grid(groups, log_weights, np.array([found.mean, found.log_sd]), n_nodes)
    along, slopes = grid.directions(found.sd), grid.slopes(found.sd, groups.count)
    n_patterns, score = len(groups.members.indptr) - 1, np.arange(log_weights.shape[1])
    pick = csr_array(
        (np.ones(len(groups.pattern)), (groups.pattern, np.arange(len(groups.pattern)))),
        shape=(n_patterns, len(groups.pattern)),
    )
    expected = grid.probability @ score
    found_share = np.zeros((2, design.shape[2]))
    for row in range(2):
        spread = grid.posterior * (grid.excess * along[row] - slopes[:, row, None])
        by_cell = groups.members.T @ (pick @ spread)
        level = groups.members.T @ (pick @ (grid.posterior * along[row]))
        slope = np.einsum("cq,cqk->ck", by_cell, grid.probability)
        slope += np.einsum("cq,cqk,cqk->ck", level, grid.probability, score - expected[:, :, None])
        found_share[row] = np.einsum("ck,ckd->d", slope, design)
    return found_share
