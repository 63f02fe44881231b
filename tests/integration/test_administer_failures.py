"""Asking a real loopback server that fails in every way servers fail."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from asking import QUICK, TOY, Cut, ToyPlan, completion, endpoint, serving
from starlette.responses import JSONResponse, PlainTextResponse, Response

from psymetric.administration.administer import Responses, administer
from psymetric.administration.tables import responses_frame
from psymetric.errors import AuthFailed, ModelNotFound, ProviderError, RateLimited


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Responses]:
    """`administer`, quick and quiet, into the test's own store."""

    def call(plan: ToyPlan, **more: Any) -> Responses:
        settings = {"store": tmp_path / "run.db", "progress": False, "pace": QUICK} | more
        return administer(plan, **settings)

    return call


Ask = Callable[..., Responses]


def error(status: int, message: str = "no", headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status, headers=headers)


def once(failure: Response | Callable[[], Any]) -> Callable[[dict[str, Any], int], Any]:
    """Fail each question the first time, then answer."""

    def handler(body: dict[str, Any], before: int) -> Any:
        if before:
            return completion()
        return failure() if callable(failure) and not isinstance(failure, Response) else failure

    return handler


@pytest.mark.parametrize(
    "failure",
    [
        error(500),
        error(503),
        error(429),
        error(429, headers={"retry-after": "0"}),
        error(408),
        Cut(),
        PlainTextResponse('{"choices": [{"mess', media_type="application/json"),
        PlainTextResponse("<html>busy</html>", media_type="text/html"),
        Response(b"\xff\x00\xfe garbage", media_type="application/octet-stream"),
        Response(b""),
        JSONResponse({"choices": []}),
        JSONResponse({"error": {"code": 502, "message": "upstream"}}),
    ],
    ids=[
        "500",
        "503",
        "429",
        "429-after",
        "408",
        "cut",
        "half-json",
        "html",
        "bytes",
        "nothing",
        "no-choice",
        "error-200",
    ],
)
def test_passing_failures_are_retried_until_answered(ask: Ask, failure: Response) -> None:
    with serving(once(failure)) as log:
        responses = ask(ToyPlan(8, (endpoint(log.base_url),)))
    assert responses.counts == {"answered": 8}
    assert set(log.asked.values()) == {2}
    assert responses.frame["attempts"].tolist() == [2] * 8


def test_timeouts_are_retried(ask: Ask) -> None:
    async def late() -> Any:
        await asyncio.sleep(1)
        return completion()

    with serving(lambda _, before: completion() if before else late()) as log:
        responses = ask(ToyPlan(3, (endpoint(log.base_url, timeout=0.1),)))
    assert responses.counts == {"answered": 3}


@pytest.mark.parametrize("failure", [error(500, "always"), PlainTextResponse("junk"), completion("")])
def test_same_failure_is_tried_three_times_and_becomes_a_typed_row(ask: Ask, failure: Any) -> None:
    with serving(lambda body, _: failure if body["messages"][0]["content"] == "question 2" else completion()) as log:
        responses = ask(ToyPlan(6, (endpoint(log.base_url),)))
    assert log.asked["question 2"] == 3
    assert sum(log.asked.values()) == 8
    reason = "empty" if isinstance(failure, dict) else "transport"
    assert responses.counts == {"answered": 5, reason: 1}
    assert "Run the same command to ask the 1 again." in responses.message


def test_failed_and_empty_requests_are_asked_again_by_the_next_run(ask: Ask) -> None:
    mended = False

    def handler(body: dict[str, Any], _: int) -> Any:
        number = int(body["messages"][0]["content"].split()[1])
        return completion() if mended or number > 1 else (error(500), completion(""))[number]

    with serving(handler) as log:
        plan = ToyPlan(5, (endpoint(log.base_url),))
        assert ask(plan).counts == {"answered": 3, "transport": 1, "empty": 1}
        mended = True
        before = len(log.questions)
        responses = ask(plan)
    assert responses.counts == {"answered": 5}
    assert sorted(log.questions[before:]) == ["question 0", "question 1"]
    assert responses.frame["attempts"].tolist()[:2] == [4, 4]


def test_rejected_request_is_tried_once(ask: Ask) -> None:
    def handler(body: dict[str, Any], _: int) -> Any:
        return error(400, "too long") if body["messages"][0]["content"] == "question 3" else completion()

    with serving(handler) as log:
        responses = ask(ToyPlan(6, (endpoint(log.base_url),)))
    assert log.asked["question 3"] == 1
    assert responses.frame["detail"][3].endswith("request rejected (400: too long)")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (completion(None, refusal="I will not"), "refusal"),
        (completion("I'm sorry, I can't rate this."), "refusal"),
        (completion("", finish="content_filter"), "provider_filter"),
        (JSONResponse({"error": {"code": "content_filter", "message": "x"}}, status_code=400), "provider_filter"),
        (completion("well, the", finish="length"), "truncated"),
        (completion("3 or 4"), "unparsable"),
        (completion("9"), "off_scale"),
    ],
)
def test_models_own_non_responses_are_typed_kept_and_not_asked_again(ask: Ask, answer: Any, reason: str) -> None:
    with serving(lambda *_: answer) as log:
        plan = ToyPlan(4, (endpoint(log.base_url),))
        assert ask(plan).counts == {reason: 4}
        assert ask(plan).counts == {reason: 4}
    assert len(log.questions) == 4


