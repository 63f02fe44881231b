"""Circular triads against loops over triples, Kendall and Babington Smith's tables, and simulation."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from psymetric.diagnostics.tournaments import (
    count_cycles,
    count_triples,
    expected_cycles,
    most_cycles,
    simulated_cycles,
    strongest_cycles,
)

# A dog's preferences among six foods, the row's over the column's: meat, biscuit, chocolate, apple, pear, cheese.
# Kendall & Babington Smith (1940), Biometrika 31, p. 326.
DOG = np.array(
    [
        [0, 1, 1, 0, 1, 1],
        [0, 0, 0, 1, 1, 0],
        [0, 1, 0, 1, 1, 1],
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 1],
        [0, 1, 0, 1, 0, 0],
    ],
    dtype=bool,
)

# Tournaments of n items with d = 0, 1, … circular triads: Kendall & Babington Smith (1940), table 1.
FREQUENCIES = {3: [6, 2], 4: [24, 16, 24], 5: [120, 120, 240, 240, 280, 24]}


def cycles_of(beats: np.ndarray) -> list[tuple[int, int, int]]:
    """By looking at every triple."""
    found = []
    for i, j, k in combinations(range(len(beats)), 3):
        if beats[i, j] and beats[j, k] and beats[k, i]:
            found.append((i, j, k))
        if beats[i, k] and beats[k, j] and beats[j, i]:
            found.append((i, k, j))
    return found


def tournament(bits: tuple[int, ...], n: int) -> np.ndarray:
    beats = np.zeros((n, n), bool)
    for (i, j), bit in zip(combinations(range(n), 2), bits, strict=True):
        beats[(i, j) if bit else (j, i)] = True
    return beats


def test_the_dog_of_kendall_and_babington_smith() -> None:
    # d = n(n − 1)(2n − 1)/12 − Σ a²/2, their formula from the wins a of each item.
    wins = DOG.sum(axis=1)
    by_wins = 6 * 5 * 11 / 12 - np.sum(wins**2) / 2
    assert count_cycles(DOG) == by_wins == 5
    assert count_triples(DOG | DOG.T) == 20
    assert 1 - count_cycles(DOG) / most_cycles(6) == pytest.approx(0.375)


@pytest.mark.parametrize("n", FREQUENCIES)
def test_distribution_over_all_tournaments_is_the_published_one(n: int) -> None:
    counts = [count_cycles(tournament(bits, n)) for bits in product((0, 1), repeat=comb(n, 2))]
    assert np.bincount(counts).tolist() == FREQUENCIES[n]
    assert max(counts) == most_cycles(n)
    # Their mean and variance by coin tossing: C(n, 3)/4 and 3 C(n, 3)/16.
    assert np.mean(counts) == pytest.approx(n * (n - 1) * (n - 2) / 24)
    assert np.var(counts) == pytest.approx(3 * comb(n, 3) / 16)


@pytest.mark.parametrize("n", [6, 7])
def test_most_cycles_are_reached(n: int) -> None:
    """Each item beats the next half of a circle; with an even number the last is left out of an odd circle."""
    beats = np.array([[0 < (j - i) % n <= (n - 1) // 2 for j in range(n)] for i in range(n)])
    for i in range(n // 2 if n % 2 == 0 else 0):
        beats[i, i + n // 2] = True
    assert count_cycles(beats) == most_cycles(n)


def test_incomplete_tournaments_count_as_a_loop_does() -> None:
    rng = np.random.default_rng(4)
    chance = np.triu(rng.random((14, 14)), 1)
    beats = (chance > 0.65) | ((chance > 0) & (chance < 0.4)).T
    assert 10 < len(cycles_of(beats)) == count_cycles(beats)
    met = beats | beats.T
    assert count_triples(met) == sum(met[i, j] and met[j, k] and met[i, k] for i, j, k in combinations(range(14), 3))


def chances(n: int, seed: int) -> np.ndarray:
    """Of majorities, some pairs undecided with some chance and some never met."""
    rng = np.random.default_rng(seed)
    split = rng.dirichlet([2, 1, 0.5], size=(n, n))
    found = np.triu(split[..., 0], 1) + np.triu(split[..., 1], 1).T
    never = rng.random((n, n)) < 0.15
    found[never | never.T] = 0
    return found


def test_expectation_is_the_sum_over_triples() -> None:
    p = chances(9, 1)
    by_hand = sum(p[i, j] * p[j, k] * p[k, i] + p[i, k] * p[k, j] * p[j, i] for i, j, k in combinations(range(9), 3))
    assert expected_cycles(p) == pytest.approx(by_hand, rel=1e-12)
    coin = (np.ones((9, 9)) - np.eye(9)) / 2
    assert expected_cycles(coin) == pytest.approx(9 * 8 * 7 / 24)


def test_simulated_mean_and_variance() -> None:
    p = chances(12, 2)
    drawn = simulated_cycles(p, draws=20_000, seed=3)
    # Four standard errors of a mean.
    assert abs(drawn.mean() - expected_cycles(p)) < 4 * drawn.std() / np.sqrt(len(drawn))
    coin = (np.ones((8, 8)) - np.eye(8)) / 2
    drawn = simulated_cycles(coin, draws=20_000, seed=3)
    variance, error = 3 * comb(8, 3) / 16, np.sqrt(np.var((drawn - drawn.mean()) ** 2) / len(drawn))
    assert abs(drawn.var() - variance) < 4 * error


def test_same_seed_same_tournaments() -> None:
    p = chances(6, 5)
    assert np.array_equal(simulated_cycles(p, draws=50, seed=1), simulated_cycles(p, draws=50, seed=1))
    assert not np.array_equal(simulated_cycles(p, draws=50, seed=1), simulated_cycles(p, draws=50, seed=2))


def test_strongest_cycles_are_those_of_a_sorted_list() -> None:
    rng = np.random.default_rng(8)
    lead = np.triu(rng.normal(size=(15, 15)), 1)
    strength = np.maximum(lead - lead.T, 0.0)
    every = {
        triple: min(strength[triple[side], triple[(side + 1) % 3]] for side in range(3))
        for triple in cycles_of(strength > 0)
    }
    places, weakest = strongest_cycles(strength, 10)
    best = sorted(every, key=lambda triple: -every[triple])[:10]
    assert [tuple(row) for row in places.tolist()] == best
    assert weakest == pytest.approx([every[triple] for triple in best])
    assert len(strongest_cycles(strength, 10_000)[0]) == len(every)
    assert len(strongest_cycles(strength, 0)[0]) == 0
