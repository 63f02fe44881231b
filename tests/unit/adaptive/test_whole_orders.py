"""How far any choice of pairs can shorten the way to a whole order: what is asked when the worths are known already.

The expected Kendall's tau of a maximum-likelihood order follows from the information about the worths, and so from how
often each pair is asked. The best shares are those that somebody who knows the worths would choose; no strategy that
has to find them out can be expected to need much less.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import norm

Expected = Callable[[jax.Array, float], jax.Array]

N_ITEMS = 30
FIRST, SECOND = np.triu_indices(N_ITEMS, 1)


def expected_tau(worth: np.ndarray) -> Expected:
    """Large-sample tau from the shares of the pairs, shape (pairs,), and the number of comparisons."""
    gap = worth[FIRST] - worth[SECOND]
    each = 1 / (1 + np.exp(-gap)) / (1 + np.exp(gap))

    def tau(share: jax.Array, comparisons: float) -> jax.Array:
        weight = comparisons * each * share
        laplacian = jnp.zeros((N_ITEMS, N_ITEMS)).at[FIRST, SECOND].set(-weight)
        laplacian = laplacian + laplacian.T
        laplacian = laplacian - jnp.diag(laplacian.sum(axis=1))
        covariance = jnp.linalg.inv(laplacian + 1 / N_ITEMS)
        variance = jnp.diag(covariance)[FIRST] + jnp.diag(covariance)[SECOND] - 2 * covariance[FIRST, SECOND]
        return 1 - 2 * jnp.mean(jax.scipy.stats.norm.cdf(-np.abs(gap) / jnp.sqrt(variance)))

    return tau


def of_random(tau: Expected, target: float) -> float:
    """Comparisons that evenly asked pairs need."""
    even = jnp.full(len(FIRST), 1 / len(FIRST))
    return float(np.exp(brentq(lambda log_n: float(tau(even, np.exp(log_n))) - target, np.log(50), np.log(1e7))))


def best_tau(tau: Expected, worth: np.ndarray, comparisons: float) -> float:
    """The best of the allocations found from three starts: even, the closer the oftener, neighbours in the order."""
    climb = jax.jit(jax.value_and_grad(lambda logit: -tau(jax.nn.softmax(logit), comparisons)))
    gap = np.abs(worth[FIRST] - worth[SECOND])
    starts = [np.zeros(len(gap)), -2 * gap / np.median(gap), -8.0 * (np.abs(FIRST - SECOND) > 4)]
    found = [
        minimize(
            lambda logit: tuple(np.asarray(part, float) for part in climb(logit)), start, jac=True, method="L-BFGS-B"
        )
        for start in starts
    ]
    return -min(float(one.fun) for one in found)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("sd", "target", "least", "most"), [(1, 0.9, 0.7, 0.8), (2, 0.9, 0.5, 0.6), (3, 0.9, 0.4, 0.5)]
)
def test_what_even_known_worths_could_save(sd: float, target: float, least: float, most: float) -> None:
    """Half of the comparisons are within reach at an sd of 3 logits, and beyond it at 1 and 2."""
    worth = sd * norm.ppf((np.arange(N_ITEMS) + 0.5) / N_ITEMS)
    with jax.enable_x64(True):
        tau = expected_tau(worth)
        needed = of_random(tau, target)
        assert best_tau(tau, worth, least * needed) < target
        assert best_tau(tau, worth, most * needed) >= target
