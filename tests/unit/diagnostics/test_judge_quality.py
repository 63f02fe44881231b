"""Bits, kappa and gains of judges: by enumeration in NumPy, by the labels themselves where the truth is gold."""

from __future__ import annotations

import label_likelihoods
import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy
from sklearn.metrics import cohen_kappa_score, mutual_info_score

import psymetric as ps
from psymetric.errors import DataError, DesignError


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return label_likelihoods.label_frame(150, n_categories=2, seed=9)


@pytest.fixture(scope="module")
def table(frame: pd.DataFrame) -> ps.ResponseTable:
    return label_likelihoods.label_table(frame)


@pytest.fixture(scope="module")
def fit(table: ps.ResponseTable) -> ps.Fit:
    return ps.fit(ps.DawidSkene(), table, engine=ps.MAP())


@pytest.fixture(scope="module")
def quality(fit: ps.Fit, table: ps.ResponseTable) -> ps.JudgeQuality:
    return ps.judge_quality(fit, table, draws=20)


def test_accuracy_kappa_and_bits_are_those_of_the_joint_table(fit: ps.Fit, quality: ps.JudgeQuality) -> None:
    """As functions of integer counts, by scikit-learn, in proportion to the estimated joint probabilities."""
    share, confusion = fit.parameters["prevalence"], fit.parameters["confusion"]
    np.testing.assert_allclose(quality.confusion, confusion, atol=1e-12)
    for place, row in quality.frame.iterrows():
        joint = share[:, None] * confusion[place]
        truth, label = np.divmod(np.arange(4), 2)
        assert row["accuracy"] == pytest.approx(np.trace(joint), abs=1e-12)
        assert row["kappa"] == pytest.approx(cohen_kappa_score(truth, label, sample_weight=joint.ravel()), abs=1e-10)
        # In counts, which it wants whole, of a hundred million labels: rounded at the eighth decimal.
        bits = mutual_info_score(None, None, contingency=(1e8 * joint).round().astype(np.int64)) / np.log(2)
        assert row["bits"] == pytest.approx(bits, abs=1e-6)


def test_lost_and_gain_are_those_of_bayes_rule(fit: ps.Fit, quality: ps.JudgeQuality, frame: pd.DataFrame) -> None:
    """Every subject's truth with one label left out, and with each label that might come."""
    share, confusion = fit.parameters["prevalence"], fit.parameters["confusion"]

    def posterior(rows: pd.DataFrame) -> np.ndarray:
        joint = share.copy()
        for judge, label in zip(rows["judge"], rows["label"], strict=True):
            joint = joint * confusion[judge][:, label]
        return joint / joint.sum()

    lost, gain, rise = [], [], []
    for _, rows in frame.groupby("subject"):
        truth = posterior(rows)
        if 2 in set(rows["judge"]):
            lost.append(entropy(posterior(rows[rows["judge"] != 2]), base=2) - entropy(truth, base=2))
        chance = truth @ confusion[2]
        after = truth[:, None] * confusion[2] / chance
        gain.append(entropy(truth, base=2) - chance @ entropy(after, base=2, axis=0))
        rise.append(chance @ after.max(axis=0) - truth.max())
    row = quality.frame.iloc[2]
    assert row["lost"] == pytest.approx(np.mean(lost), abs=1e-10)
    assert row["gain"] == pytest.approx(np.mean(gain), abs=1e-10)
    assert row["gain_accuracy"] == pytest.approx(np.mean(rise), abs=1e-10)


def test_shared_errors_bound_what_a_family_tells(frame: pd.DataFrame, table: ps.ResponseTable) -> None:
    """Given the truth a label errs by its family as well, and one more judge of a family present tells less."""
    fit = ps.fit(ps.FamilyDawidSkene(prior_shared=0.3), table, engine=ps.MAP())
    found = ps.judge_quality(fit, table, draws=10)
    shared, confusion = fit.parameters["shared_error"], fit.parameters["confusion"]
    view = np.array([[[1 - s, s], [s, 1 - s]] for s in shared[np.arange(5) // 2]])
    np.testing.assert_allclose(found.confusion, view @ confusion, atol=1e-9)
    assert (found.frame["gain"] < found.frame["bits"]).all()


def test_costs_decide_whom_to_ask(fit: ps.Fit, table: ps.ResponseTable, quality: ps.JudgeQuality) -> None:
    best = quality.frame["gain"].idxmax()
    assert quality.frame.loc[best, "advice"] == "buy"
    dear = ps.judge_quality(fit, table, cost={j: 100.0 if j == best else 1.0 for j in range(5)}, draws=10)
    assert dear.frame.loc[best, "advice"] == "drop"
    assert dear.frame.loc[best, "per_cost"] == pytest.approx(quality.frame.loc[best, "gain"] / 100)
    with pytest.raises(DataError, match=r"cost lacks 4 judges, the first 1: give every one"):
        ps.judge_quality(fit, table, cost={0: 1.0})
    with pytest.raises(DataError, match=r"cost names 'x', who is no judge"):
        ps.judge_quality(fit, table, cost={"x": 1.0})
    with pytest.raises(DataError, match=r"cost\[0\]=-1.0 must be a positive number"):
        ps.judge_quality(fit, table, cost=dict.fromkeys(range(5), -1.0))
    with pytest.raises(DataError, match=r"draws=11 must be an even number, 10 or more"):
        ps.judge_quality(fit, table, draws=11)


def test_a_copy_and_a_liar_are_flagged(frame: pd.DataFrame) -> None:
    copy = frame[frame["judge"] == 3].assign(judge=5, family=5)
    liar = frame[frame["judge"] == 4].assign(judge=6, family=6)
    liar["label"] = 1 - liar["label"]
    table = label_likelihoods.label_table(pd.concat([frame, copy, liar], ignore_index=True))
    found = ps.judge_quality(ps.fit(ps.DawidSkene(), table, engine=ps.MAP()), table, draws=20).frame
    flags = dict(zip(found["judge"], found["flag"], strict=True))
    assert flags[5].endswith(f"same labels as 3 on all {len(copy)} common subjects")
    assert flags[6].startswith("worse than chance: kappa -")
    assert list(found["advice"][5:]) == ["drop", "drop"]
    assert found["advice"][3] != "drop"


def test_other_models_are_refused() -> None:
    pairs = pd.DataFrame({"left": list("abc"), "right": list("bca"), "winner": ["left"] * 3})
    table = ps.PairTable.from_frame(pairs, left="left", right="right", outcome="winner")
    fit = ps.fit(ps.BradleyTerry(), table)
    with pytest.raises(DesignError, match=r"judge_quality needs a fit of a latent-truth model such as DawidSkene"):
        ps.judge_quality(fit, table)
