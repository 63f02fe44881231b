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

__all__ = ["marginal_hessian"]

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
    complete, posterior, jacobian, derivatives = _pieces(problem, jnp.asarray(free))
    posterior, jacobian = np.asarray(posterior), np.asarray(jacobian)
    blocks = [*_local_gradients(problem, {name: np.asarray(value) for name, value in derivatives.items()})]
    covariance = np.zeros((len(jacobian), len(jacobian)))
    for subjects in _alike(blocks):
        _add_covariance(covariance, blocks, subjects, posterior[subjects])
    return np.asarray(complete) + jacobian.T @ covariance @ jacobian


@jax.jit
def _pieces(problem: MarginalProblem, free: Array) -> tuple[Array, Array, Array, dict[str, Array]]:
    """Expected complete-data Hessian, posteriors, Jacobian of the constraints, and derivatives of the table."""
    params = problem.space.constrain(free)
    sums, spread = jax.vjp(problem.responses, problem.table(params))
    log_joint = sums + problem.log_weights
    posterior = jnp.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    expected = spread(posterior)[0]

    def complete(point: Array) -> Array:
        return jnp.sum(expected * problem.table(problem.space.constrain(point))) + problem.penalty(point)

    _, product = jax.linearize(jax.grad(complete), free)
    hessian = jax.lax.map(product, jnp.eye(free.shape[0]))
    jacobian = jax.jacfwd(lambda point: _flat(problem.space.constrain(point)))(free)
    _, push = jax.linearize(problem.table, params)
    still = jax.tree.map(jnp.zeros_like, params)
    derivatives = {
        name: jnp.stack([push(still | {name: tangent}) for tangent in _directions(value, axes)], axis=1)
        for name, value, axes in ((name, params[name], axes) for name, axes in _axes(problem).items())
    }
    return hessian, posterior, jacobian, derivatives


def _flat(params: dict[str, Array]) -> Array:
    return jnp.concatenate([params[name].ravel() for name in sorted(params)])


def _axes(problem: MarginalProblem) -> dict[str, tuple[str, ...]]:
    """Blocks the table depends on and their axes; the sd of a random facet acts through its levels alone."""
    scales = {block.scale for block in problem.space.blocks}
    return {block.name: block.labels for block in problem.space.blocks if block.name not in scales}


def _directions(value: Array, axes: tuple[str, ...]) -> list[Array]:
    """Tangents that move every level at once: a row of the table depends on one level, so that it sees its own."""
    if "step" not in axes:
        return [jnp.ones_like(value)]
    return [jnp.zeros_like(value).at[:, step].set(1.0) for step in range(value.shape[-1])]


def _local_gradients(problem: MarginalProblem, derivatives: dict[str, Matrix]) -> Iterator[_Local]:
    """Sum the derivatives of the table by subject and level, one block at a time."""
    owner, row, weight = problem.responses.entries()
    cell = row // problem.n_categories
    shapes = {block.name: block.bijector.shape for block in problem.space.blocks}
    sizes = {name: int(np.prod(shape, dtype=np.int64)) for name, shape in shapes.items()}
    offsets = dict(zip(sorted(sizes), np.cumsum([0, *(sizes[name] for name in sorted(sizes))]).tolist(), strict=False))
    for name, axes in _axes(problem).items():
        facets = [axis for axis in axes if axis != "step"]
        n_rows, width, n_nodes = derivatives[name].shape
        if width == 0:
            continue
        level = np.zeros(len(cell), np.int64)
        for facet, size in zip(facets, shapes[name], strict=False):
            level = level * size + np.asarray(problem.cells[facet])[cell]
        n_levels = sizes[name] // width
        keys, place = np.unique(owner * n_levels + level, return_inverse=True)
        sums = csr_array((weight, (place.reshape(-1), row)), shape=(len(keys), n_rows))
        gradient: Matrix = np.asarray(sums @ derivatives[name].reshape(n_rows, width * n_nodes))
        subject, level = np.divmod(keys, n_levels)
        position = offsets[name] + level[:, None] * width + np.arange(width)
        start = np.searchsorted(subject, np.arange(problem.responses.n_owners + 1))
        yield _Local(gradient.reshape(len(keys), width, n_nodes), position, start)


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
