"""Elo ratings against their definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from given_fits import given_fit
from scipy.special import expit
from scipy.stats import norm

import psymetric as ps
from psymetric.errors import DataError

COVARIANCE = np.array([[0.05, -0.02, -0.03], [-0.02, 0.04, -0.02], [-0.03, -0.02, 0.05]])


def fit_of(model=None, **changes) -> ps.Fit:
    categories = ("left", "right", "tie")
    fit = given_fit(model or ps.BradleyTerry(), {"item": ("a", "b", "c")}, categories, worth=[0.5, 0.3, -0.8])
    errors, covariances = {"worth": np.sqrt(np.diag(COVARIANCE))}, {"worth": COVARIANCE}
    return dataclasses.replace(fit, standard_errors=errors, covariances=covariances, **changes)


def test_four_hundred_points_are_odds_of_ten() -> None:
    fit = fit_of()
    found = ps.elo_scale(fit)
    rating = found.frame.set_index("level")["rating"]
    assert rating.mean() == pytest.approx(1000)
    expected = 1 / (1 + 10 ** (-(rating["a"] - rating["c"]) / 400))
    assert expected == pytest.approx(expit(1.3))
    np.testing.assert_allclose(found.frame["se"], found.points * np.sqrt([0.05, 0.04, 0.05]))
    np.testing.assert_allclose(found.frame["upper"] - found.frame["rating"], norm.ppf(0.975) * found.frame["se"])
    assert found.anchor == "the mean of all items is at 1000"


def test_a_reference_is_sure_and_others_have_the_error_of_the_difference() -> None:
    found = ps.elo_scale(fit_of(), reference="b", at=1500)
    frame = found.frame.set_index("level")
    assert frame.loc["b", ["rating", "se", "lower", "upper"]].tolist() == [1500, 0, 1500, 1500]
    assert frame.loc["a", "se"] == pytest.approx(found.points * np.sqrt(0.05 + 0.04 + 2 * 0.02))
    assert frame.loc["a", "rating"] - 1500 == pytest.approx(0.2 * 400 / np.log(10))
    # Monte Carlo of the normal: the sd of the difference, whatever the origin.
    draws = np.random.default_rng(0).multivariate_normal([0.5, 0.3, -0.8], COVARIANCE, 40_000)
    band = 4.5 / np.sqrt(2 * 40_000)
    assert np.std(draws[:, 2] - draws[:, 1]) * found.points == pytest.approx(frame.loc["c", "se"], rel=band)


def test_an_anchor_moves_no_difference() -> None:
    with_mean, with_item = (ps.elo_scale(fit_of(), reference=name).frame for name in (None, "c"))
    np.testing.assert_allclose(np.diff(with_mean["rating"]), np.diff(with_item["rating"]))


def test_draws_are_turned_alike() -> None:
    stored = np.random.default_rng(1).normal([0.5, 0.3, -0.8], 0.2, (2, 500, 3))
    fit = fit_of(draws={"worth": stored})
    found = ps.elo_scale(fit, reference="a", at=1200, level=0.9)
    assert found.draws is not None
    assert np.all(found.draws[..., 0] == 1200)
    np.testing.assert_allclose(found.draws[..., 2] - 1200, found.points * (stored[..., 2] - stored[..., 0]))
    ends = np.quantile(found.draws[..., 2], [0.05, 0.95])
    np.testing.assert_allclose(found.frame.set_index("level").loc["c", ["lower", "upper"]].astype(float), ends)
    assert ps.elo_scale(fit_of()).draws is None


def test_probit_is_elos_own_normal_scale() -> None:
    found = ps.elo_scale(fit_of(ps.BradleyTerry(link="probit")))
    rating = found.frame.set_index("level")["rating"]
    # Two performances of sd 200 points each: their difference has sd 200√2.
    assert norm.cdf((rating["a"] - rating["c"]) / np.hypot(200, 200)) == pytest.approx(norm.cdf(1.3))


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(DataError, match=r"elo_scale: reference='d' is no item; there are \['a', 'b', 'c'\]"):
        ps.elo_scale(fit_of(), reference="d")
    with pytest.raises(DataError, match=r"elo_scale: level=1 is not a coverage"):
        ps.elo_scale(fit_of(), level=1)
    with pytest.raises(DataError, match=r"elo_scale: at=nan is no rating"):
        ps.elo_scale(fit_of(), at=float("nan"))
    bare = dataclasses.replace(fit_of(), covariances={})
    assert len(ps.elo_scale(bare).frame) == 3
    with pytest.raises(DataError, match=r"keeps no covariances of these worths"):
        ps.elo_scale(bare, reference="a")
    rated = given_fit(ps.Rasch(), {"item": ("x", "y")}, (0, 1), item=[0.0, 0.1])
    with pytest.raises(DataError, match=r"elo_scale: Rasch has no worths of items; pass a fit of pairs or rankings"):
        ps.elo_scale(rated)
