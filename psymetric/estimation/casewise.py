"""Scores response by response: what each row of a table adds to the gradient of a log-likelihood.

A row depends on one level of every block of parameters, so that its gradient in the constrained values has a handful
of entries and the gradients of a whole table are a sparse matrix. Where subjects are integrated out, a row's part is
the mean of its complete-data gradient over its subject's posterior; the parts of a subject add up to the gradient of
its marginal log-likelihood (Fisher's identity: Louis, 1982, eq. 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from psymetric.core.parameters import ParameterSpace, constrain, jacobian
from psymetric.data.coding import SIDES
from psymetric.estimation.cells import distinct_cells
from psymetric.estimation.fisher import evaluated
from psymetric.estimation.louis import curved
from psymetric.estimation.problems import JointProblem, MarginalProblem
from psymetric.models.base import ABILITY, Table
from psymetric.models.choice import Choices

__all__ = [
    "Direction",
    "choice_scores",
    "constraint_jacobian",
    "joint_hessian",
    "joint_scores",
    "marginal_scores",
    "pulled_back",
    "row_directions",
    "structural_space",
    "subject_scores",
]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]
_Key = tuple[str, int, int | None]

_CHUNK = 4_000_000
"""Numbers in memory at a time: rows × directions × nodes."""


@final
@dataclass(frozen=True)
class Direction:
    """Constrained values of which a row sees one.

    Attributes:
        name: The block.
        side: 0 or 1 for the first or second of two codes into the same levels, else 0.
        step: Which step, or None.
        position: Of the value each row sees, in the flat constrained vector, shape (rows,).
    """

    name: str
    side: int
    step: int | None
    position: Index


def structural_space(space: ParameterSpace) -> ParameterSpace:
    """The space without the subjects' parameters."""
    return ParameterSpace(tuple(block for block in space.blocks if block.name != ABILITY))


def _flat(space: ParameterSpace, free: Array) -> Array:
    """The constrained values in the order of the blocks, shape (values,)."""
    values = space.constrain(free)
    return jnp.concatenate([values[block.name].ravel() for block in space.blocks])


def constraint_jacobian(space: ParameterSpace, free: ArrayLike) -> Matrix:
    """Derivative of the constrained values, in the order of the blocks, shape (values, parameters)."""
    arrays = jacobian(space, free)
    return np.concatenate([np.asarray(arrays[block.name]).reshape(-1, space.size) for block in space.blocks])


