"""Observed information of a model of several abilities by Louis' identity.

As in `estimation/louis.py`, in the constrained values: the expected Hessian of the complete-data log-likelihood plus,
for every subject, the posterior covariance of the complete-data gradient. That gradient is a sum of parts, each of
which varies along few axes of the subject's window: the items that measure the same dimensions, and the population,
whose log density is a quadratic function of the abilities. Covariances of two parts need the posterior mass on their
axes only, and are matrix products over subjects and nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from math import prod
from typing import Any, NamedTuple, final

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.estimation.louis import Direction, all_levels, curved, directions_of
from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.window_rows import ItemGroup, Subjects
from psymetric.estimation.window_sums import population_terms, terms_of
from psymetric.estimation.windows import Integral
from psymetric.models.space import CORRELATION, POPULATION_MEAN, POPULATION_SD

__all__ = ["dimensions_hessian"]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

_POPULATION = (POPULATION_MEAN, POPULATION_SD, CORRELATION)
_AXES = "abcdefgh"
_AT_ONCE = 1 << 22
"""Numbers in memory at a time."""


@final
@dataclass(frozen=True)
class _Part:
    """How the responses to the items of some dimensions move the parameters.

    Attributes:
        keys: Block, and step or dimension, of every direction.
        position: Of the level that a response sees, in the flat constrained vector, shape (S, slots, directions).
        values: Distinct positions, shape (P,). place: Of `position` among them, shape (S, slots · directions).
    """

    keys: tuple[tuple[str, int | None], ...]
    position: Index
    values: Index
    place: NDArray[np.int32]

    @classmethod
    def of(cls, problem: MultidimensionalProblem, group: ItemGroup) -> _Part:
        found: list[Direction] = directions_of(problem.space, group.codes, dims=group.dims, unseen=_POPULATION)
        position = np.stack([direction.position(direction.level) for direction in found], axis=2)
        values, place = np.unique(position, return_inverse=True)
        keys = tuple((direction.name, direction.step) for direction in found)
        return cls(keys, position, values, place.reshape(len(position), -1).astype(np.int32))


class _Found(NamedTuple):
    """What some subjects add, by part.

    Attributes:
        blocks: Covariances of parts i <= j, shape (P_i, P_j). crossed: Of parts with the population, (P_i, Q).
        population: Covariance and expected Hessian of the population, shape (Q, Q). slope: Its gradient, shape (Q,).
        gradient: Expected gradients, (P_i,). curvature: Expected Hessians by response, (directions, directions, S,
            slots).
    """

    blocks: dict[tuple[int, int], Array]
    crossed: list[Array]
    population: Array
    slope: Array
    gradient: list[Array]
    curvature: list[Array]


def dimensions_hessian(problem: MultidimensionalProblem, free: Matrix) -> Matrix:
    """Exact Hessian of the log density in the free vector, shape (parameters, parameters)."""
    point, subjects = jax.device_put(free), problem.integral.subjects
    parts = [_Part.of(problem, group) for group in subjects.groups]
    sizes = {block.name: prod(block.bijector.shape) for block in problem.space.blocks}
    offset = dict(zip(sorted(sizes), np.cumsum([0, *(sizes[name] for name in sorted(sizes))]).tolist(), strict=False))
    known = np.concatenate([offset[name] + np.arange(sizes[name]) for name in _POPULATION])
    n_values = sum(sizes.values())
    total, gradient = np.zeros((n_values, n_values)), np.zeros(n_values)
    keys, widths = tuple(part.keys for part in parts), tuple(len(part.values) for part in parts)
    for chosen, times in _pieces(problem, parts):
        some: Subjects = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], subjects)
        places = [jax.device_put(part.place[chosen]) for part in parts]
        found = _piece(problem.space, problem.integral, point, some, jax.device_put(times), places, keys, widths)
        found = jax.tree.map(np.asarray, found)
        _add(total, gradient, parts, known, found, chosen)
    shapes = {block.name: block.bijector.shape for block in problem.space.blocks}
    slopes = {name: gradient[offset[name] :][:size].reshape(shapes[name]) for name, size in sizes.items()}
    return curved(problem.space, point, total, slopes, prior=problem.prior)


def _pieces(problem: MultidimensionalProblem, parts: list[_Part]) -> list[tuple[Index, Matrix]]:
    """Subjects and their multiplicities in pieces of one length, the last one filled with subjects of weight zero."""
    integral = problem.integral
    wide = sum(
        (part.place.shape[1] + 2 * len(part.values)) * integral.n_nodes ** len(group.dims)
        for part, group in zip(parts, integral.subjects.groups, strict=True)
    )
    n, size = integral.n_subjects, wide + 3 * integral.n_nodes**integral.n_dimensions
    at_once = max(1, min(n, _AT_ONCE // size))
    order = np.arange(-(-n // at_once) * at_once)
    times = np.where(order < n, np.asarray(problem.multiplicity)[order % n], 0.0)
    return list(zip((order % n).reshape(-1, at_once), times.reshape(-1, at_once), strict=True))


def _add(total: Matrix, gradient: Matrix, parts: list[_Part], known: Index, found: Any, chosen: Index) -> None:
    """Add what some subjects bring to their places."""
    for (one, other), block in found.blocks.items():
        rows, columns = parts[one].values, parts[other].values
        total[np.ix_(rows, columns)] += block
        if one != other:
            total[np.ix_(columns, rows)] += block.T
    total[np.ix_(known, known)] += found.population
    gradient[known] += found.slope
    for part, crossed, slope, curvature in zip(parts, found.crossed, found.gradient, found.curvature, strict=True):
        total[np.ix_(part.values, known)] += crossed
        total[np.ix_(known, part.values)] += crossed.T
        gradient[part.values] += slope
        position = part.position[chosen].transpose(2, 0, 1)
        flat = (position[:, None] * len(total) + position[None]).ravel()
        if total.size <= len(flat):
            total += np.bincount(flat, weights=curvature.ravel(), minlength=total.size).reshape(total.shape)
        else:
            np.add.at(total.reshape(-1), flat, curvature.ravel())


@partial(jax.jit, static_argnames=("keys", "widths"))
def _piece(
    space: Any,
    integral: Integral,
    free: Array,
    some: Subjects,
    times: Array,
    places: list[Array],
    keys: tuple[tuple[tuple[str, int | None], ...], ...],
    widths: tuple[int, ...],
) -> _Found:
    params = space.constrain(free)
    mass = jax.vmap(lambda subject: jax.nn.softmax(integral.log_joint(params, subject), axis=None))(some)
    centred: list[Array] = []
    gradient: list[Array] = []
    curvature: list[Array] = []
    for group, place, key, width in zip(some.groups, places, keys, widths, strict=True):
        own = _marginal(mass, group.dims)
        slopes, bends = _derivatives(integral, params, some, group, key, times[:, None] * own.reshape(len(times), -1))
        spread = _dealt(slopes, place, width).reshape(*own.shape, width)
        mean = jnp.einsum(f"z{_axes(group.dims)},z{_axes(group.dims)}P->zP", own, spread)
        centred.append(spread - mean.reshape(len(times), *(1 for _ in group.dims), width))
        gradient.append(times @ mean)
        curvature.append(bends)
    mass = times.reshape(-1, *(1 for _ in range(integral.n_dimensions))) * mass
    blocks = {
        (i, j): _covariance(mass, centred[i], some.groups[i].dims, centred[j], some.groups[j].dims)
        for i, j in combinations_with_replacement(range(len(centred)), 2)
    }
    crossed, population, slope = _population(integral, params, some, mass, times, centred)
    return _Found(blocks, crossed, population, slope, gradient, curvature)


def _axes(dims: tuple[int, ...]) -> str:
    return "".join(_AXES[d] for d in dims)


def _marginal(mass: Array, dims: tuple[int, ...]) -> Array:
    """Mass on some axes, shape (S, *axes)."""
    return jnp.sum(mass, axis=tuple(d + 1 for d in range(mass.ndim - 1) if d not in dims))


def _derivatives(
    integral: Integral,
    params: dict[str, Array],
    some: Subjects,
    group: ItemGroup,
    keys: tuple[tuple[str, int | None], ...],
    own: Array,
) -> tuple[Array, Array]:
    """Derivatives of the log-likelihood of every response by direction, all levels of a block at once.

    Returns:
        First ones on the axes of the group, shape (S, nodes, slots · directions), and second ones summed over `own`,
        the mass there, shape (directions, directions, S, slots).
    """
    tangents = all_levels(params, keys)

    def by_response(at: dict[str, Array]) -> Array:
        return jax.vmap(lambda subject, rows: integral.by_response(at, rows, integral.nodes(subject)))(some, group)

    def bend(pair: Array) -> Array:
        one, other = ({name: tangent[place] for name, tangent in tangents.items()} for place in pair)
        second = jax.jvp(lambda at: jax.jvp(by_response, (at,), (one,))[1], (params,), (other,))[1]
        return jnp.einsum("zq,zqk->zk", own, second)

    slopes = jax.lax.map(jax.linearize(by_response, params)[1], tangents)
    upper = np.triu_indices(len(keys))
    bends = jax.lax.map(bend, jnp.stack(upper, axis=1))
    curvature = jnp.zeros((len(keys), len(keys), *bends.shape[1:])).at[upper].set(bends).at[upper[::-1]].set(bends)
    return slopes.transpose(1, 2, 3, 0).reshape(*slopes.shape[1:3], -1), curvature


def _dealt(slopes: Array, place: Array, width: int) -> Array:
    """Derivatives summed by the value that they move, shape (S, nodes, width)."""
    n_subjects, n_nodes = slopes.shape[:2]
    start = jnp.zeros((n_subjects, width, n_nodes))
    return start.at[jnp.arange(n_subjects)[:, None], place].add(slopes.transpose(0, 2, 1)).transpose(0, 2, 1)


def _covariance(mass: Array, one: Array, dims: tuple[int, ...], other: Array, other_dims: tuple[int, ...]) -> Array:
    """Sum over subjects of E[one otherᵀ] of centred gradients on some axes each, shape (P, Q)."""
    both = tuple(sorted({*dims, *other_dims}))
    joint = _marginal(mass, both)
    along = jnp.einsum(f"z{_axes(both)},z{_axes(other_dims)}Q->z{_axes(dims)}Q", joint, other)
    n_rows = prod(one.shape[:-1])
    return one.reshape(n_rows, -1).T @ along.reshape(n_rows, -1)


def _population(
    integral: Integral, params: dict[str, Array], some: Subjects, mass: Array, times: Array, centred: list[Array]
) -> tuple[list[Array], Array, Array]:
    """Covariances of the parts' gradients with the population's, and the population's own Hessian and gradient."""
    names = {name: params[name] for name in _POPULATION}
    flat, unflat = jax.flatten_util.ravel_pytree([names[name] for name in _POPULATION])

    def terms(values: Array) -> Array:
        at: dict[str, Array] = dict(zip(_POPULATION, unflat(values), strict=True))
        return jax.vmap(lambda subject: population_terms(at, subject.centre, subject.spacing))(some)

    every = terms_of(integral.n_dimensions)
    # Powers of the steps that each term, and each product of two, has along each axis.
    power = np.array([[term.count(d) for d in range(integral.n_dimensions)] for term in every])
    loads = jax.jacfwd(terms)(flat)
    moments = _moments(mass, integral.steps, (), 4)
    mean = moments[(slice(None), *power.T)]
    product = moments[(slice(None), *(power[:, None] + power[None]).transpose(2, 0, 1))]
    # `mass` has each subject's multiplicity as its sum.
    safe = jnp.where(times > 0, times, 1.0)
    spread = product - mean[:, :, None] * mean[:, None, :] / safe[:, None, None]
    own = jnp.einsum("ztQ,ztu,zuR->QR", loads, spread, loads, optimize=True)
    bent = jax.hessian(lambda values: jnp.sum(mean * terms(values)))(flat)
    crossed: list[Array] = []
    for group, gradient in zip(some.groups, centred, strict=True):
        axes = _axes(group.dims)
        rest = _moments(mass, integral.steps, group.dims, 2)
        by_term = jnp.stack([_term(rest, integral.steps, group.dims, row) for row in power], axis=-1)
        along = jnp.einsum(f"z{axes}P,z{axes}T->zPT", gradient, by_term)
        crossed.append(jnp.einsum("zPT,zTQ->PQ", along, loads))
    return crossed, own + bent, jnp.einsum("zt,ztQ->Q", mean, loads)


def _moments(mass: Array, steps: Array, kept: tuple[int, ...], most: int) -> Array:
    """Moments of the steps along the axes that are not kept, up to a power each, shape (S, *kept nodes or powers)."""
    powers = steps[:, None] ** jnp.arange(most + 1)
    for d in range(mass.ndim - 1):
        if d not in kept:
            mass = jnp.moveaxis(jnp.tensordot(mass, powers, axes=(d + 1, 0)), -1, d + 1)
    return mass


def _term(rest: Array, steps: Array, kept: tuple[int, ...], power: NDArray[np.int64]) -> Array:
    """Mass times a product of powers of steps on the nodes of the kept axes, summed over the others."""
    index = tuple(slice(None) if d in kept else int(power[d]) for d in range(len(power)))
    found = rest[(slice(None), *index)]
    for place, d in enumerate(kept):
        shape = [-1 if axis == place else 1 for axis in range(len(kept))]
        found = found * (steps ** int(power[d])).reshape(1, *shape)
    return found
