"""Mean squares against a naive loop, their distribution under the model, flags and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rated_world import (
    naive_posterior,
    naive_probabilities,
    naive_steps,
    rated_frame,
    rated_table,
)

import psymetric as ps
from psymetric.diagnostics.residuals import unexpected_responses, wilson_hilferty
from psymetric.errors import DataError

NAIVE = 1e-5  # squared residuals grow as exp(θ), so that the ends of the two grids still show


@pytest.fixture(scope="module")
def naive(marginal, table) -> pd.DataFrame:
    """Per response, averaged over the subject's posterior on a grid, from the definition of the model."""
    judge, item = (dict(marginal.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("judge", "item"))
    steps, score = naive_steps(marginal), np.arange(4)
    posteriors = {subject: naive_posterior(marginal, table, subject) for subject in table.levels["subject"]}
    rows = []
    for row in table.to_frame().itertuples():
        theta, weight = posteriors[row.subject]
        # Nodes without mass cost time and add nothing.
        theta, weight = theta[weight > 1e-12], weight[weight > 1e-12]
        at = judge[row.judge] + item[row.item]
        probability = np.array([naive_probabilities(value, at, steps) for value in theta])
        expected = probability @ score
        apart = score - expected[:, None]
        variance, fourth = ((probability * apart**power).sum(axis=1) for power in (2, 4))
        residual = marginal.categories.index(row.response) - expected
        rows.append(
            {
                "judge": row.judge,
                "subject": row.subject,
                "v": weight @ variance,
                "r2": weight @ residual**2,
                "z2": weight @ (residual**2 / variance),
                "kz": weight @ (fourth / variance**2 - 1),
                "kr": weight @ (fourth - variance**2),
                "z": weight @ (residual / np.sqrt(variance)),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("facet", ["judge", "subject"])
def test_mean_squares_average_over_the_posterior(marginal, table, naive, facet):
    found = ps.fit_statistics(marginal, table, facets=(facet,)).set_index("level")
    sums = naive.groupby(facet)[["v", "r2", "z2", "kz", "kr"]].sum()
    n = naive.groupby(facet).size()
    sums, n = sums.loc[found.index], n.loc[found.index]
    np.testing.assert_allclose(found["infit"], sums["r2"] / sums["v"], atol=NAIVE)
    np.testing.assert_allclose(found["outfit"], sums["z2"] / n, atol=NAIVE)
    for name, mean_square, q2 in (
        ("infit_z", sums["r2"] / sums["v"], sums["kr"] / sums["v"] ** 2),
        ("outfit_z", sums["z2"] / n, sums["kz"] / n**2),
    ):
        q = np.sqrt(q2)
        np.testing.assert_allclose(found[name], (mean_square ** (1 / 3) - 1) * 3 / q + q / 3, atol=1e-5)
    np.testing.assert_allclose(found["model_se"], 1 / np.sqrt(sums["v"]), atol=NAIVE)
    np.testing.assert_allclose(found["n"], n)


def test_unexpected_responses_are_the_naive_ones(marginal, table, naive):
    found = unexpected_responses(marginal, table, threshold=1.5)
    far = np.flatnonzero(naive["z"].abs() >= 1.5)
    assert len(far) > 3
    assert set(found["row"]) == set(far)
    np.testing.assert_allclose(found["z"], naive["z"].to_numpy()[found["row"]], atol=NAIVE)
    assert found.columns.tolist() == ["row", "subject", "item", "judge", "response", "expected", "residual", "z"]
    assert len(unexpected_responses(marginal, table, threshold=1.5, limit=2)) == 2


def test_point_measure_is_a_correlation(joint, table):
    found = ps.fit_statistics(joint, table, facets=("judge",)).set_index("level")
    frame = table.to_frame()
    frame = frame[
        ~frame["subject"].isin(
            [s for s, e in zip(joint.levels["subject"], joint.extremes["subject"], strict=True) if e]
        )
    ]
    value = {
        facet: dict(joint.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("subject", "item", "judge")
    }
    frame["at"] = frame["subject"].map(value["subject"]) - frame["item"].map(value["item"])
    frame["at"] = frame["at"].astype(float) - frame["judge"].map(value["judge"]).astype(float)
    for judge, part in frame.groupby("judge"):
        assert found.loc[judge, "point_measure"] == pytest.approx(part["response"].corr(part["at"]), abs=1e-9)
    assert found["point_measure_expected"].between(0.3, 1).all()


def test_mean_squares_are_one_under_the_model(marginal):
    """Averaging over the posterior keeps the expectation at 1; at estimates it would be below."""
    outfit = []
    for seed in range(20):
        simulated = rated_table(rated_frame(subjects=60, seed=100 + seed).query("text != 'top' and text != 'bottom'"))
        truth = {
            "judge": np.array([-0.6, 0.1, 0.5]), "item": np.array([-0.5, 0.0, 0.5]), "step": np.array([-1.0, 0.2, 0.8]),
            "population_mean": np.array(0.3), "population_sd": np.array(1.2),
        }  # fmt: skip
        known = replace(marginal, parameters={**marginal.parameters, **truth})
        outfit.append(ps.fit_statistics(known, simulated, facets=("judge",))[["infit", "outfit"]].to_numpy())
    values = np.array(outfit)
    standard_error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - 1) < 4 * standard_error).all()
    assert standard_error.max() < 0.04


def test_weight_two_equals_row_twice(marginal, frame):
    twice = ps.fit_statistics(marginal, rated_table(pd.concat([frame, frame])))
    weighted = ps.fit_statistics(marginal, rated_table(frame.assign(n=2.0), weight="n"))
    pd.testing.assert_frame_equal(twice, weighted, atol=1e-9)


def test_wilson_hilferty_at_its_own_mean():
    # MS = 1 gives z = q/3 (Wright & Masters, 1982, p. 101).
    assert wilson_hilferty(np.array([1.0]), np.array([0.09]))[0] == pytest.approx(0.1)
    assert np.isnan(wilson_hilferty(np.array([1.0]), np.array([0.0]))[0])


def test_pairs_of_facets_and_facets_outside_the_model(frame):
    noisy = frame.assign(template=np.where(np.arange(len(frame)) % 2, "t1", "t2"))
    table = ps.ResponseTable.from_frame(
        noisy, response="stars", subject="text", item="item", facets=("judge", "template"), categories=(1, 2, 3, 4)
    )
    fit = ps.fit(ps.ManyFacetRasch(), table)
    found = ps.fit_statistics(fit, table, pairs=[("judge", "item")])
    assert set(found["facet"]) == {"subject", "item", "judge", "template", "judge:item"}
    cell = found[(found["facet"] == "judge:item") & (found["level"] == "bob × i2")]
    assert cell["n"].item() == len(noisy.query("judge == 'bob' and item == 'i2'"))
    assert found[found["facet"] == "template"]["n"].sum() == len(noisy)


def test_a_random_judge_is_flagged(frame):
    rng = np.random.default_rng(0)
    coin = frame.assign(stars=np.where(frame["judge"] == "cat", rng.integers(1, 5, len(frame)), frame["stars"]))
    table = rated_table(coin)
    found = ps.fit_statistics(ps.fit(ps.ManyFacetRasch(), table), table, facets=("judge",)).set_index("level")
    assert found.loc["cat", "flag"].startswith("noisy: ") or found.loc["cat", "flag"].startswith("erratic: ")
    assert found.loc["cat", "infit_z"] > 3
    assert found.loc["ann", "flag"] == ""


def test_extreme_scores_of_joint_ml_say_nothing_about_fit(joint, table):
    found = ps.fit_statistics(joint, table).set_index(["facet", "level"])
    top = found.loc[("subject", "top")]
    assert np.isnan(top["infit"])
    assert top["n"] == 9
    assert top["flag"] == "extreme score: no residual to judge"
    assert found.loc["judge"]["infit"].notna().all()
    assert "top" not in set(unexpected_responses(joint, table, threshold=0.1)["subject"])


def test_pairs_of_items(worths, pairs):
    found = ps.fit_statistics(worths, pairs).set_index(["facet", "level"])
    worth = worths.parameters["worth"]
    frame = pairs.to_frame().query("left == 'a' or right == 'a'")
    place = {label: k for k, label in enumerate(worths.levels["item"])}
    p = 1 / (1 + np.exp(-(worth[frame["left"].map(place)] - worth[frame["right"].map(place)])))
    residual = (frame["response"] == "left").to_numpy() - p
    expected = np.average(residual**2 / (p * (1 - p)), weights=frame["weight"])
    assert found.loc[("item", "a"), "outfit"] == pytest.approx(expected, abs=1e-9)
    assert set(found.index.get_level_values("facet")) == {"item", "judge"}
    listed = unexpected_responses(worths, pairs, threshold=1.0)
    assert {"left", "right", "judge", "expected"} <= set(listed.columns)


def test_refusals(marginal, joint, table, frame):
    with pytest.raises(DataError, match=r"fit_statistics: the table has no facet 'prompt': it has \['subject', 'item'"):
        ps.fit_statistics(marginal, table, facets=("prompt",))
    with pytest.raises(DataError, match=r"pairs=\('judge', 'judge'\) needs two different facets"):
        ps.fit_statistics(marginal, table, pairs=[("judge", "judge")])
    with pytest.raises(DataError, match=r"threshold=0 must be positive"):
        unexpected_responses(marginal, table, threshold=0)
    stranger = rated_table(frame.assign(text=frame["text"].replace("s0", "new")))
    with pytest.raises(DataError, match=r"fit_statistics: subject not in the fit.*got \['new'\]"):
        ps.fit_statistics(joint, stranger)
    with pytest.raises(DataError, match=r"every response belongs to a subject or level with an extreme score"):
        ps.fit_statistics(joint, rated_table(frame[frame["text"].isin(["top", "bottom"])]))
