"""Circular triads of tables: the dog of Kendall and Babington Smith, loops over triples, simulated votes, bad input."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError

# Kendall & Babington Smith (1940), Biometrika 31, p. 326: each food with what it was preferred to.
DOG = {
    "meat": ["biscuit", "chocolate", "pear", "cheese"],
    "biscuit": ["apple", "pear"],
    "chocolate": ["biscuit", "apple", "pear", "cheese"],
    "apple": ["meat"],
    "pear": ["apple", "cheese"],
    "cheese": ["biscuit", "apple"],
}


def table(rows: list[tuple[object, ...]]) -> ps.PairTable:
    frame = pd.DataFrame(rows, columns=["a", "b", "winner", "judge"][: len(rows[0])])
    judge = "judge" if "judge" in frame else None
    return ps.PairTable.from_frame(frame, left="a", right="b", outcome="winner", judge=judge)


def dog() -> list[tuple[object, ...]]:
    return [(won, lost, won, "dog") for won, rest in DOG.items() for lost in rest]


def test_the_dog() -> None:
    found = ps.cyclic_triples(table(dog()))
    assert (found.n_items, found.n_pairs, found.n_triples, found.n_cyclic) == (6, 15, 20, 5)
    assert found.zeta == pytest.approx(0.375)
    assert found.by_coin == 5
    assert np.isnan(found.expected)
    assert found.draws == 0
    listed = {frozenset(row[:3]) for row in found.cycles.to_numpy().tolist()}
    assert frozenset({"meat", "biscuit", "apple"}) in listed
    assert len(listed) == 5
    judged = found.judges.set_index("judge").loc["dog"]
    assert (judged["n_cyclic"], judged["zeta"], judged["note"]) == (5, 0.375, "")
    assert "5 of 20 triples with three majorities are circular" in str(found)


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    worth = rng.normal(0, 0.7, 9)
    rows = []
    for _ in range(260):
        a, b = rng.choice(9, 2, replace=False)
        odds = np.exp([worth[a] + 0.2, worth[b], (worth[a] + worth[b]) / 2 - 0.7])
        rows.append(
            (f"m{a}", f"m{b}", rng.choice(["left", "right", "tie"], p=odds / odds.sum()), f"j{rng.integers(3)}")
        )
    return pd.DataFrame(rows, columns=["a", "b", "winner", "judge"])


@pytest.fixture(scope="module")
def fitted(votes: pd.DataFrame) -> tuple[ps.Fit, ps.PairTable]:
    pairs = ps.PairTable.from_frame(votes, left="a", right="b", outcome="winner", judge="judge")
    return ps.fit(ps.BradleyTerry(ties="davidson", position=True), pairs), pairs


def lead(rows: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Wins less losses of the first of every pair that met."""
    found: dict[tuple[str, str], int] = {}
    for a, b, outcome in rows[["a", "b", "winner"]].to_numpy():
        points = {"left": 1, "right": -1, "tie": 0}[outcome]
        for pair, sign in (((a, b), 1), ((b, a), -1)):
            found[pair] = found.get(pair, 0) + sign * points
    return found


def test_counts_are_those_of_a_loop(fitted: tuple[ps.Fit, ps.PairTable], votes: pd.DataFrame) -> None:
    found = ps.cyclic_triples(fitted[1])
    for rows, got in [
        (votes, vars(found)),
        *((own, found.judges.set_index("judge").loc[judge]) for judge, own in votes.groupby("judge")),
    ]:
        leads = lead(rows)
        items = sorted({item for pair in leads for item in pair})
        triples = cyclic = 0
        for a, b, c in combinations(items, 3):
            round_ = [leads.get(pair, 0) for pair in ((a, b), (b, c), (c, a))]
            triples += all(round_)
            cyclic += all(gap > 0 for gap in round_) or all(gap < 0 for gap in round_)
        assert (got["n_triples"], got["n_cyclic"]) == (triples, cyclic)
        assert got["n_pairs"] == len(leads) // 2
        assert got["n_tied"] == sum(gap == 0 for gap in leads.values()) // 2
    assert found.n_cyclic > 0


