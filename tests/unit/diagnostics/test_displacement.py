"""Displacement from anchors against a second maximisation, a free fit, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from rated_world import log_likelihood_of, naive_posterior, naive_rows, naive_steps
from scipy.optimize import minimize_scalar

import psymetric as ps
from psymetric.errors import DataError


@pytest.fixture(scope="module")
def anchored(marginal, table):
    item = dict(zip(marginal.levels["item"], marginal.parameters["item"], strict=True))
    anchors = {"i1": item["i1"] + 0.9, "i2": item["i2"], "i3": item["i3"]}
    return ps.fit(ps.ManyFacetRasch(anchors={"item": anchors}), table)


def test_a_wrong_anchor_is_displaced_and_flagged(anchored, table):
    found = ps.displacement(anchored, table).set_index("level")
    assert found["facet"].unique().tolist() == ["item"]
    assert found["flag"].tolist() == [True, False, False]
    # The population's mean has taken up a third of the error, .3; what the subjects' posteriors take up varies.
    assert -0.9 < found.loc["i1", "displacement"] < -0.6
    assert found.loc[["i2", "i3"], "displacement"].between(0.0, 0.45).all()


def test_freeing_the_displaced_level_finds_the_rest_of_the_error(anchored, table):
    others = {label: value for label, value in anchored.model.anchors["item"].items() if label != "i1"}
    freed = ps.fit(ps.ManyFacetRasch(anchors={"item": others}), table)
    found = freed.estimates("item").set_index("level")["estimate"]
    # The anchors are estimates from the same responses: freed, the level goes back to where it was.
    assert found["i1"] == pytest.approx(anchored.model.anchors["item"]["i1"] - 0.9, abs=1e-4)


def test_displacement_maximises_the_marginal_likelihood(anchored, table):
    """Each subject's responses to i1 with the others' posterior as population: naive sums over a fine grid."""
    steps, subjects = naive_steps(anchored), table.levels["subject"]
    anchor = anchored.estimates("item").set_index("level")["estimate"]
    frame = table.to_frame()
    posteriors = {}
    for subject in subjects:
        theta, weight = naive_posterior(anchored, table, subject)
        keep = weight > 1e-12
        own = frame[frame["subject"] == subject].reset_index(drop=True)
        rows = naive_rows(anchored, table, subject)
        mine = [row for row, item in zip(rows, own["item"], strict=True) if item == "i1"]
        posteriors[subject] = theta[keep][::4], weight[keep][::4], mine
    assert anchor["i1"] == pytest.approx(dict(anchored.model.anchors["item"])["i1"])

    def negative(shift: float) -> float:
        total = 0.0
        for theta, weight, mine in posteriors.values():
            if not mine:
                continue
            moved = [(at + shift, w, k) for at, w, k in mine]
            ratio = [np.exp(log_likelihood_of(moved, steps, t) - log_likelihood_of(mine, steps, t)) for t in theta]
            total -= np.log(weight @ np.array(ratio))
        return total

    best = minimize_scalar(negative, bounds=(-2, 1), method="bounded", options={"xatol": 1e-7})
    found = ps.displacement(anchored, table).set_index("level").loc["i1"]
    # Every fourth point of 801 over ±8 sd still resolves the posteriors; an optimum is found to the root of precision.
    assert found["displacement"] == pytest.approx(best.x, abs=1e-4)
    h = 0.01
    curvature = (negative(best.x + h) - 2 * negative(best.x) + negative(best.x - h)) / h**2
    assert found["se"] == pytest.approx(1 / np.sqrt(curvature), rel=1e-2)


def test_right_anchors_do_not_move(marginal, table):
    item = dict(zip(marginal.levels["item"], marginal.parameters["item"], strict=True))
    fit = ps.fit(ps.ManyFacetRasch(anchors={"item": item}), table)
    found = ps.displacement(fit, table)
    np.testing.assert_allclose(found["displacement"], 0, atol=1e-4)  # the fit stops at steps of 1e-6 logits
    assert not found["flag"].any()


def test_bounds_and_anchors_are_checked(marginal, anchored, table):
    with pytest.raises(DataError, match="displacement: the fit has no anchors; fit with anchors="):
        ps.displacement(marginal, table)
    with pytest.raises(DataError, match=r"displacement: logits=0 and t=2\.0 must be positive"):
        ps.displacement(anchored, table, logits=0)


def test_levels_that_the_table_lacks_are_noted(anchored, frame):
    from rated_world import rated_table

    part = rated_table(frame[frame["item"] != "i2"])
    found = ps.displacement(anchored, part).set_index("level")
    assert found.loc["i2", "note"] == "no responses to judge by"
    assert np.isnan(found.loc["i2", "displacement"])
    assert not found.loc["i2", "flag"]
