"""Every option of the Bradley-Terry model against a likelihood written a second time, and the settings it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, ndtr

import psymetric as ps
from psymetric.errors import DataError, DesignError

ITEMS = ("a", "b", "c", "d", "e", "f")
SIZE, MAKER = np.array([1.0, 4.0, 2.0, 3.0, 6.0, 5.0]), np.array(["x", "x", "y", "y", "z", "z"])
N = 900
# The last Newton step is below 1e-6 and the information of a parameter below 1,000.
FLAT = 1e-3


def frame(*, ties: bool, seed: int = 3) -> pd.DataFrame:
    """Judges who differ in everything, drawn from no model in particular."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 6, N)
    right = (left + rng.integers(1, 6, N)) % 6
    judge, occasion = rng.integers(0, 3, N), rng.integers(0, 3, N)
    length = rng.normal(0, 1, N).round(1)
    worth = np.array([-0.8, 0.6, -0.3, 0.1, 0.3, 0.1])
    gap = np.array([0.6, 1.0, 1.6])[judge] * (worth[left] - worth[right]) + 0.4 * length
    gap += 0.3 * (occasion - 1) * (left - right) / 5 + np.array([0.5, 0.1, -0.2])[judge]
    noise = gap + rng.logistic(size=N)
    tied = (np.abs(noise) < np.array([0.3, 0.6, 0.9])[judge]) & ties
    return pd.DataFrame(
        {
            "left": np.array(ITEMS)[left],
            "right": np.array(ITEMS)[right],
            "winner": np.where(tied, "tie", np.where(noise > 0, "left", "right")),
            "judge": np.array(["j1", "j2", "j3"])[judge],
            "day": np.array([0, 1, 3])[occasion],
            "length": length,
        }
    )


def table(*, ties: bool) -> ps.PairTable:
    known = pd.DataFrame({"size": SIZE, "maker": MAKER}, index=list(ITEMS))
    return ps.PairTable.from_frame(
        frame(ties=ties),
        left="left",
        right="right",
        outcome="winner",
        facets=("judge", "day", "length"),
        items=known,
    )


TIED, DECIDED = table(ties=True), table(ties=False)


def probabilities(model: ps.BradleyTerry, params: dict[str, np.ndarray], rows: ps.PairTable) -> np.ndarray:
    """Left, right and tie of every row, from the papers' formulas in NumPy."""
    codes = rows.codes
    gap = params["worth"][codes["left"]] - params["worth"][codes["right"]]
    for pair in model.drift:
        moved = params[pair]
        day = codes[pair.split(":")[1]]
        gap = gap + moved[codes["left"], day] - moved[codes["right"], day]
    for facet in model.slopes:
        gap = gap * params[f"{facet}_slope"][codes[facet]]
    for name in model.contest:
        gap = gap + np.array(rows.levels[name], float)[codes[name]] * params[f"{name}_weight"]

    def owned(name: str, owner: str | None) -> np.ndarray:
        value = params.get(name, np.zeros(()))
        return value[codes[owner]] if owner not in (None, "common") else np.broadcast_to(value, len(gap))

    first, tie = owned("position", model.position), owned("tie", model.tie_owner)
    if model.ties == "davidson":
        shares = np.stack([np.exp(gap) * np.exp(first), np.ones(len(gap)), np.exp(tie) * np.exp(gap / 2)], axis=1)
        return shares / shares.sum(axis=1, keepdims=True)
    below = expit if model.link == "logit" else ndtr
    wins, losses = below(gap + first - tie * bool(model.ties)), below(-gap - first - tie * bool(model.ties))
    return np.stack([wins, losses, 1 - wins - losses], axis=1)


def log_likelihood(model: ps.BradleyTerry, params: dict[str, np.ndarray], rows: ps.PairTable) -> float:
    chances = probabilities(model, params, rows)
    return float(rows.weight @ np.log(chances[np.arange(rows.n_rows), rows.response]))


def centred(n: int) -> np.ndarray:
    return np.linalg.svd(np.eye(n) - 1 / n)[0][:, : n - 1]


