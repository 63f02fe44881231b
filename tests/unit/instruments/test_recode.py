"""Reverse-keyed items."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from psymetric.errors import DataError
from psymetric.instruments import recode


def test_reverse_keyed_codes_are_turned_round() -> None:
    np.testing.assert_array_equal(recode([0, 1, 4, 4], [1, 1, 1, -1], 5), [0, 1, 4, 0])


def test_one_key_serves_all() -> None:
    np.testing.assert_array_equal(recode([0, 1, 2], -1, 3), [2, 1, 0])


@given(st.integers(2, 10).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n - 1)))))
def test_twice_is_back(case: tuple[int, list[int]]) -> None:
    n, codes = case
    np.testing.assert_array_equal(recode(recode(codes, -1, n), -1, n), codes)


@pytest.mark.parametrize("bad", [[0, 3], [0, -1], [0, 1.5], [0, np.nan]])
def test_codes_outside_the_scale_are_refused(bad: list[float]) -> None:
    with pytest.raises(DataError, match=r"recode: 1 of 2 codes are not in 0\.\.2, first at position 1"):
        recode(bad, 1, 3)


def test_other_keys_are_refused() -> None:
    with pytest.raises(DataError, match=r"keys must be 1 or -1, got \[0\]"):
        recode([0, 1], [1, 0], 3)
