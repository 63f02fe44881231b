"""Win rates against brute force, their errors against finite differences, draws and a simulation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from given_fits import given_fit
from scipy.special import expit, ndtr
from scipy.stats import norm

import psymetric as ps
from psymetric.errors import DataError

OUTCOMES = ("left", "right", "tie")
WORTH = np.array([0.9, 0.2, -0.3, -0.8])
ITEMS = ("a", "b", "c", "d")
JUDGES = {"judge": ("x", "y", "z")}


def given(model, levels=None, **parameters) -> ps.Fit:
    """A fit with joint factors of all its arrays."""
    fit = given_fit(model, {"item": ITEMS, **(levels or {})}, OUTCOMES, worth=WORTH, **parameters)
    rng = np.random.default_rng(2)
    factors = {name: 0.1 * rng.normal(size=(*value.shape, 6)) for name, value in fit.parameters.items()}
    return dataclasses.replace(fit, factors=factors)


LENGTH = {"length_weight": [0.4]}
FITS = {
    "plain": given(ps.BradleyTerry()),
    "davidson": given(
        ps.BradleyTerry(ties="davidson", position="judge", contest=("length",), slopes=("judge",)),
        JUDGES,
        position=[0.5, 0.1, 0.3],
        tie=-0.4,
        judge_slope=[0.5, 1.0, 2.0],
        **LENGTH,
    ),
    "rao_kupper": given(
        ps.BradleyTerry(ties="rao_kupper", tie_owner="judge", position=True), JUDGES, position=0.3, tie=[0.4, 0.5, 0.9]
    ),
    "thurstone": given(
        ps.BradleyTerry(ties="rao_kupper", link="probit", contest=("length",), position=True),
        position=0.2,
        tie=0.3,
        **LENGTH,
    ),
    "ranked": given(ps.PlackettLuce(ties="davidson-luce"), {"tie_order": (2, 3)}, tie=[-1.0, -3.0]),
    "best": given(ps.BestWorst(worst_scale="free"), worst_scale=0.7),
}


def brute(fit: ps.Fit, params: dict[str, np.ndarray], share: str, against: int | None, length: float) -> np.ndarray:
    """Win rates by the models' equations, pair by pair and order by order."""
    model = fit.model
    mean = {name: float(np.mean(value)) for name, value in params.items() if name != "worth"}
    alpha, tie = mean.get("position", 0.0), mean.get("tie", 0.0)
    rule = getattr(model, "ties", None)
    if isinstance(model, ps.PlackettLuce):
        rule, tie = "davidson", float(params["tie"][0])
    cdf = ndtr if getattr(model, "link", "logit") == "probit" else expit

    def outcome(gap: float) -> tuple[float, float, float]:
        if rule == "davidson":
            odds = np.exp([gap / 2 + alpha, -gap / 2, tie])
            return tuple(odds / odds.sum())
        threshold = tie if rule else 0.0
        first, second = cdf(gap + alpha - threshold), cdf(-gap - alpha - threshold)
        return first, second, 1 - first - second

    def rate(i: int, j: int) -> float:
        gap = params["worth"][i] - params["worth"][j] + mean.get("length_weight", 0.0) * length
        ahead, behind = outcome(gap), outcome(-gap)
        win, loss, tied = ((ahead[a] + behind[b]) / 2 for a, b in ((0, 1), (1, 0), (2, 2)))
        return {"half": win + tied / 2, "outright": win, "decided": win / (win + loss)}[share]

    n = len(params["worth"])
    met = [[j for j in range(n) if j != i] if against is None else [against] for i in range(n)]
    return np.array([np.mean([rate(i, j) for j in met[i]]) for i in range(n) if i != against])


