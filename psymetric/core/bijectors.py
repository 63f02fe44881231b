"""Maps from a free vector to constrained parameter arrays: centred facets, anchored levels, positive scales.

The affine ones have orthonormal directions, so that a normal prior on the free vector is a normal prior on the
constrained subspace. Every map is a pytree: numbers that depend on the data (anchors, used categories) are leaves,
shapes are structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod, sqrt
from typing import Protocol, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = [
    "Anchored",
    "AnchoredScale",
    "Bijector",
    "Centred",
    "Fixed",
    "Free",
    "GeometricMeanOne",
    "Positive",
    "Scaled",
    "Unit",
    "contract_centred",
    "extend_centred",
]

Shape = tuple[int, ...]


class Bijector(Protocol):
    """Free vector of shape (size,) to constrained array of shape `shape`, and back."""

    @property
    def shape(self) -> Shape: ...
    @property
    def size(self) -> int: ...
    def forward(self, free: Array) -> Array: ...
    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def log_jacobian(self, free: Array) -> Array: ...


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class Free:
    """The identity on arrays of `shape`."""

    shape: Shape

    @property
    def size(self) -> int:
        return prod(self.shape)

    def forward(self, free: Array) -> Array:
        return free.reshape(self.shape)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return value.ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class Positive:
    """The exponential: log scale free, scale positive."""

    shape: Shape

    @property
    def size(self) -> int:
        return prod(self.shape)

    def forward(self, free: Array) -> Array:
        return jnp.exp(free).reshape(self.shape)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(value).ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.sum(free)


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class Centred:
    """Arrays whose sums along every axis are zero (one axis: a centred facet; two: an interaction)."""

    shape: Shape

    @property
    def size(self) -> int:
        return prod(n - 1 for n in self.shape)

    def forward(self, free: Array) -> Array:
        value = free.reshape(tuple(n - 1 for n in self.shape))
        for axis in range(len(self.shape)):
            value = extend_centred(value, axis)
        return value

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in range(len(self.shape)):
            value = contract_centred(value, axis)
        return value.ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


def extend_centred(value: Array, axis: int) -> Array:
    """Orthonormal embedding of n - 1 numbers as n numbers with sum zero, in linear time."""
    n = value.shape[axis] + 1
    total = jnp.sum(value, axis=axis, keepdims=True)
    norm = total / (sqrt(n) + n)
    return jnp.concatenate([value - norm, -total / sqrt(n)], axis=axis)


def contract_centred(value: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Inverse of `extend_centred`."""
    n = value.shape[axis]
    last = np.take(value, [n - 1], axis=axis)
    total = -last * sqrt(n)
    return np.take(value, range(n - 1), axis=axis) + total / (sqrt(n) + n)


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class GeometricMeanOne:
    """Positive values whose logs sum to zero along every axis: the exponential of `Centred`."""

    shape: Shape

    @property
    def size(self) -> int:
        return Centred(self.shape).size

    def forward(self, free: Array) -> Array:
        return jnp.exp(Centred(self.shape).forward(free))

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return Centred(self.shape).inverse(np.log(value))

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class Unit:
    """The logistic function: logit free, probability between 0 and 1."""

    shape: Shape

    @property
    def size(self) -> int:
        return prod(self.shape)

    def forward(self, free: Array) -> Array:
        return jax.nn.sigmoid(free).reshape(self.shape)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return (np.log(value) - np.log1p(-value)).ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.sum(jax.nn.log_sigmoid(free) + jax.nn.log_sigmoid(-free))


@final
@partial(jax.tree_util.register_dataclass, data_fields=["value"], meta_fields=["shape"])
@dataclass(frozen=True)
class Fixed:
    """A known array without freedom."""

    shape: Shape
    value: Array

    @classmethod
    def build(cls, value: float | NDArray[np.float64]) -> Fixed:
        """A known number, or an array of them."""
        return cls(np.shape(value), jax.device_put(value))

    @property
    def size(self) -> int:
        return 0

    def forward(self, free: Array) -> Array:
        return self.value

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros(0)

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


@final
@partial(jax.tree_util.register_dataclass, data_fields=["fixed", "index"], meta_fields=["shape"])
@dataclass(frozen=True)
class Anchored:
    """Some values fixed, the others free: `fixed` holds them (0 where free), `index` the flat places of the free."""

    shape: Shape
    fixed: Array
    index: Array

    @classmethod
    def build(cls, fixed: NDArray[np.float64]) -> Anchored:
        """From an array that is NaN where the level is free."""
        free = np.flatnonzero(np.isnan(fixed))
        return cls(fixed.shape, jax.device_put(np.nan_to_num(fixed)), jax.device_put(free.astype(np.int32)))

    @property
    def size(self) -> int:
        return self.index.shape[0]

    def forward(self, free: Array) -> Array:
        return self.fixed.ravel().at[self.index].set(free).reshape(self.shape)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return value.ravel()[np.asarray(self.index)]

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


@final
@partial(jax.tree_util.register_dataclass, data_fields=["logs"], meta_fields=[])
@dataclass(frozen=True)
class AnchoredScale:
    """Positive values, some of them known: the exponential of `Anchored`."""

    logs: Anchored

    @classmethod
    def build(cls, fixed: NDArray[np.float64]) -> AnchoredScale:
        """From an array that is NaN where the value is free."""
        return cls(Anchored.build(np.log(fixed)))

    @property
    def shape(self) -> Shape:
        return self.logs.shape

    @property
    def size(self) -> int:
        return self.logs.size

    def forward(self, free: Array) -> Array:
        return jnp.exp(self.logs.forward(free))

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.logs.inverse(np.log(value))

    def log_jacobian(self, free: Array) -> Array:
        return jnp.sum(free)


@final
@partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=["shape"])
@dataclass(frozen=True)
class Scaled:
    """Numbers in units of their own: the free vector times `scale`, shape `shape`."""

    shape: Shape
    scale: Array

    @property
    def size(self) -> int:
        return prod(self.shape)

    def forward(self, free: Array) -> Array:
        return free.reshape(self.shape) * self.scale

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return (value / np.asarray(self.scale)).ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())
