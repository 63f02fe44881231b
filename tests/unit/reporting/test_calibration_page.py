"""The page of a calibration to people: the numbers of the calls, words no stronger than they, escaped labels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.calibration.judge_errors import bin_table, categories_of, confusion_table, sample_table
from psymetric.errors import DataError

HOSTILE = "<script>alert(1)</script>"
OLD = "old & tried"


def verdicts(n: int = 900, labels: int = 240) -> pd.DataFrame:
    """Two systems answer each prompt; a judge that lets a third of the bad answers pass; a few labels."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"prompt": np.arange(n) // 2, "system": np.where(np.arange(n) % 2, HOSTILE, OLD)})
    good = rng.random(n) < np.where(frame["system"] == HOSTILE, 0.7, 0.5)
    frame["judge"] = (good | (rng.random(n) < 0.35)).astype(int)
    frame["human"] = np.where(rng.permutation(n) < labels, good, np.nan)
    return frame


@pytest.fixture(scope="module")
def found() -> ps.CalibratedEstimate:
    return ps.calibrated_estimate(verdicts(), system="system", cluster="prompt")


@pytest.fixture(scope="module")
def page(found: ps.CalibratedEstimate) -> ps.CalibrationReport:
    rows = verdicts()
    plan = ps.next_labels(rows, n=20, label="human")
    send = rows.assign(probability=plan["probability"])[plan["chosen"]]
    return ps.calibration_report(found, send=send, title=f"A {HOSTILE} judge")


def anchors(page: ps.CalibrationReport) -> list[str]:
    return re.findall(r'<section id="([a-z]+)"', page.html)


def test_sections_come_in_the_order_of_a_report(page: ps.CalibrationReport) -> None:
    assert anchors(page) == ["scores", "errors", "sample", "next", "appendix"]


def test_numbers_and_sentences_are_those_of_the_call(page: ps.CalibrationReport, found: ps.CalibratedEstimate) -> None:
    pd.testing.assert_frame_equal(page.estimates, found.frame)
    assert page.claims == found.sentences
    for row, stored in zip(found.frame.to_dict("records"), page.record["tables"]["estimates"], strict=True):
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        assert {name: stored[name] for name in numbers} == {
            name: value if np.isfinite(value) else None for name, value in numbers.items()
        }
        assert f'data-v="{row["estimate"]}">{row["estimate"]:.3f}<' in page.html


def test_labels_are_escaped(page: ps.CalibrationReport) -> None:
    assert HOSTILE not in page.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.html
    assert HOSTILE not in page._repr_html_()
    assert page.html.count("<script") == 1


def test_files_stand_beside_the_page(page: ps.CalibrationReport, tmp_path: Path) -> None:
    assert page.save(tmp_path) == tmp_path / "calibration.html"
    names = {"calibration.html", "estimates.csv", "calibration.json", "next_labels.csv"}
    assert {file.name for file in tmp_path.iterdir()} == names
    estimates = pd.read_csv(tmp_path / "estimates.csv")
    assert estimates["estimate"].to_numpy() == pytest.approx(page.estimates["estimate"].to_numpy(), rel=1e-7)
    assert len(pd.read_csv(tmp_path / "next_labels.csv")) == 20
    stored = json.loads((tmp_path / "calibration.json").read_text())
    assert [f"{one['text']} {one['detail']}" for one in stored["claims"]] == list(page.claims)
    with pytest.raises(DataError, match="is not the name of a page"):
        page.save(tmp_path / "page.txt")


def test_an_undecided_difference_is_open_and_a_decided_one_firm() -> None:
    rows = verdicts()
    gap = {"estimand": "difference", "system": "system", "cluster": "prompt"}
    decided = ps.calibrated_estimate(rows, systems=[HOSTILE, OLD], **gap)
    assert decided.frame["lower"].item() > 0
    assert strengths(ps.calibration_report(decided)) == ["firm"]
    dealt = rows.assign(system=np.random.default_rng(1).permutation(rows["system"]))
    undecided = ps.calibrated_estimate(dealt, **gap)
    assert undecided.frame["lower"].item() < 0 < undecided.frame["upper"].item()
    open_page = ps.calibration_report(undecided)
    assert strengths(open_page) == ["open"]
    assert "which of the two is better is not settled" in open_page.claims[0]


