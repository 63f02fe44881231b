"""Several starts on a surface with several maxima: items of two unrelated traits under a model of one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.estimation.marginal import solve_marginal
from psymetric.estimation.multistart import climb_from_each

MODEL = ps.TwoPL(slope_prior_sd=1.0)
# Where a slope is zero the difficulty may be anything, which maximum likelihood refuses: intercepts are never so.
INTERCEPTS = ps.NominalResponse(slope_prior_sd=1.0)
FIRST, SECOND = 3, 4
"""Items of either trait: θ may follow one or the other, and each is a maximum."""


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    rng = np.random.default_rng(2)
    traits = rng.normal(size=(300, 2))
    slopes, trait = (
        np.r_[np.full(FIRST, 2.0), np.full(SECOND, 1.6)],
        np.r_[np.zeros(FIRST), np.ones(SECOND)].astype(int),
    )
    right = rng.random((300, FIRST + SECOND)) < 1 / (1 + np.exp(-slopes * traits[:, trait]))
    frame = pd.DataFrame(right.astype(int), columns=[f"i{k}" for k in range(right.shape[1])])
    long = frame.assign(subject=[f"s{k}" for k in range(300)]).melt("subject", var_name="item", value_name="x")
    return ps.ResponseTable.from_frame(long, response="x", subject="subject", item="item")


def highest(model: ps.TwoPL | ps.NominalResponse, table: ps.ResponseTable, *, prior: bool) -> float:
    """The higher of the maxima that climbs from the truth of either trait lead to, in log density."""
    found = []
    with double_precision():
        for slopes in (np.r_[np.full(FIRST, 2.0), np.zeros(SECOND)], np.r_[np.zeros(FIRST), np.full(SECOND, 1.6)]):
            start = np.r_[np.zeros(FIRST + SECOND), slopes + 0.1]
            end = solve_marginal(model, table, prior=prior, tolerance=1e-6, max_iterations=2_000, start=start)
            found.append(end.maximum.value)
    assert abs(found[0] - found[1]) > 1
    return max(found)


def log_density(fit: ps.Fit) -> float:
    """Log-likelihood plus the documented priors, written out."""
    slope, item = fit.parameters["discrimination"], fit.parameters["item"]
    return fit.log_likelihood - 0.5 * np.sum((slope - 1) ** 2 / MODEL.slope_prior_sd**2 + item**2 / MODEL.prior_sd**2)


def test_finds_the_mode_that_one_start_misses(table) -> None:
    one, several = (ps.fit(MODEL, table, engine=ps.MAP(starts=starts)) for starts in (1, 5))
    best = highest(MODEL, table, prior=True)
    assert log_density(one) < best - 1
    assert log_density(several) == pytest.approx(best, abs=1e-6)
    assert "starts" not in one.status.details
    details = several.status.details
    assert details["starts"] == 5
    assert 1 <= details["starts_at_best"] < 5
    assert details["spread_of_maxima"] >= best - log_density(one) - 1e-6
    gain = f"led to a maximum {best - log_density(one):.2f} lower in log density than the best;"
    assert gain in several.summary()
    assert several.provenance.settings["engine"]["starts"] == 5


def test_laplace_is_taken_at_the_highest_mode(table) -> None:
    mode = ps.fit(MODEL, table, engine=ps.MAP(starts=5))
    fit = ps.fit(MODEL, table, engine=ps.Laplace(draws=400, starts=5))
    gap = np.abs(fit.parameters["discrimination"] - mode.parameters["discrimination"])
    assert (gap < 5 * mode.standard_errors["discrimination"] / np.sqrt(400)).all()
    assert any("several maxima" in note for note in fit.notes)


def test_maximum_likelihood_too(table) -> None:
    one, several = (ps.fit(INTERCEPTS, table, engine=ps.MarginalML(starts=starts)) for starts in (1, 5))
    best = highest(INTERCEPTS, table, prior=False)
    assert one.log_likelihood < best - 1
    assert several.log_likelihood == pytest.approx(best, abs=1e-6)
    assert several.status.details["starts"] == 5


def test_where_there_is_one_maximum_all_starts_reach_it_and_the_first_is_kept() -> None:
    from engine_cases import MODEL as ratings, frame, table as table_of

    table = table_of(frame())
    one, three = (ps.fit(ratings, table, engine=ps.MarginalML(starts=starts)) for starts in (1, 3))
    assert three.status.details["starts_at_best"] == 3
    # Log-likelihoods of climbs that stopped within 1e-6 logits of one maximum.
    assert three.status.details["spread_of_maxima"] < 1e-6
    assert three.notes == one.notes
    np.testing.assert_array_equal(three.parameters["item"], one.parameters["item"])


def test_pairs_have_a_mode_as_well() -> None:
    from model_cases import pair_frame, pair_table

    fit = ps.fit(ps.BradleyTerry(), pair_table(pair_frame(("left", "right"))), engine=ps.MAP(starts=3))
    assert fit.status.details["starts_at_best"] == 3


def test_climbs_that_fail_do_not_count(table) -> None:
    """Only the second of three climbs converges; it is kept although the first ended higher."""
    from dataclasses import replace

    with double_precision():
        end = solve_marginal(MODEL, table, prior=True, tolerance=1e-6, max_iterations=2_000)
        heights = iter((3.0, 1.0, 2.0))
        ends = iter([replace(end, maximum=replace(end.maximum, converged=ok)) for ok in (False, True, False)])
        known = {}

        def climb(start: object) -> object:
            found = next(ends)
            known[id(found)] = next(heights)
            return found

        climbed = climb_from_each(climb, lambda found: known[id(found)], starts=3, seed=0)
    assert climbed.best.maximum.converged
    assert climbed.details == {"starts": 3.0, "starts_at_best": 1.0, "spread_of_maxima": 0.0}
    assert "the usual start led to no maximum, unlike others; 1 of 3 starts" in climbed.notes[0]


@pytest.mark.parametrize("engine", [ps.MarginalML, ps.MAP, ps.Laplace])
def test_starts_are_counted_from_one(engine) -> None:
    with pytest.raises(DataError, match=r"\(starts=0\) must be a whole number of climbs, 1 or more"):
        engine(starts=0)


def test_a_climb_leaves_a_saddle():
    """Priors alike on all labels put the start between two mirrored modes: a judge with and without a middle."""
    shares = {"A": (0.32, 0.39, 0.29), "B": (0.38, 0.25, 0.37)}
    rows = [(name, "j", k, 10_000 * share) for name, own in shares.items() for k, share in enumerate(own)]
    frame = pd.DataFrame(rows, columns=["candidate", "judge", "label", "n"])
    table = ps.ResponseTable.from_frame(frame, response="label", subject="candidate", facets="judge", weight="n")
    fit = ps.fit(ps.SimplexJudge(), table, engine=ps.MAP())
    assert fit.status.converged
    assert np.isfinite(fit.estimates("prevalence")["se"]).all()
