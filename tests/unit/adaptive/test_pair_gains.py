"""Expected falls of uncertainty: closed forms against loops, determinants and simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from psymetric.adaptive.answers import Answerers, answer_information, outcome_moments
from psymetric.adaptive.gains import (
    Target,
    concerned,
    difference_variance,
    expected_uncertainty,
    fall,
    observe,
    order_weights,
    uncertainty,
)

N = 6
WORTH = np.array([0.9, 0.5, 0.4, 0.0, -0.6, -1.2])


def covariance() -> NDArray[np.float64]:
    root = np.random.default_rng(3).normal(0, 0.25, (N, 2 * N))
    return root @ root.T


def answerers(slope: float = 1.0, *, position: float = 0.0, tie: float = 0.0, ties=None, link="logit") -> Answerers:
    return Answerers(np.array([slope]), np.array([position]), np.array([tie]), ties, link)


def test_one_more_comparison_is_a_rank_one_update() -> None:
    before = covariance()
    for i, j in ((0, 1), (2, 5)):
        direction = np.eye(N)[i] - np.eye(N)[j]
        inverted = np.linalg.inv(np.linalg.inv(before) + 0.7 * np.outer(direction, direction))
        updated = observe(before[None], np.array([i]), np.array([j]), np.array([0.7]))[0]
        np.testing.assert_allclose(updated, inverted, atol=1e-12)


@pytest.mark.parametrize("target", ["ranking", "top_k", "worths", "information"])
def test_closed_form_is_the_sum_over_all_pairs(target: Target) -> None:
    before, information = covariance(), np.random.default_rng(1).uniform(0.1, 0.25, (N, N))
    information = (information + information.T) / 2
    weights = None if target == "information" else order_weights(WORTH, before, target, 2)
    found = fall(before, information, weights)
    for i, j in combinations(range(N), 2):
        after = observe(before[None], np.array([i]), np.array([j]), information[[i], [j]])[0]
        if target == "information":
            expected = (np.linalg.slogdet(before)[1] - np.linalg.slogdet(after)[1]) / 2
        elif target == "worths":
            centre = np.eye(N) - 1 / N
            expected = np.trace(centre @ (before - after) @ centre)
        else:
            fallen = difference_variance(before) - difference_variance(after)
            expected = 0.0
            for a, b in combinations(range(N), 2):
                if target == "top_k" and not a < 2 <= b:
                    continue
                spread = np.sqrt(difference_variance(before)[a, b])
                expected += 2 * norm.pdf((WORTH[a] - WORTH[b]) / spread) ** 2 / spread**2 * fallen[a, b]
        assert found[i, j] == pytest.approx(expected, rel=1e-9), (i, j)


def test_leading_axes_are_as_good_as_a_loop() -> None:
    many = np.stack([covariance(), 2 * covariance()])
    worth, information = np.stack([WORTH, WORTH[::-1]]), np.full((2, N, N), 0.2)
    found = fall(many, information, order_weights(worth, many, "top_k", 3))
    for k in range(2):
        alone = fall(many[k], information[k], order_weights(worth[k], many[k], "top_k", 3))
        np.testing.assert_allclose(found[k], alone)


def test_uncertainty_is_how_often_two_draws_differ() -> None:
    rng, size = np.random.default_rng(8), 200_000
    draws = rng.multivariate_normal(WORTH, covariance(), (2, size))
    expected = uncertainty(WORTH[:, None] - WORTH, difference_variance(covariance()))
    for i, j in combinations(range(N), 2):
        share = np.mean((draws[0, :, i] > draws[0, :, j]) != (draws[1, :, i] > draws[1, :, j]))
        assert abs(share - expected[i, j]) < 4.5 * np.sqrt(expected[i, j] * (1 - expected[i, j]) / size)


def test_full_gain_is_the_mean_over_outcomes_of_draws() -> None:
    """Outcomes drawn from the model given drawn worths; the posterior of each outcome by weighting all draws.

    No normal posterior is assumed here, so that what the assumption costs is seen too.
    """
    rng, size, before = np.random.default_rng(9), 400_000, covariance()
    draws = rng.multivariate_normal(WORTH, before, size)
    who = answerers(1.5, position=0.3, tie=-0.5, ties="davidson")
    for i, j in ((1, 2), (0, 3)):
        gap = draws[:, i] - draws[:, j]
        odds = np.exp(np.stack([1.5 * gap / 2 + 0.3, -1.5 * gap / 2, np.full(size, -0.5)]))
        chance = odds / odds.sum(axis=0)
        probability, mean, variance = (
            part[0]
            for part in outcome_moments(
                who, np.zeros(1, int), WORTH[[i]] - WORTH[[j]], difference_variance(before)[[i], [j]]
            )
        )
        weight = chance / chance.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probability, chance.mean(axis=1), atol=5 * 0.5 / np.sqrt(size))
        np.testing.assert_allclose(mean, weight @ gap, atol=5 * gap.std() / np.sqrt(size / 4))
        after = expected_uncertainty(WORTH, before, (i, j), probability, mean, variance)
        now = uncertainty(WORTH[:, None] - WORTH, difference_variance(before))
        for a, b in combinations(range(N), 2):
            is_above = draws[:, a] > draws[:, b]
            given = weight @ is_above
            # What is common to both terms cancels: the error is that of the differences of the conditional shares.
            simulated = 2 * chance.mean(axis=1) @ (given - is_above.mean()) ** 2
            error = 5 * 2 * 2 * np.abs(given - is_above.mean()).max() * 0.5 / np.sqrt(size / 4)
            assert abs((now - after)[a, b] - simulated) < error + 0.03 * simulated, (i, j, a, b)


def test_closed_form_is_the_limit_of_the_full_gain() -> None:
    """To first order in the information: a hundred times less of it leaves a tenth of the deviation, squared."""
    before, deviations = covariance(), []
    for slope in (0.2, 0.02):
        who = answerers(slope)
        information = answer_information(who).expected(WORTH[:, None] - WORTH, difference_variance(before), 0)
        closed = fall(before, information, order_weights(WORTH, before, "ranking", 0))
        moments = outcome_moments(who, np.zeros(1, int), WORTH[[1]] - WORTH[[2]], difference_variance(before)[[1], [2]])
        after = expected_uncertainty(WORTH, before, (1, 2), *(part[0] for part in moments))
        now = uncertainty(WORTH[:, None] - WORTH, difference_variance(before))
        deviations.append(abs(np.sum(now - after) / 2 / closed[1, 2] - 1))
    assert deviations[0] < 0.01
    assert deviations[1] < deviations[0] / 50


def test_moments_under_the_probit_have_a_closed_form() -> None:
    """P = Φ(m/√(1 + v)), and the mean of a normal truncated by a noisy threshold."""
    m, v = 0.7, 0.4
    probability, mean, variance = outcome_moments(
        answerers(link="probit"), np.zeros(1, int), np.array([m]), np.array([v])
    )
    z = m / np.sqrt(1 + v)
    mills = norm.pdf(z) / norm.cdf(z)
    assert probability[0, 0] == pytest.approx(norm.cdf(z), abs=1e-10)
    assert mean[0, 0] == pytest.approx(m + v / np.sqrt(1 + v) * mills, abs=1e-9)
    assert variance[0, 0] == pytest.approx(v - v**2 / (1 + v) * mills * (z + mills), abs=1e-9)


def test_information_of_one_answer() -> None:
    gap = np.array([0.0, 0.5, -2.0, 4.0])
    plain = answer_information(answerers(1.7)).expected(gap, np.zeros(4), 0)
    # Linear interpolation at steps of 0.01/1.7 logits: an error of at most h²/8 times the second derivative.
    np.testing.assert_allclose(plain, 1.7**2 * expit(1.7 * gap) * expit(-1.7 * gap), atol=2e-5)
    # Davidson's ties leave (1 - tie share)/4 of equals; ν = 2 makes half of them tie.
    tied = answer_information(answerers(ties="davidson", tie=np.log(2.0))).expected(np.zeros(1), np.zeros(1), 0)
    assert tied[0] == pytest.approx(1 / 8)
    # Positions: the mean of both orders.
    shifted = answer_information(answerers(position=0.6)).expected(gap, np.zeros(4), 0)
    each = [expit(gap + by) * expit(-gap - by) for by in (0.6, -0.6)]
    np.testing.assert_allclose(shifted, np.mean(each, axis=0), atol=2e-5)


def test_information_is_averaged_over_the_uncertainty() -> None:
    draws = np.random.default_rng(2).normal(0.8, 1.1, 400_000)
    found = answer_information(answerers()).expected(np.array([0.8]), np.array([1.1**2]), 0)
    each = expit(draws) * expit(-draws)
    # Five nodes carry the mean of this smooth function to within 1e-3.
    assert abs(found[0] - each.mean()) < 5 * each.std() / np.sqrt(len(draws)) + 1e-3


def test_pairs_that_concern_the_top() -> None:
    across = concerned(np.array([0.1, 2.0, -1.0, 1.0]), "top_k", 2)
    assert {(int(i), int(j)) for i, j in np.argwhere(np.triu(across))} == {(0, 1), (0, 3), (1, 2), (2, 3)}
    assert concerned(WORTH, "ranking", 0).sum() == N * (N - 1)
