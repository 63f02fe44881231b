"""Vectors that are orthogonal to given ones: levels centred within groups, which may overlap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = ["Orthogonal"]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["basis"], meta_fields=["shape"])
@dataclass(frozen=True)
class Orthogonal:
    """Vectors of `shape` (n,) in the span of an orthonormal `basis`, shape (n, free)."""

    shape: tuple[int]
    basis: Array

    @classmethod
    def build(cls, directions: NDArray[np.float64]) -> Orthogonal:
        """The vectors whose products with the columns of `directions`, shape (n, k), are zero."""
        n, k = directions.shape
        whole = np.linalg.qr(np.concatenate([directions, np.eye(n)], axis=1))[0]
        return cls((n,), jax.device_put(whole[:, k:]))

    @property
    def size(self) -> int:
        return self.basis.shape[1]

    def forward(self, free: Array) -> Array:
        return self.basis @ free

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.basis).T @ value

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())
