"""Votes of a council: strength is kept and counted once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import psymetric as ps
from psymetric.errors import DataError


def vote(judge: str, first: str, second: str, choice: object, prompt: str = "Say hello.") -> dict[str, object]:
    """A record with the fields of lm-council's judge_ratings.jsonl."""
    return {
        "user_prompt": prompt,
        "judge_model": judge,
        "first_completion_by": first,
        "second_completion_by": second,
        "temperature": None,
        "total_tokens": 232,
        "pairwise_choice": choice,
    }


VOTES = [
    vote("j1", "a", "b", "A>>B"),
    vote("j1", "b", "a", "B>A"),
    vote("j2", "a", "b", "A=B"),
    vote("j2", "b", "a", "[[A>B]]"),
    vote("j1", "a", "c", "B>>A"),
    vote("j2", "a", "c", None),
]


def write(path: Path, *votes: object) -> Path:
    path.write_text("\n".join(map(json.dumps, votes)))
    return path


def test_votes_keep_their_order_and_strength(tmp_path: Path) -> None:
    table = ps.read_council(write(tmp_path / "judge_ratings.jsonl", *VOTES))
    frame = table.to_frame()
    assert frame["left"].tolist() == ["a", "b", "a", "b", "a"]
    assert frame["response"].tolist() == ["left", "right", "tie", "left", "right"]
    assert frame["strength"].tolist() == ["strong", "slight", "tie", "slight", "strong"]
    assert table.missing[["right", "strength", "reason"]].values.tolist() == [["c", "none", "unparsable"]]
    assert "Say hello." not in json.dumps(table.to_dict())


def test_a_strong_preference_counts_once(tmp_path: Path) -> None:
    """Defect 6 of ../shared/oracles/README.md: lm-council counts it three times, and drops ties."""
    choices = ["A>>B"] * 5 + ["B>A"] * 3
    strong = [vote(f"j{k}", "a", "b", choice) for k, choice in enumerate(choices)]
    slight = [one | {"pairwise_choice": str(one["pairwise_choice"]).replace(">>", ">")} for one in strong]
    tables = [ps.read_council(write(tmp_path / "v.jsonl", *votes)) for votes in (strong, slight)]
    fits = [ps.fit(ps.BradleyTerry(), table).estimates("item") for table in tables]
    # Eight votes, five to three: the worths are ± log(5/3)/2, the error of each half of sqrt(1/5 + 1/3). Counted three
    # times the five would be fifteen.
    for table, items in zip(tables, fits, strict=True):
        assert table.weight.sum() == 8
        np.testing.assert_allclose(items["estimate"], np.log(5 / 3) / 2 * np.array([1, -1]), rtol=1e-6)
        np.testing.assert_allclose(items["se"], np.sqrt(1 / 5 + 1 / 3) / 2, rtol=1e-6)
    with_ties = ps.read_council(write(tmp_path / "v.jsonl", *strong, vote("j9", "a", "b", "A=B")))
    assert with_ties.counts("item")["ties"].tolist() == [1, 1]


def test_ids_of_prompts_come_before_their_texts(tmp_path: Path) -> None:
    votes = [one | {"emobench_id": number} for number, one in enumerate(VOTES)]
    assert ps.read_council(write(tmp_path / "v.jsonl", *votes)).levels["prompt"] == (0, 1, 2, 3, 4)
    hashed = ps.read_council(write(tmp_path / "v.jsonl", *VOTES)).levels["prompt"]
    assert len(hashed) == 1
    assert len(str(hashed[0])) == 12


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            vote("j3", "a", "b", "A>>>B"),
            r"v\.jsonl: unknown labels in 'pairwise_choice' \(1 of 7 records, first at line 7\); got \['A>>>B'\]",
        ),
        (
            vote("j1", "a", "b", "A>B"),
            r"an earlier vote is repeated.*first at line 7.*repeats=\"keep\" \(each is a vote of its own\)",
        ),
        (vote("j3", "a", "a", "A=B"), "items are compared with themselves"),
        (
            {"judge_model": "j3", "first_completion_by": "a", "second_completion_by": "b"},
            r"field 'user_prompt' is missing|field 'pairwise_choice' is missing",
        ),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path: Path, record: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ps.read_council(write(tmp_path / "v.jsonl", *VOTES, record))


def test_repetitions_are_votes_where_the_user_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "v.jsonl", *VOTES, VOTES[0])
    assert ps.read_council(path, repeats="keep").n_rows == 6
    assert ps.read_council(path, repeats="first").n_rows == 5
