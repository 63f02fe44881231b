"""Cumulative logits and probits: what the graded response model, detection and ties share."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import log_ndtr

__all__ = ["cumulative_log_probs", "cumulative_probit_log_probs", "log_ndtr_between"]

_NARROW, _LEAST = 1e-6, 1e-300


def cumulative_log_probs(logit: Array) -> Array:
    """Log-probability of every category, shape (rows, categories), from falling logits of P(X >= k), k from 1 on."""
    at_least, below = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)
    # logistic(x) - logistic(y) = logistic(x) logistic(-y) (1 - exp(y - x)), without cancellation.
    between = at_least[:, :-1] + below[:, 1:] + jnp.log(-jnp.expm1(jnp.diff(logit, axis=1)))
    return jnp.concatenate([below[:, :1], between, at_least[:, -1:]], axis=1)


def cumulative_probit_log_probs(probit: Array) -> Array:
    """As `cumulative_log_probs`, from falling probits of P(X >= k)."""
    between = log_ndtr_between(probit[:, :-1], probit[:, 1:])
    return jnp.concatenate([log_ndtr(-probit[:, :1]), between, log_ndtr(probit[:, -1:])], axis=1)


def log_ndtr_between(high: Array, low: Array) -> Array:
    """log(Φ(high) − Φ(low)) of the normal distribution function, without cancellation, where high > low."""
    middle, width = (high + low) / 2, high - low
    # So narrow that the density at the middle, times the width, is the probability; above zero after rounding as well.
    is_narrow = width * (1 + jnp.abs(middle)) < _NARROW
    narrow = jnp.log(jnp.where(is_narrow, jnp.maximum(width, _LEAST), 1.0)) - middle**2 / 2 - 0.5 * np.log(2 * np.pi)
    # In the lower tail, where both are small and their ratio is known; unlike the absolute value, without a kink.
    above = middle > 0
    upper, lower = log_ndtr(jnp.where(above, -low, high)), log_ndtr(jnp.where(above, -high, low))
    ratio = jnp.where(is_narrow, -1.0, lower - upper)
    return jnp.where(is_narrow, narrow, upper + jnp.log(-jnp.expm1(ratio)))
