"""Drift of levels between fits: known movers, the robust z by hand, its rate of false alarms, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sloped_world import sloped_fit

import psymetric as ps
from psymetric.diagnostics.drift import robust_z
from psymetric.errors import DataError
from psymetric.estimation.fitting import FitSet

NAMES = [f"i{k}" for k in range(12)]
VARIANCE = 0.01


def world(seed: int, *, shift: float = 0.0, mover: float = 0.0):
    rng = np.random.default_rng(seed)
    true = np.linspace(-2, 2, 12)
    values = true + rng.normal(0, 0.1, 12) + shift
    values[4] += mover
    return sloped_fit(dict(zip(NAMES, values, strict=True)), np.ones(12), variance=VARIANCE)


@pytest.fixture(scope="module")
def found():
    fits = {"may": world(0), "june": world(1, shift=0.8), "july": world(2, shift=-0.3, mover=1.0)}
    return ps.drift(fits, "item", method="mean_mean")


def test_a_mover_is_flagged_and_does_not_move_the_link(found):
    july = found[found["fit"] == "july"].set_index("level")
    assert july.loc["i4", "flag"]
    assert july["robust_z"].abs().idxmax() == "i4"
    # 1 logit, two errors of .1 and that of the link: within four of their sd.
    assert july.loc["i4", "change"] == pytest.approx(1.0, abs=4 * np.sqrt(2 * 0.01 * (1 + 1 / 8)))
    assert july.loc[~july["flag"], "change"].mean() == pytest.approx(0, abs=1e-9)
    # Change of a level that did not link: two estimates and the mean of the linking levels.
    linking = (~july["flag"]).sum()
    assert july.loc["i4", "se"] == pytest.approx(np.sqrt(2 * VARIANCE * (1 + 1 / linking)), rel=0.05)


def test_every_later_fit_has_its_rows(found):
    assert found["fit"].unique().tolist() == ["june", "july"]
    assert found.groupby("fit").size().tolist() == [12, 12]
    np.testing.assert_allclose(found["linked"] - found["reference"], found["change"])


def test_robust_z_by_hand():
    change = np.array([0.1, -0.1, 0.0, 0.2, 3.0])
    np.testing.assert_allclose(robust_z(change), (change - 0.1) / (0.74 * 0.2))
    assert np.isnan(robust_z(np.array([0.0, 0.0, 0.0, 0.0, 1.0]))).tolist() == [False] * 4 + [True]


def test_one_level_in_ten_passes_by_chance():
    """Of 40,000 levels in samples of 40 that did not move; quartiles of 40 are nearly those of the population."""
    z = np.concatenate([robust_z(row) for row in np.random.default_rng(5).normal(0, 0.2, (1_000, 40))])
    low, high = binom.ppf([0.0005, 0.9995], len(z), 0.10) / len(z)
    # Estimating median and quartiles from 40 values adds at most one percentage point.
    assert low < np.mean(np.abs(z) > 1.645) < high + 0.015


def test_fit_sets_are_read(found):
    fits = {"may": world(0), "june": world(1, shift=0.8)}
    assert len(ps.drift(FitSet("month", fits), "item", method="mean_mean")) == 12


def test_refusals_say_what_and_how_to_mend():
    with pytest.raises(DataError, match=r"drift: 1 fit given, \['may'\]; drift is between two or more"):
        ps.drift({"may": world(0)}, "item")
    with pytest.raises(DataError, match="drift: critical=0 must be positive"):
        ps.drift({"may": world(0), "june": world(1)}, "item", critical=0)
    few = sloped_fit({"i0": 0.0, "i1": 1.0, "other": 0.0}, np.ones(3), variance=VARIANCE)
    with pytest.raises(DataError, match="'june' and 'may' have 2 levels of 'item' in common"):
        ps.drift({"may": world(0), "june": few}, "item", method="mean_mean")
    with pytest.raises(DataError, match="drift: 'june' to 'may': link: the fits have different categories"):
        ps.drift({"may": world(0), "june": replace(world(1), categories=("a", "b"))}, "item")