def marginal_scores(problem: MarginalProblem, table: Table, free: NDArray[np.float64]) -> csr_array:
    """Posterior means of the rows' gradients in the constrained values, shape (rows, values), weights left out."""
    _, cell = distinct_cells(problem.model, table)
    cells = {name: np.asarray(code) for name, code in problem.cells.items()}
    directions = row_directions(problem.space, cells, len(next(iter(cells.values()))))
    params = constrain(problem.space, free)
    posterior = evaluated(problem, params).posterior
    slopes = np.asarray(_table_slopes(problem, params, _keys(directions))).transpose(1, 0, 2)
    entry, subject = cell * problem.n_categories + table.response, table.codes["subject"]
    values = np.empty((len(entry), len(directions)))
    size = max(_CHUNK // (len(directions) * posterior.shape[1]), 1)
    for start in range(0, len(entry), size):
        rows = slice(start, start + size)
        values[rows] = np.einsum("rdn,rn->rd", slopes[entry[rows]], posterior[subject[rows]])
    return _sparse(values, [each.position[cell] for each in directions], problem.space)


def subject_scores(problem: MarginalProblem, free: NDArray[np.float64]) -> Matrix:
    """Gradients of the subjects' marginal log-likelihoods in the free vector, shape (subjects, parameters).

    For any population: what a subject's group and covariates contribute belongs to the subject and to none of its rows.
    """
    return np.asarray(_subject_slopes(problem, jax.device_put(free)))


@jax.jit
def _subject_slopes(problem: MarginalProblem, free: Array) -> Array:
    """Forward, a parameter at a time: memory stays that of one evaluation."""
    _, product = jax.linearize(lambda point: logsumexp(problem.log_joint(point), axis=1), free)
    return jax.lax.map(product, jnp.eye(free.shape[0])).T


def joint_scores(problem: JointProblem, table: Table, free: NDArray[np.float64]) -> tuple[csr_array, Matrix]:
    """Gradients of the rows' log-probabilities, weights left out.

    Returns:
        In the constrained values of `structural_space`, shape (rows, values); in the row's own ability, shape (rows,),
        zero for models without one.
    """
    space = structural_space(problem.space)
    codes = {name: jax.device_put(table.codes[name]) for name in problem.codes}
    directions = row_directions(space, table.codes, len(table.response))
    doubled = tuple(dict.fromkeys(each.name for each in directions if each.side))
    has_own = any(block.name == ABILITY for block in problem.space.blocks)
    keys = _keys(directions) + (((ABILITY, 0, None),) if has_own else ())
    response = jax.device_put(table.response)
    slopes = np.asarray(_row_slopes(problem, jax.device_put(free), codes, response, doubled, keys))
    ability = slopes[len(directions)] if has_own else np.zeros(len(table.response))
    return _sparse(slopes[: len(directions)].T, [each.position for each in directions], space), ability


def joint_hessian(problem: JointProblem, free: NDArray[np.float64]) -> Matrix:
    """Hessian of the log density of comparisons, put together from the handful of values that each row sees.

    Shape (parameters, parameters). The work grows with rows times squared directions, not with rows times parameters.
    """
    directions, doubled = _of_comparisons(problem)
    found = _row_curvatures(problem, jax.device_put(free), doubled, _keys(directions))
    slopes, curvatures = (np.asarray(part) for part in found)
    shapes = {block.name: block.bijector.shape for block in problem.space.blocks}
    ends = np.cumsum([prod(shape) for shape in shapes.values()])
    n_values, by_name = int(ends[-1]), dict(zip(shapes, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
    gradient, hessian = np.zeros(n_values), np.zeros(n_values**2)
    for one, slope, row in zip(directions, slopes, curvatures, strict=True):
        gradient += np.bincount(one.position, slope, n_values)
        for other, curvature in zip(directions, row, strict=True):
            hessian += np.bincount(one.position * n_values + other.position, curvature, n_values**2)
    order = np.concatenate([by_name[name] for name in sorted(by_name)])
    hessian = hessian.reshape(n_values, n_values)[np.ix_(order, order)]
    slope_of = {name: gradient[place].reshape(shapes[name]) for name, place in by_name.items()}
    return curved(problem.space, free, hessian, slope_of, prior=problem.prior)


def _of_comparisons(problem: JointProblem) -> tuple[list[Direction], tuple[str, ...]]:
    """What the rows of a problem depend on, and the blocks of which they see two levels."""
    codes = {name: np.asarray(code) for name, code in problem.codes.items()}
    directions = row_directions(problem.space, codes, len(problem.response))
    return directions, tuple(dict.fromkeys(each.name for each in directions if each.side))


def choice_scores(problem: JointProblem, choices: Choices, free: NDArray[np.float64]) -> csr_array:
    """Gradients of the rankings' log-probabilities in the constrained values, weights left out, (rankings, values)."""
    n_values = sum(prod(block.bijector.shape) for block in problem.space.blocks)
    size, parts = max(_CHUNK // n_values, 1), list[csr_array]()
    for start in range(0, len(choices.weight), size):
        rows = slice(start, start + size)
        codes = {name: jax.device_put(code[rows]) for name, code in choices.codes.items()}
        slopes = _ranking_slopes(problem, jax.device_put(free), codes, jax.device_put(choices.response[rows]))
        parts.append(csr_array(np.asarray(slopes)))
    return csr_array(vstack(parts))


@jax.jit
def _ranking_slopes(problem: JointProblem, free: Array, codes: dict[str, Array], response: Array) -> Array:
    """Derivative of every ranking's log-probability, shape (rankings, values)."""
    params = problem.space.constrain(free)

    def one(code: dict[str, Array], answer: Array) -> Array:
        def log_prob(values: dict[str, Array]) -> Array:
            row = {name: value[None] for name, value in code.items()}
            return problem.model.response_log_probs(values, row, answer[None], problem.n_categories)[0]

        slopes = jax.grad(log_prob)(params)
        return jnp.concatenate([slopes[block.name].ravel() for block in problem.space.blocks])

    return jax.vmap(one)(codes, response)


def row_directions(space: ParameterSpace, codes: Mapping[str, NDArray[np.int32]], n_rows: int) -> list[Direction]:
    """What rows with these codes depend on; a pair sees two levels of everything that belongs to its items."""
    found: list[Direction] = []
    first, seen = 0, [block.name for block in space.seen()]
    for block in space.blocks:
        facets = tuple(axis for axis in block.labels if axis != "step")
        sides = len(SIDES) if facets[:1] == ("item",) and SIDES[0] in codes else 1
        for side in range(sides if block.name in seen else 0):
            level = np.zeros(n_rows, np.int64)
            for facet, size in zip(facets, block.bijector.shape, strict=False):
                level = level * size + codes[SIDES[side] if sides > 1 and facet == "item" else facet]
            if "step" in block.labels:
                stride = block.bijector.shape[-1]
                found += [Direction(block.name, side, s, first + level * stride + s) for s in range(stride)]
            else:
                found.append(Direction(block.name, side, None, first + level))
        first += prod(block.bijector.shape)
    return found


def _keys(directions: list[Direction]) -> tuple[_Key, ...]:
    return tuple((each.name, each.side, each.step) for each in directions)


def _tangents(params: dict[str, Array], keys: tuple[_Key, ...], doubled: tuple[str, ...]) -> dict[str, Array]:
    """All levels of a block, or of one side of it, moved at once: a row sees its own."""
    tangents = {name: jnp.zeros((len(keys), *value.shape)) for name, value in params.items()}
    for place, (name, side, step) in enumerate(keys):
        half = params[name].shape[0] // 2 if name in doubled else None
        levels = () if half is None else (slice(side * half, (side + 1) * half),)
        index = (place, *levels, ...) if step is None else (place, *levels, ..., step)
        tangents[name] = tangents[name].at[index].set(1.0)
    return tangents


@partial(jax.jit, static_argnames="keys")
def _table_slopes(problem: MarginalProblem, params: dict[str, Array], keys: tuple[_Key, ...]) -> Array:
    """Derivatives of the log-probabilities of cells and categories, shape (directions, rows, nodes)."""
    return jax.lax.map(jax.linearize(problem.table, params)[1], _tangents(params, keys, ()))


def _chosen(
    problem: JointProblem, params: dict[str, Array], codes: dict[str, Array], response: Array, doubled: tuple[str, ...]
) -> tuple[Callable[[dict[str, Array]], Array], dict[str, Array]]:
    """The rows' log-probabilities as a function of constrained arrays, and these arrays.

    Each side of a pair reads a copy of its own, so that the two levels it sees can be told apart.
    """
    values = {name: jnp.concatenate([value] * 2) if name in doubled else value for name, value in params.items()}
    if doubled:
        codes = codes | {SIDES[1]: codes[SIDES[1]] + params[doubled[0]].shape[0]}

    def chosen(values: dict[str, Array]) -> Array:
        log_probs = problem.model.category_log_probs(values, codes, problem.n_categories)
        return jnp.take_along_axis(log_probs, response[:, None], axis=1)[:, 0]

    return chosen, values


@partial(jax.jit, static_argnames=("doubled", "keys"))
def _row_slopes(
    problem: JointProblem,
    free: Array,
    codes: dict[str, Array],
    response: Array,
    doubled: tuple[str, ...],
    keys: tuple[_Key, ...],
) -> Array:
    """Derivatives of the rows' log-probabilities, shape (directions, rows)."""
    chosen, params = _chosen(problem, problem.space.constrain(free), codes, response, doubled)
    return jax.lax.map(jax.linearize(chosen, params)[1], _tangents(params, keys, doubled))


def pulled_back(problem: JointProblem, points: Matrix, gradients: Matrix) -> Matrix:
    """From gradients in the constrained values, in the order of the blocks, to those of the log density.

    Args:
        problem: Its priors are part of the density where it has them.
        points: Free vectors, shape (points, parameters).
        gradients: Of the log-likelihood at these, shape (points, values).

    Returns:
        Gradients in the free vectors, shape (points, parameters).
    """
    return np.asarray(_pulled_back(problem, *jax.device_put((points, gradients))))


@jax.jit
def _pulled_back(problem: JointProblem, points: Array, gradients: Array) -> Array:

    def one(point: Array, gradient: Array) -> Array:
        return jax.grad(lambda free: gradient @ _flat(problem.space, free) + problem.penalty(free))(point)

    return jax.vmap(one)(points, gradients)


@partial(jax.jit, static_argnames=("doubled", "keys"))
def _row_curvatures(
    problem: JointProblem, free: Array, doubled: tuple[str, ...], keys: tuple[_Key, ...]
) -> tuple[Array, Array]:
    """First and second derivatives of the weighted log-probabilities: (directions, rows), (directions, same, rows)."""
    chosen, params = _chosen(problem, problem.space.constrain(free), problem.codes, problem.response, doubled)
    tangents = _tangents(params, keys, doubled)

    def slopes(values: dict[str, Array]) -> Array:
        return jax.vmap(lambda tangent: jax.jvp(chosen, (values,), (tangent,))[1])(tangents)

    first, second = jax.linearize(slopes, params)
    return problem.weight * first, problem.weight * jax.lax.map(second, tangents)


def _sparse(values: Matrix, positions: list[Index], space: ParameterSpace) -> csr_array:
    """Rows of values, shape (rows, directions), at their positions in the flat constrained vector."""
    n_rows, n_directions = values.shape
    columns = np.stack(positions, axis=1) if positions else np.zeros((n_rows, 0), np.int64)
    start = np.arange(n_rows + 1) * n_directions
    shape = (n_rows, sum(prod(block.bijector.shape) for block in space.blocks))
    return csr_array((values.ravel(), columns.ravel(), start), shape=shape)
