"""Symmetric functions against exact integer arithmetic and against enumeration."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest

from psymetric.core.symmetric import expected_counts, information, sum_chain

# Sums of logs near 300 in double precision; the requirement is 1e-10 at 100 items.
LOG_GAMMA = 1e-11
ENUMERATED = 1e-12


def exact_log_gamma(weights: list[list[int]]) -> np.ndarray:
    """Logs of the symmetric functions of whole weights, in exact integers until the last step."""
    gamma = [1]
    for item in weights:
        longer = [0] * (len(gamma) + len(item) - 1)
        for k, weight in enumerate(item):
            for r, value in enumerate(gamma):
                longer[r + k] += weight * value
        gamma = longer
    return np.array([log(value) for value in gamma])


@pytest.mark.parametrize(("n_items", "n_categories"), [(100, 2), (100, 4), (3, 5)])
def test_symmetric_functions_are_exact(n_items, n_categories):
    rng = np.random.default_rng(0)
    # Weights from 1 to 3^40: difficulties 44 logits apart.
    weights = [[1, *(3 ** int(e) for e in rng.integers(0, 41, n_categories - 1))] for _ in range(n_items)]
    chain = sum_chain(np.array([[[log(w) for w in item] for item in weights]]))
    np.testing.assert_allclose(chain.log_gamma[0], exact_log_gamma(weights), rtol=LOG_GAMMA, atol=LOG_GAMMA)


def test_equal_items_give_binomial_coefficients():
    from scipy.special import gammaln

    chain = sum_chain(np.zeros((1, 1_000, 2)))
    r = np.arange(1_001)
    np.testing.assert_allclose(chain.log_gamma[0], gammaln(1_001) - gammaln(r + 1) - gammaln(1_001 - r), atol=1e-9)


def test_no_sum_underflows():
    """A thousand hard items: the highest sum has weight exp(-30,000), which no double holds."""
    weights = np.zeros((1, 1_000, 2))
    weights[:, :, 1] = -30.0
    chain = sum_chain(weights)
    assert chain.log_gamma[0, -1] == pytest.approx(-30_000, rel=1e-12)
    counts = np.zeros((1, 1_001))
    counts[0, 500] = 1.0
    np.testing.assert_allclose(expected_counts(chain, counts)[0, :, 1], 0.5, atol=1e-10)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(1)
    items = np.array([[0, 1, 2, 3], [0, 2, 4, 4]])
    weights, design = rng.normal(0, 1.5, (5, 3)), rng.normal(size=(5, 3, 2))
    counts = rng.integers(0, 9, (2, 9)).astype(float)
    return items, weights, design, counts


def enumerated(items, weights, design, counts):
    """Expected counts and information by going through all 81 ways to answer."""
    expected, covariance = np.zeros((2, 4, 3)), np.zeros((2, 2))
    ways = np.array(list(product(range(3), repeat=4)))
    for which, cells in enumerate(items):
        weight = np.exp(weights[cells, ways].sum(axis=1))
        statistic = design[cells, ways].sum(axis=1)
        for total, count in enumerate(counts[which]):
            chosen = ways.sum(axis=1) == total
            p = weight[chosen] / weight[chosen].sum()
            for item in range(4):
                expected[which, item] += count * np.bincount(ways[chosen, item], p, 3)
            away = statistic[chosen] - p @ statistic[chosen]
            covariance += count * (away * p[:, None]).T @ away
    return expected, covariance


def test_expected_counts_and_information_by_enumeration(sets):
    items, weights, design, counts = sets
    chain = sum_chain(weights[items])
    expected, covariance = enumerated(items, weights, design, counts)
    np.testing.assert_allclose(expected_counts(chain, counts), expected, atol=ENUMERATED * counts.sum())
    np.testing.assert_allclose(information(chain, counts, design, items), covariance, atol=ENUMERATED * counts.sum())


def test_information_is_never_negative_for_extreme_sums(sets):
    items, weights, design, _ = sets
    counts = np.zeros((2, 9))
    counts[:, [0, -1]] = 100.0
    np.testing.assert_allclose(information(sum_chain(weights[items]), counts, design, items), 0, atol=1e-20)
