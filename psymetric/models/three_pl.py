"""Three-parameter logistic model: right or wrong answers that can be guessed."""

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

__all__ = ["ThreePL"]


@final
@dataclass(frozen=True)
class ThreePL(AbstractAsymptoteModel):
    r"""Three-parameter logistic model (Birnbaum, 1968).

    $$P(X=1) = c_i + (1 - c_i)\,\mathrm{logistic}(a_i(\theta_s - b_i))$$

    Parameters: `ability` θ, shape (subjects,); `item` b, shape (items,), in logits; `discrimination` a and `guessing`
    c, shape (items,). Subjects come from N(0, 1), which fixes origin and scale.

    Plain likelihoods say little about the guessing of easy items, so that `fit` uses MAP unless told otherwise; its
    prior puts c near `chance`.

    Args:
        prior_sd: Scale in logits of the normal prior on the difficulties under MAP, Laplace and NUTS.
        slope_prior_sd: Scale of the normal prior on the discriminations, centred at 1.
        asymptote_prior_sd: Scale of the normal prior on the logits of the guessing.
        chance: Centre of the prior on the guessing, such as one over the number of options.
        population: Groups or covariates that tell subjects apart.

    Source: Birnbaum (1968), in Lord & Novick, Statistical Theories of Mental Test Scores, ch. 17.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.chance < 1:
            raise DesignError(
                f"ThreePL(chance={self.chance!r}) must lie between 0 and 1, such as 0.25 for four options"
            )

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            *locations_and_slopes(self.prior_sd, self.slope_prior_sd),
            asymptote("guessing", log(self.chance / (1 - self.chance)), self.asymptote_prior_sd),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        item = codes["item"]
        logit = params["discrimination"][item] * distance(params, codes)
        right, wrong = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)
        guessing = params["guessing"][item]
        return jnp.stack([jnp.log1p(-guessing) + wrong, jnp.logaddexp(right, jnp.log(guessing) + wrong)], axis=1)
