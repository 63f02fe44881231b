"""Maps from a free vector to constrained parameter arrays: centred facets, anchored levels, steps, positive scales.

The affine ones have orthonormal directions, so that a normal prior on the free vector is a normal prior on the
constrained subspace. Every map is a pytree: numbers that depend on the data (anchors, used categories) are leaves,
shapes are structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod, sqrt
from typing import Protocol, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = [
    "UNUSED",
    "Anchored",
    "AnchoredScale",
    "Bijector",
    "Centred",
    "Course",
    "Fixed",
    "Free",
    "GeometricMeanOne",
    "Ordered",
    "Positive",
    "Scaled",
    "Steps",
    "Unit",
]

UNUSED = 1e4
"""Logits by which an unused category is pushed out of reach: exp(-1e4) is zero, 1e4 is finite."""

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
            value = _extend(value, axis)
        return value

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in range(len(self.shape)):
            value = _contract(value, axis)
        return value.ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


def _extend(value: Array, axis: int) -> Array:
    """Orthonormal embedding of n - 1 numbers as n numbers with sum zero, in linear time."""
    n = value.shape[axis] + 1
    total = jnp.sum(value, axis=axis, keepdims=True)
    norm = total / (sqrt(n) + n)
    return jnp.concatenate([value - norm, -total / sqrt(n)], axis=axis)


def _contract(value: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
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
@partial(jax.tree_util.register_dataclass, data_fields=["finite", "gaps", "beyond"], meta_fields=["shape"])
@dataclass(frozen=True)
class Ordered:
    """Rows of rising numbers that sum to zero: logs of their gaps free.

    Categories that a group never used lie at an end of its scale; the thresholds into them are out of reach.

    Attributes:
        shape: (groups, steps).
        finite: One at thresholds between used categories, else zero, shape `shape`.
        gaps: Places of the free gaps in the flattened array of gaps, shape (free,).
        beyond: ±UNUSED, rising, at the other thresholds, else zero, shape `shape`.
    """

    shape: Shape
    finite: Array
    gaps: Array
    beyond: Array

    @classmethod
    def build(cls, used: NDArray[np.bool_]) -> Ordered:
        """From a mask of used categories, contiguous in every group, shape (groups, categories)."""
        place = np.arange(used.shape[1] - 1)
        first, last = used.argmax(axis=1)[:, None], used.shape[1] - 1 - used[:, ::-1].argmax(axis=1)[:, None]
        finite = (place >= first) & (place < last)
        beyond = UNUSED * (np.minimum(place - first, 0) + np.maximum(place - last + 1, 0))
        gaps = np.flatnonzero(finite[:, 1:] & finite[:, :-1])
        return cls(finite.shape, jnp.asarray(finite, float), jnp.asarray(gaps, jnp.int32), jnp.asarray(beyond))

    @property
    def size(self) -> int:
        return self.gaps.shape[0]

    def forward(self, free: Array) -> Array:
        groups, steps = self.shape
        gaps = jnp.zeros(groups * (steps - 1)).at[self.gaps].set(jnp.exp(free)).reshape(groups, steps - 1)
        rising = jnp.pad(jnp.cumsum(gaps, axis=1), ((0, 0), (1, 0)))
        mean = jnp.sum(self.finite * rising, axis=1, keepdims=True) / jnp.sum(self.finite, axis=1, keepdims=True)
        return self.finite * (rising - mean) + self.beyond

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(np.diff(value, axis=1).ravel()[np.asarray(self.gaps)])

    def log_jacobian(self, free: Array) -> Array:
        return jnp.sum(free)


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
        return cls(np.shape(value), jnp.asarray(value))

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
        return cls(fixed.shape, jnp.asarray(np.nan_to_num(fixed)), jnp.asarray(free, jnp.int32))

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


@final
@partial(jax.tree_util.register_dataclass, data_fields=["basis"], meta_fields=["shape", "centred"])
@dataclass(frozen=True)
class Course:
    """Courses of levels over occasions, each a combination of the columns of `basis`.

    Attributes:
        shape: (levels, occasions).
        basis: Shape (occasions, directions); columns sum to zero, so that a level's own value is its mean.
        centred: Whether the courses of all levels sum to zero at every occasion.
    """

    shape: Shape
    basis: Array
    centred: bool

    @classmethod
    def walk(cls, n_levels: int, times: NDArray[np.float64], *, centred: bool) -> Course:
        """Random walks, one direction per step, whose variance grows with the time between occasions."""
        steps = np.sqrt(np.diff(times)) * np.tril(np.ones((len(times), len(times))), -1)[:, :-1]
        return cls((n_levels, len(times)), jnp.asarray(steps - steps.mean(axis=0)), centred)

    @classmethod
    def line(cls, n_levels: int, times: NDArray[np.float64], *, centred: bool) -> Course:
        """Straight lines; the free value is the change per unit of time."""
        return cls((n_levels, len(times)), jnp.asarray((times - times.mean())[:, None]), centred)

    @property
    def size(self) -> int:
        return (self.shape[0] - self.centred) * self.basis.shape[1]

    def forward(self, free: Array) -> Array:
        value = free.reshape(-1, self.basis.shape[1])
        return (_extend(value, 0) if self.centred else value) @ self.basis.T

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        value = value @ np.linalg.pinv(np.asarray(self.basis)).T
        return (_contract(value, 0) if self.centred else value).ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


@final
@partial(jax.tree_util.register_dataclass, data_fields=["bases", "groups", "offset"], meta_fields=["shape"])
@dataclass(frozen=True)
class Steps:
    """Step parameters that sum to zero over the categories each group uses.

    Groups (rows) with the same set of used categories share one orthonormal basis. A category that nobody in the
    group used is out of reach: the step into it is +UNUSED and the step out of it -UNUSED, so that the likelihood
    needs no mask and the scores of the remaining categories keep their place on the scale.

    Attributes:
        shape: (groups, categories - 1).
        bases: One matrix per pattern, shape (categories - 1, free).
        groups: The rows of each pattern.
        offset: Shape `shape`; ±UNUSED at unused categories, else zero.
    """

    shape: Shape
    bases: tuple[Array, ...]
    groups: tuple[Array, ...]
    offset: Array

    @classmethod
    def build(cls, used: NDArray[np.bool_]) -> Steps:
        """From a mask of used categories, shape (groups, categories)."""
        patterns, which = np.unique(used, axis=0, return_inverse=True)
        which = which.reshape(-1)
        bases, groups = [], []
        for index, pattern in enumerate(patterns):
            bases.append(jnp.asarray(_step_basis(pattern)))
            groups.append(jnp.asarray(np.flatnonzero(which == index), jnp.int32))
        # Cumulated steps carry one or two UNUSED at an unused category, in turn, so that no step that joins one looks
        # like an estimate, and nothing at a used one.
        cumulated = np.where(used, 0.0, UNUSED * (1 + np.arange(used.shape[1]) % 2))
        return cls((len(used), used.shape[1] - 1), tuple(bases), tuple(groups), jnp.asarray(np.diff(cumulated, axis=1)))

    @property
    def size(self) -> int:
        return sum(basis.shape[1] * len(rows) for basis, rows in zip(self.bases, self.groups, strict=True))

    def forward(self, free: Array) -> Array:
        value, start = self.offset, 0
        for basis, rows in zip(self.bases, self.groups, strict=True):
            width = basis.shape[1]
            block = free[start : start + width * len(rows)].reshape(len(rows), width)
            value = value.at[rows].add(block @ basis.T)
            start += width * len(rows)
        return value

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = value - np.asarray(self.offset)
        blocks = [centred[np.asarray(g)] @ np.asarray(b) for b, g in zip(self.bases, self.groups, strict=True)]
        return np.concatenate([block.ravel() for block in blocks])

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())


def _step_basis(used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Orthonormal directions of the steps between used categories that sum to zero, shape (categories - 1, free).

    A step over unused categories is one jump, spread evenly over the steps it spans.
    """
    places = np.flatnonzero(used)
    jumps = np.zeros((len(used) - 1, max(len(places) - 1, 0)))
    for column, (low, high) in enumerate(pairwise(places)):
        jumps[low:high, column] = 1.0 / (high - low)
    if jumps.shape[1] < 2:
        return jumps[:, :0]
    contrast = np.linalg.svd(np.ones((1, jumps.shape[1])))[2][1:].T
    return np.linalg.qr(jumps @ contrast)[0]
