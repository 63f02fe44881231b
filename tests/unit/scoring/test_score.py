"""Every estimate of a subject against a second implementation, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rated_world import (
    log_likelihood_of,
    naive_information,
    naive_log_likelihood,
    naive_posterior,
    naive_probabilities,
    naive_rows,
    naive_steps,
    rated_table,
)
from scipy.optimize import brentq, minimize_scalar

import psymetric as ps
from psymetric.errors import DataError

SOLVED = 1e-6  # both sides are solved to far better than this
CHECKED = ("s0", "s7", "top", "bottom")


def row(scores: ps.Scores, subject: str) -> pd.Series:
    return scores.frame.set_index("subject").loc[subject]


@pytest.mark.parametrize("subject", CHECKED)
def test_eap_is_the_posterior_mean_and_sd(marginal, table, subject):
    found = row(ps.score(marginal, table), subject)
    theta, weight = naive_posterior(marginal, table, subject)
    mean = weight @ theta
    variance = weight @ (theta - mean) ** 2
    assert found["estimate"] == pytest.approx(mean, abs=SOLVED)
    assert found["se"] == pytest.approx(np.sqrt(variance), abs=SOLVED)


@pytest.mark.parametrize("subject", ["s0", "top"])
def test_eap_interval_holds_the_level(marginal, table, subject):
    found = row(ps.score(marginal, table, level=0.8), subject)
    theta, weight = naive_posterior(marginal, table, subject)
    below, above = weight[theta < found["lower"]].sum(), weight[theta > found["upper"]].sum()
    # The naive grid cuts the tail at a node: one node's mass is at most .016.
    assert below == pytest.approx(0.1, abs=0.016)
    assert above == pytest.approx(0.1, abs=0.016)


@pytest.mark.parametrize("subject", CHECKED)
def test_map_is_the_mode_with_its_curvature(marginal, table, subject):
    mean, sd = (float(marginal.parameters[name]) for name in ("population_mean", "population_sd"))

    def log_density(theta: float) -> float:
        return naive_log_likelihood(marginal, table, subject, theta) - 0.5 * ((theta - mean) / sd) ** 2

    found = row(ps.score(marginal, table, method="map"), subject)
    mode = minimize_scalar(lambda theta: -log_density(theta), bounds=(-8, 8), method="bounded", options={"xatol": 1e-9})
    assert found["estimate"] == pytest.approx(mode.x, abs=1e-5)  # an optimum is found to the root of the precision
    h = 1e-3
    curvature = -(log_density(mode.x + h) - 2 * log_density(mode.x) + log_density(mode.x - h)) / h**2
    assert found["se"] == pytest.approx(1 / np.sqrt(curvature), rel=1e-5)


@pytest.mark.parametrize("subject", ["s0", "s7"])
def test_ml_is_the_root_of_the_score(marginal, table, subject):
    h, rows, steps = 1e-5, naive_rows(marginal, table, subject), naive_steps(marginal)

    def score(theta: float) -> float:
        return log_likelihood_of(rows, steps, theta + h) - log_likelihood_of(rows, steps, theta - h)

    found = row(ps.score(marginal, table, method="ml"), subject)
    assert found["estimate"] == pytest.approx(brentq(score, -8, 8), abs=1e-5)
    information = naive_information(marginal, table, subject, found["estimate"])
    assert found["se"] == pytest.approx(1 / np.sqrt(information), rel=SOLVED)
    assert not found["extreme"]


@pytest.mark.parametrize("subject", CHECKED)
def test_wle_maximises_the_likelihood_times_the_root_of_information(marginal, table, subject):
    """Warm's estimate is the mode under Jeffreys' prior where I' = J, which holds for the Rasch family."""

    def negative(theta: float) -> float:
        information = naive_information(marginal, table, subject, theta)
        return -naive_log_likelihood(marginal, table, subject, theta) - 0.5 * np.log(information)

    found = row(ps.score(marginal, table, method="wle"), subject)
    mode = minimize_scalar(negative, bounds=(-8, 8), method="bounded", options={"xatol": 1e-9})
    assert found["estimate"] == pytest.approx(mode.x, abs=1e-5)
    information = naive_information(marginal, table, subject, found["estimate"])
    assert found["se"] == pytest.approx(1 / np.sqrt(information), rel=SOLVED)


def test_wle_of_equal_items_has_a_closed_form():
    """n equal items, r right: θ − δ = log((r + ½) / (n − r + ½)) (Warm, 1989; Firth, 1993)."""
    rows = [(f"r{r}", f"i{k}", int(k < r)) for r in range(6) for k in range(5)]
    frame = pd.DataFrame(rows, columns=["s", "i", "x"])
    table = ps.ResponseTable.from_frame(frame, response="x", subject="s", item="i")
    noise = frame.assign(x=np.random.default_rng(0).integers(0, 2, len(frame)))
    fit = ps.fit(ps.Rasch(), ps.ResponseTable.from_frame(noise, response="x", subject="s", item="i"), throw=False)
    equal = replace(fit, parameters={**fit.parameters, "item": np.full(5, 0.7)})
    found = ps.score(equal, table, method="wle").frame
    right = np.arange(6)
    np.testing.assert_allclose(found["estimate"], 0.7 + np.log((right + 0.5) / (5 - right + 0.5)), atol=1e-8)
    # The same items by ML: θ − δ = logit(r / n), extreme scores .3 inwards.
    moved = np.clip(right, 0.3, 4.7)
    by_ml = ps.score(equal, table, method="ml").frame
    np.testing.assert_allclose(by_ml["estimate"], 0.7 + np.log(moved / (5 - moved)), atol=1e-8)
    assert by_ml["extreme"].tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize(("subject", "target"), [("top", 27 - 0.2), ("bottom", 0.2)])
