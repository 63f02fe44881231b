"""One endpoint's part of a run: what to send next, what to do with what comes back, when to give up."""

from __future__ import annotations

import asyncio
import heapq
import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from psymetric.administration.budget import Charge, Fits, Ledger, charged, expected
from psymetric.administration.failures import counts_as_call, deterministic, stops_endpoint
from psymetric.administration.pace import Pace, RateGate, Window, backoff
from psymetric.administration.readout import read_reply
from psymetric.administration.records import NOT_FINAL, failure_row, reply_row
from psymetric.data.nonresponse import NonResponse
from psymetric.errors import ProviderError, PsymetricError, RateLimited

if TYPE_CHECKING:
    import httpx

    from psymetric.administration.parsing import Reading
    from psymetric.administration.writer import Writer
    from psymetric.providers.base import ModelEndpoint, Prompt, Provider, Reply

__all__ = ["Job", "Lane", "Shared"]

_BUDGET_POLL_S: Final = 0.02
_IDENTIFIER: Final = re.compile(r"[\w-]*\d[\w-]*")


class RendersPrompts(Protocol):
    """What a lane needs of a plan."""

    def prompt(self, i: int) -> Prompt:
        """The prompt of row `i`."""
        ...


@dataclass(slots=True)
class Job:
    """One request on its way to an answer."""

    index: int
    key: str
    earlier: int = 0
    attempts: int = 0
    limited: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])


@dataclass(slots=True)
class Shared:
    """What all lanes of one run share."""

    plan: RendersPrompts
    client: httpx.AsyncClient
    writer: Writer
    ledger: Ledger
    pace: Pace
    rng: random.Random
    clock: Callable[[], float] = time.monotonic
    counts: Counter[str] = field(default_factory=Counter[str])
    stopping: bool = False
    fatal: PsymetricError | None = None


