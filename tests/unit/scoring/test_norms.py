"""T-scores, z and percentiles by hand, their errors by simulation, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, percentileofscore

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.errors import DataError


def scores_of(estimate, se=0.5, *, method="wle", notes=("a note",)) -> ps.Scores:
    estimate = np.asarray(estimate, float)
    se = np.broadcast_to(np.asarray(se, float), estimate.shape)
    frame = pd.DataFrame(
        {
            "subject": [f"s{k}" for k in range(len(estimate))],
            "estimate": estimate,
            "se": se,
            "lower": estimate - 1.96 * se,
            "upper": estimate + 1.96 * se,
            "n": 9.0,
            "extreme": False,
        }
    )
    return ps.Scores(frame, method=method, level=0.95, carries="Little.", notes=notes, provenance=Provenance("h"))


def test_a_stated_norm_by_hand():
    found = ps.norms(scores_of([0.2, 1.6, -1.2], 0.35), mean=0.2, sd=0.7)
    frame = found.frame
    np.testing.assert_allclose(frame["z"], [0, 2, -2])
    np.testing.assert_allclose(frame["estimate"], [50, 70, 30])
    np.testing.assert_allclose(frame["se"], 5)
    np.testing.assert_allclose(frame["z_se"], 0.5)
    np.testing.assert_allclose(frame["upper"] - frame["estimate"], 9.8)
    np.testing.assert_allclose(frame["percentile"], 100 * norm.cdf([0, 2, -2]))
    np.testing.assert_allclose(frame["percentile_upper"], 100 * norm.cdf(np.array([0, 2, -2]) + 0.98))
    np.testing.assert_allclose(frame["measure"], [0.2, 1.6, -1.2])
    assert "norm_se" not in frame
    assert found.unit == "T"
    assert found.notes == ("a note",)
    assert found.carries == "Little. The norm is taken as it is."


def test_other_scales_than_t():
    found = ps.norms(scores_of([1.0]), mean=0.0, sd=1.0, t_mean=100, t_sd=15).frame
    assert found["estimate"].iloc[0] == 115
    assert found["se"].iloc[0] == 7.5


def test_percentiles_of_a_norm_group_are_its_own():
    group = np.round(np.random.default_rng(0).gamma(2.0, 1.0, 150), 1)
    values = np.array([-1.0, 0.5, group[3], 2.0, 99.0])
    found = ps.norms(scores_of(values), reference=scores_of(group)).frame
    expected = [percentileofscore(group, value, kind="mean") for value in values]
    np.testing.assert_allclose(found["percentile"], expected)
    assert found["percentile"].iloc[[0, -1]].tolist() == [0, 100]
    np.testing.assert_allclose(found["z"], (values - group.mean()) / group.std(ddof=1))


@pytest.mark.parametrize("z", [0.0, 2.0])
def test_norm_se_is_the_spread_over_norm_groups(z):
    """Four thousand norm groups of 80: the sd of T is known to 1/√(2 · 4000) = 1.1 %, here within four of these."""
    groups = np.random.default_rng(1).normal(0.0, 1.0, (4_000, 80))
    spread = np.std(50 + 10 * (z - groups.mean(axis=1)) / groups.std(axis=1, ddof=1), ddof=1)
    # A group whose mean and sd are exactly the population's shows the standard error at that z.
    exact = norm.ppf((np.arange(80) + 0.5) / 80)
    exact = (exact - exact.mean()) / exact.std(ddof=1)
    found = ps.norms(scores_of([z]), reference=scores_of(exact)).frame["norm_se"].iloc[0]
    # Beyond the sampling error, terms of order 1/n that the delta method leaves out.
    assert found == pytest.approx(spread, rel=4 * 0.011 + 1 / 80)


def test_plausible_values_move_along(marginal, table):
    scores = ps.score(marginal, table, method="plausible", draws=2)
    found = ps.norms(scores, mean=0.5, sd=2.0)
    np.testing.assert_allclose(found.frame["pv2"], 50 + 5 * (scores.frame["pv2"] - 0.5))


def test_missing_measures_stay_missing_and_small_groups_are_noted():
    group = scores_of([0.0, 1.0, np.nan])
    found = ps.norms(scores_of([np.nan, 0.5]), reference=group)
    assert found.frame["percentile"].isna().tolist() == [True, False]
    assert found.frame["estimate"].tolist()[1] == 50
    assert "the norm leaves out 1 subject of its group without a measure" in found.notes
    assert "the norm rests on 2 subjects: see norm_se" in found.notes


def test_norm_is_part_of_the_record():
    found = ps.norms(scores_of([0.0]), mean=1.0, sd=2.0)
    assert found.provenance.settings["norm_sd"] == 2.0
    pd.testing.assert_frame_equal(ps.Scores.from_dict(found.to_dict()).frame, found.frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give mean= and sd= of the norm, or reference="),
        ({"mean": 0.0}, "give mean= and sd= of the norm, or reference="),
        ({"mean": 0.0, "sd": 0.0}, r"mean=0.0 and sd=0.0 are no norm"),
        ({"mean": 0.0, "sd": 1.0, "t_sd": -1.0}, "make no scale"),
        ({"mean": 0.0, "sd": 1.0, "reference": scores_of([0, 1])}, "the norm is given twice"),
        ({"reference": scores_of([0, 1], method="eap")}, "the reference holds eap in logits, the scores wle in logits"),
        ({"reference": scores_of([1, 1, 1])}, "has 3 measures that do not vary"),
        ({"reference": scores_of([np.nan])}, "has 0 measures that do not vary"),
    ],
)
def test_refusals_say_what_and_how_to_mend(options, message):
    with pytest.raises(DataError, match=f"norms: .*{message}"):
        ps.norms(scores_of([0.0, 1.0]), **options)


def test_t_scores_are_not_normed_twice_by_accident():
    placed = ps.norms(scores_of([0.0, 1.0]), mean=0.0, sd=1.0)
    with pytest.raises(DataError, match="the reference holds wle in logits, the scores wle in T"):
        ps.norms(placed, reference=replace(scores_of([0.0, 1.0])))
