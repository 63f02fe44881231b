"""Nothing that looks like a key passes, and what does not look like one does."""

from __future__ import annotations

import pytest

from psymetric.design.credentials import find_credential

# Made up; written in halves so that no scanner takes this file for a leak.
KEYS = ["sk-" + "abcdEFGH1234567890xyz", "gsk_" + "a1" * 12, "hf_" + "Ab" * 12, "AIza" + "Sy" * 17, "ghp_" + "a1" * 12]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_found_by_its_form_wherever_it_stands(key: str) -> None:
    assert find_credential({"judges": [{"name": "a", "model": key}]}) == "judges[0].model"
    assert find_credential({"notes": f"my key is {key}, keep it"}) == "notes"


@pytest.mark.parametrize("name", ["api_key", "API-Key", "token", "Authorization", "secret", "password"])
def test_a_key_is_found_by_the_name_of_its_field(name: str) -> None:
    assert find_credential({"judges": [{"extra_body": {name: "x"}}]}) == f"judges[0].extra_body.{name}"


def test_bearer_headers_and_addresses_with_keys_are_found() -> None:
    assert find_credential({"h": "Bearer abcdefghijklmnop"}) == "h"
    assert find_credential({"base_url": "https://h/v1?api_key=abcdefgh1"}) == "base_url"


@pytest.mark.parametrize(
    "value",
    [
        {"key_env": "OPENAI_API_KEY"},
        {"items": [{"key": -1}]},
        {"max_tokens": 16, "tokens_per_minute": 10},
        {"notes": "a task-oriented, risk-averse bot; ask-me-anything-about-it-please"},
        {"model": "gpt-oss-120b-instruct-2026-01-01"},
        {"api_key": ""},
        ["plain", 3, None],
    ],
)
def test_ordinary_fields_pass(value: object) -> None:
    assert find_credential(value) is None
