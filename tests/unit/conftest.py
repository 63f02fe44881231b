"""Fits of one small world, shared by the tests of scores and diagnostics."""

from __future__ import annotations

import pandas as pd
import pytest
from rated_world import rated_frame, rated_table

import psymetric as ps


@pytest.fixture(scope="session")
def frame():
    return rated_frame()


@pytest.fixture(scope="session")
def table(frame):
    return rated_table(frame)


@pytest.fixture(scope="session")
def marginal(table):
    return ps.fit(ps.ManyFacetRasch(), table)


@pytest.fixture(scope="session")
def joint(table):
    return ps.fit(ps.ManyFacetRasch(), table, engine=ps.JointML())


@pytest.fixture(scope="session")
def drawn(table):
    return ps.fit(ps.ManyFacetRasch(), table, engine=ps.Laplace(draws=300))


@pytest.fixture(scope="session")
def pairs():
    won = {("a", "b"): (9, 3), ("b", "c"): (8, 4), ("a", "c"): (10, 2), ("c", "d"): (7, 5), ("a", "d"): (9, 3)}
    rows = [
        (*pair, side, n, judge)
        for pair, counts in won.items()
        for side, n in zip(("left", "right"), counts, strict=True)
        for judge in "pq"
    ]
    frame = pd.DataFrame(rows, columns=["x", "y", "won", "n", "judge"])
    return ps.PairTable.from_frame(frame, left="x", right="y", outcome="won", weight="n", judge="judge")


@pytest.fixture(scope="session")
def worths(pairs):
    return ps.fit(ps.BradleyTerry(), pairs)
