"""Request body and reply parsing of the chat-completions protocol, without a server."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from asking import TOY, completion, endpoint

from psymetric.errors import AuthFailed, ProviderError, RequestTimeout, StudyError, UnparsableReply
from psymetric.providers.base import ModelEndpoint, Prompt, Reply
from psymetric.providers.openai_compatible import OpenAICompatible

URL = "http://127.0.0.1:1/v1"


def ask(
    handler: Callable[[httpx.Request], httpx.Response] | dict[str, Any], prompt: Prompt = TOY, **settings: Any
) -> Reply:
    """Ask once through a mock transport; a dict is the body of a 200."""
    answer = handler if callable(handler) else lambda _: httpx.Response(200, json=handler)

    async def once() -> Reply:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await OpenAICompatible(endpoint(URL, **settings)).ask(prompt, client)

    return asyncio.run(once())


def sent(prompt: Prompt = TOY, **settings: Any) -> tuple[dict[str, Any], httpx.Request]:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=completion())

    reply = ask(answer, prompt, **settings)
    body = json.loads(seen[0].content)
    assert reply.request == body
    return body, seen[0]


def test_body_holds_the_prompt_and_nothing_else() -> None:
    prompt = replace(TOY, messages=(("system", "s"), ("user", "u")), temperature=0.7, max_tokens=9)
    body, request = sent(prompt)
    assert body == {
        "model": "toy",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "temperature": 0.7,
        "max_tokens": 9,
    }
    assert str(request.url) == f"{URL}/chat/completions"
    assert "authorization" not in request.headers


def test_seed_logprobs_and_settings_reach_the_body() -> None:
    body, _ = sent(
        replace(TOY, seed=3, readout="logprob"),
        top_logprobs=5,
        max_tokens_field="max_completion_tokens",
        omit=("temperature",),
        extra_body={"top_p": 0.5},
    )
    assert (body["seed"], body["logprobs"], body["top_logprobs"], body["top_p"]) == (3, True, 5, 0.5)
    assert body["max_completion_tokens"] == 16
    assert "temperature" not in body
    assert "max_tokens" not in body


def test_key_is_sent_and_kept_out_of_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")
    body, request = sent(key_env="JUDGE_KEY")
    assert request.headers["authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in json.dumps(body)
    with pytest.raises(AuthFailed) as caught:
        ask(lambda _: httpx.Response(401, text="wrong key sk-very-secret"), key_env="JUDGE_KEY")
    assert "sk-very-secret" not in str(caught.value)
    with pytest.raises(UnparsableReply) as garbled:
        ask(lambda _: httpx.Response(200, text="x" * 497 + "sk-very-secret"), key_env="JUDGE_KEY")
    assert "sk-v" not in str(garbled.value) + garbled.value.raw


def test_reply_carries_what_the_server_said() -> None:
    reply = ask(completion("4", finish="stop", usage=(11, 2)))
    assert (reply.text, reply.finish_reason, reply.model) == ("4", "stop", "toy-echo")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (11, 2)
    assert reply.first_token_logprobs is None
    assert reply.latency_s >= 0


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, ""), ("", ""), ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "ab")],
)
def test_content_may_be_absent_or_in_parts(content: Any, text: str) -> None:
    assert ask(completion(content)).text == text


def test_refusals_and_filters_are_replies() -> None:
    assert ask(completion(None, refusal="I will not")).refusal == "I will not"
    assert ask(completion("", finish="content_filter")).finish_reason == "content_filter"
    blocked = {"error": {"code": "content_filter", "message": "filtered"}}
    assert ask(lambda _: httpx.Response(400, json=blocked)).finish_reason == "content_filter"
    assert ask(lambda _: httpx.Response(200, json=blocked)).finish_reason == "content_filter"


def test_missing_usage_and_model_are_none() -> None:
    reply = ask({"choices": [{"message": {"content": "4"}}]})
    assert (reply.usage.prompt_tokens, reply.model, reply.finish_reason) == (None, None, None)


def test_logprobs_keep_each_token_once_and_only_numbers() -> None:
    top = [("4", -0.1), (" 4", -3.0), ("4", -0.1), ("5", math.log(0.5)), ("x", -9999.0)]
    reply = ask(completion(top=top))
    assert dict(reply.first_token_logprobs or ()) == {"4": -0.1, " 4": -3.0, "5": math.log(0.5), "x": -9999.0}


def _tokens(*tokens: tuple[str, list[tuple[str, float]]]) -> dict[str, Any]:
    body = completion("".join(token for token, _ in tokens))
    content = [
        {"token": token, "logprob": -0.1, "top_logprobs": [{"token": t, "logprob": lp} for t, lp in top]}
        for token, top in tokens
    ]
    body["choices"][0]["logprobs"] = {"content": content}
    return body


def test_first_answer_token_comes_after_blanks_and_thought() -> None:
    body = _tokens(("<think>", [("9", -1.0)]), ("2", [("2", -1.0)]), ("</think>", []), ("\n", []), ("4", [("4", -0.5)]))
    assert ask(body).first_token_logprobs == (("4", -0.5),)


def test_unfinished_thought_has_no_answer_token() -> None:
    assert ask(_tokens(("<think>", [("9", -1.0)]), ("2", [("2", -1.0)]))).first_token_logprobs is None


def test_ignored_logprobs_are_none_not_certainty() -> None:
    assert ask(_tokens(("4", []))).first_token_logprobs is None


def test_older_logprob_layout_is_read() -> None:
    body = completion("4")
    body["choices"][0]["logprobs"] = {"tokens": ["4"], "top_logprobs": [{"4": -0.1, "5": -2.0}], "content": None}
    assert ask(body).first_token_logprobs == (("4", -0.1), ("5", -2.0))


@pytest.mark.parametrize(
    ("response", "match"),
    [
        (httpx.Response(200, content=b'{"choices": [{"mess'), "not JSON .no content type, 19 bytes"),
        (httpx.Response(200, text="<html>", headers={"content-type": "text/html"}), "not JSON .text/html"),
        (httpx.Response(200, content=b"\xff\xfe\x00garbage"), "not JSON"),
        (httpx.Response(200, content=b""), "0 bytes"),
        (httpx.Response(200, content=b"[" * 100_000), "not JSON"),
        (httpx.Response(200, json=[]), "not a chat completion"),
        (httpx.Response(200, json={"choices": []}), "choices is empty"),
        (httpx.Response(200, json={"choices": [{"message": {"content": 4}}]}), r"choices.0.message.content"),
    ],
)
def test_bodies_that_are_no_completion_are_unparsable(response: httpx.Response, match: str) -> None:
    with pytest.raises(UnparsableReply, match=match):
        ask(lambda _: response)


def test_error_inside_a_200_is_an_error() -> None:
    with pytest.raises(ProviderError, match=r"too many requests \(429: slow down"):
        ask({"error": {"code": 429, "message": "slow down"}})
    with pytest.raises(ProviderError, match=r"server error \(500: oops"):
        ask({"error": {"message": "oops"}})


@pytest.mark.parametrize(
    ("raised", "kind", "match"),
    [
        (httpx.ConnectError("refused"), ProviderError, "cannot connect .refused.; is the server running"),
        (httpx.ReadTimeout("slow"), RequestTimeout, "no complete reply within 5 s"),
        (httpx.ReadError("cut"), ProviderError, "connection lost .ReadError: cut"),
        (ValueError("odd"), ProviderError, "connection lost .ValueError: odd"),
    ],
)
def test_transport_failures_are_typed(raised: Exception, kind: type, match: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(kind, match=match) as caught:
        ask(fail)
    assert caught.value.retryable


def test_whole_exchange_is_bounded_by_the_timeout() -> None:
    async def slow(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        raise AssertionError

    with pytest.raises(RequestTimeout, match=r"within 0\.05 s"):
        ask(slow, timeout=0.05)  # type: ignore[arg-type]


def test_endpoint_without_address_or_model_is_refused() -> None:
    with pytest.raises(StudyError, match="needs base_url and model"):
        OpenAICompatible(ModelEndpoint(name="judge"))
