"""Labels to codes and back."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from psymetric.data.coding import code_labels, drop_unused, label_array, natural_key, plain
from psymetric.errors import DataError


def coded(values: object) -> tuple[list[int], tuple[object, ...]]:
    codes, levels = code_labels(pd.Series(values), who="Table", column="judge")
    return codes.tolist(), levels


def test_natural_order_counts_digits_as_numbers() -> None:
    labels = ["item10", "item2", "Item1", "item02", "b", "a"]
    assert sorted(labels, key=natural_key) == ["a", "b", "Item1", "item02", "item2", "item10"]


def test_natural_order_never_ties_two_labels() -> None:
    assert natural_key("a1") != natural_key("a01") != natural_key("A1")


def test_a_label_of_five_thousand_digits_sorts() -> None:
    assert natural_key("9" * 5000) > natural_key("1" * 5000)


def test_levels_are_sorted_and_codes_point_at_them() -> None:
    assert coded(["m10", "m2", "m10"]) == ([1, 0, 1], ("m2", "m10"))


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([10, 2], (2, 10)),
        ([10.0, 2.0], (2, 10)),
        ([0.5, 1.0], (0.5, 1)),
        ([True, False], (False, True)),
        (np.array([3, 1], dtype=np.uint8), (1, 3)),
        (pd.array([3, 1], dtype="Int64"), (1, 3)),
        (pd.Categorical(["b", "a"], categories=["b", "a", "z"]), ("a", "b")),
        ([date(2024, 2, 1), date(2024, 1, 1)], ("2024-01-01", "2024-02-01")),
    ],
)
def test_labels_keep_their_type(values: object, levels: tuple[object, ...]) -> None:
    found = coded(values)[1]
    assert found == levels
    assert [type(label) for label in found] == [type(label) for label in levels]


def test_codes_are_int32() -> None:
    assert code_labels(pd.Series(["a"]), who="Table", column="judge")[0].dtype == np.int32


@pytest.mark.parametrize("empty", [None, np.nan, "", "  "])
def test_a_missing_label_is_refused(empty: object) -> None:
    with pytest.raises(
        DataError, match=r"Table: column 'judge' has no label \(2 of 4 rows, first at row 1 counting from 0"
    ):
        coded(["a", empty, "b", empty])


def test_mixed_labels_are_refused_with_the_rarer_kind() -> None:
    with pytest.raises(
        DataError, match=r"mixes number and text labels \(1 of 3 rows, first at row 2.*got \[7\].*astype"
    ):
        coded(["a", "b", 7])


def test_an_infinite_label_is_refused() -> None:
    with pytest.raises(DataError, match=r"cannot be labels \(1 of 2 rows, first at row 1.*'inf'"):
        coded([1.0, np.inf])


def test_plain_refuses_what_is_no_label() -> None:
    assert plain(object()) is None
    assert plain(float("nan")) is None


def test_label_array_is_the_inverse() -> None:
    codes, levels = code_labels(pd.Series(["m10", "m2", "m10"]), who="Table", column="judge")
    assert label_array(levels, codes).tolist() == ["m10", "m2", "m10"]


def test_drop_unused_recodes_two_codes_over_one_set_of_levels() -> None:
    codes = {"left": np.array([0, 3], dtype=np.int32), "right": np.array([3, 4], dtype=np.int32)}
    kept, levels = drop_unused(codes, {"item": ("a", "b", "c", "d", "e")}, lambda _: "item")
    assert levels == {"item": ("a", "d", "e")}
    assert {name: code.tolist() for name, code in kept.items()} == {"left": [0, 1], "right": [1, 2]}
