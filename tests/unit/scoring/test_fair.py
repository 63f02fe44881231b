"""Fair averages against the definition of the model."""

from __future__ import annotations

import numpy as np
import pytest
from rated_world import naive_probabilities, naive_steps, rated_frame

import psymetric as ps
from psymetric.errors import DataError

EXACT = 1e-9


def expected_stars(theta: float, location: float, steps: np.ndarray) -> float:
    return float(naive_probabilities(theta, location, steps) @ np.array([1.0, 2.0, 3.0, 4.0]))


def test_judges_meet_the_mean_subject(marginal):
    found = ps.fair_averages(marginal, "judge")
    mean, judges = float(marginal.parameters["population_mean"]), marginal.estimates("judge")
    for column, source in (("average", "estimate"), ("lower", "upper"), ("upper", "lower")):
        expected = [expected_stars(mean, value, naive_steps(marginal)) for value in judges[source]]
        np.testing.assert_allclose(found[column], expected, atol=EXACT)
    assert found["average"].is_monotonic_decreasing  # ann is the most lenient, cat the most severe


def test_subjects_meet_the_mean_judge(marginal, joint, table):
    scores = ps.score(marginal, table)
    found = ps.fair_averages(marginal, "subject", scores=scores)
    expected = [expected_stars(theta, 0.0, naive_steps(marginal)) for theta in scores.frame["estimate"]]
    np.testing.assert_allclose(found["average"], expected, atol=EXACT)
    own = ps.fair_averages(joint, "subject")
    assert ((own["lower"] <= own["average"]) & (own["average"] <= own["upper"])).all()


def test_steps_of_another_facet_are_averaged(table):
    fit = ps.fit(ps.ManyFacetRasch(steps="item"), table)
    mean, steps = float(fit.parameters["population_mean"]), fit.parameters["step"]
    found = ps.fair_averages(fit, "judge").set_index("level")["average"]
    severity = fit.parameters["judge"][0]
    assert found["ann"] == pytest.approx(np.mean([expected_stars(mean, severity, row) for row in steps]), abs=EXACT)
    by_item = ps.fair_averages(fit, "item").set_index("level")["average"]
    assert by_item["i2"] == pytest.approx(expected_stars(mean, fit.parameters["item"][1], steps[1]), abs=EXACT)


def test_text_categories_are_scored_from_zero(marginal):
    named = ps.ResponseTable.from_frame(
        rated_frame().assign(stars=lambda frame: frame["stars"].map({1: "no", 2: "meh", 3: "ok", 4: "yes"})),
        response="stars", subject="text", item="item", facets="judge", categories=("no", "meh", "ok", "yes"),
    )  # fmt: skip
    fit = ps.fit(ps.ManyFacetRasch(), named)
    np.testing.assert_allclose(
        ps.fair_averages(fit, "judge")["average"], ps.fair_averages(marginal, "judge")["average"] - 1, atol=1e-5
    )


def test_refusals(marginal, worths):
    with pytest.raises(DataError, match=r"MarginalML integrates subjects out: pass their measures"):
        ps.fair_averages(marginal, "subject")
    with pytest.raises(DataError, match=r"fair_averages: ManyFacetRasch has no facet 'prompt': it has \['subject'"):
        ps.fair_averages(marginal, "prompt")
    with pytest.raises(DataError, match=r"BradleyTerry rates nothing on a scale"):
        ps.fair_averages(worths, "item")
    with pytest.raises(DataError, match=r"level=95 is not a coverage"):
        ps.fair_averages(marginal, "judge", level=95)
