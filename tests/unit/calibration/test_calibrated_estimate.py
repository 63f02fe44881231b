"""The one call: against the arrays' functions, by hand, by simulation; and what it refuses or says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.calibration.calibrated_rows import further
from psymetric.calibration.influence import Spread, interval, people_alone, powered_mean, spread
from psymetric.errors import DataError, IdentificationError


def frame(seed: int = 0, rows: int = 3000, labels: int = 300) -> pd.DataFrame:
    """Two systems on the same prompts, a judge that likes the first, and labels of a random part."""
    rng = np.random.default_rng(seed)
    ease = np.repeat(rng.normal(size=rows // 2), 2)
    system = np.tile(["a", "b"], rows // 2)
    truth = (rng.random(rows) < 1 / (1 + np.exp(-ease - 0.8 * (system == "a")))).astype(float)
    judge = np.where(truth == 1, rng.random(rows) < 0.95, rng.random(rows) < 0.2 + 0.2 * (system == "a")).astype(float)
    human = np.where(rng.permutation(rows) < labels, truth, np.nan)
    prompt = np.repeat(np.arange(rows // 2), 2)
    return pd.DataFrame({"system": system, "prompt": prompt, "judge": judge, "human": human, "truth": truth})


@pytest.fixture(scope="module")
def df():
    return frame()


def only(result: ps.CalibratedEstimate) -> pd.Series:
    assert len(result.frame) == 1
    return result.frame.iloc[0]


def test_mean_is_that_of_ppi(df):
    row = only(ps.calibrated_estimate(df))
    known = df["human"].notna()
    judge, human = df["judge"], df.loc[known, "human"]
    plain = ps.prediction_powered_mean(human, judge[known], judge[~known])
    assert row["estimate"] == pytest.approx(plain.frame["estimate"][0], rel=1e-12)
    # The coefficient is of all rows, PPI's of those without labels.
    assert row["power"] == pytest.approx(plain.power * (1 + 300 / 2700), rel=1e-12)
    # Residual degrees of freedom (two of 300), one more label of each value, means of all rows: each moves it by less.
    assert row["se"] == pytest.approx(plain.frame["se"][0], rel=0.02)
    assert row["people_alone"] == pytest.approx(human.mean())
    assert row["judge_alone"] == pytest.approx(judge.mean())
    assert row["bias"] == pytest.approx(judge.mean() - row["estimate"])
    assert row["lower"] < df["truth"].mean() < row["upper"]
    assert row["bias_lower"] > 0
    assert (row["n_labels"], row["n_judged"]) == (300, 3000)
    assert row["effective_labels"] > 350


def test_a_difference_of_pairs_is_the_mean_of_differences(df):
    """With every row labelled and the same power for both there is nothing left of the judge: a paired t test."""
    whole = df.assign(human=df["truth"])
    row = only(ps.calibrated_estimate(whole, estimand="difference", system="system", cluster="prompt"))
    gap = whole.pivot(index="prompt", columns="system", values="human").eval("a - b")
    assert row["estimate"] == pytest.approx(gap.mean(), rel=1e-12)
    assert row["se"] == pytest.approx(gap.sem(), rel=2e-3)
    apart = only(ps.calibrated_estimate(whole, estimand="difference", system="system"))
    assert apart["se"] == pytest.approx(np.sqrt((whole.groupby("system")["human"].sem() ** 2).sum()), rel=2e-3)
    turned = only(ps.calibrated_estimate(whole, estimand="difference", system="system", systems=["b", "a"]))
    assert turned["estimate"] == -apart["estimate"]
    assert turned["system"] == "b − a"


def test_weights_are_repetitions(df):
    part = df.head(400).assign(weight=np.random.default_rng(3).integers(1, 4, 400), row=np.arange(400))
    part["human"] = part["truth"].where(part["row"] % 4 == 0)
    repeated = part.loc[part.index.repeat(part["weight"])]
    numbers = ["estimate", "judge_alone", "people_alone", "power"]
    one = only(ps.calibrated_estimate(part, weight="weight", cluster="row"))
    other = only(ps.calibrated_estimate(repeated, cluster="row"))
    np.testing.assert_allclose(one[numbers].astype(float), other[numbers].astype(float), rtol=1e-10)
    assert one["se"] == pytest.approx(other["se"], rel=0.02)


def test_equal_chances_are_no_chances(df):
    plain = only(ps.calibrated_estimate(df))
    given = only(ps.calibrated_estimate(df.assign(p=0.1), probability="p"))
    assert given["estimate"] == pytest.approx(plain["estimate"], abs=0.1 * plain["se"])
    assert given["se"] == pytest.approx(plain["se"], rel=0.02)


def test_unequal_chances_are_put_right():
    """Labels ten times as likely where the verdict is 0: wrong by much without the chances, right with them."""
    gaps, wrong, held = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = (rng.random(2000) < 0.7).astype(float)
        judge = np.where(rng.random(2000) < 0.8, truth, 1 - truth)
        chance = np.where(judge == 0, 0.3, 0.03)
        label = np.where(rng.random(2000) < chance, truth, np.nan)
        found = powered_mean(judge, label, values=(0, 1), probability=chance)
        lower, upper = interval(found.estimate, spread(found), 0.95, values=(0, 1))
        gaps.append(found.estimate - 0.7)
        held.append(lower <= 0.7 <= upper)
        wrong.append(people_alone(label).estimate - 0.7)
    assert abs(np.mean(gaps)) < 3.3 * np.std(gaps) / np.sqrt(200)
    assert np.mean(wrong) < -0.2
    assert np.mean(held) > 0.95 - 3.3 * np.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize(("theta", "tpr", "tnr", "n"), [(0.8, 0.9, 0.8, 200), (0.97, 0.98, 0.9, 60)])
def test_intervals_hold(theta, tpr, tnr, n):
    """At .97 intervals are wider than they need be: what few labels cannot show is counted."""
    rng, runs, rows = np.random.default_rng(5), 600, 1500
    held, without = np.zeros(runs, bool), np.zeros(runs, bool)
    for run in range(runs):
        truth = (rng.random(rows) < theta).astype(float)
        judge = np.where(truth == 1, rng.random(rows) < tpr, rng.random(rows) > tnr).astype(float)
        found = powered_mean(judge, np.where(np.arange(rows) < n, truth, np.nan), values=(0.0, 1.0))
        lower, upper = interval(found.estimate, spread(found), 0.95, values=(0.0, 1.0))
        held[run] = lower <= theta <= upper
        without[run] = abs(judge.mean() - theta) < 1.96 * judge.std() / np.sqrt(rows)
    band = 3.3 * np.sqrt(0.95 * 0.05 / runs)
    assert held.mean() > 0.95 - band
    assert without.mean() < 0.75
    if n == 200:
        assert held.mean() < 0.95 + band


def test_more_labels_halve_the_interval():
    """The mean width at the numbers that are advised is half of that before; where it says never, it is more."""
    rng, rows, n = np.random.default_rng(6), 4000, 100

    def width(rows: int, n: int) -> tuple[float, Spread]:
        truth = rng.normal(size=rows)
        judge = truth + rng.normal(0, 0.7, rows)
        error = spread(powered_mean(judge, np.where(np.arange(rows) < n, truth, np.nan)))
        return error.se, error

    first = [width(rows, n) for _ in range(200)]
    se = np.mean([one for one, _ in first])
    labels = np.mean([further(error, n, rows)[0] for _, error in first])
    assert all(further(error, n, rows)[1] == np.inf for _, error in first)
    halved = np.mean([width(rows, round(n + labels))[0] for _ in range(200)])
    # A width from 100 labels has an error of 7 %, the mean of 200 of .5 %, as has the mean advice.
    assert halved / se == pytest.approx(0.5, abs=0.01)


def test_where_more_verdicts_halve_it():
    error = Spread(np.sqrt(10.0), 99, judged=9.0, labelled=1.0)
    assert further(error, 100, 1000) == (np.inf, 9 * 1000 / 1.5 - 1000)
    assert further(Spread(np.sqrt(2.0), 99, 1.0, 1.0), 100, 1000) == (np.inf, np.inf)
    # A quarter is 2.5; 9 · 100 / 1.5 labels.
    assert further(Spread(np.sqrt(10.0), 99, 1.0, 9.0), 100, 1000) == (500, np.inf)
    assert further(Spread(np.sqrt(10.0), 99, 1.0, 9.0), 100, 599) == (np.inf, np.inf)


def test_rogan_gladen(df):
    """Labels chosen by their value: half passes, half failures; the errors of the judge are those of all rows."""
    rng = np.random.default_rng(7)
    rows = pd.DataFrame({"truth": (rng.random(6000) < 0.85).astype(float)})
    rows["judge"] = np.where(rng.random(6000) < 0.85, rows["truth"], 1 - rows["truth"])
    picked = rows.groupby("truth").sample(150, random_state=0).index
    rows["human"] = rows["truth"].where(rows.index.isin(picked))
    row = only(ps.calibrated_estimate(rows, method="rogan_gladen"))
    assert row["lower"] < 0.85 < row["upper"]
    assert row["people_alone"] == pytest.approx(0.5)
    apart = ps.rogan_gladen(rows.loc[picked, "human"], rows.loc[picked, "judge"], rows["judge"]).frame.iloc[1]
    assert row["estimate"] == pytest.approx(apart["estimate"], rel=1e-12)
    assert (row["lower"], row["upper"]) == pytest.approx((apart["lower"], apart["upper"]), abs=0.01)
    ppi = only(ps.calibrated_estimate(rows))
    assert ppi["upper"] < 0.85
    assert "not like a random sample; give probability=" in ppi["note"]
    turned = rows.assign(judge=1 - rows["judge"])
    with pytest.raises(IdentificationError, match="right no more often than a coin"):
        ps.calibrated_estimate(turned, method="rogan_gladen")
    gap = only(ps.calibrated_estimate(df, method="rogan_gladen", estimand="difference", system="system"))
    assert gap["lower"] < df.groupby("system")["truth"].mean().diff().iloc[1] * -1 < gap["upper"]


def test_text_truth_values_and_other_frames_are_read(df):
    plain = ps.calibrated_estimate(df).frame
    words = {1.0: "good", 0.0: "bad"}
    text = df.assign(judge=df["judge"].map(words), human=df["human"].map(words))
    pd.testing.assert_frame_equal(ps.calibrated_estimate(text, values={"good": 1, "bad": 0}).frame, plain)
    truths = df.assign(judge=df["judge"] == 1, human=df["human"].map({1.0: True, 0.0: False}))
    pd.testing.assert_frame_equal(ps.calibrated_estimate(truths).frame, plain)
    wins = {1.0: "left", 0.0: "right"}
    sides = df.assign(judge=df["judge"].map(wins), human=df["human"].map(wins))
    pd.testing.assert_frame_equal(ps.calibrated_estimate(sides, estimand="win_rate").frame, plain)
    polars = pytest.importorskip("polars")
    pd.testing.assert_frame_equal(ps.calibrated_estimate(polars.from_pandas(df)).frame, plain)


def test_missing_cells_are_left_out_and_counted(df):
    lost = df.copy()
    lost.loc[lost.index[:50], "judge"] = np.nan
    result = ps.calibrated_estimate(lost)
    also = int(df["human"].head(50).notna().sum())
    assert f"50 rows without a verdict in 'judge' left out, {also} of them labelled" in result.notes[0]
    pd.testing.assert_frame_equal(result.frame, ps.calibrated_estimate(df.iloc[50:]).frame)


def test_groups_with_too_few_labels_say_so(df):
    df = df.assign(topic=np.where(np.arange(len(df)) < 60, "rare", "usual"))
    result = ps.calibrated_estimate(df, by="topic", system="system")
    assert result.frame[["topic", "system"]].to_numpy().tolist() == [[t, s] for t in ("rare", "usual") for s in "ab"]
    few = result.frame.iloc[0]
    assert np.isnan(few["estimate"])
    assert "too few for an interval" in few["note"]
    assert result.sentences[0] == f"No mean of a in rare: {few['note']}."


def test_a_group_that_rogan_gladen_cannot_use_leaves_the_others(df):
    human = df["human"].where(df["system"] == "a", np.where(df["human"].isna(), np.nan, 1.0))
    frame = ps.calibrated_estimate(df.assign(human=human), method="rogan_gladen", system="system").frame
    assert frame["estimate"].isna().tolist() == [False, True]
    assert frame["note"][1].startswith("no label is [0.0], so that nothing shows how the judge errs there")


def test_sentences_say_what_to_do(df):
    text = str(ps.calibrated_estimate(df))
    assert text.startswith("Mean: 0.")
    assert "from 300 labels and 3,000 verdicts. The judge alone says 0." in text
    assert "more labels would halve the interval." in text
    assert "(Labelled rows are taken for a random sample of the judged ones" in text
    short = ps.calibrated_estimate(df.head(400).assign(human=df["truth"]))
    assert "Neither labels nor verdicts alone can halve the interval" in short.sentences[0]


def test_judges_of_no_use_are_named(df):
    constant = only(ps.calibrated_estimate(df.assign(judge=1.0)))
    assert constant["note"] == "the judge says the same of every row and adds nothing"
    assert constant["power"] == 0
    assert constant["estimate"] == pytest.approx(constant["people_alone"])
    against = only(ps.calibrated_estimate(df.assign(judge=1 - df["judge"])))
    assert "verdicts run against the labels" in against["note"]
    assert against["estimate"] == pytest.approx(only(ps.calibrated_estimate(df))["estimate"])
    scales = ps.calibrated_estimate(df.assign(judge=100 * df["judge"]))
    assert "on two scales judge_alone and bias say nothing" in scales.notes[0]
    assert only(scales)["se"] == pytest.approx(only(ps.calibrated_estimate(df))["se"])


def test_a_judge_that_was_never_wrong_is_not_taken_for_perfect(df):
    """60 labels without an error are not the 3,000 labels that the verdicts would then be worth."""
    right = only(ps.calibrated_estimate(df.assign(judge=df["truth"], human=df["truth"].where(df.index < 60))))
    assert right["upper"] - right["lower"] > 1.5 * (right["judge_upper"] - right["judge_lower"])


def test_chances_of_another_draw_are_noticed(df):
    note = only(ps.calibrated_estimate(df.assign(p=0.02), probability="p"))["note"]
    assert "inverse chances of the labelled rows add up to 5.00 of the rows instead of 1" in note


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        ({}, {"judge": "gpt"}, "no column 'gpt' .named as judge."),
        ({"human": np.nan}, {}, "column 'human' holds no label in 3,000 rows"),
        ({"judge": np.nan}, {}, "column 'judge' holds no verdict"),
        ({"human": "yes"}, {}, "'human' holds categories without a value .text counts for nothing by itself."),
        ({"human": "maybe"}, {"values": {0: 0, 1: 1}}, "categories without a value .known are .*'maybe'"),
        ({"judge": 3.0}, {"estimand": "win_rate"}, "win rates count 1 a win, 0 a loss"),
        ({"judge": np.inf}, {}, "column 'judge' is infinite .3,000 of 3,000 rows"),
        ({}, {"estimand": "median"}, "estimand='median' is not known"),
        ({}, {"method": "ppi++"}, "method=.ppi... is not known"),
        ({}, {"level": 95}, "level=95 is not a coverage"),
        ({}, {"estimand": "difference"}, "name their column by system="),
        ({"system": "a"}, {"estimand": "difference", "system": "system"}, "there are .'a'.; name two by systems="),
        ({}, {"system": "system", "systems": ["a", "c"]}, "systems= names 'c'"),
        ({}, {"systems": ["a", "b"]}, "without their column"),
        ({"p": 0.0}, {"probability": "p"}, "'p' is no chance of a label .300 of 3,000 rows"),
        ({"w": -1.0}, {"weight": "w"}, "negative"),
        ({"human": 4.0, "judge": np.arange(3000) % 5}, {}, "every label in column 'human' is 4"),
        ({"judge": np.arange(3000) % 30}, {"method": "rogan_gladen"}, "is for categories, and there are 30 values"),
        ({"judge": np.arange(3000) % 3}, {"method": "rogan_gladen"}, r"no label is \[2.0\]"),
        ({"cluster": np.arange(3000) % 4}, {"cluster": "cluster"}, "labels in 4 clusters are too few"),
    ],
)
def test_bad_input_is_named(df, change, options, says):
    with pytest.raises(DataError, match=f"calibrated_estimate: .*{says}"):
        ps.calibrated_estimate(df.assign(**change), **options)


def test_labels_that_the_judge_never_gives(df):
    human = df["human"].where(df.index % 7 > 0, df["human"] * 2)
    with pytest.raises(IdentificationError, match=r"the judge never says \[2.0\] and labels do"):
        ps.calibrated_estimate(df.assign(human=human), method="rogan_gladen")
    with pytest.raises(DataError, match=r"9 labels are too few for an interval\. Label at least 10 rows"):
        ps.calibrated_estimate(df.assign(human=df["truth"].where(df.index < 9)))