@pytest.mark.parametrize("share", ["half", "outright", "decided"])
@pytest.mark.parametrize("name", FITS)
def test_rates_and_errors_are_those_of_brute_force(name: str, share: str) -> None:
    fit = FITS[name]
    length = 0.7 if "length_weight" in fit.parameters else 0.0
    at = {"length": length} if length else None
    for against in (None, 2):
        found = ps.win_rates(fit, against=None if against is None else ITEMS[against], at=at, ties=share)
        kept = [label for k, label in enumerate(ITEMS) if k != against]
        found = found.set_index("level").loc[kept]
        used = {k: v for k, v in fit.parameters.items() if k in ("worth", "position", "tie", "length_weight")}
        expected = brute(fit, used, share, against, length)
        np.testing.assert_allclose(found["win_rate"], expected, rtol=1e-12)
        moved, step = 0.0, 1e-5
        for array in used:
            for place in np.ndindex(used[array].shape):
                ends = []
                for sign in (1, -1):
                    value = np.array(used[array])
                    value[place] += sign * step
                    ends.append(brute(fit, {**used, array: value}, share, against, length))
                slope = (ends[0] - ends[1]) / (2 * step)
                moved = moved + np.outer(slope, fit.factors[array][place])
        np.testing.assert_allclose(found["se"], np.sqrt(np.sum(moved**2, axis=1)), rtol=1e-6)


def test_two_items_have_a_closed_form() -> None:
    fit = given_fit(ps.BradleyTerry(), {"item": ("a", "b")}, OUTCOMES, worth=[0.6, -0.6])
    # λ = ±δ/2 with sd(δ) = .5: p = F(δ), its error p(1−p) × .5, the interval F(δ ± 1.96 × .5).
    fit = dataclasses.replace(fit, factors={"worth": np.array([[0.25], [-0.25]])})
    found = ps.win_rates(fit).set_index("level")
    p, z = expit(1.2), norm.ppf(0.975)
    assert found.loc["a", "win_rate"] == pytest.approx(p)
    assert found.loc["a", "se"] == pytest.approx(p * (1 - p) * 0.5)
    assert found.loc["a", ["lower", "upper"]].tolist() == pytest.approx([expit(1.2 - z * 0.5), expit(1.2 + z * 0.5)])
    assert found.loc["b", "win_rate"] == pytest.approx(1 - p)


def test_draws_are_summarised_as_they_are() -> None:
    fit = FITS["davidson"]
    rng = np.random.default_rng(3)
    draws = {
        name: np.asarray(value) + 0.2 * rng.normal(size=(2, 60, *np.shape(value)))
        for name, value in fit.parameters.items()
        if not name.startswith("population")
    }
    found = ps.win_rates(dataclasses.replace(fit, draws=draws), level=0.8).set_index("level").loc[list(ITEMS)]
    each = np.stack(
        [
            brute(fit, {k: v.reshape(-1, *v.shape[2:])[s] for k, v in draws.items()}, "half", None, 0.0)
            for s in range(120)
        ]
    )
    np.testing.assert_allclose(found["win_rate"], each.mean(axis=0))
    np.testing.assert_allclose(found["se"], each.std(axis=0, ddof=1))
    np.testing.assert_allclose(found[["lower", "upper"]].T, np.quantile(each, [0.1, 0.9], axis=0))


def votes(rng: np.random.Generator, n: int, *, weight: float = 0.8) -> pd.DataFrame:
    """Comparisons of four items, of which the first writes at length, which judges like."""
    usual = {"a": 1.0, "b": 0.0, "c": 0.0, "d": -1.0}
    strength = dict(zip(ITEMS, (0.3, 0.3, 0.0, -0.6), strict=True))
    left, right = np.array([rng.choice(4, 2, replace=False) for _ in range(n)]).T
    frame = pd.DataFrame({"left": np.array(ITEMS)[left], "right": np.array(ITEMS)[right]})
    own = [frame[side].map(usual) for side in ("left", "right")]
    frame["length"] = (own[0] - own[1] + rng.normal(0, 0.5, n)).round(1)
    gap = frame["left"].map(strength) - frame["right"].map(strength) + weight * frame["length"]
    frame["winner"] = np.where(rng.random(n) < expit(gap), "left", "right")
    return frame


def table_of(frame: pd.DataFrame, facets: tuple[str, ...] = ("length",)) -> ps.PairTable:
    return ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner", facets=facets)


