"""Correlation matrices from a free vector: partial correlations, each the hyperbolic tangent of a number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = ["Correlation"]


@final
@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class Correlation:
    """Correlation matrices of `shape` (D, D) from D (D - 1) / 2 free numbers.

    The free numbers are inverse hyperbolic tangents of canonical partial correlations: of the pair (i, j), j < i, given
    the variables before j. Every vector gives a positive definite matrix, and every such matrix comes from one vector.

    Source: Lewandowski, Kurowicka & Joe (2009), Journal of Multivariate Analysis 100, 1989-2001.
    """

    shape: tuple[int, int]

    @property
    def size(self) -> int:
        return self.shape[0] * (self.shape[0] - 1) // 2

    def forward(self, free: Array) -> Array:
        partials, place = jnp.tanh(free), 0
        rows: list[Array] = []
        for i in range(self.shape[0]):
            left, row = jnp.ones(()), []
            for _ in range(i):
                row.append(partials[place] * jnp.sqrt(left))
                left = left * (1 - partials[place] ** 2)
                place += 1
            rows.append(jnp.stack([*row, jnp.sqrt(left), *([jnp.zeros(())] * (self.shape[0] - i - 1))]))
        factor = jnp.stack(rows)
        return jnp.fill_diagonal(factor @ factor.T, 1.0, inplace=False)

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        factor = np.linalg.cholesky(value)
        # What the variables before j leave of the variance of i.
        left = 1 - np.cumsum(factor**2, axis=1) + factor**2
        i, j = np.tril_indices(self.shape[0], -1)
        return np.arctanh(factor[i, j] / np.sqrt(left[i, j]))

    def log_jacobian(self, free: Array) -> Array:
        """Log of the derivative of the correlations below the diagonal by the free numbers."""
        before = np.tril_indices(self.shape[0], -1)[1]
        # Log of 1 - tanh², which must not round to the log of zero.
        log_left = 2 * (jnp.log(2.0) - jnp.abs(free) - jnp.log1p(jnp.exp(-2 * jnp.abs(free))))
        return jnp.sum((self.shape[0] - before) / 2 * log_left)
