"""S-X² against the enumeration of all response patterns, its joining of cells by hand, its mean, and refusals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from rated_world import naive_probabilities, naive_steps, rated_frame, rated_table
from scipy.stats import chi2

import psymetric as ps
from psymetric.errors import DataError

K = 4
# The two grids.
ENUMERATED = 1e-7


@pytest.fixture(scope="module")
def crossed():
    """Two judges on two items: four variables, and 256 patterns of responses."""
    frame = rated_frame(subjects=400, seed=21).query("judge in ('ann', 'bob') and item in ('i1', 'i2')")
    table = rated_table(frame[frame.groupby("text")["stars"].transform("size") == 4])
    return ps.fit(ps.ManyFacetRasch(), table), table


def naive_joined(pairs: list[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """(observed, expected) of categories, sparse ones joined upwards and the last leftover downwards."""
    cells, observed, expected = [], 0.0, 0.0
    for one, other in pairs:
        observed, expected = observed + one, expected + other
        if expected >= least:
            cells.append((observed, expected))
            observed = expected = 0.0
    if cells:
        cells[-1] = (cells[-1][0] + observed, cells[-1][1] + expected)
    return cells


def test_enumeration_of_patterns(crossed):
    """With a least count so small that nothing is joined but impossible categories."""
    fit, table = crossed
    found = ps.item_fit(fit, table, min_expected=1e-9).set_index("level")
    value = {name: dict(fit.estimates(name)[["level", "estimate"]].to_numpy()) for name in ("judge", "item")}
    steps, mean, sd = naive_steps(fit), *(float(fit.parameters[f"population_{name}"]) for name in ("mean", "sd"))
    grid = np.linspace(-7, 7, 141)
    weight = np.exp(-0.5 * grid**2) / np.exp(-0.5 * grid**2).sum()
    variables = list(product(("i1", "i2"), ("ann", "bob")))
    nodes = [
        np.array([naive_probabilities(mean + sd * z, value["item"][i] + value["judge"][j], steps) for z in grid])
        for i, j in variables
    ]
    patterns = np.array(list(product(range(K), repeat=4)))
    p = weight @ np.prod([node[:, patterns[:, v]] for v, node in enumerate(nodes)], axis=0)
    frame = table.to_frame().assign(score=lambda f: f["response"].map(fit.categories.index))
    wide = frame.pivot_table(index="subject", columns=["item", "judge"], values="score")[variables].to_numpy()
    for v, (item, judge) in enumerate(variables):
        statistic, free = 0.0, 0
        for score in range(1, 4 * (K - 1)):
            among = patterns.sum(axis=1) == score
            size = (wide.sum(axis=1) == score).sum()
            pairs = [
                (
                    ((wide.sum(axis=1) == score) & (wide[:, v] == k)).sum(),
                    size * p[among & (patterns[:, v] == k)].sum() / p[among].sum(),
                )
                for k in range(K)
            ]
            cells = naive_joined(pairs, 1e-9)
            statistic += sum((o - e) ** 2 / e for o, e in cells)
            free += len(cells) - 1
        row = found.loc[f"{item} × {judge}"]
        assert row["s_x2"] == pytest.approx(statistic, rel=ENUMERATED)
        # Judge and item move a variable in one direction; the common steps are not its own.
        assert row["df"] == free - 1
        assert row["p"] == pytest.approx(chi2.sf(statistic, free - 1), abs=ENUMERATED)


@pytest.mark.thorough
def test_partial_credit_steps_are_an_items_own(crossed):
    _, table = crossed
    ann = table.select("judge", ["ann"])
    one = ps.item_fit(ps.fit(ps.ManyFacetRasch(facets=("item",)), ann), ann, min_expected=1e-9)
    own = ps.item_fit(ps.fit(ps.ManyFacetRasch(facets=("item",), steps="item"), ann), ann, min_expected=1e-9)
    assert (one["df"] - own["df"]).tolist() == [2, 2]


def test_joining_of_sparse_cells():
    from psymetric.diagnostics.item_fit import _collapsed

    expected = np.array([[0.4, 0.3], [2.0, 0.8], [5.0, 4.0], [3.0, 9.0], [0.6, 8.0]])
    observed = np.array([[1.0, 0.0], [1.0, 2.0], [6.0, 3.0], [2.0, 10.0], [0.0, 8.0]])
    # Row 0 goes to row 1, whose second cell is then 1.1; row 4 goes to row 3.
    joined = np.array([[2.0, 2.0, 2.4, 1.1], [6.0, 3.0, 5.0, 4.0], [2.0, 18.0, 3.6, 17.0]])
    found = _collapsed(observed, expected, 1.0)
    assert found.statistic == pytest.approx(((joined[:, :2] - joined[:, 2:]) ** 2 / joined[:, 2:]).sum())
    assert (found.groups, found.free_cells) == (3, 3)
    # Categories are joined before rows: .5 and .6 make a cell.
    three = _collapsed(np.array([[1.0, 0.0, 4.0]]), np.array([[0.5, 0.6, 3.9]]), 1.0)
    assert three.statistic == pytest.approx(0.1**2 / 1.1 + 0.1**2 / 3.9)
    assert (three.groups, three.free_cells) == (1, 1)
    assert _collapsed(np.array([[1.0, 0.0]]), np.array([[0.9, 0.1]]), 1.0).free_cells == 0


def answers(right: np.ndarray) -> ps.ResponseTable:
    long = pd.DataFrame(right.astype(int)).rename_axis("person").reset_index().melt("person", var_name="item")
    return ps.ResponseTable.from_frame(long, response="value", subject="person", item="item")


@pytest.mark.slow
def test_mean_of_the_statistic_and_an_item_that_is_guessed():
    rng, difficulty, found = np.random.default_rng(12), np.linspace(-1.2, 1.2, 6), []
    for _ in range(30):
        table = answers(rng.random((600, 6)) < 1 / (1 + np.exp(difficulty - rng.normal(0, 1, 600)[:, None])))
        found.append(ps.item_fit(ps.fit(ps.Rasch(), table), table))
    assert all((one["df"] == 4).all() for one in found)
    mean = np.mean([one["s_x2"] for one in found], axis=0)
    assert (np.abs(mean - 4) < 4 * np.sqrt(2 * 4 / 30)).all()
    right = rng.random((600, 6)) < 1 / (1 + np.exp(difficulty - 2 * rng.normal(0, 1, 600)[:, None]))
    right[:, 3] = rng.random(600) < 0.5
    table = answers(right)
    guessed = ps.item_fit(ps.fit(ps.Rasch(), table), table)
    assert guessed["flag"][3] == "does not follow the model: Holm-adjusted p below 0.05"
    assert guessed["s_x2"].idxmax() == 3
    few = ps.item_fit(ps.fit(ps.Rasch(), table), table, min_expected=1000.0)
    assert (few["flag"] == "no degrees of freedom left: too few subjects or items").all()
    assert few[["s_x2", "p", "p_holm", "rmsea"]].isna().all(axis=None)


def test_refusals(marginal, joint, table, crossed, worths, pairs):
    fit, complete = crossed
    with pytest.raises(DataError, match="item_fit: BradleyTerry has no subjects"):
        ps.item_fit(worths, pairs)
    with pytest.raises(DataError, match=r"item_fit: \d+ of 42 subjects lack a response to some item × judge"):
        ps.item_fit(marginal, table)
    with pytest.raises(DataError, match=r"item_fit: the test needs maximum likelihood.*fit with MarginalML\(\)"):
        ps.item_fit(joint, table)
    with pytest.raises(DataError, match="min_expected=0 must be a positive count"):
        ps.item_fit(fit, complete, min_expected=0)
    with pytest.raises(DataError, match="alpha=1 is not a level"):
        ps.item_fit(fit, complete, alpha=1)
