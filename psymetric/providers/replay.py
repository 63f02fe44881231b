"""Answers from an earlier run: the same plan gives the same answers, without asking anyone again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, final

import httpx

from psymetric.errors import ProviderError, StoreError, StudyError
from psymetric.providers._http import final as not_again
from psymetric.providers.base import ModelEndpoint, Prompt, Reply, Usage

__all__ = ["Replay", "from_endpoint", "record_reply", "reply_record"]

# The columns of the store's attempts table that make up a reply.
_COLUMNS = (
    "key", "text", "finish_reason", "refusal", "logprobs", "prompt_tokens", "completion_tokens", "echoed_model",
    "latency_s", "request",
)  # fmt: skip


@final
class Replay:
    """Answers by request key from a store or a JSONL export.

    The key names the endpoint asked, so replay a plan unchanged: `administer(plan, providers={name: Replay(source)})`.

    Args:
        source: `sqlite:///…` URL or path of a store, path of a `.jsonl` export, or replies by key.

    Raises:
        StoreError: The source cannot be read.
    """

    name = "replay"

    def __init__(self, source: str | Path | Mapping[str, Reply]) -> None:
        self._replies = source if isinstance(source, Mapping) else _load(str(source))

    async def ask(self, prompt: Prompt, client: httpx.AsyncClient, *, key: str = "") -> Reply:  # noqa: ARG002
        """The stored reply; see `Provider.ask`.

        Raises:
            ProviderError: No reply is stored under this key.
        """
        if key not in self._replies:
            held = f"replay: no stored reply for request {key[:12]}… among {len(self._replies)}"
            raise not_again(ProviderError(f"{held}; replay the plan that was asked, unchanged"))
        return self._replies[key]


def from_endpoint(endpoint: ModelEndpoint) -> Replay:
    """The provider for an endpoint, answering from its `source`."""
    if not endpoint.source:
        raise StudyError(f"endpoint {endpoint.name!r}: provider replay needs source, a store URL or a JSONL export")
    return Replay(endpoint.source)


def reply_record(reply: Reply) -> dict[str, Any]:
    """The columns under which a reply is stored."""
    logprobs = None if reply.first_token_logprobs is None else [list(pair) for pair in reply.first_token_logprobs]
    return {
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "refusal": reply.refusal,
        "logprobs": None if logprobs is None else json.dumps(logprobs),
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "echoed_model": reply.model,
        "latency_s": reply.latency_s,
        "request": json.dumps(dict(reply.request), ensure_ascii=False, default=str),
    }


def record_reply(record: Mapping[str, Any]) -> Reply:
    """The reply that was stored as `record`."""
    logprobs, request = _decode(record.get("logprobs")), _decode(record.get("request"))
    return Reply(
        text=record.get("text") or "",
        finish_reason=record.get("finish_reason"),
        refusal=record.get("refusal"),
        first_token_logprobs=None if logprobs is None else tuple((str(token), float(lp)) for token, lp in logprobs),
        usage=Usage(record.get("prompt_tokens"), record.get("completion_tokens")),
        model=record.get("echoed_model"),
        latency_s=float(record.get("latency_s") or 0.0),
        request=request or {},
    )


def _decode(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _load(source: str) -> dict[str, Reply]:
    try:
        records = _from_jsonl(Path(source)) if source.endswith(".jsonl") else _from_store(source)
        return {str(record["key"]): record_reply(record) for record in records}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"replay: cannot read {source} ({type(error).__name__}: {error})") from error


def _from_jsonl(path: Path) -> Iterable[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line) if line.strip() else {}
            if record.get("final"):
                yield record


def _from_store(source: str) -> list[dict[str, Any]]:
    from sqlalchemy import column, create_engine, select, table
    from sqlalchemy.exc import SQLAlchemyError

    if "://" not in source:
        source = f"sqlite:///{source}"
    if source.startswith("sqlite:///") and not Path(source.removeprefix("sqlite:///")).is_file():
        raise StoreError(f"replay: no store at {source}; give the store or export of an earlier run")
    attempts = table("attempts", *(column(name) for name in (*_COLUMNS, "final", "id")))
    chosen = select(*(attempts.c[name] for name in _COLUMNS)).where(attempts.c.final).order_by(attempts.c.id)
    try:
        engine = create_engine(source)
        try:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(chosen).mappings()]
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        raise StoreError(
            f"replay: cannot read {source} ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
