"""Fitting models of several correlated abilities: their marginal problem, and its mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.window_places import Accuracy, place_windows, still_placed
from psymetric.estimation.windows import Integral, Subjects, group_rows
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.space import parameter_space

__all__ = ["MultidimensionalProblem", "marginal_curvature", "multidimensional_problem", "placed"]

Vector = NDArray[np.float64]

_AT_ONCE = 1 << 24
"""Numbers in memory at a time while the curvature is computed."""


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["space", "integral", "multiplicity"],
    meta_fields=["prior", "spacing"],
)
@dataclass(frozen=True)
class MultidimensionalProblem:
    """A model of several abilities with their normal distribution integrated out on windows under each posterior.

    Attributes:
        integral: The subjects' responses and windows. multiplicity: How many subjects with the same responses each
            subject stands for, shape (subjects,).
        prior: Whether the priors are part of the density (MAP, Laplace, NUTS, SVI) or not (maximum likelihood).
        spacing: Largest spacing of nodes, in sds of the posterior they lie under; NaN before windows are placed.
    """

    space: ParameterSpace
    integral: Integral
    multiplicity: Array
    prior: bool
    spacing: float = float("nan")

    @property
    def model(self) -> AbstractMeasurementModel:
        """The model."""
        return self.integral.model

    @property
    def n_categories(self) -> int:
        """Number of categories."""
        return self.integral.n_categories

    @property
    def grid(self) -> str:
        """The nodes in words."""
        n_nodes, n_dims = self.integral.n_nodes, self.integral.n_dimensions
        return f"{n_nodes}^{n_dims} nodes under each posterior"

    @property
    def grid_details(self) -> dict[str, float]:
        """The nodes in numbers."""
        return {"nodes": float(self.integral.n_nodes), "spacing": self.spacing}

    def log_marginals(self, params: dict[str, Array]) -> Array:
        """Log of every subject's marginal likelihood, shape (subjects,)."""
        return self.integral.each(lambda subject: self.integral.log_marginal(params, subject))

    def penalty(self, free: Array) -> Array:
        """What the density has beyond the likelihood: the priors."""
        return self.space.log_prior(free) if self.prior else self.space.random_log_density(free)

    def log_likelihood(self, free: Array) -> Array:
        """Marginal log-likelihood, a scalar."""
        return jnp.sum(self.multiplicity * self.log_marginals(self.space.constrain(free)))

    def log_density(self, free: Array) -> Array:
        """What the engine maximises or samples."""
        return self.log_likelihood(free) + self.penalty(free)


def multidimensional_problem(model: Any, table: Table, *, prior: bool) -> MultidimensionalProblem:
    """Set up the problem of a model with `loadings`, its windows not placed yet."""
    n_subjects, n_categories = len(table.levels["subject"]), len(table.categories)
    groups = group_rows(
        model.loadings(table).pattern,
        {facet: table.codes[facet] for facet in model.facets},
        table.codes["subject"],
        table.response,
        table.weight,
        n_subjects=n_subjects,
        n_categories=n_categories,
    )
    n_dims = model.loadings(table).pattern.shape[1]
    subjects = Subjects(groups, jnp.zeros((n_subjects, n_dims)), jnp.ones((n_subjects, n_dims)))
    space = parameter_space(model, table, ability="integrated")
    return MultidimensionalProblem(space, Integral(model, subjects, n_categories, 1), jnp.ones(n_subjects), prior)


@jax.jit
def _constrained(space: ParameterSpace, free: Array) -> dict[str, Array]:
    return space.constrain(free)


def placed(problem: MultidimensionalProblem, point: Vector, wanted: Accuracy) -> MultidimensionalProblem:
    """The problem with windows under the posteriors at a free vector; itself where they lie there already."""
    params = _constrained(problem.space, jnp.asarray(point))
    if problem.integral.n_nodes > 1 and still_placed(problem.integral, params, wanted.reach):
        return problem
    integral, spacing = place_windows(problem.integral, params, wanted)
    return replace(problem, integral=integral, spacing=spacing)


def marginal_curvature(problem: MultidimensionalProblem, free: Vector) -> Vector:
    """Exact Hessian of the log density in the free vector, shape (parameters, parameters)."""
    at_once = max(1, min(problem.integral.n_subjects, _AT_ONCE // (problem.integral.size * max(len(free), 1))))
    return np.asarray(_curvature(problem, jnp.asarray(free), at_once))


@partial(jax.jit, static_argnames="at_once")
def _curvature(problem: MultidimensionalProblem, free: Array, at_once: int) -> Array:
    integral, n = problem.integral, problem.integral.n_subjects
    # Some subjects at a time, the last ones padded with subjects of weight zero.
    order = jnp.arange(-(-n // at_once) * at_once)
    weight = jnp.where(order < n, problem.multiplicity[order % n], 0.0)

    def add(total: Array, piece: tuple[Array, Array]) -> tuple[Array, None]:
        chosen, times = piece
        some: Subjects = jax.tree.map(lambda leaf: leaf[chosen], integral.subjects)

        def log_likelihood(point: Array) -> Array:
            params = problem.space.constrain(point)
            return jnp.sum(times * jax.vmap(lambda subject: integral.log_marginal(params, subject))(some))

        return total + jax.hessian(log_likelihood)(free), None

    pieces = ((order % n).reshape(-1, at_once), weight.reshape(-1, at_once))
    start = jax.hessian(problem.penalty)(free)
    return jax.lax.scan(add, start, pieces)[0]
