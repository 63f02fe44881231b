"""Replicates look like the data where the model holds, and the features that it misses are named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from rated_world import naive_probabilities, rated_table
from scipy.stats import norm

import psymetric as ps
from psymetric.diagnostics import predictive
from psymetric.errors import DataError

REPLICATES = 400
REACH = 4.0
"""Monte Carlo standard errors: left by chance once in sixteen thousand."""


@pytest.fixture(scope="module")
def checked(drawn, table) -> pd.DataFrame:
    return ps.posterior_predictive(drawn, table, replicates=REPLICATES)


def test_columns_and_lines(checked, table):
    assert list(checked.columns) == [
        "statistic", "facet", "level", "category", "observed", "expected", "lower", "upper", "p", "flag",
    ]  # fmt: skip
    shares = checked.query("statistic == 'category_share'")
    assert len(shares) == 4 * (1 + 3 + 3)
    np.testing.assert_allclose(shares.groupby(["facet", "level"])["observed"].sum(), 1)
    assert list(checked["statistic"][-3:]) == ["subject_variance", "subjects_lowest", "subjects_highest"]


def test_observed_values_by_pandas(checked, frame):
    bob = frame.query("judge == 'bob'")["stars"].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(checked.query("level == 'bob'")["observed"], bob)
    means = frame.groupby("text")["stars"].mean()
    line = checked.set_index("statistic")["observed"]
    assert line["subject_variance"] == pytest.approx(means.var())
    assert line["subjects_highest"] == pytest.approx((means == 4).mean())


def test_expected_shares_are_the_models_mean_probabilities(checked, drawn, table):
    """Written out from the draws by the definition of the model, every row at every tenth draw."""
    rows, total = table.to_frame().query("judge == 'bob'"), np.zeros(4)
    place = {facet: {label: code for code, label in enumerate(drawn.levels[facet])} for facet in ("subject", "item")}
    draws = {name: value[0] for name, value in drawn.draws.items()}
    bob, kept = drawn.levels["judge"].index("bob"), range(0, 300, 10)
    for draw in kept:
        for row in rows.itertuples():
            location = draws["item"][draw, place["item"][row.item]] + draws["judge"][draw, bob]
            theta = draws["ability"][draw, place["subject"][row.subject]]
            total += naive_probabilities(theta, location, draws["step"][draw].ravel())
    found = checked.query("level == 'bob'")
    spread = ((found["upper"] - found["lower"]) / (2 * 1.96)).to_numpy()
    error = spread * np.sqrt(1 / len(kept) + 1 / REPLICATES)
    assert (np.abs(found["expected"].to_numpy() - total / len(rows) / len(kept)) < REACH * error).all()


def test_data_of_the_model_pass(checked):
    """Features are judged on data used twice, so that honest p values crowd around one half."""
    assert (checked["flag"] != "").sum() <= 2
    assert checked["p"].between(0.005, 0.995).all()


@pytest.mark.thorough
def test_a_judge_with_a_scale_of_its_own_is_named(frame):
    """Cat never takes the middle: its mean fits, its shares do not."""
    odd = frame.assign(stars=frame["stars"].where(frame["judge"] != "cat", frame["stars"].replace({2: 1, 3: 4})))
    table = rated_table(odd)
    fit = ps.fit(ps.ManyFacetRasch(), table, engine=ps.Laplace(draws=300))
    found = ps.posterior_predictive(fit, table, replicates=200).query("level == 'cat'").set_index("category")
    assert list(found["flag"]) == [
        "more than the fit expects", "less than the fit expects", "less than the fit expects",
        "more than the fit expects",
    ]  # fmt: skip
    # Own steps for every judge mend it, but unused categories stay at zero by construction.
    owned = ps.fit(ps.ManyFacetRasch(steps="judge"), table, engine=ps.Laplace(draws=300))
    assert (ps.posterior_predictive(owned, table, replicates=200).query("level == 'cat'")["flag"] == "").all()


def test_estimates_without_draws_agree_with_draws(marginal, checked, table):
    """Normal draws around maximum likelihood and the Laplace posterior under weak priors differ by little."""
    found = ps.posterior_predictive(marginal, table, replicates=REPLICATES)
    spread = (checked["upper"] - checked["lower"]) / (2 * 1.96)
    apart = np.abs(found["expected"] - checked["expected"])
    # Weak priors move the estimates by under a quarter of the spread of the replicates.
    assert (apart <= (0.25 + REACH * np.sqrt(2 / REPLICATES)) * spread + 1e-9).all()


@pytest.mark.thorough
@pytest.mark.parametrize("joint", [True, False])
def test_what_is_drawn_has_a_probability(joint, monkeypatch):
    """Asymptotes of about .2 with errors of .1 would be drawn below zero, were they drawn where they are bounded."""
    rng = np.random.default_rng(4)
    person, item = np.indices((300, 8)).reshape(2, -1)
    chance = 0.2 + 0.8 / (1 + np.exp(-1.3 * (rng.normal(size=300)[person] - np.linspace(-2, 1, 8)[item])))
    answers = pd.DataFrame({"person": person, "item": item, "right": (rng.random(len(item)) < chance).astype(int)})
    table = ps.ResponseTable.from_frame(answers, response="right", subject="person", item="item")
    fit = ps.fit(ps.ThreePL(), table, engine=ps.MAP())
    beyond = norm.cdf(-fit.parameters["guessing"] / fit.standard_errors["guessing"])
    assert np.exp(-REPLICATES * beyond.sum()) < 1e-5  # that none of them would be
    seen: list[float] = []
    draw = predictive._draw

    def watched(model, params, codes, uniform, n_categories):
        seen.extend(np.asarray(params["guessing"]))
        return draw(model, params, codes, uniform, n_categories)

    monkeypatch.setattr(predictive, "_draw", watched)
    ps.posterior_predictive(fit if joint else dataclasses.replace(fit, factors={}), table, replicates=REPLICATES)
    assert len(seen) == 8 * REPLICATES
    assert 0 < min(seen) < max(seen) < 1


def test_same_seed_same_numbers(drawn, table):
    first, second = (ps.posterior_predictive(drawn, table, replicates=20, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_a_row_of_weight_two_counts_as_two(frame):
    twice = pd.concat([frame, frame.iloc[:5]], ignore_index=True)
    weighted = frame.assign(w=np.where(np.arange(len(frame)) < 5, 2.0, 1.0))
    tables = rated_table(twice), rated_table(weighted, weight="w")
    found = [ps.posterior_predictive(ps.fit(ps.ManyFacetRasch(), t), t, replicates=20)["observed"] for t in tables]
    np.testing.assert_allclose(*found)


def test_refusals(joint, marginal, worths, pairs, table, frame):
    with pytest.raises(DataError, match=r"JointML has no population of subjects: fit with MarginalML\(\) or NUTS\(\)"):
        ps.posterior_predictive(joint, table)
    with pytest.raises(DataError, match="BradleyTerry has no subjects to draw"):
        ps.posterior_predictive(worths, pairs)
    with pytest.raises(DataError, match=r"replicates=5, level=0\.95 need replicates >= 20"):
        ps.posterior_predictive(marginal, table, replicates=5)
    with pytest.raises(DataError, match="the table is not the one that was fitted"):
        ps.posterior_predictive(marginal, rated_table(frame.iloc[3:]))
    half = rated_table(frame.assign(w=0.5), weight="w")
    with pytest.raises(DataError, match="weights are not whole numbers"):
        ps.posterior_predictive(ps.fit(ps.ManyFacetRasch(), half), half)
