from __future__ import annotations

import math
import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from psymetric.administration.parsing import parse_answer
from psymetric.data.nonresponse import NonResponse
from psymetric.design.labels import LABEL_SETS
from psymetric.design.rendering import render
from psymetric.errors import DesignError
from psymetric.instruments import load_instrument
from psymetric.simulation.drawing import draw_world
from psymetric.simulation.protocol import completion, read_limits
from psymetric.simulation.respond import Respondents
from psymetric.simulation.server import Faults, serve
from psymetric.simulation.truth import SimulatedJudge, World

TEXTS = {"one": ["text one"], "two": ["text two"]}
INSTRUMENT = load_instrument("empathy-rubric")


def world() -> World:
    judges = (SimulatedJudge(name="plain"), SimulatedJudge(name="never", refusal=1.0))
    return draw_world(INSTRUMENT, subjects=TEXTS, judges=judges, seed=4)


def body(model: str = "plain", seed: int = 0, label: str = "letters", **more: Any) -> dict[str, Any]:
    prompt = render(INSTRUMENT, item="exploration", texts=["text one"], template="assessor", label=label)
    sent = [{"role": role, "content": content} for role, content in prompt.messages]
    return {"model": model, "messages": sent, "seed": seed, "max_tokens": 16, **more}


def test_speaks_the_protocol() -> None:
    with serve(world()) as url, httpx.Client() as client:
        reply = client.post(f"{url}/chat/completions", json=body()).json()
        assert (reply["object"], reply["model"]) == ("chat.completion", "plain")
        choice = reply["choices"][0]
        assert choice["message"]["role"] == "assistant"
        assert choice["finish_reason"] == "stop"
        assert choice["logprobs"] is None
        assert choice["message"]["content"].strip("*.") in {"A", "B", "C"}
        assert reply["usage"]["prompt_tokens"] > 50
        assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]
        listed = client.get(f"{url}/models").json()
        assert [model["id"] for model in listed["data"]] == ["plain", "never"]
        assert client.post(f"{url}/chat/completions", json=body()).json()["choices"] == reply["choices"]
        assert len(client.post(f"{url}/chat/completions", json=body(n=3)).json()["choices"]) == 3


def test_logprobs_are_the_probabilities() -> None:
    sent = body(logprobs=True, top_logprobs=20)
    answer = Respondents(world()).answer(sent)
    with serve(world()) as url:
        reply = httpx.post(f"{url}/chat/completions", json=sent).json()
    first = reply["choices"][0]["logprobs"]["content"][0]
    assert first["token"] == reply["choices"][0]["message"]["content"]
    held = {entry["token"]: math.exp(entry["logprob"]) for entry in first["top_logprobs"]}
    assert sum(held.values()) == pytest.approx(1)
    assert list(held.values()) == sorted(held.values(), reverse=True)
    mass = sum(held[label] + held[f" {label}"] for label in answer.labels)
    for label, probability in zip(answer.labels, answer.probabilities, strict=True):
        assert (held[label] + held[f" {label}"]) / mass == pytest.approx(probability)
    few = completion(sent, [answer], read_limits(body(logprobs=True, top_logprobs=2)), created=0)
    assert len(few["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2


@pytest.mark.parametrize("label", LABEL_SETS)
def test_every_answer_and_refusal_is_read_as_what_it_is(label: str) -> None:
    respondents = Respondents(world())
    seen: Counter[str] = Counter()
    for seed in range(150):
        for model in ("plain", "never"):
            sent = body(model, seed, label)
            answer = respondents.answer(sent)
            choice = completion(sent, [answer], read_limits(sent), created=0)["choices"][0]
            text = choice["message"]["content"]
            reading = parse_answer(text, answer.labels, [0, 1, 2], finish_reason=choice["finish_reason"])
            if model == "never":
                assert reading.reason is NonResponse.refusal, text
                seen[text] += 1
            else:
                assert reading.category == answer.labels.index(str(answer.label)), text
                seen["dressed" if text != answer.label else "bare"] += 1
    assert seen["bare"] > seen["dressed"] > 0
    # All five refusals, but only the one that does not begin with the label "I".
    assert len(seen) == 2 + (1 if label == "roman" else 5)


def test_a_refusal_holds_little_of_the_first_token() -> None:
    sent = body("never", logprobs=True, top_logprobs=20)
    reply = completion(sent, [Respondents(world()).answer(sent)], read_limits(sent), created=0)
    top = {e["token"]: math.exp(e["logprob"]) for e in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}
    assert sum(top.get(name, 0.0) for name in ("A", "B", "C", " A", " B", " C")) < 0.1
    assert sum(top.values()) == pytest.approx(1)


def test_the_token_cap_cuts() -> None:
    sent = body("never", max_tokens=2)
    choice = completion(sent, [Respondents(world()).answer(sent)], read_limits(sent), created=0)["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"]) < 12


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "must be an object, got a list"),
        ({"model": "plain", "messages": [{"role": "user", "content": "Hi"}]}, 400, "no wording of 'empathy-rubric'"),
        ({"model": "nobody", "messages": []}, 404, "no model 'nobody'; there are never, plain"),
        (body(top_logprobs=21, logprobs=True), 400, "top_logprobs: expected a whole number from 0 to 20, got 21"),
        (body(top_logprobs=5), 400, "needs logprobs: true"),
        (body(stream=True), 400, "whole replies only"),
        (body(n=99), 400, "n: expected a whole number from 1 to 16"),
        (body(max_tokens=True), 400, "max_tokens: expected a whole number"),
    ],
)
def test_bad_requests_are_explained(sent: Any, status: int, message: str) -> None:
    with serve(world()) as url:
        content = {"content": sent} if isinstance(sent, bytes) else {"json": sent}
        reply = httpx.post(f"{url}/chat/completions", **content)
    assert reply.status_code == status
    assert message in reply.json()["error"]["message"]
    assert reply.json()["error"]["code"] == ("model_not_found" if status == 404 else None)


