"""Generalised partial credit model: ordered categories, items that differ in discrimination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from psymetric.core.steps import UNUSED
from psymetric.models.base import ABILITY, ParamSpec, Table
from psymetric.models.checks import require_items
from psymetric.models.items import AbstractItemModel, distance, locations_and_slopes

__all__ = ["GeneralizedPartialCredit"]


@final
@dataclass(frozen=True)
class GeneralizedPartialCredit(AbstractItemModel):
    r"""Generalised partial credit model (Muraki, 1992).

    $$\log \frac{P(X=k)}{P(X=k-1)} = a_i(\theta_s - \delta_i - \tau_{i,k})$$

    Parameters: `ability` θ, shape (subjects,); `item` δ, shape (items,), in logits; `discrimination` a, shape (items,);
    `step` τ, shape (items, categories - 1), each item's sum to zero. Subjects come from N(0, 1), which fixes origin and
    scale. Items may have fewer categories than the table: those an item never drew are left out of it.

    Args:
        prior_sd: Scale in logits of the normal prior on the item locations and steps under MAP, Laplace and NUTS.
        slope_prior_sd: Scale of the normal prior on the discriminations, centred at 1.
        population: Groups or covariates that tell subjects apart.

    Source: Muraki (1992), Applied Psychological Measurement 16, 159-176.
    """

    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            *locations_and_slopes(self.prior_sd, self.slope_prior_sd),
            ParamSpec("step", ("item", "step"), identification="sum_to_zero", prior_sd=self.prior_sd),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        item = codes["item"]
        slope, step = params["discrimination"][item][:, None], params["step"][item]
        # What keeps an unused category out of reach does so whatever the slope; what the step over it costs is scaled.
        barrier = UNUSED * jnp.round(step / UNUSED)
        logits = slope * (distance(params, codes)[:, None] - (step - barrier)) - barrier
        return jax.nn.log_softmax(jnp.pad(jnp.cumsum(logits, axis=1), ((0, 0), (1, 0))), axis=1)

    @override
    def check(self, table: Table) -> None:
        require_items(self, table, 3 if len(table.categories) == 2 else 2)
