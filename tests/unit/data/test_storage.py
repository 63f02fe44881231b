"""Tables as records and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from psymetric.data.files import write_frame
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError


def build(**columns: Any) -> ResponseTable:
    frame = pd.DataFrame(
        {"s": ["=a", "a", "b"], "i": [1, 2, 1], "trait": [True, False, True], "r": [1, 3, None], **columns}
    )
    return ResponseTable.from_frame(frame, response="r", subject="s", item="i", dimension="trait", categories=[1, 2, 3])


def same(one: ResponseTable, two: ResponseTable) -> None:
    assert one.hash == two.hash
    for name in ("levels", "categories", "notes", "columns", "dimension"):
        assert getattr(one, name) == getattr(two, name)
    assert [type(label) for label in one.levels["trait"]] == [type(label) for label in two.levels["trait"]]


def test_json_gives_the_table_back() -> None:
    table = build()
    same(ResponseTable.from_dict(json.loads(json.dumps(table.to_dict()))), table)


def test_parquet_gives_the_table_back(tmp_path: Path) -> None:
    table = build()
    same(ResponseTable.read(table.write(tmp_path / "t.parquet")), table)


def test_parquet_of_a_selection_keeps_its_notes(tmp_path: Path) -> None:
    table = build().select("item", [1])
    same(ResponseTable.read(table.write(tmp_path / "t.parquet")), table)


def test_parquet_is_readable_by_others(tmp_path: Path) -> None:
    frame = pd.read_parquet(build().write(tmp_path / "t.parquet"))
    assert list(frame.columns) == ["subject", "item", "trait", "response", "weight", "reason"]
    assert frame["subject"].tolist() == ["=a", "a", "b"]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv.gz", "t.jsonl"])
def test_text_files_give_rows_and_labels_back(tmp_path: Path, name: str) -> None:
    table = build()
    again = ResponseTable.read(
        table.write(tmp_path / name),
        response="response",
        subject="subject",
        item="item",
        dimension="trait",
        weight="weight",
        categories=[1, 2, 3],
        reason="reason",
    )
    assert again.hash == table.hash


def test_the_explicit_map_wins_over_stored_metadata(tmp_path: Path) -> None:
    path = build().write(tmp_path / "t.parquet")
    again = ResponseTable.read(path, response="response", subject="item", reason="reason")
    assert again.facets == ("subject",)
    assert again.levels["subject"] == (1, 2)


def test_a_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="PairTable: the record holds a 'ResponseTable', not a PairTable"):
        PairTable.from_dict(build().to_dict())
    with pytest.raises(DataError, match="PairTable: the record holds a 'ResponseTable'"):
        PairTable.read(build().write(tmp_path / "t.parquet"))


def test_a_record_of_a_later_version_is_refused() -> None:
    with pytest.raises(DataError, match="the record has version 99, this psymetric reads 1"):
        ResponseTable.from_dict({**build().to_dict(), "version": 99})


@pytest.mark.parametrize("key", ["levels", "categories", "notes", "columns", "dimension", "codes", "weight", "missing"])
def test_an_incomplete_record_is_refused(key: str) -> None:
    record = build().to_dict()
    del record[key]
    with pytest.raises(DataError, match=f"ResponseTable: the record has no '{key}'"):
        ResponseTable.from_dict(record)


def test_a_record_with_wrong_codes_is_refused() -> None:
    record = build().to_dict()
    record["codes"]["item"] = [0, 7]
    with pytest.raises(DataError, match=r"codes of 'item' lie outside \[0, 2\)"):
        ResponseTable.from_dict(record)


def test_a_file_whose_labels_were_changed_is_refused(tmp_path: Path) -> None:
    table = build()
    header = {
        name: value for name, value in table.to_dict().items() if name not in ("codes", "response", "weight", "missing")
    }
    frame = table.to_frame(missing=True).replace({"subject": {"a": "other"}})
    path = write_frame(frame, tmp_path / "t.parquet", metadata=header, who="ResponseTable")
    with pytest.raises(DataError, match=r"codes of 'subject' lie outside"):
        ResponseTable.read(path)
