"""M2, M2* and C2 against the enumeration of all response patterns, their distribution, and refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from rated_world import naive_probabilities, naive_steps, rated_frame, rated_table
from scipy.stats import chi2, ncx2

import psymetric as ps
from psymetric.errors import DataError

JUDGES, ITEMS, K = ("ann", "bob"), ("i1", "i2"), 4
# Central differences of step 1e-5 err by 1e-9 in a derivative.
ENUMERATED = 1e-6


@pytest.fixture(scope="module")
def crossed():
    """Two judges on two items: four variables, and 256 patterns of responses."""
    frame = rated_frame(subjects=400, seed=21).query("judge in @JUDGES and item in @ITEMS")
    complete = frame.groupby("text")["stars"].transform("size") == 4
    table = rated_table(frame[complete])
    return ps.fit(ps.ManyFacetRasch(), table), table


def pattern_probabilities(point: np.ndarray) -> np.ndarray:
    """Probabilities of all patterns; `point` is judge, item, steps (all free), mean, sd."""
    judge, item, steps, mean, sd = point[:2], point[2:4], point[4:7], point[7], point[8]
    grid = np.linspace(-7, 7, 141)
    weight = np.exp(-0.5 * grid**2)
    nodes = [
        [naive_probabilities(mean + sd * z, judge[j] + item[i], steps) for z in grid]
        for j, i in product(range(2), repeat=2)
    ]
    patterns = np.array(list(product(range(K), repeat=4)))
    given = np.prod([np.array(node)[:, patterns[:, v]] for v, node in enumerate(nodes)], axis=0)
    return weight / weight.sum() @ given


def enumerated(fit, table, statistic: str) -> tuple[float, int]:
    """The statistic by its definition, with a dense matrix of margins over patterns."""
    estimates = {name: dict(fit.estimates(name)[["level", "estimate"]].to_numpy()) for name in ("judge", "item")}
    point = np.array([
        *(estimates["judge"][name] for name in JUDGES),
        *(estimates["item"][name] for name in ITEMS),
        *naive_steps(fit),
        float(fit.parameters["population_mean"]),
        float(fit.parameters["population_sd"]),
    ])  # fmt: skip
    # Judge, item and steps move within their sums of zero: one, one and two directions.
    free = np.zeros((6, 9))
    free[0, :2], free[1, 2:4] = (1, -1), (1, -1)
    free[2, 4:7], free[3, 4:7] = (1, -1, 0), (0, 1, -1)
    free[4, 7] = free[5, 8] = 1
    step = 1e-5
    slope = [(pattern_probabilities(point + step * d) - pattern_probabilities(point - step * d)) for d in free]
    patterns = np.array(list(product(range(K), repeat=4)))
    indicators = [[patterns[:, v] == k for k in range(1, K)] for v in range(4)]
    scores = [[patterns[:, v]] for v in range(4)]
    single, double = {"C2": (indicators, scores), "M2*": (scores, scores), "M2": (indicators, indicators)}[statistic]
    rows = [margin for functions in single for margin in functions]
    rows += [a * b for left, right in combinations(double, 2) for a in left for b in right]
    matrix, p = np.array(rows, float), pattern_probabilities(point)
    frame = table.to_frame().assign(score=lambda f: f["response"].map(fit.categories.index))
    wide = frame.pivot_table(index="subject", columns=["judge", "item"], values="score").to_numpy().astype(int)
    counts = np.bincount(wide @ (K ** np.arange(3, -1, -1)), minlength=K**4)
    apart = matrix @ (counts / len(wide) - p)
    inverse = np.linalg.inv(matrix @ (np.diag(p) - np.outer(p, p)) @ matrix.T)
    delta = matrix @ np.array(slope).T / (2 * step)
    within = inverse - inverse @ delta @ np.linalg.inv(delta.T @ inverse @ delta) @ delta.T @ inverse
    return len(wide) * apart @ within @ apart, len(rows) - 6


@pytest.mark.parametrize(("statistic", "df"), [("C2", 12), ("M2*", 4), ("M2", 60)])
def test_enumeration_of_patterns(crossed, statistic, df):
    fit, table = crossed
    found = ps.limited_information(fit, table, statistic=statistic)
    value, expected_df = enumerated(fit, table, statistic)
    assert found.value == pytest.approx(value, rel=ENUMERATED)
    assert found.df == expected_df == df
    assert found.p == pytest.approx(chi2.sf(value, df), abs=ENUMERATED)
    assert found.statistic == statistic


def test_pairs_are_correlations_of_scores(crossed):
    fit, table = crossed
    found = ps.limited_information(fit, table)
    frame = table.to_frame().assign(score=lambda f: f["response"].astype(float))
    wide = frame.pivot_table(index="subject", columns=["judge", "item"], values="score")
    wide.columns = [" × ".join(sorted(pair, key=lambda s: s[0] != "i")) for pair in wide.columns]
    assert len(found.pairs) == 6
    for row in found.pairs.itertuples():
        assert row.observed == pytest.approx(wide[row.first].corr(wide[row.second]), abs=1e-12)
    assert found.srmsr == pytest.approx(np.sqrt((found.pairs["residual"] ** 2).mean()))
    assert found.pairs["residual"].abs().is_monotonic_decreasing


def answers(right: np.ndarray) -> ps.ResponseTable:
    long = pd.DataFrame(right.astype(int)).rename_axis("person").reset_index().melt("person", var_name="item")
    return ps.ResponseTable.from_frame(long, response="value", subject="person", item="item")


def test_mean_of_the_statistic_is_its_degrees_of_freedom():
    """Over tables from the model."""
    rng, values = np.random.default_rng(3), []
    difficulty = np.linspace(-1.5, 1.5, 6)
    for _ in range(40):
        theta = rng.normal(0, 1, 500)[:, None]
        table = answers(rng.random((500, 6)) < 1 / (1 + np.exp(difficulty - theta)))
        values.append(ps.limited_information(ps.fit(ps.Rasch(), table), table).value)
    df = 6 + 15 - 7
    assert abs(np.mean(values) - df) < 4 * np.sqrt(2 * df / 40)


def test_a_second_ability_is_seen_and_rmsea_inverts_the_noncentral_distribution():
    rng, difficulty = np.random.default_rng(4), np.linspace(-1.5, 1.5, 6)
    theta = rng.normal(0, 1, 500)[:, None] + 1.5 * rng.normal(0, 1, 500)[:, None] * (np.arange(6) > 2)
    table = answers(rng.random((500, 6)) < 1 / (1 + np.exp(difficulty - theta)))
    found = ps.limited_information(ps.fit(ps.Rasch(), table), table)
    assert found.p < 1e-6
    scale = found.df * (found.n_subjects - 1)
    low, high = (end**2 * scale for end in found.rmsea_interval)
    assert ncx2.cdf(found.value, found.df, low) == pytest.approx(0.95, abs=1e-8)
    assert ncx2.cdf(found.value, found.df, high) == pytest.approx(0.05, abs=1e-8)
    assert found.rmsea == pytest.approx(np.sqrt((found.value - found.df) / scale))
    assert (int(found.pairs["first"][0]) > 2) == (int(found.pairs["second"][0]) > 2)


def test_refusals(marginal, joint, table, frame, worths, pairs, crossed):
    fit, complete = crossed
    with pytest.raises(DataError, match="limited_information: BradleyTerry has no subjects"):
        ps.limited_information(worths, pairs)
    with pytest.raises(DataError, match=r"statistic='G2' is not one of \['C2', 'M2\*', 'M2'\]"):
        ps.limited_information(fit, complete, statistic="G2")
    with pytest.raises(DataError, match=r"fit with MarginalML\(\)"):
        ps.limited_information(joint, table)
    with pytest.raises(DataError, match=r"\d+ of 42 subjects lack a response to some item × judge, first 's\d+'"):
        ps.limited_information(marginal, table)
    other = rated_table(complete.to_frame().rename(columns={"subject": "text", "response": "stars"}).iloc[4:])
    with pytest.raises(DataError, match="pass the table that was fitted"):
        ps.limited_information(fit, other)
    random = replace(fit, model=ps.ManyFacetRasch(random=("judge",)))
    with pytest.raises(DataError, match="'judge' is random"):
        ps.limited_information(random, complete)
    items_only = replace(fit, model=ps.ManyFacetRasch(facets=("item",)))
    with pytest.raises(DataError, match=r"several responses to one item \(the model leaves out .*judge"):
        ps.limited_information(items_only, complete)


def test_too_few_margins_and_too_many(crossed, monkeypatch):
    fit, complete = crossed
    pair = complete.select("judge", ["ann"])
    two = ps.ManyFacetRasch(facets=("item",), steps="item")
    with pytest.raises(DataError, match=r"M2\* has 3 margins and the model 3 parameters that move them"):
        ps.limited_information(ps.fit(two, pair), pair, statistic="M2*")
    monkeypatch.setattr("psymetric.diagnostics.limited_information._MOST_MARGINS", 20)
    with pytest.raises(DataError, match="M2 has 66 margins here, more than 20"):
        ps.limited_information(fit, complete, statistic="M2")
