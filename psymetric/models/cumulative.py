"""Cumulative logits: what the graded response model and the signal detection of raters share."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["cumulative_log_probs"]


def cumulative_log_probs(logit: Array) -> Array:
    """Log-probability of every category, shape (rows, categories), from falling logits of P(X >= k), k from 1 on."""
    at_least, below = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)
    # logistic(x) - logistic(y) = logistic(x) logistic(-y) (1 - exp(y - x)), without cancellation.
    between = at_least[:, :-1] + below[:, 1:] + jnp.log(-jnp.expm1(jnp.diff(logit, axis=1)))
    return jnp.concatenate([below[:, :1], between, at_least[:, -1:]], axis=1)