def test_ml_moves_extreme_scores_inwards(marginal, table, subject, target):
    scores = ps.score(marginal, table, method="ml", adjustment=0.2)
    found = row(scores, subject)
    assert found["extreme"]
    assert any("3 of 42 subjects have an extreme score" in note for note in scores.notes)
    steps = naive_steps(marginal)
    expected = sum(
        naive_probabilities(found["estimate"], at, steps) @ np.arange(4)
        for at, *_ in naive_rows(marginal, table, subject)
    )
    assert expected == pytest.approx(target, abs=1e-7)


@pytest.mark.parametrize("method", ["eap", "map", "ml", "wle"])
def test_weight_two_equals_row_twice(marginal, frame, method):
    chosen = frame[frame["text"].isin(["s0", "s1", "top"])]
    twice = ps.score(marginal, rated_table(pd.concat([chosen, chosen])), method=method)
    weighted = ps.score(marginal, rated_table(chosen.assign(n=2.0), weight="n"), method=method)
    columns = ["estimate", "se", "lower", "upper", "n"]
    np.testing.assert_allclose(twice.frame[columns], weighted.frame[columns], atol=1e-9)


@pytest.mark.parametrize("method", ["eap", "map", "ml", "wle"])
def test_a_subject_scores_the_same_in_another_table(marginal, table, frame, method):
    part = rated_table(frame[frame["text"].isin(["s3", "s5"])].sample(frac=1, random_state=1))
    whole = ps.score(marginal, table, method=method).frame.set_index("subject").loc[["s3", "s5"]]
    alone = ps.score(marginal, part, method=method).frame.set_index("subject")
    np.testing.assert_allclose(alone["estimate"], whole["estimate"], atol=1e-8)


def test_many_responses_are_resolved(marginal, frame):
    chosen = frame[frame["text"] == "s0"].assign(n=1e5)
    found = ps.score(marginal, rated_table(chosen, weight="n")).frame.iloc[0]
    by_ml = ps.score(marginal, rated_table(chosen, weight="n"), method="ml").frame.iloc[0]
    assert found["estimate"] == pytest.approx(by_ml["estimate"], abs=1e-4)
    assert found["se"] == pytest.approx(by_ml["se"], rel=1e-4)


def test_a_subject_without_information_gets_the_population_or_nothing(marginal, frame):
    chosen = frame[frame["text"].isin(["s0", "s1"])]
    silent = rated_table(chosen.assign(n=np.where(chosen["text"] == "s1", 0.0, 1.0)), weight="n")
    found = row(ps.score(marginal, silent), "s1")
    assert found["estimate"] == pytest.approx(float(marginal.parameters["population_mean"]), abs=SOLVED)
    assert found["se"] == pytest.approx(float(marginal.parameters["population_sd"]), abs=SOLVED)
    by_ml = ps.score(marginal, silent, method="wle")
    assert np.isnan(row(by_ml, "s1")["estimate"])
    assert any("1 of 2 subjects have no response that could differ" in note for note in by_ml.notes)


def test_plausible_values_are_draws_from_the_posterior(marginal, table):
    n_draws = 4_000
    scores = ps.score(marginal, table, method="plausible", draws=n_draws, seed=5)
    values = scores.frame.filter(regex=r"^pv\d+$").to_numpy()
    eap = ps.score(marginal, table).frame
    assert values.shape == (42, n_draws)
    np.testing.assert_allclose(scores.frame[["estimate", "se"]], eap[["estimate", "se"]])
    # Largest of 42 standard errors: within 4.5.
    z = (values.mean(axis=1) - eap["estimate"]) / (eap["se"] / np.sqrt(n_draws))
    assert np.abs(z).max() < 4.5
    np.testing.assert_allclose(values.std(axis=1), eap["se"], rtol=4.5 / np.sqrt(2 * n_draws) * 1.5)
    again = ps.score(marginal, table, method="plausible", draws=n_draws, seed=5)
    pd.testing.assert_frame_equal(scores.frame, again.frame)
    assert scores.provenance.seed == 5


