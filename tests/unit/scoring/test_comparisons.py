from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from psymetric.scoring.comparisons import Comparisons


def comparisons(estimate: list[float], se: float = 0.5, **given: np.ndarray) -> Comparisons:
    values = np.array(estimate)
    return Comparisons(values, given.pop("covariance", np.full(len(values), se**2)), **given)


def test_probability_is_the_normal_one() -> None:
    found = comparisons([1.0, 0.0]).above(0)
    assert found == pytest.approx([0.5, norm.cdf(1 / np.sqrt(0.5))])


def test_shared_error_cancels() -> None:
    # Two estimates whose errors correlate .9: the difference is known far better than either.
    covariance = 0.25 * np.array([[1.0, 0.9], [0.9, 1.0]])
    assert comparisons([0.5, 0.0], covariance=covariance).above(0)[1] == pytest.approx(norm.cdf(0.5 / np.sqrt(0.05)))


def test_draws_decide_where_there_are_any() -> None:
    draws = np.array([[1.0, 0.0], [1.0, 2.0], [3.0, 0.0], [3.0, 3.0]])
    assert comparisons([2.0, 1.25], draws=draws).above(0)[1] == pytest.approx(0.625)


def test_tiers_start_where_the_leader_is_told_apart() -> None:
    # With se .5 each, .95 needs a gap of 1.645 × √.5 = 1.163.
    assert comparisons([0.0, -1.1, -1.2, -2.3, np.nan, -2.5]).tiers.tolist() == [1, 1, 2, 2, 0, 3]


def test_share_told_apart_counts_each_pair_once() -> None:
    found = comparisons([0.0, -1.1, -1.2, -2.3])
    # Apart: 0/−1.2, 0/−2.3, −1.1/−2.3 (gap 1.2); not: 0/−1.1, −1.1/−1.2, −1.2/−2.3.
    assert found.told_apart == pytest.approx(3 / 6)


def test_share_is_the_same_by_either_route() -> None:
    values = np.random.default_rng(0).normal(size=40)
    plainly = Comparisons(values, np.full(40, 0.16))
    by_matrix = Comparisons(values, np.diag(np.full(40, 0.16)))
    assert plainly.told_apart == pytest.approx(by_matrix.told_apart)


def test_nothing_to_compare() -> None:
    assert np.isnan(comparisons([1.0]).told_apart)
    assert comparisons([np.nan]).tiers.tolist() == [0]
