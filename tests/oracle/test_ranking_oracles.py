"""Rankings against R's PlackettLuce, choix and Netflix ballots, with the sources' own numbers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation.assemble import constrained_uncertainty
from psymetric.estimation.curvature import information
from psymetric.estimation.problems import joint_problem

# 588 ballots: 1 Mean Girls, 2 Beverly Hills Cop, 3 Mummy Returns, 4 Mission: Impossible II (Netflix, PrefLib 138).
NETFLIX = """
68:2143 53:1243 49:2134 44:1234 39:2413 37:3214 37:2314 36:2341 31:3241 29:2431 22:1324 19:3124 17:3421 17:4231
16:4213 14:1423 10:1342 10:4123 9:4312 8:3412 8:1432 7:3142 7:4321 1:4132
"""
# Davidson-Luce example of the PlackettLuce package: ranks of apple, banana, orange, pear; 0 = not ranked.
FRUIT = ["apple", "banana", "orange", "pear"]
# choix: pairs (winner, loser) of its regularised example, and choices (winner, the others shown).
CHOIX_PAIRS = "73 20 52 42 21 45 63 54 70 23 40 04 65 32 34 34 52 73 76 65"
CHOIX_TOP = {"O1": ["0 1", "1 2", "2 01"], "O2": ["7 631", "6 45", "5 041", "0 3", "3 01"]}
CHOIX_MAP = {
    "pairs": [-0.51974039, -0.46280878, -0.31376862, -0.06854694, -0.3185146, -0.00346107, 0.63032783, 1.05651257],
    "top1": [-0.12223311, -0.53980682, 0, -0.08808004, -0.40003309, 0.24075031, 0.30131247, 0.60809028],
}
# R stops its scores at 1e-6 and its optimiser of penalised fits at a relative 1e-8 of the likelihood.
SCORES, OPTIMISED = 2e-7, 2e-5
# choix stored its rankings where its gradient was still 2e-5 (shown below), at an information of about .7.
STOPPED = 3e-5
TIES = ps.PlackettLuce(ties="davidson-luce")


def worths(fit: ps.Fit, levels: list | None = None) -> np.ndarray:
    """Worths in the order of the levels, or of `levels`."""
    frame = fit.estimates("item").set_index("level")["estimate"]
    return frame.loc[levels if levels is not None else frame.index].to_numpy()


def rankings(*orders: list[int]) -> ps.RankingTable:
    rows = [(task, item, place) for task, order in enumerate(orders) for place, item in enumerate(order)]
    return ps.RankingTable.from_frame(pd.DataFrame(rows, columns=["task", "item", "rank"]))


def top_choices(texts: list[str]) -> ps.RankingTable:
    """The winner of a set, whose others are shown and not ranked."""
    rows = [
        (task, int(item), 1.0 if side == 0 else np.nan)
        for task, text in enumerate(texts)
        for side, items in enumerate(text.split())
        for item in items
    ]
    return ps.RankingTable.from_frame(pd.DataFrame(rows, columns=["task", "item", "rank"]))


def gradient_by_hand(orders: tuple[list[int], ...], worth: np.ndarray) -> np.ndarray:
    """Choices made less choices expected, item by item."""
    slope = np.zeros(len(worth))
    for order in orders:
        for place in range(len(order) - 1):
            left = order[place:]
            slope[left[0]] += 1
            slope[left] -= np.exp(worth[left]) / np.exp(worth[left]).sum()
    return slope


def reference(oracles, name: str) -> dict:
    return json.loads((oracles / "fits" / "PlackettLuce" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def netflix() -> ps.RankingTable:
    rows = [(int(n), *map(int, order)) for n, order in (ballot.split(":") for ballot in NETFLIX.split())]
    frame = pd.DataFrame(rows, columns=["n", "1st", "2nd", "3rd", "4th"])
    return ps.RankingTable.from_orderings(frame, places=["1st", "2nd", "3rd", "4th"], weight="n")


@pytest.fixture(scope="module")
def fruit(oracles) -> ps.RankingTable:
    wide = pd.read_csv(oracles / "fits" / "PlackettLuce" / "toy.csv")
    long = wide.reset_index().melt("index", var_name="item", value_name="rank").query("rank > 0")
    return ps.RankingTable.from_frame(long, task="index")


@pytest.fixture(scope="module")
def nascar(oracles) -> ps.RankingTable:
    folder = oracles / "fits" / "PlackettLuce"
    orders = pd.read_csv(folder / "nascar_orderings.csv")
    names = pd.read_csv(folder / "nascar_drivers.csv").set_index("id")["driver"]
    places = list(orders.columns)
    return ps.RankingTable.from_orderings(orders.apply(lambda place: place.map(names)), places=places)


def test_choix_maximum_likelihood(held):
    orders = ([0, 1, 2], [3, 2, 0], [1, 3])
    full = ps.fit(ps.PlackettLuce(), rankings(*orders))
    theirs = np.array([-0.44328117, 0.69506219, -0.67061442, 0.4188334])
    held("README, O1 choix", "rankings", worths(full), theirs, atol=STOPPED)
    slope = gradient_by_hand(orders, theirs)
    assert 1e-5 < np.abs(slope).max() < 1e-4
    np.testing.assert_allclose(gradient_by_hand(orders, worths(full)), 0, atol=1e-12)
    pairs = ps.fit(ps.PlackettLuce(), rankings([0, 1], [0, 1], [1, 2], [2, 0]))
    held("README, O1 choix", "pairs", worths(pairs), [0.419617624, -0.419617624, 0], atol=1e-8)
    top = ps.fit(ps.PlackettLuce(), top_choices(CHOIX_TOP["O1"]))
    held("README, O1 choix", "top 1", worths(top), [0.16040395, -0.32080789, 0.16040394], atol=1e-8)
    cycle = ps.fit(ps.PlackettLuce(), rankings([0, 1], [1, 2], [2, 0]))
    held("README, O1 choix", "a cycle", worths(cycle), [0, 0, 0], atol=1e-12)


def test_choix_maximum_a_posteriori(held):
    """A penalty of ½ |t|² is a normal prior of sd 1; without it the first items of both would run away."""
    model, engine = ps.PlackettLuce(prior_sd=1.0), ps.MAP(tolerance=1e-9)
    pairs = ps.fit(model, rankings(*([int(a), int(b)] for a, b in CHOIX_PAIRS.split())), engine=engine)
    held("README, O2 choix MAP", "pairs", worths(pairs), CHOIX_MAP["pairs"], atol=1e-7)
    # Item 2 is in none of these choices, so that its worth has its prior mean; the others sum to zero by themselves.
    top = ps.fit(model, top_choices(CHOIX_TOP["O2"]), engine=engine)
    found, expected = worths(top), np.delete(CHOIX_MAP["top1"], 2)
    held("README, O2 choix MAP", "top 1", found, expected, atol=1e-7)


def test_netflix(netflix, held):
    fit = ps.fit(ps.PlackettLuce(), netflix)
    oracle = "README, O11 Netflix"
    held(oracle, "log-likelihood", fit.log_likelihood, -1746.7579, atol=5e-5)
    found = worths(fit)
    held(oracle, "log-worths against the first film", found[1:] - found[0], [0.6713, -0.3143, -0.4316], atol=5e-5)
    held(oracle, "their standard errors", against_first(fit.covariances["worth"]), [0.0747, 0.0759, 0.0749], atol=5e-5)
    ghost = worths(ps.fit(ps.PlackettLuce(pseudo=0.5), netflix))
    published = [0.67080, -0.31404, -0.43128]
    held(oracle, "with half a win and a loss against a ghost", ghost[1:] - ghost[0], published, atol=5e-6)


def against_first(covariance: np.ndarray) -> np.ndarray:
    """Standard errors of the differences from the first."""
    variance = np.diag(covariance)
    return np.sqrt(variance[1:] + variance[0] - 2 * covariance[0, 1:])


def test_fruit(fruit, oracles, held):
    oracle = "PlackettLuce/toy_npseudo0"
    theirs, fit = reference(oracles, "toy_npseudo0"), ps.fit(TIES, fruit)
    hold_estimates(held, oracle, fit, theirs, atol=SCORES)
    held(oracle, "log-likelihood", fit.log_likelihood, theirs["loglik"], atol=1e-9)
    held(oracle, "standard errors", fit.standard_errors["worth"], theirs["itempar_log_sumzero"]["se"], atol=1e-4)
    held(oracle, "standard errors of log δ", fit.standard_errors["tie"], tie_errors(theirs), atol=1e-3)
    oracle = "README, O14 Davidson-Luce"
    found = worths(fit)[1:] - worths(fit)[0]
    held(oracle, "log-worths", found, [0.2942875, -0.7335113, -0.1190960], atol=SCORES)
    held(oracle, "log δ", fit.parameters["tie"], [-1.8619467, -0.7369735], atol=SCORES)
    held(oracle, "log-likelihood", fit.log_likelihood, -14.56974, atol=5e-6)


def hold_estimates(held, oracle: str, fit: ps.Fit, theirs: dict, *, atol: float) -> None:
    """R's log-worths are against the first item, ours sum to zero."""
    coefficients = theirs["coef_log_ref_first"]
    names = [name for name in coefficients if not name.startswith("tie")]
    found = worths(fit, [type(fit.levels["item"][0])(name) for name in names])
    held(oracle, "log-worths", found - found[0], [coefficients[name] for name in names], atol=atol)
    if "tie" in fit.parameters:
        ties = [value for name, value in coefficients.items() if name.startswith("tie")]
        held(oracle, "log δ", fit.parameters["tie"], ties, atol=atol)


