"""Bradley-Terry fits against Agresti's baseball, Davidson's pudding and R, with the sources' own numbers."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError, IdentificationError

# Agresti (2002), Categorical Data Analysis, p. 437-438: home-away, home wins, away wins.
BASEBALL = """
Mil-Det 4 3, Mil-Tor 4 2, Mil-NY 4 3, Mil-Bos 6 1, Mil-Cle 4 2, Mil-Bal 6 0, Det-Mil 3 3, Det-Tor 4 2, Det-NY 4 3,
Det-Bos 6 0, Det-Cle 6 1, Det-Bal 4 3, Tor-Mil 2 5, Tor-Det 4 3, Tor-NY 2 4, Tor-Bos 4 3, Tor-Cle 4 2, Tor-Bal 6 0,
NY-Mil 3 3, NY-Det 5 1, NY-Tor 2 5, NY-Bos 4 3, NY-Cle 4 2, NY-Bal 6 1, Bos-Mil 5 1, Bos-Det 2 5, Bos-Tor 3 3,
Bos-NY 4 2, Bos-Cle 5 2, Bos-Bal 6 0, Cle-Mil 2 5, Cle-Det 3 3, Cle-Tor 3 4, Cle-NY 4 3, Cle-Bos 4 2, Cle-Bal 2 4,
Bal-Mil 2 5, Bal-Det 1 5, Bal-Tor 1 6, Bal-NY 2 4, Bal-Bos 1 6, Bal-Cle 3 4
"""
TEAMS = ["Bal", "Bos", "Cle", "Det", "Mil", "NY", "Tor"]
BASEBALL_ORACLE, PUDDING_ORACLE = "README, O5 Baseball", "README, O7 Pudding"
# Davidson (1970), chocolate puddings: i, j, i preferred, j preferred, no preference.
PUDDING = """
1 2 19 22 16; 1 3 16 19 12; 2 3 19 19 10; 1 4 18 23 13; 2 4 23 19 9; 3 4 19 20 15; 1 5 13 19 18; 2 5 16 20 12;
3 5 16 15 17; 4 5 17 14 16; 1 6 18 21 12; 2 6 22 20 12; 3 6 13 18 10; 4 6 14 19 18; 5 6 11 21 12
"""


@pytest.fixture(scope="module")
def baseball() -> ps.PairTable:
    rows = [
        (home, away, side, int(n))
        for home, away, won, lost in re.findall(r"(\w+)-(\w+) (\d) (\d)", BASEBALL)
        for side, n in (("left", won), ("right", lost))
    ]
    frame = pd.DataFrame(rows, columns=["home", "away", "winner", "n"])
    return ps.PairTable.from_frame(frame, left="home", right="away", outcome="winner", weight="n")


@pytest.fixture(scope="module")
def pudding() -> ps.PairTable:
    rows = []
    for line in PUDDING.split(";"):
        first, second, *counts = map(int, line.split())
        rows += [(first, second, o, n) for o, n in zip(("left", "right", "tie"), counts, strict=True)]
    frame = pd.DataFrame(rows, columns=["i", "j", "outcome", "n"])
    return ps.PairTable.from_frame(frame, left="i", right="j", outcome="outcome", weight="n")


def against(fit: ps.Fit, reference: int) -> tuple[np.ndarray, np.ndarray]:
    """Worths and standard errors of differences to a reference item, as the sources print them."""
    covariance, worth = fit.covariances["worth"], fit.parameters["worth"]
    variance = np.diag(covariance) + covariance[reference, reference] - 2 * covariance[:, reference]
    return worth - worth[reference], np.sqrt(np.maximum(variance, 0))


def test_baseball_without_home_advantage(baseball, held):
    fit = ps.fit(ps.BradleyTerry(), baseball)
    assert list(fit.levels["item"]) == TEAMS
    worth, se = against(fit, 0)
    held(BASEBALL_ORACLE, "worths", worth, [0, 1.1077, 0.6839, 1.4364, 1.5814, 1.2476, 1.2945], atol=6e-5)
    held(BASEBALL_ORACLE, "SE of worths", se, [0, 0.3339, 0.3319, 0.3396, 0.3433, 0.3359, 0.3367], atol=6e-5)
    held(BASEBALL_ORACLE, "log-likelihood", fit.log_likelihood, -172.24818, atol=6e-6)


def test_baseball_with_home_advantage(baseball, held):
    fit = ps.fit(ps.BradleyTerry(position=True), baseball)
    worth, se = against(fit, 0)
    held(BASEBALL_ORACLE, "worths, home", worth, [0, 1.1438, 0.7047, 1.4754, 1.6196, 1.2813, 1.3271], atol=6e-5)
    held(BASEBALL_ORACLE, "SE, home", se, [0, 0.3378, 0.3350, 0.3446, 0.3474, 0.3404, 0.3403], atol=6e-5)
    home = fit.estimates("position").iloc[0]
    held(BASEBALL_ORACLE, "home advantage and SE", [home["estimate"], home["se"]], [0.30226, 0.13094], atol=6e-6)
    held(BASEBALL_ORACLE, "log-likelihood, home", fit.log_likelihood, -169.54287, atol=6e-6)


def test_davidson_pudding(pudding, held):
    fit = ps.fit(ps.BradleyTerry(ties="davidson"), pudding)
    strength = np.exp(fit.parameters["worth"])
    expected = [0.1388034, 0.1730015, 0.1617474, 0.1653730, 0.1586854, 0.2023893]
    held(PUDDING_ORACLE, "worths, sum one", strength / strength.sum(), expected, atol=6e-8)
    held(PUDDING_ORACLE, "ν", np.exp(fit.parameters["tie"]), 0.7468230, atol=6e-8)
    worth, se = against(fit, 0)
    held(PUDDING_ORACLE, "log worths", worth[1:], [0.2202, 0.1530, 0.1751, 0.1339, 0.3771], atol=6e-5)
    held(PUDDING_ORACLE, "SE of log worths", se[1:], [0.1872, 0.1935, 0.1882, 0.1927, 0.1924], atol=6e-5)
    held(PUDDING_ORACLE, "SE of log ν", fit.standard_errors["tie"], 0.0825, atol=6e-5)
    held(PUDDING_ORACLE, "log-likelihood", fit.log_likelihood, -809.70951, atol=6e-6)


def test_ties_are_an_error_without_a_tie_model(pudding):
    with pytest.raises(
        DataError, match=r'15 of 45 comparisons are ties, first at row 2: use BradleyTerry\(ties="davidson"\)'
    ):
        ps.fit(ps.BradleyTerry(), pudding)


def test_tie_model_without_ties_is_an_error(baseball):
    with pytest.raises(DataError, match="no comparison is a tie"):
        ps.fit(ps.BradleyTerry(ties="davidson"), baseball)


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "position"), [("baseball_nohome", False), ("baseball_home", True)])
def test_r_bradleyterry2(oracles, baseball, name, position, held):
    """The same fits by R's BradleyTerry2 1.1-2; `loglik` is the exact Bernoulli kernel (oracles/FITS.md, trap 7)."""
    expected = json.loads((oracles / "fits" / "BradleyTerry2" / f"{name}.json").read_text())
    fit = ps.fit(ps.BradleyTerry(position=position), baseball)
    held(f"BradleyTerry2/{name}", "log-likelihood", fit.log_likelihood, expected["loglik"], atol=1e-5)


