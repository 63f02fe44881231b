"""Exports."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from asking import ToyPlan

from psymetric.administration.administer import administer
from psymetric.administration.export import export_attempts
from psymetric.errors import ProviderError, StoreError
from psymetric.providers.base import ModelEndpoint
from psymetric.providers.replay import Replay
from psymetric.providers.scripted import Scripted

TEXT = '=HYPERLINK("x"), é\n4'


@pytest.fixture
def plan(tmp_path: Path) -> ToyPlan:
    made = ToyPlan(3, (ModelEndpoint(name="judge", provider="scripted", replies=("x",)),))
    answers = Scripted([TEXT, "4", ProviderError("cut", status=400)])
    administer(made, store=tmp_path / "run.db", providers={"judge": answers}, progress=False)
    return made


def test_parquet_and_jsonl_keep_texts_unchanged(plan: ToyPlan, tmp_path: Path) -> None:
    frame = pd.read_parquet(export_attempts(tmp_path / "run.db", tmp_path / "x.parquet"))
    lines = export_attempts(tmp_path / "run.db", tmp_path / "x.jsonl").read_text().splitlines()
    assert TEXT in set(frame["text"].dropna())
    assert TEXT in {json.loads(line)["text"] for line in lines}
    assert len(lines) == len(frame) >= 3


def test_csv_cells_are_no_formulas(plan: ToyPlan, tmp_path: Path) -> None:
    with export_attempts(tmp_path / "run.db", tmp_path / "x.csv").open(newline="") as file:
        texts = {row["text"] for row in csv.DictReader(file)}
    assert f"'{TEXT}" in texts
    assert "4" in texts


def test_jsonl_exports_can_be_replayed(plan: ToyPlan, tmp_path: Path) -> None:
    first = administer(plan, store=tmp_path / "run.db", providers={"judge": Scripted(["5"])}, progress=False)
    replay = Replay(export_attempts(tmp_path / "run.db", tmp_path / "x.jsonl"))
    again = administer(plan, store=tmp_path / "again.db", providers={"judge": replay}, progress=False)
    assert again.frame["text"].tolist() == first.frame["text"].tolist()
    assert again.frame["category"].tolist() == first.frame["category"].tolist()


def test_impossible_exports_are_refused(plan: ToyPlan, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"ends in \.parquet, \.csv or \.jsonl"):
        export_attempts(tmp_path / "run.db", tmp_path / "x.xlsx")
    with pytest.raises(StoreError, match="does not exist"):
        export_attempts(tmp_path / "gone.db", tmp_path / "x.csv")
    with pytest.raises(StoreError, match="cannot write"):
        export_attempts(tmp_path / "run.db", tmp_path / "nowhere" / "x.csv")
