"""Residuals of pairs of items and of items by judge: against loops over the comparisons, and what a plant shows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

import psymetric as ps
from psymetric.errors import DataError

POINTS = {"left": 1.0, "right": 0.0, "tie": 0.5}


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    """Six items of a common order but for one judge, who always prefers `f`, and `b` against `a`, always lost."""
    rng = np.random.default_rng(9)
    worth = dict(zip("abcdef", np.linspace(1, -1, 6), strict=True))
    rows = []
    for _ in range(1500):
        left, right = rng.choice(list(worth), 2, replace=False)
        judge = f"j{rng.integers(4)}"
        odds = np.exp([worth[left] + 0.3, worth[right], (worth[left] + worth[right]) / 2 - 0.8])
        outcome = str(rng.choice(["left", "right", "tie"], p=odds / odds.sum()))
        if judge == "j0" and "f" in (left, right):
            outcome = "left" if left == "f" else "right"
        elif {left, right} == {"c", "d"}:
            outcome = "left" if left == "d" else "right"
        rows.append((left, right, outcome, judge))
    return pd.DataFrame(rows, columns=["left", "right", "winner", "judge"])


@pytest.fixture(scope="module")
def pairs(votes: pd.DataFrame) -> ps.PairTable:
    return ps.PairTable.from_frame(votes, left="left", right="right", outcome="winner", judge="judge")


@pytest.fixture(scope="module")
def fit(pairs: ps.PairTable) -> ps.Fit:
    return ps.fit(ps.BradleyTerry(ties="davidson", position=True), pairs)


def chance(fit: ps.Fit, left: str, right: str) -> np.ndarray:
    """Davidson & Beaver's probabilities of left, right and tie."""
    worth = dict(zip(fit.levels["item"], fit.parameters["worth"], strict=True))
    gap = worth[left] - worth[right]
    odds = np.exp([gap / 2 + float(fit.parameters["position"]), -gap / 2, float(fit.parameters["tie"])])
    return odds / odds.sum()


def by_loop(fit: ps.Fit, rows: list[tuple[str, str, str]], side: str) -> tuple[float, float, float, float]:
    """Score of an item, its expectation, z, and the exact two-sided p, comparison by comparison."""
    score = expected = variance = 0.0
    density = {0.0: 1.0}
    for left, right, outcome in rows:
        p = chance(fit, left, right)
        points = np.array([1.0, 0.0, 0.5]) if side == left else np.array([0.0, 1.0, 0.5])
        score += points[["left", "right", "tie"].index(outcome)]
        expected += p @ points
        variance += p @ points**2 - (p @ points) ** 2
        further: dict[float, float] = {}
        for total, before in density.items():
            for gain, each in zip(points, p, strict=True):
                further[total + gain] = further.get(total + gain, 0.0) + before * each
        density = further
    tails = [sum(p for s, p in density.items() if test) for test in ()] or [
        sum(p for s, p in density.items() if s <= score),
        sum(p for s, p in density.items() if s >= score),
    ]
    return score, expected, (score - expected) / np.sqrt(variance), min(2 * min(tails), 1.0)


def test_pairs_are_those_of_a_loop(fit: ps.Fit, pairs: ps.PairTable, votes: pd.DataFrame) -> None:
    found = ps.pair_residuals(fit, pairs)
    assert len(found) == 15
    assert found["n"].sum() == len(votes)
    for row in found.to_dict("records"):
        mine = [tuple(v[:3]) for v in votes.to_numpy() if {v[0], v[1]} == {row["first"], row["second"]}]
        score, expected, z, p = by_loop(fit, mine, row["first"])
        assert (row["n"], row["score"]) == (len(mine), score)
        assert row["expected"] == pytest.approx(expected, rel=1e-10)
        assert row["residual"] == pytest.approx(score - expected, abs=1e-9)
        assert row["z"] == pytest.approx(z, rel=1e-8, abs=1e-9)
        assert row["p"] == pytest.approx(p, abs=1e-12)  # what the transform promises
    assert found["p_holm"].tolist() == pytest.approx(multipletests(found["p"], method="holm")[1].tolist())


def test_orders_apart_and_items_by_judge(fit: ps.Fit, pairs: ps.PairTable, votes: pd.DataFrame) -> None:
    apart = ps.pair_residuals(fit, pairs, orders="apart")
    assert len(apart) == 30
    row = apart.iloc[3]
    mine = [tuple(v[:3]) for v in votes.to_numpy() if (v[0], v[1]) == (row["first"], row["second"])]
    assert row[["score", "expected", "z", "p"]].tolist() == pytest.approx(by_loop(fit, mine, row["first"]))
    judged = ps.pair_residuals(fit, pairs, by="judge")
    assert len(judged) == 24
    assert judged["n"].sum() == 2 * len(votes)
    for row in judged.head(5).to_dict("records"):
        mine = [tuple(v[:3]) for v in votes.to_numpy() if v[3] == row["judge"] and row["item"] in v[:2]]
        assert [row[name] for name in ("score", "expected", "z", "p")] == pytest.approx(
            by_loop(fit, mine, row["item"]), abs=1e-11
        )


def test_what_was_planted_is_found(fit: ps.Fit, pairs: ps.PairTable) -> None:
    found = ps.pair_residuals(fit, pairs)
    assert found.loc[0, ["first", "second"]].tolist() == ["c", "d"]
    assert found.loc[0, "flag"].startswith("wins less than expected: 0 of ")
    judged = ps.pair_residuals(fit, pairs, by="judge")
    assert judged.loc[0, ["judge", "item"]].tolist() == ["j0", "f"]
    assert "wins more than expected" in judged.loc[0, "flag"]


def test_scores_of_items_have_no_residual_at_maximum_likelihood(fit: ps.Fit, pairs: ps.PairTable) -> None:
    """The likelihood equations of worths: each item's score is its expectation (Davidson, 1970)."""
    judged = ps.pair_residuals(fit, pairs, by="judge")
    # The fit stops at steps of 1e-6 logits; a score moves by some hundreds of comparisons a logit.
    assert judged.groupby("item")["residual"].sum().abs().max() < 1e-3


def test_few_comparisons_are_said_to_be_few(fit: ps.Fit, votes: pd.DataFrame) -> None:
    few = ps.PairTable.from_frame(votes.head(4), left="left", right="right", outcome="winner")
    assert set(ps.pair_residuals(fit, few)["note"]) == {"few or lopsided comparisons: read p, not z"}


def test_bad_input_is_named(fit: ps.Fit, pairs: ps.PairTable) -> None:
    with pytest.raises(DataError, match=r"pair_residuals: orders='both' is not one of \['together', 'apart'\]"):
        ps.pair_residuals(fit, pairs, orders="both")
    with pytest.raises(DataError, match='pair_residuals: orders="apart" is of pairs of items; leave out by='):
        ps.pair_residuals(fit, pairs, by="judge", orders="apart")
    with pytest.raises(DataError, match="pair_residuals: by='judges' is no facet of the comparisons; did you mean"):
        ps.pair_residuals(fit, pairs, by="judges")
    with pytest.raises(DataError, match="pair_residuals: alpha=2 is not a level"):
        ps.pair_residuals(fit, pairs, alpha=2)
    with pytest.raises(DataError, match="pair_residuals: the ties of this table count as half wins"):
        ps.pair_residuals(fit, pairs.ties_as_half_wins())
