from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from given_fits import drawn_table, given_fit
from scipy.integrate import quad
from scipy.special import expit, softmax
from scipy.stats import norm

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.diagnostics.information_curves import ability_grid, information_curves

THETA = np.linspace(-6, 6, 49)
ITEMS = {"item": ("i1", "i2", "i3")}
A, B = np.array([0.7, 1.3, 2.1]), np.array([-1.0, 0.2, 1.4])
C, D = np.array([0.1, 0.25, 0.2]), np.array([0.95, 0.9, 0.99])
STEP = np.array([[-1.0, 1.0], [-0.3, 0.3], [0.5, -0.5]])
AT = THETA[None, :]
# Closed forms agree with automatic differentiation to rounding; information is of order one.
ROUNDING = {"rtol": 1e-9, "atol": 1e-12}


def dichotomous(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """P'² / (P Q): Lord (1980), eq. 5-9, with an upper asymptote (Magis, 2013)."""
    logistic = expit(A[:, None] * (AT - B[:, None]))
    p = lower[:, None] + (upper - lower)[:, None] * logistic
    slope = (upper - lower)[:, None] * A[:, None] * logistic * (1 - logistic)
    return slope**2 / (p * (1 - p))


def three_pl() -> np.ndarray:
    """a² (Q / P) ((P − c) / (1 − c))²: Birnbaum (1968), eq. 20.4.14."""
    p = C[:, None] + (1 - C)[:, None] * expit(A[:, None] * (AT - B[:, None]))
    return A[:, None] ** 2 * (1 - p) / p * ((p - C[:, None]) / (1 - C[:, None])) ** 2


def partial_credit(slope: np.ndarray, location: np.ndarray, step: np.ndarray) -> np.ndarray:
    """a² Var(X): Muraki (1993), eq. 15."""
    logits = slope[:, None, None] * (AT[..., None] - location[:, None, None] - step[:, None, :])
    p = softmax(np.concatenate([np.zeros((*logits.shape[:2], 1)), np.cumsum(logits, axis=2)], axis=2), axis=2)
    score = np.arange(p.shape[2])
    return slope[:, None] ** 2 * (p @ score**2 - (p @ score) ** 2)


def graded() -> np.ndarray:
    """Σ (P*'_k − P*'_{k+1})² / P_k: Samejima (1969)."""
    star = expit(A[:, None, None] * (AT[..., None] - B[:, None, None] - np.sort(STEP, axis=1)[:, None, :]))
    ends = np.ones((*star.shape[:2], 1))
    star = np.concatenate([ends, star, 0 * ends], axis=2)
    slope = A[:, None, None] * star * (1 - star)
    p = -np.diff(star, axis=2)
    return np.sum(np.diff(slope, axis=2) ** 2 / p, axis=2)


SLOPES = np.array([[0.8, 1.4], [1.2, 0.3], [2.0, -0.4]])


def nominal() -> np.ndarray:
    """Variance of the cumulated category slopes: Bock (1972)."""
    logits = np.cumsum(SLOPES[:, None, :] * AT[..., None] + STEP[:, None, :], axis=2)
    p = softmax(np.concatenate([np.zeros((*logits.shape[:2], 1)), logits], axis=2), axis=2)
    alpha = np.concatenate([np.zeros((3, 1)), np.cumsum(SLOPES, axis=1)], axis=1)[:, None, :]
    return np.sum(p * alpha**2, axis=2) - np.sum(p * alpha, axis=2) ** 2


NONE, ALL = np.zeros(3), np.ones(3)
CASES: dict[str, tuple[Callable[[], ps.Fit], Callable[[], np.ndarray]]] = {
    "rasch": (
        lambda: given_fit(ps.Rasch(), ITEMS, (0, 1), item=B),
        lambda: partial_credit(ALL, B, np.zeros((3, 1))),
    ),
    "two_pl": (
        lambda: given_fit(ps.TwoPL(), ITEMS, (0, 1), item=B, discrimination=A),
        lambda: dichotomous(NONE, ALL),
    ),
    "three_pl": (lambda: given_fit(ps.ThreePL(), ITEMS, (0, 1), item=B, discrimination=A, guessing=C), three_pl),
    "four_pl": (
        lambda: given_fit(ps.FourPL(), ITEMS, (0, 1), item=B, discrimination=A, guessing=C, upper=D),
        lambda: dichotomous(C, D),
    ),
    "generalized_partial_credit": (
        lambda: given_fit(ps.GeneralizedPartialCredit(), ITEMS, (0, 1, 2), item=B, discrimination=A, step=STEP),
        lambda: partial_credit(A, B, STEP),
    ),
    "graded": (
        lambda: given_fit(ps.GradedResponse(), ITEMS, (0, 1, 2), item=B, discrimination=A, step=np.sort(STEP, axis=1)),
        graded,
    ),
    "nominal": (lambda: given_fit(ps.NominalResponse(), ITEMS, (0, 1, 2), intercept=STEP, slope=SLOPES), nominal),
}


@pytest.mark.parametrize("name", CASES)
def test_information_is_the_closed_form(name: str) -> None:
    make, closed = CASES[name]
    found = information_curves(make(), theta=THETA)
    assert found.facet == "item"
    np.testing.assert_allclose(found.levels["information"].to_numpy().reshape(3, -1), closed(), **ROUNDING)
    np.testing.assert_allclose(found.curve["information"], closed().sum(axis=0), **ROUNDING)
    np.testing.assert_allclose(found.curve["se"], closed().sum(axis=0) ** -0.5, **ROUNDING)


JUDGES = {"item": ("i1", "i2", "i3"), "judge": ("j1", "j2")}
SEVERITY, CONSISTENCY = np.array([-0.5, 0.5]), np.array([0.5, 2.0])


def sloped(**changes: object) -> ps.Fit:
    model = ps.ManyFacetRasch(facets=("item", "judge"), steps="item", slopes=("judge",))
    return given_fit(
        model, JUDGES, (1, 2, 3), item=B - B.mean(), judge=SEVERITY, judge_slope=CONSISTENCY, step=STEP, **changes
    )


def test_judges_are_told_apart_with_every_item_that_owns_steps() -> None:
    found = information_curves(sloped(), facet="judge", theta=THETA)
    expected = [
        partial_credit(np.full(3, slope), B - B.mean() + severity, STEP).sum(axis=0)
        for slope, severity in zip(CONSISTENCY, SEVERITY, strict=True)
    ]
    np.testing.assert_allclose(found.levels["information"].to_numpy().reshape(2, -1), expected, **ROUNDING)
    assert found.notes == ()
    assert len(found.cells) == 6


def test_items_meet_a_judge_of_mean_severity_and_consistency() -> None:
    found = information_curves(sloped(), theta=THETA)
    expected = partial_credit(ALL, B - B.mean(), STEP)
    np.testing.assert_allclose(found.levels["information"].to_numpy().reshape(3, -1), expected, **ROUNDING)
    assert found.notes == ("judge at the mean of the levels in the fit",)


def test_the_table_is_what_the_mean_subject_was_asked() -> None:
    table = drawn_table(sloped(), np.random.default_rng(1).normal(size=40), seed=2, share=0.6)
    fit = sloped(source=table.hash)
    found = information_curves(fit, table=table, theta=THETA)
    location = (B - B.mean())[fit_codes(table, "item", fit)] + SEVERITY[fit_codes(table, "judge", fit)]
    slope, step = CONSISTENCY[fit_codes(table, "judge", fit)], STEP[fit_codes(table, "item", fit)]
    expected = partial_credit(slope, location, step).sum(axis=0) / 40
    np.testing.assert_allclose(found.curve["information"], expected, **ROUNDING)
    assert found.cells["weight"].sum() == pytest.approx(table.n_rows / 40)


def fit_codes(table: ps.ResponseTable, facet: str, fit: ps.Fit) -> np.ndarray:
    return np.array([fit.levels[facet].index(label) for label in table.levels[facet]])[table.codes[facet]]


def test_reliability_is_its_mean_over_the_population() -> None:
    fit = CASES["two_pl"][0]()
    fit = given_fit(fit.model, ITEMS, (0, 1), mean=0.4, sd=1.6, item=B, discrimination=A)

    def integrand(theta: float) -> float:
        p = expit(A * (theta - B))
        information = float(np.sum(A**2 * p * (1 - p)))
        return float(norm.pdf(theta, 0.4, 1.6)) * information / (information + 1 / 1.6**2)

    expected = quad(integrand, -12, 13, epsabs=1e-11, limit=200)[0]
    found = information_curves(fit, theta=THETA)
    # The sum over nodes .15 sd apart of a smooth function under the normal density.
    assert found.marginal_reliability == pytest.approx(expected, abs=1e-7)
    row = found.curve.iloc[10]
    assert row["posterior_sd"] ** -2 == pytest.approx(row["information"] + 1 / 1.6**2)
    assert row["reliability"] == pytest.approx(1 - (row["posterior_sd"] / 1.6) ** 2)
    assert found.peaks["share"].sum() == pytest.approx(1)
    assert found.peaks["theta"].tolist() == pytest.approx(THETA[np.abs(AT - B[:, None]).argmin(axis=1)])


def test_joint_ml_without_a_population_says_so() -> None:
    fit = CASES["rasch"][0]()
    params = {"item": fit.parameters["item"], "ability": np.array([0.1, 0.2, 0.1])}
    joint = dataclasses.replace(
        fit,
        engine="JointML",
        parameters=params,
        standard_errors={"item": np.full(3, 0.1), "ability": np.ones(3)},
        levels={**fit.levels, "subject": ("a", "b", "c")},
    )
    found = information_curves(joint)
    assert "no reliability" in found.notes[0]
    assert np.isnan(found.marginal_reliability)
    assert np.isfinite(found.curve["se"]).all()
    assert ability_grid(joint)[[0, -1]] == pytest.approx([-0.9, 1.2])


def test_levels_without_an_estimate_are_left_out() -> None:
    fit = given_fit(ps.Rasch(), ITEMS, (0, 1), item=[np.nan, 0.0, 1.0])
    assert information_curves(fit).peaks["level"].tolist() == ["i2", "i3"]


def test_bad_input_is_refused() -> None:
    fit = CASES["rasch"][0]()
    table = drawn_table(fit, np.zeros(5), seed=0)
    with pytest.raises(ps.errors.DataError, match="give cells=, or table="):
        information_curves(fit, cells=pd.DataFrame({"item": ["i1"]}), table=table)
    with pytest.raises(ps.errors.DataError, match="not the one that was fitted"):
        information_curves(fit, table=table)
    with pytest.raises(ps.errors.DataError, match=r"facet='rater' is not among \['item'\]"):
        information_curves(fit, facet="rater")
    with pytest.raises(ps.errors.DataError, match="finite, ascending"):
        information_curves(fit, theta=np.array([1.0, 0.0]))
    pairs = dataclasses.replace(fit, model=ps.BradleyTerry(), provenance=Provenance(""))
    with pytest.raises(ps.errors.DataError, match="no subjects to be informed about"):
        information_curves(pairs)
