"""Reliability of scales and scores: closed forms, identities, missing answers, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rated_world import rated_frame, rated_table

import psymetric as ps
from psymetric.diagnostics.omega import saturation
from psymetric.errors import DataError


def answers(values, **options):
    rows = [(f"s{s:03d}", f"i{i:02d}", x) for s, row in enumerate(values) for i, x in enumerate(row) if x is not None]
    frame = pd.DataFrame(rows, columns=["s", "i", "x"])
    return ps.ResponseTable.from_frame(frame, response="x", subject="s", item="i", **options)


def simulated(*, subjects=200, items=6, seed=5):
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=(subjects, 1))
    return np.clip(np.round(3 + trait + rng.normal(0, 1, (subjects, items))), 1, 5).astype(int)


@pytest.fixture(scope="module")
def values():
    return simulated()


@pytest.fixture(scope="module")
def result(values):
    return ps.scale_reliability(answers(values), draws=40)


def coefficient(result, name):
    return result.frame.set_index("coefficient").loc[name]


def alpha_of(values):
    k = values.shape[1]
    return k / (k - 1) * (1 - values.var(axis=0, ddof=1).sum() / values.sum(axis=1).var(ddof=1))


def test_alpha_and_items_by_their_definitions(values, result):
    assert coefficient(result, "alpha")["value"] == pytest.approx(alpha_of(values))
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    assert coefficient(result, "standardised alpha")["value"] == pytest.approx(alpha_of(z))
    for place, row in enumerate(result.items.itertuples()):
        others = np.delete(values, place, axis=1)
        assert row.alpha_if_deleted == pytest.approx(alpha_of(others))
        assert row.item_rest == pytest.approx(np.corrcoef(values[:, place], others.sum(axis=1))[0, 1])
        assert (row.mean, row.sd) == pytest.approx((values[:, place].mean(), values[:, place].std(ddof=1)))


def test_lambda_6_by_regressions(values, result):
    unexplained = 0.0
    for place in range(values.shape[1]):
        z = (values - values.mean(axis=0)) / values.std(axis=0)
        others = np.delete(z, place, axis=1)
        slope = np.linalg.lstsq(others, z[:, place], rcond=None)[0]
        unexplained += np.mean((z[:, place] - others @ slope) ** 2)
    expected = 1 - unexplained / np.corrcoef(values.T).sum()
    assert coefficient(result, "lambda-6")["value"] == pytest.approx(expected)


def test_intervals_hold_their_values(result):
    frame = result.frame
    assert (frame["lower"] < frame["upper"]).all()
    inside = (frame["lower"] <= frame["value"]) & (frame["value"] <= frame["upper"])
    assert inside[:4].all()


def test_one_factor_is_recovered_exactly():
    loading = np.array([0.8, 0.7, 0.6, 0.5])
    correlation = np.outer(loading, loading)
    np.fill_diagonal(correlation, 1)
    found = saturation(correlation, 1)
    np.testing.assert_allclose(found.general, loading, atol=1e-5)
    assert found.total == pytest.approx(loading.sum() ** 2 / correlation.sum(), abs=1e-5)
    assert found.hierarchical == found.total


def hierarchical(second, first):
    """Correlations of 3 × 3 items under three group factors with loadings `second` on a general one."""
    pattern = np.kron(np.eye(3), np.array(first)[:, None])
    between = np.outer(second, second)
    np.fill_diagonal(between, 1)
    correlation = pattern @ between @ pattern.T
    np.fill_diagonal(correlation, 1)
    return correlation, pattern


def test_hierarchical_structure_is_recovered_exactly():
    second, first = np.array([0.9, 0.8, 0.7]), [0.8, 0.7, 0.6]
    correlation, pattern = hierarchical(second, first)
    found = saturation(correlation, 3)
    variance = correlation.sum()
    np.testing.assert_allclose(found.general, pattern @ second, atol=1e-4)
    assert found.hierarchical == pytest.approx((pattern @ second).sum() ** 2 / variance, abs=1e-4)
    assert found.total == pytest.approx(1 - np.sum(1 - np.tile(first, 3) ** 2) / variance, abs=1e-5)
    assert found.remark == ""


def test_rotation_from_a_neighbour_ends_where_the_whole_one_does():
    correlation, _ = hierarchical(np.array([0.9, 0.8, 0.7]), [0.8, 0.7, 0.6])
    near = saturation(hierarchical(np.array([0.8, 0.8, 0.8]), [0.7, 0.7, 0.7])[0], 3)
    again, whole = saturation(correlation, 3, near=near), saturation(correlation, 3)
    assert again.hierarchical == pytest.approx(whole.hierarchical, abs=1e-4)


def test_two_group_factors_share_alike():
    first, between = np.array([0.8, 0.7, 0.6]), np.array([[1, 0.49], [0.49, 1]])
    pattern = np.kron(np.eye(2), first[:, None])
    correlation = pattern @ between @ pattern.T
    np.fill_diagonal(correlation, 1)
    np.testing.assert_allclose(saturation(correlation, 2).general, 0.7 * np.tile(first, 2), atol=1e-4)


def test_heywood_case_is_held_and_named():
    correlation = np.array([[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1]])
    found = saturation(correlation, 1)  # the first item would have communality .9 · .8 / .5 = 1.44
    assert found.communality[0] == pytest.approx(0.995, abs=1e-3)
    assert "Heywood case" in found.remark


def test_only_complete_subjects_enter(values):
    rows = [list(row) for row in values]
    rows[3][2] = rows[10][0] = None
    found = ps.scale_reliability(answers(rows), draws=0)
    assert coefficient(found, "alpha")["value"] == pytest.approx(alpha_of(np.delete(values, [3, 10], axis=0)))
    assert found.frame["n_subjects"].unique().tolist() == [198]
    assert "2 of 200 subjects lack an item and were left out" in found.notes
    assert "draws=0: only alpha has an interval" in found.notes


def test_repeats_are_refused_or_averaged():
    table = rated_table(rated_frame())
    with pytest.raises(DataError, match=r"have several responses \(further facets: \['judge'\]\); choose a level"):
        ps.scale_reliability(table)
    found = ps.scale_reliability(table, repeats="mean", draws=0)
    wide = table.to_frame().groupby(["subject", "item"])["response"].mean().unstack().dropna().to_numpy()
    assert coefficient(found, "alpha")["value"] == pytest.approx(alpha_of(wide))
    assert any("mean of 1 to 3 responses" in note for note in found.notes)
    one = ps.scale_reliability(table.select("judge", ["ann"]), draws=0)
    assert coefficient(one, "alpha")["value"] < coefficient(found, "alpha")["value"]


def test_reverse_keyed_item_is_named(values):
    turned = values.copy()
    turned[:, 4] = 6 - turned[:, 4]
    found = ps.scale_reliability(answers(turned), draws=0)
    assert "items ['i04'] correlate negatively with the rest: are they reverse-keyed?" in found.notes


def test_two_items_have_alpha_alone(values):
    found = ps.scale_reliability(answers(values[:, :2]), draws=5)
    r = np.corrcoef(values[:, 0], values[:, 1])[0, 1]
    assert coefficient(found, "standardised alpha")["value"] == pytest.approx(2 * r / (1 + r))
    assert np.isnan(coefficient(found, "omega total")["value"])
    assert "omega: two items do not determine a factor" in found.notes
    assert "two items: no alpha is left once one is deleted" in found.notes
    assert not any("bootstrap" in note for note in found.notes), "no sample lacks what the data define"


def test_fewer_subjects_than_items_have_no_omega():
    found = ps.scale_reliability(answers(simulated(subjects=5, items=6)), draws=0)
    assert np.isnan(coefficient(found, "lambda-6")["value"])
    assert any("singular (too few subjects" in note for note in found.notes)
    assert "lambda-6 is not defined where the items' correlations are singular" in found.notes


def test_samples_without_variance_are_counted():
    values = [[1, 1, 2], *([1, 2, 3], [2, 1, 1], [2, 3, 3]) * 2]
    values = [[*row, 2 if place == 0 else 1] for place, row in enumerate(values)]
    found = ps.scale_reliability(answers(values), draws=40)
    assert any("of 40 bootstrap samples lacked a coefficient" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([[1], [2], [3]], {}, "1 item; a scale needs at least two"),
        ([[1, 2], [2, 1]], {}, "2 subjects of 2 answered all 2 items; it takes 3"),
        ([[1, None], [None, 2], [2, None]], {}, "0 subjects of 3 answered all 2 items"),
        ([[1, 2, 3], [2, 2, 1], [3, 2, 4]], {}, r"answered items \['i01'\] alike; leave them out"),
        ([[1, 4], [2, 3], [3, 2]], {}, "the items sum to 5 for every subject"),
        ([[1, 4], [2, 3], [3, 3]], {"factors": 2}, "factors=2 of 2 items; ask for 1 to 1"),
        ([[1, 4], [2, 3], [3, 3]], {"repeats": "first"}, "repeats='first' is not known"),
        ([[1, 4], [2, 3], [3, 3]], {"level": 0}, "level=0 is not a coverage"),
        ([[1, 4], [2, 3], [3, 3]], {"draws": -1}, "draws=-1 bootstrap samples"),
    ],
)
def test_what_is_no_scale_is_refused(values, options, message):
    with pytest.raises(DataError, match=message):
        ps.scale_reliability(answers(values), **options)


def test_several_dimensions_are_refused():
    rows = [(s, i, "xy"[i % 2], 1 + (s * i) % 3) for s in range(5) for i in range(4)]
    frame = pd.DataFrame(rows, columns=["s", "i", "trait", "x"])
    table = ps.ResponseTable.from_frame(frame, response="x", subject="s", item="i", dimension="trait")
    with pytest.raises(DataError, match=r"measure 2 dimensions \['x', 'y'\]; take table.split\('trait'\)"):
        ps.scale_reliability(table)


def test_score_reliability_by_its_definitions(marginal, table):
    found = ps.score_reliability(marginal, table, draws=50).set_index("coefficient")
    eap, wle = (ps.score(marginal, table, method=method).frame for method in ("eap", "wle"))
    variance = eap["estimate"].var()
    assert found.loc["EAP reliability", "value"] == pytest.approx(variance / (variance + np.mean(eap["se"] ** 2)))
    expected = 1 - np.mean(wle["se"] ** 2) / wle["estimate"].var()
    assert found.loc["WLE reliability", "value"] == pytest.approx(expected)
    assert found.loc["person separation reliability", "value"] == pytest.approx(expected)
    g = found.loc["person separation", "value"]
    assert g**2 / (1 + g**2) == pytest.approx(expected)
    assert found.loc["person strata", "value"] == pytest.approx((4 * g + 1) / 3)
    assert (found["lower"][:2] < found["value"][:2]).all()
    assert (found["value"][:2] < found["upper"][:2]).all()


def test_score_reliability_refuses(worths, marginal, table):
    with pytest.raises(DataError, match="has no subjects to score"):
        ps.score_reliability(worths, table)
    with pytest.raises(DataError, match="give a coverage inside"):
        ps.score_reliability(marginal, table, draws=0)


def test_texts(result):
    assert "omega hierarchical" in str(result)
    assert result._repr_html_().startswith("<pre>")