# choix 0.3.5, tests of ilsr_pairwise and opt_pairwise (oracles/README.md, O1 and O2): winner, loser.
CYCLE = [(0, 1), (0, 1), (1, 2), (2, 0)]
PENALISED_PAIRS = [
    *((7, 3), (2, 0), (5, 2), (4, 2), (2, 1), (4, 5), (6, 3), (5, 4), (7, 0), (2, 3)),
    *((4, 0), (0, 4), (6, 5), (3, 2), (3, 4), (3, 4), (5, 2), (7, 3), (7, 6), (6, 5)),
]


def wins(pairs: list[tuple[int, int]]) -> ps.PairTable:
    frame = pd.DataFrame(pairs, columns=["winner", "loser"]).assign(outcome="left")
    return ps.PairTable.from_frame(frame, left="winner", right="loser", outcome="outcome")


def test_choix_maximum_likelihood(held):
    fit = ps.fit(ps.BradleyTerry(), wins(CYCLE))
    held("README, O1 choix", "pairwise", fit.parameters["worth"], [0.419617624, -0.419617624, 0], atol=1e-9)
    circle = ps.fit(ps.BradleyTerry(), wins([(0, 1), (1, 2), (2, 0)]))
    held("README, O1 choix", "pure cycle", circle.parameters["worth"], [0, 0, 0], atol=1e-9)


