"""MT-bench's judgements: both games of a pair, upstream's rule, votes of people, ratings of single answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError


def game(question: int, one: str, two: str, first: object, second: object, **more: object) -> dict[str, object]:
    """A record with the fields of FastChat's gpt-4_pair.jsonl."""
    return {
        "question_id": question,
        "model_1": one,
        "model_2": two,
        "g1_winner": first,
        "g2_winner": second,
        "judge": ["gpt-4", "pair-v2"],
        "g1_user_prompt": "[User Question] …",
        "g1_judgment": "My final verdict is: [[A]]",
        "g2_judgment": "My final verdict is: [[B]]",
        "turn": 1,
        "tstamp": 1687222552.8,
        **more,
    }


GAMES = [
    game(81, "alpaca", "claude", "model_2", "model_2"),
    game(82, "alpaca", "claude", "model_1", "model_2"),
    game(83, "alpaca", "llama", "tie", "model_1", judge=["gpt-4", "pair-math-v1"]),
    game(84, "alpaca", "llama", "model_1", "error"),
    game(85, "llama", "claude", "error", "tie", g1_judgment="$ERROR$"),
    game(86, "llama", "claude", "tie", "tie"),
]


def write(path: Path, *records: object) -> Path:
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def rating(question: int, model: str, score: object, turn: int = 1, **more: object) -> dict[str, object]:
    """A record with the fields of FastChat's gpt-4_single.jsonl."""
    shared = {"question_id": question, "model": model, "score": score, "turn": turn}
    return {**shared, "judge": ["gpt-4", "single-v1"], "judgment": f"Rating: [[{score}]]", "tstamp": 1.0, **more}


def human(question: int, a: str, b: str, winner: object, judge: str = "expert_1", **more: object) -> dict[str, object]:
    """A record with the fields of lmsys/mt_bench_human_judgments."""
    return {"question_id": question, "model_a": a, "model_b": b, "winner": winner, "judge": judge, "turn": 1, **more}


def test_both_games_are_votes_with_the_one_shown_first_on_the_left(tmp_path: Path) -> None:
    table = ps.read_mt_bench(write(tmp_path / "gpt-4_pair.jsonl", *GAMES))
    frame = table.to_frame()[["question", "left", "right", "order", "response", "template"]]
    assert frame.values.tolist() == [
        [81, "alpaca", "claude", "original", "right", "pair-v2"],
        [81, "claude", "alpaca", "swapped", "left", "pair-v2"],
        [82, "alpaca", "claude", "original", "left", "pair-v2"],
        [82, "claude", "alpaca", "swapped", "left", "pair-v2"],
        [83, "alpaca", "llama", "original", "tie", "pair-math-v1"],
        [83, "llama", "alpaca", "swapped", "right", "pair-math-v1"],
        [84, "alpaca", "llama", "original", "left", "pair-v2"],
        [85, "claude", "llama", "swapped", "tie", "pair-v2"],
        [86, "llama", "claude", "original", "tie", "pair-v2"],
        [86, "claude", "llama", "swapped", "tie", "pair-v2"],
    ]
    assert table.missing[["question", "order", "reason"]].values.tolist() == [
        [84, "swapped", "unparsable"],
        [85, "original", "transport"],
    ]
    assert table.levels["judge"] == ("gpt-4",)
    assert "final verdict" not in json.dumps(table.to_dict())


def test_upstreams_rule_is_an_option_and_labelled(tmp_path: Path) -> None:
    table = ps.read_mt_bench(write(tmp_path / "gpt-4_pair.jsonl", *GAMES), orders="agreed")
    frame = table.to_frame()[["question", "left", "response"]]
    assert frame.values.tolist() == [
        [81, "alpaca", "right"],
        [82, "alpaca", "tie"],
        [83, "alpaca", "tie"],
        [86, "llama", "tie"],
    ]
    assert table.missing["reason"].tolist() == ["unparsable", "transport"]
    assert any("a tie where they disagree (upstream's rule)" in note for note in table.notes)
    assert "order" not in table.facets


def test_votes_of_people(tmp_path: Path) -> None:
    votes = [
        human(81, "alpaca", "claude", "model_b"),
        human(81, "alpaca", "claude", "claude", judge="expert_2"),
        human(82, "alpaca", "claude", "tie", category="writing"),
        human(83, "alpaca", "claude", "error"),
    ]
    path = write(tmp_path / "human.jsonl", *[{"category": "writing", **vote} for vote in votes])
    table = ps.read_mt_bench(path)
    assert table.to_frame()["response"].tolist() == ["right", "right", "tie"]
    assert table.missing["reason"].tolist() == ["unparsable"]
    assert set(table.facets) == {"item", "question", "turn", "judge", "category"}


def test_the_two_orders_that_disagreed_are_no_tie_unless_mapped(tmp_path: Path) -> None:
    path = write(
        tmp_path / "gpt4.jsonl",
        human(81, "a", "b", "tie (inconsistent)", judge="gpt4_pair"),
        human(82, "a", "b", "tie"),
    )
    with pytest.raises(
        DataError, match=r"unknown labels in 'winner'.*first at line 1\).*outcomes=\{'tie \(inconsistent\)': 'tie'\}"
    ):
        ps.read_mt_bench(path)
    assert ps.read_mt_bench(path, outcomes={"tie (inconsistent)": "tie"}).n_rows == 2
    assert ps.read_mt_bench(path, outcomes={"tie (inconsistent)": None}).missing["reason"].tolist() == ["off_scale"]


