"""Label sets and option orders."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from psymetric.design.labels import LABEL_SETS, labels, order_family, parse_order
from psymetric.errors import StudyError


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("letters", "A B C"),
        ("lower", "a b c"),
        ("numbers", "1 2 3"),
        ("reversed-numbers", "3 2 1"),
        ("roman", "I II III"),
        ("symbols", "★ ● ■"),
        ("scores", "0 1 2"),
    ],
)
def test_each_set(name: str, shown: str) -> None:
    assert labels(name, 3, scores=(0, 1, 2)) == tuple(shown.split())


@given(st.sampled_from(LABEL_SETS), st.integers(2, 12))
def test_labels_differ(name: str, size: int) -> None:
    assert len(set(labels(name, size, scores=range(size)))) == size


def test_an_unknown_set_gets_the_nearest() -> None:
    with pytest.raises(StudyError, match=r"no label set 'leters'; did you mean 'letters'\? valid: letters, lower"):
        labels("leters", 3)


def test_a_set_too_small_is_named() -> None:
    with pytest.raises(StudyError, match="label set 'roman' has 12 labels for 13 options"):
        labels("roman", 13)


@given(st.integers(2, 6), st.sampled_from(["original", "reversed", "cyclic", "full"]))
def test_orders_of_a_family_are_distinct_permutations_with_the_original_first(size: int, family: str) -> None:
    names = order_family(family, size)
    orders = [parse_order(name, size) for name in names]
    assert names[0] == "original"
    assert len(set(orders)) == len(orders)
    assert all(sorted(order) == list(range(size)) for order in orders)
    assert len(orders) == {"original": 1, "reversed": 2, "cyclic": size, "full": math.factorial(size)}[family]


@given(st.integers(2, 8))
def test_cyclic_orders_show_each_option_once_in_each_place(size: int) -> None:
    orders = [parse_order(name, size) for name in order_family("cyclic", size)]
    assert all(sorted(place) == list(range(size)) for place in zip(*orders, strict=True))


@given(st.integers(3, 9), st.integers(1, 6), st.integers(0, 99))
def test_random_orders_are_distinct_seeded_and_nested(size: int, draws: int, seed: int) -> None:
    names = order_family("random", size, draws=draws, seed=seed)
    assert len(set(names)) == draws
    assert names == order_family("random", size, draws=draws, seed=seed)
    assert names[0] == "original"


def test_random_orders_can_be_all_of_them() -> None:
    assert set(order_family("random", 3, draws=6)) == set(order_family("full", 3))


@pytest.mark.parametrize("draws", [0, 7])
def test_more_random_orders_than_exist_are_refused(draws: int) -> None:
    with pytest.raises(StudyError, match=rf"order \{{random: {draws}\}}: 3 options allow 1 to 6 orders"):
        order_family("random", 3, draws=draws)


def test_too_many_orders_are_refused() -> None:
    with pytest.raises(StudyError, match=r"8 options have 40,320 orders; use cyclic or \{random: m\}"):
        order_family("full", 8)


def test_an_unknown_family_gets_the_nearest() -> None:
    with pytest.raises(StudyError, match="no family of orders 'cylic'; did you mean 'cyclic'"):
        order_family("cylic", 3)


@pytest.mark.parametrize("name", ["1-2", "1-2-2", "0-1-2", "backwards", "", "1-2-3-4"])
def test_a_bad_order_is_refused(name: str) -> None:
    with pytest.raises(StudyError, match=r"no option order .* of 3 options; valid: original, reversed, or .* '2-3-1'"):
        parse_order(name, 3)
