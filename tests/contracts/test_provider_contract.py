"""What every provider promises, run over every provider there is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from asking import TOY, completion

from psymetric.errors import ProviderError, StudyError
from psymetric.providers._discovery import available_providers, provider_for
from psymetric.providers.base import ModelEndpoint, Prompt, Provider, Reply
from psymetric.providers.openai_compatible import OpenAICompatible
from psymetric.providers.replay import Replay
from psymetric.providers.scripted import Scripted

OPENAI = ModelEndpoint(name="judge", base_url="http://127.0.0.1:1/v1", model="toy", key_env="JUDGE_KEY")
PROMPT = replace(TOY, messages=(("system", "s"), ("user", "ask me")))

# Each provider, and how to make one that answers "4".
ANSWERING: dict[str, Callable[[], Provider]] = {
    "openai_compatible": lambda: OpenAICompatible(OPENAI),
    "replay": lambda: Replay({"k": Reply("4", "stop")}),
    "scripted": lambda: Scripted(["4"]),
}
FAILING: dict[str, Callable[[], Provider]] = {
    "openai_compatible": lambda: OpenAICompatible(OPENAI),
    "replay": lambda: Replay({}),
    "scripted": lambda: Scripted([ProviderError("no")]),
}


def ask(provider: Provider, response: httpx.Response, prompt: Prompt = PROMPT) -> Reply:
    async def once() -> Reply:
        async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response)) as client:
            return await provider.ask(prompt, client, key="k")

    return asyncio.run(once())


def test_every_provider_is_under_contract() -> None:
    assert tuple(ANSWERING) == tuple(FAILING) == available_providers()


@pytest.mark.parametrize("name", available_providers())
class TestContract:
    @pytest.fixture(autouse=True)
    def key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")

    def test_is_called_as_its_file(self, name: str) -> None:
        assert ANSWERING[name]().name == name

    def test_asks_asynchronously_with_the_agreed_parameters(self, name: str) -> None:
        provider = ANSWERING[name]()
        assert inspect.iscoroutinefunction(provider.ask)
        assert list(inspect.signature(provider.ask).parameters) == ["prompt", "client", "key"]

    def test_answers_with_a_reply(self, name: str) -> None:
        reply = ask(ANSWERING[name](), httpx.Response(200, json=completion("4")))
        assert isinstance(reply, Reply)
        assert (reply.text, reply.finish_reason) == ("4", "stop")

    def test_leaves_the_prompt_alone(self, name: str) -> None:
        before = replace(PROMPT)
        ask(ANSWERING[name](), httpx.Response(200, json=completion("4")))
        assert before == PROMPT

    def test_failure_is_a_provider_error(self, name: str) -> None:
        with pytest.raises(ProviderError):
            ask(FAILING[name](), httpx.Response(500))

    def test_key_is_in_no_reply_repr_or_error(self, name: str) -> None:
        provider = ANSWERING[name]()
        reply = ask(provider, httpx.Response(200, json=completion("4")))
        with pytest.raises(ProviderError) as caught:
            ask(FAILING[name](), httpx.Response(500, text="sk-very-secret"))
        seen = [repr(reply), repr(provider), repr(vars(provider)), str(caught.value), repr(caught.value)]
        assert not [text for text in seen if "sk-very-secret" in text]

    def test_is_made_from_an_endpoint_or_says_what_that_lacks(self, name: str) -> None:
        with pytest.raises(StudyError, match=r"endpoint 'judge': provider .* needs"):
            provider_for(ModelEndpoint(name="judge", provider=name))


def test_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(StudyError, match=r"no provider 'openai'.*did you mean 'openai_compatible'"):
        provider_for(ModelEndpoint(name="judge", provider="openai"))


def test_endpoints_choose_their_provider() -> None:
    settings: dict[str, Any] = {"provider": "scripted", "replies": ("1",)}
    assert isinstance(provider_for(OPENAI), OpenAICompatible)
    assert isinstance(provider_for(ModelEndpoint(name="judge", **settings)), Scripted)