def test_draws_carry_the_uncertainty_of_everything(drawn, table):
    scores = ps.score(drawn, table)
    draws = drawn.draws["ability"].reshape(-1, 42)
    np.testing.assert_allclose(scores.frame["estimate"], draws.mean(axis=0))
    np.testing.assert_allclose(scores.frame["se"], draws.std(axis=0, ddof=1))
    assert "uncertainty of items, judges" in scores.carries
    values = ps.score(drawn, table, method="plausible", draws=3).frame[["pv1", "pv2", "pv3"]].to_numpy()
    assert all((draws == values[:, k]).all(axis=1).any() for k in range(3))
    held = ps.score(drawn, table, method="wle")
    assert "taken as known" in held.carries


def test_new_subjects_of_a_fit_with_draws_hold_it_fixed(drawn, frame):
    part = rated_table(frame[frame["text"] == "s3"].assign(text="newcomer"))
    scores = ps.score(drawn, part)
    assert scores.frame["subject"].tolist() == ["newcomer"]
    assert "taken as known" in scores.carries


def test_joint_ml_gives_the_fits_own_measures(joint, table):
    scores = ps.score(joint, table, method="ml")
    own = joint.estimates("subject")
    np.testing.assert_allclose(scores.frame[["estimate", "se"]], own[["estimate", "se"]])
    assert "joint information" in scores.carries
    assert scores.frame.set_index("subject")["extreme"][["top", "bottom", "s0"]].tolist() == [True, True, False]


def test_joint_ml_measures_are_those_of_score(joint, table, frame):
    """The fit's own measures solve the same equations as ours do for a table the fit has not seen."""
    shuffled = rated_table(frame.sample(frac=1, random_state=0))
    assert shuffled.hash != table.hash
    ours = ps.score(joint, shuffled, method="ml").frame
    np.testing.assert_allclose(ours["estimate"], joint.parameters["ability"], atol=1e-6)


def test_eap_of_joint_ml_uses_moments_and_says_so(joint, table):
    scores = ps.score(joint, table, method="eap")
    assert any("JointML has no population" in note for note in scores.notes)
    assert (scores.frame["se"] < ps.score(joint, table, method="ml").frame["se"]).all()


def test_eap_of_joint_ml_without_spread_is_refused(joint, table):
    flat = replace(joint, parameters={**joint.parameters, "ability": np.zeros(42)})
    with pytest.raises(DataError, match=r"score: this fit is by JointML, which has no population, and its 39 measures"):
        ps.score(flat, table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "mle"},
            r"method='mle' is not known: use one of \['eap', 'sum_eap', 'map', 'ml', 'wle', 'plausible'\]",
        ),
        ({"level": 95}, r"level=95 is not a coverage between 0 and 1"),
        ({"method": "plausible", "draws": 0}, r"draws=0 plausible values; ask for at least 1"),
        ({"method": "ml", "adjustment": 0.5}, r"adjustment=0.5 must lie between 0 and 0.5"),
    ],
)
def test_bad_settings(marginal, table, options, message):
    with pytest.raises(DataError, match=message):
        ps.score(marginal, table, **options)


def test_more_plausible_values_than_draws(drawn, table):
    with pytest.raises(DataError, match=r"draws=301 plausible values asked of a fit that holds 300 draws"):
        ps.score(drawn, table, method="plausible", draws=301)


def test_unknown_judge(marginal, frame):
    odd = rated_table(frame.assign(judge=frame["judge"].replace("bob", "zoe")))
    with pytest.raises(DataError, match=r"score: judge not in the fit, which knows \['ann', .*got \['zoe'\]"):
        ps.score(marginal, odd)


def test_unknown_category(marginal, frame):
    odd = ps.ResponseTable.from_frame(
        frame.assign(stars=frame["stars"] + 1), response="stars", subject="text", item="item", facets="judge"
    )
    with pytest.raises(DataError, match=r"score: response category not in the fit, which knows \[1, .*got \[5\]"):
        ps.score(marginal, odd)


def test_category_that_the_steps_never_saw(frame):
    without = frame[(frame["item"] != "i1") | (frame["stars"] > 1)]
    fit = ps.fit(ps.ManyFacetRasch(steps="item"), rated_table(without))
    with pytest.raises(DataError, match=r"categories that were never used under these steps in the fit .*got \[1\]"):
        ps.score(fit, rated_table(frame))


def test_level_without_an_estimate(joint, frame):
    holes = joint.parameters["judge"].copy()
    holes[0] = np.nan
    torn = replace(joint, parameters={**joint.parameters, "judge": holes})
    with pytest.raises(DataError, match=r"the levels of these rows have no estimate in the fit"):
        ps.score(torn, rated_table(frame), method="wle")


def test_missing_facet(marginal, frame):
    bare = ps.ResponseTable.from_frame(frame, response="stars", subject="text", item="item")
    with pytest.raises(DataError, match=r"score: the fit reads facet 'judge', which the table does not have"):
        ps.score(marginal, bare)


def test_pairs_have_no_subjects(worths, pairs, marginal):
    with pytest.raises(DataError, match=r"score: BradleyTerry has no subjects to score: use fit.estimates"):
        ps.score(worths, pairs)
    with pytest.raises(DataError, match=r"the fit is of ManyFacetRasch, which reads a ResponseTable; got a PairTable"):
        ps.score(marginal, pairs)
