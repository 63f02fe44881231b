"""Posterior probabilities of the truth: published classes, Bayes' rule by hand, gold, other subjects."""

from __future__ import annotations

from pathlib import Path

import labelled_world
import numpy as np
import pandas as pd
import pytest
from labelled_world import confusion, drawn, table_of

import psymetric as ps
from psymetric.errors import DataError


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    return labelled_world.anaesthesia()


@pytest.fixture(scope="module")
def fit(table) -> ps.Fit:
    return ps.fit(ps.DawidSkene(over="observer"), table)


def test_what_stands_beside_the_categories(fit, table) -> None:
    found = ps.true_categories(fit, table)
    np.testing.assert_allclose(found.frame["error"], 1 - found.frame["probability"])
    assert found.accuracy == pytest.approx(found.frame["probability"].mean())
    assert (found.frame["n"] == 7).all()
    assert found.notes == ()


def test_bayes_rule_by_hand(fit, table) -> None:
    found = ps.true_categories(fit, table).probability.set_index("subject")
    patient = 35
    labels = [int(label) - 1 for label in labelled_world.ANAESTHESIA.split()[patient - 1]]
    joint = fit.parameters["prevalence"].copy()
    for observer, label in zip(labelled_world.OBSERVERS, labels, strict=True):
        joint *= fit.parameters["confusion"][observer - 1, :, label]
    share = joint / joint.sum()
    np.testing.assert_allclose(found.loc[patient], share, atol=1e-9)
    known = share[share > 0]
    entropy = ps.true_categories(fit, table).frame.set_index("subject").loc[patient, "entropy"]
    assert entropy == pytest.approx(-(known * np.log2(known)).sum(), abs=1e-9)


def test_draws_carry_what_is_not_known_of_the_judges(fit, table) -> None:
    """Averaged over the errors' uncertainty, soft patients are softer, and rows still sum to one."""
    plain, carried = ps.true_categories(fit, table), ps.true_categories(fit, table, draws=200)
    np.testing.assert_allclose(carried.probability.drop(columns="subject").sum(axis=1), 1)
    soft = plain.frame["probability"] < 0.99
    assert (carried.frame["probability"][soft] < plain.frame["probability"][soft] - 0.01).all()
    assert len(carried.notes) == 1
    assert "1 of 45 subjects have no category of probability 0.9 or more: [35]" in carried.notes[0]
    posterior = ps.fit(fit.model, table, engine=ps.Laplace(draws=200))
    mean = ps.true_categories(posterior, table, draws=200).probability.set_index("subject").loc[7]
    labels = np.array(list(labelled_world.ANAESTHESIA.split()[6]), int) - 1
    by_draw = posterior.draws["prevalence"][0].copy()
    for observer, label in zip(labelled_world.OBSERVERS, labels, strict=True):
        by_draw *= posterior.draws["confusion"][0][:, observer - 1, :, label]
    np.testing.assert_allclose(mean, (by_draw / by_draw.sum(axis=1, keepdims=True)).mean(axis=0), atol=1e-9)


def test_gold_and_other_subjects() -> None:
    prevalence = np.array([0.6, 0.4])
    frame, truth = drawn(prevalence, confusion([0.9, 0.8, 0.7], 2), 200, seed=4)
    gold = pd.DataFrame({"subject": frame["subject"].unique()[:30], "judge": "expert", "label": truth[:30]})
    # One gold label against all judges.
    gold.loc[0, "label"] = 1 - frame["label"].iloc[:3].mode()[0]
    table = table_of(pd.concat([frame, gold], ignore_index=True))
    fit = ps.fit(ps.DawidSkene(gold="expert"), table)
    found = ps.true_categories(fit, table).frame
    assert found["gold"].sum() == 30
    assert found.loc[found["gold"], "category"].tolist() == gold["label"].tolist()
    assert (found.loc[found["gold"], "probability"] == 1).all()
    assert (found["n"] == 3).all()
    # Other subjects, fewer judges in another order, and no gold: the same posterior as in the whole table.
    part = frame[(frame["subject"] >= "s0100") & (frame["subject"] < "s0150")]
    again = ps.true_categories(fit, table_of(part.sort_values("judge", ascending=False))).frame.set_index("subject")
    before = found.set_index("subject").loc[again.index]
    np.testing.assert_allclose(again["probability"], before["probability"], atol=1e-12)
    assert not again["gold"].any()


def test_what_it_refuses(fit, table) -> None:
    frame = labelled_world.anaesthesia_frame()
    with pytest.raises(DataError, match=r"observer not in the fit, which knows \[1, 2, 3, 4, 5\]"):
        ps.true_categories(fit, table_of(frame.assign(observer=frame["observer"] + 1)))
    with pytest.raises(DataError, match="category not in the fit"):
        ps.true_categories(fit, table_of(frame.assign(label=frame["label"] + 1)))
    with pytest.raises(DataError, match="reads facet 'observer', which the table does not have"):
        ps.true_categories(fit, table_of(frame.rename(columns={"observer": "by"})))
    with pytest.raises(DataError, match=r"draws=3\) must be an even number of draws, 0 or more"):
        ps.true_categories(fit, table, draws=3)
    rasch = ps.ResponseTable.from_frame(
        pd.DataFrame({"s": ["a", "a", "b", "b"] * 3, "i": ["x", "y"] * 6, "r": [0, 1, 1, 1, 0, 0] * 2}),
        response="r", subject="s", item="i",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"the fit is of Rasch, which has no latent truth: fit a DawidSkene\(\)"):
        ps.true_categories(ps.fit(ps.Rasch(), rasch, engine=ps.MAP()), table)


@pytest.mark.shared_data
def test_recognising_entailment(shared_data: Path) -> None:
    """Snow et al. (2008), 800 pairs of sentences, 164 workers: gold against majority and latent truth."""
    rows = pd.read_csv(shared_data / "snow2008_rte" / "derived_rte_labels.csv.gz")
    frame = rows.rename(columns={"orig_id": "subject", "!amt_worker_ids": "judge", "response": "label"})
    gold = frame.groupby("subject")["gold"].first()
    votes = frame.groupby("subject")["label"].mean()
    # Ties count half.
    majority = ((votes > 0.5) == gold)[votes != 0.5].sum() + 0.5 * (votes == 0.5).sum()
    assert majority / len(gold) == pytest.approx(0.8969, abs=5e-5)
    table = table_of(frame[["subject", "judge", "label"]])
    for engine in (ps.MarginalML(), ps.MAP()):
        found = ps.true_categories(ps.fit(ps.DawidSkene(), table, engine=engine), table).frame.set_index("subject")
        assert (found["category"] == gold).mean() >= 0.9275
