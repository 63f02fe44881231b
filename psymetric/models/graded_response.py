"""Graded response model: ordered categories as cumulative logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from psymetric.core.steps import UNUSED
from psymetric.models.base import ABILITY, ParamSpec, Table
from psymetric.models.checks import require_items, require_unbroken_scales
from psymetric.models.cumulative import cumulative_log_probs
from psymetric.models.items import AbstractItemModel, distance

__all__ = ["GradedResponse"]


@final
@dataclass(frozen=True)
class GradedResponse(AbstractItemModel):
    r"""Graded response model (Samejima, 1969): $\mathrm{logit}\,P(X \ge k) = a_i(\theta_s - \delta_i - \tau_{i,k})$.

    Parameters: `ability` θ, shape (subjects,); `item` δ, shape (items,), in logits, the mean of the item's thresholds;
    `discrimination` a > 0, shape (items,); `step` τ, shape (items, categories - 1), rising, each item's sum to zero, so
    that Samejima's thresholds are $b_{ik} = \delta_i + \tau_{ik}$. Subjects come from N(0, 1), which fixes origin and
    scale. Items may have fewer categories than the table: those at an end that an item never drew are left out of it.

    Args:
        prior_sd: Scale in logits of the normal prior on the locations, and of the one on the logs of the distances
            between thresholds, under MAP, Laplace and NUTS.
        slope_prior_sd: Scale of the normal prior on the logs of the discriminations, centred at 0.
        population: Groups or covariates that tell subjects apart.

    Source: Samejima (1969), Psychometrika Monograph 17.
    """

    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            ParamSpec("item", ("item",), prior_sd=self.prior_sd),
            ParamSpec("discrimination", ("item",), support="positive", prior_sd=self.slope_prior_sd, unit="slope"),
            ParamSpec(
                "step", ("item", "step"), support="ordered", identification="sum_to_zero", prior_sd=self.prior_sd
            ),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        item = codes["item"]
        slope, step = params["discrimination"][item][:, None], params["step"][item]
        # What keeps an unused category out of reach must do so whatever the slope.
        threshold = jnp.where(jnp.abs(step) > UNUSED / 2, step, slope * step)
        return cumulative_log_probs(slope * distance(params, codes)[:, None] - threshold)

    @override
    def check(self, table: Table) -> None:
        require_items(self, table, 3 if len(table.categories) == 2 else 2)
        require_unbroken_scales(self, table)
