"""Measures with their uncertainty."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from psymetric.core.provenance import Provenance
from psymetric.data.scores import Scores
from psymetric.errors import DataError


def frame(**changes: Any) -> pd.DataFrame:
    columns = {
        "subject": ["=a", "<b>"],
        "estimate": [0.5, -math.inf],
        "se": [0.2, math.nan],
        "lower": [0.1, -math.inf],
        "upper": [0.9, 1.0],
        "n": [4, 3],
        "extreme": [False, True],
        "rank": [1.0, 2.0],
    }
    return pd.DataFrame({**columns, **changes})


def build(table: pd.DataFrame | None = None, **changes: Any) -> Scores:
    settings: dict[str, Any] = {
        "method": "ml",
        "level": 0.95,
        "carries": "sampling of responses; parameters taken as known",
        "notes": ("1 subject has an extreme score.",),
        "provenance": Provenance("abc", {"method": "ml"}, seed=1),
        **changes,
    }
    return Scores(frame() if table is None else table, **settings)


def test_strict_json_gives_the_scores_back() -> None:
    scores = build()
    again = Scores.from_dict(json.loads(json.dumps(scores.to_dict(), allow_nan=False)))
    pd.testing.assert_frame_equal(again.frame, scores.frame)
    for name in ("method", "level", "unit", "carries", "notes", "provenance"):
        assert getattr(again, name) == getattr(scores, name)


def test_logits_are_the_unit_by_default() -> None:
    assert build().unit == "logits"


@pytest.mark.parametrize("column", ["subject", "estimate", "se", "lower", "upper", "n", "extreme"])
def test_every_column_is_required(column: str) -> None:
    with pytest.raises(DataError, match=rf"Scores: the frame has no columns \['{column}'\]"):
        build(frame().drop(columns=column))


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_a_level_is_a_probability(level: float) -> None:
    with pytest.raises(DataError, match="is no coverage; give one inside"):
        build(level=level)


def test_a_subject_twice_is_refused() -> None:
    with pytest.raises(DataError, match=r"subjects \['a'\] occur twice"):
        build(frame(subject=["a", "a"]))


def test_a_missing_estimate_needs_a_note() -> None:
    holed = frame(estimate=[0.5, np.nan])
    assert len(build(holed)) == 2
    with pytest.raises(DataError, match="1 estimate missing and no note says why"):
        build(holed, notes=())


def test_an_incomplete_record_is_refused() -> None:
    record = build().to_dict()
    del record["method"]
    with pytest.raises(DataError, match="Scores: the record has no 'method'"):
        Scores.from_dict(record)


def test_csv_is_safe_to_open_in_a_spreadsheet(tmp_path: Path) -> None:
    path = build().write(tmp_path / "scores.csv")
    assert pd.read_csv(path)["subject"].tolist() == ["'=a", "<b>"]


def test_parquet_keeps_what_the_scores_are(tmp_path: Path) -> None:
    path = build().write(tmp_path / "scores.parquet")
    about = json.loads(pq.read_schema(path).metadata[b"psymetric"])
    assert (about["method"], about["provenance"]["source"]) == ("ml", "abc")


def test_repr_and_html() -> None:
    assert repr(build()) == "Scores(2 subjects, ml in logits, 95% intervals)"
    page = build(carries="a < b")._repr_html_()
    assert "<b></td>" not in page
    assert "&lt;b&gt;" in page
    assert "a &lt; b" in page


def test_html_of_many_subjects_is_cut() -> None:
    many = pd.concat([frame(subject=[2 * k, 2 * k + 1]) for k in range(20)], ignore_index=True)
    assert "… 20 more" in build(many)._repr_html_()
