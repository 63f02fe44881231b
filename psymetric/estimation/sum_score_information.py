"""Observed information of a sum-score problem by Louis' identity, its judges' block sparse.

As in `louis`, the expected Hessian of the complete data and the posterior covariances of their gradients are taken in
the constrained values. Log-odds are linear in them here, so that second derivatives are covariances of category scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from psymetric.estimation.bordered import BorderedInformation
from psymetric.estimation.sum_score_layout import Layout, loads
from psymetric.estimation.sum_scores import SumScoreProblem, Tables, score_tables

__all__ = ["sum_score_information"]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

_SUBJECTS = 1024
_CHUNK = 4_000_000
"""Numbers in memory at a time: subjects × values × nodes."""
_NEGLIGIBLE = 1e-13
"""Posterior mass of a node that no covariance can show."""


@jax.jit
def _moments(problem: SumScoreProblem, free: Array) -> tuple[Tables, Array, Array]:
    """Tables, and sums over nodes of expected P_k and P_k P_l, times powers 0, 1, 2 of the node, by cell.

    Shapes (3, cells, K) and (3, cells, K, K).
    """
    at = score_tables(problem, *problem.linear(free))
    n_categories = at.powers.shape[0]
    total = jnp.arange(n_categories)[:, None] + jnp.arange(n_categories)
    theta = jnp.log(at.powers[1])
    both = jnp.exp(jnp.arange(2 * n_categories - 1)[:, None] * theta)
    ratio = at.expected / at.norm
    once = jnp.stack([at.weights * (ratio @ (at.powers * problem.nodes**power).T) for power in range(3)])
    ratio = ratio / at.norm
    pairs = at.weights[:, :, None] * at.weights[:, None, :]
    twice = jnp.stack([pairs * (ratio @ (both * problem.nodes**power).T)[:, total] for power in range(3)])
    return at, once, twice


def sum_score_information(problem: SumScoreProblem, layout: Layout, free: Matrix) -> BorderedInformation:
    """Negative Hessian of the log-likelihood at `free`."""
    point = jnp.asarray(free)
    at, once, twice = _moments(problem, point)
    load = np.asarray(loads(problem, point, layout.many, layout.names))
    n_categories = load.shape[1]
    scores = np.broadcast_to(np.arange(n_categories, dtype=np.float64)[:, None], (*load.shape[:2], 1))
    # Of the levels, the other values, the mean and the sd; the last moves abilities in proportion to the node.
    load = np.concatenate([load, scores, scores], axis=2)
    power = np.zeros(load.shape[2], int)
    power[-1] = 1
    n_cells = len(load)
    position = np.concatenate([layout.position, np.tile([[layout.n_few - 2], [layout.n_few - 1]], n_cells)])
    once, twice = np.asarray(once), np.asarray(twice)
    complete = np.empty((n_cells, load.shape[2], load.shape[2]))
    for degree in range(3):
        found = load.transpose(0, 2, 1) @ (once[degree][:, :, None] * load - twice[degree] @ load)
        pick = power[:, None] + power == degree
        complete[:, pick] = found[:, pick]
    own, border, few = layout.sums(complete, position)
    shared = _add_covariances(problem, layout, at, load[:, :, :-1], border, few)
    levels = np.arange(layout.n_levels)
    many = csr_array(coo_array((own, (levels, levels)), shape=(len(levels), len(levels)))) - shared
    gradient = np.zeros(layout.n_few)
    # Only the sd is bent; everything else is linear in the free vector.
    scored = np.asarray(once[1]) @ np.arange(n_categories)
    gradient[-1] = float(problem.totals @ (at.posterior @ problem.nodes)) - scored.sum()
    return layout.bordered(csr_array(many), border, few, free, gradient)


def _add_covariances(
    problem: SumScoreProblem, layout: Layout, at: Tables, load: Matrix, border: Matrix, few: Matrix
) -> csr_array:
    """Take the posterior covariances of the gradients from `border` and `few`; returns those of the levels."""
    gradients = _Gradients.of(problem, layout, at, load)
    n_levels = len(border)
    entries: list[tuple[Index, Index, Matrix]] = []
    for subjects, window in gradients.chunks():
        met, many, others = gradients.at(subjects, window)
        stacked = others.transpose(1, 0, 2).reshape(layout.n_few, -1)
        few -= stacked @ stacked.T
        with_others = many @ others.transpose(0, 2, 1)
        np.subtract.at(border, met, with_others)
        products = many @ many.transpose(0, 2, 1)
        rows, columns = np.broadcast_arrays(met[:, :, None], met[:, None, :])
        entries.append((rows.ravel(), columns.ravel(), products.ravel()))
    rows, columns, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    used = values != 0
    return csr_array(coo_array((values[used], (rows[used], columns[used])), shape=(n_levels, n_levels)))


@final
@dataclass(frozen=True)
class _Gradients:
    """Gradients of subjects on the nodes.

    Attributes:
        posterior: Shape (subjects, nodes). nodes: Shape (nodes,). totals: Sum scores.
        met: Classes that subjects met, shape (subjects, classes).
        level: Level of every class, the last one padding.
        own: Derivative along its level of every class, shape (classes + 1, nodes), the last row zero.
        score: Expected score of every class, shape (classes, nodes).
        along: Per direction, sums of cells by subject and value, shape (subjects · values, cells), with the derivative
            of the cells, shape (cells, nodes), and where the values stand among the others.
    """

    posterior: Matrix
    nodes: Matrix
    totals: Matrix
    met: csr_array
    level: Index
    own: Matrix
    score: Matrix
    along: list[tuple[csr_array, Matrix, Index]]
    n_few: int

    @classmethod
    def of(cls, problem: SumScoreProblem, layout: Layout, at: Tables, load: Matrix) -> _Gradients:
        """From the tables at a point and the loads of the log-odds on levels, other values and score."""
        weights, powers, norm = (np.asarray(part) for part in (at.weights, at.powers, at.norm))
        class_of = np.asarray(problem.class_of)
        starts = np.flatnonzero(np.diff(class_of, prepend=-1))
        met = problem.classes.matrix()
        n_subjects = met.shape[0]

        def table(column: int) -> Matrix:
            return -((weights * load[:, :, column]) @ powers) / norm

        own = np.add.reduceat(table(0), starts, axis=0)
        score = -np.add.reduceat(table(load.shape[2] - 1), starts, axis=0)
        along: list[tuple[csr_array, Matrix, Index]] = []
        cells: csr_array | None = None
        for direction, position in enumerate(layout.position):
            values = np.unique(position)
            place = np.searchsorted(values, position)
            derivative = table(1 + direction)
            if (position == position[starts][class_of]).all():
                # All cells of a class move the same value: their sums serve.
                derivative, place, columns = np.add.reduceat(derivative, starts, axis=0), place[starts], met
            else:
                cells = _by_cell(met, starts, len(class_of)) if cells is None else cells
                columns = cells
            rows = np.repeat(np.arange(n_subjects), np.diff(columns.indptr)) * len(values) + place[columns.indices]
            shape = (n_subjects * len(values), columns.shape[1])
            along.append((csr_array((columns.data, (rows, columns.indices)), shape=shape), derivative, values))
        return cls(
            np.asarray(at.posterior),
            np.asarray(problem.nodes),
            np.asarray(problem.totals),
            met,
            np.append(layout.level[starts], 0),
            np.concatenate([own, np.zeros((1, own.shape[1]))]),
            score,
            along,
            layout.n_few,
        )

    def chunks(self) -> Iterator[tuple[Index, slice]]:
        """Subjects who met about equally many classes and stand at about the same place, and the nodes they reach."""
        count = np.maximum(np.diff(self.met.indptr), 1)
        place = self.posterior @ np.arange(len(self.nodes))
        group = np.ceil(4 * np.log2(count))
        order = np.lexsort((place, group))
        for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            size = int(count[members].max()) + self.n_few
            most = min(_SUBJECTS, _CHUNK // (size * len(self.nodes)))
            for subjects in np.array_split(members, -(-len(members) // max(most, 1))):
                reached = np.flatnonzero(self.posterior[subjects].max(axis=0) > _NEGLIGIBLE)
                yield subjects, slice(int(reached[0]), int(reached[-1]) + 1)

    def at(self, subjects: Index, window: slice) -> tuple[Index, Matrix, Matrix]:
        """Levels met, and gradients along them and along the other values, (subjects, ..., nodes in the window).

        Gradients are centred at their posterior mean and carry the root of the posterior.
        """
        mass = self.posterior[subjects, window]
        start, count = self.met.indptr[subjects], np.diff(self.met.indptr)[subjects]
        slot = np.arange(int(count.max(initial=0)))
        entry = np.minimum(start[:, None] + slot, self.met.nnz - 1)
        klass = np.where(slot < count[:, None], self.met.indices[entry], len(self.own) - 1)
        many = self.own[klass, window] * self.met.data[entry][:, :, None]
        others = np.zeros((len(subjects), self.n_few, mass.shape[1]))
        for sums, derivative, values in self.along:
            rows = (subjects[:, None] * len(values) + np.arange(len(values))).ravel()
            found = sums[rows] @ derivative[:, window]
            others[:, values] += found.reshape(len(subjects), len(values), -1)
        expected = self.met[subjects] @ self.score[:, window]
        others[:, -2] = -expected
        others[:, -1] = self.nodes[window] * (self.totals[subjects, None] - expected)
        for gradient in (many, others):
            gradient -= gradient @ mass[:, :, None]
            gradient *= np.sqrt(mass)[:, None]
        return self.level[klass], many, others


def _by_cell(met: csr_array, starts: Index, n_cells: int) -> csr_array:
    """What subjects met by cell, from what they met by class: classes are runs of cells."""
    lengths = np.diff(starts, append=n_cells)
    entries = lengths[met.indices]
    first = np.repeat(starts[met.indices] - (np.cumsum(entries) - entries), entries)
    indices = first + np.arange(int(entries.sum()))
    indptr = np.concatenate([[0], np.cumsum(entries)])[met.indptr]
    return csr_array((np.repeat(met.data, entries), indices, indptr), shape=(met.shape[0], n_cells))
