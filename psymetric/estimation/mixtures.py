"""The likelihood of a mixture of judges, classes summed out, and what exchanging classes does to a free vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from psymetric.core.bijectors import contract_centred
from psymetric.core.gather_sum import GatherSum
from psymetric.core.mixtures import PerClass
from psymetric.core.parameters import ParameterSpace
from psymetric.models.judge_mixture import SHARE, JudgeMixture

__all__ = ["MixtureProblem", "own_places", "permuted"]

Vector = NDArray[np.float64]


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["space", "cells", "judges"],
    meta_fields=["model", "n_categories", "prior"],
)
@dataclass(frozen=True)
class MixtureProblem:
    """Comparisons by judges of unknown classes.

    Attributes:
        cells: Codes of the distinct comparisons, their outcome apart, each of shape (cells,).
        judges: Sums rows of the (cells × outcomes, classes) table by judge.
        n_categories: Number of outcomes.
        prior: Whether the priors are part of the density.
    """

    model: JudgeMixture
    space: ParameterSpace
    cells: dict[str, Array]
    judges: GatherSum
    n_categories: int
    prior: bool

    def log_joint_at(self, params: Mapping[str, Array]) -> Array:
        """Log of likelihood times share, from constrained arrays, shape (judges, classes)."""
        table = self.model.class_log_probs(params, self.cells, self.n_categories)
        return self.judges(table.reshape(-1, self.model.classes)) + jnp.log(self.model.shares(params))

    def log_likelihood_at(self, params: Mapping[str, Array]) -> Array:
        """Log-likelihood from constrained arrays, a scalar."""
        return jnp.sum(logsumexp(self.log_joint_at(params), axis=1))

    def log_likelihood(self, free: Array) -> Array:
        """Log-likelihood, a scalar."""
        return self.log_likelihood_at(self.space.constrain(free))

    def penalty(self, free: Array) -> Array:
        """What the density has beyond the likelihood: the priors."""
        return self.space.penalty(free, prior=self.prior)

    def log_density(self, free: Array) -> Array:
        """What the engine maximises or samples."""
        return self.log_likelihood(free) + self.penalty(free)


def own_places(space: ParameterSpace) -> NDArray[np.int64]:
    """Where each class has its parameters in the free vector, its share apart, shape (classes, parameters)."""
    where, parts = space.slices(), list[NDArray[np.int64]]()
    for block in space.blocks:
        if isinstance(block.bijector, PerClass):
            first = where[block.name].start
            parts.append(first + np.arange(block.bijector.size).reshape(block.bijector.n_classes, -1))
    return np.concatenate(parts, axis=1)


def permuted(space: ParameterSpace, free: Vector, order: NDArray[np.int64]) -> Vector:
    """Free vectors with their classes in another order.

    Args:
        space: Of a mixture.
        free: Shape (vectors, size).
        order: Which of its classes each vector has in each place, shape (vectors, classes).
    """
    own = own_places(space)
    moved = free.copy()
    row = np.arange(len(free))[:, None, None]
    moved[:, own] = free[row, own[order]]
    if SHARE in space.slices():
        place = space.slices()[SHARE]
        moved[:, place] = contract_centred(np.take_along_axis(centred_log_odds(space, free), order, axis=1), 1)
    return moved


def centred_log_odds(space: ParameterSpace, free: Vector) -> Vector:
    """Log shares less their mean, shape (vectors, classes); zeros for a single class."""
    if SHARE not in space.slices():
        return np.zeros((len(free), 1))
    part = free[:, space.slices()[SHARE]]
    n = part.shape[1] + 1
    # The map from free to centred numbers is orthonormal, so that its inverse's matrix is its own.
    return part @ contract_centred(np.eye(n) - 1 / n, 1).T
