from __future__ import annotations

import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError
from psymetric.reporting.missing import missing_by, missing_totals, response_rows

ROWS = pd.DataFrame({"judge": ["a", "a", "a", "b", "b", "c"], "reason": ["missing", "refusal", "", "", "missing", ""]})


def test_totals_count_every_reason_in_words() -> None:
    frame = missing_totals(ROWS)
    assert frame["reason"].tolist() == ["missing", "refusal"]
    assert frame["n"].tolist() == [2, 1]
    assert frame["share"].tolist() == pytest.approx([1 / 3, 1 / 6])
    assert frame["meaning"].tolist() == ["no value, no reason given", "refused"]


def test_levels_come_from_the_highest_share_down() -> None:
    frame = missing_by(ROWS, "judge").set_index("level")
    assert frame.index.tolist() == ["a", "b", "c"]
    assert frame["asked"].tolist() == [3, 2, 1]
    assert frame["missing"].tolist() == [2, 1, 0]
    assert frame["reason_missing"].tolist() == [1, 1, 0]
    assert frame["reason_refusal"].tolist() == [1, 0, 0]


def test_rows_come_from_the_table_or_from_the_frame() -> None:
    source = pd.DataFrame({"s": ["x", "x", "y"], "q": [1, 2, 1], "r": pd.array([1, None, 2], dtype="Int64")})
    table = ps.ResponseTable.from_frame(source, response="r", subject="s", item="q")
    assert response_rows(table, None)["reason"].tolist() == ["", "", "missing"]
    frame = pd.DataFrame({"subject": ["x"], "reason": [pd.NA]})
    assert response_rows(table, frame)["reason"].tolist() == [""]
    with pytest.raises(DataError, match="frame has no column 'reason'"):
        response_rows(table, frame[["subject"]])