def directions(model: ps.BradleyTerry, params: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Every move that the constraints allow: worths and drift centred, slopes of geometric mean one."""
    found = []
    if model.covariates:
        terms = np.stack([SIZE, MAKER == "y", MAKER == "z"][: params["worth_weight"].size], axis=1).astype(float)
        for place, term in enumerate((terms - terms.mean(axis=0)).T):
            found.append({"worth": term, "worth_weight": np.eye(terms.shape[1])[place]})
    else:
        found += [{"worth": column} for column in centred(6).T]
    for pair in model.drift:
        times = np.array([0.0, 1.0, 3.0]) - 4 / 3
        found += [{pair: column[:, None] * times} for column in centred(6).T]
    for facet in model.slopes:
        slope = params[f"{facet}_slope"]
        found += [{f"{facet}_slope": slope * column} for column in centred(3).T]
    for name in (*(f"{name}_weight" for name in model.contest), "position", "tie"):
        if name in params:
            shape = params[name].shape
            found += [{name: unit.reshape(shape)} for unit in np.eye(params[name].size)]
    return found


def slope_along(function: Callable[[dict], float], params: dict, move: dict) -> float:
    step = 1e-5
    ends = [
        function({name: value + side * step * move.get(name, 0.0) for name, value in params.items()})
        for side in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * step)


OPTIONS = (
    ps.BradleyTerry(link="probit", position=True),
    ps.BradleyTerry(ties="rao_kupper", position="judge", tie_owner="judge"),
    ps.BradleyTerry(ties="rao_kupper", link="probit", position="common"),
    ps.BradleyTerry(ties="davidson", position="judge", tie_owner="judge", slopes=("judge",), contest=("length",)),
    ps.BradleyTerry(covariates=("size", "maker"), contest=("length",), position="common"),
    ps.BradleyTerry(ties="davidson", drift={"item:day": "linear"}),
)


@pytest.mark.parametrize("model", OPTIONS, ids=str)
def test_the_maximum_is_that_of_a_second_likelihood(model):
    rows = TIED if model.ties else DECIDED
    fit = ps.fit(model, rows)
    params = dict(fit.parameters)
    assert log_likelihood(model, params, rows) == pytest.approx(fit.log_likelihood, abs=1e-8)
    moves = directions(model, params)
    assert len(moves) == fit.n_parameters
    gradient = [slope_along(lambda at: log_likelihood(model, at, rows), params, move) for move in moves]
    np.testing.assert_allclose(gradient, 0, atol=FLAT)


def test_the_first_judge_is_least_and_the_last_most_discriminating():
    fit = ps.fit(OPTIONS[3], TIED)
    slopes = fit.estimates("judge_slope")
    assert list(slopes["estimate"]) == sorted(slopes["estimate"])
    assert np.log(slopes["estimate"]).sum() == pytest.approx(0, abs=1e-9)
    assert list(fit.estimates("tie")["level"]) == ["j1", "j2", "j3"]
    weight = fit.estimates("population").set_index("level").loc["length_weight: length"]
    assert abs(weight["estimate"] - 0.4) < 4 * weight["se"]


def test_probit_worths_are_in_sds_of_a_difference():
    """Two items: the maximum is Φ⁻¹ of the share of wins, in closed form; and not √2 times it."""
    rows = pd.DataFrame({"l": ["a", "a"], "r": ["b", "b"], "w": ["left", "right"], "n": [84, 16]})
    pairs = ps.PairTable.from_frame(rows, left="l", right="r", outcome="w", weight="n")
    fit = ps.fit(ps.BradleyTerry(link="probit"), pairs)
    assert ndtr(np.diff(fit.parameters["worth"])[0] * -1) == pytest.approx(0.84, abs=1e-9)
    assert fit.summary().endswith("worth: 2 values, -0.50 to 0.50")


def test_thresholds_in_closed_form():
    """Three outcomes of one pair, three numbers: both models reproduce the shares exactly."""
    rows = pd.DataFrame({"l": ["a"] * 3, "r": ["b"] * 3, "w": ["left", "right", "tie"], "n": [50, 20, 30]})
    pairs = ps.PairTable.from_frame(rows, left="l", right="r", outcome="w", weight="n")
    for link, below in (("logit", expit), ("probit", ndtr)):
        fit = ps.fit(ps.BradleyTerry(ties="rao_kupper", link=link), pairs)
        gap, tie = fit.parameters["worth"][0] - fit.parameters["worth"][1], float(fit.parameters["tie"])
        np.testing.assert_allclose([below(gap - tie), below(-gap - tie)], [0.5, 0.2], atol=1e-7)


def test_robust_errors_are_those_of_logistic_regression():
    """With covariates of items and contests, and positions by judge, each row depends on several blocks."""
    model = ps.BradleyTerry(covariates=("size",), contest=("length",), position="judge")
    fit = ps.fit(model, DECIDED)
    codes, size = DECIDED.codes, SIZE[[list(ITEMS).index(item) for item in DECIDED.levels["item"]]]
    length = np.array(DECIDED.levels["length"], float)[codes["length"]]
    design = np.column_stack([size[codes["left"]] - size[codes["right"]], length, np.eye(3)[codes["judge"]]])
    theirs = sm.Logit((DECIDED.response == 0).astype(float), design).fit(disp=0, tol=1e-12, cov_type="HC0")
    for errors, expected in (
        (fit.standard_errors, np.sqrt(np.diag(np.linalg.inv(-theirs.model.hessian(theirs.params))))),
        (ps.robust_errors(fit, DECIDED).standard_errors, theirs.bse * np.sqrt(N / (N - 1))),
    ):
        ours = [*errors["worth_weight"], *errors["length_weight"], *errors["position"]]
        np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ties": "davidson", "link": "probit"}, "rests on Luce's choice axiom"),
        ({"tie_owner": "judge"}, "needs a rule for ties"),
        ({"random": ("judge",)}, r"names \['judge'\]; it takes 'item'"),
        ({"drift": {"judge:day": "walk"}}, r'must name the items and a facet, and "walk" or "linear"'),
        ({"drift": {"item:day": "jump"}}, r'must name the items and a facet, and "walk" or "linear"'),
        ({"covariates": "size", "family": "size"}, r"\['size'\] can have one part in"),
    ],
)
def test_settings_that_contradict_one_another(settings, message):
    with pytest.raises(DesignError, match=message):
        ps.BradleyTerry(**settings)


def test_unknown_settings():
    with pytest.raises(DataError, match=r"link='cloglog'\) is not known: use one of \['logit', 'probit'\]"):
        ps.BradleyTerry(link="cloglog")


def test_position_as_a_truth_value():
    assert ps.BradleyTerry(position=True) == ps.BradleyTerry(position="common")
    assert ps.BradleyTerry(position=False) == ps.BradleyTerry()