@pytest.mark.parametrize(
    ("records", "arguments", "message"),
    [
        ([game(81, "a", "b", "A", "tie")], {}, r"unknown labels in 'g1_winner' \(1 of 1 record, .*got \['A'\]"),
        ([GAMES[0], GAMES[0]], {}, r"repeated \(1 of 2 records, first at line 2\).*question_id 81, model_1"),
        ([game(81, "a", "a", "tie", "tie")], {}, "items are compared with themselves"),
        ([GAMES[0] | {"judge": "gpt-4"}, GAMES[1]], {}, r"judges of different forms \(1 of 2 records, first at line 1"),
        ([game(81, "a", "b", "tie", "tie", judge=["gpt-4", 2])], {}, "judges of different forms"),
        ([game(81, "a", "b", "tie", "tie", m1_score=7)], {}, "made from two ratings"),
        ([{key: value for key, value in GAMES[0].items() if key != "g2_winner"}], {}, "has no field 'g2_winner'"),
        ([GAMES[0]], {"orders": "first"}, r"orders='first' is not known: use one of \['both', 'agreed'\]"),
        ([GAMES[0]], {"length": "characters"}, "no outcomes= to map and no lengths"),
        ([rating(81, "a", 7)], {}, "holds ratings of single answers; use read_mt_bench_scores"),
        ([human(81, "a", "b", "tie")], {"orders": "agreed"}, "has no two games per record"),
        ([human(81, "a", "b", "tie")], {"length": "characters"}, "has no field 'len_a'"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(
    tmp_path: Path, records: list[object], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ps.read_mt_bench(write(tmp_path / "votes.jsonl", *records), **arguments)  # type: ignore[arg-type]


def test_a_score_of_minus_one_is_no_rating(tmp_path: Path) -> None:
    ratings = [
        rating(81, "alpaca", 4),
        rating(81, "claude", 9.0),
        rating(81, "claude", -1, turn=2),
        rating(82, "alpaca", -1, judgment="$ERROR$"),
        rating(82, "claude", 10),
    ]
    table = ps.read_mt_bench_scores(write(tmp_path / "gpt-4_single.jsonl", *ratings))
    assert table.categories == tuple(range(1, 11))
    assert table.to_frame()["response"].tolist() == [4, 9, 10]
    assert table.missing["reason"].tolist() == ["unparsable", "transport"]
    assert table.missing["turn"].tolist() == [2, 1]
    assert set(table.facets) == {"subject", "item", "judge", "template", "turn"}


def test_scores_off_the_scale_are_refused_unless_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "gpt-4_single.jsonl", rating(81, "alpaca", 4), rating(82, "alpaca", 7.5))
    with pytest.raises(DataError, match=r"not among the categories \(1 of 2 records, first at line 2\); got \[7\.5\]"):
        ps.read_mt_bench_scores(path)
    halves = [half / 2 for half in range(2, 21)]
    assert ps.read_mt_bench_scores(path, categories=halves).to_frame()["response"].tolist() == [4, 7.5]
    with pytest.raises(DataError, match="an earlier vote is repeated"):
        ps.read_mt_bench_scores(write(path, rating(81, "alpaca", 4), rating(81, "alpaca", 5)))


def agreement(votes: pd.DataFrame, *, ties: bool) -> float:
    """Share of people's votes that are GPT-4's on the same question, turn and pair; without ties: neither is one."""
    key = ["question", "turn", "left", "right"]
    gpt4 = votes[votes["judge"] == "gpt4_pair"].set_index(key)["response"]
    people = votes[votes["judge"] != "gpt4_pair"].set_index(key)["response"]
    both = pd.DataFrame({"person": people, "gpt4": gpt4.reindex(people.index)})
    both = both if ties else both[(both != "tie").all(axis=1)]
    return float((both["person"] == both["gpt4"]).mean())


@pytest.mark.shared_data
def test_agreement_of_gpt4_with_people(shared_data: Path) -> None:
    """The numbers of ../shared/data/CATALOGUE.md, by the definition of FastChat's compute_agreement.py."""
    path = shared_data / "mtbench" / "derived_mtbench_human_gpt4_pairs.csv.gz"
    table = ps.read_mt_bench(path, outcomes={"tie (inconsistent)": "tie"}, length="characters")
    # 1,751 votes of people; GPT-4's verdict on 1,232 distinct pairs stands beside each of them, and counts once.
    assert table.n_rows == 1751 + 1232
    votes = table.to_frame()
    for turn, without, with_ties in ((1, 0.858, 0.668), (2, 0.854, 0.679)):
        of_turn = votes[votes["turn"] == turn]
        assert round(agreement(of_turn, ties=False), 3) == without
        assert round(agreement(of_turn, ties=True), 3) == with_ties
    raw = pd.read_csv(path)
    assert np.isclose(votes["length"].min(), (raw["len_a"] - raw["len_b"]).min() / 1000)
