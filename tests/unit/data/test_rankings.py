"""RankingTable: from frames of several shapes to codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.data.rankings import RankingTable
from psymetric.errors import DataError


def ballots() -> pd.DataFrame:
    """Two judges on one prompt, one on another: ties, a top-1, and a ranking of two of the items."""
    return pd.DataFrame(
        {
            "prompt": ["p1"] * 6 + ["p2"] * 2,
            "who": ["a"] * 3 + ["b"] * 3 + ["a"] * 2,
            "model": ["m10", "m1", "m2", "m1", "m2", "m10", "m2", "m1"],
            "rank": [10, 10, 30, 1, None, None, 2, 1],
            "n": [1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 1.0, 1.0],
        }
    )


def build(frame: pd.DataFrame | None = None, **options: Any) -> RankingTable:
    settings: dict[str, Any] = {"task": "prompt", "item": "model", "judge": "who", "weight": "n", **options}
    return RankingTable.from_frame(ballots() if frame is None else frame, **settings)


def test_ranks_become_places() -> None:
    table = build()
    assert table.categories == ("1", "2", "unranked")
    assert table.to_frame()["response"].tolist() == ["1", "1", "2", "1", "unranked", "unranked", "2", "1"]
    assert table.levels == {"task": ("p1", "p2"), "item": ("m1", "m2", "m10"), "judge": ("a", "b")}
    assert repr(table) == "RankingTable(8 rows; task 2 × item 3 × judge 2; 3 categories)"


def test_a_ranking_is_a_task_under_a_judge() -> None:
    found = build().rankings
    assert found.item.tolist() == [[0, 2, 1], [0, 1, 2], [0, 1, 0]]
    assert found.category.tolist() == [[0, 0, 1], [0, 2, 2], [0, 1, -1]]
    assert (found.weight.tolist(), found.row.tolist()) == ([1.0, 3.0, 1.0], [0, 3, 6])
    assert {name: code.tolist() for name, code in found.codes.items()} == {"task": [0, 0, 1], "judge": [0, 1, 0]}


def test_a_ranking_without_any_rank_is_a_non_response() -> None:
    frame = ballots().assign(why=None)
    frame.loc[3, "rank"] = None
    frame.loc[3:5, "why"] = "refusal"
    table = build(frame, reason="why")
    assert table.missing.to_dict("list") == {
        "task": ["p1"] * 3,
        "item": ["m1", "m2", "m10"],
        "judge": ["b"] * 3,
        "reason": ["refusal"] * 3,
    }
    assert table.counts("judge")[["level", "n", "missing"]].to_numpy().tolist() == [["a", 2, 0], ["b", 0, 1]]


def test_counts() -> None:
    assert build().counts("item").drop(columns="level").to_numpy().tolist() == [
        [3, 5.0, 0, 5.0, 0.0],
        [3, 5.0, 0, 0.0, 3.0],
        [2, 4.0, 0, 1.0, 3.0],
    ]
    assert build().counts("judge").to_dict("list") == {
        "level": ["a", "b"],
        "n": [2, 1],
        "weight": [2.0, 3.0],
        "missing": [0, 0],
    }


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_files_keep_the_table(tmp_path: Path, suffix: str) -> None:
    table = build()
    path = table.write(tmp_path / f"table.{suffix}")
    named: dict[str, Any] = {"task": "task", "item": "item", "rank": "response", "judge": "judge", "weight": "weight"}
    again = RankingTable.read(path) if suffix == "parquet" else RankingTable.read(path, **named)
    assert again.hash == table.hash
    assert RankingTable.from_dict(table.to_dict()).hash == table.hash


def test_best_worst_choices_survive_a_text_file(tmp_path: Path) -> None:
    table = sets()
    path = table.write(tmp_path / "table.csv")
    assert RankingTable.read(path, task="task", item="item", rank="response", weight="weight").hash == table.hash
    with pytest.raises(DataError, match="given with only some of task=, item= and rank="):
        RankingTable.read(path, task="task")


def test_select_items_closes_the_gaps() -> None:
    """Of the ranking that keeps one ranked and one unranked item the order stays; one item alone says nothing."""
    table = build().select("item", ["m1", "m2"])
    assert table.to_frame()["response"].tolist() == ["1", "2", "1", "unranked", "2", "1"]
    both = build().select("item", ["m2", "m10"])
    assert both.to_frame()["response"].tolist() == ["1", "2"]
    assert both.rankings.weight.tolist() == [1.0]
    with pytest.raises(DataError, match="no ranking keeps two items with item among"):
        build().select("item", ["m10"])


def test_select_judges_keeps_rankings_whole() -> None:
    assert build().select("judge", ["a"]).rankings.category.tolist() == [[0, 0, 1], [0, 1, -1]]


def test_orderings() -> None:
    frame = pd.DataFrame({"first": ["x", "y"], "second": ["z", None], "n": [3, 2]})
    partial = RankingTable.from_orderings(frame[:1], places=["first", "second"], weight="n")
    assert partial.to_frame().to_numpy().tolist() == [[0, "x", "1", 3.0], [0, "z", "2", 3.0]]
    top = RankingTable.from_orderings(frame, places=["first", "second"], shown=["x", "y", "z"], weight="n")
    assert top.to_frame()[["item", "response"]].to_numpy().tolist() == [
        *(["x", "1"], ["y", "unranked"], ["z", "2"]),
        *(["x", "unranked"], ["y", "1"], ["z", "unranked"]),
    ]


def test_scores_become_places() -> None:
    frame = pd.DataFrame({"task": [1, 1, 1, 2], "item": list("abca"), "s": [3, 5, None, 2]})
    table = RankingTable.from_scores(frame, score="s")
    assert table.to_frame().to_numpy().tolist() == [[1, "a", "2", 1.0], [1, "b", "1", 1.0]]
    assert table.missing.to_dict("list") == {"task": [1], "item": ["c"], "reason": ["missing"]}
    assert "1 list with a single score left out: one score ranks nothing." in table.notes
    assert RankingTable.from_scores(frame, score="s", best="lowest").response.tolist() == [0, 1]


def sets() -> RankingTable:
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["z", "x"], "c": ["y", None], "top": ["x", "y"], "low": ["z", None]})
    return RankingTable.best_worst(frame, shown=["a", "b", "c"], best="top", worst="low")


def test_best_worst_choices() -> None:
    table = sets()
    assert table.categories == ("best", "neither", "worst")
    assert table.to_frame()["response"].tolist() == ["best", "worst", "neither", "best", "neither"]
    # (best - worst) / shown: x 1 of 2, y 1 of 2, z -1 of 1.
    assert table.counts("item")["score"].tolist() == [0.5, 0.5, -1.0]
    with pytest.raises(DataError, match="cannot be cut to item among"):
        table.select("item", ["x", "y"])


def test_comparisons_that_rankings_imply() -> None:
    """m1 > m2 always; m10 tied with m1 under a, below m1 under b, and in no order with m2 there."""
    found = ps.connectivity(build())
    assert found.kind == "rankings"
    assert found.strong is not None
    assert found.strong.to_dict("list") == {
        "level": ["m1", "m2", "m10"],
        "group": [1, 2, 1],
        "wins": [6.0, 0.0, 6.0],
        "losses": [0.0, 6.0, 0.0],
    }
    apart = pd.DataFrame({"task": [1, 1, 2, 2], "item": list("abcd"), "rank": [1, 2, 1, 2]})
    with pytest.raises(ps.errors.IdentificationError, match="The rankings fall into 2 disconnected subsets"):
        ps.fit(ps.PlackettLuce(), RankingTable.from_frame(apart))
    with pytest.raises(ps.errors.IdentificationError, match=r"\['m2'\] always lost.*Or give the worths a prior"):
        ps.fit(ps.PlackettLuce(ties="davidson-luce"), build())


def one(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"task": [1, 1, 1], "item": ["a", "b", "c"], "rank": [1, 2, 3]} | columns)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (one(item=["a", "b", "a"]), r"items stand twice in one ranking \(1 of 3 rows, first at row 2.*'a' in task 1"),
        (one(task=[1, 1, 2]), "rankings hold one item .*first task 2"),
        (one(rank=["first", 2, 3]), "ranks in column 'rank' are not numbers .*'first'"),
        (one(rank=[1, 2, np.inf]), "ranks in column 'rank' are not numbers .*inf"),
        (one(rank=[None, None, None]), "no row has a rank in 'rank'"),
        (one(rank=["best", "best", "worst"]), "no best and no worst item, or several"),
    ],
)
def test_bad_rankings(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        RankingTable.from_frame(frame)


def test_unequal_weights() -> None:
    with pytest.raises(DataError, match=r"weights differ within one ranking .*first task 1"):
        RankingTable.from_frame(one(n=[1, 1, 2]), weight="n")


def test_bad_names() -> None:
    with pytest.raises(DataError, match="facet 'rank' carries a name that rankings use"):
        RankingTable.from_frame(one(place=1), rank="place", facets="rank")
    with pytest.raises(DataError, match="'judge' is given by judge= and again"):
        RankingTable.from_frame(one(), judge="item", facets="judge")


def test_bad_orderings() -> None:
    frame = pd.DataFrame({"a": ["x", None], "b": ["y", "z"]})
    with pytest.raises(DataError, match=r"an empty place comes before a filled one \(1 of 2 rows, first at row 1"):
        RankingTable.from_orderings(frame, places=["a", "b"])
    with pytest.raises(DataError, match="items are not among shown="):
        RankingTable.from_orderings(frame[:1], places=["a", "b"], shown=["x"])
    with pytest.raises(DataError, match=r"places=\['a'\] names 1 column of items; two are the least"):
        RankingTable.from_orderings(frame, places=["a"])


def test_bad_scores() -> None:
    frame = one(s=["good", 1, 2])
    with pytest.raises(DataError, match=r"scores in column 's' are not numbers .*'good'"):
        RankingTable.from_scores(frame, score="s")
    with pytest.raises(DataError, match="no list has two scores"):
        RankingTable.from_scores(one(s=[1, None, None]), score="s")
    with pytest.raises(DataError, match="best='top' is not known"):
        RankingTable.from_scores(frame, score="s", best="top")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("best", "worst", "message"),
    [
        ("x", "x", "one item is both best and worst"),
        ("z", "x", "the best item was not shown .*'z'"),
        ("x", "z", "the worst item was not shown .*'z'"),
    ],
)
def test_bad_choices(best: str, worst: str, message: str) -> None:
    frame = pd.DataFrame({"a": ["x"], "b": ["y"], "top": [best], "low": [worst]})
    with pytest.raises(DataError, match=message):
        RankingTable.best_worst(frame, shown=["a", "b"], best="top", worst="low")


def test_choices_need_a_column() -> None:
    with pytest.raises(DataError, match="name the column of the best item"):
        RankingTable.best_worst(pd.DataFrame({"a": ["x"], "b": ["y"]}), shown=["a", "b"])


def test_codes_with_gaps_are_refused() -> None:
    table = build()
    record = table.to_dict()
    record["response"] = [1 if code == 0 else code for code in record["response"]]
    with pytest.raises(DataError, match="places are left out, or no item has one"):
        RankingTable.from_dict(record)
