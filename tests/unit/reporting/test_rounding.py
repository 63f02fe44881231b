from __future__ import annotations

import math

import pytest

from psymetric.reporting.rounding import decimals, percent, plain, probability, rounded, signed, two_digits


@pytest.mark.parametrize(
    ("se", "expected"),
    [(0.123, 2), (0.35, 2), (0.38, 1), (0.06, 2), (0.012, 3), (1.4, 1), (4.0, 0), (250.0, 0), (1e-9, 4)],
)
def test_digits_are_those_of_the_error(se: float, expected: int) -> None:
    # Particle Data Group: .123 -> two digits, .38 -> one.
    assert decimals(se) == expected


@pytest.mark.parametrize("se", [math.nan, 0.0, math.inf])
def test_unknown_error_gives_two_digits(se: float) -> None:
    assert decimals(se) == 2


def test_numbers_read_well() -> None:
    assert rounded(-1.2345, 0.12) == "−1.23"
    assert rounded(-0.001, 0.12) == "0.00"
    assert signed(0.0001, 0.12) == "0.00"
    assert signed(1.5, 0.12) == "+1.50"
    assert rounded(math.nan, 0.1) == "–"
    assert rounded(12345.6, 30) == "12,346"


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.9499, ".94"), (0.95, ".95"), (0.999, "over .99"), (1.0, "over .99"), (0.001, "under .01"), (0.313, ".32")],
)
def test_probability_is_never_said_to_be_surer_than_it_is(p: float, expected: str) -> None:
    assert probability(p) == expected


def test_shares_are_not_rounded_to_all_or_nothing() -> None:
    assert percent(0.9999) == ">99%"
    assert percent(0.00001) == "<0.1%"
    assert percent(0.0) == "0%"
    assert percent(0.034) == "3.4%"
    assert two_digits(0.9999) == ">.99"
    assert two_digits(0.83) == ".83"


def test_labels_cannot_reorder_or_hide_text() -> None:
    assert plain("evil\u202egnp.exe") == "evil⟨U+202E⟩gnp.exe"
    assert plain("a\u200bb") == "a⟨U+200B⟩b"
    assert plain("two\nlines\t here") == "two lines here"
    assert plain("عربي 漢字 👩‍💻") == "عربي 漢字 👩‍💻"
    assert plain("x" * 50, 10) == "x" * 9 + "…"
