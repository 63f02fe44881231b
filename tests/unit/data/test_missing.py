"""Rows without a response, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from psymetric.data.missing import answered_rows, read_reasons
from psymetric.data.nonresponse import NonResponse
from psymetric.errors import DataError


def reasons(values: object, answered: list[bool]) -> list[object]:
    column = None if values is None else pd.Series(values)  # type: ignore[call-overload]
    return read_reasons(column, np.array(answered), who="Table", column="why", response="rating").tolist()


def test_the_reasons_are_those_of_the_contract() -> None:
    assert set(NonResponse) == {
        *("refusal", "provider_filter", "empty", "truncated", "unparsable"),
        *("off_scale", "no_logprobs", "transport", "budget", "missing"),
    }


@pytest.mark.parametrize("values", [["a", None, " "], ["1", np.nan, ""], pd.array(["x", None, ""], dtype="string")])
def test_blank_text_is_no_answer(values: object) -> None:
    assert answered_rows(pd.Series(values)).tolist() == [True, False, False]  # type: ignore[call-overload]


def test_zero_and_false_are_answers() -> None:
    assert answered_rows(pd.Series([0, np.nan])).tolist() == [True, False]
    assert answered_rows(pd.Series([False, None])).tolist() == [True, False]


def test_without_a_column_every_reason_is_missing() -> None:
    assert reasons(None, [True, False, False]) == ["missing", "missing"]


def test_reasons_follow_the_order_of_the_rows() -> None:
    assert reasons([None, "refusal", None, "budget"], [True, False, False, False]) == ["refusal", "missing", "budget"]


def test_enum_members_are_reasons() -> None:
    assert reasons([NonResponse.empty, None], [False, True]) == ["empty"]


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"unknown reasons in column 'why' \(1 of 2 rows, first at row 1.*'refused'.*'refusal'"
    ):
        reasons([None, "refused"], [True, False])


def test_a_reason_beside_a_response_is_refused() -> None:
    message = r"a response in 'rating' and a reason for having none in 'why' \(1 of 2 rows, first at row 0"
    with pytest.raises(DataError, match=message):
        reasons(["refusal", None], [True, True])
