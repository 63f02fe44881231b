"""Two-parameter logistic model: right or wrong answers to items that differ in discrimination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from psymetric.models.base import ABILITY, ParamSpec, Table
from psymetric.models.checks import require_items, require_two_categories
from psymetric.models.items import AbstractItemModel, distance, locations_and_slopes

__all__ = ["TwoPL"]


@final
@dataclass(frozen=True)
class TwoPL(AbstractItemModel):
    r"""Two-parameter logistic model (Birnbaum, 1968): $\mathrm{logit}\,P(X=1) = a_i(\theta_s - b_i)$.

    Parameters: `ability` θ, shape (subjects,); `item` b, shape (items,), in logits; `discrimination` a, shape (items,).
    Subjects come from N(0, 1), which fixes origin and scale, so that slopes and difficulties are those other IRT
    programs report; their slope-intercept form is $d_i = -a_i b_i$. A negative slope is possible and marks an item
    keyed the wrong way.

    Args:
        prior_sd: Scale in logits of the normal prior on the difficulties under MAP, Laplace and NUTS.
        slope_prior_sd: Scale of the normal prior on the discriminations, centred at 1.
        population: Groups or covariates that tell subjects apart.

    Source: Birnbaum (1968), in Lord & Novick, Statistical Theories of Mental Test Scores, ch. 17.
    """

    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            *locations_and_slopes(self.prior_sd, self.slope_prior_sd),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        logit = params["discrimination"][codes["item"]] * distance(params, codes)
        return jnp.stack([jax.nn.log_sigmoid(-logit), jax.nn.log_sigmoid(logit)], axis=1)

    @override
    def check(self, table: Table) -> None:
        require_two_categories(self, table, "GeneralizedPartialCredit() or GradedResponse()")
        require_items(self, table, 3)