def test_choix_map(held):
    """choix subtracts alpha × ‖t‖² with alpha = .5, and calls 1 / alpha the variance: it is 1 / (2 alpha) = 1."""
    fit = ps.fit(ps.BradleyTerry(prior_sd=1.0), wins(PENALISED_PAIRS), engine=ps.MAP())
    theirs = [-0.51974039, -0.46280878, -0.31376862, -0.06854694, -0.3185146, -0.00346107, 0.63032783, 1.05651257]
    held("README, O2 choix MAP", "pairwise", fit.parameters["worth"], theirs, atol=2e-8)
    assert fit.penalised


# evalica's simple.csv: left, right, who won (oracles/README.md, O9).
SIMPLE = "01t 02R 02t 04t 10L 12t 12t 13t 24t 30L 31L 32L 34t 34t 40L 43L"


def evalica() -> ps.PairTable:
    rows = [tuple(row) for row in SIMPLE.split()]
    words = {"L": "left", "R": "right", "t": "tie"}
    return ps.PairTable.from_frame(
        pd.DataFrame(rows, columns=["i", "j", "w"]), left="i", right="j", outcome="w", outcomes=words
    )


def test_evalica_newman_is_davidson(held):
    """Newman (2023) writes the tie as 2v of the geometric mean where Davidson writes ν."""
    fit = ps.fit(ps.BradleyTerry(ties="davidson"), evalica())
    held(
        "README, O9 evalica", "worths", fit.parameters["worth"], [-3.9457, -0.6603, -0.6579, 2.6230, 2.6409], atol=6e-5
    )
    held("README, O9 evalica", "v", np.exp(fit.parameters["tie"]) / 2, 3.46100, atol=6e-6)
    held("README, O9 evalica", "log-likelihood", fit.log_likelihood, -11.006, atol=6e-4)


def test_evalica_half_wins(held):
    table = evalica().ties_as_half_wins()
    fit = ps.fit(ps.BradleyTerry(), table)
    theirs = [-1.1443, -0.1958, -0.1918, 0.7476, 0.7843]
    held("README, O9 evalica", "half wins", fit.parameters["worth"], theirs, atol=6e-5)
    assert any(note.startswith("Quasi-likelihood:") for note in fit.notes)


@pytest.fixture(scope="module")
def bradley_terry(oracles):
    return oracles / "fits" / "BradleyTerry2"


