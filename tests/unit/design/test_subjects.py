"""Reading the texts of a study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from psymetric.design.settings import TextSource
from psymetric.design.subjects import Texts, read_texts
from psymetric.errors import StudyError


def source(name: str, **columns: str) -> TextSource:
    return TextSource(from_=name, **columns)  # type: ignore[arg-type]


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder


EXPECTED = Texts(("1", "b"), ("hello", "wörld"), ("1", "b"), ("", ""))


def test_json_lines(tmp_path: Path) -> None:
    write(tmp_path, "t.jsonl", '\ufeff{"id": 1, "text": "hello"}\n\n{"id": "b", "text": "wörld", "more": [1]}\n')
    assert read_texts(source("t.jsonl"), folder=tmp_path) == EXPECTED


def test_csv(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "id,text\n1,hello\nb,wörld\n")
    assert read_texts(source("t.csv"), folder=tmp_path) == EXPECTED


def test_csv_keeps_text_that_looks_like_missing(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "id,text\n007,NA\n")
    found = read_texts(source("t.csv"), folder=tmp_path)
    assert (found.ids, found.texts) == (("007",), ("NA",))


def test_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["1", "b"], "text": ["hello", "wörld"]}).to_parquet(tmp_path / "t.parquet")
    assert read_texts(source("t.parquet"), folder=tmp_path) == EXPECTED


def test_systems_and_groups(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "id,text,model,prompt\n1,a,x,p\n2,b,y,p\n")
    found = read_texts(source("t.csv", system="model", group="prompt"), folder=tmp_path)
    assert (found.systems, found.groups) == (("x", "y"), ("p", "p"))


def test_a_built_in_set_by_name(tmp_path: Path) -> None:
    found = read_texts(source("support-conversations", text="conversation"), folder=tmp_path)
    assert len(found.ids) == 24


def test_line_separators_inside_strings_are_not_line_ends(tmp_path: Path) -> None:
    write(tmp_path, "t.jsonl", '{"id": 1, "text": "a\u2028b"}\n')
    assert read_texts(source("t.jsonl"), folder=tmp_path).texts == ("a\u2028b",)


def test_texts_survive_plain_data() -> None:
    assert Texts.from_dict(EXPECTED.to_dict()) == EXPECTED
    assert Texts.from_dict(EXPECTED.to_dict()).hash == EXPECTED.hash


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.jsonl", "", r"t\.jsonl: holds no rows"),
        ("t.csv", "", r"t\.csv: holds no rows"),
        ("t.csv", "id,text\n", r"t\.csv: holds no rows"),
        ("t.jsonl", '{"id": 1, "text": "a"}\n{"id": 2', r"t\.jsonl: line 2 is not JSON"),
        ("t.jsonl", "[1]", r"t\.jsonl: line 1 must hold one object \{…\}, got a list"),
        ("t.jsonl", '{"id": 1, "txt": "a"}', r"no column 'text' for subjects\.text; did you mean 'txt'"),
        ("t.jsonl", '{"id": 1, "text": "a"}\n{"id": 2}', r"column 'text' is empty in 1 of 2 rows, first in row 2"),
        ("t.jsonl", '{"id": 1, "text": null}', r"column 'text' is empty in 1 of 1 rows, first in row 1"),
        ("t.csv", "id,text\n1,  \n", r"column 'text' is empty in 1 of 1 rows"),
        ("t.csv", "id,text\n,a\n", r"column 'id' is empty in 1 of 1 rows"),
        (
            "t.csv",
            "id,text\n1,a\n2,b\n1,c\n",
            r"column 'id' must name each text once; 1 of 3 rows repeat .*'1' in row 3",
        ),
        ("t.jsonl", '{"id": 1, "text": ["a"]}', r"column 'text' holds lists or objects in 1 of 1 rows, first in row 1"),
        ("t.csv", 'id,text\n1,"a\n', r"t\.csv: cannot be read: "),
        ("t.parquet", "no", r"t\.parquet: cannot be read: "),
        ("t.txt", "a", r"t\.txt: texts are read from \.jsonl, \.csv, \.parquet files, or by name from: support-conv"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    write(tmp_path, name, text)
    with pytest.raises(StudyError, match=message):
        read_texts(source(name), folder=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.csv: no such file"):
        read_texts(source("none.csv"), folder=tmp_path)


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes('{"id": 1, "text": "é"}'.encode("latin-1"))
    with pytest.raises(StudyError, match=r"t\.jsonl: cannot be read: 'utf-8' codec"):
        read_texts(source("t.jsonl"), folder=tmp_path)
