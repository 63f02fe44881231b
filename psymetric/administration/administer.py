"""Ask models everything a plan asks, and store every answer.

`administer` is the one entry. It asks what the store does not hold yet, so the same command continues a run that was
stopped by a budget, Ctrl-C, `kill -9` or a failing server: nothing stored is asked twice and nothing is left out.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pandas as pd
from httpx_aiohttp import HttpxAiohttpClient
from rich.console import Console

from psymetric.administration._blocking import run_blocking
from psymetric.administration.budget import Budget, Charge, Ledger
from psymetric.administration.lane import Job, Lane, Shared
from psymetric.administration.pace import Pace
from psymetric.administration.progress import ProgressLine, Snapshot
from psymetric.administration.store import Standing, Store
from psymetric.administration.summary import stop_message, summary
from psymetric.administration.tables import AskablePlan, answers_frame, plan_id, unique_keys
from psymetric.administration.writer import Writer
from psymetric.errors import StudyError
from psymetric.providers._discovery import provider_for

if TYPE_CHECKING:
    from psymetric.providers.base import ModelEndpoint, Provider

__all__ = ["Responses", "administer"]

_TICK_S: Final = 0.25
_GRACE_S: Final = 10.0


@dataclass(frozen=True)
class Responses:
    """What a plan's requests brought.

    Attributes:
        frame: The plan's rows with their answers, see `responses_frame`.
        counts: Rows by status: "answered", or why there is no answer.
        message: What happened, in sentences, with how to continue where something is left.
        stopped: Endpoints that were given up, with the error.
        spent: Calls, tokens and cost of all runs of this plan.
        store: Where the answers are.
    """

    frame: pd.DataFrame
    counts: Mapping[str, int]
    message: str
    stopped: Mapping[str, str]
    spent: Charge
    store: str

    @property
    def complete(self) -> bool:
        """Whether every request has an answer or a typed non-response of the model's own."""
        return not any(self.counts.get(reason) for reason in ("missing", "budget", "transport", "empty", "no_logprobs"))


def administer(
    plan: AskablePlan,
    *,
    store: str | Path = "sqlite:///run.db",
    budget: Budget | None = None,
    pace: Pace | None = None,
    providers: Mapping[str, Provider] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    progress: bool | Console = True,
    throw: bool = True,
    seed: int = 0,
) -> Responses:
    """Ask everything in a plan that the store does not answer yet.

    Args:
        plan: What to ask whom.
        store: `sqlite:///run.db`, or a path; made where there is none.
        budget: Caps over all runs of this plan; None takes the study's.
        pace: Concurrency and retry settings.
        providers: Providers by endpoint name, in place of those the endpoints name (a function, a replay).
        transport: HTTP transport in place of the production one, for tests.
        progress: Whether to show progress on standard error, or the console to show it on.
        throw: Raise when an endpoint was given up (after the others have finished); False reports it in `stopped`.
        seed: For the jitter of waits.

    Returns:
        Every row of the plan with its answer or the reason why there is none; a failed request is a typed row, never
        an exception.

    Raises:
        ProviderError: An endpoint was given up: refused key (`AuthFailed`), unknown model (`ModelNotFound`), a server
            that is down or never stops limiting. All answers are stored; the message says how to continue.
        StoreError: The store cannot be opened or written. All that was stored stays stored.
        StudyError: A cost budget without prices, or an endpoint that lacks a setting.
        DesignError: Rows of the plan share a request key.
        KeyboardInterrupt: Ctrl-C; replies already on their way were waited for (a few seconds) and stored.
    """
    keys = unique_keys(plan)
    console = progress if isinstance(progress, Console) else Console(stderr=True) if progress else None
    line = ProgressLine(console)
    with Store(store) as opened:
        opened.claim()
        caps = budget or _study_budget(plan)
        run = _Run(plan, keys, opened, caps, pace or Pace(), providers or {}, random.Random(seed))
        _ask(run, transport, line)
        responses = run.responses()
    line.stop(responses.message)
    if throw and run.failed:
        error = run.failed[0]
        error.args = (stop_message(responses),)
        raise error
    return responses


def _ask(run: _Run, transport: httpx.AsyncBaseTransport | None, line: ProgressLine) -> None:
    """Ask, keep the run's diary, and end the progress line whatever happens."""
    store, total = run.store, len(run.keys)
    store.log(run.id, "began", {"requests": total, "answered": run.done_before})
    try:
        run_blocking(run.ask(transport, line))
    except KeyboardInterrupt:
        stored = sum(standing.final for key, standing in store.standing().items() if key in run.places)
        message = f"interrupted: {stored:,} of {total:,} answers are stored in {store.url}"
        line.stop(f"{message}; run the same command to continue")
        raise KeyboardInterrupt(f"{message}; run the same command to continue") from None
    except BaseException:
        line.stop("")
        raise
    store.log(run.id, "ended", {"stopped": "budget" if run.ledger.exhausted else "", "errors": run.errors()})


def _study_budget(plan: AskablePlan) -> Budget:
    caps = getattr(getattr(plan, "study", None), "budget", None)
    return Budget() if caps is None else Budget(calls=caps.calls, tokens=caps.tokens, cost=caps.cost)


