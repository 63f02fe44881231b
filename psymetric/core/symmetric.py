"""Elementary symmetric functions of category weights, and the conditional distribution of responses given their sum.

The symmetric function γ(r) is the total weight of all ways in which items reach the sum r. Items are added one after
another in log space, so that neither long tests nor extreme sums underflow. Read backwards, the recursion is a Markov
chain on the sums: given the sum after an item, the probability of each category of that item. Expected counts and
information follow from this chain alone, by additions of positive terms, without differences of nearly equal numbers.

Source: Andersen (1972), JRSS B 34, 42-54; Verhelst, Glas & van der Sluis (1984), Computational Statistics Quarterly 1,
245-262 (summation algorithm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SumChain", "expected_counts", "information", "sum_chain"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class SumChain:
    """Sums of P sets of I items with K categories scored 0…K−1.

    Attributes:
        log_gamma: Logs of the symmetric functions, shape (P, I (K − 1) + 1).
        backward: Per item i, probability of its categories given the sum of items 0…i, shape (P, K, sums after i).
    """

    log_gamma: Array
    backward: tuple[Array, ...]


def sum_chain(log_weights: Array) -> SumChain:
    """Symmetric functions and backward chain.

    Args:
        log_weights: Log weight of every category of every item of every set, shape (P, I, K), finite.
    """
    n_sets, _, n_categories = log_weights.shape
    log_gamma = np.zeros((n_sets, 1))
    backward: list[Array] = []
    for weights in np.moveaxis(log_weights, 1, 0):
        ways = _shifted(log_gamma, n_categories, -np.inf)
        ways += weights[:, :, None]
        top = ways.max(axis=1)
        parts = np.exp(ways - top[:, None])
        total = parts.sum(axis=1)
        parts /= total[:, None]
        backward.append(parts)
        log_gamma = top + np.log(total)
    return SumChain(log_gamma, tuple(backward))


def expected_counts(chain: SumChain, counts: Array) -> Array:
    """Expected number of responses in every category given the sums.

    Args:
        chain: Of the sets.
        counts: How often each sum was observed in each set, shape (P, sums).

    Returns:
        Shape (P, I, K).
    """
    return np.stack([(step * visits[:, None]).sum(axis=2) for step, visits in _visits(chain, counts)], axis=1)


def information(chain: SumChain, counts: Array, design: Array, items: NDArray[np.int64]) -> Array:
    """Information of log-linear weights given the sums: the conditional covariance of the sufficient statistics.

    By the law of total variance along the chain it is a sum, over items and sums, of the variance that the category of
    one item adds once the sum after it is known; never negative, whatever the rounding.

    Args:
        chain: Of the sets.
        counts: How often each sum was observed in each set, shape (P, sums).
        design: Derivative of the log weights of every item's categories by the parameters, shape (items, K, D).
        items: Which items are in each set, shape (P, I).

    Returns:
        Shape (D, D).
    """
    n_parameters = design.shape[2]
    mean = np.zeros((len(items), 1, n_parameters))
    found = np.zeros((n_parameters, n_parameters))
    for place, (step, visits) in enumerate(_visits(chain, counts)):
        ways = _shifted(mean, design.shape[1], 0.0)
        ways += design[items[:, place]][:, :, None]
        mean = np.einsum("pks,pksd->psd", step, ways)
        ways -= mean[:, None]
        ways *= np.sqrt(step * visits[:, None])[..., None]
        flat = ways.reshape(-1, n_parameters)
        found += flat.T @ flat
    return found


def _shifted(values: Array, n_categories: int, empty: float) -> Array:
    """What each category k moves k places up: shape (P, sums, ...) to (P, K, sums + K − 1, ...)."""
    n_sets, n_sums, *rest = values.shape
    moved = np.full((n_sets, n_categories, n_sums + n_categories - 1, *rest), empty)
    for category in range(n_categories):
        moved[:, category, category : category + n_sums] = values
    return moved


def _visits(chain: SumChain, counts: Array) -> list[tuple[Array, Array]]:
    """Per item its backward step, and how often each sum after it is expected, shape (P, sums after it)."""
    found: list[tuple[Array, Array]] = []
    visits = counts
    for step in reversed(chain.backward):
        found.append((step, visits))
        n_categories, n_before = step.shape[1], step.shape[2] - step.shape[1] + 1
        passed = step * visits[:, None]
        visits = sum(
            (passed[:, k, k : k + n_before] for k in range(n_categories)), start=np.zeros((len(counts), n_before))
        )
    return found[::-1]
