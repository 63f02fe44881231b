"""The score-to-measure table against scored patterns, enumeration and a published table, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from rated_world import DIFFICULTY, SEVERITY, naive_probabilities, rated_table
from scipy.optimize import brentq, minimize_scalar
from sloped_world import probabilities_of, sloped_fit

import psymetric as ps
from psymetric.core.steps import UNUSED
from psymetric.errors import DataError

SOLVED = 1e-6
PRINTED = 2e-4  # the published slopes and intercepts have four digits
CELLS = pd.DataFrame([(judge, item) for judge in SEVERITY for item in DIFFICULTY], columns=["judge", "item"])


@pytest.fixture(scope="module")
def whole(marginal):
    return ps.score_table(marginal, cells=CELLS)


@pytest.fixture(scope="module")
def staircase():
    """One subject for every sum of nine ratings from 1 to 4."""
    rows = [
        (f"sum {total}", *cell, 1 + min(3, max(0, total - 3 * place)))
        for total in range(28)
        for place, cell in enumerate(CELLS.itertuples(index=False))
    ]
    return rated_table(pd.DataFrame(rows, columns=["text", "judge", "item", "stars"]))


@pytest.mark.parametrize("method", ["ml", "wle", "eap"])
def test_measures_are_those_of_scored_patterns(marginal, whole, staircase, method):
    scored = ps.score(marginal, staircase, method=method).frame.set_index("subject")
    scored = scored.loc[[f"sum {total}" for total in range(28)]]
    np.testing.assert_allclose(whole.frame[method], scored["estimate"], atol=SOLVED)
    np.testing.assert_allclose(whole.frame[f"{method}_se"], scored["se"], atol=SOLVED)
    assert whole.frame["extreme"].tolist() == scored["extreme"].tolist()


def test_scores_are_also_given_in_labels(whole):
    assert whole.frame["score"].tolist() == list(range(28))
    assert whole.frame["raw"].tolist() == list(range(9, 37))
    assert whole.frame["probability"].sum() == pytest.approx(1.0, abs=1e-9)


def test_cells_of_a_subject_are_its_form(marginal, table):
    own = table.to_frame().query("subject == 's7'")
    found = ps.score_table(marginal, table=table, subject="s7")
    scored = ps.score(marginal, table, method="wle").frame.set_index("subject").loc["s7", "estimate"]
    at = found.frame.set_index("raw").loc[own["response"].astype(int).sum(), "wle"]
    assert at == pytest.approx(scored, abs=SOLVED)
    assert len(found.cells) == len(own)


def test_default_is_every_item_once_at_mean_severity(marginal):
    """The judges sum to zero, so that a judge of mean severity has severity zero."""
    found = ps.score_table(marginal)
    difficulty = marginal.parameters["item"]
    steps = marginal.parameters["step"].ravel()

    def expected(theta: float) -> float:
        return sum(naive_probabilities(theta, at, steps) @ np.arange(4) for at in difficulty)

    assert found.frame["ml"].iloc[4] == pytest.approx(brentq(lambda t: expected(t) - 4, -9, 9), abs=SOLVED)
    assert found.frame["ml"].iloc[0] == pytest.approx(brentq(lambda t: expected(t) - 0.3, -12, 9), abs=SOLVED)
    assert "judge at the mean of the levels in the fit" in found.notes
    curve = found.curve.iloc[[0, 70, 200]]
    np.testing.assert_allclose(curve["expected"], [expected(t) for t in curve["theta"]], atol=1e-9)
    np.testing.assert_allclose(curve["expected_raw"], curve["expected"] + 3)
    # In the Rasch family the information is the variance of the score.
    np.testing.assert_allclose(curve["information"], curve["sd"] ** 2, rtol=1e-9)


def test_published_table_of_sum_scores():
    """LSAT7, mirt's two-parameter fit: expected sum-score measures and frequencies among a thousand."""
    slopes = np.array([0.9875, 1.0808, 1.7075, 0.7650, 0.7357])
    difficulty = -np.array([1.8559, 0.8080, 1.8052, 0.4860, 1.8545]) / slopes
    found = ps.score_table(sloped_fit(dict(zip("abcde", difficulty, strict=True)), slopes)).frame
    np.testing.assert_allclose(found["eap"], [-1.86979, -1.43186, -0.94885, -0.41320, 0.15173, 0.72719], atol=PRINTED)
    np.testing.assert_allclose(found["eap_se"], [0.6927, 0.6839, 0.6942, 0.7211, 0.7588, 0.8009], atol=PRINTED)
    frequencies = [10.090, 44.659, 109.773, 207.739, 319.185, 308.554]
    np.testing.assert_allclose(1000 * found["probability"], frequencies, atol=0.02)  # four-digit slopes


