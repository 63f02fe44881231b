"""The value of a marginal log density and its gradient by Fisher's identity, with the posteriors that go into it.

The gradient of a marginal log-likelihood is that of the expected complete-data log-likelihood (Louis, 1982, JRSS B 44,
226-233, eq. 3.1). Compiling costs about 15 ms for every loop of a program, so that the maps from the free vector, which
are the same on every grid, are programs of their own, and one evaluation on a grid yields all that is asked of it:
value, gradient, posteriors and expected counts.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from psymetric.core.parameters import ParameterSpace, constrain
from psymetric.estimation.problems import MarginalProblem

__all__ = ["Evaluation", "evaluated", "marginal_value_and_gradient", "posterior_spread"]


class Evaluation(NamedTuple):
    """A marginal likelihood at one point.

    Attributes:
        value: Log-likelihood.
        gradient: Of the log-likelihood in the constrained arrays.
        expected: Expected counts on the rows of the table, shape (rows, nodes).
        mass: Posterior mass of the nodes up to a factor, shape (subjects, nodes), and its sum over them.
        total: Shape (subjects,).
    """

    value: Array
    gradient: dict[str, Array]
    expected: Array
    mass: Array
    total: Array

    @property
    def posterior(self) -> NDArray[np.float64]:
        """Subjects' posteriors on the nodes, shape (subjects, nodes)."""
        return np.asarray(self.mass) / np.asarray(self.total)[:, None]


@jax.jit
def evaluated(problem: MarginalProblem, params: dict[str, Array]) -> Evaluation:
    """The likelihood of a problem at constrained arrays, compiled once per model and shape."""

    def parts(values: dict[str, Array]) -> tuple[Array, Array]:
        return problem.rows(values), problem.log_masses(values)

    def joint(rows: Array, log_masses: Array) -> Array:
        return problem.summed(rows) + log_masses

    made, pull = jax.vjp(parts, params)
    log_joint, split = jax.vjp(joint, *made)
    top = jnp.max(log_joint, axis=1)
    mass = jnp.exp(log_joint - top[:, None])
    total = jnp.sum(mass, axis=1)
    value = jnp.sum(problem.multiplicity * (top + jnp.log(total)))
    found = split(mass * (problem.multiplicity / total)[:, None])
    return Evaluation(value, pull(found)[0], found[0], mass, total)


@partial(jax.jit, static_argnames="prior")
def _with_penalty(
    space: ParameterSpace, free: ArrayLike, value: Array, gradient: dict[str, Array], prior: bool
) -> tuple[Array, Array]:
    """A log density and its gradient in the free vector from a log-likelihood and its gradient in the arrays."""
    point = jnp.asarray(free)
    penalty, slope = jax.value_and_grad(lambda at: space.penalty(at, prior=prior))(point)
    return value + penalty, jax.vjp(space.constrain, point)[1](gradient)[0] + slope


def marginal_value_and_gradient(problem: MarginalProblem, free: ArrayLike) -> tuple[Array, Array]:
    """Log density and its gradient in the free vector."""
    at = evaluated(problem, constrain(problem.space, free))
    return _with_penalty(problem.space, free, at.value, at.gradient, problem.prior)


def posterior_spread(
    problem: MarginalProblem, free: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Means and sds of the subjects' posteriors, shape (subjects,), and the largest mass of any at an end node."""
    posterior, nodes = evaluated(problem, constrain(problem.space, free)).posterior, np.asarray(problem.nodes)
    mean = posterior @ nodes
    # About the mean: the difference of two large squares would lose the narrow ones.
    variance = np.einsum("sq,sq->s", posterior, (nodes - mean[:, None]) ** 2)
    return mean, np.sqrt(variance), float(posterior[:, [0, -1]].max())
