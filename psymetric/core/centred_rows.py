"""Arrays whose last axis sums to zero, every row by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.bijectors import contract_centred, extend_centred

__all__ = ["CentredRows"]


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class CentredRows:
    """Rows of n numbers of sum zero along the last axis, from n - 1 numbers each, in orthonormal directions."""

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape[:-1]) * (self.shape[-1] - 1)

    def forward(self, free: Array) -> Array:
        return extend_centred(free.reshape(*self.shape[:-1], self.shape[-1] - 1), len(self.shape) - 1)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return contract_centred(value, len(self.shape) - 1).ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())
