"""Means and regressions of prediction-powered inference, beside ppi-python 0.2.3."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError, IdentificationError

with warnings.catch_warnings():
    # It switches filters while it is imported, and its compiler warns of itself; nothing of ours is imported here.
    warnings.simplefilter("ignore")
    # Compiling its loops takes twenty times as long as running them on so few rows.
    import numba

    numba.config.DISABLE_JIT = True
    import ppi_py

    numba.config.DISABLE_JIT = False

ROUNDING = 1e-12
SEARCH = 1e-7
"""Both searches stop at gradients of about 1e-10; the logistic loss is flat by some tenths per row."""


@pytest.fixture(scope="module")
def world():
    """Labels, verdicts and two regressors of 120 rows, and 700 more without labels."""
    rng = np.random.default_rng(0)
    x, more = (np.column_stack([np.ones(n), rng.normal(size=(n, 2))]) for n in (120, 700))
    slopes = np.array([0.3, 1.0, -0.5])
    y = x @ slopes + rng.logistic(size=120)
    return x, y, y + rng.normal(0.2, 0.7, 120), more, more @ slopes + rng.normal(0.2, 1.9, 700)


@pytest.mark.parametrize("power", [None, 0.0, 0.3, 1.0])
def test_means_are_those_of_ppi_python(world, power):
    _, y, f, _, judged = world
    row = ps.prediction_powered_mean(y, f, judged, power=power, level=0.9).frame.iloc[0]
    ends = ppi_py.ppi_mean_ci(y, f, judged, alpha=0.1, lam=power)
    np.testing.assert_allclose([row["lower"], row["upper"]], np.ravel(ends), atol=ROUNDING)


@pytest.mark.parametrize("power", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_regressions_are_those_of_ppi_python(world, power, weighted):
    x, y, f, more, judged = world
    rng = np.random.default_rng(1)
    ours, theirs = {}, {}
    if weighted:
        ours["weight"], ours["judged_weight"] = rng.uniform(0.5, 2, 120), rng.uniform(0.5, 2, 700)
        theirs = {"w": ours["weight"], "w_unlabeled": ours["judged_weight"]}
    found = ps.prediction_powered_regression(x, y, f, more, judged, power=power, **ours).frame
    ends = ppi_py.ppi_ols_ci(x, y, f, more, judged, alpha=0.05, lam=power, **theirs)
    np.testing.assert_allclose(found[["lower", "upper"]].to_numpy().T, ends, atol=ROUNDING)
    signs = [np.where(part > 0, 1.0, 0.0) for part in (y, f, judged)]
    found = ps.prediction_powered_regression(
        x, *signs[:2], more, signs[2], family="logistic", power=power, **ours
    ).frame
    with warnings.catch_warnings():
        # scikit-learn 1.8 renamed the option that ppi-python 0.2.3 starts its search with.
        warnings.filterwarnings("ignore", message=".*penalty.*", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*penalty.*", category=UserWarning)
        ends = ppi_py.ppi_logistic_ci(x, *signs[:2], more, signs[2], alpha=0.05, lam=power, **theirs)
    np.testing.assert_allclose(found[["lower", "upper"]].to_numpy().T, ends, atol=SEARCH)


def test_power_for_one_coefficient(world):
    x, y, f, more, judged = world
    found = ps.prediction_powered_regression(x, y, f, more, judged, tune_for=1).frame
    ends = ppi_py.ppi_ols_ci(x, y, f, more, judged, alpha=0.05, coord=1)
    np.testing.assert_allclose(found[["lower", "upper"]].to_numpy().T, ends, atol=ROUNDING)


def test_errors_of_weighted_means_do_not_depend_on_the_origin(world):
    """Here we differ from ppi-python, whose interval moves when labels and verdicts are moved by a number."""
    _, y, f, _, judged = world
    weight = np.random.default_rng(2).uniform(0.5, 2, 120)
    near, far = (
        ps.prediction_powered_mean(y + move, f + move, judged + move, weight=weight, power=0.4).frame["se"][0]
        for move in (0, 50)
    )
    assert near == pytest.approx(far, rel=1e-9)


def test_clusters(world):
    """Rows alone in their clusters give the plain error but for its factor; rows that are repeated count once."""
    _, y, f, _, judged = world
    plain = ps.prediction_powered_mean(y, f, judged, power=0.5).frame["se"][0]
    names = [f"r{i}" for i in range(820)]
    alone = ps.prediction_powered_mean(y, f, judged, power=0.5, cluster=names[:120], judged_cluster=names[120:])
    assert alone.frame["se"][0] == pytest.approx(plain * np.sqrt(820 / 819), rel=1e-12)
    thrice = [np.repeat(part, 3) for part in (y, f, judged, names[:120], names[120:])]
    repeated = ps.prediction_powered_mean(*thrice[:3], power=0.5, cluster=thrice[3], judged_cluster=thrice[4])
    assert repeated.frame["se"][0] == pytest.approx(alone.frame["se"][0], rel=1e-12)


def test_names_of_columns_become_terms(world):
    x, y, f, more, judged = world
    one, other = (pd.DataFrame(part, columns=["one", "length", "tone"]) for part in (x, more))
    found = ps.prediction_powered_regression(one, y, f, other, judged)
    assert found.frame["term"].tolist() == ["one", "length", "tone"]
    with pytest.raises(DataError, match=r"x has columns \['one', 'length', 'tone'\] and x_judged \['tone'"):
        ps.prediction_powered_regression(one, y, f, other[["tone", "one", "length"]], judged)


def test_bad_input_is_named(world):
    x, y, f, more, judged = world
    mean, regression = ps.prediction_powered_mean, ps.prediction_powered_regression
    with pytest.raises(DataError, match=r"label is missing or infinite \(1 of 120 rows, first at row 3"):
        mean(np.where(np.arange(120) == 3, np.nan, y), f, judged)
    with pytest.raises(DataError, match="judge has 119 rows and needs 120"):
        mean(y, f[1:], judged)
    with pytest.raises(DataError, match="label holds what is no number"):
        mean(["good"] * 120, f, judged)
    with pytest.raises(DataError, match="1 labelled rows and 700 judged; give at least 2"):
        mean(y[:1], f[:1], judged)
    with pytest.raises(DataError, match=r"power=1\.5 is outside \[0, 1\]"):
        mean(y, f, judged, power=1.5)
    with pytest.raises(DataError, match="weight is negative, or all 0"):
        mean(y, f, judged, weight=-(y**2))
    with pytest.raises(DataError, match="give cluster and judged_cluster, or neither"):
        mean(y, f, judged, cluster=np.arange(120))
    with pytest.raises(DataError, match="level=95 is not a coverage"):
        mean(y, f, judged, level=95)
    with pytest.raises(DataError, match="family='probit' is not known"):
        regression(x, y, f, more, judged, family="probit")
    with pytest.raises(DataError, match=r"label is outside \[0, 1\]"):
        regression(x, y, f, more, judged, family="logistic")
    with pytest.raises(DataError, match="tune_for=7 of 3 coefficients"):
        regression(x, y, f, more, judged, tune_for=7)
    with pytest.raises(IdentificationError, match="regressors depend on one another"):
        regression(x[:, [0, 1, 1]], y, f, more[:, [0, 1, 1]], judged)
    apart = np.where(x[:, 1] > 0, 1.0, 0.0)
    with pytest.raises(IdentificationError, match="has no maximum: the regressors separate the labels"):
        regression(x, apart, f > 0, more, judged > 0, family="logistic", power=0.0)
