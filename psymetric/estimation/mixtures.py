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
from scipy.optimize import linear_sum_assignment

from psymetric.core.bijectors import contract_centred
from psymetric.core.gather_sum import GatherSum
from psymetric.core.mixtures import PerClass
from psymetric.core.parameters import ParameterSpace
from psymetric.models.judge_mixture import SHARE, JudgeMixture

__all__ = ["JudgeSums", "MixtureProblem", "centred_log_odds", "memberships", "own_places", "permuted", "unswitched"]

Vector = NDArray[np.float64]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["cells", "judges"], meta_fields=["model", "n_categories"])
@dataclass(frozen=True)
class JudgeSums:
    """What the likelihood of a mixture reads of comparisons.

    Attributes:
        cells: Codes of the distinct comparisons, their outcome apart, each of shape (cells,).
        judges: Sums rows of the (cells × outcomes, classes) table by judge.
        n_categories: Number of outcomes.
    """

    model: JudgeMixture
    cells: dict[str, Array]
    judges: GatherSum
    n_categories: int

    def log_joint(self, params: Mapping[str, Array]) -> Array:
        """Log of likelihood times share, shape (judges, classes)."""
        table = self.model.class_log_probs(params, self.cells, self.n_categories)
        return self.judges(table.reshape(-1, self.model.classes)) + jnp.log(self.model.shares(params))

    def log_likelihoods(self, params: Mapping[str, Array]) -> Array:
        """Log-likelihoods from several sets of arrays, stacked along the first axis, shape (sets,).

        The sets stand side by side in the rows that are gathered, which costs little more than one of them.
        """
        tables = jax.vmap(lambda one: self.model.class_log_probs(one, self.cells, self.n_categories))(params)
        rows = jnp.moveaxis(tables, 0, 2).reshape(self.judges.shape[1], -1)
        shares = jax.vmap(self.model.shares)(params)
        sums = self.judges(rows).reshape(self.judges.shape[0], *shares.shape)
        return jnp.sum(logsumexp(sums + jnp.log(shares), axis=2), axis=0)

    def log_likelihood(self, params: Mapping[str, Array]) -> Array:
        """Log-likelihood from constrained arrays, a scalar."""
        return jnp.sum(logsumexp(self.log_joint(params), axis=1))


@jax.jit
def memberships(sums: JudgeSums, params: Mapping[str, Array]) -> Array:
    """Posterior probabilities of the classes of every judge, shape (judges, classes)."""
    return jax.nn.softmax(sums.log_joint(params), axis=1)


@final
@partial(jax.tree_util.register_dataclass, data_fields=["space", "sums"], meta_fields=["prior"])
@dataclass(frozen=True)
class MixtureProblem:
    """Comparisons by judges of unknown classes, which are summed out.

    Attributes:
        prior: Whether the priors are part of the density.
    """

    space: ParameterSpace
    sums: JudgeSums
    prior: bool

    @property
    def model(self) -> JudgeMixture:
        """The model."""
        return self.sums.model

    @property
    def n_categories(self) -> int:
        """Number of outcomes."""
        return self.sums.n_categories

    def log_likelihood(self, free: Array) -> Array:
        """Log-likelihood, a scalar."""
        return self.sums.log_likelihood(self.space.constrain(free))

    def penalty(self, free: Array) -> Array:
        """What the density has beyond the likelihood: the priors."""
        return self.space.penalty(free, prior=self.prior)

    def log_density(self, free: Array) -> Array:
        """What the engine maximises or samples."""
        return self.log_likelihood(free) + self.penalty(free)

    def log_densities(self, free: Array) -> Array:
        """`log_density` of several free vectors, shape (vectors, size)."""
        return self.sums.log_likelihoods(jax.vmap(self.space.constrain)(free)) + jax.vmap(self.penalty)(free)


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


def unswitched(space: ParameterSpace, draws: Vector, pivot: Vector) -> tuple[Vector, float]:
    """Draws with their classes in the order in which they lie closest to a mode, and the share that were not.

    The posterior is the same under every order of the classes, and a chain may go from one to another.

    Args:
        space: Of a mixture.
        draws: Shape (chains, draws, size).
        pivot: The mode, shape (size,).

    Source: Marin, Mengersen & Robert (2005), Handbook of Statistics 25, 459-507 (pivotal reordering).
    """
    flat = draws.reshape(-1, space.size)
    one, mode = by_class(space, flat), by_class(space, pivot[None])
    n_classes = mode.shape[1]
    order = np.empty((len(flat), n_classes), np.int64)
    for place, classes in enumerate(one):
        order[place] = linear_sum_assignment(((mode[0][:, None] - classes) ** 2).sum(axis=2))[1]
    switched = (order != np.arange(n_classes)).any(axis=1)
    if not switched.any():
        return draws, 0.0
    return permuted(space, flat, order).reshape(draws.shape), float(switched.mean())


def by_class(space: ParameterSpace, free: Vector) -> Vector:
    """Every class's own free parameters and log-odds, shape (vectors, classes, parameters + 1)."""
    return np.concatenate([free[:, own_places(space)], centred_log_odds(space, free)[..., None]], axis=2)
