"""AlpacaEval's annotations: hard votes, split votes, lengths, failures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import psymetric as ps
from psymetric.errors import DataError


def annotation(number: int, model: str, preference: object, **more: object) -> dict[str, object]:
    """A record with the fields of annotations.json."""
    return {
        "instruction": f"instruction {number}",
        "output_1": "b" * 100,
        "generator_1": "gpt4_1106_preview",
        "dataset": "helpful_base",
        "output_2": "m" * (100 + 250 * number),
        "generator_2": model,
        "annotator": "weighted_alpaca_eval_gpt4_turbo",
        "preference": preference,
        "raw_completion": None,
        **more,
    }


NOTES = [
    annotation(0, "claude", 1.0),
    annotation(1, "claude", 1.83),
    annotation(2, "claude", 1.5),
    annotation(3, "claude", None),
    annotation(4, "llama", 0),
    annotation(5, "llama", 1.2),
    annotation(6, "llama", 2),
]


def write(path: Path, *notes: object) -> Path:
    path.write_text(json.dumps(notes))
    return path


def test_hard_votes(tmp_path: Path) -> None:
    table = ps.read_alpaca_eval(write(tmp_path / "annotations.json", *NOTES))
    frame = table.to_frame()
    assert frame["left"].unique().tolist() == ["gpt4_1106_preview"]
    assert frame["response"].tolist() == ["left", "right", "tie", "tie", "left", "right"]
    assert table.missing["reason"].tolist() == ["unparsable"]
    assert any("does not store which output was shown first" in note for note in table.notes)
    assert set(table.facets) == {"item", "judge", "dataset", "prompt"}
    assert "instruction 1" not in json.dumps(table.to_dict())


def test_split_votes_share_their_weight(tmp_path: Path) -> None:
    table = ps.read_alpaca_eval(write(tmp_path / "annotations.json", *NOTES), preferences="split")
    frame = table.to_frame()
    assert frame["response"].tolist() == [
        "left",
        "left",
        "right",
        "left",
        "right",
        "left",
        "right",
        "left",
        "right",
        "right",
    ]
    np.testing.assert_allclose(frame["weight"], [1, 0.17, 0.83, 0.5, 0.5, 0.5, 0.5, 0.8, 0.2, 1])
    assert frame["vote"].tolist() == [1, 2, 2, 3, 3, 5, 5, 6, 6, 7]
    assert table.missing["reason"].tolist() == ["unparsable"]
    assert any(note.startswith("Quasi-likelihood: 4 votes split between both sides") for note in table.notes)


def test_split_votes_estimate_the_mean_preference(tmp_path: Path) -> None:
    """Two items: the difference of worths is the logit of the mean preference, the closed form of a saturated fit."""
    preference = np.array([1.9, 1.6, 1.05, 1.99, 1.4])
    notes = [annotation(number, "claude", float(p)) for number, p in enumerate(preference)]
    table = ps.read_alpaca_eval(write(tmp_path / "annotations.json", *notes), preferences="split")
    worth = ps.fit(ps.BradleyTerry(), table).estimates("item").set_index("level")["estimate"]
    mean = (preference - 1).mean()
    np.testing.assert_allclose(worth["claude"] - worth["gpt4_1106_preview"], np.log(mean / (1 - mean)), rtol=1e-6)


def test_lengths_are_left_less_right_in_thousands_of_characters(tmp_path: Path) -> None:
    table = ps.read_alpaca_eval(write(tmp_path / "annotations.json", *NOTES), length="characters")
    assert table.to_frame()["length"].tolist() == [0, -0.25, -0.5, -1, -1.25, -1.5]


@pytest.mark.parametrize(
    ("record", "arguments", "message"),
    [
        (
            annotation(7, "llama", 2.5),
            {},
            r"preferences outside 1 to 2 \(1 of 8 records, first at record 7 counting from 0\); got \[2\.5\]",
        ),
        (annotation(7, "llama", "2"), {}, "field 'preference' holds what is no number"),
        (annotation(6, "llama", 1), {}, r"an earlier vote is repeated.*the first is of instruction 'instruction 6'"),
        (annotation(7, "gpt4_1106_preview", 1), {}, "items are compared with themselves"),
        (annotation(7, "llama", 1, output_2=None), {"length": "characters"}, "field 'output_2' holds what is no text"),
        (annotation(7, "llama", 1, instruction=3), {}, "field 'instruction' mixes number and text labels"),
        ({"generator_1": "a", "generator_2": "b", "instruction": "x"}, {}, r"field 'preference' is missing \(1 of 8"),
        (
            annotation(7, "llama", 1),
            {"preferences": "soft"},
            r"preferences='soft' is not known: use one of \['hard', 'split'\]",
        ),
        (annotation(7, "llama", 1), {"length": "tokens"}, "length='tokens' is not known"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    tmp_path: Path, record: object, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ps.read_alpaca_eval(write(tmp_path / "annotations.json", *NOTES, record), **arguments)  # type: ignore[arg-type]