@pytest.mark.shared_data
def test_chameleons(bradley_terry, held):
    """Stuart-Fox et al. (2006): attributes of the males, and how often each won lately, which belongs to the contest.

    R's PQL finds no residual spread, so that its fit is the one without; errors are of the last iteration before.
    """
    contests = pd.read_csv(bradley_terry / "chameleons_contests.csv").assign(outcome="left")
    contests["prev"] = contests["w_prev.wins.2"] - contests["l_prev.wins.2"]
    known = pd.read_csv(bradley_terry / "chameleons_predictors.csv").set_index("ID")[["ch.res", "prop.main"]]
    table = ps.PairTable.from_frame(contests, left="w_ID", right="l_ID", outcome="outcome", facets="prev", items=known)
    theirs = json.loads((bradley_terry / "chameleons_mixed.json").read_text())
    for random in ((), ("item",)):
        fit = ps.fit(ps.BradleyTerry(covariates=tuple(known), contest=("prev",), random=random), table)
        ours = [*fit.parameters["prev_weight"], *fit.parameters["worth_weight"]]
        errors = [*fit.standard_errors["prev_weight"], *fit.standard_errors["worth_weight"]]
        what = "random" if random else "fixed"
        name = "BradleyTerry2/chameleons_mixed"
        # The random fit holds its sd at .01 logits in place of zero.
        atol = 3e-4 if random else 2e-6
        held(name, f"weights, {what}", ours, theirs["coefficients"]["Estimate"], atol=atol)
        held(name, f"errors, {what}", errors, theirs["coefficients"]["Std. Error"], rtol=1e-3)
        if not random:
            held(name, "deviance", -2 * fit.log_likelihood, theirs["deviance"], atol=1e-6)
    assert any("worth_sd is at its lower bound" in note for note in fit.notes)


WHITING = ("throat.PC1", "throat.PC3", "head.length", "SVL")


@pytest.fixture(scope="module")
def lizards(bradley_terry) -> ps.PairTable:
    """Two lizards lack the throat's spectrum; each has a worth of its own in place of all its covariates, as in R."""
    contests = pd.read_csv(bradley_terry / "flatlizards_contests.csv").assign(outcome="left")
    known = pd.read_csv(bradley_terry / "flatlizards_predictors.csv").set_index("id")[list(WHITING)]
    lacking = known.isna().any(axis=1)
    known = known.where(~lacking, 0.0).assign(own=known.index.where(lacking, "."))
    return ps.PairTable.from_frame(contests, left="winner", right="loser", outcome="outcome", items=known)


@pytest.mark.shared_data
def test_a_lizard_that_only_won_is_separated(lizards):
    """R gives lizard096 a worth of 36.7 with an error of 3.9e7 and no word."""
    with pytest.raises(
        IdentificationError,
        match=r"separated: worth_weight 'own=lizard096' by \+1.00, and all of the 3 comparisons .* is infinite",
    ):
        ps.fit(ps.BradleyTerry(covariates=(*WHITING, "own")), lizards)


@pytest.mark.shared_data
def test_flat_lizards(lizards, held):
    """Whiting et al. (2006), Table 1, and R's test output of BradleyTerry2 (flatlizards.Rout) to more digits.

    A lizard whose own worth is infinite says nothing of the others: its contests are left out here.
    """
    table = lizards.select("item", [name for name in lizards.levels["item"] if name != "lizard096"])
    fit = ps.fit(ps.BradleyTerry(covariates=(*WHITING, "own")), table)
    weight, error = (values["worth_weight"] for values in (fit.parameters, fit.standard_errors))
    name = "README, O16 Flatlizards"
    held(name, "Whiting's table", weight[:4], [-0.09, 0.34, -1.13, 0.19], atol=6e-3)
    held(name, "its errors", error[:4], [0.03, 0.11, 0.49, 0.10], atol=6e-3)
    held(name, "R, fixed", weight, [-0.0926, 0.3421, -1.1252, 0.1883, 0.8358], atol=6e-5)
    held(name, "R, its errors", error, [0.0291, 0.1109, 0.4944, 0.0985, 1.1591], atol=6e-5)
    held(name, "R, deviance", -2 * fit.log_likelihood, 95.361, atol=6e-4)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("link", "weights", "errors", "sd", "sd_error"),
    [
        ("logit", [-0.08689, 0.3735, -1.382, 0.1722], [0.0412, 0.1527, 0.739, 0.1373], 1.1099, 0.3223),
        ("probit", [-0.0536, 0.228, -0.843, 0.105], [0.0232, 0.0862, 0.421, 0.0776], 0.630, 0.186),
    ],
)
def test_flat_lizards_with_residuals(lizards, link, weights, errors, sd, sd_error):
    """R's sds solve the restricted equations of PQL, ours the unrestricted: fewer parameters' worth of spread.

    So the two are not equal, and are held to a fraction of the errors: ours 0.93 and .59, theirs 1.11 and .63.
    """
    table = lizards.select("item", [name for name in lizards.levels["item"] if name != "lizard096"])
    fit = ps.fit(ps.BradleyTerry(covariates=(*WHITING, "own"), random=("item",), link=link), table)
    away = (fit.parameters["worth_weight"][:4] - weights) / np.array(errors)
    assert np.abs(away).max() < 0.2
    assert abs(float(fit.parameters["worth_sd"]) - sd) < 0.6 * sd_error


