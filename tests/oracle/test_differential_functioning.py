"""Verbal aggression by gender (VerbAgg, ../shared/data/classic): difR's statistics and a published difference.

Mantel-Haenszel: the examples of difR's `difMH(verbal, group = "Gender", focal.name = 1)` as its test snapshots print
them. Its alphaMH is reference over focal odds, as ours; its `Stat.` of MHstat = "logOR" is our estimate over its error.
Bürkner (2021), Journal of Statistical Software 100 (5): r2 ~ Gender + dif + (1 | item) + (1 | id), with
dif = 1 for women on actually cursing or scolding, is -0.94 [-1.22, -0.66]: that much harder for women, so that ours, of
men against women, is negative as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.diagnostics.differential_model import CELL, SHIFT, DifferentialModel

pytestmark = pytest.mark.shared_data

# Half a unit of the fourth printed digit.
PRINTED = 5.1e-5
ORDER = [f"S{s}{mode}{act}" for mode in ("Want", "Do") for s in (1, 2, 3, 4) for act in ("Curse", "Scold", "Shout")]
PLAIN = (
    *(1.7076, 2.1486, 0.9926, 1.9302, 2.9540, 9.6032, 0.0013, 0.6752, 0.8185, 1.6292, 0.0152, 4.1188),
    *(0.1324, 2.7501, 0.0683, 6.3029, 6.8395, 0.2170, 5.7817, 3.8880, 0.2989, 1.1220, 1.4491, 0.8390),
)
DELTA = (
    *(-1.2476, -1.3420, -0.8701, -1.5567, -1.6052, -2.4861, 0.1358, 0.7741, -0.9965, -1.2260, -0.2028, -2.0036),
    *(0.5340, 1.6313, -0.3821, 2.6709, 2.3072, 0.5447, 1.8165, 1.7606, 1.0585, 1.0327, 1.0541, -1.1123),
)
LOG_ODDS_Z = (
    *(1.4759, 1.6751, 1.1404, 1.6327, 1.9103, 3.1373, -0.1889, -0.9984, 1.1136, 1.4869, 0.2735, 2.2368),
    *(-0.5675, -1.8434, 0.4495, -2.6614, -2.6876, -0.6396, -2.4687, -2.1368, -0.8366, -1.2436, -1.3810, 1.1203),
)
P_BH = (
    *(0.4036, 0.3805, 0.5106, 0.3954, 0.2917, 0.0466, 0.9711, 0.5483, 0.5162, 0.4036, 0.9412, 0.1945),
    *(0.8182, 0.2917, 0.8660, 0.0964, 0.0964, 0.7696, 0.0972, 0.1945, 0.7384, 0.4963, 0.4222, 0.5162),
)
PURIFIED = (
    *(0.0069, 0.0376, 0.0087, 0.8881, 0.1112, 4.2680, 0.0987, 4.3724, 0.3454, 0.1406, 1.6853, 1.0766),
    *(2.0959, 6.2736, 0.0172, 9.6672, 11.9436, 0.6997, 9.4644, 6.4356, 1.4190, 3.9323, 5.7987, 0.3223),
)
PURIFIED_DELTA = (
    *(-0.2355, -0.2990, -0.2066, -1.1042, -0.4272, -1.8623, 0.3588, 1.8283, -0.6786, -0.4639, 1.0776, -1.0696),
    *(1.4130, 2.2540, 0.0421, 3.1134, 2.8186, 0.8954, 2.3284, 2.1075, 1.7974, 1.7526, 2.0681, -0.7974),
)
ACTING = [label for label in ORDER if "DoCurse" in label or "DoScold" in label]


@pytest.fixture(scope="module")
def table(shared_data):
    frame = pd.read_csv(shared_data / "classic" / "lme4__VerbAgg.csv.gz")
    frame = frame.assign(yes=(frame["r2"] == "Y").astype(int), item=frame["item"].str.replace("want", "Want"))
    return ps.ResponseTable.from_frame(frame, response="yes", subject="id", item="item", facets="Gender")


def test_mantel_haenszel_of_difr(table):
    frame = ps.mantel_haenszel(table, group="Gender", reference="F", anchors="others").set_index("level").loc[ORDER]
    assert frame["statistic"].to_numpy() == pytest.approx(PLAIN, abs=PRINTED)
    assert frame["delta"].to_numpy() == pytest.approx(DELTA, abs=PRINTED)
    assert (frame["estimate"] / frame["se"]).to_numpy() == pytest.approx(LOG_ODDS_Z, abs=PRINTED)
    assert frame["p_bh"].to_numpy() == pytest.approx(P_BH, abs=PRINTED)


def test_purified_mantel_haenszel_of_difr(table):
    frame = ps.mantel_haenszel(table, group="Gender", reference="F").set_index("level").loc[ORDER]
    assert frame["statistic"].to_numpy() == pytest.approx(PURIFIED, abs=PRINTED)
    assert frame["delta"].to_numpy() == pytest.approx(PURIFIED_DELTA, abs=PRINTED)
    assert (frame["anchor"] == (frame["p"] >= 0.05)).all()


def test_purified_model_finds_the_published_items(table):
    """Men admit to cursing and scolding more than women of equal aggressiveness; wanting to is as it is."""
    found = ps.differential_functioning(ps.Rasch(), table, group="Gender").frame.set_index("level")
    assert (found.loc[ACTING, "estimate"] < 0).all()
    assert set(found.index[found["flag"] != ""]) < set(ACTING)
    assert (~found.loc[ACTING, "anchor"]).sum() == 7
    # The model and Mantel-Haenszel rank the items alike.
    odds = ps.mantel_haenszel(table, group="Gender", reference="F").set_index("level")["estimate"]
    assert np.corrcoef(odds.loc[ORDER], found.loc[ORDER, "estimate"])[0, 1] > 0.95


def test_one_difference_for_all_acts(table):
    """All eight in one cell, as the published model has it; its items are random and its groups of one sd."""
    acting = np.array([label in ACTING for label in table.levels["item"]])
    men = table.codes["Gender"] == table.levels["Gender"].index("M")
    cell = (acting[table.codes["item"]] & men).astype(np.int32)
    marked = replace(
        table,
        codes={**table.codes, CELL: cell},
        levels={**table.levels, CELL: ("none", "acts of men")},
        missing=table.missing.assign(**{CELL: "none"}),
    )
    fit = ps.fit(DifferentialModel(ps.Rasch(), "Gender", "F"), marked)
    published_sd = (1.22 - 0.66) / (2 * 1.96)
    assert abs(fit.parameters[SHIFT][1] + 0.94) < published_sd / 2
    assert fit.standard_errors[SHIFT][1] == pytest.approx(published_sd, rel=0.05)
