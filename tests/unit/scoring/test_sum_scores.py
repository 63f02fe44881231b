"""Sum scores against enumeration of every pattern, a published table, and the estimates they must equal."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from rated_world import rated_table
from sloped_world import answers, probabilities_of, sloped_fit

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.scoring.sum_scores import sum_score_log_probs

SOLVED = 1e-6  # nodes half a posterior sd apart: moments to 1e-7 sd
# A logistic of slope 1.9 has poles 1.2 logits off the real line: nodes h = .55 apart err by exp(-2π 1.2 / h) = 1e-6.
STEEP = 5e-6
PRINTED = 2e-4  # the published slopes and intercepts have four digits

# LSAT7 (Bock & Lieberman, 1970): mirt's two-parameter fit and its table of summed scores ("EAPsum").
SLOPES = np.array([0.9875, 1.0808, 1.7075, 0.7650, 0.7357])
INTERCEPTS = np.array([1.8559, 0.8080, 1.8052, 0.4860, 1.8545])
MEASURES = [-1.86979, -1.43186, -0.94885, -0.41320, 0.15173, 0.72719]
ERRORS = [0.6927, 0.6839, 0.6942, 0.7211, 0.7588, 0.8009]


@pytest.fixture(scope="module")
def three_items():
    steps = np.array([[-0.8, 0.8], [-0.3, 0.3], [0.5, -0.5]])
    return sloped_fit({"p": -0.6, "q": 0.2, "r": 0.9}, np.array([0.6, 1.0, 1.9]), steps, mean=0.3, sd=1.3)


def patterns(fit):
    return [dict(zip(fit.levels["item"], given, strict=True)) for given in product(range(3), repeat=3)]


def enumerated(fit, total, grid):
    """Probability of a sum at every grid point, pattern by pattern."""
    found = np.zeros(len(grid))
    for given in patterns(fit):
        if sum(given.values()) == total:
            found += [np.prod([probabilities_of(fit, item, t)[k] for item, k in given.items()]) for t in grid]
    return found


def test_recursion_is_the_sum_over_patterns(three_items):
    grid = np.array([-2.0, 0.1, 3.0])
    with double_precision():
        logs = np.log([[probabilities_of(three_items, item, t) for t in grid] for item in "pqr"])
        found = np.exp(np.asarray(sum_score_log_probs(logs)))
    expected = np.column_stack([enumerated(three_items, total, grid) for total in range(7)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)


def test_hundreds_of_responses_do_not_underflow():
    with double_precision():
        found = np.asarray(sum_score_log_probs(np.log(np.full((400, 1, 2), [1e-8, 1 - 1e-8]))))[0]
    assert found[0] == pytest.approx(400 * np.log(1e-8))
    assert found[400] == pytest.approx(400 * np.log1p(-1e-8))


@pytest.mark.parametrize("total", [0, 3, 6])
def test_sum_eap_is_the_posterior_given_the_sum(three_items, total):
    given = next(given for given in patterns(three_items) if sum(given.values()) == total)
    found = ps.score(three_items, answers({"s": given}, 3), method="sum_eap").frame.iloc[0]
    grid = 0.3 + 1.3 * np.linspace(-8, 8, 801)
    weight = enumerated(three_items, total, grid) * np.exp(-0.5 * ((grid - 0.3) / 1.3) ** 2)
    weight /= weight.sum()
    mean = weight @ grid
    assert found["estimate"] == pytest.approx(mean, abs=STEEP)
    assert found["se"] == pytest.approx(np.sqrt(weight @ (grid - mean) ** 2), abs=STEEP)
    assert weight[grid < found["lower"]].sum() == pytest.approx(0.025, abs=0.011)  # one node's mass


def test_sum_eap_reproduces_the_published_table():
    names = [f"i{k}" for k in range(5)]
    fit = sloped_fit(dict(zip(names, -INTERCEPTS / SLOPES, strict=True)), SLOPES)
    table = answers({f"s{r}": {name: int(k < r) for k, name in enumerate(names)} for r in range(6)}, 2)
    found = ps.score(fit, table, method="sum_eap").frame
    np.testing.assert_allclose(found["estimate"], MEASURES, atol=PRINTED)
    np.testing.assert_allclose(found["se"], ERRORS, atol=PRINTED)


def test_same_sum_same_measure_and_other_cells_another(three_items):
    given = {
        "a": {"p": 2, "q": 0, "r": 1},
        "b": {"p": 0, "q": 2, "r": 1},
        "fewer": {"p": 1, "r": 2},
        "other": {"q": 1, "r": 2},
    }
    found = ps.score(three_items, answers(given, 3), method="sum_eap").frame.set_index("subject")["estimate"]
    by_pattern = ps.score(three_items, answers(given, 3)).frame.set_index("subject")["estimate"]
    assert found["a"] == found["b"]
    assert abs(by_pattern["a"] - by_pattern["b"]) > 0.1  # the slopes make patterns count
    assert abs(found["other"] - found["fewer"]) > 0.05
    alone = ps.score(three_items, answers({"fewer": given["fewer"]}, 3), method="sum_eap").frame["estimate"]
    assert found["fewer"] == pytest.approx(alone.iloc[0], abs=SOLVED)


def test_sum_eap_is_eap_where_the_sum_is_sufficient(marginal, table):
    """Incomplete ratings of many designs, with extreme subjects."""
    by_sum, by_pattern = (ps.score(marginal, table, method=method).frame for method in ("sum_eap", "eap"))
    columns = ["estimate", "se", "lower", "upper"]
    np.testing.assert_allclose(by_sum[columns], by_pattern[columns], atol=1e-4)
    np.testing.assert_allclose(by_sum[columns[:2]], by_pattern[columns[:2]], atol=SOLVED)


def test_weight_two_equals_row_twice_and_zero_is_absent(marginal, frame):
    chosen = frame[frame["text"].isin(["s0", "s1", "top"])]
    doubled = pd.concat([chosen, chosen])
    twice = ps.score(marginal, rated_table(doubled), method="sum_eap").frame["estimate"]
    weighted = ps.score(marginal, rated_table(chosen.assign(n=2.0), weight="n"), method="sum_eap").frame["estimate"]
    np.testing.assert_allclose(twice, weighted, atol=1e-9)
    nothing = rated_table(chosen.assign(n=np.where(chosen["text"] == "s1", 0.0, 1.0)), weight="n")
    found = ps.score(marginal, nothing, method="sum_eap").frame.set_index("subject").loc["s1"]
    assert found["estimate"] == pytest.approx(float(marginal.parameters["population_mean"]), abs=SOLVED)
    assert found["se"] == pytest.approx(float(marginal.parameters["population_sd"]), abs=SOLVED)


def test_fractions_have_no_sum(marginal, frame):
    table = rated_table(frame.assign(n=0.5), weight="n")
    with pytest.raises(DataError, match=r"score: a sum score needs weights that are whole numbers .* got \[.*0\.5"):
        ps.score(marginal, table, method="sum_eap")
