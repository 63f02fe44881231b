"""Answers in the words of the chat-completions protocol: text, refusals, token log-probabilities, usage."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from psymetric.errors import DataError
from psymetric.simulation.respond import Answer

__all__ = ["MAX_CHOICES", "Limits", "completion", "error_body", "read_limits"]

MAX_CHOICES: Final = 16
_MAX_ALTERNATIVES: Final = 20
_LABEL_MASS: Final = 0.995
_SPACED: Final = 0.02
_REFUSING_LABEL_MASS: Final = 0.02
_BARE: Final = 0.9
_IMPOSSIBLE: Final = -9999.0
_OTHERS: Final = (("The", 0.6), ("Based", 0.3), ("Looking", 0.1))

# Short enough for the usual cap of 16 tokens: a refusal that is cut off reads as a truncated answer.
_REFUSALS: Final = (
    "I'm sorry, but I can't rate this.",
    "I cannot answer that.",
    "I'm not comfortable judging this person.",
    "Sorry, I am unable to assess this.",
    "I can't help with this request.",
)
_TOKEN: Final = re.compile(r"\s?\w+|\s?[^\w\s]")
_CHARACTERS_PER_TOKEN: Final = 4


class Limits:
    """What a request asks of the reply: `choices`, `max_tokens`, `alternatives` (None without log-probabilities)."""

    __slots__ = ("alternatives", "choices", "max_tokens")

    def __init__(self, choices: int, max_tokens: int | None, alternatives: int | None) -> None:
        self.choices, self.max_tokens, self.alternatives = choices, max_tokens, alternatives


def read_limits(body: Mapping[str, Any]) -> Limits:
    """The fields of a request that shape the reply.

    Raises:
        DataError: A field has a value that the protocol does not allow, or streaming is asked for.
    """
    if body.get("stream"):
        raise DataError("stream: this server sends whole replies only; leave stream out")
    choices = _whole(body, "n", 1, MAX_CHOICES) or 1
    caps = [_whole(body, name, 1, 10**9) for name in ("max_tokens", "max_completion_tokens")]
    alternatives = _whole(body, "top_logprobs", 0, _MAX_ALTERNATIVES)
    if not body.get("logprobs"):
        if alternatives:
            raise DataError("top_logprobs: needs logprobs: true")
        return Limits(choices, caps[0] or caps[1], None)
    return Limits(choices, caps[0] or caps[1], alternatives or 0)


def completion(body: Mapping[str, Any], answers: Sequence[Answer], limits: Limits, *, created: int) -> dict[str, Any]:
    """The reply to a request.

    Args:
        body: The request.
        answers: One for each choice.
        limits: From `read_limits`.
        created: Seconds since 1970.
    """
    choices = [_choice(index, answer, limits) for index, answer in enumerate(answers)]
    prompt = sum(4 + len(str(message.get("content"))) // _CHARACTERS_PER_TOKEN for message in body["messages"])
    written = sum(tokens for _, tokens in choices)
    return {
        "id": f"chatcmpl-simulated-{created}",
        "object": "chat.completion",
        "created": created,
        "model": body["model"],
        "choices": [choice for choice, _ in choices],
        "usage": {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written},
    }


def error_body(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    """An error as the protocol words it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _whole(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DataError(f"{name}: expected a whole number from {low} to {high}, got {value!r}")
    return value


def _choice(index: int, answer: Answer, limits: Limits) -> tuple[dict[str, Any], int]:
    tokens = _tokens(answer, plain=limits.alternatives is not None)
    kept = tokens[: limits.max_tokens]
    choice: dict[str, Any] = {
        "index": index,
        "message": {"role": "assistant", "content": "".join(kept), "refusal": None},
        "logprobs": None if limits.alternatives is None else _logprobs(kept, answer, limits.alternatives),
        "finish_reason": "stop" if len(kept) == len(tokens) else "length",
    }
    return choice, len(kept)


def _tokens(answer: Answer, *, plain: bool) -> list[str]:
    """The answer's tokens: mostly the bare label, sometimes dressed as models do; bare where its tokens are read."""
    if answer.label is None:
        # "I" is a label of roman numerals, and the first token must tell a refusal from an answer.
        worded = [tokens for text in _REFUSALS if (tokens := _TOKEN.findall(text))[0] not in answer.labels]
        return worded[int(answer.whim * len(worded))]
    if plain or answer.whim < _BARE:
        return [answer.label]
    return [answer.label, "."] if answer.whim < (1 + _BARE) / 2 else ["**", answer.label, "**"]


def _logprobs(tokens: Sequence[str], answer: Answer, count: int) -> dict[str, Any]:
    """Log-probabilities of every token; all but the first are certain."""
    held = _alternatives(answer, tokens[0])
    best = sorted(held.items(), key=lambda pair: -pair[1])[:count]
    content = [_token(tokens[0], held[tokens[0]], best)]
    content += [_token(token, 1.0, [(token, 1.0)][:count]) for token in tokens[1:]]
    return {"content": content, "refusal": None}


def _alternatives(answer: Answer, first: str) -> dict[str, float]:
    """Probabilities of the tokens an answer may begin with, summing to one."""
    other = 1 - _LABEL_MASS
    mass = _LABEL_MASS if answer.label is not None else _REFUSING_LABEL_MASS
    held = {word: other * share for word, share in _OTHERS}
    for label, probability in zip(answer.labels, answer.probabilities, strict=True):
        # Tokenizers have a second token for a word after a space.
        held[label] = mass * probability * (1 - _SPACED)
        held[f" {label}"] = mass * probability * _SPACED
    if answer.label is None:
        held[first] = 1 - other - mass
    return held


def _token(token: str, probability: float, alternatives: Sequence[tuple[str, float]]) -> dict[str, Any]:
    return _entry(token, probability) | {"top_logprobs": [_entry(*alternative) for alternative in alternatives]}


def _entry(token: str, probability: float) -> dict[str, Any]:
    # JSON has no minus infinity; servers report an impossible token as a very small one.
    logprob = math.log(probability) if probability > 0 else _IMPOSSIBLE
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
