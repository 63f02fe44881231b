"""Which constrained values a cell depends on, and the way from those to the free vector, for facets of many levels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.bordered import BorderedInformation
from psymetric.estimation.louis import directions_of
from psymetric.estimation.sum_scores import log_odds
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD

__all__ = ["HasOdds", "Layout", "loads"]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Layout:
    """Which constrained values a cell depends on.

    Attributes:
        space: The whole space.
        many: Facet of many levels.
        level: Its level at every cell, shape (cells,).
        names: Block and step of every direction of the other blocks that cells depend on.
        position: Of their values among the others, shape (directions, cells).
        n_few: How many other values there are, mean and sd of the population last where there is one.
        few: The space of the other blocks, in whose order their values stand.
    """

    space: ParameterSpace
    many: str
    level: Index
    names: tuple[tuple[str, int | None], ...]
    position: Index
    n_few: int
    few: ParameterSpace

    @classmethod
    def of(cls, space: ParameterSpace, cells: dict[str, Array], many: str) -> Layout:
        """The layout of some cells."""
        population = (POPULATION_MEAN, POPULATION_SD)
        few = [block for block in space.blocks if block.name not in (many, *population)]
        few = ParameterSpace((*few, *(block for block in space.blocks if block.name in population)))
        first = dict(zip((block.name for block in few.blocks), np.cumsum(_sizes(few)) - _sizes(few), strict=True))
        found = [each for each in directions_of(space, cells) if each.name not in (many, *population)]
        position = [first[each.name] + (each.step or 0) + each.level * each.stride for each in found]
        shape = (len(found), len(next(iter(cells.values()))))
        return cls(
            space,
            many,
            np.asarray(cells[many], np.int64),
            tuple((each.name, each.step) for each in found),
            np.array(position, np.int64).reshape(shape),
            int(sum(_sizes(few))),
            few,
        )

    @property
    def n_levels(self) -> int:
        """Levels of the facet of many."""
        place = self.space.slices()[self.many]
        return place.stop - place.start + 1

    def sums(self, by_cell: Matrix, position: Index) -> tuple[Matrix, Matrix, Matrix]:
        """Information of the cells added up: of the levels, with the other values, and of those.

        Args:
            by_cell: Along the level and other directions of every cell, shape (cells, 1 + D, 1 + D).
            position: Of the other values, shape (D, cells).

        Returns:
            Shapes (levels,), (levels, few) and (few, few).
        """
        own = np.bincount(self.level, by_cell[:, 0, 0], self.n_levels).astype(np.float64)
        border, few = np.zeros((self.n_levels, self.n_few)), np.zeros((self.n_few, self.n_few))
        np.add.at(border, (self.level, position), by_cell[:, 0, 1:].T)
        np.add.at(few, (position[:, None], position[None]), by_cell[:, 1:, 1:].transpose(1, 2, 0))
        return own, border, few

    def few_constraints(self, free: Matrix, gradient: Matrix) -> tuple[Matrix, Matrix]:
        """Jacobian of the other values by their free parameters, in order, and the bending times `gradient`."""
        where = self.space.slices()
        own = np.concatenate([np.zeros(0), *(free[where[block.name]] for block in self.few.blocks)])
        jacobian, bend = (np.asarray(part) for part in _few_constraints(self.few, own, jax.device_put(gradient)))
        places = [np.arange(where[block.name].start, where[block.name].stop) for block in self.few.blocks]
        order = np.argsort(np.concatenate([np.zeros(0), *places]), kind="stable")
        return jacobian[:, order], bend[np.ix_(order, order)]

    def bordered(
        self, many: csr_array, border: Matrix, few: Matrix, free: Matrix, gradient: Matrix
    ) -> BorderedInformation:
        """From constrained values to the free vector.

        Args:
            many: Information about the levels, constrained.
            border: Of the levels with the other values.
            few: About the other values.
            free: The free vector.
            gradient: Of the log-likelihood in the other values, shape (few,).
        """
        jacobian, bend = self.few_constraints(free, gradient)
        place = self.space.slices()[self.many]
        return BorderedInformation(many, border @ jacobian, jacobian.T @ few @ jacobian - bend, place)


def _sizes(space: ParameterSpace) -> list[int]:
    return [int(np.prod(block.bijector.shape)) for block in space.blocks]


@jax.jit
def _few_constraints(few: ParameterSpace, free: Array, gradient: Array) -> tuple[Array, Array]:
    def flat(point: Array) -> Array:
        params = few.constrain(point)
        return jnp.concatenate([jnp.zeros(0), *(params[block.name].ravel() for block in few.blocks)])

    return jax.jacfwd(flat)(free), jax.hessian(lambda point: jnp.vdot(gradient, flat(point)))(free)


class HasOdds(Protocol):
    """A model on cells, some parameters, and counts by cell and category."""

    @property
    def model(self) -> AbstractMeasurementModel:
        """The model."""
        ...

    @property
    def space(self) -> ParameterSpace:
        """Layout of the free vector."""
        ...

    @property
    def cells(self) -> dict[str, Array]:
        """Codes of the cells, each of shape (cells,)."""
        ...

    @property
    def counts(self) -> Array:
        """Responses, shape (cells, K)."""
        ...


@partial(jax.jit, static_argnames=("many", "names"))
def loads(problem: HasOdds, free: Array, many: str, names: tuple[tuple[str, int | None], ...]) -> Array:
    """Derivative of the log-odds along the levels of `many`, then along other directions, shape (cells, K, 1 + D)."""
    params = problem.space.constrain(free)
    n_categories = problem.counts.shape[1]
    columns: list[Array] = []
    for name, step in ((many, None), *names):
        tangent = {key: jnp.zeros_like(value) for key, value in params.items()}
        index = ... if step is None else (..., step)
        tangent[name] = tangent[name].at[index].set(1.0)
        columns.append(
            jax.jvp(lambda at: log_odds(problem.model, at, problem.cells, n_categories), (params,), (tangent,))[1]
        )
    return jnp.stack(columns, axis=2)
