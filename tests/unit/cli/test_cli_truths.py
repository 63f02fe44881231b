"""`psymetric fit --truth`: which columns, which model, the files it writes, and one clear line for bad options."""

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


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty texts, four annotators who are right with .8, an expert on ten of the texts, and two missing labels."""
    rng = np.random.default_rng(9)
    truth = rng.choice(["yes", "no", "maybe"], 80, p=[0.5, 0.3, 0.2])
    rows = [(f"t{i:02d}", i % 2, "expert", truth[i]) for i in range(10)]
    for i in range(80):
        for who in "abcd":
            said = truth[i] if rng.random() < 0.8 else rng.choice(["yes", "no", "maybe"])
            rows.append((f"t{i:02d}", i % 2, who, said))
    frame = pd.DataFrame(rows, columns=["item", "topic", "annotator", "label"])
    frame.loc[[30, 31], "label"] = None
    place = tmp_path_factory.mktemp("labels") / "labels.csv"
    frame.to_csv(place, index=False)
    return place


OPTIONS = ("-r", "label", "-s", "item")


def test_labels_are_fitted_and_reported_again(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("fit", path, "--truth", "dawid_skene", *OPTIONS, "--gold", "expert", "--engine", "map", "--out", out)
    assert result.exit_code == 0, result.output
    assert "columns: response = label, subject = item; facets: annotator" in result.output
    assert "DawidSkene by MAP" in result.output
    names = {"report.html", "scores.csv", "facets.csv", "fit.json", "fit.npz", "table.parquet"}
    assert {file.name for file in out.iterdir()} == names
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == 80
    assert set(scores["category"]) == {"yes", "no", "maybe"}
    assert scores["gold"].sum() == 10
    again = run("report", out / "fit.npz", out / "table.parquet", "--out", tmp_path / "again.html")
    assert again.exit_code == 0, again.output
    assert ">The true categories</h2>" in (tmp_path / "again.html").read_text()


@pytest.mark.parametrize(
    ("options", "model"),
    [
        (("dawid_skene",), ps.DawidSkene(over="annotator")),
        (("dawid_skene", "--gold", "expert"), ps.DawidSkene(over="annotator", gold="expert")),
        (("dawid_skene", "--set", "groups=topic"), ps.DawidSkene(over="annotator", groups="topic")),
        (("dawid_skene", "--set", "prior_labels=2"), ps.DawidSkene(over="annotator", prior_labels=2)),
        (("one_coin", "--set", "accuracy=truth"), ps.OneCoin(over="annotator", accuracy="truth")),
        (("glad",), ps.GLAD(over="annotator")),
        (("mace",), ps.MACE(over="annotator")),
        (("ordinal_probit",), ps.OrdinalProbit(over="annotator")),
        (("hierarchical_dawid_skene",), ps.HierarchicalDawidSkene(over="annotator")),
        (("family_dawid_skene", "--set", "family=topic"), ps.FamilyDawidSkene(over="annotator", family="topic")),
    ],
)
def test_options_become_the_model(
    path: Path, asked: dict[str, object], options: tuple[str, ...], model: ps.DawidSkene
) -> None:
    result = run("fit", path, *OPTIONS, "--truth", *options)
    assert "handed on" in result.output, result.output
    assert asked["model"] == model
    table = asked["table"]
    assert isinstance(table, ps.ResponseTable)
    assert table.categories == ("maybe", "no", "yes")
    assert len(table.missing) == 2
    assert set(model.facets) | ({model.groups} if model.groups else set()) <= set(table.levels)


def test_categories_have_the_order_that_is_given(path: Path, asked: dict[str, object]) -> None:
    run("fit", path, *OPTIONS, "--truth", "ordinal_probit", *(f"--category={name}" for name in ("no", "maybe", "yes")))
    assert asked["table"].categories == ("no", "maybe", "yes")  # type: ignore[attr-defined]


def test_numbers_keep_the_labels_of_the_file(tmp_path: Path, asked: dict[str, object]) -> None:
    frame = pd.DataFrame({"item": [1, 1, 2, 2], "judge": [7, 8, 7, 8], "label": [1, 5, 5, None]})
    frame.to_csv(tmp_path / "n.csv", index=False)
    run("fit", tmp_path / "n.csv", "-r", "label", "-s", "item", "--truth", "dawid_skene", "--gold", "7")
    assert asked["table"].categories == (1, 5)  # type: ignore[attr-defined]
    assert asked["model"] == ps.DawidSkene(gold=7)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--truth", "dawid_skeen"), "--truth dawid_skeen: no such model; "),
        (("--truth", "rasch"), "--truth rasch: no such model; "),
        (("--gold", "expert"), "--gold: for labels of a true category; add --truth dawid_skene"),
        (("--judge", "annotator", "--set", "a=b"), "--judge and --set: for labels of a true category"),
        (("--truth", "mace", "--gold", "expret"), "--gold expret: column 'annotator' has no such level; "),
        (("--truth", "mace", "--judge", "who"), "'who'"),
        (("--truth", "mace", "--set", "prior"), "--set 'prior' is not of the form name=value"),
        (("--truth", "mace", "--set", "over=x"), "--set 'over=x': give it with --judge"),
        (("--truth", "mace", "--set", "prior_sdd=1"), "model mace has no setting 'prior_sdd'"),
        (("--truth", "mace", "--set", "prior_sd=-1"), "prior_sd"),
        (("--truth", "mace", "--set", "prior_sd=["), "--set 'prior_sd=[': the value cannot be read"),
        (("--truth", "mace", "--pairs"), "--pairs: --truth mace has no use for it"),
        (("--truth", "mace", "--steps", "item", "-i", "topic"), "--steps and --item: --truth mace has no use for it"),
        (("--truth", "mace", "--ties", "half"), "--ties: --truth mace has no use for it"),
        (("--truth", "mace", "--dimension", "topic"), "--dimension: --truth mace has no use for it"),
        (("--truth", "mace", "-r", "nothing"), "there is no column 'nothing'"),
        (("--truth", "mace", "--category", "yes", "--category", "no"), "not among the categories"),
    ],
)
def test_bad_options_are_one_line_and_exit_two(
    path: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    result = run("fit", path, *OPTIONS, *options, "--out", tmp_path / "out")
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert (result.exit_code, len(errors)) == (2, 1), result.output
    assert words in errors[0]


def test_scores_are_no_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item": range(200), "judge": "a", "score": np.arange(200) / 7})
    frame.to_csv(tmp_path / "s.csv", index=False)
    result = run("fit", tmp_path / "s.csv", "-r", "score", "-s", "item", "--truth", "dawid_skene")
    assert result.exit_code == 2
    assert "column 'score' holds 200 different labels, which are no categories" in " ".join(result.output.split())


def test_a_column_that_is_not_found_is_asked_for(path: Path, tmp_path: Path) -> None:
    pd.read_csv(path).rename(columns={"annotator": "who"}).to_csv(tmp_path / "l.csv", index=False)
    result = run("fit", tmp_path / "l.csv", *OPTIONS, "--truth", "mace")
    assert result.exit_code == 2
    assert "name the judge column with --judge; its columns are item, topic, who, label" in " ".join(
        result.output.split()
    )
