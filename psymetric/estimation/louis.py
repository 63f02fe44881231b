"""Observed information of a marginal problem by Louis' identity.

The Hessian of a marginal log-likelihood is the expected Hessian of the complete-data log-likelihood plus, for every
subject, the posterior covariance of the complete-data gradient (Louis, 1982, JRSS B 44, 226-233). The first part
lives on the small table of cells × nodes. The second is small as well, because a subject's gradient moves only along
the levels that the subject met: a hundred judges cost no more than the five who rated it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.estimation.problems import MarginalProblem

__all__ = ["marginal_hessian", "subject_posteriors"]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

_CHUNK = 4_000_000
"""Numbers in memory at a time: subjects × local parameters × nodes."""


@final
@dataclass(frozen=True)
class _Local:
    """Gradients of the subjects along one block's levels.

    Attributes:
        gradient: Of the log-likelihood of one subject along one level that it met, shape (owners, width, nodes); owners
            are sorted by subject.
        position: Where the level sits in the flat vector of constrained values, shape (owners, width).
        start: First owner of each subject, shape (subjects + 1,).
    """

    gradient: Matrix
    position: Index
    start: Index


def marginal_hessian(problem: MarginalProblem, free: NDArray[np.float64]) -> Matrix:
    """Exact Hessian of the log density in the free vector, shape (parameters, parameters)."""
    posterior, expected = subject_posteriors(problem, jnp.asarray(free))
    complete, jacobian, derivatives = _on_the_table(problem, jnp.asarray(free), expected)
    posterior, jacobian = np.asarray(posterior), np.asarray(jacobian)
    blocks = [*_local_gradients(problem, np.asarray(derivatives))]
    covariance = np.zeros((len(jacobian), len(jacobian)))
    for subjects in _alike(blocks):
        _add_covariance(covariance, blocks, subjects, posterior[subjects])
    return np.asarray(complete) + jacobian.T @ covariance @ jacobian


@jax.jit
def subject_posteriors(problem: MarginalProblem, free: Array) -> tuple[Array, Array]:
    """Subjects' posteriors on the nodes, shape (subjects, nodes), and expected counts on the table's rows."""
    sums, spread = jax.vjp(problem.responses, problem.table(problem.space.constrain(free)))
    log_joint = sums + problem.log_weights
    posterior = jnp.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    return posterior, spread(posterior)[0]


@jax.jit
def _on_the_table(problem: MarginalProblem, free: Array, expected: Array) -> tuple[Array, Array, Array]:
    """Expected complete-data Hessian, Jacobian of the constraints, and the table's derivatives by direction."""

    def complete(point: Array) -> Array:
        return jnp.sum(expected * problem.table(problem.space.constrain(point))) + problem.penalty(point)

    params = problem.space.constrain(free)
    _, product = jax.linearize(jax.grad(complete), free)
    _, push = jax.linearize(problem.table, params)
    hessian = jax.lax.map(product, jnp.eye(free.shape[0]))
    jacobian = jax.jacfwd(lambda point: _flat(problem.space.constrain(point)))(free)
    return hessian, jacobian, jax.lax.map(push, _directions(problem, params))


def _flat(params: dict[str, Array]) -> Array:
    return jnp.concatenate([params[name].ravel() for name in sorted(params)])


def _blocks(problem: MarginalProblem) -> list[tuple[str, tuple[str, ...], int]]:
    """Blocks that the table depends on: name, axes, and derivatives per row (one, or one per step)."""
    scales = {block.scale for block in problem.space.blocks}
    return [
        (block.name, block.labels, block.bijector.shape[-1] if "step" in block.labels else 1)
        for block in problem.space.blocks
        if block.name not in scales  # the sd of a random facet acts through its levels alone
    ]


