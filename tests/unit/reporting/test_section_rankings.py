"""The report of a fit of rankings: its numbers are those of the public functions, and its words fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import psymetric as ps
from psymetric.errors import DataError
from psymetric.reporting.section_rankings import ranking_lengths

WORTH = {"a": 1.0, "b": 0.3, "c": -0.3, "<d>": -1.0}


@dataclass(frozen=True)
class Ranked:
    fit: ps.Fit
    table: ps.RankingTable
    report: ps.Report


def scored(*, digits: int = 6) -> pd.DataFrame:
    """Lists of three or four items with scores by three judges; one score is missing."""
    rng = np.random.default_rng(5)
    rows = [
        (task, f"j{task % 3}", item, round(WORTH[item] + rng.gumbel(), digits))
        for task in range(150)
        for item in rng.choice(list(WORTH), 3 if task % 3 else 4, replace=False)
    ]
    frame = pd.DataFrame(rows, columns=["task", "judge", "item", "score"])
    frame.loc[1, "score"] = np.nan
    return frame


def ranked(table: ps.RankingTable, model: ps.PlackettLuce | ps.BestWorst) -> Ranked:
    fit = ps.fit(model, table)
    return Ranked(fit, table, ps.report(fit, table))


@pytest.fixture(scope="module")
def plain() -> Ranked:
    table = ps.RankingTable.from_scores(scored(), score="score", judge="judge")
    return ranked(table, ps.PlackettLuce())


def test_the_leaderboard_is_that_of_the_public_functions(plain) -> None:
    frame = plain.report.scores.set_index("item")
    for column, theirs, name in (
        ("estimate", plain.fit.estimates("item"), "estimate"),
        ("rank_upper", ps.rank_intervals(plain.fit), "rank_upper"),
        ("elo", ps.elo_scale(plain.fit).frame, "rating"),
        ("win_rate", ps.win_rates(plain.fit), "win_rate"),
    ):
        np.testing.assert_allclose(frame[column].astype(float), theirs.set_index("level")[name].loc[frame.index])


def test_the_page_says_what_was_ranked_and_by_whom(plain) -> None:
    record, page = plain.report.record, plain.report.html
    assert record["measured"].startswith("4 items, 150 rankings, 150 tasks and 3 judges")
    assert plain.report.title == "4 items ranked by 3 judges"
    for words in (">Leaderboard</h2>", ">Who is preferred to whom</h2>", "Plackett–Luce model", "First before last"):
        assert words in page
    assert "&lt;d&gt;" in page
    assert "<d>" not in page
    judges = pd.DataFrame(record["tables"]["judges"]).set_index("level").sort_index()
    theirs = ps.ranking_judges(plain.fit, plain.table).set_index("judge")
    np.testing.assert_allclose(judges[["tau_b", "tau_expected"]], theirs[["tau_b", "tau_expected"]])
    assert record["tables"]["missing"][0]["n"] == 1
    lists = pd.DataFrame(record["tables"]["lists"])
    assert lists["items"].tolist() == [3, 4]
    assert lists["rankings"].tolist() == [101, 49]


def test_preferences_are_choices_between_two(plain) -> None:
    from psymetric.reporting.evidence import read_part
    from psymetric.reporting.section_rankings import _preference

    part = read_part(plain.fit, plain.table)
    worth = part.measures["estimate"].to_numpy(float)
    found = _preference(part, part.comparisons.known)
    np.fill_diagonal(found, 0.5)
    np.testing.assert_allclose(found, expit(worth[:, None] - worth), atol=1e-12)


def test_ties_and_top_lists_are_counted() -> None:
    frame = pd.DataFrame(
        {
            "task": [0, 0, 0, 1, 1, 1, 2, 2, 2, 2],
            "item": ["a", "b", "c", "a", "b", "c", "a", "b", "c", "d"],
            "rank": [1, 1, 2, 1, 2, None, 1, None, None, None],
        }
    )
    found = ranking_lengths(ps.RankingTable.from_frame(frame)).set_index("items")
    assert found.loc[3].to_dict() == {"rankings": 2.0, "whole": 1.0, "tied": 0.5, "ranked": 2.5}
    assert found.loc[4].to_dict() == {"rankings": 1.0, "whole": 0.0, "tied": 0.0, "ranked": 1.0}


def test_readiness_to_tie_has_its_table() -> None:
    table = ps.RankingTable.from_scores(scored(digits=0), score="score", judge="judge")
    found = ranked(table, ps.PlackettLuce(ties="davidson-luce"))
    rows = found.report.record["tables"]["effects"]
    assert [row["effect"] for row in rows][:2] == ["a tie of 2", "a tie of 3"]
    np.testing.assert_allclose([row["estimate"] for row in rows], found.fit.parameters["tie"])
    assert "Turner, H. L." in found.report.html


def test_best_worst_choices_have_a_page() -> None:
    frame = scored().dropna()
    place = frame.groupby("task")["score"].rank(ascending=False)
    last = frame.groupby("task")["score"].transform("size")
    frame["rank"] = np.select([place == 1, place == last], ["best", "worst"], "neither")
    table = ps.RankingTable.from_frame(frame, judge="judge")
    found = ranked(table, ps.BestWorst())
    assert "150 choices" in found.report.record["measured"]
    record = pd.DataFrame(found.report.record["tables"]["record"]).set_index("level")
    np.testing.assert_allclose(record["score"], table.counts("item").set_index("level")["score"].loc[record.index])
    assert "as the pair furthest apart" in found.report.html


def test_another_kind_of_table_is_refused(plain) -> None:
    pairs = ps.PairTable.from_frame(
        pd.DataFrame({"left": ["a", "b"], "right": ["b", "a"], "winner": ["left", "left"]}),
        left="left",
        right="right",
        outcome="winner",
    )
    with pytest.raises(DataError, match="PlackettLuce does not fit a PairTable; pass the fitted table"):
        ps.report(plain.fit, pairs)
    other = ps.RankingTable.from_scores(scored().head(90), score="score", judge="judge")
    with pytest.raises(DataError, match="report: the table has hash"):
        ps.report(plain.fit, other)