def test_shuts_down_and_frees_its_port() -> None:
    before = threading.active_count()
    with serve(world()) as url, httpx.Client() as kept_open:
        kept_open.get(f"{url}/models")
        port = httpx.URL(url).port
    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models")
    with serve(world(), port=port) as again:
        assert again == url
        with pytest.raises(DesignError, match=rf"cannot listen on 127\.0\.0\.1:{port}"), serve(world(), port=port):
            pass


def test_an_error_inside_the_block_still_stops_the_server() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), serve(world()):
        raise ZeroDivisionError
    assert threading.active_count() == before


def test_faults_come_at_their_rates_and_end() -> None:
    faults = Faults(rate_limited=0.3, retry_after=1.5, server_error=0.2, malformed=0.1, repeats=2)
    statuses: Counter[object] = Counter()
    with serve(world(), faults=faults) as url, httpx.Client() as client:
        for seed in range(150):
            for attempt in range(3):
                reply = client.post(f"{url}/chat/completions", json=body(seed=seed))
                broken = reply.status_code == 200 and '"usage"' not in reply.text
                statuses["malformed" if broken else reply.status_code] += attempt == 0
                if reply.status_code == 429:
                    assert reply.headers["retry-after"] == "1.5"
                if reply.status_code == 200 and not broken:
                    break
            else:
                pytest.fail("a request failed more often than `repeats`")
    # Four standard errors of a share of 150 requests.
    for kind, share in ((429, 0.3), (500, 0.2), ("malformed", 0.1), (200, 0.4)):
        assert statuses[kind] / 150 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 150))


def test_a_limit_without_an_announcement() -> None:
    with serve(world(), faults=Faults(rate_limited=1.0, repeats=1)) as url:
        replies = [httpx.post(f"{url}/chat/completions", json=body()) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [429, 200]
    assert "retry-after" not in replies[0].headers


@pytest.mark.parametrize("shares", [{"rate_limited": -0.1}, {"rate_limited": 0.6, "server_error": 0.6}])
def test_impossible_faults_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(DesignError, match="sum to at most 1"):
        Faults(**shares)


def test_latency_is_waited_for() -> None:
    with serve(world(), latency_s=0.15) as url:
        assert httpx.post(f"{url}/chat/completions", json=body()).elapsed.total_seconds() >= 0.15
