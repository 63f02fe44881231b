"""Bijector of finite mixtures: arrays of which each class has its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.bijectors import Bijector

__all__ = ["PerClass"]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["one"], meta_fields=["n_classes"])
@dataclass(frozen=True)
class PerClass:
    """An array for each of `n_classes` classes, which are its last axis; the free vector holds class after class."""

    one: Bijector
    n_classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.one.shape, self.n_classes)

    @property
    def size(self) -> int:
        return self.n_classes * self.one.size

    def forward(self, free: Array) -> Array:
        by_class = free.reshape(self.n_classes, self.one.size)
        return jnp.stack([self.one.forward(by_class[k]) for k in range(self.n_classes)], axis=-1)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([self.one.inverse(value[..., k]) for k in range(self.n_classes)])

    def log_jacobian(self, free: Array) -> Array:
        by_class = free.reshape(self.n_classes, self.one.size)
        return jnp.sum(jnp.stack([self.one.log_jacobian(by_class[k]) for k in range(self.n_classes)]))
