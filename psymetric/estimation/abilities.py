"""Draws of the subjects given draws of everything else, from their exact conditional on the grid."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.estimation.problems import MarginalProblem

__all__ = ["draw_abilities"]


@jax.jit
def _draw(problem: MarginalProblem, free: Array, keys: Array) -> Array:
    def one(inputs: tuple[Array, Array]) -> Array:
        point, key = inputs
        log_joint = problem.log_joint(point)
        weight = jnp.exp(log_joint - jnp.max(log_joint, axis=1, keepdims=True))
        cumulated = jnp.cumsum(weight, axis=1)
        uniform = jax.random.uniform(key, (weight.shape[0], 1)) * cumulated[:, -1:]
        place = jnp.sum(cumulated < uniform, axis=1, keepdims=True)
        # Within a node's cell the draw is uniform: the inverse of the piecewise linear distribution function.
        mass = jnp.take_along_axis(weight, place, axis=1)
        beyond = jnp.take_along_axis(cumulated, place, axis=1) - uniform
        spacing = problem.nodes[1] - problem.nodes[0]
        standardised = problem.nodes[place] + spacing * (0.5 - beyond / mass)
        return problem.abilities(problem.space.constrain(point), standardised[:, 0])

    return jax.lax.map(one, (free, keys))


def draw_abilities(problem: MarginalProblem, free: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """One draw of every subject for each draw of the parameters.

    Args:
        problem: The marginal problem; the grid is doubled so that a cell's width adds under 1% to any posterior sd.
        free: Draws of the free vector, shape (draws, parameters).
        seed: Seed of the random numbers.

    Returns:
        Logits, shape (draws, subjects).
    """
    fine = problem.with_grid(2 * len(problem.nodes), problem.half_width)
    keys = jax.random.split(jax.random.key(seed), len(free))
    return np.asarray(_draw(fine, jax.device_put(free), keys))
