"""The chat-completions protocol: OpenAI, vLLM, llama.cpp, Ollama, LiteLLM, OpenRouter and the simulated server."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from typing import Any, Final, final

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from psymetric.errors import ProviderError, RequestTimeout, StudyError, UnparsableReply
from psymetric.providers import _http
from psymetric.providers.base import ModelEndpoint, Prompt, Reply, Usage

__all__ = ["OpenAICompatible", "from_endpoint"]

_RAW_KEPT: Final = 500
_THINK_OPEN: Final = "<think>"
_THINK_CLOSE: Final = "</think>"


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class _Alternative(_Record):
    token: str
    logprob: float | None = None


class _Token(_Alternative):
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(_Record):
    content: list[_Token] | None = None
    # The older layout some servers still use: parallel lists.
    tokens: list[str] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class _Message(_Record):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None


class _Choice(_Record):
    index: int | None = None
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(_Record):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(_Record):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


@final
class OpenAICompatible:
    """Asks one endpoint that speaks the chat-completions protocol.

    Args:
        endpoint: Settings; `base_url` and `model` are needed.

    Raises:
        StudyError: `base_url` or `model` is missing.
    """

    name = "openai_compatible"

    def __init__(self, endpoint: ModelEndpoint) -> None:
        if not endpoint.base_url or not endpoint.model:
            raise StudyError(f"endpoint {endpoint.name!r}: provider openai_compatible needs base_url and model")
        self.endpoint = endpoint
        self._url = httpx.URL(f"{endpoint.base_url}/chat/completions")

    async def ask(self, prompt: Prompt, client: httpx.AsyncClient, *, key: str = "") -> Reply:  # noqa: ARG002
        """Ask once over HTTP; see `Provider.ask`.

        Raises:
            ProviderError: The server could not be reached, refused, or its reply could not be read.
        """
        endpoint, body = self.endpoint, _body(prompt, self.endpoint)
        secret = endpoint.credential()
        request = _request(self._url, body, secret)
        began = time.perf_counter()
        response = await _send(client, endpoint, request)
        latency = time.perf_counter() - began
        if not response.is_success:
            detail = _http.error_detail(response.content, secret)
            if _http.is_filtered(response.status_code, detail):
                return Reply("", "content_filter", detail.message or None, latency_s=latency, request=body)
            raise _http.status_error(endpoint, response.status_code, detail, response.headers)
        return _read(response, endpoint, secret, body, latency)


def from_endpoint(endpoint: ModelEndpoint) -> OpenAICompatible:
    """The provider for an endpoint."""
    return OpenAICompatible(endpoint)


def _body(prompt: Prompt, endpoint: ModelEndpoint) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": role, "content": content} for role, content in prompt.messages],
        "temperature": prompt.temperature,
        endpoint.max_tokens_field: prompt.max_tokens,
    }
    if prompt.seed is not None:
        body["seed"] = prompt.seed
    if prompt.readout == "logprob":
        body |= {"logprobs": True, "top_logprobs": endpoint.top_logprobs}
    for name in endpoint.omit:
        body.pop(endpoint.max_tokens_field if name == "max_tokens" else name, None)
    return body | dict(endpoint.extra_body)


def _request(url: httpx.URL, body: Mapping[str, Any], secret: str | None) -> httpx.Request:
    # Built here rather than by the client: merging its defaults into every request costs a fifth of the throughput.
    headers = {"content-type": "application/json", "accept": "application/json", "user-agent": "psymetric"}
    if secret:
        headers["authorization"] = f"Bearer {secret}"
    return httpx.Request("POST", url, headers=headers, content=json.dumps(body).encode())


async def _send(client: httpx.AsyncClient, endpoint: ModelEndpoint, request: httpx.Request) -> httpx.Response:
    head = f"endpoint {endpoint.name!r} ({endpoint.base_url})"
    late = f"{head}: no complete reply within {endpoint.timeout:g} s"
    try:
        # The client's own read timeout restarts with every byte; this one bounds the whole exchange.
        async with asyncio.timeout(endpoint.timeout):
            return await client.send(request)
    except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
        raise RequestTimeout(late) from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        # The aiohttp transport reports refused and lost connections alike as ConnectTimeout; only the cause of a
        # refused one carries the system's error.
        refused = getattr(error.__cause__, "os_error", None)
        if refused is None and isinstance(error, httpx.ConnectTimeout):
            raise ProviderError(f"{head}: connection lost ({error.__cause__ or error})") from error
        raise _http.Unreachable(f"{head}: cannot connect ({refused or error}); is the server running?") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise _http.final(ProviderError(f"{head}: not an address that can be asked ({error})")) from error
    except Exception as error:
        # Transports leak exceptions of their own HTTP library; none of them may end the run.
        raise ProviderError(f"{head}: connection lost ({type(error).__name__}: {error})") from error


def _read(
    response: httpx.Response, endpoint: ModelEndpoint, secret: str | None, body: dict[str, Any], latency: float
) -> Reply:
    kind = response.headers.get("content-type", "no content type")
    head = f"endpoint {endpoint.name!r} ({endpoint.base_url})"
    try:
        data: Any = response.json()
    except (ValueError, RecursionError) as error:
        raw = _beginning(response, secret)
        message = f"{head}: the reply is not JSON ({kind}, {len(response.content)} bytes, begins {raw[:60]!r})"
        raise UnparsableReply(message, status=response.status_code, raw=raw) from error
    if isinstance(data, dict) and data.get("error") and not data.get("choices"):
        detail = _http.error_detail(response.content, secret)
        codes = [int(code) for code in detail.codes if code.isdigit() and 400 <= int(code) < 600]
        if _http.is_filtered(codes[0] if codes else 400, detail):
            return Reply("", "content_filter", detail.message or None, latency_s=latency, request=body)
        raise _http.status_error(endpoint, codes[0] if codes else 500, detail, response.headers)
    try:
        completion = _Completion.model_validate(data)
        choice = completion.choices[0]
    except (ValidationError, IndexError) as error:
        problem, raw = _first_problem(error), _beginning(response, secret)
        message = f"{head}: the reply is not a chat completion ({problem}; begins {raw[:60]!r})"
        raise UnparsableReply(message, status=response.status_code, raw=raw) from error
    usage = completion.usage or _Usage()
    return Reply(
        text=_text(choice.message.content),
        finish_reason=choice.finish_reason,
        refusal=choice.message.refusal,
        first_token_logprobs=_first_answer_token(choice.logprobs),
        usage=Usage(usage.prompt_tokens, usage.completion_tokens),
        model=completion.model,
        latency_s=latency,
        request=body,
    )


def _beginning(response: httpx.Response, secret: str | None) -> str:
    # Redacted before it is cut, lest half a key be left.
    return _http.redact(response.content[:20_000].decode("utf-8", errors="replace"), secret)[:_RAW_KEPT]


def _first_problem(error: ValidationError | IndexError) -> str:
    if isinstance(error, IndexError):
        return "choices is empty"
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}"


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if part.get("type", "text") == "text")
    return content or ""


def _first_answer_token(logprobs: _Logprobs | None) -> tuple[tuple[str, float], ...] | None:
    """Alternatives at the first token that is neither blank nor inside a think block; None when there are none."""
    positions = _positions(logprobs)
    text = "".join(token for token, _ in positions)
    closed = text.find(_THINK_CLOSE)
    if closed < 0 and text.lstrip().startswith(_THINK_OPEN):
        return None
    start, at = (closed + len(_THINK_CLOSE) if closed >= 0 else 0), 0
    for token, alternatives in positions:
        if at >= start and token.strip():
            return alternatives or None
        at += len(token)
    return None


def _positions(logprobs: _Logprobs | None) -> list[tuple[str, tuple[tuple[str, float], ...]]]:
    if logprobs is None:
        return []
    if logprobs.content is not None:
        return [
            (token.token, _distinct((top.token, top.logprob) for top in token.top_logprobs or ()))
            for token in logprobs.content
        ]
    tops = logprobs.top_logprobs or []
    return [(token, _distinct((top or {}).items())) for token, top in zip(logprobs.tokens or [], tops, strict=False)]


def _distinct(alternatives: Any) -> tuple[tuple[str, float], ...]:
    """One entry per token: some servers list the sampled token twice (K + 1 entries)."""
    kept: dict[str, float] = {}
    for token, logprob in alternatives:
        if logprob is not None and math.isfinite(logprob) and logprob <= 0.01:
            kept[token] = max(kept.get(token, -math.inf), min(logprob, 0.0))
    return tuple(kept.items())
