"""Conformal sets and abstention: closed forms, naive second implementations, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import betabinom, binom, binomtest

import psymetric as ps
from psymetric.calibration.abstention import answers, upper_bound
from psymetric.calibration.conformal import ordinal_scores
from psymetric.errors import DataError

Q = ["q0", "q1", "q2", "q3", "q4"]


def judged(n: int, *, seed: int, per_group: int = 1) -> pd.DataFrame:
    """Five categories, of which the label is drawn from probabilities that the judge overstates; groups are alike."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) // per_group
    centre = rng.uniform(0, 4, group.max() + 1)[group]
    truth = softmax(-0.4 * (np.arange(5) - centre[:, None]) ** 2, axis=1)
    # One draw for the whole group in two thirds of the groups, so that its rows are far from independent.
    shared, own = rng.random(group.max() + 1)[group], rng.random(n)
    at = np.where((rng.random(group.max() + 1) < 2 / 3)[group], shared, own)
    label = 1 + (np.cumsum(truth, axis=1) < at[:, None]).sum(axis=1).clip(max=4)
    shares = softmax(-1.2 * (np.arange(5) - centre[:, None] - 0.3 * rng.normal(size=n)[:, None]) ** 2, axis=1)
    return pd.DataFrame(shares, columns=Q).assign(label=label, group=group + seed * 1_000_000)


@pytest.fixture(scope="module")
def calibration() -> ps.CalibrationMap:
    """A map that is wrong: sharp as the judge, since a narrow prior leaves it so."""
    settings = {"judge": Q, "label": "label", "method": "temperature", "group": "group", "prior_sd": 0.01}
    return ps.calibrate(judged(300, seed=1), repeats=1, categories=[1, 2, 3, 4, 5], **settings)


def test_scores_are_the_chance_before_a_category_joins() -> None:
    shares = np.array([[0.1, 0.2, 0.4, 0.25, 0.05], [0.5, 0.1, 0.1, 0.1, 0.2], [0.0, 0.0, 0.0, 0.3, 0.7]])
    # First row: 3, then 4 (.25 > .2), then 2, then 1 (.1 > .05), then 5.
    want = [[0.85, 0.65, 0.0, 0.4, 0.95], [0.0, 0.5, 0.6, 0.7, 0.8], [1.0, 1.0, 1.0, 0.7, 0.0]]
    np.testing.assert_allclose(ordinal_scores(shares), want, atol=1e-12)


def test_scores_rise_from_the_mode_so_that_sets_have_no_holes() -> None:
    shares = np.random.default_rng(0).dirichlet(np.full(6, 0.7), 500)
    scores, mode = ordinal_scores(shares), shares.argmax(axis=1)
    for row, at in zip(scores, mode, strict=True):
        assert (np.diff(row[at:]) >= 0).all()
        assert (np.diff(row[: at + 1]) <= 0).all()


def test_split_set_is_cut_at_the_usual_order_statistic(calibration: ps.CalibrationMap) -> None:
    """Without groups of several rows: score up to the ⌈(n + 1)(1 − risk)⌉-th of the labelled rows."""
    labelled, new = judged(99, seed=2), judged(200, seed=3)
    found = ps.conformal_sets(calibration, labelled=labelled, risk=0.2).predict(new)
    columns = calibration.probability_columns
    scores = ordinal_scores(calibration.predict(labelled)[columns].to_numpy())
    own = np.sort(scores[np.arange(99), labelled["label"] - 1])
    inside = ordinal_scores(calibration.predict(new)[columns].to_numpy()) <= own[80 - 1]
    np.testing.assert_array_equal(found["size"], inside.sum(axis=1))
    np.testing.assert_array_equal(found["lower"], 1 + inside.argmax(axis=1))


def test_cross_sets_are_those_of_the_naive_loop(calibration: ps.CalibrationMap) -> None:
    """Barber et al. (2021): a category stays unless more than 1 − risk of the rows score less, each by its own map."""
    new = judged(20, seed=5)
    found = ps.conformal_sets(calibration, risk=0.2).predict(new)
    rows = calibration.out_of_fold
    own = ordinal_scores(calibration.first_division)[np.arange(len(rows)), rows["label"] - 1]
    inputs = calibration.inputs(new)
    theirs = [ordinal_scores(one.probabilities(inputs)) for one in calibration.fold_maps]
    for i in range(len(new)):
        kept = []
        for k in range(5):
            worse = sum(own[j] >= theirs[fold][i, k] for j, fold in enumerate(rows["fold"]))
            if (worse + 1) / (len(rows) + 1) > 0.2:
                kept.append(k + 1)
        assert found.iloc[i].tolist() == [min(kept), max(kept), max(kept) - min(kept) + 1]


