"""Worlds: candidates' true levels and judges' matrices, and which of them reproduce what is observed.

A world is π, shape (candidates, levels), and θ, shape (judges, levels, labels). It reproduces the margins where every
π θ_j lies within them. The constraints are bilinear: linear in π for fixed θ and the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.sparse import csr_array

from psymetric.sensitivity.identified_assumptions import JudgeLimits

__all__ = ["World", "WorldProblem", "margins_of", "spanned"]

Numbers = NDArray[np.float64]

_RANK = 1e-8
"""Singular values, relative to the largest, under which margins are taken to lie in fewer dimensions."""


@dataclass(frozen=True, eq=False)
class World:
    """Candidates and judges.

    Attributes:
        truth: Probability of each true level, shape (candidates, levels).
        judges: Probability of each label given the true level, shape (judges, levels, labels).
    """

    truth: Numbers
    judges: Numbers


@dataclass(frozen=True, eq=False)
class WorldProblem:
    """What a world must satisfy.

    Attributes:
        lower: Least share of each label, shape (judges, candidates, labels).
        upper: Greatest share, same shape; equal to `lower` where margins are exact.
        limits: What is assumed of judges.
        truth_null: Rows N with N π = 0, shape (rows, candidates); see `spanned`.
        judge_null: Rows that are orthogonal to every level of all judges side by side, shape (rows, judges · labels).
        judge_total: What they give instead of zero, shape (rows,).
    """

    lower: Numbers
    upper: Numbers
    limits: JudgeLimits
    truth_null: Numbers
    judge_null: Numbers
    judge_total: Numbers

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Candidates, levels, judges, labels."""
        n_judges, n_candidates, n_labels = self.lower.shape
        return n_candidates, self.limits.floor.shape[1], n_judges, n_labels

    @cached_property
    def judge_rows(self) -> csr_array:
        """Rows with rows · θ ≤ 0, shape (constraints, judges · levels · labels)."""
        _, n_levels, n_judges, n_labels = self.shape
        rows = self.limits.rows.reshape(len(self.limits.rows), n_levels * n_labels)
        return csr_array(np.kron(np.eye(n_judges), rows))

    def excess(self, world: World) -> Numbers:
        """How far each share lies outside its margins, shape (judges, candidates, labels)."""
        shares = margins_of(world)
        return np.maximum(self.lower - shares, 0) + np.maximum(shares - self.upper, 0)


def margins_of(world: World) -> Numbers:
    """Share of each label, shape (judges, candidates, labels)."""
    return world.truth @ world.judges


def spanned(shares: Numbers, n_levels: int) -> tuple[int, tuple[Numbers, Numbers, Numbers]]:
    """Dimension of exact margins, and the linear equalities that follow for every world behind them.

    Let Γ hold a row of all judges' shares for each candidate. [1 Γ] = π [1 θ] has at most the rank M, the number of
    levels. Where it has that rank, so have π and θ: a combination of candidates that is zero in [1 Γ] is zero in π,
    and every level of θ lies in the plane that the candidates span.

    Args:
        shares: Shape (judges, candidates, labels), without missing ones.
        n_levels: M.

    Returns:
        The rank of [1 Γ]; `truth_null`, `judge_null` and `judge_total` of a `WorldProblem`, without rows where the rank
        is not M.
    """
    n_judges, n_candidates, n_labels = shares.shape
    wide = shares.transpose(1, 0, 2).reshape(n_candidates, n_judges * n_labels)
    full = np.column_stack([np.ones(n_candidates), wide])
    rank = int(np.linalg.matrix_rank(full, tol=_RANK * np.sqrt(n_candidates)))
    if rank != n_levels:
        return rank, (np.zeros((0, n_candidates)), np.zeros((0, n_judges * n_labels)), np.zeros(0))
    centre = wide.mean(axis=0)
    judge_null = null_space(wide - centre, rcond=_RANK).T
    return rank, (null_space(full.T, rcond=_RANK).T, judge_null, judge_null @ centre)
