"""Agreement of judges: coefficients against naive loops, missing ratings, groups, and what cannot be computed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.diagnostics import judge_pairs
from psymetric.diagnostics.chance_corrected import agreement_weights, coincidences, krippendorff
from psymetric.errors import DataError


def world(*, subjects=40, judges="abcd", items=("i1", "i2"), missing=0.3, seed=4, categories=4):
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{s:03d}", item, judge, int(np.clip(np.round(theta + rng.normal(0, 0.8)), 1, categories)))
        for s, theta in enumerate(rng.uniform(1, categories, subjects))
        for item in items
        for judge in judges
        if rng.random() > missing
    ]
    return pd.DataFrame(rows, columns=["s", "item", "judge", "x"])


def table_of(frame, **options):
    return ps.ResponseTable.from_frame(frame, response="x", subject="s", item="item", facets="judge", **options)


def simple(rows, **options):
    frame = pd.DataFrame(rows, columns=["s", "judge", "x"])
    return ps.ResponseTable.from_frame(frame, response="x", subject="s", facets="judge", **options)


def by_name(result, group=None):
    frame = result.frame
    return frame[frame["group"].isna() if group is None else frame["group"] == group].set_index("coefficient")


@pytest.fixture(scope="module")
def frame():
    return world()


@pytest.fixture(scope="module")
def result(frame):
    return ps.judge_agreement(table_of(frame), draws=200)


def unit_ratings(frame):
    return [list(part["x"]) for _, part in frame.groupby(["s", "item"])]


def test_shares_count_every_pair_once(frame, result):
    pairs = [pair for ratings in unit_ratings(frame) for pair in combinations(ratings, 2)]
    found = by_name(result)
    assert found.loc["exact agreement", "value"] == pytest.approx(np.mean([x == y for x, y in pairs]))
    assert found.loc["adjacent agreement", "value"] == pytest.approx(np.mean([abs(x - y) < 2 for x, y in pairs]))


def test_pairs_are_those_of_a_merge(frame, result):
    pairs = result.pairs[result.pairs["group"].isna()]
    assert len(pairs) == 6
    expected = 0.0
    for row in pairs.itertuples():
        both = frame[frame["judge"] == row.judge_a].merge(frame[frame["judge"] == row.judge_b], on=["s", "item"])
        assert row.n == len(both)
        assert row.exact == pytest.approx(np.mean(both["x_x"] == both["x_y"]))
        chance = sum(np.mean(both["x_x"] == k) * np.mean(both["x_y"] == k) for k in range(1, 5))
        assert row.exact_chance == pytest.approx(chance)
        assert row.kappa == pytest.approx((row.exact - chance) / (1 - chance))
        expected += row.n * chance
    assert by_name(result).loc["exact agreement by chance", "value"] == pytest.approx(expected / pairs["n"].sum())


def test_sparse_counting_of_pairs_is_dense_counting(frame, result, monkeypatch):
    monkeypatch.setattr(judge_pairs, "_DENSE", 0)
    again = ps.judge_agreement(table_of(frame), draws=200)
    pd.testing.assert_frame_equal(again.pairs, result.pairs)


def test_one_way_icc_of_unequal_units(frame, result):
    ratings = unit_ratings(frame)
    every = np.concatenate(ratings)
    sizes = np.array([len(r) for r in ratings])
    between = sum(len(r) * (np.mean(r) - every.mean()) ** 2 for r in ratings) / (len(ratings) - 1)
    within = sum(np.sum((np.array(r) - np.mean(r)) ** 2) for r in ratings) / (len(every) - len(ratings))
    k = (len(every) - np.sum(sizes**2) / len(every)) / (len(ratings) - 1)
    found = by_name(result)
    assert found.loc["ICC(1)", "value"] == pytest.approx((between - within) / (between + (k - 1) * within))
    assert found.loc["ICC(1,k)", "value"] == pytest.approx(1 - within / between)


def test_two_way_icc_rests_on_complete_units(frame, result):
    complete = frame.groupby(["s", "item"]).filter(lambda part: len(part) == 4)
    alone = ps.judge_agreement(table_of(complete), draws=1)
    for name in ("ICC(2,1)", "ICC(2,k)", "ICC(3,1)", "ICC(3,k)"):
        whole, part = by_name(result).loc[name], by_name(alone).loc[name]
        assert tuple(whole[["value", "lower", "upper", "n_units"]]) == pytest.approx(
            tuple(part[["value", "lower", "upper", "n_units"]])
        )
    assert any("ICC(2) and ICC(3) rest on the" in note for note in result.notes)


def test_group_is_the_same_as_its_rows_alone(frame, result):
    alone = ps.judge_agreement(table_of(frame[frame["item"] == "i2"]), draws=200)
    left = by_name(result, "i2").drop(columns="group")
    pd.testing.assert_frame_equal(left, by_name(alone).drop(columns="group"))
    assert alone.by is None, "one item is not reported twice"


def test_row_order_and_labels_do_not_matter(frame, result):
    shuffled = frame.sample(frac=1, random_state=1).replace({"judge": {"a": "z", "b": "y"}})
    again = ps.judge_agreement(table_of(shuffled), draws=200)
    pd.testing.assert_frame_equal(again.frame, result.frame)


def test_ordinal_alpha_by_its_definition():
    rng = np.random.default_rng(8)
    counts = rng.multinomial(4, [0.1, 0.4, 0.2, 0.3], size=30).astype(float)
    (pairs,) = coincidences(counts, 0, 0)
    n = pairs.sum(axis=1)
    far = np.array(
        [[(n[min(c, k) : max(c, k) + 1].sum() - (n[c] + n[k]) / 2) ** 2 for k in range(4)] for c in range(4)]
    )
    alpha = 1 - (n.sum() - 1) * np.sum(pairs * far) / (n @ far @ n)
    assert krippendorff(pairs[None], np.arange(4.0), "ordinal", 0.95)[0].value == pytest.approx(alpha)


def test_bootstrap_by_patterns_is_the_bootstrap_of_units():
    rng = np.random.default_rng(9)
    counts = rng.multinomial(3, [0.5, 0.3, 0.2], size=60).astype(float)
    draws = 2000
    found, _ = krippendorff(coincidences(counts, draws, 1), np.arange(3.0), "interval", 0.95)
    naive = []
    for _ in range(draws):
        (pairs,) = coincidences(counts[rng.integers(0, 60, 60)], 0, 0)
        naive.append(krippendorff(pairs[None], np.arange(3.0), "interval", 0.95)[0].value)
    # The error of a 2.5 % quantile of R normal draws is about 2.67 sd/√R, of a difference of two √2 times as much.
    band = 4 * 2**0.5 * 2.67 * np.std(naive) / draws**0.5
    assert (found.lower, found.upper) == pytest.approx(tuple(np.quantile(naive, [0.025, 0.975])), abs=band)


def test_text_categories_count_by_place_and_numbers_as_they_are():
    rows = [(s, j, x) for s, pair in enumerate(["lm", "mm", "hh", "lh", "ml"]) for j, x in zip("ab", pair, strict=True)]
    by_place = by_name(ps.judge_agreement(simple(rows, categories=("l", "m", "h")), draws=1))
    numbers = [(s, j, {"l": 1, "m": 2, "h": 10}[x]) for s, j, x in rows]
    by_number = by_name(ps.judge_agreement(simple(numbers, categories=(1, 2, 10)), draws=1))
    for name in ("Krippendorff alpha nominal", "Krippendorff alpha ordinal", "adjacent agreement"):
        assert by_place.loc[name, "value"] == by_number.loc[name, "value"]
    assert by_place.loc["ICC(1)", "value"] != pytest.approx(by_number.loc["ICC(1)", "value"])
    np.testing.assert_allclose(agreement_weights(np.array([1.0, 2, 10]), "linear")[0], [1, 8 / 9, 0])


def test_perfect_agreement_is_one_everywhere():
    table = simple([(s, j, 1 + s % 3) for s in range(9) for j in "abc"])
    found = by_name(ps.judge_agreement(table, draws=20))
    chance = found.index.str.contains("chance")
    np.testing.assert_allclose(found.loc[~chance, "value"], 1)
    np.testing.assert_allclose(found.loc[~chance, ["lower", "upper"]], 1)


def test_constant_ratings_have_a_note():
    found = ps.judge_agreement(simple([(s, j, 2) for s in range(5) for j in "ab"], categories=(1, 2, 3)))
    rows = by_name(found)
    undefined = ["Fleiss kappa", "Krippendorff alpha nominal", "ICC(1)", "ICC(3,k)"]
    assert rows.loc[undefined, "value"].isna().all()
    assert rows.loc[["exact agreement", "Gwet AC1"], "value"].tolist() == [1, 1]
    assert found.pairs["kappa"].isna().all()
    assert found.notes == ("every rating is category 2: kappa, alpha and ICC are not defined without variation",)


def test_constant_pair_has_a_note():
    rows = [(s, j, 1 + (j == "c") * (s % 2)) for s in range(6) for j in "abc"]
    found = ps.judge_agreement(simple(rows), draws=20)
    assert found.pairs["kappa"].isna().tolist() == [True, False, False]
    assert any("kappa is not defined for 1 pair of judges" in note for note in found.notes)


def test_item_that_no_two_judges_share_has_a_note():
    frame = world(missing=0)
    frame = frame[(frame["item"] == "i1") | (frame["judge"] == "a")]
    found = ps.judge_agreement(table_of(frame), draws=10)
    assert by_name(found, "i2").loc["exact agreement":"Gwet AC2 quadratic", "value"].isna().all()
    assert "item 'i2': no two judges rated the same thing: nothing can be said of their agreement" in found.notes


def test_sparse_design_has_no_two_way_icc_but_says_so():
    rows = [(s, f"j{(s + d) % 5}", 1 + (s * 7 + d * s) % 3) for s in range(20) for d in range(2)]
    found = ps.judge_agreement(simple(rows), draws=10)
    assert np.isnan(by_name(found).loc["ICC(2,1)", "value"])
    assert any("0 units of 20 rated by all 5 judges" in note for note in found.notes)


def test_a_single_shared_unit_has_no_interval():
    found = ps.judge_agreement(simple([(0, "a", 1), (0, "b", 2), (1, "a", 2), (2, "b", 1)]), draws=10)
    assert by_name(found).loc["exact agreement", "value"] == 0
    assert np.isnan(by_name(found).loc["Krippendorff alpha nominal", "lower"])
    assert any("a single unit has two ratings or more" in note for note in found.notes)


PAIR = [(s, j, 1 + s % 2) for s in range(4) for j in "ab"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([(s, "a", 1 + s % 2) for s in range(4)], {}, r"only one judge has ratings, \['a'\]; agreement needs at least"),
        ([(s, "ab"[s % 2], 1 + s // 2) for s in range(4)], {}, "no two of 2 judges rated the same thing"),
        ([*PAIR, (0, "a", 2)], {}, r"a judge rated the same thing before \(1 of 9 rows, first at row 8"),
        (PAIR, {"judge": "rater"}, "the table has no facet 'rater'"),
        (PAIR, {"by": "judge"}, "judge='judge' cannot be what is rated as well"),
        (PAIR, {"level": 1.0}, "level=1.0 is not a coverage"),
        (PAIR, {"draws": 0}, "draws=0 bootstrap samples"),
    ],
)
def test_what_has_no_agreement_is_refused(rows, options, message):
    with pytest.raises(DataError, match=message):
        ps.judge_agreement(simple(rows), **options)


def test_weights():
    frame = pd.DataFrame(PAIR, columns=["s", "judge", "x"]).assign(w=[1.0, 1, 0, 1, 1, 1, 1, 1])
    options = {"response": "x", "subject": "s", "facets": "judge", "weight": "w"}
    found = by_name(ps.judge_agreement(ps.ResponseTable.from_frame(frame, **options), draws=1))
    assert found.loc["exact agreement", "n_units"] == 3, "a row of weight 0 does not count"
    with pytest.raises(DataError, match="weights other than 0 and 1"):
        ps.judge_agreement(ps.ResponseTable.from_frame(frame.assign(w=2.0), **options))


def test_texts(result):
    assert "Krippendorff alpha ordinal" in str(result)
    assert result._repr_html_().startswith("<pre>")
