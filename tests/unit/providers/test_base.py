"""Prompt, endpoint and request key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from psymetric.errors import AuthFailed, DesignError
from psymetric.providers.base import ModelEndpoint, Price, Prompt, request_key

PROMPT = Prompt((("user", "hello"),), ("A", "B"), (0, 1), temperature=0.5, max_tokens=3, seed=7)
ENDPOINT = ModelEndpoint(name="judge", base_url="http://127.0.0.1:1/v1", model="m", key_env="JUDGE_KEY")


def test_request_key_is_pinned() -> None:
    # A change of this value makes every existing store ask everything again: raise _KEY_VERSION knowingly.
    assert request_key(PROMPT, ENDPOINT, 1) == "e4c63a10cec0855683a9abfe5867f441597e7e8362a9583a4db1e9b2c137b9cb"


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (("user", "hello "),)},
        {"messages": (("system", "hello"),)},
        {"labels": ("B", "A")},
        {"values": (1, 0)},
        {"readout": "logprob"},
        {"temperature": 0.6},
        {"max_tokens": 4},
        {"seed": None},
    ],
)
def test_whatever_changes_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    assert request_key(replace(PROMPT, **change), ENDPOINT, 1) != request_key(PROMPT, ENDPOINT, 1)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"model": "other"}, False),
        ({"name": "other"}, False),
        ({"base_url": "http://127.0.0.1:2/v1"}, False),
        ({"extra_body": {"top_p": 0.5}}, False),
        ({"omit": ("seed",)}, False),
        ({"timeout": 1.0}, True),
        ({"max_concurrency": 1}, True),
        ({"price": Price(input=1, output=1)}, True),
        ({"key_env": "OTHER_KEY"}, True),
        ({"requests_per_minute": 1.0}, True),
    ],
)
def test_endpoint_settings_that_change_the_answer_change_the_key(change: dict[str, Any], same: bool) -> None:
    changed = ENDPOINT.model_copy(update=change)
    assert (request_key(PROMPT, changed, 1) == request_key(PROMPT, ENDPOINT, 1)) is same


def test_replicates_have_their_own_keys() -> None:
    assert len({request_key(PROMPT, ENDPOINT, occasion) for occasion in range(50)}) == 50
    assert request_key(PROMPT, ENDPOINT, 1) == request_key(PROMPT, ENDPOINT, "1")


def test_numpy_and_float_settings_give_the_same_key() -> None:
    assert request_key(replace(PROMPT, temperature=1), ENDPOINT, 1) == request_key(
        replace(PROMPT, temperature=1.0), ENDPOINT, 1
    )


@pytest.mark.parametrize(
    ("labels", "values", "readout", "match"),
    [
        (("A", "B"), (0,), "sampled", "2 labels but 1 values"),
        (("A", "A"), (0, 1), "sampled", "distinct"),
        (("A", " "), (0, 1), "sampled", "not blank"),
        (("A", "B"), (0, 1), "guess", "readout must be one of sampled, logprob"),
    ],
)
def test_impossible_prompts_are_refused(labels: Any, values: Any, readout: Any, match: str) -> None:
    with pytest.raises(DesignError, match=match):
        Prompt((), labels, values, readout)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("key_env", "sk-secret-123", "name of an environment variable"),
        ("base_url", "ftp://x/v1", "must start with http"),
        ("base_url", "http://user:secret@host/v1", "must not hold credentials"),
        ("extra_body", {"temperature": 1}, "must not set temperature"),
        ("tempreture", 1, "Extra inputs"),
    ],
)
def test_wrong_endpoint_settings_are_refused_without_repeating_them(field: str, value: Any, match: str) -> None:
    with pytest.raises(ValidationError, match=match) as caught:
        ModelEndpoint(**({"name": "j"} | {field: value}))
    assert "secret" not in str(caught.value)


def test_credential_comes_from_the_environment_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ModelEndpoint(name="open").credential() is None
    with pytest.raises(AuthFailed, match="environment variable JUDGE_KEY is not set"):
        ENDPOINT.credential()
    monkeypatch.setenv("JUDGE_KEY", "first")
    assert ENDPOINT.credential() == "first"
    monkeypatch.setenv("JUDGE_KEY", "second\n")
    assert ENDPOINT.credential() == "second"
    assert "second" not in repr(ENDPOINT) + ENDPOINT.model_dump_json()


def test_credential_that_no_header_can_carry_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sécret")
    with pytest.raises(AuthFailed, match="no HTTP header can carry") as caught:
        ENDPOINT.credential()
    assert "sécret" not in str(caught.value)


def test_price_is_per_million_tokens() -> None:
    assert Price(input=2.5, output=10).cost(1_000_000, 100_000) == pytest.approx(3.5)
