"""Nominal response model: categories whose order is not taken for granted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from psymetric.models.base import ABILITY, ParamSpec, Table
from psymetric.models.checks import require_all_categories, require_items
from psymetric.models.items import AbstractItemModel

__all__ = ["NominalResponse"]


@final
@dataclass(frozen=True)
class NominalResponse(AbstractItemModel):
    r"""Nominal response model (Bock, 1972), in the logits of neighbouring categories.

    $$\log \frac{P(X=k)}{P(X=k-1)} = \alpha_{i,k}\theta_s + \gamma_{i,k}$$

    Parameters: `ability` θ, shape (subjects,); `intercept` γ and `slope` α, shape (items, categories - 1). Bock's
    category slopes are the cumulated α; where all α of an item are alike it is a partial credit item, and a negative
    one says that two categories stand in the wrong order. Subjects come from N(0, 1), which fixes origin and scale.

    Args:
        prior_sd: Scale in logits of the normal prior on the intercepts under MAP, Laplace and NUTS.
        slope_prior_sd: Scale of the normal prior on the slopes, centred at 1.
        population: Groups or covariates that tell subjects apart.

    Source: Bock (1972), Psychometrika 37, 29-51.
    """

    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            ParamSpec("intercept", ("item", "step"), prior_sd=self.prior_sd),
            ParamSpec("slope", ("item", "step"), centre=1.0, prior_sd=self.slope_prior_sd, unit="slope"),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        item, theta = codes["item"], params[ABILITY][codes["subject"]][:, None]
        logits = jnp.cumsum(params["slope"][item] * theta + params["intercept"][item], axis=1)
        return jax.nn.log_softmax(jnp.pad(logits, ((0, 0), (1, 0))), axis=1)

    @override
    def check(self, table: Table) -> None:
        require_items(self, table, 3 if len(table.categories) == 2 else 2)
        require_all_categories(self, table)
