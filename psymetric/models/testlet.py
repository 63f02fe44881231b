"""Rasch testlet model: ratings of one subject that hang together beyond what the subject explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from psymetric.errors import DataError, DesignError
from psymetric.models.base import ABILITY, ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.population import Population

__all__ = ["RaschTestlet"]

_HALO = "halo"


@final
@dataclass(frozen=True)
class RaschTestlet(AbstractNestedModel):
    r"""Many-facet Rasch model with a random effect for each subject and level of a facet (Wang & Wilson, 2005).

    $$\log \frac{P(X=k)}{P(X=k-1)} = \theta_s + u_{s,j} - \sum_f \gamma_f - \tau_{h,k}, \qquad u_{s,j} \sim N(0,
    \sigma_u^2)$$

    With judges as levels, u is the halo: what one judge's ratings of one subject share beyond the subject's measure.
    With passages or topics as levels it is the testlet effect of the items asked about one of them. Taken as
    independent, such responses count for more than they tell, and intervals of subjects come out too short.

    Parameters: those of the many-facet Rasch model, and `halo_sd` $\sigma_u$ in logits, half-normal prior under MAP,
    Laplace and NUTS. At $\sigma_u = 0$ it is the many-facet Rasch model.

    Args:
        conditional: The model of the responses given θ + u. Its facets need not hold `within`: where items lie within
            passages, the items' difficulties hold those of the passages.
        within: The facet whose levels' responses hang together, within a subject.
        halo_prior_sd: Scale in logits of the half-normal prior on `halo_sd`.

    Raises:
        DesignError: `conditional` is no ManyFacetRasch, or `within` is "subject".

    Source: Wang & Wilson (2005), Applied Psychological Measurement 29, 126-149, eq. 3, with one sd for all testlets;
    Bradlow, Wainer & Wang (1999), Psychometrika 64, 153-168.
    """

    conditional: ManyFacetRasch = field(default_factory=ManyFacetRasch)
    within: str = "judge"  # pyright: ignore[reportIncompatibleMethodOverride]
    halo_prior_sd: float = 2.5

    def __post_init__(self) -> None:
        given: Any = self.conditional
        if isinstance(given, Mapping):
            given = ManyFacetRasch(**given)  # pyright: ignore[reportUnknownArgumentType]
        if not isinstance(given, ManyFacetRasch):
            raise DesignError(f"RaschTestlet(conditional={given!r}) must be a ManyFacetRasch")
        object.__setattr__(self, "conditional", given)
        if self.within == "subject":
            raise DesignError("RaschTestlet(within='subject'): name a facet whose levels each subject meets several of")
        check_prior_sd(self, self.halo_prior_sd, name="halo_prior_sd")

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "responses"

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        own = self.conditional.facets
        return own if self.within in own else (*own, self.within)

    @property
    @override
    def population(self) -> Population:
        return self.conditional.population

    @property
    @override
    def latent(self) -> str:
        return _HALO

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (*self.conditional.parameters, ParamSpec("halo_sd", (), support="scale", prior_sd=self.halo_prior_sd))

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        location = params[ABILITY][codes["subject"]] + params[_HALO][codes[self.owner]]
        # To the conditional model every response has a subject of its own, who stands at θ + u.
        moved = {**codes, "subject": jnp.arange(location.shape[0])}
        return self.conditional.category_log_probs({**params, ABILITY: location}, moved, n_categories)

    @override
    def check(self, table: Table) -> None:
        used = table.weight > 0
        pair = table.codes["subject"].astype(np.int64) * len(table.levels[self.within]) + table.codes[self.within]
        pairs, count = np.unique(pair[used], return_counts=True)
        if len(pairs) and count.max() < 2 and table.weight.max() <= 1:
            raise DataError(
                f"RaschTestlet(within={self.within!r}): no subject has two responses under one {self.within}, so that "
                "nothing can hang together: use ManyFacetRasch()"
            )
        if len(np.unique(pairs // len(table.levels[self.within]))) == len(pairs):
            raise DataError(
                f"RaschTestlet(within={self.within!r}): no subject has responses under two levels of {self.within!r}, "
                "so that what they share cannot be told from the subject: use ManyFacetRasch()"
            )
