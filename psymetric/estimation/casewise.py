"""Scores response by response: what each row of a table adds to the gradient of a log-likelihood.

A row depends on one level of every block of parameters, so that its gradient in the constrained values has a handful
of entries and the gradients of a whole table are a sparse matrix. Where subjects are integrated out, a row's part is
the mean of its complete-data gradient over its subject's posterior; the parts of a subject add up to the gradient of
its marginal log-likelihood (Fisher's identity: Louis, 1982, eq. 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.louis import subject_posteriors
from psymetric.estimation.problems import JointProblem, MarginalProblem, distinct_cells
from psymetric.models.base import ABILITY, Table
from psymetric.models.choice import Choices

__all__ = ["choice_scores", "constraint_jacobian", "joint_scores", "marginal_scores", "structural_space"]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]
_Key = tuple[str, int, int | None]

_CHUNK = 4_000_000
"""Numbers in memory at a time: rows × directions × nodes."""
_SIDES = ("left", "right")


@final
@dataclass(frozen=True)
class _Direction:
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


@jax.jit
def constraint_jacobian(space: ParameterSpace, free: Array) -> Array:
    """Derivative of the constrained values, in the order of the blocks, shape (values, parameters)."""

    def flat(point: Array) -> Array:
        values = space.constrain(point)
        return jnp.concatenate([values[block.name].ravel() for block in space.blocks])

    return jax.jacfwd(flat)(free)


def marginal_scores(problem: MarginalProblem, table: Table, free: NDArray[np.float64]) -> csr_array:
    """Posterior means of the rows' gradients in the constrained values, shape (rows, values), weights left out."""
    _, cell = distinct_cells(problem.model, table)
    cells = {name: np.asarray(code) for name, code in problem.cells.items()}
    directions = _directions(problem.space, cells, len(next(iter(cells.values()))))
    point = jnp.asarray(free)
    posterior = np.asarray(subject_posteriors(problem, point)[0])
    slopes = np.asarray(_table_slopes(problem, point, _keys(directions))).transpose(1, 0, 2)
    entry, subject = cell * problem.n_categories + table.response, table.codes["subject"]
    values = np.empty((len(entry), len(directions)))
    size = max(_CHUNK // (len(directions) * posterior.shape[1]), 1)
    for start in range(0, len(entry), size):
        rows = slice(start, start + size)
        values[rows] = np.einsum("rdn,rn->rd", slopes[entry[rows]], posterior[subject[rows]])
    return _sparse(values, [each.position[cell] for each in directions], problem.space)


def joint_scores(problem: JointProblem, table: Table, free: NDArray[np.float64]) -> tuple[csr_array, Matrix]:
    """Gradients of the rows' log-probabilities, weights left out.

    Returns:
        In the constrained values of `structural_space`, shape (rows, values); in the row's own ability, shape (rows,),
        zero for models without one.
    """
    space = structural_space(problem.space)
    codes = {name: jnp.asarray(table.codes[name]) for name in problem.codes}
    directions = _directions(space, table.codes, len(table.response))
    doubled = tuple(dict.fromkeys(each.name for each in directions if each.side))
    has_own = any(block.name == ABILITY for block in problem.space.blocks)
    keys = _keys(directions) + (((ABILITY, 0, None),) if has_own else ())
    response = jnp.asarray(table.response)
    slopes = np.asarray(_row_slopes(problem, jnp.asarray(free), codes, response, doubled, keys))
    ability = slopes[len(directions)] if has_own else np.zeros(len(table.response))
    return _sparse(slopes[: len(directions)].T, [each.position for each in directions], space), ability


def choice_scores(problem: JointProblem, choices: Choices, free: NDArray[np.float64]) -> csr_array:
    """Gradients of the rankings' log-probabilities in the constrained values, weights left out, (rankings, values)."""
    n_values = sum(prod(block.bijector.shape) for block in problem.space.blocks)
    size, parts = max(_CHUNK // n_values, 1), list[csr_array]()
    for start in range(0, len(choices.weight), size):
        rows = slice(start, start + size)
        codes = {name: jnp.asarray(code[rows]) for name, code in choices.codes.items()}
        slopes = _ranking_slopes(problem, jnp.asarray(free), codes, jnp.asarray(choices.response[rows]))
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


def _directions(space: ParameterSpace, codes: Mapping[str, NDArray[np.int32]], n_rows: int) -> list[_Direction]:
    """What rows with these codes depend on; a pair sees two levels of everything that belongs to its items."""
    found: list[_Direction] = []
    first, seen = 0, [block.name for block in space.seen()]
    for block in space.blocks:
        facets = tuple(axis for axis in block.labels if axis != "step")
        sides = len(_SIDES) if facets[:1] == ("item",) and _SIDES[0] in codes else 1
        for side in range(sides if block.name in seen else 0):
            level = np.zeros(n_rows, np.int64)
            for facet, size in zip(facets, block.bijector.shape, strict=False):
                level = level * size + codes[_SIDES[side] if sides > 1 and facet == "item" else facet]
            if "step" in block.labels:
                stride = block.bijector.shape[-1]
                found += [_Direction(block.name, side, s, first + level * stride + s) for s in range(stride)]
            else:
                found.append(_Direction(block.name, side, None, first + level))
        first += prod(block.bijector.shape)
    return found


def _keys(directions: list[_Direction]) -> tuple[_Key, ...]:
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
def _table_slopes(problem: MarginalProblem, free: Array, keys: tuple[_Key, ...]) -> Array:
    """Derivatives of the log-probabilities of cells and categories, shape (directions, rows, nodes)."""
    params = problem.space.constrain(free)
    return jax.lax.map(jax.linearize(problem.table, params)[1], _tangents(params, keys, ()))


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
    params = problem.space.constrain(free)
    # Each side of a pair reads a copy of its own, so that the two levels it sees can be told apart.
    params = {name: jnp.concatenate([value] * 2) if name in doubled else value for name, value in params.items()}
    if doubled:
        codes = codes | {_SIDES[1]: codes[_SIDES[1]] + params[doubled[0]].shape[0] // 2}

    def chosen(values: dict[str, Array]) -> Array:
        log_probs = problem.model.category_log_probs(values, codes, problem.n_categories)
        return jnp.take_along_axis(log_probs, response[:, None], axis=1)[:, 0]

    return jax.lax.map(jax.linearize(chosen, params)[1], _tangents(params, keys, doubled))


def _sparse(values: Matrix, positions: list[Index], space: ParameterSpace) -> csr_array:
    """Rows of values, shape (rows, directions), at their positions in the flat constrained vector."""
    n_rows, n_directions = values.shape
    columns = np.stack(positions, axis=1) if positions else np.zeros((n_rows, 0), np.int64)
    start = np.arange(n_rows + 1) * n_directions
    shape = (n_rows, sum(prod(block.bijector.shape) for block in space.blocks))
    return csr_array((values.ravel(), columns.ravel(), start), shape=shape)
