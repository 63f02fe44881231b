"""The model of confusion matrices: what it gives probability to, what it draws, and what it refuses."""

from __future__ import annotations

import jax.numpy as jnp
import labelled_world
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError
from psymetric.estimation.truth import truth_data, truth_sums
from psymetric.models.dawid_skene import confusion_counts
from psymetric.simulation.studies import draw_parameters, simulate_responses

PREVALENCE = np.array([0.5, 0.3, 0.2])
MATRICES = np.array(
    [[[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.05, 0.15, 0.8]], [[0.6, 0.3, 0.1], [0.1, 0.9, 0.0], [0.3, 0.3, 0.4]]]
)
PARAMS = {"prevalence": PREVALENCE, "confusion": MATRICES}


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return labelled_world.drawn(PREVALENCE, MATRICES, 5, seed=2)[0]


def _log_likelihood(model: ps.DawidSkene, table: ps.ResponseTable, params=PARAMS) -> float:
    sums = truth_sums(model, truth_data(model, table), len(table.categories))
    return float(sums.log_likelihood({name: jnp.asarray(value) for name, value in params.items()}))


def test_likelihood_is_the_sum_over_all_truths_of_all_subjects(frame) -> None:
    """Five subjects of three categories: 243 assignments, each with its probability."""
    frame = pd.concat([frame, frame.iloc[[3]]]).assign(w=lambda rows: np.linspace(0.5, 2.5, len(rows)))
    table = labelled_world.table_of(frame, weight="w", categories=(0, 1, 2))
    expected = labelled_world.log_likelihood_by_assignment(PREVALENCE, MATRICES, table)
    assert _log_likelihood(ps.DawidSkene(), table) == pytest.approx(expected, abs=1e-10)


def test_subjects_of_equal_labels_are_counted() -> None:
    drawn, _ = labelled_world.drawn(PREVALENCE, MATRICES, 300, seed=5)
    table = labelled_world.table_of(drawn)
    data = truth_data(ps.DawidSkene(), table)
    assert data.multiplicity.sum() == 300
    assert len(data.multiplicity) == len(
        drawn.pivot_table(index="subject", columns="judge", values="label").value_counts()
    )
    alone = sum(
        _log_likelihood(ps.DawidSkene(), table.select("subject", list(table.levels["subject"][k : k + 100])))
        for k in (0, 100, 200)
    )
    assert _log_likelihood(ps.DawidSkene(), table) == pytest.approx(alone, abs=1e-9)


def test_gold_clamps_the_truth(frame) -> None:
    """Of clamped subjects the likelihood is the prevalence of the truth times the labels' probabilities under it."""
    gold = pd.DataFrame({"subject": ["s0000", "s0003"], "judge": "expert", "label": [2, 1]})
    table = labelled_world.table_of(pd.concat([frame, gold]), categories=(0, 1, 2))
    whole = _log_likelihood(ps.DawidSkene(gold="expert"), table)
    rest = frame[~frame["subject"].isin(gold["subject"])]
    free = _log_likelihood(ps.DawidSkene(), labelled_world.table_of(rest, categories=(0, 1, 2)))
    known = 0.0
    for subject, _, truth in gold.itertuples(index=False):
        own = frame[frame["subject"] == subject]
        judge = own["judge"].str[-1].astype(int).to_numpy()
        known += np.log(PREVALENCE[truth]) + np.log(MATRICES[judge, truth, own["label"].to_numpy()]).sum()
    assert whole == pytest.approx(free + known, abs=1e-10)
    assert ps.DawidSkene(gold="expert").levels(table)["judge"] == ("j000", "j001")


def test_groups_have_prevalences_of_their_own(frame) -> None:
    frame = frame.assign(region=np.where(frame["subject"] < "s0002", "n", "s"))
    table = labelled_world.table_of(frame, "region", categories=(0, 1, 2))
    shares = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    found = _log_likelihood(ps.DawidSkene(groups="region"), table, PARAMS | {"prevalence": shares})
    parts = [
        labelled_world.log_likelihood_by_assignment(share, MATRICES, table.select("region", [region]))
        for share, region in zip(shares, "ns", strict=True)
    ]
    assert found == pytest.approx(sum(parts), abs=1e-10)


