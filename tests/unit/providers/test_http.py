"""Status mapping, Retry-After, redaction."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from psymetric.errors import AuthFailed, ModelNotFound, ProviderError, RateLimited, RequestTimeout
from psymetric.providers._http import error_detail, is_filtered, redact, retry_after, status_error
from psymetric.providers.base import ModelEndpoint

ENDPOINT = ModelEndpoint(name="judge", base_url="http://127.0.0.1:1/v1", model="toy", key_env="JUDGE_KEY")
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable", "match"),
    [
        (401, {"error": {"message": "bad key"}}, AuthFailed, False, r"judge.*401: bad key.*JUDGE_KEY"),
        (403, {"detail": "no"}, AuthFailed, False, r"access refused \(403: no\)"),
        (402, "pay", AuthFailed, False, "no quota left"),
        (429, {"error": {"message": "q", "code": "insufficient_quota"}}, AuthFailed, False, "no quota left"),
        (404, {"error": "nope"}, ModelNotFound, False, r"no model 'toy' there \(404: nope\); check model and base_url"),
        (400, {"error": {"message": "m", "code": "model_not_found"}}, ModelNotFound, False, "no model 'toy'"),
        (429, "", RateLimited, True, r"too many requests \(429\)"),
        (408, "", RequestTimeout, True, "timed out"),
        (504, "", RequestTimeout, True, "timed out"),
        (500, "boom", ProviderError, True, r"server error \(500: boom\)"),
        (503, "", ProviderError, True, "server error"),
        (409, "", ProviderError, True, "server error"),
        (400, {"error": {"message": "context too long"}}, ProviderError, False, "rejected .400: context too long"),
        (422, [1], ProviderError, False, "rejected"),
        (307, "", ProviderError, False, "redirected .307. to nowhere; set base_url"),
    ],
)
def test_statuses_become_typed_errors(status: int, body: object, kind: type, retryable: bool, match: str) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)
    error = status_error(ENDPOINT, status, error_detail(raw.encode()), {})
    assert type(error) is kind
    assert error.retryable is retryable
    with pytest.raises(kind, match=match):
        raise error


def test_overload_with_retry_after_is_a_limit() -> None:
    error = status_error(ENDPOINT, 503, error_detail(b""), {"retry-after": "7"})
    assert isinstance(error, RateLimited)
    assert (error.status, error.retry_after) == (503, 7.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_seconds_milliseconds_or_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "body", "filtered"),
    [
        (400, {"error": {"code": "content_filter", "message": "x"}}, True),
        (403, {"error": {"message": "requires moderation; your input was flagged"}}, True),
        (400, {"error": {"code": "bad_request"}}, False),
        (500, {"error": {"code": "content_filter"}}, False),
    ],
)
def test_content_filters_are_told_from_errors(status: int, body: object, filtered: bool) -> None:
    assert is_filtered(status, error_detail(json.dumps(body).encode())) is filtered


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[" * 50_000, b"null", b'{"error": 3}', b'"text"', b'{"error": null}']
)
def test_any_error_body_has_a_detail(body: bytes) -> None:
    assert isinstance(error_detail(body).message, str)


def test_keys_echoed_by_servers_are_removed() -> None:
    body = json.dumps({"error": {"message": "Incorrect API key: sk-123"}}).encode()
    assert error_detail(body, "sk-123").message == "Incorrect API key: ***"
    assert redact("a sk-1 b", None) == "a sk-1 b"


def test_escape_sequences_do_not_reach_terminals() -> None:
    assert error_detail(b"a\x1b[31m\x07b").message == "a [31m b"


def test_long_error_bodies_are_shortened() -> None:
    assert len(error_detail(b"x" * 10_000).message) == 300
