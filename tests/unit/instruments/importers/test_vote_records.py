"""Files of votes: what is read of them, and how a broken one is refused, with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psymetric.errors import DataError
from psymetric.instruments.importers.records import read_records

FIELDS = ("left", "right", "winner", "turn")
VOTES = [
    {"left": "a", "right": "b", "winner": "left", "turn": 1, "text": "never read"},
    {"left": "b", "right": "c", "winner": None, "turn": 2, "text": "nor this"},
]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def lines(path: Path, *records: object) -> Path:
    return write(path, "".join(json.dumps(record) + "\n" for record in records))


@pytest.mark.parametrize("name", ["v.jsonl", "v.json", "v.jsonl.gz", "v.json.gz", "v.csv", "v.parquet"])
def test_every_form_of_file_gives_the_same_fields(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith("v.json"):
        text = json.dumps(VOTES) if ".json" in path.suffixes else "\n".join(json.dumps(vote) for vote in VOTES)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    elif name == "v.csv":
        pd.DataFrame(VOTES).to_csv(path, index=False)
    else:
        pd.DataFrame(VOTES).to_parquet(path)
    records = read_records(path, FIELDS, who="read")
    assert list(records.frame.columns) == list(FIELDS)  # the text was never loaded
    assert records.labels("left").tolist() == ["a", "b"]
    assert records.labels("turn").tolist() == [1, 2]
    assert records.values("winner").isna().tolist() == [False, True]


def test_blank_lines_count_as_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "v.jsonl", '\n{"left": "a"}\n\n{"left": 3}\n')
    with pytest.raises(
        DataError,
        match=r"v\.jsonl: field 'left' mixes number and text labels \(1 of 2 records, first at line 4\); got \[3\]",
    ):
        read_records(path, FIELDS, who="read").labels("left")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("v.jsonl", '{"left": "a"}\n{"left": "a"\n', r"read: cannot read .*v\.jsonl as JSON lines: line 2 is not JSON"),
        ("v.jsonl", '{"left": "a"}\n[1]\n', "line 2 holds no JSON object"),
        ("v.jsonl", '{"left": "a"}\n' + "[" * 100_000, "line 2 is nested too deeply"),
        ("v.jsonl", '{"left": 1}\n{"left": ' + "1" * 5000 + "}", "line 2 is not JSON .*Exceeds the limit"),
        ("v.jsonl", "\n\n", r"v\.jsonl is empty; it needs at least one row"),
        ("v.json", "[]", r"v\.json is empty"),
        ("v.json", "", "line 1 is not JSON"),
        ("v.json", '[{"left": "a"},\n oops]', "line 2 is not JSON"),
        ("v.json", '{"left": "a"}\n{"left": "b"}\n', r"Extra data.*one object per line belongs in a \.jsonl file"),
        ("v.json", '{"left": "a"}', "holds dict and no list of objects"),
        ("v.json", '[{"left": "a"}, 3]', "record 1 holds no JSON object"),
        ("v.csv", "", "is empty"),
        ("v.csv", "left,right\n", "no rows"),
        ("v.txt", "x", r"cannot tell the format of 'v\.txt'"),
    ],
)
def test_broken_files_are_refused_with_their_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_records(write(tmp_path / name, text), FIELDS, who="read")


def test_a_missing_file_and_another_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*none\.jsonl"):
        read_records(tmp_path / "none.jsonl", FIELDS, who="read")
    (tmp_path / "latin.jsonl").write_bytes(b'{"left": "\xe9"}\n')
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_records(tmp_path / "latin.jsonl", FIELDS, who="read")


def test_a_missing_key_is_no_null(tmp_path: Path) -> None:
    records = read_records(
        lines(tmp_path / "v.jsonl", {"left": "a"}, {"winner": None, "left": "b"}), FIELDS, who="read"
    )
    with pytest.raises(DataError, match=r"field 'winner' is missing \(1 of 2 records, first at line 1\); add it"):
        records.values("winner")
    with pytest.raises(
        DataError, match=r"has no field 'right'; of the fields of this format it has \['left', 'winner'\]"
    ):
        records.labels("right")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a", None], r"field 'left' is empty \(1 of 2 records, first at line 2\)"),
        (["a", "  "], "field 'left' is empty"),
        (["a", ["b"]], r"field 'left' holds lists or objects \(1 of 2 records, first at line 2\); got \[\['b'\]\]"),
        (["a", True], "field 'left' mixes text and truth value labels"),
    ],
)
def test_cells_that_are_no_labels(tmp_path: Path, cells: list[object], message: str) -> None:
    records = read_records(lines(tmp_path / "v.jsonl", *({"left": cell} for cell in cells)), FIELDS, who="read")
    with pytest.raises(DataError, match=message):
        records.labels("left")


@pytest.mark.parametrize("cell", ["1.5", True, [1], float("inf")])
def test_cells_that_are_no_numbers(tmp_path: Path, cell: object) -> None:
    records = read_records(lines(tmp_path / "v.jsonl", {"turn": 1.5}, {"turn": cell}), FIELDS, who="read")
    with pytest.raises(DataError, match=r"field 'turn' holds what is no number \(1 of 2 records, first at line 2\)"):
        records.numbers("turn")


def test_nulls_and_nan_are_missing_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "v.jsonl", '{"turn": 1.25}\n{"turn": null}\n{"turn": NaN}\n')
    np.testing.assert_array_equal(read_records(path, FIELDS, who="read").numbers("turn"), [1.25, np.nan, np.nan])


def test_texts_become_the_first_digits_of_their_hash(tmp_path: Path) -> None:
    records = read_records(lines(tmp_path / "v.jsonl", {"left": "abc"}, {"left": "<script>"}), FIELDS, who="read")
    # SHA-256("abc") is the example of FIPS 180-2, B.1.
    assert records.texts("left")[0] == "ba7816bf8f01"
    assert records.lengths("left").tolist() == [3, 8]


def test_repeated_votes(tmp_path: Path) -> None:
    vote = {"left": ["a", "b"], "right": "c", "winner": "left"}
    records = read_records(lines(tmp_path / "v.jsonl", vote, vote | {"right": "d"}, vote), FIELDS, who="read")
    message = (
        r"an earlier vote is repeated \(1 of 3 records, first at line 3\); the first is of left \('a', 'b'\), right 'c'"
    )
    with pytest.raises(DataError, match=message):
        records.distinct(("left", "right"), "error")
    nameless = read_records(lines(tmp_path / "w.jsonl", {"turn": None}, {"turn": None}), FIELDS, who="read")
    assert nameless.distinct(("turn",), "error") == (nameless, ())
    # Without a name for what was asked nothing tells a second vote from a repeated one.
    assert records.distinct(("left", "right", "prompt"), "error") == (records, ())
    first, notes = records.distinct(("left", "right"), "first")
    assert (len(first), notes) == (2, ("1 record left out, which repeat an earlier vote.",))
    assert records.distinct(("left", "right"), "keep") == (records, ())
    path = write(tmp_path / "v.json", json.dumps([vote, vote, vote | {"right": None}]))
    kept, _ = read_records(path, FIELDS, who="read").distinct(("left", "right"), "first")
    with pytest.raises(DataError, match=r"'right' is empty \(1 of 2 records, first at record 2 counting from 0\)"):
        kept.labels("right")
    with pytest.raises(DataError, match=r'repeats=.last. is not known: use "error", "first" or "keep"'):
        records.distinct(("left",), "last")  # type: ignore[arg-type]
