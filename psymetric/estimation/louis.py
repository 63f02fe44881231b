"""Observed information of a marginal problem by Louis' identity.

The Hessian of a marginal log-likelihood is the expected Hessian of the complete-data log-likelihood plus, for every
subject, the posterior covariance of the complete-data gradient (Louis, 1982, JRSS B 44, 226-233). Both are taken in
the constrained values, where a row of the table (cells × categories, nodes) depends on one level of every block: a
handful of directions instead of all parameters. A subject's gradient moves along the levels that the subject met, and
counts on the nodes where the subject may be: a hundred judges cost no more than the five who rated it, and a grid of a
hundred nodes no more than the thirty under its posterior.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.complete_sum import CompleteSum
from psymetric.core.distinct import factorized
from psymetric.core.parameters import ParameterSpace, constrain, jacobian
from psymetric.estimation.fisher import evaluated
from psymetric.estimation.louis_complete import complete_covariances
from psymetric.estimation.problems import MarginalProblem
from psymetric.models.base import DIMENSION

__all__ = ["Direction", "all_levels", "curved", "directions_of", "marginal_hessian"]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

_CHUNK = 4_000_000
"""Numbers in memory at a time: subjects × levels met × nodes."""
_SUBJECTS = 1024
"""Most subjects in a chunk: more of them spread over more nodes."""
_NEGLIGIBLE = 1e-13
"""Posterior mass of a node that no covariance can show."""


@final
@dataclass(frozen=True)
class Direction:
    """Constrained values of which a row of the table depends on one: the levels of a block, one step of them.

    Attributes:
        name: The block.
        step: Which step, or which dimension, or None.
        level: On which each cell depends, of the cells' shape.
        first, stride: Level k has its value at `first + k · stride` of the flat constrained vector.
    """

    name: str
    step: int | None
    level: Index
    first: int
    stride: int

    def position(self, level: Index) -> Index:
        """Places of some levels in the flat constrained vector."""
        return self.first + level * self.stride


def marginal_hessian(problem: MarginalProblem, free: NDArray[np.float64]) -> Matrix:
    """Exact Hessian of the log density in the free vector, shape (parameters, parameters)."""
    params = constrain(problem.space, free)
    at = evaluated(problem, params)
    directions = directions_of(problem.space, problem.cells)
    found = _on_the_table(problem, params, at.expected, tuple((each.name, each.step) for each in directions))
    # while the table is differentiated on the other core
    met = [] if isinstance(problem.responses, CompleteSum) else [*_met(problem, directions)]
    posterior, bends = at.posterior, np.asarray(found[1])
    slopes = np.ascontiguousarray(np.asarray(found[0]).swapaxes(0, 1))
    position = np.stack([direction.position(direction.level) for direction in directions])
    n_values = sum(prod(block.bijector.shape) for block in problem.space.blocks)
    total = np.zeros((n_values, n_values))
    for one, other, bend in zip(*np.triu_indices(len(directions)), bends, strict=True):
        np.add.at(total, (position[one], position[other]), bend)
        if one != other:
            np.add.at(total, (position[other], position[one]), bend)
    multiplicity, spread = np.asarray(problem.multiplicity), None
    if isinstance(problem.responses, CompleteSum):
        spread = complete_covariances(problem.responses, position, slopes, posterior, multiplicity)
    if spread is not None:
        total[np.ix_(spread[0], spread[0])] += spread[1]
    else:
        _add_covariances(total, met or [*_met(problem, directions)], slopes, posterior, multiplicity)
    return curved(problem.space, free, total, at.gradient, prior=problem.prior)


def curved(
    space: ParameterSpace, free: ArrayLike, hessian: Matrix, gradient: Mapping[str, ArrayLike], *, prior: bool
) -> Matrix:
    """Hessian of a log density in the free vector, from that of its likelihood in the constrained values.

    Args:
        space: The layout.
        free: Free vector, shape (parameters,).
        hessian: Shape (values, values), arrays in the order of their names.
        gradient: Of the likelihood in the constrained arrays.
        prior: As in `ParameterSpace.penalty`.
    """
    arrays = jacobian(space, free)
    moves = np.concatenate([np.asarray(arrays[name]).reshape(-1, space.size) for name in sorted(arrays)])
    return moves.T @ hessian @ moves + np.asarray(_bend(space, free, dict(gradient), prior))


@partial(jax.jit, static_argnames="prior")
def _bend(space: ParameterSpace, free: ArrayLike, gradient: dict[str, ArrayLike], prior: bool) -> Array:
    """What the bending of the constrained arrays and the penalty add to the Hessian."""

    def bent(point: Array) -> Array:
        values = space.constrain(point)
        return sum(
            (jnp.vdot(gradient[name], value) for name, value in values.items()), space.penalty(point, prior=prior)
        )

    return jax.hessian(bent)(jnp.asarray(free))


def directions_of(
    space: ParameterSpace, cells: Mapping[str, Array], *, dims: tuple[int, ...] = (), unseen: tuple[str, ...] = ()
) -> list[Direction]:
    """The directions of a layout and its cells.

    Args:
        space: The layout.
        cells: Codes of facets, of one shape.
        dims: The dimensions that the cells measure, where there are several.
        unseen: Blocks to leave out.
    """
    sizes = {block.name: prod(block.bijector.shape) for block in space.blocks}
    offset = dict(zip(sorted(sizes), np.cumsum([0, *(sizes[name] for name in sorted(sizes))]).tolist(), strict=False))
    found: list[Direction] = []
    inner: dict[str, tuple[int, ...] | None] = {"step": None, DIMENSION: dims}
    for block in space.seen():
        if block.name in unseen:
            continue
        level = np.zeros(next(iter(cells.values())).shape, np.int64)
        for facet, size in zip(
            (axis for axis in block.labels if axis not in inner), block.bijector.shape, strict=False
        ):
            level = level * size + np.asarray(cells[facet])
        first = offset[block.name]
        if block.labels and block.labels[-1] in inner:
            stride = block.bijector.shape[-1]
            places = inner[block.labels[-1]]
            found += [
                Direction(block.name, place, level, first + place, stride)
                for place in (range(stride) if places is None else places)
            ]
        else:
            found.append(Direction(block.name, None, level, first, 1))
    return found


def all_levels(params: Mapping[str, Array], directions: tuple[tuple[str, int | None], ...]) -> dict[str, Array]:
    """Tangents of the parameters that move all levels of a block at once, shape (directions, ...) each."""
    tangents = {name: jnp.zeros((len(directions), *value.shape)) for name, value in params.items()}
    for place, (name, step) in enumerate(directions):
        index = (place, ...) if step is None else (place, ..., step)
        tangents[name] = tangents[name].at[index].set(1.0)
    return tangents


@partial(jax.jit, static_argnames="directions")
def _on_the_table(
    problem: MarginalProblem,
    params: dict[str, Array],
    expected: Array,
    directions: tuple[tuple[str, int | None], ...],
) -> tuple[Array, Array]:
    """Derivatives of the table by direction, and the expected log-likelihood's second ones by cell.

    All levels of a block move at once, since a row sees its own: shapes (directions, rows, nodes), and (pairs, cells)
    for the pairs of directions of an upper triangle.
    """
    tangents = all_levels(params, directions)

    def by_cell(values: Array) -> Array:
        return jnp.sum((expected * values).reshape(-1, problem.n_categories * expected.shape[1]), axis=1)

    def bend(pair: Array) -> Array:
        one, other = ({name: tangent[place] for name, tangent in tangents.items()} for place in pair)
        return by_cell(jax.jvp(lambda at: jax.jvp(problem.table, (at,), (one,))[1], (params,), (other,))[1])

    slopes = jax.lax.map(jax.linearize(problem.table, params)[1], tangents)
    return slopes, jax.lax.map(bend, np.stack(np.triu_indices(len(directions)), axis=1))


@final
@dataclass(frozen=True)
class _Met:
    """The levels that subjects met, for directions that move along the same ones.

    Attributes:
        directions: Their places among all directions.
        sums: Adds the rows of the table, shape (owners + 1, rows): owners are (subject, level) pairs sorted by subject,
            the last one has nothing.
        start: First owner of each subject, shape (subjects + 1,).
        position: In the flat constrained vector, shape (owners + 1, directions).
    """

    directions: list[int]
    sums: csr_array
    start: Index
    position: Index

    def gradients(self, slopes: Matrix, subjects: Index) -> tuple[Matrix, Index]:
        """Gradients of some subjects, shape (subjects, most met, nodes), and their positions; zero beyond those met.

        `slopes` are the derivatives of the table along `directions`, shape (rows, directions, nodes).
        """
        first, count = self.start[subjects], self.start[subjects + 1] - self.start[subjects]
        slot = np.arange(int(count.max(initial=0)))
        owner = np.where(slot < count[:, None], first[:, None] + slot, len(self.position) - 1)
        sums = self.sums[owner.ravel()] @ slopes.reshape(len(slopes), -1)
        return sums.reshape(len(subjects), -1, slopes.shape[2]), self.position[owner].reshape(len(subjects), -1)


def _met(problem: MarginalProblem, directions: list[Direction]) -> Iterator[_Met]:
    counts = problem.responses.matrix()
    n_subjects, n_rows = problem.responses.shape
    subject_of, cell = np.repeat(np.arange(n_subjects), np.diff(counts.indptr)), counts.indices // problem.n_categories
    alike: dict[bytes, list[int]] = {}
    for place, direction in enumerate(directions):
        alike.setdefault(direction.level.tobytes(), []).append(place)
    for places in alike.values():
        level = directions[places[0]].level
        n_levels = int(level.max()) + 1
        keys, owner = factorized(subject_of * n_levels + level[cell], n_subjects * n_levels)
        subject, met = np.divmod(np.append(keys, 0), n_levels)
        sums = csr_array((counts.data, (owner, counts.indices)), shape=(len(keys) + 1, n_rows))
        start = np.searchsorted(subject[:-1], np.arange(n_subjects + 1))
        yield _Met(places, sums, start, np.stack([directions[place].position(met) for place in places], axis=1))


def _chunks(met: list[_Met], posterior: Matrix) -> Iterator[Index]:
    """Subjects who met about equally many levels and stand at about the same place, in groups small enough to hold."""
    # A subject without a response of positive weight met no level.
    size = np.maximum(np.sum([np.diff(each.start) * len(each.directions) for each in met], axis=0), 1)
    group, place = np.ceil(4 * np.log2(size)), posterior @ np.arange(posterior.shape[1])
    order = np.lexsort((place, group))
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        most = min(_SUBJECTS, _CHUNK // int(size[members].max() * posterior.shape[1]))
        yield from np.array_split(members, -(-len(members) // max(most, 1)))


def _gradients(met: list[_Met], slopes: list[Matrix], subjects: Index, posterior: Matrix) -> tuple[Index, Matrix]:
    """Positions of what some subjects met, shape (subjects, met), and their gradients there.

    Gradients are centred at their posterior mean and carry the root of the posterior, shape (subjects, met, nodes), so
    that their products over nodes are posterior covariances. `slopes` holds the table's along the directions of each
    of `met`.
    """
    mass = posterior[subjects]
    reached = np.flatnonzero(mass.max(axis=0) > _NEGLIGIBLE)
    window = slice(int(reached[0]), int(reached[-1]) + 1)
    mass = mass[:, window]
    parts = [each.gradients(own[:, :, window], subjects) for each, own in zip(met, slopes, strict=True)]
    gradient = np.concatenate([part[0] for part in parts], axis=1)
    gradient -= gradient @ mass[:, :, None]
    gradient *= np.sqrt(mass)[:, None, :]
    return np.concatenate([part[1] for part in parts], axis=1), gradient


def _add_covariances(total: Matrix, met: list[_Met], slopes: Matrix, posterior: Matrix, multiplicity: Matrix) -> None:
    """Add the posterior covariances of the subjects' gradients."""
    along = [slopes[:, each.directions] for each in met]
    for subjects in _chunks(met, posterior):
        position, gradient = _gradients(met, along, subjects, posterior)
        _add_products(total, position, gradient * np.sqrt(multiplicity[subjects])[:, None, None])


def _add_products(total: Matrix, position: Index, gradient: Matrix) -> None:
    """Add the products of some subjects' gradients at pairs of their positions."""
    if (position == position[0]).all():  # all met the same, as in an inventory: one product for all of them
        n_subjects, n_met, n_nodes = gradient.shape
        stacked = gradient.transpose(1, 0, 2).reshape(n_met, n_subjects * n_nodes)
        total[np.ix_(position[0], position[0])] += stacked @ stacked.T
        return
    products = (gradient @ gradient.transpose(0, 2, 1)).ravel()
    flat = (position[:, :, None] * len(total) + position[:, None, :]).ravel()
    if total.size <= len(flat):
        total += np.bincount(flat, weights=products, minlength=total.size).reshape(total.shape)
    else:
        np.add.at(total.reshape(-1), flat, products)
