"""Tests of a judge's lead over one person: their size and power by simulation, exact chances by enumeration."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import optimize, stats

from psymetric.calibration.advantage import (
    advantage,
    exact_probability,
    probabilities,
    redrawn_wins,
    score,
    without_spread,
    won,
)


def signs_under(epsilon, chance_of_minus, shape, rng):
    law = [chance_of_minus, 1 - 2 * chance_of_minus - epsilon, chance_of_minus + epsilon]
    return rng.choice(np.array([-1, 0, 1], np.int8), p=law, size=shape)


@pytest.mark.parametrize(
    ("minus", "n", "of_t"), [(0.2, 50, 0.05), (0.2, 100, 0.05), (0.05, 50, 0.063), (0.0, 50, 0.108)]
)
def test_size_at_the_border_of_the_hypothesis(minus, n, of_t):
    """Type I error where the person leads by just epsilon; the band is four Monte Carlo standard errors.

    Student's t is liberal where nearly all comparisons are ties, by as much as the docstring says; the exact test
    holds its level everywhere.
    """
    rng, replicates = np.random.default_rng(11), 4000
    signs = signs_under(0.1, minus, (replicates, n), rng)
    column, subject = np.repeat(np.arange(replicates), n), np.tile(np.arange(n), replicates)
    found = advantage(signs.ravel(), column, subject, (n, replicates))
    rate = np.mean(probabilities(found, 0.1, "t") <= 0.05)
    assert rate == pytest.approx(of_t, abs=4 * np.sqrt(of_t * (1 - of_t) / replicates))
    if n == 50:
        wins, place = np.unique(
            np.column_stack([(signs == 1).sum(axis=1), (signs == -1).sum(axis=1)]), axis=0, return_inverse=True
        )
        p = np.array([exact_probability(int(lost), int(won), n, 0.1) for lost, won in wins])[place.ravel()]
        assert np.mean(p <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / replicates)


def test_family_error_of_people_who_are_all_better():
    rng, replicates, n, people = np.random.default_rng(5), 1500, 60, 4
    false = 0
    for _ in range(replicates):
        signs = signs_under(0.1, 0.15, (people, n), rng)
        column, subject = np.repeat(np.arange(people), n), np.tile(np.arange(n), people)
        p = probabilities(advantage(signs.ravel(), column, subject, (n, people)), 0.1, "t")
        false += won(p, 0.05)[1].any()
    assert false / replicates < 0.05 + 4 * np.sqrt(0.05 * 0.95 / replicates)


def test_power_is_that_of_the_noncentral_t():
    rng, replicates, n = np.random.default_rng(6), 4000, 80
    signs = signs_under(0.0, 0.2, (replicates, n), rng)  # the judge is as good; epsilon .2 is conceded
    column, subject = np.repeat(np.arange(replicates), n), np.tile(np.arange(n), replicates)
    p = probabilities(advantage(signs.ravel(), column, subject, (n, replicates)), 0.2, "t")
    shift = 0.2 * np.sqrt(n) / np.sqrt(0.4)  # the indicators have variance .4
    expected = stats.nct.sf(stats.t.ppf(0.95, n - 1), n - 1, shift)
    # The indicators are not normal, which costs about a percent at this n.
    assert np.mean(p <= 0.05) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / replicates) + 0.01)


@pytest.mark.parametrize(
    ("person", "judge", "n", "epsilon"), [(7, 3, 50, 0.1), (3, 9, 30, 0.0), (2, 5, 30, -0.1), (0, 12, 40, 0.2)]
)
def test_score_has_the_variance_of_the_restricted_maximum(person, judge, n, epsilon):
    def deviance(minus):
        ties = (n - person - judge) * np.log(1 - 2 * minus - epsilon)
        return -(judge * np.log(minus) + person * np.log(minus + epsilon) + ties)

    bounds = (max(-epsilon, 0) + 1e-12, (1 - epsilon) / 2 - 1e-12)
    minus = optimize.minimize_scalar(deviance, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    expected = (person - judge - n * epsilon) / np.sqrt(n * (2 * minus + epsilon * (1 - epsilon)))
    assert score(np.array([person]), np.array([judge]), n, epsilon)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("person", "judge", "epsilon"), [(0, 2, 0.1), (1, 1, 0.2), (0, 4, 0.0), (1, 3, -0.2)])
def test_exact_probability_by_enumeration(person, judge, epsilon):
    n = 5
    mine = score(np.array([person]), np.array([judge]), n, epsilon)[0]
    signs = np.array(list(product([-1, 0, 1], repeat=n)))
    lost, won_over = (signs == 1).sum(axis=1), (signs == -1).sum(axis=1)
    low = score(lost, won_over, n, epsilon) <= mine + 1e-9

    def tail(minus):
        chances = np.where(signs == 1, minus + epsilon, np.where(signs == -1, minus, 1 - 2 * minus - epsilon))
        return float(np.prod(chances, axis=1)[low].sum())

    worst = max(tail(minus) for minus in np.linspace(max(-epsilon, 0), (1 - epsilon) / 2, 2001))
    assert exact_probability(person, judge, n, epsilon) == pytest.approx(worst, abs=1e-3)


def test_a_judge_that_wins_everything():
    """One half to the n where the person is no worse: every unit is then at best a fair coin."""
    assert exact_probability(0, 6, 6, 0.0) == pytest.approx(float(Fraction(1, 64)))


def test_new_samples_scatter_as_real_ones_do():
    rng, n = np.random.default_rng(8), 80
    signs = signs_under(0.0, 0.15, (300, n), rng)
    column, subject = np.repeat(np.arange(300), n), np.tile(np.arange(n), 300)
    found = advantage(signs.ravel(), column, subject, (n, 300))
    real = np.mean(probabilities(found, 0.15, "t") <= 0.05)
    again = [
        redrawn_wins(advantage(row, np.zeros(n, int), np.arange(n), (n, 1)), 0.15, 0.05, draws=50, rng=rng).mean()
        for row in signs
    ]
    # Drawn around an estimate, chances are pulled towards one half.
    assert abs(np.mean(again) - 0.5) <= abs(real - 0.5) + 4 * np.sqrt(0.25 / 300)
    assert np.mean(again) == pytest.approx(real, abs=0.12)


def test_subjects_that_all_say_the_same():
    gap, n = np.array([-1.0, -0.5, 0.0, 0.5]), np.array([10, 10, 10, 10])
    np.testing.assert_allclose(without_spread(gap, n, 0.1), [0.45**10, 0.9**10, 0.9**10, 1.0])
    np.testing.assert_allclose(without_spread(gap, n, 0.0), [0.5**10, 1.0, 1.0, 1.0])
