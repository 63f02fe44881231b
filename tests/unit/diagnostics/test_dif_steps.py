"""Steps that move apart: against items split by hand, a naive likelihood, and by simulation."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from scipy.stats import binom, chi2, ncx2, norm

import psymetric as ps
from psymetric.diagnostics.differential_model import (
    CELL,
    IMPACT_LOG_SD,
    IMPACT_MEAN,
    SHIFT,
    DifferentialModel,
    step_names,
)
from psymetric.errors import DataError, DesignError

LIKELIHOOD, ESTIMATE, CURVATURE = 2e-4, 2e-3, 2e-3
DIFFICULTY, STEPS = np.array([-0.5, 0.0, 0.2, 0.4]), np.array([-0.9, 0.1, 0.8])
SHIFTED = np.array([-0.9, 0.0, 0.9])
"""What the focal group's steps of the second item move by: apart, about the same place."""


def ratings(seed: int, *, n: int = 300, shifted: np.ndarray = SHIFTED, item: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Answers 0-3, shape (subjects, items), and who is in the focal group."""
    rng = np.random.default_rng(seed)
    focal = np.repeat([False, True], n)
    theta = rng.normal(np.where(focal, -0.4, 0.0), np.where(focal, 1.3, 1.1))
    threshold = DIFFICULTY[:, None] + STEPS + np.zeros((2 * n, 1, 1))
    threshold[focal, item] += shifted
    logit = np.cumsum(theta[:, None, None] - threshold, axis=2)
    p = np.exp(log_softmax(np.pad(logit, ((0, 0), (0, 0), (1, 0))), axis=2))
    return (rng.random((2 * n, 4, 1)) > p.cumsum(axis=2)).sum(axis=2), focal


def table_of(scores: np.ndarray, focal: np.ndarray, *, split: int | None = None) -> ps.ResponseTable:
    names = np.array([[f"i{k}" for k in range(scores.shape[1])]] * len(scores), dtype=object)
    if split is not None:
        names[focal, split] = f"i{split}b"
    person = np.repeat(np.arange(len(scores)), scores.shape[1])
    frame = pd.DataFrame({"person": person, "item": names.ravel(), "score": scores.ravel()})
    frame["group"] = np.where(focal, "b", "a")[person]
    return ps.ResponseTable.from_frame(frame, response="score", subject="person", item="item", facets="group")


def run(table: ps.ResponseTable, kind: str, model=None, **settings):
    settings = {"group": "group", "reference": "a", "anchors": "others"} | settings
    return ps.differential_functioning(
        model or ps.ManyFacetRasch(facets=("item",), steps="item"), table, kind=kind, **settings
    )


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    return ratings(4)


@pytest.mark.thorough
def test_partial_credit_against_an_item_split_by_hand(world) -> None:
    table = table_of(*world)
    model = ps.ManyFacetRasch(facets=("item",), steps="item", population=ps.Population(groups="group"))
    alike, apart = ps.fit(model, table), ps.fit(model, table_of(*world, split=1))
    found = {kind: run(table, kind) for kind in ("thresholds", "steps", "uniform")}
    rows = {kind: each.frame.iloc[1] for kind, each in found.items()}
    both = 2 * (apart.log_likelihood - alike.log_likelihood)
    assert rows["thresholds"]["statistic"] == pytest.approx(both, abs=LIKELIHOOD)
    # The location's share is that of the uniform test.
    assert rows["steps"]["statistic"] == pytest.approx(both - rows["uniform"]["statistic"], abs=2 * LIKELIHOOD)
    assert [rows[kind]["df"] for kind in rows] == [3, 2, 1]
    own, reference = (apart.levels["item"].index(name) for name in ("i1b", "i1"))
    values, errors = ({name: source[name] for name in ("item", "step")} for source in (apart.parameters, apart.factors))
    steps = found["thresholds"].steps
    mine = steps[steps["level"] == "i1"]
    expected = values["item"][own] - values["item"][reference] + values["step"][own] - values["step"][reference]
    np.testing.assert_allclose(mine["estimate"], expected, atol=ESTIMATE)
    factor = errors["item"][own] - errors["item"][reference] + errors["step"][own] - errors["step"][reference]
    np.testing.assert_allclose(mine["se"], np.linalg.norm(factor, axis=1), rtol=CURVATURE)
    np.testing.assert_allclose(mine["p"], 2 * norm.sf(np.abs(mine["estimate"] / mine["se"])))
    assert rows["steps"]["estimate"] == pytest.approx(expected.mean(), abs=ESTIMATE)
    assert mine["category"].tolist() == [1, 2, 3]
    wald = run(table, "thresholds", method="wald").frame.iloc[1]
    quadratic = expected @ np.linalg.solve(factor @ factor.T, expected)
    assert wald["statistic"] == pytest.approx(quadratic, rel=5 * CURVATURE)


def naive(scores: np.ndarray, focal: np.ndarray, free_steps: bool) -> tuple[float, np.ndarray]:
    """Rating scale with common steps, two groups, the second item's focal shift and steps: maximum and its point."""
    z = np.linspace(-6, 6, 61)
    log_weight = norm.logpdf(z) - logsumexp(norm.logpdf(z))
    patterns = [np.unique(scores[focal == group], axis=0, return_counts=True) for group in (False, True)]

    def negative(point: np.ndarray) -> float:
        threshold = point[:4, None] + np.array([point[4], point[5], -point[4] - point[5]])
        mean, sd = (0.0, point[6]), np.exp(point[7:9])
        total = 0.0
        for group, (pattern, count) in enumerate(patterns):
            own = threshold.copy()
            if group:
                own[1] += point[9]
                if free_steps:
                    own[1] += [-point[10] - point[11], point[10], point[11]]
            logit = np.cumsum((mean[group] + sd[group] * z)[:, None, None] - own, axis=2)
            log_p = log_softmax(np.pad(logit, ((0, 0), (0, 0), (1, 0))), axis=2)
            each = sum(log_p[:, item, pattern[:, item]] for item in range(4)).T
            total += count @ logsumexp(each + log_weight, axis=1)
        return -total

    found = minimize(negative, np.zeros(12 if free_steps else 10), method="BFGS", options={"gtol": 1e-3})
    return -found.fun, found.x


def test_common_steps_against_a_naive_likelihood(world) -> None:
    larger, point = naive(*world, free_steps=True)
    smaller, _ = naive(*world, free_steps=False)
    found = run(table_of(*world), "steps", ps.ManyFacetRasch(facets=("item",)))
    row = found.frame.iloc[1]
    assert row["statistic"] == pytest.approx(2 * (larger - smaller), abs=LIKELIHOOD)
    assert row["estimate"] == pytest.approx(point[9], abs=ESTIMATE)
    mine = found.steps[found.steps["level"] == "i1"]["estimate"]
    np.testing.assert_allclose(mine, point[9] + np.array([-point[10] - point[11], point[10], point[11]]), atol=ESTIMATE)
    assert "step into 1 " in row["flag"] or "step into 3 " in row["flag"]
    # Steps that move apart make curves that cross.
    assert row["uids"] > 1.1 * abs(row["sids"])


def test_slopes_scale_the_shift_of_a_step() -> None:
    """At a slope of 2 a step's shift of .3 costs its logit .6, and the location's shift as much."""
    names = step_names(3)
    model = DifferentialModel(ps.GeneralizedPartialCredit(), "group", "a", names)
    params = {
        "ability": jnp.array([0.4]),
        "item": jnp.array([0.1]),
        "discrimination": jnp.array([2.0]),
        "step": jnp.array([[-0.5, 0.5]]),
        IMPACT_MEAN: jnp.zeros(2),
        IMPACT_LOG_SD: jnp.zeros(2),
        SHIFT: jnp.array([0.0, 0.2]),
        names[0]: jnp.array([0.0, 0.3]),
    }
    codes = {"subject": jnp.zeros(1, int), "item": jnp.zeros(1, int), "group": jnp.ones(1, int), CELL: jnp.ones(1, int)}
    found = model.category_log_probs(params, codes, 3)[0]
    np.testing.assert_allclose(
        np.diff(found), [2 * (0.4 - 0.1 + 0.5 - 0.2 + 0.3), 2 * (0.4 - 0.1 - 0.5 - 0.2 - 0.3)], rtol=1e-5
    )


def test_purified_anchors(world) -> None:
    found = run(table_of(*world), "thresholds", anchors="purified")
    assert found.frame["anchor"].tolist() == [True, False, True, True]
    assert found.flagged["level"].tolist() == ["i1"]


def test_levels_without_a_category_are_left_out(world) -> None:
    scores, focal = world
    scores = scores.copy()
    scores[focal, 2] = np.minimum(scores[focal, 2], 2)
    found = run(table_of(scores, focal), "steps")
    row = found.frame.iloc[2]
    assert row["note"] == "a category is not used in group 'b': a step beside it has no finite shift"
    assert np.isnan(row["p"])
    assert set(found.steps["level"]) == {"i0", "i1", "i3"}


def test_refusals(world) -> None:
    scores, focal = world
    table = table_of(scores, focal)
    with pytest.raises(DataError, match='steps are tested by method="lr" or "wald"'):
        run(table, "steps", method="posterior")
    with pytest.raises(DesignError, match="GradedResponse has no steps between neighbouring categories"):
        run(table, "steps", ps.GradedResponse())
    with pytest.raises(DataError, match='two categories have one step, which is the location: use kind="uniform"'):
        run(table_of(np.minimum(scores, 1), focal), "thresholds", ps.ManyFacetRasch(facets=("item",)))


@pytest.mark.slow
def test_false_alarms_and_power() -> None:
    """Twenty worlds: alarms on three sound items, finds of the fourth; bounds chance passes once in 10⁴ runs."""
    worlds, alarms, finds, statistics = 20, 0, 0, []
    for seed in range(worlds):
        rows = run(table_of(*ratings(300 + seed, n=200)), "steps", anchors=["i0"]).frame.set_index("level")
        alarms += int((rows.loc[["i2", "i3"], "p"] < 0.05).sum())
        finds += int(rows.loc["i1", "p"] < 0.05)
        statistics.append(rows.loc["i1", "statistic"])
    assert binom.ppf(5e-5, worlds * 2, 0.05) <= alarms <= binom.ppf(1 - 5e-5, worlds * 2, 0.05)
    power = ncx2.sf(chi2.isf(0.05, 2), 2, np.mean(statistics) - 2)
    assert binom.ppf(5e-5, worlds, power) <= finds <= binom.ppf(1 - 5e-5, worlds, power)
    assert power > 0.5
