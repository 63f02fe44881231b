"""Draws of several abilities from their posteriors on windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.window_rows import Subjects
from psymetric.estimation.windows import Integral

__all__ = ["draw_dimensions", "draw_from_windows"]

_LEAST = 1e-3
"""Sd of a posterior that is narrower than the spacing of its nodes, as a share of that."""
_SMOOTH = 0.25
"""Variance of the noise that fills the gaps between nodes, as a share of the posterior's."""


def _draw_one(integral: Integral, params: Mapping[str, Array], subject: Subjects, key: Array) -> Array:
    """One draw of one subject's abilities, shape (D,).

    A node drawn by its mass has the posterior's mean and covariance but stands on the grid. Normal noise with a share
    of the posterior's covariance fills the gaps, and drawing in by the root of one plus that share keeps both moments
    (the smoothed bootstrap of Silverman & Young, 1987, Biometrika 74, 469-479).
    """
    which, noise = jax.random.split(key)
    log_joint = integral.log_joint(params, subject)
    place = jnp.unravel_index(jax.random.categorical(which, log_joint.ravel()), log_joint.shape)
    node = integral.nodes(subject)[jnp.arange(integral.n_dimensions), jnp.stack(place)]
    found = integral.moments(params, subject)
    # A posterior on a single node, or on a line of them, has no root.
    root = jnp.linalg.cholesky(found.covariance + jnp.diag((_LEAST * subject.spacing) ** 2))
    jitter = jnp.sqrt(_SMOOTH) * root @ jax.random.normal(noise, node.shape)
    return found.mean + (node - found.mean + jitter) / jnp.sqrt(1 + _SMOOTH)


def _draw_all(integral: Integral, params: Mapping[str, Array], key: Array) -> Array:
    keys = jax.random.split(key, integral.n_subjects)
    at_once = integral.at_once
    return jax.lax.map(lambda pair: _draw_one(integral, params, *pair), (integral.subjects, keys), batch_size=at_once)


@jax.jit
def _draw_each(problem: MultidimensionalProblem, free: Array, keys: Array) -> Array:
    return jax.lax.map(
        lambda pair: _draw_all(problem.integral, problem.space.constrain(pair[0]), pair[1]), (free, keys)
    )


@jax.jit
def _draw_known(integral: Integral, params: dict[str, Array], keys: Array) -> Array:
    return jax.lax.map(lambda key: _draw_all(integral, params, key), keys)


def draw_dimensions(problem: MultidimensionalProblem, free: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """One draw of every subject for each draw of the parameters.

    Args:
        problem: The problem, with its windows in place.
        free: Draws of the free vector, shape (draws, parameters).
        seed: Seed of the random numbers.

    Returns:
        Logits, shape (draws, subjects, dimensions).
    """
    keys = jax.random.split(jax.random.key(seed), len(free))
    return np.asarray(_draw_each(problem, jax.device_put(free), keys))


def draw_from_windows(integral: Integral, params: Mapping[str, Any], n_draws: int, *, seed: int) -> NDArray[np.float64]:
    """Draws of every subject at known parameters, shape (draws, subjects, dimensions)."""
    keys = jax.random.split(jax.random.key(seed), n_draws)
    return np.asarray(_draw_known(integral, jax.device_put(dict(params)), keys))
