"""Random worths, families and walks of comparisons: Laplace's method a second time, and draws of the posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit

import psymetric as ps
from psymetric.errors import DataError

N_ITEMS, N, FAMILIES = 24, 1_200, np.repeat(np.arange(6), 4)
SIZE = np.random.default_rng(1).normal(0, 1, N_ITEMS).round(2)


def drawn(seed: int, *, family_sd: float = 0.9, member_sd: float = 0.5, n: int = N) -> tuple[ps.PairTable, np.ndarray]:
    """Comparisons by judges who favour the first, ties among them, and the worths behind them."""
    rng = np.random.default_rng(seed)
    worth = 0.5 * SIZE + family_sd * rng.standard_normal(6)[FAMILIES] + member_sd * rng.standard_normal(N_ITEMS)
    left = rng.integers(0, N_ITEMS, n)
    right = (left + rng.integers(1, N_ITEMS, n)) % N_ITEMS
    judge, length = rng.integers(0, 3, n), rng.normal(0, 1, n).round(1)
    gap = np.array([0.7, 1.0, 1.4])[judge] * (worth[left] - worth[right]) + 0.3 * length
    odds = np.stack([gap / 2 + np.array([0.4, 0.2, 0.0])[judge], -gap / 2, np.full(n, -0.5)], axis=1)
    outcome = np.argmax(odds + rng.gumbel(size=odds.shape), axis=1)
    names = np.array([f"m{i:02}" for i in range(N_ITEMS)])
    frame = pd.DataFrame(
        {
            "left": names[left],
            "right": names[right],
            "winner": np.array(["left", "right", "tie"])[outcome],
            "judge": judge.astype(str),
            "length": length,
        }
    )
    known = pd.DataFrame({"item": names, "size": SIZE, "maker": FAMILIES.astype(str)})
    table = ps.PairTable.from_frame(
        frame, left="left", right="right", outcome="winner", facets=("judge", "length"), items=known
    )
    return table, worth - worth.mean()


def design(table: ps.PairTable) -> np.ndarray:
    eye = np.eye(N_ITEMS)
    return eye[table.codes["left"]] - eye[table.codes["right"]]


def laplace(
    fixed: np.ndarray, spread: np.ndarray, table: ps.PairTable, known: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Worths = known @ fixed + spread @ z, z standard normal and left out at its mode; no ties.

    Returns:
        The log-likelihood, the mode and its posterior variances.
    """
    rows, won = design(table), table.response == 0
    z = np.zeros(spread.shape[1])
    at = rows @ spread
    for _ in range(50):
        chance = expit(rows @ (known @ fixed) + at @ z)
        information = (at.T * (chance * (1 - chance))) @ at + np.eye(len(z))
        step = np.linalg.solve(information, at.T @ (won - chance) - z)
        z = z + step
        if np.abs(step).max() < 1e-12:
            break
    logit = rows @ (known @ fixed) + at @ z
    value = -np.logaddexp(0, np.where(won, -logit, logit)).sum() - 0.5 * z @ z
    return float(value - 0.5 * np.linalg.slogdet(information)[1]), z, np.diag(np.linalg.inv(information))


@pytest.fixture(scope="module")
def decided() -> ps.PairTable:
    table, _ = drawn(4)
    frame = table.to_frame()
    frame = frame[frame["response"] != "tie"]
    known = pd.DataFrame({"item": sorted(set(frame["left"])), "size": SIZE, "maker": FAMILIES.astype(str)})
    return ps.PairTable.from_frame(frame, left="left", right="right", outcome="response", items=known)


