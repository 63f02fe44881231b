"""Rasch model: right or wrong answers to items, with unit discrimination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.checks import check_prior_sd, require_two_categories
from psymetric.models.population import Population, as_population

__all__ = ["Rasch"]


@final
@dataclass(frozen=True)
class Rasch(AbstractMeasurementModel):
    r"""Rasch model (Rasch, 1960): $\mathrm{logit}\,P(X=1) = \theta_s - \delta_i$.

    Parameters, in logits: `ability` θ, shape (subjects,); `item` δ, shape (items,), centred, which fixes the origin.
    The unit slope fixes the scale.

    Args:
        prior_sd: Scale in logits of the normal prior on the difficulties under MAP, Laplace and NUTS.
        population: Groups or covariates that tell subjects apart.

    Source: Rasch (1960), Probabilistic Models for Some Intelligence and Attainment Tests.
    """

    prior_sd: float = 2.0
    population: Population = field(default=Population(), kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __post_init__(self) -> None:
        object.__setattr__(self, "population", as_population(self.population))
        check_prior_sd(self, self.prior_sd)

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "responses"

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return ("item",)

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            ParamSpec("item", ("item",), identification="sum_to_zero", prior_sd=self.prior_sd),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        logit = params[ABILITY][codes["subject"]] - params["item"][codes["item"]]
        return jnp.stack([jax.nn.log_sigmoid(-logit), jax.nn.log_sigmoid(logit)], axis=1)

    @override
    def check(self, table: Table) -> None:
        require_two_categories(self, table, 'ManyFacetRasch(facets=("item",), steps="item")')
