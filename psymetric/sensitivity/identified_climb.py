"""Worlds that reach far: local search from a start, for inner bounds.

Sequential linear programming with an exact penalty on margins missed (Fletcher & Sainz de la Maza, 1989, Mathematical
Programming 43, 235-256): the margins are linearised around a world, and the best step within a trust region is kept
where it lowers the penalised objective. A world counts only once it reproduces the margins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, hstack, vstack

from psymetric.sensitivity.identified_problem import World, WorldProblem
from psymetric.sensitivity.identified_relaxation import solve_linear

__all__ = ["Climber", "TOLERANCE"]

Numbers = NDArray[np.float64]

TOLERANCE = 1e-7
"""Departure from a margin up to which a world reproduces it: that of the linear programmes."""
_PENALTY = 3.0
"""Price of a missed margin, in units of the objective: low enough that a climb may leave the margins on its way."""
_FIRST, _LEAST, _MOST = 0.3, 1e-7, 1.0
"""Trust region, in probabilities."""
_NEAR = 20.0
"""Trust region of a repair, in units of what is to be repaired."""
_REPAIRS = 40
_GAIN = 1e-8
"""Rise of the objective not worth another step."""


class Climber:
    """Local search in a problem."""

    def __init__(self, problem: WorldProblem) -> None:
        self.problem = problem
        n_candidates, n_levels, n_judges, n_labels = problem.shape
        self._n_truth, self._n_judge = n_candidates * n_levels, n_judges * n_levels * n_labels
        self._n_margins = n_judges * n_candidates * n_labels
        judge, candidate, label, level = np.meshgrid(
            *(np.arange(size) for size in (n_judges, n_candidates, n_labels, n_levels)), indexing="ij"
        )
        of_truth = candidate * n_levels + level
        of_judge = self._n_truth + (judge * n_levels + level) * n_labels + label
        self._columns = np.concatenate([of_truth, of_judge], axis=-1).ravel()
        self._starts = np.arange(0, len(self._columns) + 1, 2 * n_levels)
        self._equal = self._equalities()

    def climb(self, objective: Numbers, start: World, *, steps: int) -> World | None:
        """A world that reproduces the margins, reached from `start` by raising Σ objective · π; None if none was found.

        Args:
            objective: Shape (candidates, levels), of the order of one.
            start: Where to begin; it need not reproduce anything.
            steps: Linear programmes at most, for the climb.
        """
        return self.repair(self._search(objective, start, steps=steps, radius=_FIRST))

    def repair(self, start: World) -> World | None:
        """A world near `start` that reproduces the margins, or None."""
        world, outside = start, self._outside(start)
        if outside > TOLERANCE:
            world = self._search(np.zeros_like(start.truth), start, steps=_REPAIRS, radius=_NEAR * outside)
        return None if self._outside(world) > TOLERANCE else world

    def _outside(self, world: World) -> float:
        """The largest departure from anything that a world must satisfy."""
        limits, flat = self.problem.limits, world.judges.ravel()
        return max(
            float(self.problem.excess(world).max()),
            float((limits.floor - world.judges).max()),
            float((world.judges - limits.ceiling).max()),
            float(-world.truth.min()),
            float(np.abs(world.truth.sum(axis=1) - 1).max()),
            float(np.abs(world.judges.sum(axis=2) - 1).max()),
            float((self.problem.judge_rows @ flat).max(initial=0.0)),
        )

    def _search(self, objective: Numbers, world: World, *, steps: int, radius: float) -> World:
        merit, radius = self._merit(objective, world), min(radius, _MOST)
        for _ in range(steps):
            step = self._step(objective, world, radius)
            if step is None:
                # What is assumed of judges lies beyond the trust region.
                if radius >= _MOST:
                    break
                radius = min(4 * radius, _MOST)
                continue
            new, promised = step
            reached = self._merit(objective, new)
            if promised - merit < _GAIN or radius < _LEAST:
                break
            share = (reached - merit) / (promised - merit)
            if share > 0:
                world, merit = new, reached
            if not objective.any() and self._outside(world) <= TOLERANCE / 2:
                break
            radius = min(2 * radius, _MOST) if share > 0.75 else 0.4 * radius if share < 0.25 else radius
        return world

    def _merit(self, objective: Numbers, world: World) -> float:
        return float((objective * world.truth).sum()) - _PENALTY * float(self.problem.excess(world).sum())

    def _step(self, objective: Numbers, world: World, radius: float) -> tuple[World, float] | None:
        """The best world within reach by the linearised margins, and what it promises."""
        problem, limits = self.problem, self.problem.limits
        here = np.concatenate([world.truth.ravel(), world.judges.ravel()])
        slopes = self._slopes(world)
        # γ ≈ π θ at the world, with slopes θ and π: the product is met by half of what the slopes give there.
        constant = -0.5 * (slopes @ here)
        miss, wide = -eye_array(self._n_margins, format="csr"), len(here) + self._n_margins
        rules = csr_array((problem.judge_rows.shape[0], self._n_truth), dtype=float)
        below = vstack(
            [
                hstack([slopes, miss]),
                hstack([-slopes, miss]),
                hstack([rules, problem.judge_rows, csr_array((rules.shape[0], self._n_margins))]),
            ],
            format="csr",
        )
        right = np.concatenate(
            [problem.upper.ravel() - constant, constant - problem.lower.ravel(), np.zeros(rules.shape[0])]
        )
        free = np.concatenate([np.zeros(self._n_truth), limits.floor.ravel()])
        most = np.concatenate([np.ones(self._n_truth), limits.ceiling.ravel()])
        lower = np.concatenate([np.maximum(np.minimum(here, most) - radius, free), np.zeros(self._n_margins)])
        upper = np.concatenate([np.minimum(np.maximum(here, free) + radius, most), np.full(self._n_margins, np.inf)])
        cost = np.zeros(wide)
        cost[: self._n_truth] = -objective.ravel()
        cost[len(here) :] = _PENALTY
        found = solve_linear(cost, below=(below, right), equal=self._equal, ends=(lower, upper))
        if found is None:
            return None
        truth = np.maximum(found[: self._n_truth].reshape(world.truth.shape), 0)
        judges = np.clip(found[self._n_truth : len(here)].reshape(world.judges.shape), limits.floor, limits.ceiling)
        return World(truth, judges), -float(cost @ found)

    def _slopes(self, world: World) -> csr_array:
        """Derivatives of the margins by π and θ."""
        n_candidates, n_levels, n_judges, n_labels = self.problem.shape
        shape = (n_judges, n_candidates, n_labels, n_levels)
        by_truth = np.broadcast_to(world.judges.transpose(0, 2, 1)[:, None], shape)
        by_judge = np.broadcast_to(world.truth[None, :, None, :], shape)
        data = np.concatenate([by_truth, by_judge], axis=-1).ravel()
        return csr_array((data, self._columns, self._starts), shape=(self._n_margins, self._n_truth + self._n_judge))

    def _equalities(self) -> tuple[csr_array, Numbers]:
        """Probabilities sum to one; what exact margins imply."""
        problem = self.problem
        n_candidates, n_levels, n_judges, n_labels = problem.shape
        sums_truth = np.kron(np.eye(n_candidates), np.ones(n_levels))
        sums_judge = np.kron(np.eye(n_judges * n_levels), np.ones(n_labels))
        null_truth = np.kron(problem.truth_null, np.eye(n_levels))
        by_judge = problem.judge_null.reshape(-1, n_judges, 1, 1, n_labels)
        picked = np.eye(n_levels)[None, None, :, :, None]
        null_judge = (by_judge * picked).transpose(0, 2, 1, 3, 4).reshape(-1, self._n_judge)
        top = np.concatenate([sums_truth, null_truth])
        low = np.concatenate([sums_judge, null_judge])
        rows = np.block(
            [
                [top, np.zeros((len(top), self._n_judge)), np.zeros((len(top), self._n_margins))],
                [np.zeros((len(low), self._n_truth)), low, np.zeros((len(low), self._n_margins))],
            ]
        )
        right = np.concatenate(
            [np.ones(n_candidates), np.zeros(len(null_truth)), np.ones(n_judges * n_levels)]
            + [np.full(n_levels, total) for total in problem.judge_total]
        )
        return csr_array(rows), right
