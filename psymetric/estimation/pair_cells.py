"""Gradients of comparisons by cells: comparisons that differ in their result alone share what a model says of them.

A million votes on two hundred items are forty thousand ordered pairs, three results of each; a cell depends on one
level of every block of parameters, or on two where the block belongs to the items. Each cell's log-likelihood is
differentiated in that handful of values by reverse mode.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import cast, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.distinct import distinct_places
from psymetric.data.coding import SIDES
from psymetric.data.pairs import PairTable
from psymetric.estimation.casewise import Direction, pulled_back, row_directions
from psymetric.estimation.problems import JointProblem

__all__ = ["PairCells"]

Matrix = NDArray[np.float64]


@final
@dataclass(frozen=True)
class PairCells:
    """The distinct combinations of the facets that a model of comparisons reads.

    Attributes:
        problem: The model and its layout; its rows are left aside.
        codes: Levels of the facets, each of shape (cells,).
        seen: What the cells depend on.
        position: Place in the flat constrained vector of every direction and cell, shape (directions, cells).
        collect: Sums directions and cells by that place, shape (values, directions × cells).
        row: Cell and result of every row of the table, as one number, shape (rows,).
    """

    problem: JointProblem
    codes: dict[str, NDArray[np.int32]]
    seen: tuple[Direction, ...]
    position: Array
    collect: csr_array
    row: NDArray[np.int64]

    @classmethod
    def of(cls, problem: JointProblem, table: PairTable) -> PairCells:
        """The cells of a table whose joint problem this is."""
        first, cell = distinct_places([table.codes[name] for name in problem.codes])
        codes, n_cells = {name: table.codes[name][first] for name in problem.codes}, len(first)
        seen = tuple(row_directions(problem.space, codes, n_cells))
        position = np.stack([each.position for each in seen])
        n_values = sum(prod(block.bijector.shape) for block in problem.space.blocks)
        ones, places = np.ones(position.size), np.arange(position.size)
        collect = csr_array((ones, (position.ravel(), places)), (n_values, position.size))
        return cls(
            problem, codes, seen, jax.device_put(position), collect, cell * problem.n_categories + table.response
        )

    @property
    def n_counts(self) -> int:
        """Cells times results."""
        return self.position.shape[1] * self.problem.n_categories

    def counts(self, weight: Matrix) -> Matrix:
        """Weights of the rows added up by cell and result, shape (cells × results,)."""
        return np.bincount(self.row, weight, self.n_counts).astype(np.float64)

    def every_result(self) -> JointProblem:
        """The problem with a row for every cell and result, in the order of the counts."""
        n_results = self.problem.n_categories
        codes = {name: jax.device_put(np.repeat(code, n_results)) for name, code in self.codes.items()}
        response = np.tile(np.arange(n_results, dtype=np.int32), self.position.shape[1])
        return replace(self.problem, codes=codes, response=jax.device_put(response))

    def gradients(self, points: Matrix, counts: Matrix) -> Matrix:
        """Gradients of the log density at several points, each under counts of its own, shape (points, parameters).

        Args:
            points: Free vectors, shape (points, parameters).
            counts: Shape (points, cells × results).
        """
        shapes = tuple((each.name, each.side, each.step) for each in self.seen)
        slopes = np.asarray(_slopes(self.problem, *jax.device_put((points, counts)), self.position, shapes))
        collected = (self.collect @ slopes.reshape(len(points), -1).T).T
        return pulled_back(self.problem, points, collected)


@partial(jax.jit, static_argnames="keys")
def _slopes(
    problem: JointProblem, points: Array, counts: Array, position: Array, keys: tuple[tuple[str, int, int | None], ...]
) -> Array:
    """Derivatives of the cells' log-likelihoods in what they see, shape (points, directions, cells)."""
    shapes, n_cells = _shapes(problem, keys), position.shape[1]
    # Cells stand along a last axis behind the one or two levels that each sees: looking these up is then a slice,
    # whose transpose, unlike that of a gather, is quick.
    codes = cast(dict[str, Array], {name: np.int32(name == SIDES[1]) for name in problem.codes})

    def at(point: Array, count: Array) -> Array:
        params = problem.space.constrain(point)
        flat = jnp.concatenate([params[block.name].ravel() for block in problem.space.blocks])

        def log_likelihood(local: Array) -> Array:
            first, own = 0, dict[str, Array]()
            for name, shape in shapes.items():
                own[name] = local[first : first + prod(shape)].reshape(*shape, n_cells)
                first += prod(shape)
            return jnp.sum(count * problem.model.category_log_probs(params | own, codes, problem.n_categories).ravel())

        return jax.grad(log_likelihood)(flat[position])

    return jax.vmap(at)(points, counts)


def _shapes(problem: JointProblem, keys: tuple[tuple[str, int, int | None], ...]) -> dict[str, tuple[int, ...]]:
    """Shape of what one cell sees of each block: both sides of items, one level of other facets, all steps."""
    found: dict[str, tuple[int, ...]] = {}
    for block in problem.space.blocks:
        mine = [key for key in keys if key[0] == block.name]
        if mine:
            n_sides = 1 + max(side for _, side, _ in mine)
            facets = [axis for axis in block.labels if axis != "step"]
            inner = (n_sides, *(1 for _ in facets[1:])) if facets else ()
            found[block.name] = (*inner, *((len(mine) // n_sides,) if "step" in block.labels else ()))
    return found
