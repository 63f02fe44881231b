"""Bias terms against a refit with interactions, and against naive maximisation."""

from __future__ import annotations

import numpy as np
import pytest
from rated_world import extreme_subjects, naive_posterior, naive_probabilities, naive_steps, rated_frame, rated_table
from scipy.optimize import minimize_scalar
from scipy.stats import norm

import psymetric as ps
from psymetric.errors import DataError

PLANTED = 1.5


@pytest.fixture(scope="module")
def planted():
    table = rated_table(rated_frame(subjects=150, seed=8, bias=PLANTED))
    return table, ps.fit(ps.ManyFacetRasch(), table)


def naive_cell(fit, table, judge, item, posterior_of):
    """ML of one extra term by direct search; `posterior_of` gives each subject's abilities and their weights."""
    value = {facet: dict(fit.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("judge", "item")}
    at, steps = value["judge"][judge] + value["item"][item], naive_steps(fit)
    rows = table.to_frame().query("judge == @judge and item == @item")
    nodes = {subject: posterior_of(subject) for subject in rows["subject"].unique()}

    def ratio(row, extra):
        theta, weight = nodes[row.subject]
        category = fit.categories.index(row.response)
        chosen = [naive_probabilities(x, at + extra, steps)[category] for x in theta]
        before = [naive_probabilities(x, at, steps)[category] for x in theta]
        return np.log(weight @ (np.array(chosen) / np.array(before)))

    def negative(extra):
        return -sum(ratio(row, extra) for row in rows.itertuples())

    found = minimize_scalar(negative, bounds=(-4, 4), method="bounded", options={"xatol": 1e-7}).x
    h = 1e-2
    curvature = (negative(found + h) - 2 * negative(found) + negative(found - h)) / h**2
    return found, 1 / np.sqrt(curvature)


def test_joint_cell_is_the_maximum(joint, table):
    measures = dict(joint.estimates("subject")[["level", "estimate"]].to_numpy())
    extreme = extreme_subjects(joint)
    kept = table.select("subject", [label for label in table.levels["subject"] if label not in extreme])
    estimate, se = naive_cell(joint, kept, "cat", "i3", lambda subject: (np.array([measures[subject]]), np.ones(1)))
    found = ps.bias_analysis(joint, table, "judge", "item").set_index(["judge", "item"]).loc[("cat", "i3")]
    assert found["estimate"] == pytest.approx(estimate, abs=1e-5)
    assert found["se"] == pytest.approx(se, rel=1e-3)  # a second difference


def test_marginal_cell_is_the_maximum_with_subjects_integrated_out(marginal, table):
    def coarse(subject):
        theta, weight = naive_posterior(marginal, table, subject)
        # Every eighth node is still a quarter of a posterior sd.
        return theta[::8], weight[::8] / weight[::8].sum()

    estimate, se = naive_cell(marginal, table, "ann", "i1", coarse)
    found = ps.bias_analysis(marginal, table, "judge", "item").set_index(["judge", "item"]).loc[("ann", "i1")]
    assert found["estimate"] == pytest.approx(estimate, abs=1e-4)
    assert found["se"] == pytest.approx(se, rel=1e-3)


def test_planted_bias_is_found_and_agrees_with_a_refit(planted):
    table, fit = planted
    found = ps.bias_analysis(fit, table, "judge", "item").set_index(["judge", "item"])
    worst = found.loc[("bob", "i1")]
    assert worst["t"] == found["t"].max()
    assert worst["p_holm"] < 0.001
    assert worst["observed"] < worst["expected"]
    refit = ps.fit(ps.ManyFacetRasch(interactions=(("judge", "item"),)), table)
    interactions = refit.estimates("judge:item").set_index(["judge", "item"])["estimate"]
    # Doubly centred, the cells of the screen are the refit's interactions but for what each took from its neighbours.
    grid = found["estimate"].unstack()
    centred = grid.sub(grid.mean(axis=1), axis=0).sub(grid.mean(axis=0), axis=1) + grid.to_numpy().mean()
    np.testing.assert_allclose(centred.stack()[interactions.index], interactions, atol=0.15)
    assert centred.loc["bob", "i1"] == pytest.approx(PLANTED * 4 / 9, abs=3 * worst["se"])


def test_t_p_and_holm(planted):
    table, fit = planted
    found = ps.bias_analysis(fit, table, "judge", "item")
    np.testing.assert_allclose(found["t"], found["estimate"] / found["se"])
    np.testing.assert_allclose(found["p"], 2 * norm.sf(found["t"].abs()))
    ordered = found["p"].sort_values()
    holm = np.minimum(np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)), 1)
    np.testing.assert_allclose(found.loc[ordered.index, "p_holm"], holm)


def test_no_bias_gives_t_of_unit_spread(marginal, table):
    """Nine cells under the null: their mean square is chi-square over its df (four interactions), 99.9% below 4.6."""
    t = ps.bias_analysis(marginal, table, "judge", "item")["t"]
    assert np.sum(t**2) * 4 / 9 / 4 < 4.7


def test_a_cell_at_the_end_of_the_scale_has_no_estimate(marginal, frame):
    stuck = frame.assign(stars=frame["stars"].where((frame["judge"] != "ann") | (frame["item"] != "i1"), 4))
    found = ps.bias_analysis(marginal, rated_table(stuck), "judge", "item").set_index(["judge", "item"])
    cell = found.loc[("ann", "i1")]
    assert np.isnan(cell["estimate"])
    assert np.isnan(cell["p_holm"])
    assert cell["note"] == "all lowest or all highest: no finite estimate"
    assert found["estimate"].notna().sum() == 8


def test_facets_outside_the_model_and_subjects(frame, marginal):
    crossed = frame.assign(template=np.where(np.arange(len(frame)) % 2, "t1", "t2"))
    table = ps.ResponseTable.from_frame(
        crossed, response="stars", subject="text", item="item", facets=("judge", "template"), categories=(1, 2, 3, 4)
    )
    found = ps.bias_analysis(marginal, table, "judge", "template")
    assert found.columns[:2].tolist() == ["judge", "template"]
    assert len(found) == 6
    assert found["n"].sum() == len(frame)
    by_subject = ps.bias_analysis(marginal, table, "subject", "judge")
    assert by_subject["estimate"].notna().sum() > 50


def test_weight_two_shrinks_the_error(joint, frame):
    single = ps.bias_analysis(joint, rated_table(frame), "judge", "item")
    double = ps.bias_analysis(joint, rated_table(frame.assign(n=2.0), weight="n"), "judge", "item")
    np.testing.assert_allclose(double["estimate"], single["estimate"], atol=1e-7)
    np.testing.assert_allclose(double["se"], single["se"] / np.sqrt(2), rtol=1e-6)


def test_refusals(marginal, table, worths, pairs):
    with pytest.raises(DataError, match=r"bias_analysis: 'judge' twice; name two different facets"):
        ps.bias_analysis(marginal, table, "judge", "judge")
    with pytest.raises(DataError, match=r"bias_analysis: the table has no facet 'prompt': it has \['subject', 'item'"):
        ps.bias_analysis(marginal, table, "judge", "prompt")
    with pytest.raises(DataError, match=r"BradleyTerry has no subjects; biases of pairs are not screened here"):
        ps.bias_analysis(worths, pairs, "judge", "item")
