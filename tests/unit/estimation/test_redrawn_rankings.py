"""Rankings drawn anew from a fit: their frequencies, their design, and the bootstrap made of them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError
from psymetric.estimation.redrawn_rankings import redrawn_categories, redrawn_rankings

WORTH = {"a": 0.8, "b": 0.2, "c": -0.2, "d": -0.8}
N_LISTS, N_DRAWS, N_REPLICATES = 240, 4_000, 200


def lists(*, ranked: int = 4, seed: int = 2) -> pd.DataFrame:
    """Four items put in order, of which the first `ranked` keep their places."""
    rng = np.random.default_rng(seed)
    rows = []
    for task in range(N_LISTS):
        order = sorted(WORTH, key=lambda name: -(WORTH[name] + rng.gumbel()))
        rows += [(task, name, place + 1 if place < ranked else None) for place, name in enumerate(order)]
    return pd.DataFrame(rows, columns=["task", "item", "rank"])


def test_top_lists_are_drawn_with_the_probabilities_of_the_model() -> None:
    table = ps.RankingTable.from_frame(lists(ranked=2))
    fit = ps.fit(ps.PlackettLuce(), table)
    drawn = redrawn_categories(fit, table, np.zeros(N_DRAWS, np.int64), seed=5)
    shown = table.rankings.item[0]
    odds = np.exp(fit.parameters["worth"][shown])
    for first, second in permutations(range(4), 2):
        p = odds[first] / odds.sum() * odds[second] / (odds.sum() - odds[first])
        share = np.mean((drawn[:, first] == 0) & (drawn[:, second] == 1))
        assert share == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / N_DRAWS))
    assert (np.sort(drawn, axis=1) == [0, 1, 4, 4]).all()


def test_ties_are_drawn_and_the_design_is_kept() -> None:
    rng = np.random.default_rng(8)
    rows = [
        (task, item, score) for task in range(60) for item, score in zip("abcd", rng.integers(0, 3, 4), strict=True)
    ]
    table = ps.RankingTable.from_scores(pd.DataFrame(rows, columns=["task", "item", "score"]), score="score")
    fit = ps.fit(ps.PlackettLuce(ties="davidson-luce"), table)
    own = redrawn_rankings(fit, table, np.repeat(np.arange(60), 2), seed=1)
    assert len(own.rankings.weight) == 120
    assert own.levels["item"] == table.levels["item"]
    assert own.tied.any()
    # Ties are as frequent as the model has them; its own expectation of their number is the number seen.
    assert own.tied.mean() == pytest.approx(table.tied.mean(), abs=4 * np.sqrt(0.25 / 120 + 0.25 / 60))


def test_parametric_bootstrap_agrees_with_the_information() -> None:
    """The sd of N draws has a relative standard error of 1 / sqrt(2 N); four of them."""
    table = ps.RankingTable.from_frame(lists())
    found = ps.bootstrap(ps.PlackettLuce(), table, n=N_REPLICATES, seed=3, resample="parametric")
    assert found.resample == "parametric"
    assert found.failures.empty
    ratio = found.standard_errors["worth"] / found.fit.standard_errors["worth"]
    np.testing.assert_allclose(ratio, 1, atol=4 / np.sqrt(2 * N_REPLICATES))
    # The draws lie around the estimates, not around those of another table.
    bias = found.estimates("item")["bias"] / found.estimates("item")["se"]
    np.testing.assert_allclose(bias, 0, atol=4 / np.sqrt(N_REPLICATES) + 0.1)


def test_a_weight_counts_rankings() -> None:
    frame = lists()
    frame["weight"] = np.where(frame["task"] < N_LISTS / 2, 2, 0)
    table = ps.RankingTable.from_frame(frame, weight="weight")
    found = ps.bootstrap(ps.PlackettLuce(), table, n=3, seed=1, resample="parametric")
    assert np.isfinite(found.draws["worth"]).all()
    halves = ps.RankingTable.from_frame(frame.assign(weight=0.5), weight="weight")
    with pytest.raises(DataError, match=r"resample='parametric'\): weights must be whole numbers"):
        ps.bootstrap(ps.PlackettLuce(), halves, n=3, resample="parametric")


def test_choices_of_the_best_alone_cannot_be_drawn() -> None:
    frame = lists().assign(rank=lambda rows: np.where(rows["rank"] == 1, "best", "neither"))
    table = ps.RankingTable.from_frame(frame)
    with pytest.raises(DataError, match="some sets have a best or a worst item alone"):
        ps.bootstrap(ps.BestWorst(), table, n=3, resample="parametric")
