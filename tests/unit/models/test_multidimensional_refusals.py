"""What a model of several dimensions refuses, and what refuses it."""

from __future__ import annotations

import numpy as np
import pytest
from two_dimensions import FRAME, ITEMS, TABLE, table

import psymetric as ps
from psymetric.errors import DataError, DesignError, IdentificationError


@pytest.fixture(scope="module")
def rasch() -> ps.Fit:
    return ps.fit(ps.Multidimensional(), TABLE)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"key": {"E": ("e1", "e1")}}, DesignError, "item 'e1' stands twice under dimension 'E'"),
        ({"key": {"E": ()}}, DesignError, "dimension 'E' of the key has no items"),
        ({"key": ["e1"]}, DesignError, "must say which items measure what"),
        ({"discrimination": "two"}, DesignError, r"discrimination='two'\) must be \"one\" or \"free\""),
        ({"facets": ("judge",)}, DesignError, "must list each facet once, 'item' among them"),
        ({"facets": ("item", "dimension")}, DesignError, "a facet cannot be called 'dimension'"),
        ({"steps": "judge"}, DesignError, "neither 'common' nor among its facets"),
        ({"lkj": -1.0}, DesignError, r"lkj=-1.0\) must be a positive number"),
        ({"dimension": "scale"}, DataError, "column 'scale', which the table does not have: its facets are"),
        (
            {"key": {"E": ITEMS, "X": ("z9",)}},
            DataError,
            "dimension 'X' names 1 items that the table does not have: \\['z9'\\]",
        ),
        ({"key": {"E": ITEMS[:4]}}, DataError, "4 of 8 items stand under no dimension of the key: \\['n1', 'n2', 'n3'"),
        ({"key": {"E": ITEMS, "N": ITEMS}}, IdentificationError, "does not tell dimension 'E' from 'N'"),
        (
            {"key": {"E": ITEMS, "N": ITEMS[4:]}, "discrimination": "free"},
            IdentificationError,
            "does not tell dimension 'E' from 'N'",
        ),
        (
            {"key": {"E": ITEMS[:7], "N": ITEMS[7:]}, "discrimination": "free"},
            DataError,
            "needs at least 2 items for each dimension, and 1 have fewer: the first, 'N', has 1",
        ),
    ],
)
def test_refusals(settings, error, message):
    with pytest.raises(error, match=message):
        ps.fit(ps.Multidimensional(**settings), TABLE)


def test_a_column_that_varies_within_an_item():
    rows = FRAME.assign(trait=np.where(FRAME.index == 0, "N", FRAME["trait"]))
    with pytest.raises(DataError, match="column 'trait' must be constant within an item, but 1 of 8 items"):
        ps.fit(ps.Multidimensional(), table(rows))


@pytest.mark.parametrize("engine", [ps.JointML(), ps.ConditionalML()], ids=lambda e: type(e).__name__)
def test_engines_that_do_not_fit(engine):
    with pytest.raises(DesignError, match=r"ML is for one dimension, and Multidimensional measures several: use Marg"):
        ps.fit(ps.Multidimensional(), TABLE, engine=engine)


def test_what_is_for_one_dimension_says_so(rasch):
    for statistic in (
        ps.item_fit, ps.robust_errors, ps.limited_information, ps.characteristic_curves,
    ):  # fmt: skip
        with pytest.raises((DesignError, DataError), match="is for one dimension, and Multidimensional measures"):
            statistic(rasch, TABLE)
    with pytest.raises(DataError, match="method='wle' is for one dimension"):
        ps.score(rasch, TABLE, method="wle")
    assert np.isfinite(rasch.aic)


def test_a_category_that_an_item_never_drew(rasch):
    rows = FRAME.assign(score=np.where((FRAME["item"] == "e1") & (FRAME["subject"] == "s000"), 2, FRAME["score"]))
    with pytest.raises(DataError, match="categories that were never used under these steps in the fit"):
        ps.score(rasch, table(rows))
