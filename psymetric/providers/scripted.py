"""Answers from a list or a function, without a network: for tests, dry runs and models that live in this process."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, final

import httpx

from psymetric.errors import StudyError
from psymetric.providers.base import ModelEndpoint, Prompt, Reply

__all__ = ["Answer", "Scripted", "from_endpoint"]

Answer: TypeAlias = str | Mapping[str, float] | Reply | Exception
"""A text, label probabilities (readout "logprob"), a whole reply, or an exception to raise."""


@final
class Scripted:
    """Answers each prompt from a function of it, or from a list in turn (starting again at its end).

    Args:
        answers: A function from `Prompt` to an answer, sync or async; or a list of answers.

    Raises:
        StudyError: The list is empty.

    Example:
        >>> provider = Scripted(lambda prompt: prompt.labels[-1])
    """

    name = "scripted"

    def __init__(self, answers: Callable[[Prompt], Answer | Awaitable[Answer]] | Sequence[Answer]) -> None:
        if not callable(answers) and not answers:
            raise StudyError("provider scripted: no replies; give at least one")
        self._answers = answers
        self._asked = 0

    async def ask(self, prompt: Prompt, client: httpx.AsyncClient, *, key: str = "") -> Reply:  # noqa: ARG002
        """Answer once; see `Provider.ask`.

        Raises:
            Exception: Where the script holds or returns one.
        """
        index, self._asked = self._asked, self._asked + 1
        if callable(self._answers):
            outcome = self._answers(prompt)
            answer = await outcome if inspect.isawaitable(outcome) else outcome
        else:
            answer = self._answers[index % len(self._answers)]
        if isinstance(answer, Exception):
            raise answer
        return _reply(answer, prompt)


def from_endpoint(endpoint: ModelEndpoint) -> Scripted:
    """The provider for an endpoint, answering with its `replies`."""
    if not endpoint.replies:
        raise StudyError(f"endpoint {endpoint.name!r}: provider scripted needs replies, a list of texts")
    return Scripted(endpoint.replies)


def _reply(answer: str | Mapping[str, float] | Reply, prompt: Prompt) -> Reply:
    request: dict[str, Any] = {
        "messages": [{"role": role, "content": content} for role, content in prompt.messages],
        "temperature": prompt.temperature,
        "max_tokens": prompt.max_tokens,
        "seed": prompt.seed,
    }
    if isinstance(answer, Reply):
        return answer if answer.request else replace(answer, request=request)
    if isinstance(answer, str):
        return Reply(answer, finish_reason="stop", request=request)
    likely = max(answer, key=lambda token: answer[token])
    logprobs = tuple((token, math.log(p)) for token, p in answer.items() if p > 0)
    return Reply(likely, finish_reason="stop", first_token_logprobs=logprobs, request=request)
