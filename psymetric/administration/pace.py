"""How fast one endpoint is asked: adaptive concurrency, shared cool-downs, request and token rates, back-off.

Concurrency starts at `Pace.start` and grows with every success: by one per reply until the server first complains, by
one per window of replies after that. It is cut by a fifth once per episode of 429s, however many requests that episode
hits. A server error or a timeout stops growth for a while and cuts nothing. `Retry-After` holds the whole endpoint
back.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from psymetric.errors import DesignError

__all__ = ["Pace", "RateGate", "Window", "backoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Settings of retries and concurrency; the defaults suit hosted and local servers alike.

    Attributes:
        start: Requests in flight per endpoint at the beginning.
        decrease: Factor applied to the concurrency once per episode of 429s, in (0, 1).
        growth_pause: Seconds without growth after a server error or timeout.
        attempts: Most attempts per request within one run, 429s not counted.
        same_failure: Most attempts that fail in the same deterministic way.
        rate_limited: Most 429s per request within one run.
        first_wait: Seconds of the first back-off; doubles with each attempt.
        longest_wait: Cap on a back-off, in seconds.
        longest_cool_down: A server that asks to wait longer than this, in seconds, is given up for this run.
        rounds: Rounds of failures without any success after which an endpoint is given up for this run.
    """

    start: int = 20
    decrease: float = 0.8
    growth_pause: float = 5.0
    attempts: int = 6
    same_failure: int = 3
    rate_limited: int = 30
    first_wait: float = 0.5
    longest_wait: float = 60.0
    longest_cool_down: float = 900.0
    rounds: int = 8

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("start", "attempts", "same_failure", "rate_limited", "rounds")}
        low = [f"{name} = {value}" for name, value in counts.items() if value < 1]
        times = ("growth_pause", "first_wait", "longest_wait", "longest_cool_down")
        low += [f"{name} = {getattr(self, name)}" for name in times if not getattr(self, name) >= 0]
        if low or not 0 < self.decrease < 1:
            low += [] if 0 < self.decrease < 1 else [f"decrease = {self.decrease}"]
            raise DesignError(f"Pace: {', '.join(low)}; counts start at 1, times at 0, decrease lies between 0 and 1")


def backoff(attempt: int, pace: Pace, rng: random.Random) -> float:
    """Seconds to wait after the `attempt`-th failure (1, 2, …): exponential, capped, with jitter in [1/2, 1]."""
    full = min(pace.longest_wait, pace.first_wait * 2.0 ** min(attempt - 1, 60))
    return full * (0.5 + 0.5 * rng.random())


class Window:
    """How many requests may be in flight at one endpoint now.

    Args:
        pace: Settings.
        ceiling: Concurrency never exceeded.
        clock: Seconds, monotonic.
    """

    def __init__(self, pace: Pace, ceiling: int, clock: Callable[[], float]) -> None:
        self._pace, self._ceiling, self._clock = pace, ceiling, clock
        self.size = float(min(pace.start, ceiling))
        self.resume_at = 0.0
        self._probing = True
        self._no_growth_until = 0.0
        self._cut_at = float("-inf")

    @property
    def allowed(self) -> int:
        """Requests that may be in flight."""
        return max(1, int(self.size))

    @property
    def waiting(self) -> float:
        """Seconds until the cool-down ends; zero when there is none."""
        return max(0.0, self.resume_at - self._clock())

    def succeeded(self, in_flight: int) -> None:
        """Grow after a reply, if the window is what limits the flow and nothing forbids it."""
        if self._clock() >= self._no_growth_until and in_flight + 1 >= self.allowed:
            self.size = min(self._ceiling, self.size + (1.0 if self._probing else 1.0 / self.size))

    def rate_limited(self, sent_at: float, wait: float) -> None:
        """Cut once per episode and hold everything back for `wait` seconds.

        Args:
            sent_at: When the refused request was sent; those sent before the last cut belong to the same episode.
            wait: Seconds.
        """
        now = self._clock()
        self._probing = False
        self.cool_down(wait)
        if sent_at >= self._cut_at:
            self.size, self._cut_at = max(1.0, self.size * self._pace.decrease), now

    def troubled(self) -> None:
        """Stop growing for a while after a server error or a timeout."""
        self._no_growth_until = self._clock() + self._pace.growth_pause

    def cool_down(self, wait: float) -> None:
        """Hold everything back for `wait` seconds; never shortens a wait that is longer."""
        self.resume_at = max(self.resume_at, self._clock() + wait)


class RateGate:
    """Spaces requests evenly so that neither requests nor tokens per minute are exceeded.

    Args:
        requests_per_minute: Or None for no limit.
        tokens_per_minute: Or None for no limit.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, requests_per_minute: float | None, tokens_per_minute: float | None, clock: Callable[[], float]
    ) -> None:
        self._per_request = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._next = 0.0

    def wait(self) -> float:
        """Seconds until the next request may be sent."""
        return max(0.0, self._next - self._clock())

    def sent(self, tokens: float) -> None:
        """Count one request of about so many tokens."""
        self._next = max(self._next, self._clock()) + max(self._per_request, self._per_token * tokens)
