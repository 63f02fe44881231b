"""Categories are merged or left out on request only, their order kept, and the table says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Six subjects × two items, rated 1 to 5; nobody used 3, and item b never drew 5."""
    rows = [("s1", 1, 2), ("s2", 2, 4), ("s3", 4, 4), ("s4", 5, 1), ("s5", 5, 2), ("s6", 1, 4)]
    return pd.DataFrame(
        [(s, item, value) for s, a, b in rows for item, value in (("a", a), ("b", b))], columns=["s", "i", "x"]
    )


@pytest.fixture(scope="module")
def table(frame) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(frame, response="x", subject="s", item="i", categories=[1, 2, 3, 4, 5])


def labels(table: ps.ResponseTable) -> list[object]:
    return table.to_frame()["response"].tolist()


def test_nothing_is_collapsed_unasked(table):
    assert table.categories == (1, 2, 3, 4, 5)
    assert any("Category 3 was never used; it keeps its place" in note for note in table.notes)


def test_unused_categories_leave_on_request(table, frame):
    shorter = table.without_unused_categories()
    assert shorter.categories == (1, 2, 4, 5)
    assert labels(shorter) == frame["x"].tolist()
    assert shorter.response.max() == 3
    assert shorter.hash != table.hash
    assert shorter.notes[0] == "Categories that nobody used were left out on request: [3]."
    assert not any("keeps its place" in note for note in shorter.notes)
    assert shorter.without_unused_categories() is shorter


def test_merged_everywhere(table, frame):
    merged = table.collapse_categories({1: 2, 5: 4, 3: 4})
    assert merged.categories == (2, 4)
    assert labels(merged) == frame["x"].replace({1: 2, 5: 4}).tolist()
    assert merged.notes[0] == ("Categories were merged on request: 1 into 2, 5 into 4, 3 into 4; 5 rows changed.")


def test_merged_under_one_item_keeps_the_scale_of_the_others(table, frame):
    merged = table.collapse_categories({5: 4}, facet="item", levels=["a"])
    assert merged.categories == table.categories
    expected = np.where((frame["i"] == "a") & (frame["x"] == 5), 4, frame["x"])
    assert labels(merged) == expected.tolist()
    assert merged.notes[0] == "Categories were merged on request under item ['a']: 5 into 4; 2 rows changed."


def test_merging_mends_an_item_that_graded_response_refuses():
    rng = np.random.default_rng(0)
    ability = rng.normal(size=120)
    values = np.digitize(ability[:, None] + rng.logistic(size=(120, 4)), [-1.5, 0.0, 1.5])
    values[:, 3] = np.where(values[:, 3] == 2, 3, values[:, 3])
    rows = [(f"s{s}", f"i{i}", int(values[s, i])) for s in range(120) for i in range(4)]
    table = ps.ResponseTable.from_frame(
        pd.DataFrame(rows, columns=["s", "i", "x"]), response="x", subject="s", item="i"
    )
    with pytest.raises(DataError, match=r"nobody chose category 2 of item 'i3'.*\(table\.collapse_categories\)"):
        ps.fit(ps.GradedResponse(), table)
    fit = ps.fit(ps.GradedResponse(), table.collapse_categories({3: 2}))
    assert fit.status.converged
    assert any("merged on request: 3 into 2" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("merge", "options", "message"),
    [
        ({}, {}, r"merge=\{\} names no category"),
        ({6: 5}, {}, r"no category 6; there are \['1', '2', '3', '4', '5'\]"),
        ({1: 2, 2: 4}, {}, r"1 becomes part of 2, which itself becomes part of 4; name the last one for both"),
        ({1: 4}, {}, r"puts 1 above 2, which is above it; merge neighbours only"),
        ({1: 5, 2: 5, 3: 5, 4: 5}, {}, r"leaves one category, 5; keep two or more"),
        ({5: 4}, {"facet": "itme", "levels": ["a"]}, r"no facet 'itme'; did you mean 'item'\?"),
        ({5: 4}, {"facet": "item", "levels": ["c"]}, r"no level 'c' in 'item'"),
        ({5: 4}, {"facet": "item"}, r"no row with a response has item among \[\]"),
    ],
)
def test_refusals(table, merge, options, message):
    with pytest.raises(DataError, match=message):
        table.collapse_categories(merge, **options)


def test_one_used_category(table):
    with pytest.raises(DataError, match=r"the responses use \[4\] alone, and a scale has two categories or more"):
        table.select("subject", ["s3"]).without_unused_categories()


def test_a_category_that_only_rows_of_no_weight_use(frame):
    weighted = frame.assign(w=np.where(frame["x"] == 5, 0.0, 1.0))
    table = ps.ResponseTable.from_frame(weighted, response="x", subject="s", item="i", weight="w")
    with pytest.raises(DataError, match=r"a category is used by rows of weight 0 alone \(2 of 12 rows, first at row 6"):
        table.without_unused_categories()