@pytest.mark.parametrize("family", [None, "maker"])
def test_laplace_by_a_second_implementation(decided, family):
    """Residual worths, with and without families, beside a covariate.

    The sds solve the equations of penalised quasi-likelihood, Σz² + Σ var(z) = levels. These leave out how the sds move
    the weights, so that the maximum of Laplace's approximation lies a fraction of a standard error away.
    """
    fit = ps.fit(ps.BradleyTerry(covariates=("size",), family=family, random=("item",)), decided)
    known, groups = SIZE[:, None] - SIZE.mean(), np.eye(6)[FAMILIES]
    names = ["worth_sd", "maker_sd"][: 2 if family else 1]

    def parts(free: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        spread = [scale * block for scale, block in zip(np.exp(free[1:]), (np.eye(N_ITEMS), groups), strict=False)]
        return laplace(free[:1], np.concatenate(spread, axis=1), decided, known)

    own = np.array([fit.parameters["worth_weight"][0], *(np.log(fit.parameters[name]) for name in names)])
    value, z, variance = parts(own)
    # Our information is that of a point up to a millilogit away.
    assert fit.log_likelihood == pytest.approx(value, abs=2e-4)
    for first, last in ((0, N_ITEMS), (N_ITEMS, N_ITEMS + 6))[: len(names)]:
        # The level that centring takes away has z = 0 and variance one.
        assert np.sum(z[first:last] ** 2 + variance[first:last]) == pytest.approx(last - first, abs=2e-3)
    best = minimize(lambda free: -parts(free)[0], own, method="BFGS", options={"gtol": 1e-5})
    errors = [float(fit.standard_errors[name] / fit.parameters[name]) for name in names]
    assert (np.abs(best.x[1:] - own[1:]) < 0.5 * np.array(errors)).all()
    assert abs(best.x[0] - own[0]) < 0.5 * fit.standard_errors["worth_weight"][0]
    assert not fit.penalised


def test_no_spread_is_held_and_said():
    """Counts that are exactly what equal items expect differ less than chance lets them."""
    names = [f"m{i}" for i in range(6)]
    rows = [(a, b, side, 10) for a in names for b in names if a < b for side in ("left", "right")]
    frame = pd.DataFrame(rows, columns=["l", "r", "w", "n"])
    table = ps.PairTable.from_frame(frame, left="l", right="r", outcome="w", weight="n")
    fit = ps.fit(ps.BradleyTerry(random=("item",)), table)
    assert float(fit.parameters["worth_sd"]) == pytest.approx(0.01)
    assert any("worth_sd is at its lower bound of 0.01 logits" in note for note in fit.notes)


WHOLE = ps.BradleyTerry(
    ties="davidson",
    position="judge",
    tie_owner="judge",
    slopes=("judge",),
    covariates=("size",),
    family="maker",
    contest=("length",),
)


@pytest.mark.thorough
def test_every_option_at_once():
    """Under maximum likelihood, MAP and NUTS the truth lies within the errors they give."""
    table, worth = drawn(6, n=600)
    engines = (ps.JointML(), ps.MAP(), ps.NUTS(warmup=200, draws=250, chains=2, seed=1))
    fits = [ps.fit(WHOLE, table, engine=engine) for engine in engines]
    assert fits[2].status.details["r_hat"] < 1.05
    assert [fit.penalised for fit in fits] == [False, True, True]
    for fit in fits:
        items = fit.estimates("item")
        # 24 items: a mean square of four would be passed by chance once in more than a million times.
        assert np.mean(((items["estimate"] - worth) / items["se"]) ** 2) < 4
        weights = fit.estimates("population").set_index("level")
        for name, truth in (("length_weight: length", 0.3), ("worth_weight: size", 0.5)):
            assert abs(weights.loc[name, "estimate"] - truth) < 4 * weights.loc[name, "se"]
        position = fit.estimates("position")
        assert (np.abs(position["estimate"] - [0.4, 0.2, 0.0]) < 4 * position["se"]).all()
        assert list(fit.estimates("maker")["level"]) == [str(k) for k in range(6)]


def test_walks_follow_what_moves():
    rng = np.random.default_rng(9)
    steps = rng.normal(0, 0.5, (8, 5)).cumsum(axis=1)
    moved = steps - steps.mean(axis=1, keepdims=True)
    moved -= moved.mean(axis=0)
    n = 4_000
    left = rng.integers(0, 8, n)
    right = (left + rng.integers(1, 8, n)) % 8
    day = rng.integers(0, 5, n)
    won = rng.random(n) < expit(moved[left, day] - moved[right, day])
    frame = pd.DataFrame({"l": left, "r": right, "w": np.where(won, "left", "right"), "day": day})
    table = ps.PairTable.from_frame(frame, left="l", right="r", outcome="w", facets="day")
    fit = ps.fit(ps.BradleyTerry(drift={"item:day": "walk"}), table)
    course = fit.estimates("item:day")
    assert list(course.columns[:2]) == ["item", "day"]
    error = (course["estimate"] - moved.ravel()) / course["se"]
    # 40 values on 28 directions.
    assert np.mean(error**2) < 2.5
    assert abs(float(fit.parameters["item:day_sd"]) - 0.5) < 4 * float(fit.standard_errors["item:day_sd"])
    assert (course["n"] > 0).all()
    assert course["n"].sum() == 2 * n


def test_families_of_one_member():
    table, _ = drawn(6)
    own = table.to_frame()
    names = sorted(set(own["left"]))
    known = pd.DataFrame({"item": names, "maker": names})
    alone = ps.PairTable.from_frame(own, left="left", right="right", outcome="response", items=known)
    with pytest.raises(
        DataError, match=r"every family has one member \(first 'm00'\), so that families cannot be told"
    ):
        ps.fit(ps.BradleyTerry(ties="davidson", family="maker"), alone)
    same = ps.PairTable.from_frame(own, left="left", right="right", outcome="response", items=known.assign(maker="x"))
    with pytest.raises(DataError, match="all items are of one family, 'x'"):
        ps.fit(ps.BradleyTerry(ties="davidson", family="maker"), same)
    with pytest.raises(DataError, match=r"reads the attribute 'maker' of the items, and the table has \['size'\]"):
        ps.fit(
            ps.BradleyTerry(ties="davidson", family="maker"),
            ps.PairTable.from_frame(
                own, left="left", right="right", outcome="response", items=known[["item"]].assign(size=SIZE)
            ),
        )


@pytest.mark.parametrize("seed", [4, 11])
def test_worths_that_hardly_differ_are_fitted(seed):
    """Where worths are nearly equal the likelihood of their sd is flat: the search once ended before it settled."""
    rng = np.random.default_rng(seed)
    n = 30
    worth = 0.05 * rng.normal(size=n)
    left = np.repeat(np.arange(n), 32)
    right = (left + rng.integers(1, 3, size=len(left))) % n
    won = np.where(rng.random(len(left)) < expit(worth[left] - worth[right]), "left", "right")
    frame = pd.DataFrame({"left": left, "right": right, "won": won})
    table = ps.PairTable.from_frame(frame, left="left", right="right", outcome="won")
    fit = ps.fit(ps.BradleyTerry(random=("item",)), table)
    assert fit.status.converged
    assert 0.02 < fit.parameters["worth_sd"] < 0.04
    assert np.isfinite(fit.standard_errors["worth"]).all()
