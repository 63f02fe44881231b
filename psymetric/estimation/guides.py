"""Gaussian families for variational inference, on a vector whose Laplace approximation is standard normal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import cho_factor, cho_solve, solve_triangular

__all__ = ["FullRank", "Guide", "LowRank"]

_FIRST_FACTOR = 0.01
"""Size of a low-rank factor at the start: at exactly zero its expected gradient vanishes."""


@final
@partial(jax.tree_util.register_dataclass, data_fields=["mean", "log_scale", "factor"], meta_fields=[])
@dataclass(frozen=True)
class FullRank:
    """N(mean, L Lᵀ), L lower triangular: `log_scale` is the log of its diagonal, `factor` holds what is below.

    Attributes:
        mean: Shape (size,).
        log_scale: Shape (size,).
        factor: Shape (size, size); its upper triangle and diagonal are never read.
    """

    mean: Array
    log_scale: Array
    factor: Array

    @classmethod
    def standard(cls, size: int) -> FullRank:
        """The standard normal."""
        return cls(jnp.zeros(size), jnp.zeros(size), jnp.zeros((size, size)))

    @property
    def n_noise(self) -> int:
        """Standard normals behind one draw."""
        return self.mean.shape[0]

    def _root(self) -> Array:
        return jnp.tril(self.factor, -1) + jnp.diag(jnp.exp(self.log_scale))

    def sample(self, noise: Array) -> Array:
        """One draw, shape (size,), from standard normals of shape (n_noise,)."""
        return self.mean + self._root() @ noise

    def log_density(self, at: Array) -> Array:
        """Log density of one draw, a scalar."""
        noise = solve_triangular(self._root(), at - self.mean, lower=True)
        return -0.5 * jnp.sum(noise**2 + jnp.log(2 * jnp.pi)) - jnp.sum(self.log_scale)


@final
@partial(jax.tree_util.register_dataclass, data_fields=["mean", "log_scale", "factor"], meta_fields=[])
@dataclass(frozen=True)
class LowRank:
    """N(mean, D² + F Fᵀ), D diagonal and F of few columns: linear in the size.

    Attributes:
        mean: Shape (size,).
        log_scale: Log of the diagonal of D, shape (size,).
        factor: F, shape (size, rank).
    """

    mean: Array
    log_scale: Array
    factor: Array

    @classmethod
    def near_standard(cls, size: int, rank: int, *, seed: int) -> LowRank:
        """Close to the standard normal."""
        factor = _FIRST_FACTOR * np.random.default_rng(seed).standard_normal((size, rank))
        return cls(jnp.zeros(size), jnp.zeros(size), jax.device_put(factor))

    @property
    def n_noise(self) -> int:
        """Standard normals behind one draw."""
        return self.factor.shape[0] + self.factor.shape[1]

    def sample(self, noise: Array) -> Array:
        """One draw, shape (size,), from standard normals of shape (n_noise,)."""
        size = self.mean.shape[0]
        return self.mean + jnp.exp(self.log_scale) * noise[:size] + self.factor @ noise[size:]

    def log_density(self, at: Array) -> Array:
        """Log density of one draw, a scalar, by Woodbury's identity."""
        scaled = self.factor / jnp.exp(self.log_scale)[:, None]
        residual = (at - self.mean) / jnp.exp(self.log_scale)
        within = cho_factor(jnp.eye(scaled.shape[1]) + scaled.T @ scaled, lower=True)
        projected = scaled.T @ residual
        square = residual @ residual - projected @ cho_solve(within, projected)
        log_root = jnp.sum(self.log_scale) + jnp.sum(jnp.log(jnp.diag(within[0])))
        return -0.5 * (square + at.shape[0] * jnp.log(2 * jnp.pi)) - log_root


Guide = FullRank | LowRank
