"""`psymetric calibrate`: the sentences it prints, the files it writes, and one clear line for bad options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import psymetric as ps
from psymetric.cli import app

N = 600


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["calibrate", *(str(argument) for argument in arguments)])


def verdicts() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"prompt": np.arange(N) // 2, "model": np.where(np.arange(N) % 2, 2, 1), "text": "=1+1"})
    good = rng.random(N) < np.where(frame["model"] == 2, 0.75, 0.5)
    said = good | (rng.random(N) < 0.3)
    frame["judge"] = np.where(said, "pass", "fail")
    frame["human"] = np.where(rng.permutation(N) < 200, np.where(good, "pass", "fail"), None)
    return frame


VALUES = ("--value", "pass=1", "--value", "fail=0")
WORDS = {"pass": 1, "fail": 0}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("verdicts") / "verdicts.csv"
    verdicts().to_csv(place, index=False)
    return place


def test_it_prints_the_sentences_and_writes_the_numbers_of_the_call(path: Path, tmp_path: Path) -> None:
    result = run(path, *VALUES, "--system", "model", "--cluster", "prompt", "--level", 0.9, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = ps.calibrated_estimate(verdicts(), values=WORDS, system="model", cluster="prompt", level=0.9)
    assert result.output.startswith(str(found))
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "calibration.html", "estimates.csv", "calibration.json",
    }  # fmt: skip
    stored = pd.read_csv(tmp_path / "out" / "estimates.csv")
    assert stored["estimate"].to_numpy() == pytest.approx(found.frame["estimate"].to_numpy(), rel=1e-7)
    assert stored["lower"].to_numpy() == pytest.approx(found.frame["lower"].to_numpy(), rel=1e-7)
    assert found.claims[0][0] in (tmp_path / "out" / "calibration.html").read_text()


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_other_kinds_of_files_say_the_same(suffix: str, path: Path, tmp_path: Path) -> None:
    place = tmp_path / f"verdicts.{suffix}"
    if suffix == "parquet":
        verdicts().to_parquet(place)
    else:
        verdicts().to_json(place, orient="records", lines=True)
    results = [run(one, *VALUES, "-o", tmp_path / "out") for one in (path, place)]
    assert [result.exit_code for result in results] == [0, 0], results[1].output
    assert results[0].output == results[1].output


def test_a_difference_is_of_the_levels_named(path: Path, tmp_path: Path) -> None:
    options = ("--estimand", "difference", "--system", "model", "--only", "2", "--only", "1", "--cluster", "prompt")
    result = run(path, *VALUES, *options, "-o", tmp_path / "out")
    gap = ps.calibrated_estimate(
        verdicts(), values=WORDS, estimand="difference", system="model", systems=[2, 1], cluster="prompt"
    )
    assert result.exit_code == 0, result.output
    assert result.output.startswith(gap.sentences[0])


def test_rows_are_sent_with_their_chances_and_taken_back(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(path, *VALUES, "--send", 30, "--seed", 3, "-o", out)
    assert result.exit_code == 0, result.output
    plan = ps.next_labels(verdicts(), n=30, label="human", values=WORDS, seed=3)
    sent = pd.read_csv(out / "next_labels.csv")
    assert len(sent) == 30
    assert sent["label_probability"].to_numpy() == pytest.approx(plan.loc[plan["chosen"], "probability"].to_numpy())
    assert sent["human"].isna().all()
    assert set(sent["text"]) == {"'=1+1"}, "a spreadsheet runs no formula"
    everything = pd.read_csv(out / "judged.csv")
    assert everything["to_label"].to_numpy().tolist() == plan["chosen"].tolist()

    everything.loc[everything["to_label"], "human"] = "pass"
    everything.loc[everything["to_label"].idxmax(), "human"] = "fail"
    everything.to_csv(tmp_path / "again.csv", index=False)
    again = run(tmp_path / "again.csv", *VALUES, "--probability", "label_probability", "--send", 5, "-o", out)
    assert again.exit_code == 0, again.output
    assert "from 230 labels" in again.output
    assert "weighted by the inverse of the chances in 'label_probability'" in again.output
    assert list(pd.read_csv(out / "judged.csv").columns) == list(everything.columns)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--judge", "jugde"), "no column 'jugde'"),
        (("--label", "expert"), "no column 'expert'"),
        (("--estimand", "median"), "estimand='median' is not known"),
        (("--method", "guess"), "method='guess' is not known"),
        (("--level", "95"), "level=95.0 is not a coverage"),
        (("--estimand", "difference"), "name their column by system="),
        (("--estimand", "difference", "--system", "model", "--only", "2"), "name each once, and two for a difference"),
        (("--only", "2"), "--only: levels of which column"),
        (("--system", "model", "--only", "3"), "systems= names '3'"),
        (("--value", "pass"), "--value 'pass' is not of the form"),
        (("--value", "=1"), "--value '=1' is not of the form"),
        (("--send", "-1"), "--send -1: give how many rows"),
        (("--send", "9999"), "n=9999 of 400 rows with a verdict and no label"),
        (("--uncertainty", "prompt"), "--uncertainty: for the choice of rows"),
    ],
)
def test_bad_options_are_one_line(options: tuple[str, ...], message: str, path: Path, tmp_path: Path) -> None:
    result = run(path, *VALUES, *options, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_text_without_values_and_files_that_are_none_are_one_line(path: Path, tmp_path: Path) -> None:
    bare = run(path, "-o", tmp_path / "out")
    assert bare.exit_code == 2
    assert "holds categories without a value" in bare.output
    absent = run(tmp_path / "none.csv")
    assert absent.exit_code == 2
    assert "there is no file" in absent.output


def test_an_earlier_draw_has_to_be_named(path: Path, tmp_path: Path) -> None:
    run(path, *VALUES, "--send", 5, "-o", tmp_path)
    again = run(tmp_path / "judged.csv", *VALUES, "--send", 5, "-o", tmp_path / "out")
    assert again.exit_code == 2
    assert "add --probability label_probability" in again.output