class Lane:
    """Asks one endpoint for its jobs.

    Args:
        endpoint: Whom to ask.
        provider: How.
        jobs: What for, in order.
        shared: The run.
    """

    def __init__(self, endpoint: ModelEndpoint, provider: Provider, jobs: Sequence[Job], shared: Shared) -> None:
        self.endpoint, self.provider, self.shared = endpoint, provider, shared
        self.window = Window(shared.pace, endpoint.max_concurrency, shared.clock)
        self.error: ProviderError | None = None
        self._queue = deque(jobs)
        self._delayed: list[tuple[float, int, Job, str]] = []
        self._gate = RateGate(endpoint.requests_per_minute, endpoint.tokens_per_minute, shared.clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._in_flight = 0
        self._answered = 0
        self._failed = 0
        self._rounds = 0
        self._round_ended = float("-inf")
        self._hopeless: Counter[str] = Counter()

    @property
    def retrying(self) -> Counter[str]:
        """Requests that wait to be asked again, by reason."""
        return Counter(why for _, _, _, why in self._delayed)

    @property
    def next_retry(self) -> float | None:
        """Seconds until the next retry or the end of a cool-down; None when nothing waits."""
        waits = [self._delayed[0][0] - self.shared.clock()] if self._delayed else []
        waits += [self.window.waiting] if self.window.waiting else []
        return max(0.0, min(waits)) if waits else None

    async def run(self) -> None:
        """Ask until every job has ended, or the run or this endpoint stops; what is in flight then is waited for."""
        try:
            while self.shared.fatal is None and (self._tasks or (self._going and (self._queue or self._delayed))):
                self._wake.clear()
                wait = self._dispatch() if self._going else None
                if not self._tasks and wait is None:
                    continue
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            if self.shared.fatal is not None:
                raise self.shared.fatal
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        """Look again at what may be sent."""
        self._wake.set()

    @property
    def _going(self) -> bool:
        return self.error is None and not self.shared.stopping and self.shared.fatal is None

    @property
    def _allowed(self) -> int:
        # One request goes ahead: a wrong key, model or setting then costs a request or three, not a window of them.
        return self.window.allowed if self._answered or self._failed >= self.shared.pace.same_failure else 1

    def _dispatch(self) -> float | None:
        """Send all that may be sent now; seconds until more may be, or None when only a reply can change that."""
        now = self.shared.clock()
        while self._delayed and self._delayed[0][0] <= now:
            self._queue.appendleft(heapq.heappop(self._delayed)[2])
        while self._queue:
            hold = max(self.window.waiting, self._gate.wait())
            if hold > 0:
                return hold
            # Replies wait to be stored in tasks of their own; as many may as may be in flight, which bounds what a
            # kill can lose.
            if self._in_flight >= self._allowed or len(self._tasks) >= 2 * self._allowed:
                return None
            prompt = self.shared.plan.prompt(self._queue[0].index)
            reserved = expected(prompt, self.endpoint)
            fits = self.shared.ledger.reserve(reserved)
            if fits is Fits.NO:
                self.shared.stopping = True
                return None
            if fits is Fits.LATER:
                return _BUDGET_POLL_S
            self._gate.sent(reserved.tokens)
            self._send(self._queue.popleft(), prompt, reserved)
        return max(0.0, self._delayed[0][0] - now) if self._delayed else None

    def _send(self, job: Job, prompt: Prompt, reserved: Charge) -> None:
        self._in_flight += 1
        task = asyncio.create_task(self._attempt(job, prompt, reserved))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self.shared.fatal is None:
            self.shared.fatal = error if isinstance(error, PsymetricError) else _unexpected(error)
        self._wake.set()

    async def _attempt(self, job: Job, prompt: Prompt, reserved: Charge) -> None:
        sent_at, asked_at = self.shared.clock(), time.time()
        actual = Charge()
        reply: Reply | None = None
        error: ProviderError | None = None
        try:
            reply = await self.provider.ask(prompt, self.shared.client, key=job.key)
            actual = charged(prompt, self.endpoint, reply.usage, reply.text)
        except ProviderError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - a provider's mistake about one reply must not end the run
            error = ProviderError(f"endpoint {self.endpoint.name!r}: {type(caught).__name__}: {caught}")
            error.retryable = False
        finally:
            if error is not None and counts_as_call(error):
                actual = Charge(1)
            self.shared.ledger.settle(reserved, actual)
            self._in_flight -= 1
            self._wake.set()
        number = 1 + job.earlier + job.attempts + job.limited
        if reply is not None:
            await self._replied(job, prompt, reply, actual, number, asked_at)
        elif error is not None:
            row = failure_row(job.key, number, self.endpoint, self.provider.name, error, actual, asked_at)
            again = self._after_failure(job, error, sent_at)
            await self._stored(row, None if again else NonResponse.transport)

    async def _replied(
        self, job: Job, prompt: Prompt, reply: Reply, actual: Charge, number: int, asked_at: float
    ) -> None:
        reading = read_reply(prompt, reply)
        row = reply_row(job.key, number, self.endpoint, self.provider.name, reply, reading, actual, asked_at)
        self.window.succeeded(self._in_flight)
        self._rounds = 0
        again = False
        if reading.reason in NOT_FINAL:
            again = self._after_useless(job, reading)
        else:
            self._answered += 1
        await self._stored(row, None if again else (reading.reason or "answered"))

    async def _stored(self, row: dict[str, Any], status: str | None) -> None:
        """Count a job as done only once its row is durable."""
        await self.shared.writer.write(row)
        if status is not None:
            self.shared.counts[str(status)] += 1

    def _after_useless(self, job: Job, reading: Reading) -> bool:
        """After a reply that is no answer (empty, no log-probabilities): whether to ask again."""
        job.attempts += 1
        self._failed += 1
        if reading.reason is NonResponse.no_logprobs:
            self._count_hopeless(ProviderError(f"endpoint {self.endpoint.name!r}: {reading.detail}"))
            return False
        if job.attempts >= self.shared.pace.same_failure:
            return False
        self._retry(job, backoff(job.attempts, self.shared.pace, self.shared.rng), "empty")
        return True

    def _after_failure(self, job: Job, error: ProviderError, sent_at: float) -> bool:
        """After a failed request: adapt the pace, and say whether it will be asked again in this run."""
        pace = self.shared.pace
        self._failed += 1
        if stops_endpoint(error):
            self._give_up(error)
            return False
        if isinstance(error, RateLimited):
            return self._after_limit(job, error, sent_at)
        job.attempts += 1
        if not error.retryable:
            self._count_hopeless(error)
            return False
        self._count_round(error, sent_at)
        self.window.troubled()
        job.failures[f"{type(error).__name__}: {error}"] += 1
        repeated = deterministic(error) and max(job.failures.values()) >= pace.same_failure
        if repeated or job.attempts >= pace.attempts:
            return False
        self._retry(job, backoff(job.attempts, pace, self.shared.rng), str(error.status or "no reply"))
        return True

    def _after_limit(self, job: Job, error: RateLimited, sent_at: float) -> bool:
        pace = self.shared.pace
        self._count_round(error, sent_at)
        asked = error.retry_after
        wait = asked if asked is not None else backoff(max(1, self._rounds), pace, self.shared.rng)
        if wait > pace.longest_cool_down:
            self._give_up(RateLimited(f"{error}; the server asks to wait {wait:.0f} s", retry_after=wait))
            return False
        if error.status == 429:
            self.window.rate_limited(sent_at, wait)
        else:
            self.window.troubled()
            self.window.cool_down(wait)
        job.limited += 1
        if job.limited > pace.rate_limited:
            return False
        self._retry(job, wait, str(error.status))
        return True

    def _retry(self, job: Job, wait: float, why: str) -> None:
        heapq.heappush(self._delayed, (self.shared.clock() + wait, job.index, job, why))

    def _count_round(self, error: ProviderError, sent_at: float) -> None:
        """Count rounds of failures, each of requests sent after the last one ended; give up after too many in a row."""
        if sent_at >= self._round_ended:
            self._rounds += 1
            self._round_ended = self.shared.clock()
        if self._rounds > self.shared.pace.rounds:
            self._give_up(error)

    def _count_hopeless(self, error: ProviderError) -> None:
        """Give up when requests fail in one way that repeating cannot mend and none has succeeded."""
        # Servers put request ids into messages.
        alike = _IDENTIFIER.sub("#", str(error))
        self._hopeless[alike] += 1
        if not self._answered and self._hopeless[alike] >= self.shared.pace.same_failure:
            self._give_up(error)

    def _give_up(self, error: ProviderError) -> None:
        if self.error is None:
            self.error = error


def _unexpected(error: BaseException) -> PsymetricError:
    problem = PsymetricError(f"the run stopped on an unexpected {type(error).__name__}: {error}")
    problem.__cause__ = error
    return problem
