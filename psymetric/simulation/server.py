"""A loopback server that speaks the chat-completions protocol for the judges of a world.

    with serve(world) as base_url:
        ...  # ask `f"{base_url}/chat/completions"`, as any other endpoint

It answers by reading the prompts it is sent, and can be told to fail as real servers do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from psymetric.errors import DataError, DesignError, ModelNotFound
from psymetric.simulation.protocol import completion, error_body, read_limits
from psymetric.simulation.respond import Respondents
from psymetric.simulation.truth import World

__all__ = ["Faults", "application", "serve"]

_START_S: Final = 10.0
_STOP_S: Final = 5.0
_MALFORMED: Final = (
    b'{"id": "chatcmpl-simulated", "choices": [{"index": 0, "mess',
    b"<html><body>502 Bad Gateway</body></html>",
    b'{"id": "chatcmpl-simulated", "choices": []}',
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often the server fails in place of answering, as shares of the requests that come in.

    A request that has failed `repeats` times is answered, so that a client that retries always ends.

    Attributes:
        rate_limited: Share answered with status 429.
        retry_after: Seconds that a 429 announces in `Retry-After`; None announces nothing.
        server_error: Share answered with status 500.
        malformed: Share answered with status 200 and a body that is no completion.
        repeats: How often one request may fail.
        seed: Which requests fail.

    Raises:
        DesignError: Shares that are negative or sum to more than 1.
    """

    rate_limited: float = 0.0
    retry_after: float | None = None
    server_error: float = 0.0
    malformed: float = 0.0
    repeats: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.rate_limited, self.server_error, self.malformed)
        if not all(share >= 0 for share in shares) or sum(shares) > 1:
            raise DesignError(f"Faults: shares must be 0 or more and sum to at most 1, got {shares}")


@contextmanager
def serve(
    world: World, *, latency_s: float = 0.0, faults: Faults | None = None, host: str = "127.0.0.1", port: int = 0
) -> Generator[str]:
    """Run the server of a world in a thread for as long as the block lasts.

    Args:
        world: Whose judges answer.
        latency_s: Seconds before every reply.
        faults: Failures in place of answers.
        host: Address to listen on.
        port: Port; 0 takes a free one. A fixed one lets a later run continue a store, whose keys hold the address.

    Yields:
        The base URL, such as "http://127.0.0.1:40123/v1".

    Raises:
        DesignError: The port is taken, or the server does not start.
    """
    config = uvicorn.Config(
        application(world, latency_s=latency_s, faults=faults),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        backlog=4096,
        timeout_graceful_shutdown=1,
    )
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, a reply waits 40 ms for an ACK.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise DesignError(f"serve: cannot listen on {host}:{port} ({error.strerror}); take port=0") from error
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="simulated-judges", daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield f"http://{host}:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(_STOP_S)


def application(world: World, *, latency_s: float = 0.0, faults: Faults | None = None) -> Starlette:
    """The server of a world as an ASGI application, to mount elsewhere or to call in a test without a socket."""
    handler = _Handler(Respondents(world), latency_s, faults or Faults())
    return Starlette(
        routes=[
            Route("/v1/chat/completions", handler.complete, methods=["POST"]),
            Route("/v1/models", handler.models, methods=["GET"]),
        ]
    )


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise DesignError(f"serve: the simulated server did not start within {_START_S:g} s")
        time.sleep(0.002)


class _Handler:
    """The routes; its only state counts how often each request has failed."""

    def __init__(self, respondents: Respondents, latency_s: float, faults: Faults) -> None:
        self._respondents, self._latency_s, self._faults = respondents, latency_s, faults
        self._failed: Counter[bytes] = Counter()
        self._fails = faults.rate_limited + faults.server_error + faults.malformed > 0

    async def complete(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        raw = await request.body()
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        if self._fails and (failure := self._failure(raw)) is not None:
            return failure
        try:
            body: Any = json.loads(raw)
        except (ValueError, RecursionError) as error:
            return _refused(HTTPStatus.BAD_REQUEST, f"the request body is not JSON: {error}")
        if not isinstance(body, dict):
            return _refused(HTTPStatus.BAD_REQUEST, f"the request body must be an object, got a {type(body).__name__}")
        try:
            limits = read_limits(body)
            answers = [self._respondents.answer(body, choice=i) for i in range(limits.choices)]
            return _json(completion(body, answers, limits, created=int(time.time())))
        except ModelNotFound as error:
            return _refused(HTTPStatus.NOT_FOUND, str(error), code="model_not_found")
        except DataError as error:
            return _refused(HTTPStatus.BAD_REQUEST, str(error))

    async def models(self, request: Request) -> Response:  # noqa: ARG002
        """GET /v1/models."""
        names = self._respondents.judges
        entries = [{"id": name, "object": "model", "created": 0, "owned_by": "psymetric"} for name in names]
        return _json({"object": "list", "data": entries})

    def _failure(self, raw: bytes) -> Response | None:
        """The failure that this attempt at this request meets, if any."""
        faults = self._faults
        identity = hashlib.blake2b(raw, digest_size=12).digest()
        earlier = self._failed[identity]
        if earlier >= faults.repeats:
            return None
        digest = hashlib.blake2b(identity + f"{faults.seed}:{earlier}".encode(), digest_size=8).digest()
        draw = (int.from_bytes(digest, "big") >> 11) / 2**53
        if draw >= faults.rate_limited + faults.server_error + faults.malformed:
            return None
        self._failed[identity] += 1
        if draw < faults.rate_limited:
            headers = {} if faults.retry_after is None else {"retry-after": f"{faults.retry_after:g}"}
            message = "too many requests; slow down"
            return _refused(HTTPStatus.TOO_MANY_REQUESTS, message, code="rate_limit_exceeded", headers=headers)
        if draw < faults.rate_limited + faults.server_error:
            return _refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the server stumbled; try again", code="server_error")
        return Response(_MALFORMED[digest[0] % len(_MALFORMED)], media_type="application/json")


def _json(content: dict[str, Any], status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(content, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


def _refused(
    status: HTTPStatus, message: str, *, code: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return _json(error_body(message, kind=kind, code=code), status, headers)
