"""Ratings to category codes."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from psymetric.data.categories import code_responses
from psymetric.data.missing import answered_rows
from psymetric.errors import DataError


def coded(values: object, categories: object = None) -> tuple[list[int], tuple[object, ...], tuple[str, ...]]:
    series = pd.Series(values)  # type: ignore[call-overload]
    codes, labels, notes = code_responses(
        series,
        answered_rows(series),
        categories=categories,
        who="Table",
        column="rating",  # type: ignore[arg-type]
    )
    assert codes.dtype == np.int32
    return codes.tolist(), labels, notes


@pytest.mark.parametrize(
    "values",
    [
        [1, 3, 5],
        [1.0, 3.0, 5.0],
        pd.array([1, 3, 5], dtype="Int64"),
        pd.array([1, 3, 5], dtype="int32[pyarrow]"),
        [Decimal(1), 3, 5],
        np.array([1, 3, 5], dtype=np.uint8),
    ],
)
def test_default_categories_are_every_whole_number_between(values: object) -> None:
    assert coded(values) == ([0, 2, 4], (1, 2, 3, 4, 5), ())


def test_missing_values_are_left_out() -> None:
    assert coded([1, None, 2, np.nan])[0] == [0, 1]


def test_negative_ratings_keep_their_labels() -> None:
    assert coded([-1, 0, 1])[:2] == ([0, 1, 2], (-1, 0, 1))


@pytest.mark.parametrize("values", [[True, False], [True, False, None], np.array([1, 0], dtype=bool)])
def test_truth_values_are_zero_and_one(values: object) -> None:
    codes, labels, notes = coded(values)
    assert (codes[:2], labels, notes) == ([1, 0], (0, 1), ())


def test_numbers_written_as_text_are_read_and_noted() -> None:
    codes, labels, notes = coded(["1", " 3 ", "2"])
    assert (codes, labels) == ([0, 2, 1], (1, 2, 3))
    assert notes == ("Responses in 'rating' are numbers written as text; they were read as numbers.",)


def test_listed_numbers_need_not_be_consecutive() -> None:
    assert coded([0, 100, 50], [0, 10, 50, 100])[:2] == ([0, 3, 2], (0, 10, 50, 100))


def test_listed_halves() -> None:
    assert coded([0.5, 1, 0], [0, 0.5, 1])[:2] == ([1, 2, 0], (0, 0.5, 1))


def test_listed_texts() -> None:
    assert coded(["often", "never"], ["never", "rarely", "often"])[:2] == ([2, 0], ("never", "rarely", "often"))


def test_an_ordered_categorical_brings_its_categories() -> None:
    values = pd.Categorical(["hi", "lo"], categories=["lo", "mid", "hi"], ordered=True)
    assert coded(values)[:2] == ([2, 0], ("lo", "mid", "hi"))


def test_an_unordered_categorical_does_not() -> None:
    with pytest.raises(DataError, match="are not numbers"):
        coded(pd.Categorical(["hi", "lo"]))


def test_falling_numbers_reverse_the_scale_and_say_so() -> None:
    codes, labels, notes = coded([3, 1], [3, 2, 1])
    assert (codes, labels) == ([0, 2], (3, 2, 1))
    assert notes == ("Categories are listed as [3, 2, 1], so 3 counts as the lowest response.",)


def test_one_observed_category_is_allowed_when_all_are_listed() -> None:
    assert coded([2, 2], [1, 2, 3])[0] == [1, 1]


def test_text_among_numbers_is_refused() -> None:
    message = (
        r"'rating' are not numbers \(2 of 4 rows, first at row 1 counting from 0\); got \['good', 'bad'\]; turn them"
    )
    with pytest.raises(DataError, match=message):
        coded(["1", "good", "2", "bad"])


def test_text_does_not_become_missing() -> None:
    with pytest.raises(DataError, match=r"got \['nan'\]"):
        coded(["1", "nan", "2"])


def test_infinite_ratings_are_refused() -> None:
    with pytest.raises(DataError, match=r"not numbers \(1 of 3 rows, first at row 2.*got \[inf\]"):
        coded([1, 2, np.inf])


def test_dates_are_not_nanoseconds() -> None:
    with pytest.raises(DataError, match=r"are not numbers.*Timestamp"):
        coded(pd.to_datetime(["2024-01-01", "2024-01-02"]))


def test_fractions_are_refused() -> None:
    message = r"'rating' are not whole numbers \(1 of 3 rows, first at row 1.*got \[2.5\]; bin them"
    with pytest.raises(DataError, match=message):
        coded([1, 2.5, 3])


def test_thirty_categories_are_allowed_and_thirty_one_are_not() -> None:
    assert len(coded([1, 30])[1]) == 30
    with pytest.raises(DataError, match=r"reach from 1 to 31, 31 whole numbers, more than 30 categories; bin them"):
        coded([1, 31])


def test_a_sparse_score_is_offered_its_own_list() -> None:
    with pytest.raises(DataError, match=r"reach from 0 to 100.*e\.g\. categories=\[0, 50, 100\]"):
        coded([0, 50, 100])


def test_huge_ratings_are_refused_without_overflow() -> None:
    with pytest.raises(DataError, match=r"reach from -1e\+300 to 1e\+300"):
        coded([1e300, -1e300])


def test_a_single_category_is_refused() -> None:
    with pytest.raises(DataError, match=r"every response in 'rating' is 4 \(2 rows\), so nothing can be compared"):
        coded([4, None, 4])


def test_nothing_but_missing_is_refused() -> None:
    with pytest.raises(DataError, match="none of the 3 rows has a response in 'rating'"):
        coded([None, np.nan, None])


def test_values_outside_the_listed_ones_are_refused() -> None:
    message = (
        r"not among the categories \[1, 2, 3\] \(3 of 4 rows, first at row 0.*got \[6, 7\]; add them to categories="
    )
    with pytest.raises(DataError, match=message):
        coded([6, 1, 7, 6], [1, 2, 3])


def test_texts_listed_for_a_column_of_numbers_are_refused_with_the_numbers() -> None:
    with pytest.raises(DataError, match=r"the column holds numbers, so list numbers: categories=\[1, 2\]"):
        coded([1, 2], ["1", "2", "3"])


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ("123", "is one text; list the labels"),
        ([1], "two or more different labels"),
        ([1, 1], "two or more different labels"),
        ([0, False], "two or more different labels"),
        ([1, "a"], "must all be texts or all be finite numbers"),
        ([1, np.nan], "must all be texts or all be finite numbers"),
    ],
)
def test_bad_lists_of_categories_are_refused(categories: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        coded([1, 2], categories)
