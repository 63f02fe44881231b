"""Mantel-Haenszel and Mantel statistics against hand sums over strata, and against the model's differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import chi2

import psymetric as ps
from psymetric.errors import DataError


def responses(seed, *, n=300, size=0.0, steps=(0.0,)):
    """Ordered answers to five items; the third is harder by `size` for the second group, which is less able."""
    rng = np.random.default_rng(seed)
    focal = np.repeat([False, True], n)
    theta = rng.normal(np.where(focal, -0.5, 0.0), 1.0)
    location = np.linspace(-0.8, 0.8, 5) + np.outer(focal, [0, 0, size, 0, 0])
    uniform = rng.random(location.shape)
    cumulative = [expit(theta[:, None] - location - step) for step in steps]
    return sum((uniform < p).astype(int) for p in cumulative), focal


def table_of(score, focal, **columns):
    wide = pd.DataFrame(score, columns=list("pqrst")).assign(group=np.where(focal, "f", "r"), who=range(len(score)))
    long = wide.assign(**columns).melt(["who", "group", *columns], var_name="item", value_name="x")
    weight = "weight" if columns else None
    return ps.ResponseTable.from_frame(long, response="x", subject="who", item="item", facets="group", weight=weight)


def test_two_categories_by_hand():
    score, focal = responses(1, size=0.7)
    frame = ps.mantel_haenszel(table_of(score, focal), group="group", reference="r", anchors="others")
    total, y = score.sum(axis=1), score[:, 2]
    over = under = excess = variance = gap = 0.0
    for t in range(6):
        r, f = y[(total == t) & ~focal], y[(total == t) & focal]
        n, right = len(r) + len(f), y[total == t].sum()
        over += r.sum() * (1 - f).sum() / n
        under += (1 - r).sum() * f.sum() / n
        excess += r.sum() - len(r) * right / n
        variance += len(r) * len(f) * right * (n - right) / (n**2 * (n - 1))
        gap += len(f) * (f.mean() - r.mean())
    row = frame.set_index("level").loc["r"]
    assert row["estimate"] == pytest.approx(np.log(over / under))
    assert row["delta"] == pytest.approx(-2.35 * np.log(over / under))
    assert row["statistic"] == pytest.approx((abs(excess) - 0.5) ** 2 / variance)
    assert row["p"] == pytest.approx(chi2.sf(row["statistic"], 1))
    assert row["smd"] == pytest.approx(gap / focal.sum())
    assert row["smd_sd"] == pytest.approx(gap / focal.sum() / y.std())
    assert row["strata"] == 6
    assert row["flag"].startswith("harder or more severe for 'f' than for 'r' of equal score by")
    # The model's own difference lies within the errors of both, which share most of their noise.
    model = ps.differential_functioning(
        ps.Rasch(), table_of(score, focal), group="group", reference="r", anchors="others"
    )
    assert row["estimate"] == pytest.approx(model.frame["estimate"][2], abs=2 * row["se"])


def test_more_categories_by_hand_and_as_two():
    score, focal = responses(2, size=0.8, steps=(-0.7, 0.7))
    frame = ps.mantel_haenszel(table_of(score, focal), group="group", reference="r", anchors="others").set_index(
        "level"
    )
    total, y = score.sum(axis=1), score[:, 2]
    excess = variance = 0.0
    for t in np.unique(total):
        one, among = y[total == t], focal[total == t]
        if among.all() or not among.any():
            continue
        n, n_focal = len(one), among.sum()
        excess += one[among].sum() - n_focal * one.mean()
        variance += n_focal * (n - n_focal) / (n - 1) * one.var()
    assert frame.loc["r", "statistic"] == pytest.approx(excess**2 / variance)
    assert np.isnan(frame.loc["r", "estimate"])
    assert frame.loc["r", "effect_class"] in ("B", "C")
    assert frame.loc["r", "flag"] != ""
    # Scores of zero and two are two categories but for the unit, and for the continuity correction of the odds ratio.
    two, focal = responses(3, size=0.8)
    doubled, single = (
        ps.mantel_haenszel(table_of(value, focal), group="group", reference="r", anchors="others")
        for value in (2 * two, two)
    )
    assert doubled["smd"].to_numpy() == pytest.approx(2 * single["smd"].to_numpy())
    assert (doubled["statistic"] > single["statistic"]).all()


def test_purified_matching_leaves_the_level_out():
    score, focal = responses(6, n=600, size=1.2)
    table = table_of(score, focal)
    frame = ps.mantel_haenszel(table, group="group", reference="r").set_index("level")
    assert frame["anchor"].tolist() == [True, True, False, True, True]
    without = table.select("item", list("pqst"))
    clean = ps.mantel_haenszel(without, group="group", reference="r", anchors="others").set_index("level")
    for name in ("estimate", "se", "statistic"):
        assert frame.loc[list("pqst"), name].to_numpy() == pytest.approx(clean[name].to_numpy())


def test_weights_and_incomplete_subjects():
    score, focal = responses(4, size=0.5)
    twice = ps.mantel_haenszel(table_of(score, focal, weight=2.0), group="group", reference="r", anchors="others")
    doubled = table_of(np.concatenate([score, score]), np.concatenate([focal, focal]))
    plain = ps.mantel_haenszel(doubled, group="group", reference="r", anchors="others")
    pd.testing.assert_frame_equal(twice, plain)
    frame = table_of(score, focal).to_frame().iloc[1:]
    part = ps.ResponseTable.from_frame(frame, response="response", subject="subject", item="item", facets="group")
    found = ps.mantel_haenszel(part, group="group", reference="r", anchors="others")
    whole = table_of(score[1:], focal[1:])
    expected = ps.mantel_haenszel(whole, group="group", reference="r", anchors="others")
    assert (found["note"] == "1 subject without the usual responses to every level left out").all()
    pd.testing.assert_frame_equal(found.drop(columns="note"), expected.drop(columns="note"))


def test_levels_without_information():
    score, focal = responses(5)
    score[:, 1] = 1
    score[focal, 3] = 0
    frame = ps.mantel_haenszel(table_of(score, focal), group="group", reference="r", anchors="others").set_index(
        "level"
    )
    assert frame.loc["q", "note"] == "no stratum where both groups are and responses vary"
    assert frame.loc["s", "note"] == "no finite odds ratio"
    assert frame.loc[["q", "s"], "estimate"].isna().all()
    assert (frame.loc[["q", "s"], "flag"] == "").all()


def test_refusals():
    score, focal = responses(5, n=20)
    table = table_of(score, focal)
    with pytest.raises(DataError, match="no facet 'judge' to compare"):
        ps.mantel_haenszel(table, group="group", facet="judge")
    with pytest.raises(DataError, match="anchors='all'"):
        ps.mantel_haenszel(table, group="group", anchors="all")
    with pytest.raises(DataError, match="'item' has 2 levels"):
        ps.mantel_haenszel(table.select("item", ["p", "q"]), group="group")
    with pytest.raises(DataError, match="no facet 'grp'"):
        ps.mantel_haenszel(table, group="grp")
    frame = table.to_frame()
    lost = frame[~((frame["group"] == "f") & (frame["item"] == "p"))]
    part = ps.ResponseTable.from_frame(lost, response="response", subject="subject", item="item", facets="group")
    with pytest.raises(DataError, match="only 20 of 40 subjects responded to all 5 levels"):
        ps.mantel_haenszel(part, group="group")
    uneven = frame.assign(weight=np.arange(len(frame)) % 3 + 1.0)
    odd = ps.ResponseTable.from_frame(
        uneven, response="response", subject="subject", item="item", facets="group", weight="weight"
    )
    with pytest.raises(DataError, match="weights vary within subjects, first 0"):
        ps.mantel_haenszel(odd, group="group")
