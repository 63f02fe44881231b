"""What `calibrate` and its maps refuse, and what they only note."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import polars as pl
import pytest

import psymetric as ps
from psymetric.errors import DataError


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    quality = rng.normal(size=120)
    found = pd.DataFrame({"text": np.arange(120) // 2, "score": quality.round(1)})
    found["label"] = np.clip(np.round(2.5 + quality + rng.normal(size=120)), 1, 4).astype(int)
    found["good"] = found["label"] > 2
    found["p"] = 1 / (1 + np.exp(-2 * quality))
    shares = rng.dirichlet([1, 1, 1, 1], 120)
    return found.assign(**{f"q{k}": shares[:, k] for k in range(4)})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"judge": "scre"}, r"no column 'scre' of the judge; did you mean 'score'"),
        ({"label": "lable"}, r"no column 'lable' \(named as label\); did you mean 'label'"),
        ({"group": "txt"}, r"no column 'txt' \(named as group\)"),
        ({"judge": "label"}, "named as label and as judge"),
        ({"judge": ["score", "score"], "method": "ordinal"}, "name one column of the judge or more, each once"),
        ({"judge": []}, "name one column of the judge or more"),
        ({"method": "isotone"}, "no method 'isotone'; did you mean 'isotonic'"),
        ({"judge": ["score", "p"]}, r"maps one column of the judge, got \['score', 'p'\]"),
        ({"method": "platt", "judge": "p"}, "is for labels of two categories, got 4; use 'ordinal'"),
        ({"method": "vector", "judge": ["q0", "q1"]}, r"each of the 4 categories in their order, got 2 columns"),
        ({"method": "vector", "judge": "p"}, "each of the 4 categories in their order, got 1 column"),
        ({"effect": "text"}, r"method='isotonic'\) has no effect of 'text'; use method='ordinal'"),
        ({"folds": 200}, r"120 labelled rows cannot be divided into folds=200; label more"),
        ({"folds": 61, "group": "text"}, r"60 texts cannot be divided into folds=61"),
        ({"folds": 1}, "ask for at least 2 folds"),
        ({"prior_sd": 0.0}, "prior_sd=0.0 is not a positive number"),
        ({"prior_sd": np.inf}, "prior_sd=inf is not a positive number"),
        ({"level": 1.0}, "level=1.0 is not a coverage"),
        ({"categories": [1, 2, 3]}, r"responses in 'label' are not among the categories \[1, 2, 3\]"),
        ({"method": "temperature", "judge": ["q0", "q1", "q2", "score"]}, r"hold numbers outside \[0, 1\]"),
    ],
)
def test_refused_settings(frame: pd.DataFrame, settings: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        ps.calibrate(frame, **{"judge": "score", "label": "label", **settings})


def test_refused_data(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"\['score'\] of the judge is the same in all 120 labelled rows, first 3"):
        ps.calibrate(frame.assign(score=3.0), judge="score", label="label")
    with pytest.raises(DataError, match="every response in 'label' is 2"):
        ps.calibrate(frame.assign(label=2), judge="score", label="label")
    with pytest.raises(DataError, match="every label in 'label' is 2"):
        ps.calibrate(frame.assign(label=2), judge="score", label="label", categories=[1, 2, 3])
    broken = frame.assign(score=frame["score"].where(frame.index != 4))
    with pytest.raises(
        DataError, match=r"no finite number \(1 of 120 rows, first at row 4 counting from 0\).*leave out"
    ):
        ps.calibrate(broken, judge="score", label="label")
    with pytest.raises(DataError, match=r"'score' of the judge holds no finite number.*'high'"):
        ps.calibrate(frame.assign(score="high"), judge="score", label="label")
    short = frame.assign(q3=frame["q3"] / 2)
    with pytest.raises(DataError, match=r"do not sum to one \(\d+ of 120 rows.*divide each row by its sum"):
        ps.calibrate(short, judge=["q0", "q1", "q2", "q3"], label="label", method="vector")
    with pytest.raises(DataError, match="no rows; give at least one row"):
        ps.calibrate(frame.iloc[:0], judge="score", label="label")
    with pytest.raises(DataError, match="none of the 120 rows has a response in 'label'"):
        ps.calibrate(frame.assign(label=np.nan), judge="score", label="label")


def test_predict_refuses_what_the_map_cannot_read(frame: pd.DataFrame) -> None:
    found = ps.calibrate(frame, judge="score", label="label")
    with pytest.raises(DataError, match=r"predict: no column 'score' of the judge"):
        found.predict(frame[["p"]])
    with pytest.raises(DataError, match=r"no finite number \(1 of 2 rows, first at row 1"):
        found.predict(pd.DataFrame({"score": [1.0, np.nan]}))
    with pytest.raises(DataError, match="the record has no 'method'"):
        ps.CalibrationMap.from_dict({})


def test_rows_without_a_label_are_predicted_and_not_used(frame: pd.DataFrame) -> None:
    some = frame.assign(label=frame["label"].where(frame.index < 80))
    found = ps.calibrate(some, judge="score", label="label", method="ordinal")
    assert "40 rows without a label left out" in found.notes
    assert len(found.out_of_fold) == 80
    few = ps.calibrate(frame.iloc[:80], judge="score", label="label", method="ordinal")
    pd.testing.assert_frame_equal(found.predict(frame), few.predict(frame))


def test_frames_of_polars_and_any_index(frame: pd.DataFrame) -> None:
    found = ps.calibrate(pl.from_pandas(frame), judge="score", label="label", method="ordinal")
    other = frame.set_index(pd.Index([f"r{i}" for i in range(120)]))
    got = found.predict(other)
    pd.testing.assert_index_equal(got.index, other.index)
    np.testing.assert_array_equal(found.predict(pl.from_pandas(frame))["calibrated"], got["calibrated"])


def test_text_labels_count_their_places(frame: pd.DataFrame) -> None:
    names = np.array(["none", "poor", "fair", "good"])
    told = frame.assign(label=names[frame["label"] - 1])
    found = ps.calibrate(told, judge="score", label="label", method="ordinal", categories=names.tolist())
    numbered = ps.calibrate(frame, judge="score", label="label", method="ordinal")
    np.testing.assert_allclose(found.predict(frame)["calibrated"], numbered.predict(frame)["calibrated"] - 1)
    assert set(found.predict(frame)["label_upper"]) <= set(names)


def test_category_that_no_label_has_keeps_its_place(frame: pd.DataFrame) -> None:
    gap = frame.assign(label=frame["label"].replace({2: 3}))
    found = ps.calibrate(gap, judge="score", label="label", method="ordinal", categories=[0, 1, 2, 3, 4, 5])
    assert "no label is [0, 2, 5]" in found.notes
    got = found.predict(frame)
    assert (got[["p_0", "p_2", "p_5"]] == 0).all(axis=None)
    merged = ps.calibrate(gap, judge="score", label="label", method="ordinal", categories=[1, 3, 4]).predict(frame)
    np.testing.assert_allclose(got["calibrated"], merged["calibrated"], atol=1e-12)
    np.testing.assert_allclose(got["se"], merged["se"], atol=1e-12)


def test_truth_values_and_one_column_of_probabilities(frame: pd.DataFrame) -> None:
    both = frame.assign(n=1 - frame["p"])
    one = ps.calibrate(frame, judge="p", label="good", method="temperature")
    two = ps.calibrate(both, judge=["n", "p"], label="good", method="temperature")
    np.testing.assert_allclose(one.predict(frame)["p_1"], two.predict(both)["p_1"])


def test_perfect_judge_stays_finite(frame: pd.DataFrame) -> None:
    """Without the prior the slope would be infinite."""
    sure = frame.assign(p=frame["good"].astype(float))
    for method in ("platt", "temperature", "ordinal", "vector"):
        found = ps.calibrate(sure, judge="p", label="good", method=method)
        assert np.isfinite(found.predict(sure).to_numpy(float)).all()
        assert found.out_of_fold["calibrated"].between(0, 1).all()
        read = "120 probabilities below 1e-06 read as 1e-06" in found.notes
        assert read == (method != "ordinal")


def test_falling_judge_and_lost_labels_are_noted(frame: pd.DataFrame) -> None:
    found = ps.calibrate(frame.assign(score=-frame["score"]), judge="score", label="label")
    assert any("labels fall as 'score' rises" in note and "turn the score round" in note for note in found.notes)
    rare = frame.assign(label=np.where(frame.index == 0, 5, frame["label"]))
    noted = ps.calibrate(rare, judge="score", label="label", method="ordinal").notes
    assert any("had probability zero when held out" in note for note in noted)


def test_a_person_of_one_fold_only_is_an_average_one_there(frame: pd.DataFrame) -> None:
    people = frame.assign(person=np.where(frame["text"] == 3, "once", "often"))
    found = ps.calibrate(people, judge="score", label="label", method="ordinal", effect="person", group="text")
    assert np.isfinite(found.out_of_fold["calibrated"]).all()


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["isotonic", "ordinal", "vector"])
def test_a_million_rows_take_seconds(method: str) -> None:
    rng = np.random.default_rng(1)
    n = 1_000_000
    quality = rng.normal(size=n)
    frame = pd.DataFrame({"label": (quality + rng.normal(size=n) > 0).astype(int), "score": quality})
    frame["p"] = 1 / (1 + np.exp(-3 * quality))
    began = time.process_time()
    judge = "p" if method == "vector" else "score"
    found = ps.calibrate(frame, judge=judge, label="label", method=method, repeats=1, draws=20)
    found.predict(frame)
    assert time.process_time() - began < 60
