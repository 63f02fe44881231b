"""The page of a latent-truth fit: its numbers are those of the public functions, and its claims are not stronger."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.diagnostics.judge_dependence import JudgeDependence
from psymetric.diagnostics.judge_quality import judge_quality
from psymetric.errors import DataError
from psymetric.estimation.fit import FitStatus
from psymetric.plots.confusion import ConfusionPanel, draw_confusions
from psymetric.reporting.truth_claims import truth_claims
from psymetric.reporting.truth_evidence import TruthEvidence

HOSTILE = "<script>document.title='owned'</script>"
LABELS = ("no </svg>", "maybe", "yes <b>")
JUDGES = {HOSTILE: 0.85, "{{ 7*7 }}": 0.8, "=cmd()": 0.75, "guesser": 1 / 3}


@dataclass(frozen=True)
class Case:
    """Labels of 120 texts by four judges, an expert on 20 of the texts, 8% missing; and the fit."""

    table: ps.ResponseTable
    fit: ps.Fit
    truth: np.ndarray

    @property
    def evidence(self) -> TruthEvidence:
        return TruthEvidence(self.fit, self.table, 0.95)


def labelled(*, gold: bool) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = rng.choice(3, 120, p=[0.5, 0.3, 0.2])
    rows = [
        (f"<i>{i}</i>", who, LABELS[truth[i] if rng.random() < right else (truth[i] + rng.integers(1, 3)) % 3])
        for who, right in JUDGES.items()
        for i in range(120)
    ]
    if gold:
        rows += [(f"<i>{i}</i>", "expert", LABELS[truth[i]]) for i in range(20)]
    frame = pd.DataFrame(rows, columns=["text", "judge", "label"])
    lost = (rng.random(len(frame)) < 0.08) & (frame["judge"] != "expert")
    return frame.assign(label=frame["label"].where(~lost, None), why=np.where(lost, "refusal", None)), truth


def table_of(frame: pd.DataFrame) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(
        frame, response="label", subject="text", facets=("judge",), categories=LABELS, reason="why"
    )


@pytest.fixture(scope="module")
def golden() -> Case:
    frame, truth = labelled(gold=True)
    table = table_of(frame)
    return Case(table, ps.fit(ps.DawidSkene(gold="expert"), table, engine=ps.MAP()), truth)


@pytest.fixture(scope="module")
def page(golden: Case) -> ps.Report:
    return ps.report(golden.fit, golden.table, extra={"Aside": "One."})


def test_sections_stand_in_order(page: ps.Report) -> None:
    found = re.findall(r'<section id="([a-z]+)"', page.html)
    assert found == ["scores", "judges", "gold", "missing", "extra", "appendix"]
    ids = re.findall(r'\bid="([^"]+)"', page.html)
    assert len(ids) == len(set(ids))


def test_numbers_are_those_of_the_public_functions(page: ps.Report, golden: Case) -> None:
    truths = ps.true_categories(golden.fit, golden.table, draws=200)
    scores = page.scores.set_index("subject")
    expected = truths.frame.set_index("subject")
    pd.testing.assert_series_equal(scores["probability"].loc[expected.index], expected["probability"])
    assert len(scores) == 120
    assert scores["gold"].sum() == 20
    assert scores["gold"].tolist() == sorted(scores["gold"])
    quality = judge_quality(golden.fit, golden.table).frame.set_index("judge")
    shown = pd.DataFrame(page.record["tables"]["judges"]).set_index("level")
    for name in ("n", "accuracy", "accuracy_lower", "accuracy_upper", "bits", "gain"):
        np.testing.assert_allclose(shown[name].loc[quality.index], quality[name], rtol=1e-12)
    confusion = pd.DataFrame(page.record["tables"]["confusion"])
    np.testing.assert_allclose(confusion["estimate"], golden.fit.parameters["confusion"].ravel(), atol=1e-12)
    prevalence = pd.DataFrame(page.record["tables"]["prevalence"])
    np.testing.assert_allclose(prevalence["estimate"], golden.fit.parameters["prevalence"])
    assert {"judge", "prevalence", "confusion"} == set(page.facets["facet"])


def test_gold_is_counted_by_hand(page: ps.Report) -> None:
    frame, truth = labelled(gold=True)
    mine = frame[frame["text"].isin([f"<i>{i}</i>" for i in range(20)]) & (frame["judge"] != "expert")].dropna(
        subset=["label"]
    )
    right = mine["label"] == [LABELS[truth[int(text[3:-4])]] for text in mine["text"]]
    shown = pd.DataFrame(page.record["tables"]["gold"]).set_index("level")
    assert shown["n"].to_dict() == mine.groupby("judge").size().to_dict()
    assert shown["agreed"].to_dict() == right.groupby(mine["judge"]).sum().to_dict()


def test_votes_and_ties_are_counted_by_hand(golden: Case) -> None:
    frame, _ = labelled(gold=False)
    votes = frame.dropna(subset=["label"]).groupby("text")["label"].agg(lambda labels: sorted(labels.mode()))
    found = golden.evidence.subjects.set_index("subject")["majority"]
    for text, most in votes.items():
        assert found[text] == most[0] if len(most) == 1 else pd.isna(found[text])


def test_claims_say_what_the_numbers_say(page: ps.Report, golden: Case) -> None:
    said = " ".join(page.claims)
    frame = page.scores[~page.scores["gold"]]
    undecided = int((frame["probability"] < 0.8).sum())
    assert f"{undecided} of 100 texts are undecided (no category has probability .8 or more)" in said
    estimate, lower, upper = golden.evidence.accuracy
    n = page.record["tables"]["judges"]
    mean = np.average([row["accuracy"] for row in n], weights=[row["n"] for row in n])
    assert estimate == pytest.approx(mean)
    assert lower < estimate < upper
    assert f"A label is right with probability {estimate:.2f}".replace("0.", ".") in said
    gold = page.record["tables"]["gold"]
    agreed, n = (sum(row[name] for row in gold) for name in ("agreed", "n"))
    assert f"{agreed:.0f} of {n:.0f}" in said
    assert "Judge guesser is not shown to be better than chance." in said
    assert "labels are missing, most often: refused" in said
    # Gold names the truths, so that nothing rests on the prior for it.
    assert "rests on" not in said


def test_without_gold_the_prior_or_the_majority_names_the_truths(golden: Case) -> None:
    frame, _ = labelled(gold=False)
    table = table_of(frame)
    for engine, words in ((ps.MAP(), "rests on the prior, under which judges are better than chance"),
                          (ps.MarginalML(), "rests on most labels being right")):  # fmt: skip
        evidence = TruthEvidence(ps.fit(ps.DawidSkene(), table, engine=engine), table, 0.95)
        rows = pd.DataFrame({"reason": [""]})
        assert any(words in claim.text and claim.strength == "open" for claim in truth_claims(evidence, rows))


@pytest.mark.parametrize(
    ("pooled", "pair", "words"),
    [
        (
            "dependent",
            "",
            "Judges agree with each other more often than the truth explains (70% of pairs of labels; 60%",
        ),
        ("", "dependent", "x and y agree with each other more often than the truth explains."),
        ("", "", ""),
    ],
)
def test_shared_errors_make_every_claim_open(golden: Case, pooled: str, pair: str, words: str) -> None:
    evidence = golden.evidence
    pairs = pd.DataFrame({"first": ["x"], "second": ["y"], "flag": [pair]})
    whole = pd.DataFrame({"agreement": [0.7], "expected": [0.6], "flag": [pooled]})
    evidence.__dict__["dependence"] = JudgeDependence(pairs, whole)
    found = truth_claims(evidence, pd.DataFrame({"reason": [""]}))
    right = next(claim for claim in found if "label is right with probability" in claim.text)
    assert right.strength == ("open" if words else "firm")
    if words:
        assert found[0].text.startswith(words)
        assert found[0].strength == "caution"


def test_nothing_of_a_label_reaches_the_page_unescaped(page: ps.Report, tmp_path: Path) -> None:
    assert page.html.count("<script") == 1
    assert HOSTILE not in page.html
    assert "<i>" not in page.html
    assert "yes <b>" not in page.html
    assert page.html.count("</svg>") == page.html.count("<svg")
    assert "{{ 7*7 }}" in page.html
    facets = (page.save(tmp_path).parent / "facets.csv").read_text()
    assert "judge,'=cmd()" in facets


def test_a_fit_that_keeps_no_uncertainty_has_no_intervals(golden: Case) -> None:
    bare = dataclasses.replace(golden.fit, factors={})
    found = ps.report(bare, golden.table)
    said = next(claim for claim in found.claims if "label is right with probability" in claim)
    assert "(" not in said
    judges = pd.DataFrame(found.record["tables"]["judges"])
    assert judges["accuracy_lower"].isna().all()
    assert "without intervals" in found.html


def test_an_estimation_that_failed_is_said_first(golden: Case) -> None:
    failed = dataclasses.replace(golden.fit, status=FitStatus(False, "gave up", 3))
    assert ps.report(failed, golden.table).claims[0].startswith("The estimation did not converge")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"truth": pd.DataFrame({"facet": ["judge"]})}, "truth belong to measures on a scale, and DawidSkene has"),
        ({"sensitivity": object()}, "sensitivity go with a fit of a SimplexJudge, not of DawidSkene"),
        ({"level": 2.0}, "level=2.0 is not a coverage"),
    ],
)
def test_what_does_not_fit_is_named(golden: Case, given: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ps.report(golden.fit, golden.table, **given)


def test_another_table_is_refused(golden: Case) -> None:
    with pytest.raises(DataError, match="pass the table that was fitted"):
        ps.report(golden.fit, table_of(labelled(gold=True)[0].head(300)))


def test_small_multiples_name_what_they_show() -> None:
    panels = [ConfusionPanel("$x^2$", np.eye(2), "all right"), ConfusionPanel("b", np.full((2, 2), 0.5), "alarm", True)]
    for width in (340.0, 720.0):
        figure = draw_confusions(panels, ["low", "high"], width=width)
        assert len(figure.axes) == 2
        texts = {text.get_text() for axes in figure.axes for text in axes.texts}
        assert {"$x^2$", "all right", "alarm", "low", "high", "1", ".50"} <= texts
