"""Whether the nodes of a second latent variable resolve its posteriors, and what doubling them would change."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.estimation.nested import NestedPlan, latent_grid_for
from psymetric.estimation.problems import MarginalProblem, Problem

__all__ = ["finer_nested", "nested_details"]

Vector = NDArray[np.float64]

_EDGE, _REACH = 1e-8, 6.0
"""Mass that an end node may hold, and posterior sds that a longer grid reaches beyond every posterior mean."""


@jax.jit
def _spread(problem: MarginalProblem, plan: NestedPlan, free: Array) -> tuple[Array, Array, Array]:
    params = problem.space.constrain(free)
    posterior = jax.nn.softmax(problem.log_joint_at(params), axis=1)
    return plan.spread(params, problem.abilities(params, problem.nodes), posterior)


def finer_nested(problem: MarginalProblem, point: Vector) -> NestedPlan | None:
    """The plan on nodes no further apart than the sd of the narrowest posterior, or None where its own are so.

    The rectangle rule then errs by about 3e-9. What has to be resolved is the posterior given the ability.
    """
    plan = problem.nested
    if plan is None or not plan.grid.is_normal:
        return None
    mean, sd, at_end = (np.asarray(part) for part in _spread(problem, plan, jax.device_put(point)))
    nodes = np.asarray(plan.grid.nodes)
    half_width, spacing = float(nodes[-1]), float(nodes[1] - nodes[0])
    if float(at_end) > _EDGE:
        half_width = max(half_width + 1, float(np.ceil(np.max(np.abs(mean) + _REACH * sd))))
    # A posterior narrower than the spacing hides in one node, and its sd reads as nearly zero: refine step by step.
    narrowest = max(float(sd.min()), spacing / 4)
    if narrowest >= spacing and half_width <= float(nodes[-1]):
        return None
    n_nodes = max(len(nodes), latent_grid_for(1 + 2 * half_width / narrowest))
    return None if (n_nodes, half_width) == (len(nodes), float(nodes[-1])) else plan.with_grid(n_nodes, half_width)


@jax.jit
def _log_likelihood(problem: MarginalProblem, free: Array) -> Array:
    return problem.log_likelihood(free)


def nested_details(problem: Problem, free: Vector) -> dict[str, float]:
    """Nodes of the second latent variable, and by how much twice as many move the log-likelihood; empty without one."""
    if not isinstance(problem, MarginalProblem) or problem.nested is None or not problem.nested.grid.is_normal:
        return {}
    doubled, point = replace(problem, nested=problem.nested.finer(2.0)), jax.device_put(free)
    change = float(_log_likelihood(doubled, point)) - float(_log_likelihood(problem, point))
    return {"latent_nodes": float(problem.nested.grid.nodes.shape[0]), "latent_doubling": change}
