"""Likelihood-ratio tests of the Rasch family: closed forms, what they find, what they refuse. R's are in oracle/."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import psymetric as ps
from psymetric.errors import DataError, DesignError, IdentificationError

EXACT = 1e-7
ENGINE = ps.ConditionalML()


def wide(rows: np.ndarray) -> ps.ResponseTable:
    frame = pd.DataFrame(rows).reset_index(names="s").melt(id_vars="s", var_name="i", value_name="x")
    return ps.ResponseTable.from_frame(frame.dropna().astype({"x": int, "i": str}), response="x", subject="s", item="i")


def entropy(*counts: int) -> float:
    n = np.array(counts, float)
    return float(np.sum(n * np.log(n / n.sum())))


@pytest.fixture(scope="module")
def world() -> np.ndarray:
    """400 subjects on six items; the second half finds the last item two logits easier, the first two harder."""
    rng = np.random.default_rng(8)
    difficulty = np.tile([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0], (400, 1))
    difficulty[200:, 5] -= 2.0
    return (rng.normal(size=(400, 1)) - difficulty + rng.logistic(size=(400, 6)) > 0).astype(int)


@pytest.fixture(scope="module")
def table(world):
    return wide(world)


@pytest.fixture(scope="module")
def fit(table):
    return ps.fit(ps.Rasch(), table, engine=ENGINE)


def halves(n: int) -> dict[int, str]:
    return {s: "first" if s < n // 2 else "second" for s in range(n)}


def test_two_items_in_two_groups_have_a_closed_form():
    """With two items the test is that of a two by two table of who solved which, by group."""
    rows = np.repeat([[1, 0], [0, 1], [1, 0], [0, 1]], [30, 12, 14, 19], axis=0)
    table = wide(rows)
    split = {s: "a" if s < 42 else "b" for s in range(75)}
    found = ps.andersen_test(ps.fit(ps.Rasch(), table, engine=ENGINE), table, split=split)
    assert found.statistic == pytest.approx(2 * (entropy(30, 12) + entropy(14, 19) - entropy(44, 31)), abs=EXACT)
    assert (found.df, found.p) == (1, pytest.approx(chi2.sf(found.statistic, 1), abs=EXACT))
    assert found.groups["group"].tolist() == ["a", "b"]
    assert found.groups["n_subjects"].tolist() == [42, 33]
    # Wald: half the difference of the log odds, over its error; both items carry the same contrast.
    z2 = (np.log(30 / 12) - np.log(14 / 19)) ** 2 / (1 / 30 + 1 / 12 + 1 / 14 + 1 / 19)
    np.testing.assert_allclose(found.levels()["statistic"], z2, atol=EXACT)
    assert found.levels()["p_holm"].tolist() == pytest.approx([2 * chi2.sf(z2, 1)] * 2)


def test_finds_the_item_that_favours_a_group(fit, table):
    found = ps.andersen_test(fit, table, split=halves(400))
    assert found.p < 1e-6
    assert found.df == 5
    levels = found.levels().set_index("level")
    assert levels["p"].idxmin() == "5"
    assert list(levels.columns) == ["facet", "statistic", "df", "p", "p_holm"]
    assert str(found).startswith("likelihood ratio")


def test_p_values_of_a_true_model_are_uniform(world):
    """Forty splits at random of items that are the same for all: mean p within four standard errors of a half."""
    rng = np.random.default_rng(9)
    table = wide(world[:200])
    fit = ps.fit(ps.Rasch(), table, engine=ENGINE)
    p = []
    for _ in range(40):
        group = rng.permutation(np.arange(200) % 2)
        p.append(ps.andersen_test(fit, table, split=dict(enumerate(group.tolist()))).p)
    assert abs(np.mean(p) - 0.5) < 4 * np.sqrt(1 / 12 / 40)
    assert np.min(p) < 0.2


def test_any_fit_of_the_model_will_do(fit, table):
    other = replace(fit, engine="MarginalML", log_likelihood=0.0)
    assert ps.andersen_test(other, table).statistic == pytest.approx(ps.andersen_test(fit, table).statistic, abs=EXACT)


def test_three_groups(fit, table):
    found = ps.andersen_test(fit, table, split={s: s % 3 for s in range(400)})
    assert found.df == 10
    assert len(found.groups) == 3
    assert (found.levels()["df"] == 2).all()


def test_category_that_a_group_never_used():
    rng = np.random.default_rng(10)
    rows = rng.integers(0, 3, (120, 3))
    rows[:60][rows[:60] == 2] = 1
    table = wide(rows)
    model = ps.ManyFacetRasch(facets=("item",), steps="item")
    found = ps.andersen_test(ps.fit(model, table, engine=ENGINE), table, split=halves(120))
    assert found.df == 2 + 5 - 5
    assert any("categories that group first never used have no parameter there" in note for note in found.notes)


def test_martin_loef_of_two_pairs_by_hand():
    """Statistic from counts alone: two items per group leave log-odds, joint scores leave entropies."""
    rng = np.random.default_rng(11)
    rows = (rng.normal(size=(300, 1)) - [[-0.5, 0.5, 0, 0.2]] + rng.logistic(size=(300, 4)) > 0).astype(int)
    table = wide(rows)
    fit = ps.fit(ps.Rasch(), table, engine=ENGINE)
    split = {"0": "a", "1": "a", "2": "b", "3": "b"}
    first, second = rows[:, :2], rows[:, 2:]
    pairs = sum(
        entropy(int(((part == [1, 0]).all(axis=1)).sum()), int(((part == [0, 1]).all(axis=1)).sum()))
        for part in (first, second)
    )
    joint = np.unique(np.c_[first.sum(axis=1), second.sum(axis=1)], axis=0, return_counts=True)[1]
    total = np.unique(rows.sum(axis=1), return_counts=True)[1]
    expected = 2 * (entropy(*joint) + pairs - entropy(*total) - fit.log_likelihood)
    found = ps.martin_loef_test(fit, table, split=split)
    assert found.statistic == pytest.approx(expected, abs=EXACT)
    # 9 joint scores and a contrast per pair, against 5 scores and 3 contrasts.
    assert found.df == 8 + 2 - 4 - 3
    assert found.notes == ()


def test_martin_loef_finds_two_dimensions():
    rng = np.random.default_rng(12)
    ability = np.repeat(rng.normal(0, 1.5, (500, 2)), 3, axis=1)
    table = wide((ability + rng.logistic(size=(500, 6)) > 0).astype(int))
    split = {str(i): "a" if i < 3 else "b" for i in range(6)}
    assert ps.martin_loef_test(ps.fit(ps.Rasch(), table, engine=ENGINE), table, split=split).p < 1e-10


def test_martin_loef_leaves_incomplete_subjects_out(world):
    rows = world.astype(float)
    rows[:7, 2] = np.nan
    table, complete = wide(rows), wide(world[7:])
    found = ps.martin_loef_test(ps.fit(ps.Rasch(), table, engine=ENGINE), table)
    assert found.notes[0] == "7 of 400 subjects lack a response, or have several, and are left out"
    whole = ps.martin_loef_test(ps.fit(ps.Rasch(), complete, engine=ENGINE), complete)
    groups = [f.groupby("group")["level"].agg(list).to_dict() for f in (found.estimates, whole.estimates)]
    assert groups[0] == groups[1]
    assert found.statistic == pytest.approx(whole.statistic, abs=EXACT)


def test_sparse_joint_scores_are_noted():
    rng = np.random.default_rng(14)
    table = wide(rng.integers(0, 4, (40, 4)))
    fit = ps.fit(ps.ManyFacetRasch(facets=("item",)), table, engine=ENGINE)
    found = ps.martin_loef_test(fit, table, split={"0": "a", "1": "a", "2": "b", "3": "b"})
    assert any("49 joint scores for 40 subjects: the chi-square distribution is no guide" in n for n in found.notes)


def test_wrong_splits(fit, table):
    with pytest.raises(DataError, match=r'andersen_test: split=\'half\' is not "median", "mean" or a mapping'):
        ps.andersen_test(fit, table, split="half")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"andersen_test: 398 of 400 levels of 'subject' have no group in split"):
        ps.andersen_test(fit, table, split={0: "a", 1: "b"})
    with pytest.raises(DataError, match=r"andersen_test: all 400 levels of 'subject' are in one group"):
        ps.andersen_test(fit, table, split=dict.fromkeys(range(400), "a"))
    with pytest.raises(DataError, match=r"martin_loef_test: group 'a' has one level of 'item'"):
        ps.martin_loef_test(fit, table, split={str(i): "a" if i == 0 else "b" for i in range(6)})
    with pytest.raises(DataError, match=r"martin_loef_test: Rasch has no facet 'judge': it has \['item'\]"):
        ps.martin_loef_test(fit, table, facet="judge")


def test_group_that_cannot_be_fitted_is_named(world):
    rows = world.copy()
    rows[:200, 0] = 1
    table = wide(rows)
    with pytest.raises(IdentificationError, match=r"andersen_test: group 'first': 1 of 6 levels of 'item'"):
        ps.andersen_test(ps.fit(ps.Rasch(), table, engine=ENGINE), table, split=halves(400))


def test_model_without_conditional_likelihood(fit, table):
    random = replace(fit, engine="MarginalML", model=ps.ManyFacetRasch(facets=("item",), random=("item",)))
    with pytest.raises(DesignError, match=r"ConditionalML cannot estimate the sd of random facet 'item'"):
        ps.andersen_test(random, table)


def test_no_complete_subject(fit):
    rows = np.tile([[0, 1, 0, np.nan], [1, np.nan, 0, 1], [np.nan, 0, 1, 1]], (4, 1))
    with pytest.raises(DataError, match=r"martin_loef_test: no subject has exactly one response of weight 1 to each"):
        ps.martin_loef_test(fit, wide(rows))
