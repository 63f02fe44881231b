"""Confidence sets for ranks, against closed forms of their critical values and by counting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, studentized_range

from psymetric.errors import DataError
from psymetric.scoring.rank_sets import rank_sets

N, LEVEL, DRAWS = 6, 0.95, 50_000
# The quantile of a maximum has a standard error of sqrt(.95 × .05 / draws) over its density there, about 0.1: four.
REACH = 4 * np.sqrt(LEVEL * (1 - LEVEL) / DRAWS) / 0.1


def separations(coverage: str, covariance: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Whether the first of equal levels is ruled out of the last rank when it lies by each gap above the others."""
    found = []
    for gap in gaps:
        _, upper = rank_sets(
            np.r_[gap, np.zeros(N - 1)], covariance, coverage=coverage, level=LEVEL, draws=DRAWS, seed=1
        )
        found.append(upper[0] == 1)
    return np.array(found)


def tukey() -> float:
    """All differences of N independent means at once."""
    return studentized_range.ppf(LEVEL, N, np.inf) / np.sqrt(2)


def dunnett() -> float:
    """One mean against N - 1 others, all with one error: by an integral over the one."""

    def inside(c: float) -> float:
        def of_one(x: float) -> float:
            reach = c * np.sqrt(2)
            return norm.pdf(x) * (norm.cdf(x + reach) - norm.cdf(x - reach)) ** (N - 1)

        return quad(of_one, -8, 8)[0]

    low, high = 1.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < LEVEL else (low, middle)
    return low


@pytest.mark.parametrize(("coverage", "critical"), [("marginal", dunnett), ("simultaneous", tukey)])
@pytest.mark.parametrize("centred", [False, True])
def test_the_critical_value_is_dunnetts_or_tukeys(coverage, critical, centred):
    """Of independent levels with one error; centring them leaves their differences as they are."""
    covariance = np.eye(N) - centred / N
    expected = critical()
    assert dunnett() == pytest.approx(2.51, abs=0.005)  # Dunnett (1964), Biometrics 20, 482-491: two-sided, p = 5, ∞ df
    gaps = np.sqrt(2) * (expected + np.array([-REACH, REACH]))
    assert separations(coverage, covariance, gaps).tolist() == [False, True]


def test_of_two_levels_the_set_is_a_test_of_their_difference():
    covariance = np.array([[0.3, 0.1], [0.1, 0.2]])
    error = np.sqrt(0.3 + 0.2 - 0.2)
    for times, expected in ((1.9, [[1, 1], [2, 2]]), (2.02, [[1, 2], [1, 2]])):
        sets = rank_sets(np.array([times * error, 0]), covariance, coverage="marginal", level=LEVEL)
        assert np.array(sets).tolist() == expected


def test_levels_known_exactly_have_one_rank():
    lower, upper = rank_sets(np.array([0.1, 0.3, 0.2]), np.zeros(3), coverage="simultaneous", level=LEVEL)
    assert lower.tolist() == upper.tolist() == [3, 1, 2]


@pytest.mark.parametrize("coverage", ["marginal", "simultaneous"])
def test_coverage_of_close_levels(coverage):
    """Ranks of nearly equal levels stay inside as often as promised; nearly equal is where it is hardest."""
    rng, n, studies = np.random.default_rng(3), 8, 500
    truth = -np.arange(n) * 0.01
    rank = np.arange(1, n + 1)
    inside = []
    for estimate in rng.normal(truth, 1.0, (studies, n)):
        lower, upper = rank_sets(estimate, np.ones(n), coverage=coverage, level=LEVEL, draws=2_000)
        inside.append((lower <= rank) & (rank <= upper))
    held = np.mean(inside) if coverage == "marginal" else np.mean(np.all(inside, axis=1))
    assert held > LEVEL - 3.3 * np.sqrt(LEVEL * (1 - LEVEL) / studies)


def test_what_cannot_be_done_is_said():
    with pytest.raises(DataError, match=r"'joint'.*'marginal', 'simultaneous'"):
        rank_sets(np.zeros(3), np.ones(3), coverage="joint", level=LEVEL)
    with pytest.raises(DataError, match="2,001 levels have 2,001,000 differences"):
        rank_sets(np.zeros(2_001), np.ones(2_001), coverage="marginal", level=LEVEL)
