"""All groups of a level at once: against levels split by hand and fitted by another route, and by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binom, chi2, ncx2

import psymetric as ps

# Log-likelihoods that two routes maximise on grids of their own, and what follows of Wald's quadratic forms.
LIKELIHOOD, CURVATURE = 2e-4, 2e-3
DIFFICULTY = np.array([-1.0, -0.4, 0.0, 0.5, 0.9])
GROUPS = ("a", "b", "c")
MEANS = {"a": 0.0, "b": -0.7, "c": 0.6}


def answers(seed: int, *, n: int = 150, shift: dict[str, np.ndarray] | None = None) -> pd.DataFrame:
    """Right or wrong answers of three groups of subjects whose abilities differ."""
    rng, frames = np.random.default_rng(seed), []
    for group in GROUPS:
        location = DIFFICULTY + (shift or {}).get(group, 0.0)
        theta = rng.normal(MEANS[group], 1.1, n)
        right = rng.random((n, 5)) < expit(theta[:, None] - location)
        wide = pd.DataFrame(right.astype(int), columns=[f"i{k}" for k in range(5)])
        frames.append(wide.assign(group=group, person=[f"{group}{k}" for k in range(n)]))
    return pd.concat(frames).melt(["person", "group"], var_name="item", value_name="right")


def table_of(frame: pd.DataFrame) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(frame, response="right", subject="person", item="item", facets="group")


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    return answers(3, shift={"b": np.array([0, 1.2, 0, 0, 0]), "c": np.array([0, -0.8, 0, 0, 0])})


@pytest.fixture(scope="module")
def split(world: pd.DataFrame) -> tuple[ps.Fit, ps.Fit]:
    """The library's own model of groups, without and with an item of its own for every group's second one."""
    apart = world.assign(item=np.where(world["item"] == "i1", "i1" + world["group"], world["item"]))
    model = ps.Rasch(population=ps.Population(groups="group"))
    return ps.fit(model, table_of(world)), ps.fit(model, table_of(apart))


@pytest.mark.thorough
def test_against_levels_split_by_hand(world: pd.DataFrame, split: tuple[ps.Fit, ps.Fit]) -> None:
    alike, apart = split
    settings = {"group": "group", "reference": "a", "anchors": "others"}
    found = ps.differential_functioning(ps.Rasch(), table_of(world), **settings)
    row = found.omnibus.set_index("level").loc["i1"]
    assert row["statistic"] == pytest.approx(2 * (apart.log_likelihood - alike.log_likelihood), abs=LIKELIHOOD)
    assert (row["df"], row["groups"]) == (2, 3)
    assert row["p"] == pytest.approx(chi2.sf(row["statistic"], 2))
    places = [apart.levels["item"].index(name) for name in ("i1a", "i1b", "i1c")]
    difficulty, factor = apart.parameters["item"][places], apart.factors["item"][places]
    assert (row["easiest"], row["hardest"]) == ("c", "b")
    assert row["range"] == pytest.approx(difficulty[1] - difficulty[2], abs=1e-4)
    assert row["se"] == pytest.approx(np.linalg.norm(factor[1] - factor[2]), rel=CURVATURE)
    assert row["delta"] == pytest.approx(-2.35 * row["range"])
    wald = ps.differential_functioning(ps.Rasch(), table_of(world), method="wald", **settings).omnibus.iloc[1]
    contrast, spread = difficulty[1:] - difficulty[0], factor[1:] - factor[0]
    assert wald["statistic"] == pytest.approx(contrast @ np.linalg.solve(spread @ spread.T, contrast), rel=CURVATURE)
    assert row["effect_class"] == "C"
    assert row["flag"].startswith("differs between 3 groups by up to")
    assert "  i1: differs between 3 groups" in str(found)
    assert "hardest" in found._repr_html_()


@pytest.mark.thorough
def test_the_reference_does_not_matter(world: pd.DataFrame) -> None:
    found = [
        ps.differential_functioning(ps.Rasch(), table_of(world), group="group", reference=name, anchors=["i0", "i4"])
        for name in ("a", "b")
    ]
    first, second = (each.omnibus.set_index("level") for each in found)
    # Named anchors are compared with nothing.
    assert first.index.tolist() == ["i1", "i2", "i3"]
    for name in ("statistic", "range"):
        np.testing.assert_allclose(first[name], second[name], atol=1e-4)
    assert first["hardest"].tolist() == second["hardest"].tolist()


def test_two_groups_have_none(world: pd.DataFrame) -> None:
    two = table_of(world[world["group"] != "c"])
    found = ps.differential_functioning(ps.Rasch(), two, group="group", anchors="others")
    assert found.omnibus.empty
    assert "flag" in found.omnibus


def test_purified_anchors_keep_the_sound_levels_sound(world: pd.DataFrame) -> None:
    found = ps.differential_functioning(ps.Rasch(), table_of(world), group="group", reference="a")
    rows = found.omnibus.set_index("level")
    assert rows.index[rows["flag"] != ""].tolist() == ["i1"]
    assert not rows.loc["i1", "anchor"]


@pytest.mark.slow
def test_false_alarms_and_power() -> None:
    """Twenty worlds with impact, one item of five harder by 1 in one group; bounds chance passes once in 10⁴ runs."""
    worlds, alarms, finds, statistics = 20, 0, 0, []
    for seed in range(worlds):
        frame = answers(200 + seed, shift={"c": np.array([0, 0, 1.0, 0, 0])})
        rows = ps.differential_functioning(
            ps.Rasch(), table_of(frame), group="group", reference="a", anchors=["i0", "i4"], method="wald"
        ).omnibus.set_index("level")
        alarms += int((rows.loc[["i1", "i3"], "p"] < 0.05).sum())
        finds += int(rows.loc["i2", "p"] < 0.05)
        statistics.append(rows.loc["i2", "statistic"])
    assert binom.ppf(5e-5, worlds * 2, 0.05) <= alarms <= binom.ppf(1 - 5e-5, worlds * 2, 0.05)
    power = ncx2.sf(chi2.isf(0.05, 2), 2, np.mean(statistics) - 2)
    assert binom.ppf(5e-5, worlds, power) <= finds <= binom.ppf(1 - 5e-5, worlds, power)
    assert power > 0.5