def test_simulated_labels_of_one_subject_share_its_truth() -> None:
    """Both judges on 40,000 subjects: how often they say what is the mixture's, not the product's."""
    n = 40_000
    codes = {"subject": np.repeat(np.arange(n), 2), "judge": np.tile([0, 1], n)}
    known = {name: jnp.asarray(value) for name, value in PARAMS.items()}
    drawn = ps.DawidSkene().simulate(known, codes, 3, seed=1).reshape(-1, 2)
    expected = np.einsum("m,mi,mj->ij", PREVALENCE, *MATRICES).ravel()
    found = np.bincount(drawn @ [3, 1], minlength=9) / n
    # Nine frequencies: five standard errors are exceeded by chance once in 200,000 such tests.
    assert np.all(np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / n))
    margins = [PREVALENCE @ matrix for matrix in MATRICES]
    assert np.abs(found - np.outer(*margins).ravel()).max() > 10 * np.sqrt(0.25 / n)


def test_tables_are_simulated_with_their_groups() -> None:
    model = ps.DawidSkene(groups="region")
    levels = {"subject": tuple(range(20)), "judge": ("x", "y", "z"), "region": ("n", "s"), "truth": (0, 1, 2),
              "category": (0, 1, 2)}  # fmt: skip
    params = draw_parameters(model, levels, seed=2)
    np.testing.assert_allclose(params["confusion"].sum(axis=-1), 1)
    assert (params["confusion"].argmax(axis=-1) == np.arange(3)).mean() > 0.8
    design = pd.DataFrame(
        [(s, j, "ns"[s % 2]) for s in range(20) for j in "xyz"], columns=["subject", "judge", "region"]
    )
    table = simulate_responses(model, params, levels, design=design, n_categories=3, seed=5)
    assert (table.n_rows, table.levels["region"]) == (60, ("n", "s"))


def test_prior_counts() -> None:
    np.testing.assert_allclose(confusion_counts(4.0, 0.7, 3), [[2.8, 0.6, 0.6], [0.6, 2.8, 0.6], [0.6, 0.6, 2.8]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior_labels": 0}, r"prior_labels=0\) must be a positive number of labels"),
        ({"prior_accuracy": 1.0}, r"prior_accuracy=1.0\) must be a probability between 0 and 1"),
        ({"prior_subjects": float("nan")}, r"prior_subjects=nan\) must be a positive number of subjects"),
        ({"over": "subject"}, r"over='subject', groups=None\) must name two columns"),
        ({"groups": "judge"}, r"over='judge', groups='judge'\) must name two columns"),
    ],
)
def test_settings_that_make_no_model(settings, message) -> None:
    with pytest.raises(DesignError, match=message):
        ps.DawidSkene(**settings)


def test_tables_that_make_no_model(frame) -> None:
    gold = pd.DataFrame({"subject": ["s0000", "s0000"], "judge": "expert", "label": [2, 1]})
    both = labelled_world.table_of(pd.concat([frame, gold]), categories=(0, 1, 2))
    with pytest.raises(DataError, match=r"1 subject with gold labels that differ, the first 's0000' \(1, 2\)\. Decide"):
        ps.fit(ps.DawidSkene(gold="expert"), both)
    with pytest.raises(DataError, match=r"gold='exprt'\): 'judge' has no level 'exprt'; did you mean 'expert'"):
        ps.fit(ps.DawidSkene(gold="exprt"), both)
    with pytest.raises(DataError, match="has no level but gold: there is nobody to judge"):
        ps.fit(ps.DawidSkene(gold="expert"), labelled_world.table_of(gold.iloc[:1], categories=(0, 1, 2)))
    with pytest.raises(DataError, match=r"reads facet 'rater', which the table does not have"):
        ps.fit(ps.DawidSkene(over="rater"), both)
    with pytest.raises(DataError, match="has a facet called 'truth', an axis of its parameters"):
        ps.fit(ps.DawidSkene(), labelled_world.table_of(frame.assign(truth="x"), "truth"))
    moving = frame.assign(region=np.where(frame.index % 2, "n", "s"))
    with pytest.raises(DataError, match="column 'region' must be constant within each subject"):
        ps.fit(ps.DawidSkene(groups="region"), labelled_world.table_of(moving, "region"))