def tie_errors(theirs: dict) -> list[float]:
    n_ties = sum(name.startswith("tie") for name in theirs["coef_log_ref_first"])
    errors = theirs["se"]
    return list(errors.values() if isinstance(errors, dict) else errors)[-n_ties:]


def test_fruit_with_pseudo_comparisons(fruit, oracles, held):
    """No prior on log δ in R; its likelihood and covariance are those without the pseudo-comparisons."""
    oracle, theirs = "PlackettLuce/toy_npseudo0.5", reference(oracles, "toy_npseudo0.5")
    model = ps.PlackettLuce(ties="davidson-luce", pseudo=0.5, tie_prior_sd=1e6)
    fit = ps.fit(model, fruit)
    assert (fit.engine, fit.penalised) == ("MAP", True)
    hold_estimates(held, oracle, fit, theirs, atol=SCORES)
    held(oracle, "log-likelihood", fit.log_likelihood, theirs["loglik"], atol=1e-7)
    with double_precision():
        plain = joint_problem(TIES, fruit, prior=False)
        free = plain.space.unconstrain(fit.parameters)
        covariance = information(plain, free).covariance()
        errors = constrained_uncertainty(plain.space, free, covariance, np.arange(len(free))).standard_errors
    held(oracle, "standard errors", errors["worth"], theirs["itempar_log_sumzero"]["se"], atol=1e-3)
    published = [0.2528738, -0.6135068, -0.0868848, -2.1506811, -0.7924536]
    found = [*(worths(fit)[1:] - worths(fit)[0]), *fit.parameters["tie"]]
    held("README, O14 Davidson-Luce", "with pseudo-comparisons", found, published, atol=SCORES)