def strengths(page: ps.CalibrationReport) -> list[str]:
    return [claim["strength"] for claim in page.record["claims"]]


def test_labels_of_the_passes_alone_are_a_caution() -> None:
    rows = verdicts()
    picked = rows.assign(human=rows["human"].where((rows["judge"] == 1) | (rows.index % 5 == 0)))
    page = ps.calibration_report(ps.calibrated_estimate(picked))
    assert strengths(page) == ["caution"]
    assert "not like a random sample" in page.claims[0]
    assert "Labelled rows have other verdicts than all rows" in page.html


def test_no_bias_is_named_where_verdicts_are_on_another_scale() -> None:
    rows = verdicts()
    page = ps.calibration_report(ps.calibrated_estimate(rows.assign(judge=10 * rows["judge"])))
    assert "Verdicts and labels are on two scales, so that it has no meaning." in page.html


def test_a_caution_beyond_the_first_screen_is_counted_on_it() -> None:
    rows = verdicts()
    rows["system"] = [f"s{k}" for k in rows.index % 6]
    rows.loc[(rows["system"] == "s5") & rows["human"].notna(), "human"] = np.nan
    page = ps.calibration_report(ps.calibrated_estimate(rows, system="system"))
    assert strengths(page) == ["firm"] * 4 + ["caution"]
    assert page.claims[-1] == "2 further estimates in the table below, 1 of them with a caution."


def test_the_page_is_of_the_systems_asked_for() -> None:
    rows = verdicts()
    rows.loc[rows.index % 3 == 0, "system"] = "third"
    found = ps.calibrated_estimate(rows, system="system", systems=["third"])
    sample = ps.calibration_report(found).record["tables"]["sample"]
    assert sample[0]["n"] == (rows["system"] == "third").sum()


def test_confusions_are_counts_of_the_labelled_rows(found: ps.CalibratedEstimate) -> None:
    rows = verdicts().dropna()
    categories = categories_of(found.rows)
    assert categories is not None
    frame = confusion_table(found.rows, categories, 0.95).set_index(["label", "verdict"])
    crossed = pd.crosstab(rows["human"].astype(int), rows["judge"])
    for (label, verdict), row in frame.iterrows():
        n = crossed.loc[label, verdict]
        assert row["n"] == n
        assert row["share"] == pytest.approx(n / crossed.loc[label].sum())
        assert 0 <= row["lower"] <= row["share"] <= row["upper"] <= 1
    assert frame.loc[(1, 0), "upper"] > 0, "no error seen does not show that there is none"


def test_confusions_count_by_the_inverse_of_the_chances() -> None:
    rows = verdicts()
    rows["p"] = np.where(rows["judge"] == 1, 0.2, 0.4)
    found = ps.calibrated_estimate(rows, probability="p")
    frame = confusion_table(found.rows, np.array([0.0, 1.0]), 0.95).set_index(["label", "verdict"])
    bad = rows[rows["human"] == 0]
    weight = 1 / bad["p"]
    assert frame.loc[(0, 1), "share"] == pytest.approx(weight[bad["judge"] == 1].sum() / weight.sum())


def test_scores_are_binned_and_the_intervals_are_students() -> None:
    rng = np.random.default_rng(3)
    score = rng.normal(size=400)
    label = np.where(np.arange(400) < 100, np.round(score + rng.normal(size=400), 1), np.nan)
    rows = ps.calibrated_estimate(pd.DataFrame({"judge": score, "human": label})).rows
    assert categories_of(rows) is None
    frame = bin_table(rows, 0.95)
    assert frame["n"].sum() == 100
    assert (frame["verdict_from"].to_numpy()[1:] > frame["verdict_to"].to_numpy()[:-1]).all()
    first = frame.iloc[0]
    own = label[:100][score[:100] <= first["verdict_to"]]
    assert first["label"] == pytest.approx(own.mean())
    # Closed form: mean ± t s / √n, with t(.975, 19) = 2.093.
    assert len(own) == 20
    assert first["upper"] - first["label"] == pytest.approx(2.0930 * own.std(ddof=1) / np.sqrt(20), rel=1e-4)


