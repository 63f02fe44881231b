"""Log-odds that favour some labels over others: arrays that sum to zero over their last axis."""

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

__all__ = ["Tilts"]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=["shape"])
@dataclass(frozen=True)
class Tilts:
    """Arrays of `shape` whose sums over the last axis are zero, in units of `scale`."""

    shape: tuple[int, ...]
    scale: Array

    @property
    def size(self) -> int:
        """Length of the free vector."""
        return prod(self.shape[:-1]) * (self.shape[-1] - 1)

    def forward(self, free: Array) -> Array:
        """Free vector of shape (size,) to log-odds."""
        numbers = free.reshape(*self.shape[:-1], self.shape[-1] - 1)
        return self.scale * extend_centred(numbers, len(self.shape) - 1)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds to the free vector."""
        return (contract_centred(value, len(self.shape) - 1) / np.asarray(self.scale)).ravel()

    def log_jacobian(self, free: Array) -> Array:  # noqa: ARG002  (others' depends on it)
        """Nothing: a prior on the free vector is what is meant."""
        return jnp.zeros(())