@pytest.fixture(scope="module")
def football(bradley_terry) -> pd.DataFrame:
    matches = pd.read_csv(bradley_terry / "football.csv")
    matches["outcome"] = matches["result"].map({1: "left", 0: "tie", -1: "right"})
    return matches.assign(home=matches["home"] + matches["season"], away=matches["away"] + matches["season"])


def played(matches: pd.DataFrame) -> ps.PairTable:
    return ps.PairTable.from_frame(matches, left="home", right="away", outcome="outcome")


FOOTBALL = ps.BradleyTerry(ties="davidson", position="common")


@pytest.mark.shared_data
def test_football_of_one_season(football, held):
    """Theirs has the home advantage inside the tie term, ν √(μ π π): log ν is ours less half the advantage."""
    fit = ps.fit(FOOTBALL, played(football[football["season"] == "2008-9"]))
    home, tie = fit.parameters["position"], fit.parameters["tie"]
    held("README, O18 football", "one season", [home, tie - home / 2], [0.6125, -0.1159], atol=6e-5)
    held("README, O18 football", "log-likelihood, one season", fit.log_likelihood, -349.6637, atol=6e-5)


@pytest.mark.shared_data
def test_football_of_several_seasons(football, bradley_terry, held):
    """Teams of different seasons never meet. A prior of sd 1,000 logits chooses the constant of each season, as gnm's
    start does, and moves nothing else by more than 1e-6."""
    model = dataclasses.replace(FOOTBALL, prior_sd=1e3)
    with pytest.raises(IdentificationError, match="fall into 5 disconnected subsets"):
        ps.fit(FOOTBALL, played(football))
    whole = ps.fit(model, played(football), engine=ps.MAP())
    home, tie = whole.parameters["position"], whole.parameters["tie"]
    held("README, O18 football", "five seasons", [home, tie - home / 2], [0.7023, -0.0838], atol=6e-5)
    held("README, O18 football", "log-likelihood, five seasons", whole.log_likelihood, -1781.7843, atol=6e-5)
    theirs = json.loads((bradley_terry / "football_davidson.json").read_text())
    name, two = "BradleyTerry2/football_davidson", football[football["season"].isin(["2008-9", "2012-13"])]
    fit = ps.fit(model, played(two), engine=ps.MAP())
    home, tie = fit.parameters["position"], fit.parameters["tie"]
    held(name, "home advantage", home, theirs["coefficients"]["home.adv"], atol=1e-6)
    held(name, "its error", fit.standard_errors["position"], theirs["se"]["home.adv"], rtol=1e-4)
    # gnm has the logit of the largest probability of a tie, ν / (2 + ν).
    nu = np.exp(tie - home / 2)
    held(name, "most ties", np.log(nu / 2), theirs["coefficients"]["tie.max"], atol=1e-6)
    held(name, "log-likelihood", fit.log_likelihood, theirs["loglik"], atol=1e-6)
    worth = fit.estimates("item").set_index("level")["estimate"]
    for season in ("2008-9", "2012-13"):
        mine = [team for team in worth.index if team.endswith(season)]
        coefficients = [theirs["coefficients"][f"{team.removesuffix(season)}:{season}"] for team in mine]
        ours = worth[mine] - worth[mine].mean()
        held(name, f"worths of {season}", ours, np.array(coefficients) - np.mean(coefficients), atol=2e-5)
