"""Caps that hold while requests are in flight."""

from __future__ import annotations

import pytest

from psymetric.administration.budget import Budget, Charge, Fits, Ledger, charged, expected
from psymetric.errors import StudyError
from psymetric.providers.base import ModelEndpoint, Price, Prompt, Usage

PROMPT = Prompt((("user", "x" * 30),), ("A", "B"), (0, 1), max_tokens=5)
PRICED = ModelEndpoint(name="j", price=Price(input=1_000_000, output=2_000_000))


def test_calls_are_exact() -> None:
    ledger = Ledger(Budget(calls=3), Charge(calls=1))
    assert [ledger.reserve(Charge(1)) for _ in range(2)] == [Fits.YES, Fits.YES]
    assert ledger.reserve(Charge(1)) is Fits.LATER
    for _ in range(2):
        ledger.settle(Charge(1), Charge(1))
    assert ledger.reserve(Charge(1)) is Fits.NO
    assert ledger.exhausted == "calls = 3"


def test_worst_cases_are_set_aside_and_given_back() -> None:
    ledger = Ledger(Budget(tokens=100), Charge())
    assert ledger.reserve(Charge(1, 80)) is Fits.YES
    assert ledger.reserve(Charge(1, 80)) is Fits.LATER
    ledger.settle(Charge(1, 80), Charge(1, 10))
    assert ledger.reserve(Charge(1, 80)) is Fits.YES
    ledger.settle(Charge(1, 80), Charge(1, 80))
    assert ledger.reserve(Charge(1, 80)) is Fits.NO
    assert ledger.spent.tokens == 90


def test_last_request_that_fits_exactly_is_not_lost_to_rounding() -> None:
    ledger = Ledger(Budget(cost=0.3), Charge(2, 0, 0.1 + 0.1))
    assert ledger.reserve(Charge(1, 0, 0.1)) is Fits.YES


def test_no_caps_never_stop() -> None:
    assert Ledger(Budget(), Charge(10**9, 1e12, 1e9)).reserve(Charge(1, 1, 1)) is Fits.YES


def test_worst_case_covers_prompt_and_token_cap() -> None:
    assert expected(PROMPT, PRICED) == Charge(1, 16 + 5, 16 + 2 * 5)


def test_reported_usage_is_charged_and_missing_usage_estimated() -> None:
    assert charged(PROMPT, PRICED, Usage(7, 2), "ab") == Charge(1, 9, 11)
    assert charged(PROMPT, PRICED, Usage(), "abc") == Charge(1, 18, 20)
    assert charged(PROMPT, ModelEndpoint(name="j"), Usage(7, 2), "").cost == 0


def test_negative_caps_are_refused() -> None:
    with pytest.raises(StudyError, match="cost must be 0 or more, got -1"):
        Budget(cost=-1)
