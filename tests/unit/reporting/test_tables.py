from __future__ import annotations

import base64
import csv
import io
import json
import math

import pandas as pd
import pytest

from psymetric.reporting.tables import Show, csv_text, json_rows, make_table

FRAME = pd.DataFrame(
    {"level": ["a", "b"], "estimate": [1.2345, math.nan], "se": [0.12, math.nan], "flag": ["", "noisy: 2.0; odd"]}
)
SHOWN = [
    Show("level", "level", "label"),
    Show("estimate", "measure", "estimate", se="se"),
    Show("absent", "absent", "number"),
    Show("flag", "flag", "flag"),
]


def test_cells_are_formatted_and_sort_by_value() -> None:
    table = make_table("t", FRAME, SHOWN, caption="T")
    assert [column.heading for column in table.columns] == ["level", "measure", "flag"]
    assert table.rows[0][1].text == "+1.23"
    assert table.rows[0][1].sort == 1.2345
    assert table.rows[1][1].text == "–"
    assert table.rows[1][2].text == "noisy; odd"
    assert table.rows[1][2].full == "noisy: 2.0; odd"


def test_long_tables_show_both_ends_and_keep_all_behind_the_link() -> None:
    frame = pd.DataFrame({"level": range(1_000)})
    table = make_table("t", frame, [Show("level", "level", "label")], caption="T", most=100)
    assert len(table.rows) == 100
    assert (table.rows[49][0].text, table.rows[50][0].text) == ("49", "950")
    assert (table.omitted, table.after) == (900, 50)
    held = base64.b64decode(table.links[0].href.partition("base64,")[2]).decode()
    assert len(held.splitlines()) == 1_001


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "'=1"])
def test_formulas_are_disarmed(cell: str) -> None:
    text = csv_text(pd.DataFrame({cell: [cell], "number": [-1.5]}))
    header, row = csv.reader(io.StringIO(text))
    assert header[0] == row[0] == f"'{cell}"
    assert row[1] == "-1.5"


def test_rows_are_strict_json() -> None:
    frame = pd.DataFrame({"a": [math.nan, math.inf], "b": pd.array([1, pd.NA], dtype="Int64"), "c": ["x", None]})
    text = json.dumps(json_rows(frame), allow_nan=False)
    assert json.loads(text) == [{"a": None, "b": 1, "c": "x"}, {"a": None, "b": None, "c": None}]
