"""l_z and l_z* from their definition, their distribution under the model, planted misfit and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rated_world import naive_probabilities, naive_rows, naive_steps, rated_frame, rated_table

import psymetric as ps
from psymetric.errors import DataError

# Central differences of step 1e-4 err by 1e-8 in first and 1e-5 in second derivatives.
NAIVE, STEP = 1e-5, 1e-4


def naive_person_fit(fit, table, subject: str, theta: float, method: str) -> tuple[float, float]:
    """l_z and l_z* of one subject, category by category, derivatives by differences (Sinharay, 2016)."""
    steps, mean, variance, chosen = naive_steps(fit), 0.0, 0.0, 0.0
    covariance, information, warm = 0.0, 0.0, 0.0
    contrasts = []
    for at, weight, category in naive_rows(fit, table, subject):
        p, up, down = (naive_probabilities(theta + h, at, steps) for h in (0, STEP, -STEP))
        slope, bend, w = (up - down) / (2 * STEP), (up + down - 2 * p) / STEP**2, np.log(p)
        mean += weight * (p @ w)
        variance += weight * (p @ w**2 - (p @ w) ** 2)
        chosen += weight * w[category]
        covariance += weight * (slope @ w)
        information += weight * (slope**2 / p).sum()
        warm += weight * (slope * bend / p).sum()
        contrasts.append((weight, p, w, slope / p))
    c = covariance / information
    centre, sd = float(fit.parameters["population_mean"]), float(fit.parameters["population_sd"])
    r0 = {"wle": warm / (2 * information), "ml": 0.0, "map": (centre - theta) / sd**2}[method]
    left = sum(
        weight * (p @ (w - c * s) ** 2 - (p @ (w - c * s)) ** 2) for weight, p, w, s in contrasts
    )  # fmt: skip
    return (chosen - mean) / np.sqrt(variance), (chosen - mean + c * r0) / np.sqrt(left)


@pytest.mark.parametrize("method", ["wle", "ml", "map"])
def test_definition(marginal, table, method):
    found = ps.person_fit(marginal, table, method=method)
    assert found["subject"].tolist() == list(table.levels["subject"])
    known = found[found["lz"].notna()]
    assert len(known) >= 39
    scores = ps.score(marginal, table, method=method)
    abilities = scores.frame.set_index("subject")["estimate"]
    for row in known.iloc[::4].itertuples():
        assert row.ability == pytest.approx(abilities[row.subject], abs=1e-8)
        lz, star = naive_person_fit(marginal, table, row.subject, row.ability, method)
        assert row.lz == pytest.approx(lz, abs=NAIVE)
        assert row.lz_star == pytest.approx(star, abs=NAIVE)


@pytest.fixture(scope="module")
def known():
    """A Rasch fit whose forty items are known to be right, and two thousand subjects who follow it."""
    rng = np.random.default_rng(11)
    difficulty = np.linspace(-2, 2, 40)
    theta = rng.normal(0, 1, 2000)
    right = rng.random((2000, 40)) < 1 / (1 + np.exp(difficulty - theta[:, None]))
    long = pd.DataFrame(right.astype(int)).rename_axis("person").reset_index().melt("person", var_name="item")
    table = ps.ResponseTable.from_frame(long, response="value", subject="person", item="item")
    fit = ps.fit(ps.Rasch(), table)
    truth = {"item": difficulty, "population_mean": np.array(0.0), "population_sd": np.array(1.0)}
    return replace(fit, parameters={**fit.parameters, **truth}), table, right


def test_distribution_under_the_model(known):
    """l_z* has mean 0 and variance 1 up to order 1/n; l_z at an estimated ability is too narrow and off centre.

    The bands are 4 Monte Carlo standard errors plus the skewness term of order 1/√n that both keep.
    """
    fit, table, _ = known
    found = ps.person_fit(fit, table)
    size = len(found)
    star, plain = found["lz_star"], found["lz"]
    assert abs(star.mean()) < 4 / np.sqrt(size)
    assert abs(star.var() - 1) < 4 * np.sqrt(2 / size)
    assert abs(star.var() - 1) < abs(plain.var() - 1)
    # A long lower tail makes a test at .05 reject a little too often, as the docstring says.
    assert 0.05 - 4 * np.sqrt(0.05 * 0.95 / size) < (found["p"] < 0.05).mean() < 0.08


def test_closed_form_of_the_rasch_model(known):
    """Snijders' (2001) example: c = Σ P Q logit P / Σ P Q for the maximum-likelihood estimate, r0 = 0."""
    fit, table, right = known
    row = ps.person_fit(fit, table, method="ml").set_index("subject").loc[7]
    logit = row["ability"] - np.linspace(-2, 2, 40)
    p = 1 / (1 + np.exp(-logit))
    c = (p * (1 - p) * logit).sum() / (p * (1 - p)).sum()
    star = ((right[7] - p) * logit).sum() / np.sqrt((p * (1 - p) * (logit - c) ** 2).sum())
    assert row["lz_star"] == pytest.approx(star, abs=1e-9)


