"""Four-parameter logistic model: answers that can be guessed, and slips of those who know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import final

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from psymetric.errors import DesignError
from psymetric.models.base import ABILITY, ParamSpec
from psymetric.models.items import AbstractAsymptoteModel, asymptote, distance, locations_and_slopes

__all__ = ["FourPL"]


@final
@dataclass(frozen=True)
class FourPL(AbstractAsymptoteModel):
    r"""Four-parameter logistic model (Barton & Lord, 1981).

    $$P(X=1) = c_i + (d_i - c_i)\,\mathrm{logistic}(a_i(\theta_s - b_i))$$

    Parameters: `ability` θ, shape (subjects,); `item` b, shape (items,), in logits; `discrimination` a, `guessing` c
    and `upper` d, shape (items,). Subjects come from N(0, 1), which fixes origin and scale.

    Both asymptotes rest on the few subjects far from the item, so that `fit` uses MAP unless told otherwise; its priors
    put c near `chance` and d near 1 − `slip`.

    Args:
        prior_sd: Scale in logits of the normal prior on the difficulties under MAP, Laplace and NUTS.
        slope_prior_sd: Scale of the normal prior on the discriminations, centred at 1.
        asymptote_prior_sd: Scale of the normal prior on the logits of the asymptotes.
        chance: Centre of the prior on the guessing.
        slip: Centre of the prior on 1 − d.
        population: Groups or covariates that tell subjects apart.

    Source: Barton & Lord (1981), An upper asymptote for the three-parameter logistic item-response model, ETS RR-81-20.
    """

    slip: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.chance < 1 - self.slip < 1:
            raise DesignError(
                f"FourPL(chance={self.chance!r}, slip={self.slip!r}) must be above 0 and sum to less than 1"
            )

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            *locations_and_slopes(self.prior_sd, self.slope_prior_sd),
            asymptote("guessing", log(self.chance / (1 - self.chance)), self.asymptote_prior_sd),
            asymptote("upper", log((1 - self.slip) / self.slip), self.asymptote_prior_sd),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        item = codes["item"]
        logit = params["discrimination"][item] * distance(params, codes)
        right, wrong = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)
        lower, upper = params["guessing"][item], params["upper"][item]
        # A mixture of guessing and knowing: valid whatever the order of the asymptotes.
        return jnp.stack(
            [
                jnp.logaddexp(jnp.log1p(-lower) + wrong, jnp.log1p(-upper) + right),
                jnp.logaddexp(jnp.log(lower) + wrong, jnp.log(upper) + right),
            ],
            axis=1,
        )