def test_server_that_ignores_logprobs_is_given_up_after_three(ask: Ask) -> None:
    with serving(lambda *_: completion("4")) as log:
        plan = ToyPlan(50, (endpoint(log.base_url),), replace(TOY, readout="logprob"))
        with pytest.raises(ProviderError, match="the server returned no log-probabilities; use readout: sampled"):
            ask(plan)
        responses = ask(plan, throw=False)
    assert len(log.questions) == 6
    assert responses.counts["no_logprobs"] == 6
    assert "answered" not in responses.counts


@pytest.mark.parametrize(
    ("status", "kind", "match"),
    [
        (
            401,
            AuthFailed,
            r"judge.*access refused \(401: no\).*0 of 40 answers are stored in sqlite.*the same command",
        ),
        (403, AuthFailed, "access refused .403"),
        (404, ModelNotFound, r"no model 'toy' there \(404: no\); check model and base_url"),
    ],
)
def test_refused_access_and_unknown_models_stop_at_the_first_request(
    ask: Ask, status: int, kind: type[Exception], match: str
) -> None:
    with serving(lambda *_: error(status)) as log, pytest.raises(kind, match=match):
        ask(ToyPlan(40, (endpoint(log.base_url),)))
    assert len(log.questions) == 1


def test_other_endpoints_go_on_when_one_is_stopped(ask: Ask, tmp_path: Path) -> None:
    def handler(body: dict[str, Any], _: int) -> Any:
        return error(401, "bad key") if body["model"] == "locked" else completion()

    with serving(handler) as log:
        bad = endpoint(log.base_url, "bad").model_copy(update={"model": "locked"})
        plan = ToyPlan(20, (bad, endpoint(log.base_url, "good")))
        with pytest.raises(AuthFailed, match=r"endpoint 'bad'.*20 of 40 answers are stored"):
            ask(plan)
        responses = ask(plan, throw=False)
    # One request each time finds the key refused; the second run begins with one that was never asked.
    assert responses.counts == {"answered": 20, "transport": 2, "missing": 18}
    assert list(responses.stopped) == ["bad"]
    frame = responses_frame(tmp_path / "run.db", plan)
    assert frame.loc[frame["judge"] == "good", "reason"].isna().all()
    assert frame.loc[frame["judge"] == "bad", "reason"].isin(["missing", "transport"]).all()


def test_missing_key_is_one_clear_error_and_asks_nothing(ask: Ask) -> None:
    with (
        serving(lambda *_: completion()) as log,
        pytest.raises(AuthFailed, match="environment variable JUDGE_KEY is not set"),
    ):
        ask(ToyPlan(5, (endpoint(log.base_url, key_env="JUDGE_KEY"),)))
    assert log.questions == []


def test_key_is_sent_and_nowhere_in_the_store(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")

    def handler(body: dict[str, Any], before: int) -> Any:
        return completion() if before else error(500, "you sent sk-very-secret")

    with serving(handler) as log:
        responses = ask(ToyPlan(3, (endpoint(log.base_url, key_env="JUDGE_KEY"),)))
    assert {headers["authorization"] for headers in log.headers} == {"Bearer sk-very-secret"}
    assert responses.counts == {"answered": 3}
    assert not [path for path in tmp_path.iterdir() if b"very-secret" in path.read_bytes()]


def test_server_that_is_down_is_given_up_with_a_clear_error(ask: Ask) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    began = time.monotonic()
    with pytest.raises(ProviderError, match=r"cannot connect.*is the server running\?.*0 of 500 answers"):
        ask(ToyPlan(500, (endpoint(address),)))
    assert time.monotonic() - began < 5


def test_endless_429s_are_given_up_with_a_clear_error(ask: Ask) -> None:
    with (
        serving(lambda *_: error(429, "slow down")) as log,
        pytest.raises(RateLimited, match=r"too many requests \(429: slow"),
    ):
        ask(ToyPlan(500, (endpoint(log.base_url),)))
    assert len(log.questions) < 100


def test_retry_after_beyond_patience_is_given_up_at_once(ask: Ask) -> None:
    with (
        serving(lambda *_: error(429, headers={"retry-after": "86400"})) as log,
        pytest.raises(RateLimited, match="the server asks to wait 86400 s"),
    ):
        ask(ToyPlan(5, (endpoint(log.base_url),)))
    assert len(log.questions) == 1


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after-ms": "300"}, 0.3),
        ({"retry-after": "0.3"}, 0.3),
        ({"retry-after": "DATE"}, 0.3),
    ],
)
def test_retry_after_holds_the_whole_endpoint_back(ask: Ask, headers: dict[str, str], least: float) -> None:
    refused: list[float] = []

    def handler(_: dict[str, Any], __: int) -> Any:
        if len(log.questions) == 5:
            refused.append(time.monotonic())
            # An HTTP date has whole seconds: two from now is at least one away.
            sent = {k: formatdate(time.time() + 2, usegmt=True) if v == "DATE" else v for k, v in headers.items()}
            return error(429, headers=sent)
        return completion()

    with serving(handler) as log:
        responses = ask(ToyPlan(40, (endpoint(log.base_url, max_concurrency=1),)))
    assert responses.counts == {"answered": 40}
    assert min(t for t in log.times if t > refused[0]) - refused[0] >= least


def test_storm_of_429s_costs_no_answer(ask: Ask) -> None:
    """A server that takes at most eight at once, and says so, gets everything done at about eight."""

    async def slow() -> Any:
        await asyncio.sleep(0.01)
        return completion()

    def handler(_: dict[str, Any], __: int) -> Any:
        return error(429, headers={"retry-after-ms": "20"}) if log.in_flight > 8 else slow()

    with serving(handler) as log:
        responses = ask(ToyPlan(150, (endpoint(log.base_url),)))
    assert responses.counts == {"answered": 150}
    assert len(log.questions) > 150
