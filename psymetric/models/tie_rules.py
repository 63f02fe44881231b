"""What comes of a comparison: from the advantage of one item to the probabilities of winning, losing and a tie."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import log_ndtr

from psymetric.models.cumulative import log_ndtr_between

__all__ = ["Link", "TieRule", "outcome_log_probs"]

Link = Literal["logit", "probit"]
TieRule = Literal["davidson", "rao_kupper"]


def outcome_log_probs(
    gap: Array, position: Array | float, tie: Array | float, *, ties: TieRule | None, link: Link
) -> Array:
    r"""Log-probabilities of left, right and, under a rule for ties, tie; shape (rows, 2 or 3).

    With the advantage d = gap + position of the left item and F the logistic or the normal distribution function:

    * no ties: $P(\text{left}) = F(d)$;
    * "davidson" (logit): left, right and tie as $e^{gap/2 + position} : e^{-gap/2} : e^{tie}$, so that the position
      stays outside the tie term (Davidson & Beaver, 1977);
    * "rao_kupper": $P(\text{left}) = F(d - tie)$ and $P(\text{right}) = F(-d - tie)$, a tie where neither passes the
      threshold; with the normal F it is the model of Glenn & David.

    Args:
        gap: Strength of the left item less that of the right one, shape (rows,).
        position: Advantage of being shown first.
        tie: log ν under Davidson's rule, the threshold (above 0) under Rao and Kupper's; unused without ties.
        ties: The rule.
        link: The distribution function.

    Source: Davidson (1970), JASA 65, eq. 2.5; Rao & Kupper (1967), JASA 62, eq. 2.3, tie = ln θ; Glenn & David (1960),
    Biometrics 16, 86-109.
    """
    if ties == "davidson":
        # Outcomes along the first axis: over a last axis of three the sums would not be vectorised.
        odds = jnp.stack(jnp.broadcast_arrays(gap / 2 + position, -gap / 2, tie))
        return jax.nn.log_softmax(odds, axis=0).T
    log_f = jax.nn.log_sigmoid if link == "logit" else log_ndtr
    ahead = gap + position
    if ties is None:
        return jnp.stack([log_f(ahead), log_f(-ahead)], axis=1)
    return jnp.stack([log_f(ahead - tie), log_f(-ahead - tie), _log_between(ahead, jnp.asarray(tie), link)], axis=1)


def _log_between(ahead: Array, tie: Array, link: Link) -> Array:
    """log(F(ahead + tie) − F(ahead − tie)), without cancellation."""
    if link == "logit":
        # F(x) − F(y) = F(x) F(−y) (1 − exp(y − x)) of the logistic.
        both = jax.nn.log_sigmoid(tie + ahead) + jax.nn.log_sigmoid(tie - ahead)
        return both + jnp.log(-jnp.expm1(-2 * tie))
    return log_ndtr_between(ahead + tie, ahead - tie)
