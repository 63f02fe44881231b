"""Sums of products over the nodes of several axes, where each factor depends on one axis or two.

The population's density and the responses to items of one dimension or two are such factors. Taking the last axis out
by a matrix product leaves arrays of one axis less, so that three dimensions need the memory of two, and no exponential
is ever taken at a node of the whole product grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, combinations_with_replacement
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from psymetric.models.space import CORRELATION, POPULATION_MEAN, POPULATION_SD

__all__ = ["Factors", "population_factors", "population_terms", "steepest_rise", "terms_of"]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["along", "pairs", "others"], meta_fields=[])
@dataclass(frozen=True)
class Factors:
    """Logs of the factors of a density on the product of n nodes along each of D axes.

    Attributes:
        along: Of one axis each, shape (D, n).
        pairs: Of axes d < e by (d, e), shape (n, n).
        others: Of three axes and more by axes, shape (n,) * axes.
    """

    along: Array
    pairs: dict[tuple[int, ...], Array]
    others: dict[tuple[int, ...], Array]

    @property
    def log_joint(self) -> Array:
        """Their sum on the whole grid, shape (n,) * D."""
        n_dims = len(self.along)
        total = jnp.zeros((1,) * n_dims)
        for d in range(n_dims):
            total = total + _over_axes(self.along[d], (d,), n_dims)
        for dims, values in (self.pairs | self.others).items():
            total = total + _over_axes(values, dims, n_dims)
        return total

    @property
    def log_sum(self) -> Array:
        """Log of the sum of the products over the whole grid, a scalar."""
        n_dims, n = self.along.shape
        if n_dims == 1 or self.others:
            return logsumexp(self.log_joint)
        # Each factor is at most one, so that nothing overflows.
        top = jax.lax.stop_gradient(jnp.max(self.along, axis=1))
        most = {dims: jax.lax.stop_gradient(jnp.max(values)) for dims, values in self.pairs.items()}
        along = jnp.exp(self.along - top[:, None])
        pairs = {dims: jnp.exp(values - most[dims]) for dims, values in self.pairs.items()}
        last, before = n_dims - 1, n_dims - 2
        # Axes but the two last, and the last in the place of the one before it.
        left = _over_axes(along[last], (before,), last)
        for d in range(before):
            left = left * _over_axes(pairs[d, last], (d, before), last)
        rest = left.reshape(-1, n) @ pairs[before, last].T
        rest = rest.reshape(*left.shape[:-1], n)
        for d in range(last):
            rest = rest * _over_axes(along[d], (d,), last)
        for dims in combinations(range(last), 2):
            rest = rest * _over_axes(pairs[dims], dims, last)
        return jnp.log(jnp.sum(rest)) + jnp.sum(top) + sum(most.values())

    def times(self, dims: tuple[int, ...], values: Array) -> Factors:
        """With one further factor, of some axes."""
        if len(dims) == 1:
            return replace(self, along=self.along.at[dims[0]].add(values))
        kind = "pairs" if len(dims) == 2 else "others"
        held: dict[tuple[int, ...], Array] = getattr(self, kind)
        return replace(self, **{kind: held | {dims: held[dims] + values if dims in held else values}})


def _over_axes(values: Array, dims: tuple[int, ...], n_dims: int) -> Array:
    """An array on some of D axes, with length one along the others."""
    sizes = iter(values.shape)
    return values.reshape([next(sizes) if d in dims else 1 for d in range(n_dims)])


def terms_of(n_dims: int) -> list[tuple[int, ...]]:
    """Axes of every term of a quadratic function: none, each axis, and each pair, an axis with itself among them."""
    every = range(n_dims)
    return [(), *((d,) for d in every), *combinations_with_replacement(every, 2)]


def population_terms(params: Mapping[str, Array], centre: Array, spacing: Array) -> Array:
    """The normal population's log mass around one subject's window, as a quadratic function of steps from its centre.

    Args:
        params: Constrained arrays by name.
        centre: Of the window, logits, shape (D,).
        spacing: Logits between nodes, shape (D,).

    Returns:
        Coefficients of the products of steps in `terms_of`, shape (terms,).
    """
    mean, sd, correlation = (params[name] for name in (POPULATION_MEAN, POPULATION_SD, CORRELATION))
    away, step = (centre - mean) / sd, spacing / sd
    precision = jnp.linalg.inv(correlation)
    log_det = jnp.linalg.slogdet(correlation)[1] + len(mean) * jnp.log(2 * jnp.pi)
    constant = jnp.sum(jnp.log(step)) - 0.5 * (log_det + away @ precision @ away)
    linear = -step * (precision @ away)
    square = -step[:, None] * precision * step
    pairs = square * (1 - 0.5 * jnp.eye(len(mean)))
    return jnp.concatenate([constant[None], linear, pairs[np.triu_indices(len(mean))]])


def population_factors(terms: Array, steps: Array) -> Factors:
    """A quadratic function on a window as factors of one axis and of two, these nowhere above one.

    Args:
        terms: As `population_terms`.
        steps: Of the nodes from the centre, shape (n,).
    """
    n_dims = next(d for d in range(len(terms)) if len(terms_of(d)) == len(terms))
    value = dict(zip(terms_of(n_dims), terms, strict=True))
    along = [value[d,] * steps + value[d, d] * steps**2 for d in range(n_dims)]
    along[0] = along[0] + value[()]
    pairs: dict[tuple[int, ...], Array] = {}
    for d, e in combinations(range(n_dims), 2):
        # What a pair of axes rises by is dealt to each of them, which leaves the product as it is.
        rise = jax.lax.stop_gradient(0.5 * jnp.abs(value[d, e])) * steps**2
        pairs[d, e] = value[d, e] * jnp.outer(steps, steps) - rise[:, None] - rise
        along[d], along[e] = along[d] + rise, along[e] + rise
    return Factors(jnp.stack(along), pairs, {})


def steepest_rise(params: Mapping[str, Any], spacing: NDArray[np.float64]) -> float:
    """By how much the log of a population factor of one axis rises per squared step, at most, over subjects and axes.

    Args:
        params: Constrained arrays by name.
        spacing: Of every subject's nodes, logits, shape (S, D).
    """
    unit = spacing / np.asarray(params[POPULATION_SD])
    square = np.linalg.inv(np.asarray(params[CORRELATION])) * unit[:, :, None] * unit[:, None, :]
    own = np.diagonal(square, axis1=1, axis2=2)
    return float(np.max(0.5 * (np.abs(square).sum(axis=2) - 2 * own), initial=0.0))
