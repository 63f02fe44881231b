"""Worths from win counts against the generic route, and many squares at once against one fit each."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation.curvature import information
from psymetric.estimation.marginal import climb
from psymetric.estimation.problems import joint_problem
from psymetric.estimation.win_counts import covers, laplacian, solve_wins, win_counts, worths_of

N_ITEMS, N_VOTES = 12, 3_000


@pytest.fixture(scope="module")
def votes() -> ps.PairTable:
    rng = np.random.default_rng(3)
    worth = rng.normal(0, 1, N_ITEMS)
    left = rng.integers(0, N_ITEMS, N_VOTES)
    right = (left + rng.integers(1, N_ITEMS, N_VOTES)) % N_ITEMS
    won = rng.random(N_VOTES) < 1 / (1 + np.exp(worth[right] - worth[left]))
    rows = pd.DataFrame({"a": left, "b": right, "w": np.where(won, "left", "right"), "n": rng.integers(1, 4, N_VOTES)})
    return ps.PairTable.from_frame(rows, left="a", right="b", outcome="w", weight="n")


def test_counts_are_those_of_a_loop(votes):
    expected = np.zeros((N_ITEMS, N_ITEMS))
    rows = zip(votes.codes["left"], votes.codes["right"], votes.response, votes.weight, strict=True)
    for left, right, outcome, weight in rows:
        winner, loser = (left, right) if outcome == 0 else (right, left)
        expected[winner, loser] += weight
    np.testing.assert_array_equal(win_counts(votes), expected)


def test_worths_equal_the_generic_route(votes):
    """The same maximum and the same information, to rounding of sums of thousands."""
    model = ps.BradleyTerry()
    with double_precision():
        problem = joint_problem(model, votes, prior=False)
        generic = climb(problem, problem.space.start(), tolerance=1e-9, max_iterations=100)
        _, found = solve_wins(model, votes, tolerance=1e-9, max_iterations=100)
    np.testing.assert_allclose(found.point, generic.point, atol=1e-8)
    assert found.value == pytest.approx(generic.value, rel=1e-12)
    with double_precision():
        expected = information(problem, found.point).schur
    np.testing.assert_allclose(found.curvature.schur, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "expected"),
    [(ps.BradleyTerry(), True), (ps.BradleyTerry(prior_sd=1.0), True), (ps.BradleyTerry(position=True), False)],
)
def test_only_worths_alone_are_covered(votes, model, expected):
    assert covers(model, votes) is expected


def test_many_squares_equal_one_fit_each(votes):
    """Replicates that differ from the whole by chance, from its worths and with its information."""
    fit = ps.fit(ps.BradleyTerry(), votes)
    wins, worth = win_counts(votes), fit.parameters["worth"]
    drawn = np.random.default_rng(6).poisson(wins, (3, *wins.shape)).astype(float)
    inverse = np.linalg.pinv(laplacian(wins + wins.T, worth))
    with double_precision():
        found, last = map(np.asarray, worths_of(*map(jnp.asarray, (drawn, worth, inverse)), 1e-8))
    assert last.max() < 1e-8
    for counts, worths in zip(drawn, found, strict=True):
        i, j = np.nonzero(counts)
        rows = pd.DataFrame({"a": i, "b": j, "w": "left", "n": counts[i, j]})
        table = ps.PairTable.from_frame(rows, left="a", right="b", outcome="w", weight="n")
        np.testing.assert_allclose(worths, ps.fit(ps.BradleyTerry(), table).parameters["worth"], atol=1e-7)


def test_replicates_spread_as_the_information_says(votes):
    fit = ps.fit(ps.BradleyTerry(), votes)
    found = ps.bootstrap(ps.BradleyTerry(), votes, n=400, seed=2)
    assert found.failures.empty
    # The sd of a standard deviation from 400 draws is 1/sqrt(800) of it.
    np.testing.assert_allclose(found.standard_errors["worth"] / fit.standard_errors["worth"], 1, atol=4 / np.sqrt(800))
    np.testing.assert_allclose(found.draws["worth"].sum(axis=1), 0, atol=1e-8)


def test_replicates_without_a_maximum_are_failures():
    """An item with one loss in five comparisons is unbeaten in a third of the replicates."""
    rows = pd.DataFrame(
        {
            "a": ["x"] * 10 + ["y"] * 5,
            "b": ["y"] * 10 + ["z"] * 5,
            "w": ["left", "right"] * 5 + ["left"] * 4 + ["right"],
        }
    )
    table = ps.PairTable.from_frame(rows, left="a", right="b", outcome="w")
    found = ps.bootstrap(ps.BradleyTerry(), table, n=60)
    assert 10 < len(found.failures) < 40
    assert found.failures["error"].str.contains("IdentificationError").all()
