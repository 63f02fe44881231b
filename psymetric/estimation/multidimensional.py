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

from psymetric.core.parameters import ParameterSpace, constrain
from psymetric.estimation.window_places import Accuracy, place_windows, still_placed
from psymetric.estimation.window_rows import Subjects, group_rows
from psymetric.estimation.windows import Integral
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.space import parameter_space

__all__ = ["MultidimensionalProblem", "multidimensional_problem", "placed"]

Vector = NDArray[np.float64]


@final
@partial(
    jax.tree_util.register_dataclass,
    # The spacing among the arrays: windows that move must not cost a compilation.
    data_fields=["space", "integral", "multiplicity", "spacing"],
    meta_fields=["prior"],
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
        return self.space.penalty(free, prior=self.prior)

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


def placed(problem: MultidimensionalProblem, point: Vector, wanted: Accuracy) -> MultidimensionalProblem:
    """The problem with windows under the posteriors at a free vector; itself where they lie there already."""
    params = constrain(problem.space, point)
    if problem.integral.n_nodes > 1 and still_placed(problem.integral, params, wanted.reach):
        return problem
    integral, spacing = place_windows(problem.integral, params, wanted)
    return replace(problem, integral=integral, spacing=spacing)
