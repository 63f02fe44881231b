"""How an error is worded."""

from __future__ import annotations

import numpy as np

from psymetric.data.messages import counted, listing, nearest, row_error


def test_long_lists_say_how_much_is_left_out() -> None:
    assert listing("abc", shown=2) == "['a', 'b', … 1 more]"
    assert listing([1, 2]) == "[1, 2]"


def test_numbers_agree_with_their_noun() -> None:
    assert [counted(1, "row"), counted(1200, "row"), counted(2, "entry", "entries")] == [
        "1 row",
        "1,200 rows",
        "2 entries",
    ]


def test_the_nearest_name_ignores_case() -> None:
    assert nearest("JUDGE", ["item", "Judge"]) == "did you mean 'Judge'?"
    assert nearest("x", [70, 71]) == "there are ['70', '71']"


def test_an_error_has_its_five_parts() -> None:
    error = row_error("Table", "labels are odd", np.array([False, True, True]), [[1], [1], 2], "rename them")
    expected = "Table: labels are odd (2 of 3 rows, first at row 1 counting from 0); got [[1], 2]; rename them."
    assert str(error) == expected