def covered(sets: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    return rows["label"].between(sets["lower"], sets["upper"]).to_numpy()


def test_split_coverage_is_beta_binomial(calibration: ps.CalibrationMap) -> None:
    """Over labelled samples, hits among m new rows are beta-binomial(m, k, n + 1 − k), k = ⌈(n + 1)(1 − risk)⌉: the
    mean over runs within its 99.9% band. Ties would make sets larger, never smaller; scores here have none above 0."""
    n, m, runs, risk = 49, 40, 120, 0.2
    hits = []
    for run in range(runs):
        labelled, new = judged(n, seed=100 + run), judged(m, seed=5_000 + run)
        hits.append(covered(ps.conformal_sets(calibration, labelled=labelled, risk=risk).predict(new), new).sum())
    law = betabinom(m, 40, n + 1 - 40)
    assert law.mean() == pytest.approx(m * (1 - risk))
    assert abs(np.mean(hits) - law.mean()) < 3.3 * law.std() / np.sqrt(runs)
    # The spread over labelled samples is the law's too: a chi-squared with runs − 1 degrees of freedom, roughly.
    assert np.var(hits, ddof=1) == pytest.approx(law.var(), rel=4 * np.sqrt(2 / runs))


@pytest.mark.thorough
@pytest.mark.parametrize("own", [False, True])
def test_coverage_with_rows_alike_within_groups(calibration: ps.CalibrationMap, own: bool) -> None:
    """A row of a new group is covered as often as asked; rows taken as independent would be too sure of it."""
    runs, risk, hits, promised = 150, 0.2, 0, 1.0
    for run in range(runs):
        labelled, new = judged(90, seed=100 + run, per_group=3), judged(1, seed=5_000 + run)
        if own:
            settings = {"method": "temperature", "group": "group", "repeats": 1, "categories": [1, 2, 3, 4, 5]}
            sets = ps.conformal_sets(ps.calibrate(labelled, judge=Q, label="label", **settings), risk=risk)
        else:
            sets = ps.conformal_sets(calibration, labelled=labelled, risk=risk)
        promised = sets.guarantee
        hits += covered(sets.predict(new), new).sum()
    assert hits >= binom.ppf(0.0005, runs, promised)
    assert hits >= binom.ppf(0.0005, runs, 1 - risk)


def test_guarantee_is_said(calibration: ps.CalibrationMap) -> None:
    assert ps.conformal_sets(calibration, labelled=judged(99, seed=2), risk=0.2).guarantee == 0.8
    # Barber et al. (2021), theorem 4: n = 300 groups in 5 folds.
    slack = min(2 * (1 - 1 / 5) / (300 / 5 + 1), (1 - 5 / 300) / 6)
    found = ps.conformal_sets(calibration, risk=0.2)
    assert found.guarantee == pytest.approx(0.6 - slack)
    assert "guaranteed to 0.574 only" in str(found)
    few = ps.conformal_sets(calibration, labelled=judged(8, seed=2), risk=0.1)
    assert "a risk of 0.1 is less than 1 in 9" in few.notes[0]
    assert (few.predict(judged(30, seed=4))["size"] == 5).all()


def test_sets_and_answers_refuse(calibration: ps.CalibrationMap) -> None:
    seen = judged(300, seed=1)
    for call in (ps.conformal_sets, ps.abstention):
        with pytest.raises(DataError, match=r"groups of 'group' that the map was fitted on \(300 of 300 rows"):
            call(calibration, labelled=seen)
        with pytest.raises(DataError, match=r"labelled= has no column 'group' \(the map's group\)"):
            call(calibration, labelled=judged(20, seed=2).drop(columns="group"))
        with pytest.raises(DataError, match=r"risk=1\.5"):
            call(calibration, labelled=judged(20, seed=2), risk=1.5)
        with pytest.raises(DataError, match="not among the categories"):
            call(calibration, labelled=judged(20, seed=2).assign(label=9))
    with pytest.raises(DataError, match="tolerance=4 places of 5 categories; give 0, or more up to 3"):
        ps.abstention(calibration, labelled=judged(20, seed=2), tolerance=4)


def test_bound_is_clopper_and_pearsons() -> None:
    for errors, n in ((0, 20), (3, 20), (19, 20), (20, 20), (7, 400)):
        want = binomtest(errors, n, alternative="less").proportion_ci(0.95, "exact").high
        assert upper_bound(np.array([errors]), np.array([n]), 0.95)[0] == pytest.approx(want, abs=1e-9)
    assert upper_bound(np.array([0]), np.array([0]), 0.95)[0] == 1


def test_answer_has_the_most_chance_within_the_tolerance() -> None:
    shares = np.array([[0.3, 0.0, 0.25, 0.25, 0.2], [0.05, 0.05, 0.1, 0.2, 0.6], [0.2, 0.6, 0.2, 0.0, 0.0]])
    exact, near = answers(shares, 0), answers(shares, 1)
    assert exact[0].tolist() == [0, 4, 1]
    np.testing.assert_allclose(exact[1], [0.3, 0.6, 0.6])
    # The last but one reaches most of the first row; of the second, 4 and 3 reach .8 and .9.
    assert near[0].tolist() == [3, 3, 1]
    np.testing.assert_allclose(near[1], [0.7, 0.9, 1.0])


def test_threshold_is_the_last_of_an_unbroken_row(calibration: ps.CalibrationMap) -> None:
    labelled, new = judged(400, seed=11), judged(100, seed=12)
    found = ps.abstention(calibration, labelled=labelled, risk=0.25, tolerance=1)
    curve = found.curve
    assert (np.diff(curve["threshold"]) < 0).all()
    answer, confidence = answers(calibration.predict(labelled)[calibration.probability_columns].to_numpy(), 1)
    wrong = np.abs(answer + 1 - labelled["label"]) > 1
    for row in curve.itertuples():
        kept = confidence >= row.threshold
        assert (row.n_answered, row.n_errors) == (kept.sum(), wrong[kept].sum())
    passed = np.flatnonzero(curve["passed"])
    assert (curve["upper"][passed] <= 0.25).all()
    assert (np.diff(passed) == 1).all()
    assert passed[-1] + 1 == len(curve) or curve["upper"][passed[-1] + 1] > 0.25
    assert found.threshold == curve["threshold"][passed[-1]]
    got = found.predict(new)
    np.testing.assert_array_equal(got["answered"], got["confidence"] >= found.threshold)
    assert set(got["answer"]) <= {1, 2, 3, 4, 5}


def test_too_few_labels_give_no_answers_and_a_reason(calibration: ps.CalibrationMap) -> None:
    found = ps.abstention(calibration, labelled=judged(20, seed=2), risk=0.1)
    assert found.threshold is None
    # (1 − .1)^29 is the first power below .05.
    assert "even without an error; that takes 29" in found.notes[0]
    assert not found.predict(judged(10, seed=3))["answered"].any()


def test_risk_among_answers_is_kept_to_in_most_samples(calibration: ps.CalibrationMap) -> None:
    """Over labelled samples in groups of three, the true risk exceeds what was asked at most as often as said."""
    whole = judged(60_000, seed=77)
    answer, confidence = answers(calibration.predict(whole)[calibration.probability_columns].to_numpy(), 1)
    wrong = np.abs(answer + 1 - whole["label"].to_numpy()) > 1
    order = np.argsort(-confidence)
    running = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    # The true risk is .02 among the surest and .10 of all, and crosses what is asked near two thirds of the rows.
    asked, runs, broken, answering = 0.07, 150, 0, 0
    for run in range(runs):
        labelled = judged(600, seed=300 + run, per_group=3)
        found = ps.abstention(calibration, labelled=labelled, risk=asked, level=0.8, tolerance=1, seed=run)
        if found.threshold is not None:
            answering += 1
            last = np.searchsorted(-confidence[order], -found.threshold, side="right") - 1
            broken += running[last] > asked
    assert answering > runs / 3
    assert broken <= binom.ppf(0.9995, runs, 0.2)
