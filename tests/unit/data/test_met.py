"""Who met whom, against a loop; and the same votes in every kind of column."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest

from psymetric.core.distinct import totals
from psymetric.data.met import Met
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError


def votes(n_votes: int, n_items: int) -> pd.DataFrame:
    rng = np.random.default_rng(12)
    left = rng.integers(0, n_items, n_votes)
    right = (left + rng.integers(1, n_items, n_votes)) % n_items
    names = np.array([f"m{place}" for place in range(n_items)])
    outcome = np.array(["left", "right", "tie"])[rng.integers(0, 3, n_votes)]
    return pd.DataFrame({"a": names[left], "b": names[right], "w": outcome, "n": rng.integers(0, 3, n_votes)})


@pytest.mark.parametrize("n_items", [5, 400])
def test_met_adds_up_by_pair_and_result(n_items):
    """Few items fill a table of flags, many are sorted; pairs whose rows all have weight 0 have not met."""
    table = PairTable.from_frame(votes(300, n_items), left="a", right="b", outcome="w", weight="n")
    expected: Counter[tuple[int, int, int]] = Counter()
    rows = zip(table.codes["left"], table.codes["right"], table.response, table.weight, strict=True)
    for left, right, outcome, weight in rows:
        expected[int(left), int(right), int(outcome)] += weight
    found = {
        (int(left), int(right), outcome): count[outcome]
        for left, right, count in zip(table.met.left, table.met.right, table.met.count, strict=True)
        for outcome in range(3)
        if count[outcome]
    }
    assert found == {key: count for key, count in expected.items() if count}
    assert list(zip(table.met.left, table.met.right, strict=True)) == sorted({key[:2] for key in found})


def test_nothing_that_counts_has_not_met():
    one = np.zeros(1, np.int32)
    assert len(Met.of(one, one + 1, one, np.zeros(1), 2).left) == 0


def test_totals_of_few_and_of_many_keys():
    keys, weight = np.array([7, 2, 7, 5]), np.array([1.0, 2.0, 0.5, 0.0])
    for bound in (8, 10_000):
        found, total = totals(keys, weight, bound)
        assert found.tolist() == [2, 7]
        assert total.tolist() == [2.0, 1.5]


def test_notes_leave_what_was_counted():
    table = PairTable.from_frame(votes(50, 5), left="a", right="b", outcome="w", weight="n")
    noted = table.noted("first")
    assert noted.notes[0] == "first"
    assert "first" not in table.notes
    assert noted.met is table.met
    assert noted.hash == table.hash


KINDS = {
    "object": lambda frame: frame.astype({"a": object, "b": object, "w": object}),
    "pyarrow": lambda frame: frame.astype({"a": "string[pyarrow]", "b": "string[pyarrow]", "w": "string[pyarrow]"}),
    "categorical": lambda frame: frame.astype({"a": "category", "b": "category", "w": "category"}),
    "polars": pl.from_pandas,
    "polars categories": lambda frame: pl.from_pandas(frame).with_columns(pl.col("a", "b", "w").cast(pl.Categorical)),
    "winners": lambda frame: frame.assign(
        w=frame["a"].where(frame["w"] == "left", frame["b"]).where(frame["w"] != "tie", "tie")
    ),
    "whole numbers": lambda frame: frame.assign(w=frame["w"].map({"left": 1, "right": 0, "tie": 2})),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_gives_the_same_table(kind):
    frame = votes(20_000, 60)
    expected = PairTable.from_frame(frame, left="a", right="b", outcome="w", weight="n")
    outcomes = {1: "left", 0: "right", 2: "tie"} if kind == "whole numbers" else None
    found = PairTable.from_frame(KINDS[kind](frame), left="a", right="b", outcome="w", weight="n", outcomes=outcomes)
    assert found.hash == expected.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, r"column 'a' has no label \(100 of 10,000 rows, first at row 100"),
        ({"w": "both"}, r"unknown outcomes in column 'w' \(100 of 10,000 rows, first at row 100.*'both \(100×\)'"),
        (
            {"n": -1},
            r"weights in column 'n' are missing, negative, infinite or text \(100 of 10,000 rows, first at row",
        ),
        ({"n": np.nan}, r"weights in column 'n' are missing, negative, infinite or text \(100 of 10,000 rows"),
        ({"b": "x", "a": "x"}, r"items are compared with themselves \(100 of 10,000 rows, first at row 100"),
    ],
)
def test_bad_rows_are_counted(change, message):
    frame = votes(10_000, 60).astype({"n": float})
    for column, value in change.items():
        frame.loc[100:199, column] = value
    with pytest.raises(DataError, match=message):
        PairTable.from_frame(frame, left="a", right="b", outcome="w", weight="n")


def test_blank_outcomes_are_no_response_whatever_the_map_says():
    frame = votes(10, 4).assign(w=["left", " ", None, "", *["right"] * 6])
    table = PairTable.from_frame(frame, left="a", right="b", outcome="w", outcomes={"": "tie"})
    assert table.n_rows == 7
    assert table.missing["reason"].tolist() == ["missing"] * 3
