"""Frames from and to files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pandas as pd
import pytest

from psymetric.data.files import read_frame, write_frame
from psymetric.errors import DataError

FORMULAS = [
    "=1+1",
    "+1",
    "-1+2",
    "@cmd",
    "\tx",
    "'=x",
    "''=x",
    "'plain",
    "plain",
    'a "quote", comma',
    "line\nbreak",
    "carriage\rreturn",
    "é—日本",
]


def read(path: Path, answers: tuple[str, ...] = ()) -> pd.DataFrame:
    frame = read_frame(path, answers=answers, who="Table").frame
    return frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()


def write(frame: pd.DataFrame, path: Path) -> Path:
    return write_frame(frame, path, metadata=None, who="Table")


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "t.jsonl", "t.jsonl.gz", "t.ndjson", "t.parquet", "T.CSV"]
)
def test_every_format_gives_texts_and_numbers_back(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"label": FORMULAS, "n": range(len(FORMULAS)), "w": [0.1 + 0.2] * len(FORMULAS)})
    pd.testing.assert_frame_equal(read(write(frame, tmp_path / name)), frame)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_no_cell_of_a_spreadsheet_starts_a_formula(tmp_path: Path, name: str) -> None:
    path = write(pd.DataFrame({"=head": FORMULAS, "n": -1}), tmp_path / name)
    cells = pd.read_csv(path, sep="\t" if name.endswith("tsv") else ",", dtype=str)
    assert not cells["'=head"].str.match(r"[=+\-@\t\r]").any()
    assert cells["n"].unique().tolist() == ["-1"]  # numbers are no formulas
    assert list(read(path).columns) == ["=head", "n"]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes("rating,model\n1,a\n".encode("utf-8-sig"))
    assert list(read(path).columns) == ["rating", "model"]


def test_none_is_a_label_and_no_rating(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("persona,rating\nNone,None\nnull,2\nNA,3\n,4\n", encoding="utf-8")
    frame = read(path, answers=("rating",))
    assert frame["persona"].fillna("<missing>").tolist() == ["None", "null", "<missing>", "<missing>"]
    assert frame["rating"].isna().tolist() == [True, False, False, False]


def test_text_labels_stay_text_in_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"model": "1", "r": 2}\n\n{"model": "2", "r": null}\n', encoding="utf-8")
    frame = read(path)
    assert frame["model"].tolist() == ["1", "2"]
    assert frame["r"].isna().tolist() == [False, True]


def test_metadata_travel_in_parquet(tmp_path: Path) -> None:
    path = write_frame(pd.DataFrame({"a": [1]}), tmp_path / "t.parquet", metadata={"é": [1]}, who="Table")
    assert read_frame(path, answers=(), who="Table").metadata == {"é": [1]}
    assert pd.read_parquet(path)["a"].tolist() == [1]


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.gz", "t.parquet.gz", "t.json"])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    for action in (lambda: read(tmp_path / name), lambda: write(pd.DataFrame({"a": [1]}), tmp_path / name)):
        with pytest.raises(DataError, match=r"Table: cannot tell the format of 't.*'; use one of \.parquet, .*\.jsonl"):
            action()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Table: there is no file .*nowhere\.csv; check the path"):
        read(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=rf"Table: .*{name} is empty; it needs"):
        read(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz", "t.jsonl.gz"])
def test_content_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"this is neither Parquet nor gzip")
    with pytest.raises(
        DataError, match=rf"Table: cannot read .*{name} as \w+: .*; check that the suffix fits the content"
    ):
        read(path)


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-20])
    with pytest.raises(DataError, match="Table: cannot read"):
        read(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [("{broken", r"line 2 is not JSON"), ("[1, 2]", "line 2 holds no JSON object")],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read(path)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("model,rating\nbjörk,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"is not UTF-8 text \(byte \d+\); save it as UTF-8"):
        read(path)


def test_semicolons_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("model;rating\na;1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"one column 'model;rating', so it is not separated by commas.*sep=';'"):
        read(path)


def test_ragged_rows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n1,2,3,4\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"Table: cannot read .*Expected 2 fields in line 3, saw 4"):
        read(path)


def test_a_folder_that_does_not_exist_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Table: cannot write .*No such file or directory; choose another place"):
        write(pd.DataFrame({"a": [1]}), tmp_path / "nowhere" / "t.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_failed_write_keeps_the_old_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(pd.DataFrame({"a": [1]}), tmp_path / name)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        write(pd.DataFrame({"a": [2]}), path)
    assert read(path)["a"].tolist() == [1]
    assert [found.name for found in tmp_path.iterdir()] == [name]