class _Run:
    """One call of `administer`."""

    def __init__(
        self, plan: AskablePlan, keys: list[str], store: Store, budget: Budget, pace: Pace,
        providers: Mapping[str, Provider], rng: random.Random,
    ) -> None:  # fmt: skip
        self.plan, self.keys, self.store, self.pace, self.rng = plan, keys, store, pace, rng
        self.id = plan_id(keys)
        self.places = {key: i for i, key in enumerate(keys)}
        standing = {key: value for key, value in store.standing().items() if key in self.places}
        self.done_before = sum(value.final for value in standing.values())
        self.ledger = Ledger(budget, sum((value.charge for value in standing.values()), Charge()))
        self.jobs: dict[str, list[Job]] = {}
        self.endpoints: dict[str, ModelEndpoint] = {}
        self._sort_jobs(standing)
        unpriced = [name for name, endpoint in self.endpoints.items() if endpoint.price is None]
        if budget.cost is not None and unpriced:
            raise StudyError(
                f"budget: a cost cap needs prices, and endpoint {unpriced[0]!r} has none; "
                f"add price: {{input: …, output: …}} per million tokens"
            )
        self.providers = {
            name: providers.get(name) or provider_for(endpoint) for name, endpoint in self.endpoints.items()
        }
        self.lanes: list[Lane] = []
        self.counts: Counter[str] = Counter()

    def _sort_jobs(self, standing: Mapping[str, Standing]) -> None:
        """Jobs by endpoint: first those never asked, then those that failed before, which may only fail again."""
        fresh: list[Job] = []
        failed: list[Job] = []
        for i, key in enumerate(self.keys):
            known = standing.get(key)
            if known is None:
                fresh.append(Job(i, key))
            elif not known.final:
                failed.append(Job(i, key, earlier=known.attempts))
        for job in (*fresh, *failed):
            endpoint = self.plan.endpoint(job.index)
            if self.endpoints.setdefault(endpoint.name, endpoint) != endpoint:
                raise StudyError(f"plan: two endpoints are both called {endpoint.name!r}; give each its own name")
            self.jobs.setdefault(endpoint.name, []).append(job)

    async def ask(self, transport: httpx.AsyncBaseTransport | None, line: ProgressLine) -> None:
        connections = sum(endpoint.max_concurrency for endpoint in self.endpoints.values()) or 1
        async with _client(transport, connections) as client, Writer(self.store) as writer:
            shared = Shared(self.plan, client, writer, self.ledger, self.pace, self.rng, counts=self.counts)
            self.lanes = [
                Lane(endpoint, self.providers[name], self.jobs[name], shared)
                for name, endpoint in self.endpoints.items()
            ]
            tasks = [asyncio.create_task(lane.run()) for lane in self.lanes]
            ticker = asyncio.create_task(self._tick(line))
            try:
                await self._finish(tasks, shared)
            finally:
                ticker.cancel()

    async def _finish(self, tasks: list[asyncio.Task[None]], shared: Shared) -> None:
        if not tasks:
            return
        try:
            # Unlike gather, wait leaves the lanes running when Ctrl-C cancels it, so that replies under way are stored.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        except asyncio.CancelledError:
            shared.stopping = True
            for lane in self.lanes:
                lane.wake()
            await asyncio.wait(tasks, timeout=_GRACE_S)
            raise
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _tick(self, line: ProgressLine) -> None:
        line.start()
        while True:
            line.show(self.snapshot())
            await asyncio.sleep(_TICK_S)

    def snapshot(self) -> Snapshot:
        retrying: Counter[str] = sum((lane.retrying for lane in self.lanes), Counter[str]())
        waits = [lane.next_retry for lane in self.lanes if lane.next_retry is not None]
        priced = any(endpoint.price for endpoint in self.endpoints.values())
        return Snapshot(
            done=self.done_before + self.counts.total(),
            total=len(self.keys),
            non_responses=self.counts.total() - self.counts["answered"],
            retrying=tuple(retrying.most_common()),
            next_retry=min(waits, default=None),
            tokens=self.ledger.spent.tokens,
            cost=self.ledger.spent.cost if priced else None,
        )

    @property
    def failed(self) -> list[Exception]:
        return [lane.error for lane in self.lanes if lane.error is not None]

    def errors(self) -> dict[str, str]:
        return {lane.endpoint.name: str(lane.error) for lane in self.lanes if lane.error is not None}

    def responses(self) -> Responses:
        frame = answers_frame(self.store, self.plan)
        counts = {str(k): int(n) for k, n in frame["reason"].fillna("answered").value_counts().items()}
        message = summary(counts, len(frame), self.store.url, self.ledger.exhausted, self.errors())
        return Responses(frame, counts, message, self.errors(), self.ledger.spent, self.store.url)


def _client(transport: httpx.AsyncBaseTransport | None, connections: int) -> httpx.AsyncClient:
    # Providers bound each exchange as a whole by their endpoint's timeout.
    if transport is not None:
        return httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113
    # Measured against a 50 ms loopback server with 200 in flight: httpx's own transport reaches about 100 requests a
    # second, aiohttp's under the same API thousands. Its pool holds 100 connections unless told otherwise.
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return HttpxAiohttpClient(limits=limits, timeout=None)