def test_reversed_responses_are_flagged(known):
    fit, _, _ = known
    easy_wrong = np.arange(40) >= 20
    frame = pd.DataFrame({"person": 0, "item": np.arange(40), "value": easy_wrong.astype(int)})
    odd = ps.ResponseTable.from_frame(frame, response="value", subject="person", item="item")
    found = ps.person_fit(fit, odd).iloc[0]
    assert found["lz_star"] < -5
    assert found["flag"].startswith("at odds with the model: ")
    assert found["p_holm"] == found["p"]


def test_weight_two_equals_row_twice(marginal, frame):
    twice = ps.person_fit(marginal, rated_table(pd.concat([frame, frame])))
    weighted = ps.person_fit(marginal, rated_table(frame.assign(n=2.0), weight="n"))
    pd.testing.assert_frame_equal(twice, weighted, atol=1e-9)


def test_no_number_without_a_reason(marginal, joint, table, known):
    ml = ps.person_fit(marginal, table, method="ml").set_index("subject")
    assert ml.loc["top", "flag"] == "extreme score: no maximum of the likelihood"
    assert np.isnan(ml.loc["top", "p"])
    assert np.isfinite(ps.person_fit(marginal, table).set_index("subject").loc["top", "lz_star"])
    own = ps.person_fit(joint, table, method="ml").set_index("subject")
    assert own.loc["top", "flag"] == "extreme scores only, or no responses: nothing can misfit"
    measures = joint.estimates("subject").set_index("level")["estimate"]
    assert own.loc["s1", "ability"] == pytest.approx(measures["s1"], abs=1e-6)
    fit, answers, _ = known
    first = answers.to_frame().query("item == 0").rename(columns={"response": "value"})
    one = ps.ResponseTable.from_frame(first, response="value", subject="subject", item="item")
    single = ps.person_fit(fit, one, method="map")
    assert (single["flag"] == "the ability explains these responses entirely: too few or too alike").all()
    assert single[["lz", "lz_star", "p"]].isna().all(axis=None)


def test_refusals(marginal, table, pairs, worths):
    with pytest.raises(DataError, match="person_fit: BradleyTerry has no subjects"):
        ps.person_fit(worths, pairs)
    with pytest.raises(DataError, match=r"method='eap' is not one of \['wle', 'ml', 'map'\]"):
        ps.person_fit(marginal, table, method="eap")
    with pytest.raises(DataError, match="alpha=5 is not a level between 0 and 1"):
        ps.person_fit(marginal, table, alpha=5)
    stranger = rated_table(rated_frame().replace("bob", "eve"))
    with pytest.raises(DataError, match="person_fit: judge not in the fit"):
        ps.person_fit(marginal, stranger)
