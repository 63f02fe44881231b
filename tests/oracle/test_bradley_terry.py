"""Bradley-Terry fits against Agresti's baseball, Davidson's pudding and R, with the sources' own numbers."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError

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