def test_the_gap_of_the_sample_is_that_of_the_means(found: ps.CalibratedEstimate) -> None:
    rows = verdicts()
    frame = sample_table(found.rows, "system", 0.95)
    labelled = rows.dropna()
    assert frame.loc[0, "gap"] == pytest.approx(labelled["judge"].mean() - rows["judge"].mean())
    assert frame["level"].tolist()[1:] == list(found.rows.levels["system"])
    own = rows[rows["system"] == HOSTILE]
    row = frame[frame["level"] == HOSTILE].iloc[0]
    assert row["gap"] == pytest.approx(own.dropna()["judge"].mean() - own["judge"].mean())
    # One answer of each system per prompt: no clusters within a system, and the sample is drawn without replacement.
    n, size = len(own.dropna()), len(own)
    drawn = own["judge"].std() * np.sqrt(1 / n - 1 / size)
    assert row["se"] == pytest.approx(drawn, rel=0.1)


def test_probabilities_get_their_diagram_and_people_their_section() -> None:
    rng = np.random.default_rng(2)
    sure = rng.beta(0.6, 0.5, 500)
    human = np.where(np.arange(500) < 120, rng.random(500) < sure, np.nan)
    found = ps.calibrated_estimate(pd.DataFrame({"judge": sure, "human": human}))
    panel = pd.DataFrame(
        {
            "subject": np.repeat(np.arange(60), 4),
            "judge": ["ann", "bob", "cy", "gpt"] * 60,
            "label": rng.random(240) < 0.6,
        }
    )
    table = ps.ResponseTable.from_frame(
        panel.astype({"label": int}), response="label", subject="subject", facets=("judge",)
    )
    people = ps.alternative_annotator_test(table, "gpt", draws=50)
    ceiling = ps.human_ceiling(table, tested="gpt", draws=50)
    page = ps.calibration_report(found, people=people, ceiling=ceiling, extra={"More": "words"})
    assert anchors(page) == ["scores", "errors", "sample", "people", "next", "extra", "appendix"]
    quality = ps.calibration_quality(
        pd.DataFrame({"label": human[:120].astype(int), "verdict": sure[:120]}), label="label", probabilities="verdict"
    )
    shown = {row["statistic"]: row for row in page.record["tables"]["calibration"]}
    assert shown["Brier"]["value"] == pytest.approx(quality.value("Brier"))
    assert shown["Brier"]["upper"] == pytest.approx(quality.frame.set_index("statistic").loc["Brier", "upper"])
    assert page.record["tables"]["alternative_annotator"][0]["omega"] == people.frame["omega"].item()
    assert page.record["tables"]["human_ceiling"][0]["value"] == ceiling.frame["value"].iloc[0]
    verdict = "may stand in" if people.frame["passes"].item() else "is not shown to stand in"
    assert verdict in page.claims[1]


def test_before_and_after_are_shown_by_name() -> None:
    rows = verdicts()
    sure = np.clip(rows["judge"] * 0.8 + 0.1, 0, 1)
    frame = pd.DataFrame({"label": rows["human"], "p": sure}).dropna().astype({"label": int})
    quality = {
        name: ps.calibration_quality(frame.assign(p=p), label="label", probabilities="p", draws=10)
        for name, p in {"raw": frame["p"], "mapped": frame["p"] * 0.5}.items()
    }
    page = ps.calibration_report(ps.calibrated_estimate(rows), quality=quality)
    table = pd.DataFrame(page.record["tables"]["calibration"])
    brier = table[table["statistic"] == "Brier"].set_index("forecasts")["value"]
    assert {name: brier[name] for name in quality} == {name: one.value("Brier") for name, one in quality.items()}


def test_what_is_no_estimate_is_refused(found: ps.CalibratedEstimate) -> None:
    with pytest.raises(DataError, match=r"found is a DataFrame; pass what psymetric.calibrated_estimate returned"):
        ps.calibration_report(found.frame)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="send has no rows"):
        ps.calibration_report(found, send=verdicts().head(0))


def test_the_hash_is_of_the_data_and_not_of_its_names(found: ps.CalibratedEstimate) -> None:
    rows = verdicts()
    renamed = ps.calibrated_estimate(
        rows.rename(columns={"system": "model", "human": "expert"}), label="expert", system="model", cluster="prompt"
    )
    assert renamed.provenance.source == found.provenance.source
    rows.loc[0, "judge"] = 1 - rows.loc[0, "judge"]
    assert ps.calibrated_estimate(rows, system="system", cluster="prompt").provenance.source != found.provenance.source
