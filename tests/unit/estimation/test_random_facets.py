"""Random facets by empirical Bayes, anchors, and the prior's vanishing, each against another way to the same number."""

from __future__ import annotations

import dataclasses

import engine_cases
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation.curvature import information
from psymetric.estimation.empirical_bayes import estimate_scales
from psymetric.estimation.marginal import Climb, solve_marginal

RANDOM = ps.ManyFacetRasch(random=("judge",))


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    return engine_cases.table(engine_cases.frame())


@pytest.fixture(scope="module")
def fixed(table) -> ps.Fit:
    return ps.fit(ps.ManyFacetRasch(), table)


def test_random_judge_against_an_integral(table, fixed):
    """Two judges leave one free dimension: d = severity difference / √2 ~ N(0, σ²) along the unit direction (−1, 1)/√2.

    The profile likelihood of d is all but normal with 240 ratings, so that the integral over d of N(d̂, se²) × N(0, σ²),
    written out and maximised by brute force, is the likelihood of σ.
    """
    fit = ps.fit(RANDOM, table)
    judge = fixed.estimates("judge")
    d = np.sqrt(2) * judge["estimate"][1]
    se = np.sqrt(2) * judge["se"][1]

    def negative(log_sd: float) -> float:
        sd = np.exp(log_sd)
        density = lambda u: np.exp(-0.5 * ((u - d) / se) ** 2 - 0.5 * (u / sd) ** 2) / sd  # noqa: E731
        return -np.log(quad(density, d - 12 * se, d + 12 * se, limit=200)[0])

    best = minimize_scalar(negative, bounds=(-3, 2), method="bounded", options={"xatol": 1e-8})
    sd = float(fit.parameters["judge_sd"])
    # The curvature at the shrunken modes differs from that at the fixed estimates by a few parts in a thousand.
    assert sd == pytest.approx(np.exp(best.x), rel=0.02)
    step = 1e-3
    information = (negative(best.x + step) - 2 * best.fun + negative(best.x - step)) / step**2
    assert float(fit.standard_errors["judge_sd"]) / sd == pytest.approx(1 / np.sqrt(information), rel=0.02)
    shrunken = fit.estimates("judge")["estimate"]
    assert np.sqrt(2) * shrunken[1] == pytest.approx(d / (1 + se**2 / sd**2), rel=0.02)


def test_curvature_that_follows_the_sd_is_that_of_the_likelihood(table):
    """What every climb but the first begins with, and what the log-likelihood ends with, against both computed anew."""
    begun = []
    with double_precision():
        solved = solve_marginal(RANDOM, table, prior=False, tolerance=1e-8, max_iterations=200)
        problem, active = solved.problem, solved.active
        anew = information(problem, solved.maximum.point, active)
        np.testing.assert_allclose(solved.maximum.curvature.schur, anew.schur, rtol=1e-12)
        start = dataclasses.replace(solved.maximum, point=solved.maximum.point + 0.3, origin=solved.maximum.point + 0.3)
        start = dataclasses.replace(start, curvature=information(problem, start.point, active))

        def polish(point, known):
            begun.append((known[0].schur, information(problem, known[1], active).schur))
            return Climb(problem, point, active).polish(1e-8, 0, 200, known=known)

        again = estimate_scales(problem.space, start, active, polish)
    np.testing.assert_allclose(again.maximum.point, solved.maximum.point, atol=1e-5)
    assert len(begun) > 4
    for followed, computed in begun:
        np.testing.assert_allclose(followed, computed, rtol=1e-9, atol=1e-9 * np.abs(computed).max())


def test_random_facet_without_differences():
    """Both judges give the same ratings: the sd goes to its bound, and the fit says so."""
    frame = engine_cases.frame()
    first = frame[frame["judge"] == "j1"]
    same = engine_cases.table(frame.assign(rating=np.repeat(first["rating"].to_numpy(), 2)))
    fit = ps.fit(RANDOM, same)
    assert fit.status.converged
    row = fit.estimates("population").set_index("level").loc["judge_sd"]
    assert row["estimate"] == pytest.approx(0.01)
    assert np.isnan(row["se"])
    assert any("judge_sd is at its lower bound" in note for note in fit.notes)
    np.testing.assert_allclose(fit.parameters["judge"], 0, atol=1e-3)


def test_random_facet_has_an_interval(table):
    row = ps.fit(RANDOM, table).estimates("population").set_index("level").loc["judge_sd"]
    assert 0 < row["lower"] < row["estimate"] < row["upper"]


def test_anchored_levels_keep_their_values(table, fixed):
    """Anchoring every judge 1 logit higher moves the population by 1 logit and leaves the likelihood as it is."""
    values = dict(fixed.estimates("judge")[["level", "estimate"]].itertuples(index=False))
    anchors = {"judge": {label: value + 1 for label, value in values.items()}}
    fit = ps.fit(ps.ManyFacetRasch(anchors=anchors), table)
    frame = fit.estimates("judge")
    np.testing.assert_array_equal(frame["estimate"], [values["j1"] + 1, values["j2"] + 1])
    assert (frame["se"] == 0).all()
    assert (frame["note"] == "anchored").all()
    assert fit.log_likelihood == pytest.approx(fixed.log_likelihood, abs=1e-6)
    shift = float(fit.parameters["population_mean"] - fixed.parameters["population_mean"])
    assert shift == pytest.approx(1, abs=1e-4)


def test_one_anchor_fixes_the_origin(table, fixed):
    fit = ps.fit(ps.ManyFacetRasch(anchors={"judge": {"j1": 0.0}}), table)
    judges, before = fit.parameters["judge"], fixed.parameters["judge"]
    assert judges[0] == 0.0
    assert judges[1] == pytest.approx(before[1] - before[0], abs=1e-5)
    assert fit.log_likelihood == pytest.approx(fixed.log_likelihood, abs=1e-6)


def test_map_with_a_wide_prior_is_marginal_ml(table, fixed):
    """What is left is the pull of the population's own priors: at most, to first order, by Cauchy-Schwarz,
    the standard error times those of the population times the slopes of their log priors."""
    fit = ps.fit(dataclasses.replace(ps.ManyFacetRasch(), prior_sd=1e4), table, engine=ps.MAP())
    mean, sd = float(fixed.parameters["population_mean"]), float(fixed.parameters["population_sd"])
    mean_error, sd_error = (float(fixed.standard_errors[f"population_{name}"]) for name in ("mean", "sd"))
    # Normal with sd 5 on the mean; half-normal with scale 2.5 on the sd, taken on the log scale.
    pull = mean_error * abs(mean) / 25 + sd_error / sd * abs(1 - (sd / 2.5) ** 2)
    for name in ("item", "judge", "step"):
        moved = np.abs(fit.parameters[name] - fixed.parameters[name])
        assert np.all(moved < fixed.standard_errors[name] * pull), name
