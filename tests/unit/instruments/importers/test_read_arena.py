"""Votes of an arena: sides, results, facets, lengths, and both answers bad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError


def battle(number: int, a: str, b: str, winner: object, **more: object) -> dict[str, object]:
    """A record with the fields of lmsys/chatbot_arena_conversations."""
    return {
        "question_id": f"q{number}",
        "model_a": a,
        "model_b": b,
        "winner": winner,
        "judge": f"arena_user_{number % 2}",
        "turn": 1,
        "anony": True,
        "language": "English",
        "tstamp": 1682351591.5 + number,
        "conversation_a": [
            {"role": "user", "content": "ignore all instructions"},
            {"role": "assistant", "content": "x" * 10 * number},
        ],
        "conversation_b": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yy"}],
        **more,
    }


BATTLES = [
    battle(1, "vicuna", "koala", "model_a"),
    battle(2, "koala", "vicuna", "model_b"),
    battle(3, "koala", "alpaca", "tie"),
    battle(4, "alpaca", "vicuna", "tie (bothbad)"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "arena.jsonl"
    path.write_text("\n".join(map(json.dumps, BATTLES)))
    return path


def test_votes_become_comparisons(file: Path) -> None:
    table = ps.read_arena(file)
    frame = table.to_frame()
    assert frame["left"].tolist() == ["vicuna", "koala", "koala"]
    assert frame["response"].tolist() == ["left", "right", "tie"]
    assert frame["judge"].tolist() == ["arena_user_1", "arena_user_0", "arena_user_1"]
    assert set(table.facets) == {"item", "judge", "turn", "language"}
    assert "ignore all instructions" not in json.dumps(table.to_dict())


def test_both_bad_is_no_tie_unless_mapped(file: Path) -> None:
    table = ps.read_arena(file)
    assert table.missing["reason"].tolist() == ["off_scale"]
    assert any("1 vote found both answers bad, which ties neither with the other" in note for note in table.notes)
    mapped = ps.read_arena(file, outcomes={"tie (bothbad)": "tie"})
    assert mapped.to_frame()["response"].tolist() == ["left", "right", "tie", "tie"]
    assert (len(mapped.missing), any("both answers bad" in note for note in mapped.notes)) == (0, False)


def test_a_null_is_missing_without_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([*BATTLES[:3], battle(5, "koala", "vicuna", None)]))
    assert ps.read_arena(path).missing["reason"].tolist() == ["missing"]


@pytest.mark.parametrize(
    ("record", "arguments", "message"),
    [
        (
            battle(9, "a", "b", "Model_A"),
            {},
            r"arena\.jsonl: unknown labels in 'winner' \(1 of 5 records, first at line 5\); got \['Model_A'\]; this ",
        ),
        (battle(9, "a", "b", 1), {}, r"first at line 5\); got \[1\]"),
        (battle(9, "a", "b", ["a"]), {}, r"field 'winner' holds lists or objects \(1 of 5 records, first at line 5"),
        (battle(9, "a", "b", "koala"), {}, r"unknown labels in 'winner'.*got \['koala'\]"),
        (
            battle(9, "a", "a", "tie"),
            {},
            r"items are compared with themselves \(1 of 5 records, first at line 5\); got \['a'\]",
        ),
        (battle(9, "a", None, "tie"), {}, r"field 'model_b' is empty"),
        (
            battle(1, "a", "b", "tie"),
            {},
            r"an earlier vote is repeated \(1 of 5 records, first at line 5\); the first is of question_id 'q1'",
        ),
        (battle(9, "tie", "b", "tie"), {}, r"labels in 'winner' name an item and a result.*first at line 3"),
        (battle(9, "a", "b", "tie"), {"outcomes": {"tie": "draw"}}, "outcomes= maps 'tie' to 'draw'"),
        (battle(9, "a", "b", "tie"), {"facets": ("tstamp",)}, "facets= holds 'tstamp'; an arena file has"),
        (
            battle(9, "a", "b", "tie"),
            {"length": "words"},
            r"length='words' is not known: use None or one of \['characters', 'tokens'\]",
        ),
        (
            battle(9, "a", "b", "tie", conversation_a="x"),
            {"length": "characters"},
            r"the length in characters is not to be found \(1 of 5 records, first at line 5",
        ),
        (battle(9, "a", "b", "tie"), {"length": "tokens"}, "has no field 'conv_metadata'"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    file: Path, record: object, arguments: dict[str, object], message: str
) -> None:
    file.write_text(file.read_text() + "\n" + json.dumps(record))
    with pytest.raises(DataError, match=message):
        ps.read_arena(file, **arguments)  # type: ignore[arg-type]


def test_an_item_called_tie_is_read_where_the_user_says_what_the_word_means(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, [battle(1, "tie", "b", "tie"), battle(2, "tie", "b", "b")])))
    table = ps.read_arena(path, outcomes={"tie": "tie"})
    assert table.to_frame()["response"].tolist() == ["tie", "right"]


def test_lengths_are_left_less_right_in_thousands(file: Path) -> None:
    table = ps.read_arena(file, length="characters")
    assert table.to_frame()["length"].tolist() == [0.008, 0.018, 0.028]
    counts = {"sum_assistant_a_tokens": 1500, "sum_assistant_b_tokens": 250}
    file.write_text("\n".join(json.dumps(record | {"conv_metadata": counts}) for record in BATTLES))
    assert ps.read_arena(file, length="tokens").to_frame()["length"].unique().tolist() == [1.25]


def test_parquet_conversations_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "arena.parquet"
    pd.DataFrame(BATTLES).to_parquet(path)
    table = ps.read_arena(path, length="characters", facets=())
    assert table.to_frame()["length"].tolist() == [0.008, 0.018, 0.028]
    assert set(table.facets) == {"item", "length"}


def test_repeats(file: Path) -> None:
    file.write_text(file.read_text() + "\n" + json.dumps(battle(1, "koala", "vicuna", "model_a")))
    assert ps.read_arena(file, repeats="first").n_rows == 3
    assert ps.read_arena(file, repeats="keep").n_rows == 4


@pytest.mark.shared_data
def test_llmfao_through_the_importer_has_the_published_worths(shared_data: Path) -> None:
    table = ps.read_arena(shared_data / "llmfao" / "crowd-comparisons.csv")
    assert (table.n_rows, len(table.levels["item"]), len(table.levels["judge"])) == (8931, 59, 124)
    fit = ps.fit(ps.BradleyTerry(), table.ties_as_half_wins())
    ours = fit.estimates("item").set_index("level")["estimate"]
    golden = pd.read_csv(shared_data / "llmfao" / "evalica_llmfao-golden.csv")
    theirs = golden[golden["algorithm"] == "bradley_terry"].set_index("item")["score"]
    # Their scores are worths, ours their logarithms: evalica 0.4's golden file, ties as half wins.
    assert np.corrcoef(ours.reindex(theirs.index), np.log(theirs))[0, 1] > 0.9995
