"""Scripted answers."""

from __future__ import annotations

import asyncio
import math

import httpx
import pytest
from asking import TOY

from psymetric.errors import ProviderError, StudyError
from psymetric.providers.base import ModelEndpoint, Prompt, Reply
from psymetric.providers.scripted import Scripted, from_endpoint


def ask(provider: Scripted, prompt: Prompt = TOY) -> Reply:
    async def once() -> Reply:
        async with httpx.AsyncClient() as client:
            return await provider.ask(prompt, client)

    return asyncio.run(once())


def test_lists_are_answered_in_turn_and_start_again() -> None:
    provider = Scripted(["1", "2"])
    assert [ask(provider).text for _ in range(3)] == ["1", "2", "1"]


def test_functions_see_the_prompt_and_may_be_async() -> None:
    async def later(prompt: Prompt) -> str:
        return prompt.labels[-1]

    assert ask(Scripted(lambda prompt: prompt.labels[0])).text == "1"
    assert ask(Scripted(later)).text == "5"


def test_probabilities_become_log_probabilities() -> None:
    reply = ask(Scripted([{"1": 0.25, "2": 0.75, "3": 0.0}]))
    assert reply.first_token_logprobs == (("1", math.log(0.25)), ("2", math.log(0.75)))
    assert reply.text == "2"


def test_exceptions_are_raised_and_replies_pass_through() -> None:
    with pytest.raises(ProviderError, match="down"):
        ask(Scripted([ProviderError("down")]))
    assert ask(Scripted([Reply("x", refusal="no")])).refusal == "no"


def test_requests_are_recorded() -> None:
    assert ask(Scripted(["1"])).request["messages"] == [{"role": "user", "content": ""}]


def test_empty_scripts_are_refused() -> None:
    with pytest.raises(StudyError, match="no replies"):
        Scripted([])
    with pytest.raises(StudyError, match="needs replies"):
        from_endpoint(ModelEndpoint(name="j", provider="scripted"))
