"""The parameter space of a model on one table: a free vector on one side, named constrained arrays on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from psymetric.core.bijectors import Bijector
from psymetric.core.simplex import Simplex, dirichlet_log_density

__all__ = ["Block", "ParameterSpace", "constrain", "jacobian"]

Parameters = dict[str, Array]


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["bijector", "design", "dirichlet"],
    meta_fields=["name", "prior_sd", "scale", "labels", "centre", "is_scale", "weights", "lkj"],
)
@dataclass(frozen=True)
class Block:
    """One named parameter array.

    Attributes:
        name: Key of the array.
        bijector: From the block's slice of the free vector to the array.
        prior_sd: Standard deviation of the prior: normal on the free vector, half-normal on the value of a scale; for
            a random facet the free vector is standard normal and `prior_sd` is unused.
        scale: Name of the positive parameter that multiplies this block (a random facet), or None.
        labels: The axes, for messages.
        centre: Mean of the prior on the free vector, and where engines start.
        is_scale: Whether this is the sd of a population or of a random facet.
        lkj: Concentration of the LKJ prior of a correlation matrix, which replaces the normal prior.
        weights: Names of the parameters, all before this one, whose products with `design` are added to this block.
        design: For each of them, shape (values, weights): what covariates or a group say of each value.
        dirichlet: Parameters of the Dirichlet priors of probabilities, of the array's shape, which replace the normal
            prior; engines start at their means.
    """

    name: str
    bijector: Bijector
    prior_sd: float
    scale: str | None = None
    labels: tuple[str, ...] = ()
    centre: float = 0.0
    is_scale: bool = False
    weights: tuple[str, ...] = ()
    design: tuple[Array, ...] = ()
    lkj: float | None = None
    dirichlet: Array | None = None

    def start(self) -> NDArray[np.float64]:
        """Where the prior is centred, shape (size,)."""
        if self.dirichlet is None:
            return np.full(self.bijector.size, self.centre)
        counts = np.asarray(self.dirichlet, np.float64)
        return self.bijector.inverse(counts / counts.sum(axis=-1, keepdims=True))


@final
@partial(jax.tree_util.register_dataclass, data_fields=["blocks"], meta_fields=[])
@dataclass(frozen=True)
class ParameterSpace:
    """An ordered tuple of blocks that share one free vector."""

    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """Length of the free vector."""
        return sum(block.bijector.size for block in self.blocks)

    def slices(self) -> dict[str, slice]:
        """Where each block sits in the free vector."""
        ends = np.cumsum([block.bijector.size for block in self.blocks]).tolist()
        return {block.name: slice(end - block.bijector.size, end) for block, end in zip(self.blocks, ends, strict=True)}

    def seen(self) -> tuple[Block, ...]:
        """Blocks that a response depends on: not the scales and weights of others, nor what is constant."""
        indirect = {name for block in self.blocks for name in (block.scale, *block.weights)}
        return tuple(
            block for block in self.blocks if block.name not in indirect and (block.bijector.size or block.weights)
        )

    def start(self) -> NDArray[np.float64]:
        """Where the priors are centred, shape (size,)."""
        return np.concatenate([np.zeros(0), *(block.start() for block in self.blocks)])

    def constrain(self, free: Array) -> Parameters:
        """Free vector, shape (size,), to named constrained arrays."""
        where = self.slices()
        values = {block.name: block.bijector.forward(free[where[block.name]]) for block in self.blocks}
        for block in self.blocks:
            if block.scale is not None:
                values[block.name] = values[block.name] * values[block.scale]
            for weights, design in zip(block.weights, block.design, strict=True):
                values[block.name] = values[block.name] + design @ values[weights]
        return values

    def unconstrain(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Named constrained arrays to the free vector; the inverse of `constrain`."""
        parts: list[NDArray[np.float64]] = []
        for block in self.blocks:
            value = np.asarray(values[block.name], np.float64)
            for weights, design in zip(block.weights, block.design, strict=True):
                value = value - np.asarray(design) @ np.asarray(values[weights])
            if block.scale is not None:
                value = value / np.asarray(values[block.scale])
            parts.append(block.bijector.inverse(value))
        return np.concatenate(parts) if parts else np.zeros(0)

    def log_prior(self, free: Array) -> Array:
        """Log prior density of the free vector, Jacobians included, up to a constant."""
        where, total = self.slices(), jnp.zeros(())
        for block in self.blocks:
            part = free[where[block.name]]
            if block.is_scale:
                value = block.bijector.forward(part)
                total = total - 0.5 * jnp.sum((value / block.prior_sd) ** 2) + block.bijector.log_jacobian(part)
            elif block.lkj is not None:
                log_det = jnp.linalg.slogdet(block.bijector.forward(part))[1]
                total = total + (block.lkj - 1) * log_det + block.bijector.log_jacobian(part)
            elif block.dirichlet is not None and isinstance(block.bijector, Simplex):
                total = total + dirichlet_log_density(block.bijector, part, block.dirichlet)
            else:
                sd = 1.0 if block.scale is not None else block.prior_sd
                total = total - 0.5 * jnp.sum(((part - block.centre) / sd) ** 2)
        return total

    def penalty(self, free: Array, *, prior: bool) -> Array:
        """What a density has beyond the likelihood: the priors, or the distribution of the random facets."""
        return self.log_prior(free) if prior else self.random_log_density(free)

    def random_log_density(self, free: Array) -> Array:
        """Log density of the random facets' standardised levels alone: what a random facet adds to a likelihood."""
        where, total = self.slices(), jnp.zeros(())
        for block in self.blocks:
            if block.scale is not None:
                total = total - 0.5 * jnp.sum(free[where[block.name]] ** 2)
        return total


@jax.jit
def constrain(space: ParameterSpace, free: ArrayLike) -> Parameters:
    """`ParameterSpace.constrain`, compiled once per layout."""
    return space.constrain(jnp.asarray(free))


@jax.jit
def jacobian(space: ParameterSpace, free: ArrayLike) -> Parameters:
    """Derivatives of the constrained arrays, each of its shape and one more axis for the free vector."""
    return jax.jacfwd(space.constrain)(jnp.asarray(free))