def _directions(problem: MarginalProblem, params: dict[str, Array]) -> dict[str, Array]:
    """Tangents that move all levels of a block at once: a row of the table depends on one, so that it sees its own."""
    blocks = _blocks(problem)
    total, start = sum(width for _, _, width in blocks), 0
    tangents = {name: jnp.zeros((total, *value.shape)) for name, value in params.items()}
    for name, axes, width in blocks:
        for step in range(width):
            place = (start + step, ..., step) if "step" in axes else (start,)
            tangents[name] = tangents[name].at[place].set(1.0)
        start += width
    return tangents


def _local_gradients(problem: MarginalProblem, derivatives: Matrix) -> Iterator[_Local]:
    """Sum the derivatives of the table, shape (directions, rows, nodes), by subject and level, block by block."""
    owner, row, weight = problem.responses.entries()
    cell = row // problem.n_categories
    shapes = {block.name: block.bijector.shape for block in problem.space.blocks}
    sizes = {name: int(np.prod(shape, dtype=np.int64)) for name, shape in shapes.items()}
    offsets = dict(zip(sorted(sizes), np.cumsum([0, *(sizes[name] for name in sorted(sizes))]).tolist(), strict=False))
    _, n_rows, n_nodes = derivatives.shape
    n_owners, first = problem.responses.n_owners, 0
    for name, axes, width in _blocks(problem):
        if width == 0:
            continue
        own = derivatives[first : first + width].transpose(1, 0, 2).reshape(n_rows, width * n_nodes)
        first += width
        level = np.zeros(len(cell), np.int64)
        for facet, size in zip((axis for axis in axes if axis != "step"), shapes[name], strict=False):
            level = level * size + np.asarray(problem.cells[facet])[cell]
        keys, place = _met(owner, level, n_owners, sizes[name] // width)
        gradient: Matrix = np.asarray(csr_array((weight, (place, row)), shape=(len(keys), n_rows)) @ own)
        subject, level = np.divmod(keys, sizes[name] // width)
        position = offsets[name] + level[:, None] * width + np.arange(width)
        start = np.searchsorted(subject, np.arange(n_owners + 1))
        yield _Local(gradient.reshape(len(subject), width, n_nodes), position, start)


def _met(owner: Index, level: Index, n_owners: int, n_levels: int) -> tuple[Index, Index]:
    """Sorted keys `owner · n_levels + level` of the pairs that occur, and where each entry stands among them."""
    if n_levels == 1:
        return np.arange(n_owners), owner
    keys, place = np.unique(owner * n_levels + level, return_inverse=True)
    return keys, place.reshape(-1)


def _alike(blocks: list[_Local]) -> Iterator[Index]:
    """Subjects that met equally many levels of every block, in groups small enough to hold."""
    counts = np.stack([np.diff(block.start) for block in blocks], axis=1)
    _, group = np.unique(counts, axis=0, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group.reshape(-1)[order])) + 1):
        per_subject = sum(
            int(n) * block.gradient.shape[1] * block.gradient.shape[2]
            for n, block in zip(counts[members[0]], blocks, strict=True)
        )
        yield from np.array_split(members, max(1, -(-len(members) * per_subject // _CHUNK)))


def _add_covariance(total: Matrix, blocks: list[_Local], subjects: Index, posterior: Matrix) -> None:
    """Add the posterior covariances of some subjects' gradients at the places of their levels."""
    gradients, positions = [], []
    for block in blocks:
        first = block.start[subjects]
        mine = first[:, None] + np.arange(block.start[subjects[0] + 1] - first[0])
        gradients.append(block.gradient[mine].reshape(len(subjects), -1, posterior.shape[1]))
        positions.append(block.position[mine].reshape(len(subjects), -1))
    gradient, position = np.concatenate(gradients, axis=1), np.concatenate(positions, axis=1)
    gradient -= np.einsum("smq,sq->sm", gradient, posterior)[:, :, None]
    gradient *= np.sqrt(posterior)[:, None, :]
    products = gradient @ gradient.transpose(0, 2, 1)
    flat = position[:, :, None] * len(total) + position[:, None, :]
    np.add.at(total.reshape(-1), flat.ravel(), products.ravel())
