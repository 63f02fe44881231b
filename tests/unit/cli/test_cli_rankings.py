"""`psymetric fit --rankings`: which columns, which model, the page again, and one clear line for bad options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import psymetric as ps
from psymetric import workflow
from psymetric.cli import app
from psymetric.errors import DataError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the command hands on, without fitting it."""
    seen: dict[str, object] = {}

    def analyse(table: object, **options: object) -> None:
        seen.update(options, table=table)
        raise DataError("handed on")

    monkeypatch.setattr(workflow, "analyse", analyse)
    return seen


def lists(*, tied: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    rows = []
    for prompt in range(60):
        scores = np.array([0.8, 0.0, -0.8]) + rng.gumbel(size=3)
        scores = np.round(scores) if tied else scores
        rows += [
            (prompt, f"r{prompt % 2}", name, rank)
            for name, rank in zip("xyz", pd.Series(-scores).rank(method="min").astype(int), strict=True)
        ]
    return pd.DataFrame(rows, columns=["prompt", "rater", "model", "rank"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lists().to_csv(tmp_path / "lists.csv", index=False)
    return tmp_path / "lists.csv"


def test_rankings_are_fitted_and_reported_again(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("fit", path, "--rankings", "--out", out)
    assert result.exit_code == 0, result.output
    assert "columns: task = prompt, item = model, rank = rank; facets: rater" in result.output
    assert "PlackettLuce by JointML" in result.output
    again = run("report", out / "fit.npz", out / "table.parquet", "--out", tmp_path / "again.html")
    assert again.exit_code == 0, again.output
    assert ">Leaderboard</h2>" in (tmp_path / "again.html").read_text()


def test_the_file_decides_the_model(path: Path, asked: dict[str, object]) -> None:
    for frame, options, model in (
        (lists(tied=True), (), ps.PlackettLuce(ties="davidson-luce")),
        (lists(tied=True), ("--ties", "none"), ps.PlackettLuce()),
        (lists(), ("--slopes", "judge"), ps.PlackettLuce(slopes="judge")),
        (lists().replace({"rank": {1: "best", 2: "neither", 3: "worst"}}), (), ps.BestWorst()),
    ):
        frame.to_csv(path, index=False)
        run("fit", path, "--rankings", *options)
        assert asked["model"] == model
    assert asked["table"].codes.keys() == {"task", "item", "judge"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--position", "judge"), "--position: not for rankings; leave it out"),
        (("--steps", "common", "--random", "item"), "--steps and --random: not for rankings"),
        (("--ties", "rao_kupper"), "--ties rao_kupper: rankings know davidson and none"),
        (("--slopes", "prompt"), "--slopes prompt: of rankings only judge"),
        (("--response", "rank"), "--response: --rankings has task, item and rank"),
        (("--format", "arena"), "--format: --rankings has task, item and rank"),
    ],
)
def test_options_that_rankings_do_not_have(path: Path, options: tuple[str, ...], words: str) -> None:
    result = run("fit", path, "--rankings", *options)
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())


def test_a_column_that_is_not_found_is_asked_for(path: Path) -> None:
    lists().rename(columns={"rank": "order"}).to_csv(path, index=False)
    result = run("fit", path, "--rankings")
    assert result.exit_code == 2
    assert "name the rank column with --rank; its columns are prompt, rater, model, order" in " ".join(
        result.output.split()
    )
