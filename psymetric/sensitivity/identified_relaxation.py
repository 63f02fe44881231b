"""An upper bound on what any world in a box can reach: a linear programme over all products of its two halves.

Every product π[c, l] θ[j, m, k] becomes a variable of its own. What is linear in θ is multiplied by each π[c, l], which
loses nothing while π is free in its simplex (reformulation-linearisation, Sherali & Adams, 1990, SIAM Journal on
Discrete Mathematics 3, 411-430), and the bounds of a box by one another (McCormick, 1976, Mathematical Programming 10,
147-175), so that the bound meets the truth as boxes shrink.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, vstack

from psymetric.errors import ConvergenceError
from psymetric.sensitivity.identified_problem import World, WorldProblem

__all__ = ["Box", "Relaxation", "Relaxed", "solve_linear"]

Numbers = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Box:
    """Bounds of both halves of a world: `truth` shape (2, candidates, levels), `judges` (2, judges, levels, labels)."""

    truth: Numbers
    judges: Numbers


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The optimum of a relaxation: its value, its two halves, and how far products are from being products.

    Attributes:
        bound: No world in the box reaches more.
        world: Its π and θ, whose products need not be its products.
        truth_gap: Departure of products by the π in them, shape of π.
        judge_gap: The same by θ.
    """

    bound: float
    world: World
    truth_gap: Numbers
    judge_gap: Numbers


class _Rows:
    """Sparse rows under construction."""

    def __init__(self, n_columns: int) -> None:
        self._entries: list[tuple[Places, Places, Numbers]] = []
        self._right: list[Numbers] = []
        self._shape = (0, n_columns)

    def add(self, terms: list[tuple[Any, float | Numbers]], right: float | Numbers = 0.0) -> None:
        """Rows Σ coefficient × column = right; every term gives one column, or several, per row."""
        n_rows, start = len(terms[0][0]), self._shape[0]
        for columns, coefficient in terms:
            places = np.asarray(columns).reshape(n_rows, -1)
            row = np.broadcast_to(np.arange(start, start + n_rows)[:, None], places.shape)
            self._entries.append((row.ravel(), places.ravel(), np.broadcast_to(coefficient, places.shape).ravel()))
        self._right.append(np.broadcast_to(np.asarray(right, dtype=np.float64), (n_rows,)))
        self._shape = (start + n_rows, self._shape[1])

    def matrix(self) -> tuple[csr_array, Numbers]:
        """The rows, and their right-hand sides."""
        if not self._entries:
            return csr_array(self._shape), np.zeros(0)
        row, column, value = (np.concatenate(each) for each in zip(*self._entries, strict=True))
        return coo_array((value, (row, column)), shape=self._shape).tocsr(), np.concatenate(self._right)


class Relaxation:
    """The linear programme of a problem, built once, solved for any box and objective."""

    def __init__(self, problem: WorldProblem) -> None:
        n_candidates, n_levels, n_judges, n_labels = problem.shape
        n_truth, n_judge = n_candidates * n_levels, n_judges * n_levels * n_labels
        self._problem, self._sizes = problem, (n_truth, n_judge)
        self._n = n_truth + n_judge + n_truth * n_judge
        truth = np.arange(n_truth).reshape(n_candidates, n_levels)
        judges = n_truth + np.arange(n_judge).reshape(n_judges, n_levels, n_labels)
        product = n_truth + n_judge + np.arange(n_truth * n_judge).reshape(*truth.shape, *judges.shape)
        self._equal = _equalities(problem, self._n, truth, judges, product)
        self._below = _inequalities(problem, self._n, truth, judges, product)
        self._of_truth, self._of_judge = np.repeat(truth.ravel(), n_judge), np.tile(judges.ravel(), n_truth)
        self._columns = np.tile(np.stack([product.ravel(), self._of_truth, self._of_judge], axis=1), (4, 1)).ravel()

    def bound(self, objective: Numbers, box: Box) -> Relaxed | None:
        """The most that Σ objective · π can be in a box, or None where no world is in it.

        Args:
            objective: Shape (candidates, levels).
            box: Bounds of π and θ.
        """
        n_truth, n_judge = self._sizes
        envelope, right = self._envelope(box)
        cost = np.zeros(self._n)
        cost[:n_truth] = -objective.ravel()
        ends = [
            np.concatenate([box.truth[end].ravel(), box.judges[end].ravel(), np.full(n_truth * n_judge, float(end))])
            for end in (0, 1)
        ]
        below = (vstack([self._below[0], envelope], format="csr"), np.concatenate([self._below[1], right]))
        found = solve_linear(cost, below=below, equal=self._equal, ends=(ends[0], ends[1]))
        if found is None:
            return None
        truth, judges = found[:n_truth], found[n_truth : n_truth + n_judge]
        apart = np.abs(found[n_truth + n_judge :].reshape(n_truth, n_judge) - np.outer(truth, judges))
        world = World(truth.reshape(box.truth[0].shape), judges.reshape(box.judges[0].shape))
        gaps = apart.sum(axis=1).reshape(world.truth.shape), apart.sum(axis=0).reshape(world.judges.shape)
        return Relaxed(float(objective.ravel() @ truth), world, *gaps)

    def _envelope(self, box: Box) -> tuple[csr_array, Numbers]:
        """McCormick's four inequalities for every product."""
        n_truth, _ = self._sizes
        low, high = (box.truth[end].ravel()[self._of_truth] for end in (0, 1))
        least, most = (box.judges[end].ravel()[self._of_judge - n_truth] for end in (0, 1))
        one = np.ones_like(low)
        values = [(-one, least, low), (-one, most, high), (one, -least, -high), (one, -most, -low)]
        data = np.concatenate([np.stack(each, axis=1) for each in values]).ravel()
        right = np.concatenate([low * least, high * most, -high * least, -low * most])
        return csr_array((data, self._columns, np.arange(0, len(data) + 1, 3)), shape=(len(right), self._n)), right


