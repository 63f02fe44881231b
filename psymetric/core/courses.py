"""Map to courses of levels over occasions: random walks and straight lines around each level's own value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.bijectors import contract_centred, extend_centred

__all__ = ["Course"]

Shape = tuple[int, int]


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
        return cls((n_levels, len(times)), jax.device_put(steps - steps.mean(axis=0)), centred)

    @classmethod
    def line(cls, n_levels: int, times: NDArray[np.float64], *, centred: bool) -> Course:
        """Straight lines; the free value is the change per unit of time."""
        return cls((n_levels, len(times)), jax.device_put((times - times.mean())[:, None]), centred)

    @property
    def size(self) -> int:
        return (self.shape[0] - self.centred) * self.basis.shape[1]

    def forward(self, free: Array) -> Array:
        value = free.reshape(-1, self.basis.shape[1])
        return (extend_centred(value, 0) if self.centred else value) @ self.basis.T

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        value = value @ np.linalg.pinv(np.asarray(self.basis)).T
        return (contract_centred(value, 0) if self.centred else value).ravel()

    def log_jacobian(self, free: Array) -> Array:
        return jnp.zeros(())