@pytest.fixture(scope="module")
def sloped():
    steps = np.array([[-0.8, 0.8], [-0.3, 0.3], [0.5, -0.5]])
    return sloped_fit({"p": -0.6, "q": 0.2, "r": 0.9}, np.array([0.6, 1.0, 1.9]), steps)


def shares(fit, theta):
    """Probability of every sum, pattern by pattern."""
    found = np.zeros(7)
    for given in product(range(3), repeat=3):
        found[sum(given)] += np.prod(
            [probabilities_of(fit, item, theta)[k] for item, k in zip("pqr", given, strict=True)]
        )
    return found


@pytest.mark.parametrize("total", [1, 3, 5])
def test_ml_maximises_the_probability_of_the_sum(sloped, total):
    found = ps.score_table(sloped).frame.set_index("score")
    best = minimize_scalar(
        lambda t: -np.log(shares(sloped, t)[total]), bounds=(-6, 6), method="bounded", options={"xatol": 1e-9}
    )
    assert found.loc[total, "ml"] == pytest.approx(best.x, abs=1e-5)  # an optimum is found to the root of the precision


@pytest.mark.parametrize("total", [0, 2, 6])
def test_wle_solves_warms_equation_for_the_sum(sloped, total):
    row = ps.score_table(sloped).frame.set_index("score").loc[total]
    theta, h = row["wle"], 1e-3
    below, at, above = (shares(sloped, theta + step) for step in (-h, 0, h))
    first, second = (above - below) / (2 * h), (above - 2 * at + below) / h**2
    information = np.sum(first**2 / at)
    score = first[total] / at[total]
    assert score + np.sum(first * second / at) / (2 * information) == pytest.approx(0.0, abs=1e-5)  # differences, h²
    assert row["wle_se"] == pytest.approx(1 / np.sqrt(information), rel=1e-5)


def test_scores_out_of_reach_are_nan_and_noted():
    """The middle category of every item was never used: only even sums can occur."""
    steps = np.tile([UNUSED, -UNUSED], (3, 1))
    found = ps.score_table(sloped_fit({"p": -0.6, "q": 0.2, "r": 0.9}, np.ones(3), steps))
    assert found.frame["wle"].isna().tolist() == [False, True] * 3 + [False]
    assert found.frame["eap"].isna().tolist() == [False, True] * 3 + [False]
    assert "3 scores cannot be reached with the categories that the fit has seen" in found.notes
    assert found.frame["probability"].sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adjustment": 0.7}, "adjustment=0.7 must lie between"),
        ({"cells": pd.DataFrame({"judges": ["ann"]})}, "column 'judges' that is no facet .* did you mean 'judge'"),
        ({"cells": pd.DataFrame({"item": []})}, "cells is empty"),
        ({"cells": pd.DataFrame({"item": ["i1", "i9"]})}, r"item not in the fit.*\['i9'\]"),
        ({"subject": "s1"}, "give cells=, or table= with subject="),
    ],
)
def test_refusals_say_what_and_how_to_mend(marginal, options, message):
    with pytest.raises(DataError, match=f"score_table: .*{message}"):
        ps.score_table(marginal, **options)


def test_unknown_subject_is_refused(marginal, table):
    with pytest.raises(DataError, match="the table has no subject 'nobody'"):
        ps.score_table(marginal, table=table, subject="nobody")


def test_steps_of_an_averaged_facet_are_refused(marginal):
    model = replace(marginal.model, steps="judge")
    owned = replace(
        marginal, model=model, parameters={**marginal.parameters, "step": np.tile(marginal.parameters["step"], (3, 1))}
    )
    with pytest.raises(DataError, match="the steps belong to 'judge', which has no mean scale"):
        ps.score_table(owned)
    assert len(ps.score_table(owned, cells=CELLS).frame) == 28


def test_levels_without_an_estimate_are_refused(marginal):
    item = marginal.parameters["item"].copy()
    item[1] = np.nan
    unknown = replace(marginal, parameters={**marginal.parameters, "item": item})
    with pytest.raises(DataError, match=r"1 of 3 cells have a level without an estimate in the fit, first .*'i2'"):
        ps.score_table(unknown)


def test_pairs_have_no_form(worths):
    with pytest.raises(DataError, match="score_table: BradleyTerry has no subjects"):
        ps.score_table(worths)
