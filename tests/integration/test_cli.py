"""The commands as a user types them: what they print, where they write, and one clear line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from psymetric.cli import app

STUDY = """
study: three judges
instrument: empathy-rubric
subjects: {from: support-conversations, id: id, text: conversation}
judges:
  - {name: one, base_url: "http://127.0.0.1:9/v1", model: m, key_env: NO_SUCH_KEY}
  - {name: two, base_url: "http://127.0.0.1:9/v1", model: n, key_env: NO_SUCH_KEY}
temperature: 1.0
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Ten conversations × two criteria × three judges, on a scale of 1 to 4."""
    rng = np.random.default_rng(4)
    index = pd.MultiIndex.from_product(
        [[f"c{i}" for i in range(10)], ["warmth", "depth"], ["ada", "bob", "cyd"]],
        names=["conversation", "criterion", "judge"],
    )
    frame = index.to_frame(index=False)
    quality = frame["conversation"].str[1:].astype(int) / 3
    severity = frame["judge"].map({"ada": 0.0, "bob": 0.7, "cyd": -0.7})
    rating = np.clip(np.round(quality - severity + rng.normal(0, 0.7, len(frame))), 0, 3) + 1
    path = tmp_path / "scores.csv"
    frame.assign(rating=rating.astype(int)).to_csv(path, index=False)
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def test_fit_finds_columns_with_usual_names_and_writes_everything(ratings, tmp_path):
    out = tmp_path / "out"
    result = run("fit", ratings, "--out", out)
    assert result.exit_code == 0, result.output
    assert "response = rating, subject = conversation, item = criterion" in result.output
    assert {path.name for path in out.iterdir()} == {
        "report.html", "scores.csv", "facets.csv", "fit.json", "fit.npz", "table.parquet",
    }  # fmt: skip
    assert len(pd.read_csv(out / "scores.csv")) == 10
    json.loads((out / "fit.json").read_text())
    again = run("report", out / "fit.npz", out / "table.parquet", "--out", tmp_path / "again.html")
    assert again.exit_code == 0, again.output
    assert "<!doctype html>" in (tmp_path / "again.html").read_text().lower()
    scores = pd.read_csv(out / "scores.csv")
    known = tmp_path / "known.csv"
    scores.assign(facet="subject", true=0.0).rename(columns={"subject": "level"})[["facet", "level", "true"]].to_csv(
        known, index=False
    )
    options = ("--truth", known, "--level", 0.8, "--out", tmp_path / "known.html")
    assert run("report", out / "fit.npz", out / "table.parquet", *options).exit_code == 0
    page = (tmp_path / "known.html").read_text()
    assert "80%" in page
    assert "true values" in page.lower()


def test_fit_compares_pairs(tmp_path):
    names = ["m1", "m2", "m3"]
    rows = [(a, b, winner) for a in names for b in names if a != b for winner in ("left", "right", "left")]
    votes = tmp_path / "votes.csv"
    pd.DataFrame(rows, columns=["model_a", "model_b", "winner"]).to_csv(votes, index=False)
    result = run("fit", votes, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "BradleyTerry by JointML" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--response", "ratng"], "ratng"),
        (["--facet", "rater"], "rater"),
        (["--engine", "newton"], "no engine is called 'newton'; valid: marginal_ml"),
        (["--steps", "wording"], "names ['wording'], not among its facets"),
        (["--level", "95"], "95"),
        (["--response", "judge"], "judge"),
    ],
)
def test_bad_options_are_one_line_and_exit_two(ratings, tmp_path, arguments, message):
    result = run("fit", ratings, *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    error = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert message in error[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", "", "is empty"),
        ("header.csv", "conversation,judge,rating\n", "no rows|empty"),
        ("words.csv", "conversation,judge,rating\na,j,good\nb,j,2\n", "rating"),
        ("same.csv", "conversation,judge,rating\na,j,3\nb,k,3\na,k,3\nb,j,3\n", "one category|is 3|every response"),
        ("scores.xlsx", "x", "suffix|xlsx"),
        ("latin.csv", b"conversation,judge,rating\n\xe9,j,1\n", "UTF-8"),
    ],
)
def test_bad_files_are_one_line_and_exit_two(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run("fit", path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    error = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(error) == 1, result.output
    import re

    assert re.search(message, error[0]), error[0]


def test_missing_file(tmp_path):
    result = run("fit", tmp_path / "nothing.csv")
    assert result.exit_code == 2
    assert "there is no file" in result.output


def test_output_that_is_a_file(ratings, tmp_path):
    (tmp_path / "out").write_text("in the way")
    result = run("fit", ratings, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "choose another folder" in result.output


def test_plan_prints_counts_cost_and_precision(study, tmp_path):
    result = run("plan", study, "--out", tmp_path / "plan.parquet")
    assert result.exit_code == 0, result.output
    assert "judge: one 72, two 72" in result.output
    assert "expected standard error" in result.output
    assert (tmp_path / "plan.parquet").exists()


def test_unknown_key_names_the_nearest(study):
    study.write_text(STUDY.replace("temperature:", "temprature:"))
    result = run("plan", study)
    assert result.exit_code == 2
    assert "did you mean 'temperature'" in result.output


def test_malformed_yaml_names_the_line(study):
    study.write_text(STUDY + "facets: {template: all\n")
    result = run("plan", study)
    assert result.exit_code == 2
    assert "line" in result.output


def test_engine_settings_are_checked_before_anything_is_asked(study, tmp_path):
    study.write_text(STUDY + "engine: {kind: nuts, chain: 2}\n")
    result = run("collect", study, "--store", tmp_path / "run.db", "--quiet")
    assert result.exit_code == 2
    assert "its settings are warmup, draws, chains" in result.output
    assert not (tmp_path / "run.db").exists()


def test_missing_key_is_named_and_never_asked_for_in_the_file(study, tmp_path):
    result = run("collect", study, "--store", tmp_path / "run.db", "--quiet")
    assert result.exit_code == 2
    assert "NO_SUCH_KEY" in result.output


def test_simulate_recovers_and_reports(study, tmp_path):
    out = tmp_path / "simulated"
    result = run("simulate", study, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    page = (out / "report.html").read_text()
    assert "Recovered truth" in page
    assert (out / "run.db").exists()
