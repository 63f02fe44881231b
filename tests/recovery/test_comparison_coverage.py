"""Coverage of 95% intervals, bias and honesty of standard errors on comparisons and rankings of known worths."""

from __future__ import annotations

import numpy as np
import pytest
from comparison_world import (
    World,
    best_worst_world,
    circle,
    every_set,
    pairs_world,
    rankings_world,
    worths,
)
from recovery_study import LEVEL, SIGNIFICANCE, Tally, check

import psymetric as ps

N = 1_000
METHOD = f"""Worths are those of evenly spaced normal quantiles, their sd .7; all else is fixed too, and {N:,} data
sets are drawn by formulas in NumPy. Eight items and, where judges have slopes, six; pairs in both orders as often as
each other. *Questions*: how many pairs or sets an item is in. Intervals and *band* are read as on the other pages: the
band is {SIGNIFICANCE} binomial standard errors either side. Maximum likelihood is held to a bias under a quarter of a
standard error; MAP with a normal prior of sd 2 is a posterior mode, whose bias is printed and not checked. Slopes are
positive numbers, with intervals on their logs."""


_EIGHT, _ALL = worths(8, 0.7), circle(8, 4)
WORLDS = {
    "Bradley-Terry": pairs_world(ps.BradleyTerry(), _EIGHT, _ALL, times=8),
    "Bradley-Terry, position and ties": pairs_world(
        ps.BradleyTerry(ties="davidson", position=True), _EIGHT, _ALL, times=8, position=0.3, tie=-0.3
    ),
    "Bradley-Terry, slopes": pairs_world(
        ps.BradleyTerry(slopes=("judge",)), worths(6, 0.7), circle(6, 3), times=12,
        slope=np.exp([-0.4, -0.1, 0.2, 0.3]),
    ),
    "Bradley-Terry, slopes, position and ties": pairs_world(
        ps.BradleyTerry(ties="davidson", position=True, slopes=("judge",)), worths(6, 0.7), circle(6, 3), times=12,
        position=0.3, tie=-0.3, slope=np.exp([-0.4, -0.1, 0.2, 0.3]),
    ),
    "Plackett-Luce, sets of three": rankings_world(_EIGHT, every_set(8, 3), times=4),
    "best-worst, sets of four": best_worst_world(_EIGHT, every_set(8, 4), times=3),
}  # fmt: skip
ENGINES = {"JointML": ps.JointML(), "MAP": ps.MAP()}
ENOUGH = 60
"""Data sets of the small version."""


def replicate(world: World, engine: object, n: int) -> dict[str, Tally]:
    """Draw, fit and count."""
    tallies, rng = {name: Tally() for name in world.truth}, np.random.default_rng(20260901)
    for _ in range(n):
        fit = ps.fit(world.model, world.table(rng), engine=engine)
        for name, tally in tallies.items():
            tally.add(fit.estimates(name, level=LEVEL), world.truth[name])
    return tallies


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Bradley-Terry, position and ties", "Plackett-Luce, sets of three"])
def test_worths_are_recovered(name):
    """A small version of the study below, which also shows that its checks can fail."""
    tallies = replicate(WORLDS[name], ps.JointML(), ENOUGH)
    check(tallies, tuple(tallies))
    item = tallies["item"]
    narrow = Tally(item.estimate, [error * 2 / 3 for error in item.error], item.hit, item.departure)
    with pytest.raises(AssertionError, match="item"):
        check({"item": narrow}, ("item",))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_coverage_of_comparisons(record_validation):
    rows, found = [], {}
    for name, world in WORLDS.items():
        for engine_name, engine in ENGINES.items():
            found[name, engine_name] = replicate(world, engine, N)
            rows += [
                {"model": name, "questions": f"{world.per_item:.0f}", **tally.row(engine_name, key)}
                for key, tally in found[name, engine_name].items()
            ]
    record_validation("Coverage of comparisons", METHOD, rows)
    for (_, engine_name), tallies in found.items():
        check(tallies, tuple(tallies), unbiased=engine_name == "JointML")
