"""What a measurement model is: settings, parameter specifications and one likelihood function.

Everything else (log-likelihood, simulation, identification, priors, initial values, labels in results) is derived from
these three, here and in `models/space.py`, and is the same for every model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.parameters import Block
from psymetric.data.coding import Label
from psymetric.models.checks import Table
from psymetric.models.population import Population

__all__ = ["ABILITY", "DIMENSION", "AbstractMeasurementModel", "Label", "ParamSpec", "Table"]

ABILITY = "ability"
"""Name of the subject parameter that marginal engines integrate over."""
DIMENSION = "dimension"
"""Second axis of the abilities of models that measure several."""


@final
@dataclass(frozen=True)
class ParamSpec:
    """One parameter array of a model, as data.

    Attributes:
        name: Key of the array in results.
        axes: Its axes: facet names, and "step" for the steps between categories. Empty for a scalar.
        support: Where its values live: the reals, above zero, between 0 and 1, (steps) in rising order, above zero as
            the sd of a latent variable, whose prior is half-normal, or on a simplex: probabilities that sum to one
            along the last axis.
        identification: "free", or "sum_to_zero" along every axis (steps: within each group; positive values: their
            logs, so that the geometric mean is one).
        centre: Where the prior is centred and the engines start, on the free scale: the value itself, its log where
            positive, its logit between 0 and 1.
        prior_sd: Scale of the normal prior on the free scale, used by MAP, Laplace and NUTS.
        random: Levels are draws from N(0, sd²) whose sd is estimated.
        anchors: Levels fixed at known values, (level, logits); the facet is then not centred.
        course: How values move along the second axis: each for itself, as a random walk, or in a straight line.
        covariates: Columns that explain the levels; what they leave is random, or nothing where `random` is False.
        unit: Unit of the values.
    """

    name: str
    axes: tuple[str, ...]
    support: Literal["real", "positive", "unit", "ordered", "scale", "simplex"] = "real"
    identification: Literal["free", "sum_to_zero"] = "free"
    centre: float = 0.0
    prior_sd: float = 2.0
    random: bool = False
    anchors: tuple[tuple[Label, float], ...] = ()
    course: Literal["", "walk", "linear"] = ""
    covariates: tuple[str, ...] = ()
    unit: str = "logit"

    @property
    def is_location(self) -> bool:
        """Whether its levels stand on the scale of the subjects: difficulties, severities, interactions."""
        return self.stands_on("logit")

    def stands_on(self, unit: str) -> bool:
        """Whether its levels are places on a scale of this unit."""
        return self.name != ABILITY and bool(self.axes) and "step" not in self.axes and self.unit == unit


class AbstractMeasurementModel(ABC):
    """A measurement model: a frozen dataclass of settings, `parameters` and `category_log_probs`."""

    @property
    @abstractmethod
    def table_kind(self) -> Literal["responses", "pairs", "rankings"]:
        """Which table the model reads."""

    @property
    @abstractmethod
    def facets(self) -> tuple[str, ...]:
        """Code columns that the likelihood reads, besides "subject" for response models."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[ParamSpec, ...]:
        """The parameter arrays, in the order they are reported."""

    @abstractmethod
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probability of every category for every response, shape (responses, categories).

        Args:
            params: Constrained arrays by name.
            codes: Integer codes by column, each of shape (responses,).
            n_categories: Number of categories of the table.
        """

    @property
    def population(self) -> Population:
        """Where the subjects come from; models with subjects have a setting of this name."""
        return Population()

    @property
    def scale(self) -> Literal["items", "subjects"]:
        """What fixes origin and unit: items of mean 0 and slope 1 or, as slopes are free, subjects of mean 0, sd 1."""
        return "items"

    @property
    def needs_prior(self) -> bool:
        """Whether plain maximum likelihood is not to be relied on, so that MAP is the recommended engine."""
        return False

    def levels(self, table: Table) -> Mapping[str, tuple[Label, ...]]:
        """Labels of the axes of the parameters; the table's own unless a model adds to them."""
        return table.levels

    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        """The blocks of a parameter whose constraints its specification cannot state; None leaves it to that.

        For the ability these are the parameters of its population.
        """

    def n_outcomes(self, n_categories: int) -> int:
        """Number of categories the model gives probability to; the table's own unless a model says otherwise."""
        return n_categories

    def check(self, table: Table) -> None:
        """Raise what makes this table unfit for this model beyond missing columns; most models have nothing to add."""

    def log_prior(self, params: Mapping[str, Array]) -> Array:  # noqa: ARG002  (few models add to it)
        """Log-density of what the model's prior says beyond those of its specifications, a scalar."""
        return jnp.zeros(())

    def response_log_probs(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], response: Array, n_categories: int
    ) -> Array:
        """Log-probability of what was observed in every row, shape (rows,)."""
        log_probs = self.category_log_probs(params, codes, n_categories)
        return jnp.take_along_axis(log_probs, response[:, None], axis=1)[:, 0]

    @final
    def log_likelihood(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], response: Array, weight: Array, n_categories: int
    ) -> Array:
        """Weighted log-likelihood of the responses, a scalar."""
        return jnp.sum(weight * self.response_log_probs(params, codes, response, n_categories))

    def simulate(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> NDArray[np.int32]:
        """Draw a category for every row of `codes` from the model's own probabilities, shape (rows,)."""
        log_probs = self.category_log_probs(params, codes, n_categories)
        return np.asarray(jax.random.categorical(jax.random.key(seed), log_probs, axis=1), np.int32)