def test_what_length_changed_stands_beside() -> None:
    table = table_of(votes(np.random.default_rng(4), 3_000))
    fit = ps.fit(ps.BradleyTerry(contest=("length",)), table)
    found = ps.win_rates(fit, table=table).set_index("level").loc[list(ITEMS)]
    # Without length in the model its share of the votes goes to the worths; that fit says about the same.
    without = ps.win_rates(ps.fit(ps.BradleyTerry(), table)).set_index("level").loc[list(ITEMS)]
    np.testing.assert_allclose(found["uncontrolled"], without["win_rate"], atol=0.02)
    assert found.loc["a", "uncontrolled"] - found.loc["a", "win_rate"] > 0.15
    record = table.counts("item").set_index("level")
    np.testing.assert_allclose(found["observed"], (record["wins"] / record["n"])[list(ITEMS)])
    assert found["n"].tolist() == record["n"][list(ITEMS)].tolist()
    against = ps.win_rates(fit, against="b", table=table).set_index("level")
    frame = table.to_frame()
    met = frame[(frame["left"] == "a") & (frame["right"] == "b") | (frame["left"] == "b") & (frame["right"] == "a")]
    won = (met["left"] == "a") == (met["response"].astype(str) == "left")
    assert against.loc["a", "observed"] == pytest.approx(won.mean())
    assert against.loc["a", "n"] == len(met)
    assert "b" not in against.index


def test_intervals_cover_where_the_error_of_mean_predictions_does_not() -> None:
    """AlpacaEval's error is that of the mean of predicted preferences at equal length, over prompts of all kinds."""
    n, n_runs = 120, 60
    model = ps.BradleyTerry(contest=("length", "ease"))
    covered = naive = 0
    for run in range(n_runs):
        rng = np.random.default_rng(run)
        ease = rng.choice([-1.0, 1.0], n)
        frame = pd.DataFrame({"left": "a", "right": "b", "length": rng.integers(-2, 4, n), "ease": ease})
        gap = 1.0 + 0.7 * frame["length"] + 0.4 * ease
        frame["winner"] = np.where(rng.random(n) < expit(gap), "left", "right")
        fit = ps.fit(model, table_of(frame, facets=("length", "ease")))
        found = ps.win_rates(fit, against="b").iloc[0]
        covered += bool(found["lower"] <= expit(1.0) <= found["upper"])
        lead = fit.parameters["worth"][0] - fit.parameters["worth"][1]
        predicted = expit(lead + fit.parameters["ease_weight"][0] * ease)
        reach = norm.ppf(0.975) * predicted.std(ddof=1) / np.sqrt(n)
        naive += bool(abs(predicted.mean() - expit(1.0 + 0.4 * ease).mean()) <= reach)
    # Three standard errors of a share of runs; the other interval misses by more than nine.
    assert abs(covered / n_runs - 0.95) < 3 * np.sqrt(0.95 * 0.05 / n_runs)
    assert naive / n_runs < 0.95 - 9 * np.sqrt(0.95 * 0.05 / n_runs)


def test_what_cannot_be_asked_is_refused() -> None:
    fit = FITS["davidson"]
    with pytest.raises(DataError, match=r"win_rates: against='e' is no item; there are \['a', 'b', 'c', 'd'\]"):
        ps.win_rates(fit, against="e")
    with pytest.raises(DataError, match=r"at names 'style', which is no contest covariate of the model; it has \['len"):
        ps.win_rates(fit, at={"style": 1.0})
    with pytest.raises(DataError, match=r"at names 'length', which is no contest covariate of the model; it has none"):
        ps.win_rates(FITS["plain"], at={"length": 1.0})
    with pytest.raises(DataError, match=r"at=\{'length': nan\} is no number"):
        ps.win_rates(fit, at={"length": float("nan")})
    with pytest.raises(DataError, match=r"ties='skip' is not known; use one of \['half', 'outright', 'decided'\]"):
        ps.win_rates(fit, ties="skip")
    with pytest.raises(DataError, match=r"level=95 is not a coverage"):
        ps.win_rates(fit, level=95)
    with pytest.raises(DataError, match=r"keeps no joint uncertainty of 'length_weight'"):
        ps.win_rates(dataclasses.replace(fit, factors={"worth": fit.factors["worth"]}))
    with pytest.raises(DataError, match=r"the fit was of .*; pass the table that was fitted"):
        ps.win_rates(fit, table=table_of(votes(np.random.default_rng(0), 20)))
    rated = given_fit(ps.Rasch(), {"item": ("x", "y")}, (0, 1), item=[0.0, 0.1])
    with pytest.raises(DataError, match=r"Rasch does not give the chances of two items; pass a fit of BradleyTerry"):
        ps.win_rates(rated)
