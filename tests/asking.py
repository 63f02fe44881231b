"""Help for tests that ask: a small plan, and a loopback server that fails on command."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from psymetric.administration.pace import Pace
from psymetric.providers.base import ModelEndpoint, Prompt, request_key

QUICK = Pace(first_wait=0.01, longest_wait=0.05, growth_pause=0.05)
"""Waits short enough for tests."""

LABELS = ("1", "2", "3", "4", "5")
TOY = Prompt((("user", ""),), LABELS, (0, 1, 2, 3, 4))


@dataclass(frozen=True)
class ToyPlan:
    """The least a plan can be: `n` questions to each endpoint, "question 0" to "question n-1"."""

    n: int
    endpoints: tuple[ModelEndpoint, ...]
    base: Prompt = TOY
    budget: Any = None

    @property
    def frame(self) -> pd.DataFrame:
        rows = [(i % self.n, self.endpoints[i // self.n].name) for i in range(self.n * len(self.endpoints))]
        frame = pd.DataFrame(rows, columns=["item", "judge"])
        keys = [request_key(self.prompt(i), self.endpoint(i), 1) for i in range(len(rows))]
        return frame.assign(key=keys)

    def prompt(self, i: int) -> Prompt:
        return replace(self.base, messages=(("user", f"question {i % self.n}"),))

    def endpoint(self, i: int) -> ModelEndpoint:
        return self.endpoints[i // self.n]


def endpoint(base_url: str, name: str = "judge", **more: Any) -> ModelEndpoint:
    """An endpoint on loopback that fails fast."""
    return ModelEndpoint(name=name, base_url=base_url, model="toy", **({"timeout": 5.0} | more))


def completion(
    text: str | None = "4",
    *,
    finish: str | None = "stop",
    refusal: str | None = None,
    top: Sequence[tuple[str, float]] | None = None,
    usage: tuple[int, int] | None = (10, 1),
) -> dict[str, Any]:
    """A chat completion as servers send it."""
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    if refusal is not None:
        choice["message"]["refusal"] = refusal
    if top is not None:
        alternatives = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in top]
        choice["logprobs"] = {"content": [{**alternatives[0], "top_logprobs": alternatives}]}
    body: dict[str, Any] = {"id": "x", "object": "chat.completion", "model": "toy-echo", "choices": [choice]}
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return body


Handler = Callable[[dict[str, Any], int], Any]
"""From (request body, how often this question came before) to a Response, a dict to send as JSON, or an awaitable."""


@dataclass
class Log:
    """What the server saw."""

    questions: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    base_url: str = ""

    @property
    def asked(self) -> Counter[str]:
        return Counter(self.questions)


class Cut(Response):
    """Promise a long body, send its beginning, and drop the connection."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"1000"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"choices": [', "more_body": True})
        raise ConnectionResetError


def app(handler: Handler, log: Log) -> Starlette:
    """A chat-completions server that answers by `handler`."""

    async def chat(request: Request) -> Response:
        body = json.loads(await request.body())
        question = body["messages"][-1]["content"]
        before = log.questions.count(question) if len(log.questions) < 2_000 else 0
        log.questions.append(question)
        log.bodies.append(body)
        log.headers.append(dict(request.headers))
        log.times.append(time.monotonic())
        log.in_flight += 1
        log.most_in_flight = max(log.most_in_flight, log.in_flight)
        try:
            outcome = handler(body, before)
            if isinstance(outcome, Awaitable):
                outcome = await outcome
        finally:
            log.in_flight -= 1
        return outcome if isinstance(outcome, Response) else JSONResponse(outcome)

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


@contextmanager
def serving(handler: Handler) -> Iterator[Log]:
    """Serve on a free loopback port; yields what the server sees."""
    log = Log()
    config = uvicorn.Config(app(handler, log), host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    server.config.load()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        if time.monotonic() > deadline:
            raise RuntimeError("the test server did not start")
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    log.base_url = f"http://127.0.0.1:{port}/v1"
    try:
        yield log
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
