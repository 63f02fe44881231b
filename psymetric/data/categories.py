"""From a column of ratings or answers to category codes 0…K−1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label, kinds_of, plain
from psymetric.data.messages import counted, listing, row_error
from psymetric.errors import DataError

__all__ = ["MOST_CATEGORIES", "check_categories", "code_responses"]

MOST_CATEGORIES = 30
"""More whole numbers than this between the lowest and the highest response are taken for a score that needs binning."""

_READABLE = (str, int, float, Decimal, np.number, np.bool_)


def code_responses(
    values: pd.Series[Any],
    answered: NDArray[np.bool_],
    *,
    categories: Sequence[Label] | None,
    who: str,
    column: str,
) -> tuple[NDArray[np.int32], tuple[Label, ...], tuple[str, ...]]:
    """Category codes of the answered rows, the category labels from low to high, and notes.

    Without `categories` they are every whole number from the lowest to the highest response, so that a category that
    nobody used keeps its place; an ordered categorical column brings its own.

    Args:
        values: One response per row of the source.
        answered: Mask of the rows that hold a response; others are not read.
        categories: All labels from low to high, numbers or texts, not necessarily consecutive.
        who: The table being built, for messages.
        column: The user's name of the column, for messages.

    Returns:
        Codes, shape (answered,), the labels, and plain sentences about what was assumed.

    Raises:
        DataError: No response at all, text among numbers, numbers that are not whole, more than 30 whole numbers, only
            one category, values outside `categories`.
    """
    if not answered.any():
        raise DataError(
            f"{who}: none of the {counted(answered.size, 'row')} has a response in {column!r}; "
            "there is nothing to measure, check that this is the right column."
        )
    if categories is None and isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        categories = values.dtype.categories.tolist()
    if categories is None:
        return _whole_numbers(values, answered, who=who, column=column)
    labels = check_categories(categories, who=who)
    if kinds_of(labels) == {"text"}:
        found = pd.Index(list(labels), dtype=object).get_indexer(values.astype(object).to_numpy())
        notes: tuple[str, ...] = ()
    else:
        numbers, notes = _numbers(values, answered, who=who, column=column)
        notes += _falling(labels)
        found = pd.Index(np.asarray(labels, dtype=np.float64)).get_indexer(pd.Index(numbers))
    outside = answered & (found < 0)
    if outside.any():
        got = sorted(set(values[outside].tolist()), key=lambda value: (str(type(value)), value))
        what = f"responses in {column!r} are not among the categories {listing(labels, shown=12)}"
        fix = "add them to categories= in their order, or correct them; empty the cell if there was no answer"
        if kinds_of(labels) == {"text"} and {str(value) for value in got} <= set(labels):
            fix = f"the column holds numbers, so list numbers: categories={got}"
        raise row_error(who, what, outside, got, fix)
    return found[answered].astype(np.int32), labels, notes


def check_categories(categories: Iterable[Label], *, who: str) -> tuple[Label, ...]:
    """The category labels as plain values, checked.

    Raises:
        DataError: Fewer than two, a repeated one, or texts mixed with numbers.
    """
    if isinstance(categories, str):
        raise DataError(f"{who}: categories={categories!r} is one text; list the labels from low to high.")
    raw = list(categories)
    labels = tuple(label for label in map(plain, raw) if label is not None)
    # A truth value counts as the number it is: 0 or 1.
    labels = tuple(int(label) if isinstance(label, bool) else label for label in labels)
    if len(labels) < len(raw) or len(kinds_of(labels)) > 1:
        raise DataError(f"{who}: categories={listing(raw)} must all be texts or all be finite numbers.")
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise DataError(f"{who}: categories={listing(raw)} must hold two or more different labels, from low to high.")
    return labels


def _falling(labels: tuple[Label, ...]) -> tuple[str, ...]:
    """A note when numbers are not listed upwards, which is right only for scales where less is more."""
    if list(labels) == sorted(labels, key=float):
        return ()
    return (f"Categories are listed as {listing(labels, shown=12)}, so {labels[0]!r} counts as the lowest response.",)


def _whole_numbers(
    values: pd.Series[Any], answered: NDArray[np.bool_], *, who: str, column: str
) -> tuple[NDArray[np.int32], tuple[Label, ...], tuple[str, ...]]:
    """Codes when the categories are the whole numbers from the lowest to the highest response."""
    numbers, notes = _numbers(values, answered, who=who, column=column)
    broken = answered & (numbers != np.round(numbers))
    if broken.any():
        fix = "bin them into ordered categories (pandas.cut), or list every possible value in categories="
        raise row_error(who, f"responses in {column!r} are not whole numbers", broken, numbers[broken].tolist(), fix)
    seen = numbers[answered]
    low, high = float(seen.min()), float(seen.max())
    if low == high:
        raise DataError(
            f"{who}: every response in {column!r} is {int(low)} ({counted(seen.size, 'row')}), so nothing can be "
            "compared; check the column, or list the categories that were offered in categories=."
        )
    if high - low >= MOST_CATEGORIES:
        distinct = np.unique(seen)
        few = distinct.size <= MOST_CATEGORIES and high - low < 1e6
        listed = f", e.g. categories={[int(value) for value in distinct]}" if few else ""
        raise DataError(
            f"{who}: responses in {column!r} reach from {low:,.15g} to {high:,.15g}, {high - low + 1:,.15g} whole "
            f"numbers, more than {MOST_CATEGORIES} categories; bin them (pandas.cut) or list the categories{listed}."
        )
    return (seen - low).astype(np.int32), tuple(range(int(low), int(high) + 1)), notes


def _numbers(
    values: pd.Series[Any], answered: NDArray[np.bool_], *, who: str, column: str
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The responses as numbers, NaN where not answered, and a note when they were text."""
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        written = False
    else:
        read = values
        if not isinstance(values.dtype, pd.StringDtype):
            # Dates would turn into nanoseconds, so only text, numbers and truth values are read.
            read = values.astype(object)
            read = read.where(read.map(lambda value: isinstance(value, _READABLE)))
        numbers = pd.to_numeric(read, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        written = read is values or any(isinstance(value, str) for value in read[answered].unique())
    bad = answered & ~np.isfinite(numbers)
    if bad.any():
        fix = (
            "turn them into numbers, list the texts in categories= from low to high, "
            "or empty the cell and name why in a reason= column"
        )
        raise row_error(who, f"responses in {column!r} are not numbers", bad, values[bad].head(1000).tolist(), fix)
    return numbers, ((f"Responses in {column!r} are numbers written as text; they were read as numbers.",) * written)