def _equalities(
    problem: WorldProblem, n_columns: int, truth: Places, judges: Places, product: Places
) -> tuple[csr_array, Numbers]:
    """Probabilities sum to one, also within products; what exact margins imply."""
    n_candidates, n_levels, n_judges, n_labels = problem.shape
    rows = _Rows(n_columns)
    rows.add([(truth, 1.0)], 1.0)
    rows.add([(judges.reshape(-1, n_labels), 1.0)], 1.0)
    over_levels = np.moveaxis(product, 1, -1)
    rows.add(
        [(over_levels.reshape(-1, n_levels), 1.0), (np.broadcast_to(judges, over_levels.shape[:-1]).ravel(), -1.0)]
    )
    whole = np.broadcast_to(truth[:, :, None, None], product.shape[:-1])
    rows.add([(product.reshape(-1, n_labels), 1.0), (whole.ravel(), -1.0)])
    for null in problem.truth_null:
        rows.add([(truth.T, null)])
        rows.add([(np.moveaxis(product, 0, -1).reshape(-1, n_candidates), null)])
    for null, total in zip(problem.judge_null, problem.judge_total, strict=True):
        rows.add([(judges.transpose(1, 0, 2).reshape(n_levels, -1), null)], total)
        wide = product.transpose(0, 1, 3, 2, 4).reshape(-1, n_judges * n_labels)
        rows.add([(wide, null), (np.repeat(truth.ravel(), n_levels), -total)])
    return rows.matrix()


def _inequalities(
    problem: WorldProblem, n_columns: int, truth: Places, judges: Places, product: Places
) -> tuple[csr_array, Numbers]:
    """The margins, and what is assumed of judges, by itself and times every π."""
    n_levels = problem.shape[1]
    rows = _Rows(n_columns)
    level = np.arange(n_levels)
    # Axes: level, candidate, judge, label.
    paired = product[:, level, :, level, :].transpose(2, 1, 3, 0).reshape(-1, n_levels)
    rows.add([(paired, 1.0)], problem.upper.ravel())
    rows.add([(paired, -1.0)], -problem.lower.ravel())
    flat = product.reshape(truth.size, judges.size)
    for row in problem.judge_rows.toarray():
        used = np.flatnonzero(row)
        rows.add([(judges.ravel()[used][None, :], row[used])])
        rows.add([(flat[:, used], row[used])])
    return rows.matrix()


def solve_linear(
    cost: Numbers,
    *,
    below: tuple[csr_array, Numbers],
    equal: tuple[csr_array, Numbers],
    ends: tuple[Numbers, Numbers],
) -> Numbers | None:
    """The point of least cost, or None where there is none.

    Args:
        cost: Shape (columns,).
        below: A and b with A x ≤ b.
        equal: A and b with A x = b.
        ends: Lower and upper bounds of the columns.

    Raises:
        ConvergenceError: HiGHS stopped for another reason than optimality or infeasibility, by both of its methods.
    """
    for method in ("highs-ds", "highs-ipm"):
        found = linprog(  # pyright: ignore[reportCallIssue]
            cost,
            A_ub=below[0],  # pyright: ignore[reportArgumentType]
            b_ub=below[1],
            A_eq=equal[0],  # pyright: ignore[reportArgumentType]
            b_eq=equal[1],
            bounds=np.stack(ends, axis=1),  # pyright: ignore[reportArgumentType]
            method=method,
        )
        if found.status in (0, 2):
            return np.asarray(found.x, dtype=np.float64) if found.status == 0 else None
    raise ConvergenceError("identified_set: HiGHS solved a linear programme by neither of its methods")
