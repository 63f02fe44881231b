"""The grid that marginal engines choose: fine enough for every posterior, and reached by whichever way is cheap."""

from __future__ import annotations

import engine_cases
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation import marginal
from psymetric.estimation.problems import marginal_problem


def test_coarse_climb_ends_at_the_same_maximum(monkeypatch):
    table = engine_cases.table(engine_cases.frame())
    direct = ps.fit(engine_cases.MODEL, table)
    monkeypatch.setattr(marginal, "_COARSE_FROM", 0)
    coarse = ps.fit(engine_cases.MODEL, table)
    assert coarse.log_likelihood == pytest.approx(direct.log_likelihood, abs=1e-8)
    for name, value in direct.parameters.items():
        np.testing.assert_allclose(coarse.parameters[name], value, atol=1e-6)


def on_a_far_finer_grid(fit: ps.Fit, table: ps.ResponseTable) -> float:
    """The log-likelihood at the fit's estimates, on nodes that no posterior can fall between or beyond."""
    with double_precision():
        problem = marginal_problem(engine_cases.MODEL, table, prior=False, n_nodes=6_001, half_width=10.0)
        return float(problem.log_likelihood(jnp.asarray(problem.space.unconstrain(fit.parameters))))


def test_grid_is_refined_for_narrow_posteriors():
    """Two hundred responses per subject by weight: ability is known to a tenth of a logit."""
    table = engine_cases.table(engine_cases.frame().assign(w=50.0), "w")
    fit = ps.fit(engine_cases.MODEL, table)
    assert fit.status.details["nodes"] > 61
    assert fit.log_likelihood == pytest.approx(on_a_far_finer_grid(fit, table), abs=1e-6)


def test_grid_reaches_far_subjects():
    """One subject sits five sds from the others: the grid widens beyond six."""
    middle = [(f"mid{s}", f"i{s % 2 + 1}", f"j{k}", k - 1) for s in range(300) for k in (1, 2)]
    far = [("far", item, judge, 2) for item in ("i1", "i2") for judge in ("j1", "j2")]
    rows = pd.DataFrame(middle + far, columns=["subject", "item", "judge", "rating"]).assign(w=1.0)
    rows.loc[rows["subject"] == "far", "w"] = 20.0
    table = engine_cases.table(pd.concat([engine_cases.frame().assign(w=1.0), rows]), "w")
    fit = ps.fit(engine_cases.MODEL, table)
    assert fit.log_likelihood == pytest.approx(on_a_far_finer_grid(fit, table), abs=1e-6)


@pytest.mark.thorough
@pytest.mark.shared_data
def test_two_hundred_thousand_ratings(oracles):
    """10,000 subjects and 100 judges: the maximum, found by three programs, is -246930.786."""
    frame = pd.read_csv(oracles / "fits/timing/mfr_10000p_100r_4k_5i_5c_long.csv.gz")
    table = ps.ResponseTable.from_frame(frame, response="score", subject="person", item="item", facets=("rater",))
    fit = ps.fit(ps.ManyFacetRasch(facets=("item", "rater")), table)
    assert fit.log_likelihood == pytest.approx(-246930.786, abs=1e-3)
    assert fit.status.converged