def test_expectation_is_that_of_simulated_votes(fitted: tuple[ps.Fit, ps.PairTable], votes: pd.DataFrame) -> None:
    """Votes drawn row by row from the fit, their majorities counted; the two share nothing but the model."""
    fit, pairs = fitted
    found = ps.cyclic_triples(pairs, fit=fit, draws=4000, seed=1)
    worth = dict(zip(fit.levels["item"], fit.parameters["worth"], strict=True))
    gap = votes["a"].map(worth).to_numpy() - votes["b"].map(worth).to_numpy()
    position, tie = float(fit.parameters["position"]), float(fit.parameters["tie"])
    odds = np.exp(np.stack([gap / 2 + position, -gap / 2, np.full(len(gap), tie)], axis=1))
    edges = (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)
    place = {item: code for code, item in enumerate(fit.levels["item"])}
    left, right = (votes[side].map(place).to_numpy() for side in "ab")
    rng, counts = np.random.default_rng(3), []
    for _ in range(2000):
        outcome = (rng.random(len(gap))[:, None] > edges[:, :2]).sum(axis=1)
        won = np.zeros((9, 9))
        np.add.at(won, (left, right), (outcome == 0).astype(float) - (outcome == 1))
        beats = won - won.T > 0
        counts.append(np.trace(beats.astype(int) @ beats @ beats) / 3)
    # Four standard errors of a mean, and of a standard deviation (σ/√(2m), twice that for what is not normal).
    assert abs(np.mean(counts) - found.expected) < 4 * np.std(counts) / np.sqrt(len(counts))
    assert abs(np.std(counts) / found.sd - 1) < 4 * 2 / np.sqrt(2 * len(counts))
    share = np.mean(np.array(counts) >= found.n_cyclic)
    assert abs(share - found.p) < 4 * np.sqrt(0.25 / 2000 + 0.25 / 4000)
    assert found.lower <= found.expected <= found.upper
    again = ps.cyclic_triples(pairs, fit=fit, draws=4000, seed=1)
    assert (again.p, again.sd) == (found.p, found.sd)


def test_a_planted_cycle_stands_out() -> None:
    """Rock, paper, scissors, each nine of ten times: equal worths make a cycle in a quarter of tournaments."""
    rows = [
        (a, b, a if vote else b, "j")
        for a, b in (("rock", "scissors"), ("scissors", "paper"), ("paper", "rock"))
        for vote in [1] * 9 + [0]
    ]
    pairs = table(rows)
    found = ps.cyclic_triples(pairs, fit=ps.fit(ps.BradleyTerry(), pairs), by=None)
    assert found.n_cyclic == 1
    # All even: each pair is decided unless it ends 5 to 5, 252 of 1024.
    assert found.expected == pytest.approx(2 * ((1 - 252 / 1024) / 2) ** 3, rel=1e-6)
    assert found.judges is None
    row = found.cycles.iloc[0]
    # From the earliest level on: paper beats rock, rock scissors, scissors paper.
    assert row[["first", "second", "third"]].tolist() == ["paper", "rock", "scissors"]
    assert row[["wins_1", "losses_1", "wins_3", "losses_3"]].tolist() == [9, 1, 9, 1]
    assert row["weakest"] == pytest.approx(8 / np.sqrt(10))


def test_pairs_without_a_majority_are_said() -> None:
    found = ps.cyclic_triples(table([*dog(), ("meat", "apple", "meat", "dog"), ("meat", "new", "tie", "dog")]))
    assert (found.n_tied, found.n_items) == (2, 7)
    assert np.isnan(found.zeta)
    assert found.notes == (
        "5 pairs of items never met: no triple has them",
        "2 pairs met without a majority: no triple has them",
    )
    assert found.judges.loc[0, "note"] == "; ".join(found.notes)
    assert ps.cyclic_triples(table(dog()), limit=0).cycles.empty


def test_bad_input_is_named(fitted: tuple[ps.Fit, ps.PairTable]) -> None:
    fit, pairs = fitted
    with pytest.raises(DataError, match="cyclic_triples: 2 items compared; a triple takes three"):
        ps.cyclic_triples(table([("x", "y", "x", "j")]))
    with pytest.raises(DataError, match="cyclic_triples: draws=0 must be 1 or more and limit=20 0 or more"):
        ps.cyclic_triples(pairs, draws=0)
    with pytest.raises(DataError, match="cyclic_triples: by='item' is no facet of the comparisons; there are"):
        ps.cyclic_triples(pairs, by="item")
    with pytest.raises(DataError, match="cyclic_triples: the ties of this table count as half wins"):
        ps.cyclic_triples(pairs.ties_as_half_wins())
    with pytest.raises(DataError, match="cyclic_triples: left not in the fit"):
        ps.cyclic_triples(table(dog()), fit=fit)
