"""From an HTTP answer to a typed error: status mapping, Retry-After, and keeping keys out of messages."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, cast

from psymetric.errors import AuthFailed, ModelNotFound, ProviderError, RateLimited, RequestTimeout

if TYPE_CHECKING:
    import httpx

    from psymetric.providers.base import ModelEndpoint

__all__ = [
    "ErrorDetail",
    "Unreachable",
    "error_detail",
    "final",
    "is_filtered",
    "redact",
    "retry_after",
    "status_error",
]

_SHOWN: Final = 300
_OVERLOADED: Final = frozenset({503, 529})
_TIMEOUTS: Final = frozenset({408, 504, 524})
_TRY_AGAIN: Final = frozenset({409, 425})
_NO_QUOTA: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "credit_balance_too_low"})
_FILTER_CODES: Final = (
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "moderation_blocked",
)


class Unreachable(ProviderError):
    """No connection could be made, so nothing was asked."""


class ErrorDetail:
    """What an error body says: `message` for people, `codes` (lower case) for rules."""

    __slots__ = ("codes", "message")

    def __init__(self, message: str, codes: frozenset[str]) -> None:
        self.message, self.codes = message, codes


def redact(text: str, secret: str | None) -> str:
    """The text without the key, should a server echo it."""
    return text.replace(secret, "***") if secret else text


def _shorten(text: str) -> str:
    # Servers' words reach terminals: no escape sequences.
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def error_detail(body: bytes, secret: str | None = None) -> ErrorDetail:
    """Read an error body in any of the shapes servers use; never raises."""
    text = body[:20_000].decode("utf-8", errors="replace")
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return ErrorDetail(_shorten(redact(text, secret)), frozenset())
    if isinstance(data, dict) and isinstance(data.get("error"), dict | str):
        data = data["error"]
    if isinstance(data, str):
        return ErrorDetail(_shorten(redact(data, secret)), frozenset())
    if not isinstance(data, dict):
        return ErrorDetail(_shorten(redact(text, secret)), frozenset())
    fields = cast("dict[str, Any]", data)
    message = next((fields[name] for name in ("message", "detail", "error_description") if fields.get(name)), text)
    codes = frozenset(str(fields[name]).lower() for name in ("code", "type", "status") if fields.get(name) is not None)
    return ErrorDetail(_shorten(redact(str(message), secret)), codes)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None where neither can be read."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def is_filtered(status: int, detail: ErrorDetail) -> bool:
    """Whether an error status says that the provider's content filter stopped the request."""
    if status not in {400, 403, 422}:
        return False
    named = any(code in _FILTER_CODES for code in detail.codes)
    return named or (status == 403 and "flagged" in detail.message.lower() and "moderation" in detail.message.lower())


def final(error: ProviderError) -> ProviderError:
    """The same error, marked as not worth repeating."""
    error.retryable = False
    return error


def _access_error(endpoint: ModelEndpoint, head: str, said: str, status: int) -> ProviderError:
    if status == 404:
        return ModelNotFound(
            f"{head}: no model {endpoint.model!r} there (404{said}); check model and base_url", status=status
        )
    advice = (
        f"check the key in environment variable {endpoint.key_env}"
        if endpoint.key_env
        else "name the environment variable that holds the key in key_env"
    )
    return AuthFailed(f"{head}: access refused ({status}{said}); {advice}", status=status)


def status_error(
    endpoint: ModelEndpoint, status: int, detail: ErrorDetail, headers: httpx.Headers | Mapping[str, str]
) -> ProviderError:
    """The typed error for a status other than 2xx; it names endpoint, address, status and what the server said."""
    head = f"endpoint {endpoint.name!r} ({endpoint.base_url})"
    said = f": {detail.message}" if detail.message else ""
    if detail.codes & _NO_QUOTA or status == 402:
        return AuthFailed(f"{head}: the account has no quota left ({status}{said}); add credit", status=status)
    if status in {401, 403, 404} or "model_not_found" in detail.codes:
        return _access_error(endpoint, head, said, 404 if "model_not_found" in detail.codes else status)
    wait = retry_after(headers)
    if status == 429 or (status in _OVERLOADED and wait is not None):
        return RateLimited(f"{head}: too many requests ({status}{said})", status=status, retry_after=wait)
    if status in _TIMEOUTS:
        return RequestTimeout(f"{head}: the server timed out ({status}{said})", status=status)
    if status >= 500 or status in _TRY_AGAIN:
        return ProviderError(f"{head}: server error ({status}{said})", status=status)
    if 300 <= status < 400:
        target = headers.get("location", "nowhere")
        return final(ProviderError(f"{head}: redirected ({status}) to {target}; set base_url to that", status=status))
    return final(ProviderError(f"{head}: request rejected ({status}{said})", status=status))
