"""Generalised partial credit, graded and nominal response, slopes of facets: written out, and one inside another."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import norm

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError
from psymetric.simulation.studies import simulate_responses

RNG = np.random.default_rng(11)
N, ITEMS, STEPS = 500, 4, 3
LEVELS = {"subject": [f"s{s}" for s in range(N)], "item": [f"i{i}" for i in range(ITEMS)]}
GAPS = np.array([[-1.2, 0.1, 1.1], [-0.8, -0.1, 0.9], [-1.5, 0.2, 1.3], [-0.9, 0.0, 0.9]])
PARAMS = {
    "ability": RNG.normal(size=N),
    "item": np.array([-0.5, 0.3, 0.0, 0.4]),
    "discrimination": np.array([0.7, 1.1, 1.6, 0.9]),
    "step": GAPS,
    "slope": np.abs(RNG.normal(1, 0.3, (ITEMS, STEPS))),
    "intercept": RNG.normal(0, 0.5, (ITEMS, STEPS)),
}
CODES = {"subject": np.repeat(np.arange(N), ITEMS), "item": np.tile(np.arange(ITEMS), N)}


def found(model, params=PARAMS, codes=CODES) -> np.ndarray:
    with double_precision():
        arrays = {name: jnp.asarray(value) for name, value in params.items()}
        return np.exp(np.asarray(model.category_log_probs(arrays, {k: jnp.asarray(v) for k, v in codes.items()}, 4)))


def softmax(increments: np.ndarray) -> np.ndarray:
    weight = np.exp(np.concatenate([np.zeros((len(increments), 1)), np.cumsum(increments, axis=1)], axis=1))
    return weight / weight.sum(axis=1, keepdims=True)


def test_probabilities():
    item, theta = CODES["item"], PARAMS["ability"][CODES["subject"]][:, None]
    a, b = PARAMS["discrimination"][item][:, None], PARAMS["item"][item][:, None]
    np.testing.assert_allclose(found(ps.GeneralizedPartialCredit()), softmax(a * (theta - b - GAPS[item])), atol=1e-12)
    np.testing.assert_allclose(
        found(ps.NominalResponse()), softmax(PARAMS["slope"][item] * theta + PARAMS["intercept"][item]), atol=1e-12
    )
    at_least = 1 / (1 + np.exp(-a * (theta - b - GAPS[item])))
    padded = np.concatenate([np.ones_like(theta), at_least, np.zeros_like(theta)], axis=1)
    np.testing.assert_allclose(found(ps.GradedResponse()), -np.diff(padded, axis=1), atol=1e-12)


def test_slopes_of_facets_multiply():
    codes = CODES | {"judge": CODES["subject"] % 3}
    judges = {"judge": np.array([0.4, -0.1, -0.3]), "judge_slope": np.array([0.5, 1.0, 2.0])}
    params = PARAMS | judges | {"item_slope": PARAMS["discrimination"], "step": GAPS[:1]}
    theta = PARAMS["ability"][codes["subject"]][:, None]
    place = theta - (PARAMS["item"][codes["item"]] + judges["judge"][codes["judge"]])[:, None] - GAPS[0]
    slope = PARAMS["discrimination"][codes["item"]] * judges["judge_slope"][codes["judge"]]
    model = ps.ManyFacetRasch(slopes=("item", "judge"))
    np.testing.assert_allclose(found(model, params, codes), softmax(slope[:, None] * place), atol=1e-12)


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    return simulate_responses(ps.GeneralizedPartialCredit(), PARAMS, LEVELS, n_categories=4, seed=6)


@pytest.fixture(scope="module")
def credit(table) -> ps.Fit:
    return ps.fit(ps.GeneralizedPartialCredit(), table)


def test_a_scale_of_slopes_or_of_subjects_is_one_model(table, credit):
    """Slopes of geometric mean one with σ free are the slopes on the scale of N(0, 1), divided by their mean."""
    many = ps.fit(ps.ManyFacetRasch(facets=("item",), steps="item", slopes=("item",)), table)
    assert many.log_likelihood == pytest.approx(credit.log_likelihood, abs=1e-6)
    assert many.n_parameters == credit.n_parameters
    sd, mean = float(many.parameters["population_sd"]), float(many.parameters["population_mean"])
    np.testing.assert_allclose(many.parameters["item_slope"] * sd, credit.parameters["discrimination"], atol=1e-5)
    np.testing.assert_allclose((many.parameters["item"] - mean) / sd, credit.parameters["item"], atol=1e-5)
    assert np.prod(many.parameters["item_slope"]) == pytest.approx(1)


def test_nominal_contains_partial_credit(table, credit):
    """Eight slopes more, which the data do not ask for: twice the gain is chi-square with 8 degrees of freedom."""
    nominal = ps.fit(ps.NominalResponse(), table)
    gain = 2 * (nominal.log_likelihood - credit.log_likelihood)
    assert nominal.n_parameters - credit.n_parameters == 8
    assert 0 < gain < 26.1


@pytest.mark.parametrize("model", [ps.GeneralizedPartialCredit(), ps.GradedResponse(), ps.NominalResponse()], ids=str)
def test_two_categories_are_the_logistic_model(model):
    frame = simulate_responses(ps.TwoPL(), PARAMS, LEVELS, seed=9).to_frame()
    table = ps.ResponseTable.from_frame(frame, response="response", subject="subject", item="item")
    assert ps.fit(model, table).log_likelihood == pytest.approx(ps.fit(ps.TwoPL(), table).log_likelihood, abs=1e-6)


def test_recovers_the_truth(credit):
    for name in ("item", "discrimination"):
        frame = credit.estimates(name)
        # A sum of four squared standard errors passes 18.5 once in a thousand times.
        assert float((((frame["estimate"] - PARAMS[name]) / frame["se"]) ** 2).sum()) < 18.5


@pytest.fixture(scope="module")
def mixed(table):
    """The first item is right or wrong, the others have three categories."""
    frame = table.to_frame()
    frame["response"] = np.where(frame["item"] == "i0", np.minimum(frame["response"], 1), frame["response"])
    return ps.ResponseTable.from_frame(frame, response="response", subject="subject", item="item")


@pytest.mark.parametrize("model", [ps.GeneralizedPartialCredit(), ps.GradedResponse()], ids=str)
def test_items_of_different_format(mixed, model):
    """What the first item never drew is left out, and the fit is the top of a likelihood written a second time."""
    fit = ps.fit(model, mixed)
    steps = fit.estimates("step").set_index("group").loc["i0"]
    assert steps["estimate"].notna().sum() == 1
    params = {name: fit.parameters[name] for name in ("item", "discrimination", "step")}
    assert second_opinion(model, mixed, params) == pytest.approx(fit.log_likelihood, abs=1e-6)
    for name in ("item", "discrimination"):
        for place in range(len(params["item"])):
            ends = [params[name] + side * 1e-4 * (np.arange(len(params[name])) == place) for side in (1, -1)]
            high, low = (second_opinion(model, mixed, params | {name: end}) for end in ends)
            assert abs(high - low) / 2e-4 < 1e-2, (name, place)


def second_opinion(model, table, params) -> float:
    """Marginal log-likelihood, item by item; the first item has one threshold."""
    nodes = np.linspace(-8, 8, 161)
    total = np.zeros((len(table.levels["subject"]), len(nodes)))
    for item in range(len(params["item"])):
        step = params["step"][item, : 1 if item == 0 else None]
        logits = params["discrimination"][item] * (nodes[:, None] - params["item"][item] - step)
        if isinstance(model, ps.GradedResponse):
            at_least = np.column_stack([np.ones(len(nodes)), expit(logits), np.zeros(len(nodes))])
            p = at_least[:, :-1] - at_least[:, 1:]
        else:
            weight = np.exp(np.column_stack([np.zeros(len(nodes)), np.cumsum(logits, axis=1)]))
            p = weight / weight.sum(axis=1, keepdims=True)
        rows = table.codes["item"] == item
        np.add.at(total, table.codes["subject"][rows], np.log(p.T[table.response[rows]]))
    return float(logsumexp(total + norm.logpdf(nodes) + np.log(nodes[1] - nodes[0]), axis=1).sum())


def test_a_gap_inside_the_scale_is_refused(table):
    frame = table.to_frame().query("item != 'i0' or response != 1")
    gap = ps.ResponseTable.from_frame(frame, response="response", subject="subject", item="item")
    with pytest.raises(
        DataError, match=r"nobody chose category 1 of item 'i0' \(1 such cells\), whose thresholds then"
    ):
        ps.fit(ps.GradedResponse(), gap)


def test_wrong_settings():
    with pytest.raises(DesignError, match=r"ManyFacetRasch\(slopes=...\) names \['prompt'\]"):
        ps.ManyFacetRasch(slopes=("prompt",))


def test_one_item_is_too_few():
    frame = pd.DataFrame({"subject": range(9), "item": "i", "x": [0, 1, 2] * 3})
    table = ps.ResponseTable.from_frame(frame, response="x", subject="subject", item="item")
    with pytest.raises(DataError, match="takes at least 2 items"):
        ps.fit(ps.GradedResponse(), table)
