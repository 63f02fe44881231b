"""`psymetric fit` on comparisons: which columns, which labels, which model, and one clear line for bad options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import psymetric.workflow as workflow
from psymetric.cli import app
from psymetric.cli.comparisons import read_meanings
from psymetric.errors import DataError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the command hands on, without fitting it."""
    seen: dict[str, object] = {}

    class Stop(DataError):
        pass

    def analyse(table: object, **options: object) -> None:
        seen.update(options, table=table)
        raise Stop("handed on")

    monkeypatch.setattr(workflow, "analyse", analyse)
    return seen


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    names = np.array(["m1", "m2", "m3"])
    left = rng.integers(0, 3, 60)
    right = (left + rng.integers(1, 3, 60)) % 3
    outcome = rng.choice(["model_a", "model_b", "draw", "both bad"], 60)
    frame = pd.DataFrame({"model_a": names[left], "model_b": names[right], "winner": outcome})
    path = tmp_path / "votes.csv"
    frame.assign(worker=rng.choice(["p", "q"], 60), longer=rng.normal(size=60).round(1)).to_csv(path, index=False)
    return path


MAP = ("--map", "model_a=left", "--map", "model_b=right", "--map", "draw=tie", "--map", "both bad=none")


def test_pairs_are_fitted_with_what_labels_mean(votes: Path, tmp_path: Path) -> None:
    result = run("fit", votes, "--pairs", *MAP, "--ties", "half", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "columns: left = model_a, right = model_b, outcome = winner; facets: worker" in result.output
    assert "BradleyTerry by JointML" in result.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Quasi-likelihood" in page
    again = run(
        "report", tmp_path / "out" / "fit.npz", tmp_path / "out" / "table.parquet", "--out", tmp_path / "again.html"
    )
    assert again.exit_code == 0, again.output


def test_options_become_the_model(votes: Path, asked: dict[str, object]) -> None:
    from psymetric import BradleyTerry

    run("fit", votes, "--pairs", *MAP)
    assert asked["model"] == BradleyTerry(ties="davidson", position="common")
    assert asked["table"].missing["reason"].nunique() == 1  # type: ignore[attr-defined]
    chosen = (
        "--ties",
        "rao_kupper",
        "--position",
        "worker",
        "--slopes",
        "worker",
        "--contest",
        "longer",
        "--random",
        "item",
    )
    run("fit", votes, "--pairs", *MAP, *chosen)
    expected = BradleyTerry(ties="rao_kupper", position="worker", slopes="worker", contest="longer", random="item")
    assert asked["model"] == expected
    assert {"worker", "longer"} <= set(asked["table"].facets)  # type: ignore[attr-defined]
    run("fit", votes, "--pairs", *MAP, "--ties", "none", "--position", "none")
    assert asked["model"] == BradleyTerry()


def records(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


ARENA = {"model_a": "x", "model_b": "y", "winner": "tie (bothbad)", "judge": "u1", "turn": 1}
ALPACA = {
    "instruction": "i",
    "generator_1": "base",
    "generator_2": "m",
    "output_1": "abc",
    "output_2": "a",
    "annotator": "gpt",
    "preference": 1.0,
}
COUNCIL = {
    "user_prompt": "p",
    "first_completion_by": "a",
    "second_completion_by": "b",
    "judge_model": "c",
    "pairwise_choice": "A>B",
}
GAME = {
    "question_id": 1,
    "model_1": "a",
    "model_2": "b",
    "judge": "g",
    "turn": 1,
    "g1_winner": "tie",
    "g2_winner": "tie",
}
SINGLE = {"question_id": 1, "model": "a", "judge": "g", "turn": 1, "score": 3}
BAR = dict(zip(("subset", "item", "gold", "evaluator", "method", "stage", "key", "value"),
               ("Natural", 0, 1, "g", "Swap", 0, "swap = True", 1), strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("form", "row", "options", "position"),
    [
        ("arena", ARENA, ("--map", "tie (bothbad)=tie"), "common"),
        ("alpaca-eval", ALPACA, ("--contest", "length"), None),
        ("council", COUNCIL, (), "common"),
        ("mt-bench", GAME, (), "common"),
        ("llmbar", BAR, (), "common"),
    ],
)
def test_formats(
    tmp_path: Path,
    asked: dict[str, object],
    form: str,
    row: dict[str, object],
    options: tuple[str, ...],
    position: str | None,
) -> None:
    result = run("fit", records(tmp_path / "v.jsonl", row), "--format", form, *options)
    assert "handed on" in result.output, result.output
    assert asked["model"].position == position  # type: ignore[attr-defined]
    assert asked["title"] == "v"


def test_ratings_have_a_format_too(tmp_path: Path, asked: dict[str, object]) -> None:
    run(
        "fit",
        records(tmp_path / "v.jsonl", SINGLE, SINGLE | {"model": "b", "score": -1}),
        "--format",
        "mt-bench-scores",
    )
    assert asked["model"] is None
    assert len(asked["table"].missing) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pairs",), r"unknown outcomes in column 'winner'"),
        (("--pairs", "--left", "first"), "first"),
        (
            ("--pairs", *MAP, "--ties", "draws"),
            "--ties draws is not known; use one of davidson, rao_kupper, half, none",
        ),
        (
            ("--pairs", "--map", "model_a"),
            "--map 'model_a' is not of the form label=meaning, meaning left, right, tie, none",
        ),
        (("--pairs", "--map", "a=left", "--map", "a=tie"), "--map gives 'a' two meanings"),
        (("--pairs", *MAP, "--steps", "item"), "--steps: for ratings, and the file was read as comparisons"),
        (("--pairs", *MAP, "--slopes", "judge"), "no column 'judge'"),
        (("--pairs", *MAP, "--contest", "worker"), "which is no number"),
        (
            ("--response", "longer", "--subject", "worker", "--ties", "half"),
            "--ties: for comparisons, and the file was",
        ),
        (("--format", "elo"), "--format elo is not known; use one of alpaca-eval, arena, council"),
        (("--format", "council", "--facet", "judge"), "--facet: --format council has its own facets"),
        (("--format", "arena", "--facet", "rater"), "facets= holds 'rater'; an arena file has"),
        (("--format", "arena", "--left", "model_a"), "--left: --format arena knows its own fields"),
        (("--format", "council", "--map", "a=left"), "--map: the labels of --format council have fixed meanings"),
        (
            ("--format", "council", "--contest", "length"),
            "--contest length: --format council knows nothing of a comparison",
        ),
        (("--format", "arena", "--contest", "style"), "--contest style: --format arena knows length of a comparison"),
        (("--format", "arena"), "unknown labels in 'winner'"),
        (("--format", "mt-bench"), "has no field"),
    ],
)
def test_bad_options_are_one_line_and_exit_two(
    votes: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run("fit", votes, *options, "--out", tmp_path / "out")
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert (result.exit_code, len(errors)) == (2, 1), result.output
    assert message in errors[0]


def test_without_a_winner_the_option_is_named(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,choice\na,b,left\n")
    result = run("fit", path, "--pairs")
    assert result.exit_code == 2
    assert "name the outcome column with --outcome; its columns are model_a, model_b, choice" in result.output


def test_labels_that_look_like_numbers_are_numbers_too() -> None:
    assert read_meanings(["1=left", "A=B=tie", "both=none"]) == {"1": "left", 1.0: "left", "A=B": "tie", "both": None}
