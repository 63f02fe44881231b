"""Two-, three- and four-parameter logistic models: probabilities written out, and each model inside the next."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError
from psymetric.simulation.studies import simulate_responses

RNG = np.random.default_rng(5)
N, ITEMS = 400, 8
PARAMS = {
    "ability": RNG.normal(size=N),
    "item": np.linspace(-1.5, 1.5, ITEMS),
    "discrimination": RNG.uniform(0.6, 1.8, ITEMS),
    "guessing": RNG.uniform(0.1, 0.3, ITEMS),
    "upper": RNG.uniform(0.85, 0.98, ITEMS),
}
CODES = {"subject": np.repeat(np.arange(N), ITEMS), "item": np.tile(np.arange(ITEMS), N)}
LEVELS = {"subject": [f"s{s}" for s in range(N)], "item": [f"i{i}" for i in range(ITEMS)]}


def probability(model: ps.TwoPL | ps.ThreePL | ps.FourPL) -> np.ndarray:
    with double_precision():
        codes = {name: jnp.asarray(code) for name, code in CODES.items()}
        params = {name: jnp.asarray(value) for name, value in PARAMS.items()}
        return np.exp(np.asarray(model.category_log_probs(params, codes, 2)))


def written_out(lower: np.ndarray | float, upper: np.ndarray | float) -> np.ndarray:
    a, b = PARAMS["discrimination"][CODES["item"]], PARAMS["item"][CODES["item"]]
    right = lower + (upper - lower) / (1 + np.exp(-a * (PARAMS["ability"][CODES["subject"]] - b)))
    return np.stack([1 - right, right], axis=1)


def test_probabilities():
    guessing, upper = PARAMS["guessing"][CODES["item"]], PARAMS["upper"][CODES["item"]]
    np.testing.assert_allclose(probability(ps.TwoPL()), written_out(0.0, 1.0), atol=1e-12)
    np.testing.assert_allclose(probability(ps.ThreePL()), written_out(guessing, 1.0), atol=1e-12)
    np.testing.assert_allclose(probability(ps.FourPL()), written_out(guessing, upper), atol=1e-12)


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    return simulate_responses(ps.TwoPL(), PARAMS, LEVELS, seed=3)


@pytest.fixture(scope="module")
def two(table) -> ps.Fit:
    return ps.fit(ps.TwoPL(), table)


def test_equal_slopes_are_a_rasch_model(table, two):
    """Freeing the slopes of eight items costs seven parameters: σ of the Rasch model is the common slope."""
    rasch = ps.fit(ps.Rasch(), table)
    assert two.n_parameters - rasch.n_parameters == ITEMS - 1
    assert two.log_likelihood > rasch.log_likelihood


def test_recovers_the_truth(two):
    for name in ("item", "discrimination"):
        frame = two.estimates(name)
        departure = (frame["estimate"] - PARAMS[name]) / frame["se"]
        # A sum of eight squared standard errors passes 26 once in a thousand times.
        assert float((departure**2).sum()) < 26.1


def test_a_reversed_item_has_a_negative_slope(table):
    frame = table.to_frame()
    reversed_ = frame["item"] == "i3"
    frame["response"] = np.where(reversed_, 1 - frame["response"], frame["response"])
    fit = ps.fit(ps.TwoPL(), ps.ResponseTable.from_frame(frame, response="response", subject="subject", item="item"))
    assert fit.estimates("discrimination").set_index("level").loc["i3", "upper"] < 0


def test_guessing_rests_on_its_prior(table):
    """Hardly anybody guesses here: MAP stays near the data's 2PL, and the asymptotes move down from their prior."""
    fit = ps.fit(ps.ThreePL(), table)
    assert (fit.engine, fit.penalised) == ("MAP", True)
    frame = fit.estimates("guessing")
    assert frame["estimate"].mean() < 0.2
    assert ((frame["lower"] > 0) & (frame["lower"] < frame["estimate"]) & (frame["upper"] < 1)).all()
    four = ps.fit(ps.FourPL(), table)
    assert four.parameters["upper"].min() > 0.8


def test_settings_are_checked():
    with pytest.raises(DesignError, match=r"ThreePL\(chance=0\) must lie between 0 and 1"):
        ps.ThreePL(chance=0)
    with pytest.raises(DesignError, match="sum to less than 1"):
        ps.FourPL(chance=0.5, slip=0.6)
    with pytest.raises(DesignError, match=r"TwoPL\(slope_prior_sd=0\) must be a positive"):
        ps.TwoPL(slope_prior_sd=0)


def test_two_items_are_too_few():
    rows = [(f"s{s}", item, (s >> place) % 2) for s in range(8) for place, item in enumerate(("i1", "i2"))]
    frame = pd.DataFrame(rows, columns=["subject", "item", "x"])
    table = ps.ResponseTable.from_frame(frame, response="x", subject="subject", item="item")
    with pytest.raises(
        DataError, match=r"TwoPL estimates a slope for every item, which takes at least 3 items; the table"
    ):
        ps.fit(ps.TwoPL(), table)


def test_joint_maximum_likelihood_says_what_fits(table):
    with pytest.raises(DesignError, match=r"JointML has no population .* TwoPL .* use MarginalML\(\), MAP\(\)"):
        ps.fit(ps.TwoPL(), table, engine=ps.JointML())