def test_fruit_with_normal_prior(fruit, oracles, held):
    oracle, theirs = "PlackettLuce/toy_normal9", reference(oracles, "toy_normal9")
    model = ps.PlackettLuce(ties="davidson-luce", prior_sd=3.0, tie_prior_sd=1e6)
    fit = ps.fit(model, fruit, engine=ps.MAP())
    hold_estimates(held, oracle, fit, theirs, atol=OPTIMISED)
    held(oracle, "log-likelihood", fit.log_likelihood, theirs["loglik"], atol=1e-6)
    held(oracle, "standard errors", fit.standard_errors["worth"], theirs["itempar_log_sumzero"]["se"], atol=1e-4)


def test_pudding_as_rankings(oracles, held):
    """Comparisons are rankings of two, and Davidson's ties those of Davidson and Luce."""
    oracle, theirs = "PlackettLuce/pudding", reference(oracles, "pudding")
    wide = pd.read_csv(oracles / "fits" / "PlackettLuce" / "pudding.csv")
    rows = [
        (f"{row.i}-{row.j}-{how}", item, rank, getattr(row, how))
        for row in wide.itertuples()
        for how, ranks in (("w_ij", (1, 2)), ("w_ji", (2, 1)), ("t_ij", (1, 1)))
        for item, rank in zip((row.i, row.j), ranks, strict=True)
    ]
    table = ps.RankingTable.from_frame(pd.DataFrame(rows, columns=["task", "item", "rank", "n"]), weight="n")
    fit = ps.fit(TIES, table)
    hold_estimates(held, oracle, fit, theirs, atol=SCORES)
    held(oracle, "log-likelihood", fit.log_likelihood, theirs["loglik"], atol=1e-8)
    held(oracle, "standard errors", fit.standard_errors["worth"], theirs["itempar_log_sumzero"]["se"], atol=1e-6)
    held(oracle, "standard errors of log δ", fit.standard_errors["tie"], tie_errors(theirs), atol=1e-6)


def test_nascar(nascar, oracles, held):
    """Drivers who came last in every race are left out, for whom there is no maximum."""
    oracle, theirs = "PlackettLuce/nascar", reference(oracles, "nascar")
    fit = ps.fit(ps.PlackettLuce(), nascar.select("item", list(theirs["coef_log_ref_first"])))
    assert fit.n_parameters == theirs["npar"]
    hold_estimates(held, oracle, fit, theirs, atol=1e-6)
    held(oracle, "log-likelihood", fit.log_likelihood, theirs["loglik"], atol=1e-6)
    names = list(theirs["coef_log_ref_first"])
    errors = fit.estimates("item").set_index("level").loc[names, "se"]
    held(oracle, "standard errors", errors, theirs["itempar_log_sumzero"]["se"], atol=1e-5)


def test_nascar_drivers_who_only_lose_are_named(nascar):
    with pytest.raises(ps.errors.IdentificationError, match=r"\['Andy Hillenburg'.* always lost"):
        ps.fit(ps.PlackettLuce(), nascar)


def test_nascar_with_pseudo_comparisons(nascar, oracles, held):
    oracle, theirs = "PlackettLuce/nascar_npseudo0.5", reference(oracles, "nascar_npseudo0.5")
    fit = ps.fit(ps.PlackettLuce(pseudo=0.5), nascar)
    hold_estimates(held, oracle, fit, theirs, atol=1e-6)
    held(oracle, "log-likelihood", fit.log_likelihood, theirs["loglik"], atol=1e-6)


def test_rankings_of_eight_among_fifty(oracles, held):
    """The table that PlackettLuce was timed on."""
    orders = pd.read_csv(oracles / "fits" / "timing" / "pl_50items_2000x8.csv.gz")
    fit = ps.fit(ps.PlackettLuce(), ps.RankingTable.from_orderings(orders, places=list(orders.columns)))
    held("timing/pl_50items_2000x8", "log-likelihood", fit.log_likelihood, -18808.4918641129, atol=1e-9)
