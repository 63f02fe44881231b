"""What every provider shares: the prompt that goes in, the reply that comes out, the endpoint, and the request key.

A provider turns a `Prompt` into one HTTP request and its answer into a `Reply`, or raises a `ProviderError`. It does
not retry, wait, count, parse or store: administration does. The request key identifies an answer in the store, so it
covers all that can change the answer and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from psymetric.errors import AuthFailed, DesignError

if TYPE_CHECKING:
    import httpx

__all__ = ["ModelEndpoint", "Price", "Prompt", "Provider", "Readout", "Reply", "Usage", "canonical_json", "request_key"]

Readout = Literal["sampled", "logprob"]
OmittableField = Literal["temperature", "max_tokens", "seed"]

_KEY_VERSION: Final = 1
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READOUTS: Final = ("sampled", "logprob")
_OWN_FIELDS: Final = frozenset(
    {"model", "messages", "temperature", "max_tokens", "max_completion_tokens", "seed", "logprobs", "top_logprobs"}
    | {"n", "stream"}
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request, before it is put in a provider's words.

    Attributes:
        messages: (role, content) pairs in order; roles are "system", "user" and "assistant".
        labels: Answer labels as shown and in the order shown.
        values: Category code 0..K-1 that each label stands for (pairs: 0 left, 1 right, 2 tie).
        readout: "sampled" reads the text; "logprob" reads the first answer token's distribution.
        temperature: Sampling temperature.
        max_tokens: Cap on the answer's tokens.
        seed: Sampling seed sent to the server, or None to send none.

    Raises:
        DesignError: Labels and values differ in number, a label is empty or repeated, or the readout is unknown.
    """

    messages: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    values: tuple[int, ...]
    readout: Readout = "sampled"
    temperature: float = 0.0
    max_tokens: int = 16
    seed: int | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.values):
            raise DesignError(
                f"Prompt: {len(self.labels)} labels but {len(self.values)} values; give one value per label"
            )
        if len(set(self.labels)) != len(self.labels) or not all(label.strip() for label in self.labels):
            raise DesignError(f"Prompt: labels must be distinct and not blank, got {list(self.labels)}")
        if self.readout not in _READOUTS:
            raise DesignError(f"Prompt: readout must be one of {', '.join(_READOUTS)}, got {self.readout!r}")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens the server says it used; None where it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply as it came, before any parsing.

    Attributes:
        text: The answer's text, empty when there was none.
        finish_reason: The server's word for why it stopped ("stop", "length", "content_filter", …), or None.
        refusal: The server's refusal field, or None.
        first_token_logprobs: (token, natural-log probability) of the alternatives to the first answer token, or None
            when the server returned none.
        usage: Tokens used.
        model: The model as echoed by the server, or None.
        latency_s: Seconds from sending to the complete reply.
        request: The body as sent, without credentials.
    """

    text: str
    finish_reason: str | None = None
    refusal: str | None = None
    first_token_logprobs: tuple[tuple[str, float], ...] | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    latency_s: float = 0.0
    request: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Price(BaseModel):
    """Price in one currency unit per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Cost of so many tokens."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / 1e6


