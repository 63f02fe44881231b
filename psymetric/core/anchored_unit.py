"""Probabilities of which some are known, zero among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import logit

from psymetric.core.bijectors import Anchored

__all__ = ["AnchoredUnit"]

_LEAST = 1e-12
"""Stands for a probability of zero, whose logarithm must be a number: nothing that is counted notices it."""


@final
@partial(jax.tree_util.register_dataclass, data_fields=["logits"], meta_fields=[])
@dataclass(frozen=True)
class AnchoredUnit:
    """Probabilities, some of them known: the logistic function of `Anchored`."""

    logits: Anchored

    @classmethod
    def build(cls, fixed: NDArray[np.float64]) -> AnchoredUnit:
        """From an array that is NaN where the probability is free."""
        return cls(Anchored.build(logit(np.clip(fixed, _LEAST, 1 - _LEAST))))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.logits.shape

    @property
    def size(self) -> int:
        return self.logits.size

    def forward(self, free: Array) -> Array:
        return jax.nn.sigmoid(self.logits.forward(free))

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.logits.inverse(logit(value))

    def log_jacobian(self, free: Array) -> Array:
        return jnp.sum(jax.nn.log_sigmoid(free) + jax.nn.log_sigmoid(-free))
