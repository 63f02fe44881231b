"""Probabilities that sum to one: their map from a free vector, and the Dirichlet prior in that vector's terms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod, sqrt
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.bijectors import contract_centred, extend_centred
from psymetric.core.ordered_rows import OrderedRows

__all__ = ["Simplex", "complement", "dirichlet_log_density"]

_LEAST = 1e-300


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class Simplex:
    """Arrays whose last axis of n holds probabilities, from n - 1 numbers each: the softmax of centred log-odds.

    What the axis tells apart is alike to it: exchanging two of them turns the free vector and leaves its length.
    """

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape[:-1]) * (self.shape[-1] - 1)

    def log_forward(self, free: Array) -> Array:
        """Logs of the probabilities, finite where these are too small for a number."""
        odds = free.reshape(*self.shape[:-1], self.shape[-1] - 1)
        return jax.nn.log_softmax(extend_centred(odds, len(self.shape) - 1), axis=-1)

    def forward(self, free: Array) -> Array:
        return jnp.exp(self.log_forward(free))

    def free(self, value: Array) -> Array:
        """`inverse` inside a program."""
        logs = jnp.log(jnp.maximum(value, _LEAST))
        centred = logs - jnp.mean(logs, axis=-1, keepdims=True)
        n = self.shape[-1]
        # As `contract_centred`: the last number holds what the others' norm was corrected by.
        return (centred[..., :-1] - centred[..., -1:] / (1 + sqrt(n))).ravel()

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        logs = np.log(value)
        return contract_centred(logs - logs.mean(axis=-1, keepdims=True), len(self.shape) - 1).ravel()

    def log_jacobian(self, free: Array) -> Array:
        """Log of the volume of all but one of the probabilities per unit of the free vector, up to a constant."""
        return jnp.sum(self.log_forward(free))


def dirichlet_log_density(bijector: Simplex | OrderedRows, free: Array, counts: Array) -> Array:
    """Log density of the free vector under Dirichlet priors, up to a constant.

    The Jacobian is part of it, so that the mode in the free vector is that of `counts` more observations.

    Args:
        bijector: From the free vector to the probabilities.
        free: Shape (size,).
        counts: Parameters of the Dirichlet distributions, of the probabilities' shape.
    """
    return jnp.sum((counts - 1) * bijector.log_forward(free)) + bijector.log_jacobian(free)


def complement(probability: Array) -> Array:
    """1 − p, above zero also where p is so near to one that it is rounded to it."""
    return jnp.maximum(1 - probability, float(np.finfo(np.float64).epsneg))
