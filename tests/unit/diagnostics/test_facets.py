"""Separation, chi-squares and agreement against their definitions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from rated_world import extreme_subjects, naive_probabilities, naive_steps, rated_table
from scipy.stats import chi2

import psymetric as ps
from psymetric.diagnostics.separation import fixed_chi_square, random_chi_square, separation
from psymetric.errors import DataError


def test_separation_by_hand():
    found = separation(0.5, 0.3)
    assert (found.true_sd, found.separation, found.reliability) == pytest.approx((0.4, 4 / 3, 0.64))
    assert found.strata == pytest.approx((4 * 4 / 3 + 1) / 3)


def test_no_spread_is_no_separation():
    found = separation(0.2, 0.3)
    assert (found.true_sd, found.separation, found.reliability) == (0.0, 0.0, 0.0)
    assert found.strata == pytest.approx(1 / 3)


def test_chi_squares_by_hand():
    measures, errors = np.array([0.0, 1.0, 3.0]), np.array([0.5, 1.0, 0.5])
    centre = (0.0 * 4 + 1.0 * 1 + 3.0 * 4) / 9
    fixed = fixed_chi_square(measures, errors)
    assert fixed.statistic == pytest.approx(4 * centre**2 + (1 - centre) ** 2 + 4 * (3 - centre) ** 2)
    assert fixed.p == pytest.approx(chi2.sf(fixed.statistic, 2))
    true_variance = np.var(measures, ddof=1) - np.mean(errors**2)
    weight = 1 / (true_variance + errors**2)
    centre = weight @ measures / weight.sum()
    random = random_chi_square(measures, errors)
    assert random.statistic == pytest.approx(weight @ (measures - centre) ** 2)
    assert random.df == 1


def test_exact_errors_give_both_versions_one_reliability(marginal, table):
    found = ps.facet_summary(marginal, "judge", table)
    assert found.errors == "exact"
    assert found.population.separation == pytest.approx(found.sample.separation)
    judges = marginal.estimates("judge")
    assert found.population.rmse == pytest.approx(np.sqrt(np.mean(judges["se"] ** 2)))
    assert found.population.sd == pytest.approx(judges["estimate"].std(ddof=0))


def test_fixed_chi_square_of_exact_errors_is_the_wald_test(marginal, table):
    """The same test on contrasts with the first judge, which have a regular covariance."""
    contrast = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    difference = contrast @ marginal.parameters["judge"]
    covariance = contrast @ marginal.covariances["judge"] @ contrast.T
    found = ps.facet_summary(marginal, "judge", table).fixed
    assert found.statistic == pytest.approx(difference @ np.linalg.solve(covariance, difference))
    assert found.df == 2


def test_model_errors_are_those_of_fit_statistics(marginal, table):
    se = ps.fit_statistics(marginal, table, facets=("judge",))["model_se"].to_numpy()
    found = ps.facet_summary(marginal, "judge", table, errors="model")
    assert found.population.rmse == found.sample.rmse == pytest.approx(np.sqrt(np.mean(se**2)))
    measures = marginal.parameters["judge"]
    assert found.fixed.statistic == pytest.approx(fixed_chi_square(measures, se).statistic)


def naive_agreement(fit: ps.Fit, table: ps.ResponseTable) -> tuple[float, float, float]:
    """Pairs of judges on one subject and item: number, agreements, and what the fit expects at its measures."""
    value = {
        facet: dict(fit.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("subject", "item", "judge")
    }
    steps, frame = naive_steps(fit), table.to_frame()
    total = np.zeros(3)
    for (subject, item), part in frame[~frame["subject"].isin(extreme_subjects(fit))].groupby(["subject", "item"]):
        for a, b in combinations(part.itertuples(), 2):
            if a.judge == b.judge:
                continue
            one, other = (
                naive_probabilities(value["subject"][subject], value["item"][item] + value["judge"][row.judge], steps)
                for row in (a, b)
            )
            total += a.weight * b.weight * np.array([1, a.response == b.response, one @ other])
    return tuple(total)


def test_agreement_counts_pairs_of_judges(joint, table):
    found = ps.facet_summary(joint, "judge", table).agreement
    opportunities, observed, expected = naive_agreement(joint, table)
    assert (found.opportunities, found.observed) == (opportunities, observed)
    assert found.expected == pytest.approx(expected, abs=1e-8)
    beyond = (found.observed_share - found.expected_share) / (1 - found.expected_share)
    assert found.rasch_kappa == pytest.approx(beyond)


def test_a_judge_does_not_agree_with_itself(joint, frame):
    repeated = rated_table(pd.concat([frame, frame[frame["judge"] == "bob"]]))
    found = ps.facet_summary(joint, "judge", repeated).agreement
    opportunities, observed, expected = naive_agreement(joint, repeated)
    assert (found.opportunities, found.observed) == (opportunities, observed)
    assert found.expected == pytest.approx(expected, abs=1e-8)


def test_agreement_of_a_marginal_fit_is_near_that_at_the_measures(marginal, joint, table):
    over_posterior = ps.facet_summary(marginal, "judge", table).agreement.expected_share
    at_measures = ps.facet_summary(joint, "judge", table).agreement.expected_share
    assert over_posterior == pytest.approx(at_measures, abs=0.08)


def test_judges_who_never_meet_have_no_agreement(marginal, frame):
    apart = frame[(frame["judge"] == "ann") == (frame["text"].str[-1] < "5")]
    apart = apart[apart["judge"].isin(["ann", "bob"])]
    assert ps.facet_summary(marginal, "judge", rated_table(apart)).agreement is None


def test_items_and_subjects_have_no_agreement(marginal, table):
    assert ps.facet_summary(marginal, "item", table).agreement is None
    assert ps.facet_summary(marginal, "subject", table).agreement is None


def test_subjects_by_wle(marginal, table):
    found = ps.facet_summary(marginal, "subject", table)
    scores = ps.score(marginal, table, method="wle").frame
    expected = separation(scores["estimate"].std(ddof=1), np.sqrt(np.mean(scores["se"] ** 2)))
    assert found.sample == expected
    assert ps.facet_summary(marginal, "subject", table, scores=ps.score(marginal, table, method="wle")) == found
    assert found.notes[0] == "measures by wle"


def test_extreme_subjects_of_joint_ml_are_left_out(joint, table):
    found = ps.facet_summary(joint, "subject", table)
    assert found.n_levels == 39
    assert any("3 subjects of 42 left out" in note for note in found.notes)


def test_random_facet_says_that_it_is_drawn_to_the_mean(table):
    fit = ps.fit(ps.ManyFacetRasch(random=("judge",)), table, engine=ps.MAP())
    assert any("a random facet" in note for note in ps.facet_summary(fit, "judge", table).notes)


def test_the_frame_and_the_text_hold_both_versions(marginal, table):
    found = ps.facet_summary(marginal, "judge", table)
    assert found.frame["version"].tolist() == ["population", "sample"]
    assert found.frame["separation"].tolist() == [found.population.separation, found.sample.separation]
    assert "exact agreement" in str(found)
    assert "&" not in found._repr_html_().replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")


def test_refusals(marginal, table, worths, pairs):
    with pytest.raises(DataError, match=r"facet_summary: ManyFacetRasch has no facet 'prompt': it has \['subject'"):
        ps.facet_summary(marginal, "prompt", table)
    with pytest.raises(DataError, match=r'errors=\'sandwich\' is not known: use "exact" or "model"'):
        ps.facet_summary(marginal, "judge", table, errors="sandwich")
    with pytest.raises(DataError, match=r"scores by 'eap' are drawn towards the mean"):
        ps.facet_summary(marginal, "subject", table, scores=ps.score(marginal, table))
    with pytest.raises(DataError, match=r"scores are of subjects, the facet is 'judge'"):
        ps.facet_summary(marginal, "judge", table, scores=ps.score(marginal, table, method="wle"))
    with pytest.raises(DataError, match=r"BradleyTerry compares items and has no facets to summarise"):
        ps.facet_summary(worths, "item", pairs)


def test_one_level_has_no_spread(frame):
    single = rated_table(frame[frame["judge"] == "ann"])
    fit = ps.fit(ps.ManyFacetRasch(), single)
    with pytest.raises(DataError, match=r"'judge' has 1 level with an estimate; a spread needs at least two"):
        ps.facet_summary(fit, "judge", single)
