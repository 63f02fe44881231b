"""One attempt as a row of the store, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from psymetric.administration.budget import Charge
from psymetric.administration.parsing import PARSER, Reading
from psymetric.administration.store import ATTEMPTS
from psymetric.data.nonresponse import NonResponse
from psymetric.errors import ProviderError
from psymetric.providers.base import ModelEndpoint, Reply
from psymetric.providers.replay import reply_record

__all__ = ["NOT_FINAL", "failure_row", "reading_of", "reply_row"]

NOT_FINAL: Final = frozenset({NonResponse.empty, NonResponse.no_logprobs, NonResponse.transport})
"""Reasons that are no answer of the model's: asked again by the next run."""

_BLANK: Final = dict.fromkeys(column.name for column in ATTEMPTS.columns if column.name != "id")


def reply_row(
    key: str, attempt: int, endpoint: ModelEndpoint, provider: str, reply: Reply, reading: Reading, charge: Charge,
    asked_at: float,
) -> dict[str, Any]:  # fmt: skip
    """The row of a reply, whatever was read from it."""
    distribution = None if reading.distribution is None else json.dumps(reading.distribution)
    row = _BLANK | reply_record(reply) | {
        "final": reading.reason not in NOT_FINAL,
        "parser": PARSER,
        "category": reading.category,
        "distribution": distribution,
        "mass": reading.mass,
        "reason": None if reading.reason is None else reading.reason.value,
        "detail": reading.detail or None,
    }  # fmt: skip
    return _finished(row, key, attempt, endpoint, provider, charge, asked_at)


def failure_row(
    key: str,
    attempt: int,
    endpoint: ModelEndpoint,
    provider: str,
    error: ProviderError,
    charge: Charge,
    asked_at: float,
) -> dict[str, Any]:  # fmt: skip
    """The row of a request that brought no reply."""
    row = _BLANK | {
        "final": False,
        "reason": NonResponse.transport.value,
        "detail": f"{type(error).__name__}: {error}",
        "status": error.status,
        "text": getattr(error, "raw", "") or None,
    }
    return _finished(row, key, attempt, endpoint, provider, charge, asked_at)


def reading_of(row: Mapping[str, Any]) -> Reading:
    """What was read when the row was stored."""
    distribution = row["distribution"]
    return Reading(
        category=row["category"],
        reason=None if row["reason"] is None else NonResponse(row["reason"]),
        detail=row["detail"] or "",
        distribution=None if distribution is None else tuple(json.loads(distribution)),
        mass=row["mass"],
    )


def _finished(
    row: dict[str, Any], key: str, attempt: int, endpoint: ModelEndpoint, provider: str, charge: Charge, asked_at: float
) -> dict[str, Any]:
    row |= {
        "key": key,
        "attempt": attempt,
        "endpoint": endpoint.name,
        "provider": provider,
        "model": endpoint.model or None,
        "asked_at": asked_at,
        "stored_at": time.time(),
        "calls": charge.calls,
        "tokens": charge.tokens,
        "cost": charge.cost,
    }
    # JSON may hold lone surrogates, which no database can encode.
    return {name: _storable(value) if isinstance(value, str) else value for name, value in row.items()}


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")
