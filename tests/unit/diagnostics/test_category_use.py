"""Category statistics against counting, and curves against the model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rated_world import extreme_subjects, naive_probabilities, naive_steps, rated_table

import psymetric as ps
from psymetric.diagnostics.categories import category_curves
from psymetric.errors import DataError


def test_counts_and_average_measures(joint, table):
    found = ps.category_statistics(joint, table).set_index("category")
    frame = table.to_frame()
    assert found["n"].to_dict() == frame["response"].value_counts().sort_index().to_dict()
    assert found["share"].sum() == pytest.approx(1)
    value = {
        facet: dict(joint.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("subject", "item", "judge")
    }
    frame = frame[~frame["subject"].isin(extreme_subjects(joint))]
    at = frame["subject"].map(value["subject"]) - frame["item"].map(value["item"]) - frame["judge"].map(value["judge"])
    expected = at.astype(float).groupby(frame["response"]).mean()
    np.testing.assert_allclose(found["average_measure"], expected, atol=1e-9)
    # What the fit expects: locations weighted by the probability of the category.
    probability = np.array([naive_probabilities(place, 0.0, naive_steps(joint)) for place in at])
    foreseen = (probability * at.to_numpy(float)[:, None]).sum(axis=0) / probability.sum(axis=0)
    np.testing.assert_allclose(found["expected_measure"], foreseen, atol=1e-8)


def test_thresholds_are_the_steps(marginal, table):
    found = ps.category_statistics(marginal, table)
    assert np.isnan(found["threshold"].iloc[0])
    np.testing.assert_allclose(found["threshold"].iloc[1:], marginal.parameters["step"].ravel())
    np.testing.assert_allclose(found["threshold_se"].iloc[1:], marginal.standard_errors["step"].ravel())
    assert found["group"].unique().tolist() == ["all"]
    assert not found["disordered"].any()
    assert found["average_measure"].is_monotonic_increasing


def test_disordered_and_unused_categories_are_flagged():
    rng = np.random.default_rng(1)
    rows = [(s, j, i) for s in range(60) for j in "ab" for i in ("i1", "i2")]
    frame = pd.DataFrame(rows, columns=["text", "judge", "item"])
    theta = rng.normal(0, 1.5, 60)[frame["text"]]
    # A middle category that is hardly chosen has its two thresholds in reverse; 3 of 1…5 is never chosen.
    high = rng.random(len(frame)) < 1 / (1 + np.exp(-theta))
    frame["stars"] = np.where(rng.random(len(frame)) < 0.06, 2, np.where(high, 4, 1))
    table = ps.ResponseTable.from_frame(
        frame, response="stars", subject="text", item="item", facets="judge", categories=(1, 2, 3, 4)
    )
    found = ps.category_statistics(ps.fit(ps.ManyFacetRasch(), table), table).set_index("category")
    assert found.loc[3, "n"] == 0
    assert found.loc[3, "flag"] == "never used"
    assert np.isnan(found.loc[3, "threshold"])
    assert np.isnan(found.loc[3, "average_measure"])


def test_disorder_is_found(joint, table):
    from dataclasses import replace

    steps = np.array([0.5, -0.5, 0.0]).reshape(joint.parameters["step"].shape)
    turned = replace(joint, parameters={**joint.parameters, "step": steps})
    found = ps.category_statistics(turned, table)
    assert found["disordered"].tolist() == [False, False, True, False]
    assert "threshold disordered" in found["flag"].iloc[2]


def test_groups_own_their_steps(table):
    fit = ps.fit(ps.ManyFacetRasch(steps="item"), table)
    found = ps.category_statistics(fit, table)
    assert found["group"].unique().tolist() == ["i1", "i2", "i3"]
    np.testing.assert_allclose(found.groupby("group")["share"].sum(), 1.0)
    np.testing.assert_allclose(found["threshold"].dropna(), fit.parameters["step"].ravel())
    curves = category_curves(fit, "i2", points=5)
    expected = [naive_probabilities(theta, 0.0, fit.parameters["step"][1]) for theta in curves["theta"].unique()]
    np.testing.assert_allclose(curves["probability"].to_numpy().reshape(5, 4), expected, atol=1e-12)
    with pytest.raises(
        DataError, match=r"group='i9' is no level of 'item', which owns the steps: \['i1', 'i2', 'i3'\]"
    ):
        category_curves(fit, "i9")


def test_curves_follow_the_model(marginal):
    curves = category_curves(marginal, reach=3, points=7)
    assert curves["theta"].unique().tolist() == [-3, -2, -1, 0, 1, 2, 3]
    wide = curves.pivot(index="theta", columns="category", values="probability")
    expected = [naive_probabilities(theta, 0.0, naive_steps(marginal)) for theta in wide.index]
    np.testing.assert_allclose(wide, expected, atol=1e-12)
    np.testing.assert_allclose(curves["expected"].unique(), np.array(expected) @ [1, 2, 3, 4], atol=1e-12)


def test_a_model_without_steps(frame):
    binary = frame.assign(stars=(frame["stars"] > 2).astype(int))
    table = ps.ResponseTable.from_frame(binary, response="stars", subject="text", item="item")
    fit = ps.fit(ps.Rasch(), table)
    found = ps.category_statistics(fit, table)
    assert found["threshold"].isna().all()
    assert found["n"].sum() == len(binary)
    assert category_curves(fit, points=3)["probability"].iloc[2] == pytest.approx(0.5)


def test_refusals(marginal, worths, pairs):
    with pytest.raises(DataError, match=r"category_statistics: BradleyTerry has outcomes, not ordered categories"):
        ps.category_statistics(worths, pairs)
    with pytest.raises(DataError, match=r"group='i1', but the steps of this fit are common: leave group out"):
        category_curves(marginal, "i1")


def test_weights_count(marginal, frame):
    found = ps.category_statistics(marginal, rated_table(frame.assign(n=2.0), weight="n"))
    single = ps.category_statistics(marginal, rated_table(frame))
    np.testing.assert_allclose(found["n"], 2 * single["n"])
    np.testing.assert_allclose(found["share"], single["share"])