class ModelEndpoint(BaseModel):
    """Where a model is asked and how, as a study file writes it.

    Attributes:
        name: The judge's or subject's label in plans, tables and reports.
        provider: File name of the provider: "openai_compatible", "scripted" or "replay".
        base_url: Address up to and including the version, such as "http://127.0.0.1:8000/v1".
        model: Model name as the server knows it.
        key_env: NAME of the environment variable that holds the key; read when asking, never stored.
        temperature: Temperature of every prompt to this model; None leaves it to the study.
        max_tokens: Token cap of every prompt to this model; None leaves it to the study.
        price: Price per million tokens; needed for a cost budget.
        timeout: Seconds until a request without a complete reply has failed.
        max_concurrency: Most requests in flight at this endpoint.
        requests_per_minute: Request rate not to be exceeded, or None.
        tokens_per_minute: Token rate not to be exceeded, or None.
        top_logprobs: Alternatives to ask for with readout "logprob".
        max_tokens_field: Name of the body field that carries the token cap (newer servers want the second).
        omit: Body fields not to send, for servers that reject them.
        extra_body: Further body fields, such as {"reasoning_effort": "low"}. Never put a key here: it is stored.
        replies: provider "scripted": the texts to answer with, in turn.
        source: provider "replay": store URL or export file to answer from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())

    name: str = Field(min_length=1)
    provider: str = "openai_compatible"
    base_url: str | None = None
    model: str = ""
    key_env: str | None = None
    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, ge=1)
    price: Price | None = None
    timeout: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    max_concurrency: int = Field(default=200, ge=1)
    requests_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    tokens_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    top_logprobs: int = Field(default=20, ge=1)
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omit: tuple[OmittableField, ...] = ()
    extra_body: Mapping[str, Any] = Field(default_factory=dict)
    replies: tuple[str, ...] = ()
    source: str | None = None

    @field_validator("key_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        # The value is not repeated: people paste the key itself here.
        if value is not None and not _VARIABLE_NAME.fullmatch(value):
            raise ValueError("must be the name of an environment variable such as JUDGE_KEY, not the key itself")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must start with http:// or https:// and name a host")
        if parts.username or parts.password:
            raise ValueError("must not hold credentials; put the key in an environment variable and name it in key_env")
        return value.rstrip("/")

    @field_validator("extra_body")
    @classmethod
    def _adds_only(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        taken = sorted(_OWN_FIELDS & value.keys())
        if taken:
            raise ValueError(
                f"must not set {', '.join(taken)}: the study and the endpoint have their own fields for that"
            )
        canonical_json(value)
        return value

    def credential(self) -> str | None:
        """The key from the environment, or None when this endpoint needs none.

        Raises:
            AuthFailed: The variable that `key_env` names is not set, is empty, or cannot be sent in a header.
        """
        if self.key_env is None:
            return None
        value = os.environ.get(self.key_env, "").strip()
        if not value:
            raise AuthFailed(
                f"endpoint {self.name!r}: environment variable {self.key_env} is not set; "
                f"set it to the key, or remove key_env if the server needs none"
            )
        if not value.isascii() or not value.isprintable():
            raise AuthFailed(
                f"endpoint {self.name!r}: the key in environment variable {self.key_env} holds characters that no HTTP "
                f"header can carry; copy it again"
            )
        return value


class Provider(Protocol):
    """One way of asking one endpoint."""

    @property
    def name(self) -> str:
        """The provider's file name, as stored with every answer."""
        ...

    async def ask(self, prompt: Prompt, client: httpx.AsyncClient, *, key: str = "") -> Reply:
        """Ask once.

        Args:
            prompt: What to ask.
            client: The run's HTTP client.
            key: The request key, for providers that answer from a store.

        Raises:
            ProviderError: Nothing usable came back; the subclass says why and `.retryable` whether to try again.
        """
        ...


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces, so that equal content gives equal bytes.

    Raises:
        ValueError: The value holds NaN or an infinity.
        TypeError: The value holds something JSON cannot write.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def request_key(prompt: Prompt, endpoint: ModelEndpoint, occasion: int | str) -> str:
    """SHA-256 (hex) of all that can change the answer, the occasion included; timeouts, rates and prices are not.

    The endpoint's name is part of it: two judges on the same model are two raters, whose answers must not be shared.

    Args:
        prompt: What is asked.
        endpoint: Whom.
        occasion: Replicate index.
    """
    content = {
        "version": _KEY_VERSION,
        "messages": prompt.messages,
        "labels": prompt.labels,
        "values": [int(value) for value in prompt.values],
        "readout": prompt.readout,
        "temperature": float(prompt.temperature),
        "max_tokens": int(prompt.max_tokens),
        "seed": None if prompt.seed is None else int(prompt.seed),
        "endpoint": endpoint.name,
        "provider": endpoint.provider,
        "base_url": endpoint.base_url,
        "model": endpoint.model,
        "top_logprobs": endpoint.top_logprobs if prompt.readout == "logprob" else None,
        "omit": sorted(endpoint.omit),
        "extra_body": dict(endpoint.extra_body),
        "replies": endpoint.replies,
        "occasion": str(occasion),
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
