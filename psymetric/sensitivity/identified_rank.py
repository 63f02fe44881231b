"""How many directions margins leave open: the rank of the map from worlds to margins, at a generic world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FibreDimension", "fibre_dimension"]

Numbers = NDArray[np.float64]

_RANK = 1e-9


@dataclass(frozen=True)
class FibreDimension:
    """Counting and rank, before any inequality is assumed.

    Attributes:
        parameters: Free numbers in candidates and unknown judges.
        observed: Free shares observed.
        rank: Rank of the derivative of the shares by the parameters, at a generic world.
        means: Whether the shares fix every candidate's mean, near any one world.
        differences: Whether they fix every difference of two means, near any one world.
    """

    parameters: int
    observed: int
    rank: int
    means: bool
    differences: bool

    @property
    def fibre(self) -> int:
        """Dimension of the set of worlds that share their margins with a generic one; 0 where these fix it."""
        return self.parameters - self.rank

    def describe(self) -> str:
        """The dimension in words."""
        if not self.fibre:
            return f"The {self.observed} observed shares fix all {self.parameters} parameters near any one world."
        return (
            f"{self.parameters} parameters and {self.observed} observed shares of rank {self.rank}: "
            f"worlds with the same margins form a set of dimension {self.fibre}."
        )


def fibre_dimension(
    met: NDArray[np.bool_], *, n_levels: int, n_labels: int, known: NDArray[np.bool_], seed: int = 0
) -> FibreDimension:
    """Rank of (π, θ) -> π θ at a random world; ranks are the same at almost all.

    With C candidates, J unknown judges that met them all, K labels and M levels it is C (M - 1) + J M (K - 1) less the
    dimension M (M - 1) of the changes π T⁻¹, T θ that no margin shows, as long as C ≥ M and J (K - 1) ≥ M - 1.

    Args:
        met: Whether a judge met a candidate, shape (judges, candidates).
        n_levels: M.
        n_labels: K.
        known: Whether a judge's matrix is known, shape (judges,).
        seed: Of the random world.
    """
    n_judges, n_candidates = met.shape
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.ones(n_levels), n_candidates)
    judges = rng.dirichlet(np.ones(n_labels), (n_judges, n_levels))
    # The last level and the last label follow from the others.
    by_truth = np.einsum("cd,jmk->jckdm", np.eye(n_candidates), judges[:, :-1] - judges[:, -1:])[:, :, :-1]
    of_label = np.eye(n_labels)[:-1, :-1]
    by_judge = np.einsum("ij,cm,kl->jckiml", np.eye(n_judges), truth, of_label)[:, :, :, ~known]
    slopes = np.concatenate(
        [each[met].reshape(int(met.sum()) * (n_labels - 1), -1) for each in (by_truth, by_judge)], axis=1
    )
    n_truth = n_candidates * (n_levels - 1)
    # Means by evenly spaced values; what is fixed does not depend on them.
    values = np.arange(n_levels - 1, 0, -1.0)
    means = np.zeros((n_candidates, slopes.shape[1]))
    means[:, :n_truth] = np.kron(np.eye(n_candidates), values)
    rank = _rank(slopes)
    return FibreDimension(
        parameters=slopes.shape[1],
        observed=slopes.shape[0],
        rank=rank,
        means=_rank(np.concatenate([slopes, means])) == rank,
        differences=_rank(np.concatenate([slopes, means[1:] - means[:1]])) == rank,
    )


def _rank(matrix: Numbers) -> int:
    return int(np.linalg.matrix_rank(matrix, rtol=_RANK))
