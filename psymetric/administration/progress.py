"""Progress of a run: one live line on a terminal, a plain line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

__all__ = ["ProgressLine", "Snapshot", "describe"]

_PLAIN_EVERY_S: Final = 15.0
_RATE_OVER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a run stands.

    Attributes:
        done: Requests ended, those of earlier runs included.
        total: Requests in the plan.
        non_responses: Of those done, how many hold no answer.
        retrying: Requests waiting to be asked again, by reason ("429", "503", "no reply", …).
        next_retry: Seconds until the next of them, or until a cool-down ends; None when nothing waits.
        tokens: Tokens spent on this plan.
        cost: Cost so far, or None where no endpoint has a price.
    """

    done: int
    total: int
    non_responses: int
    retrying: tuple[tuple[str, int], ...]
    next_retry: float | None
    tokens: float
    cost: float | None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def describe(snapshot: Snapshot, rate: float) -> str:
    """One line for a snapshot.

    Args:
        snapshot: Where the run stands.
        rate: Requests that ended per second, lately.
    """
    share = 100 * snapshot.done / snapshot.total if snapshot.total else 100.0
    parts = [f"{snapshot.done:,}/{snapshot.total:,} ({share:.0f}%)", f"{rate:,.1f}/s"]
    if snapshot.non_responses:
        parts.append(f"{snapshot.non_responses:,} without an answer")
    if snapshot.retrying:
        waiting = ", ".join(f"{count:,} ({why})" for why, count in snapshot.retrying)
        soon = "" if snapshot.next_retry is None else f", next in {snapshot.next_retry:.1f} s"
        parts.append(f"retrying {waiting}{soon}")
    elif snapshot.next_retry:
        parts.append(f"waiting {snapshot.next_retry:.1f} s")
    spent = f"{snapshot.tokens:,.0f} tokens"
    parts.append(spent if snapshot.cost is None else f"spent {snapshot.cost:,.2f} ({spent})")
    left = snapshot.total - snapshot.done
    if left:
        parts.append(f"ETA {_duration(left / rate)}" if rate > 0 else "ETA unknown")
    return " · ".join(parts)


class ProgressLine:
    """Shows snapshots.

    Args:
        console: Where to; None shows nothing.
        clock: Seconds, monotonic.
        every: Seconds between plain lines.
    """

    def __init__(
        self, console: Console | None, *, clock: Callable[[], float] = time.monotonic, every: float = _PLAIN_EVERY_S
    ) -> None:
        self._console, self._clock, self._every = console, clock, every
        self._samples: deque[tuple[float, int]] = deque()
        self._live: Live | None = None
        self._last = clock()

    def start(self) -> None:
        """Begin; on a terminal this claims the last line."""
        if self._console is not None and self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def show(self, snapshot: Snapshot) -> None:
        """Show where the run stands, if it is time to."""
        if self._console is None:
            return
        now = self._clock()
        self._samples.append((now, snapshot.done))
        while len(self._samples) > 2 and now - self._samples[0][0] > _RATE_OVER_S:
            self._samples.popleft()
        if self._live is not None:
            self._live.update(Text(describe(snapshot, self._rate()), no_wrap=True, overflow="ellipsis"), refresh=True)
        elif now - self._last >= self._every:
            self._last = now
            self.say(describe(snapshot, self._rate()))

    def stop(self, message: str) -> None:
        """End with a last line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self.say(message)

    def say(self, message: str) -> None:
        """Print a line; text from servers is never read as markup."""
        if self._console is not None and message:
            self._console.print(Text(message), soft_wrap=True)

    def _rate(self) -> float:
        (began, first), (now, last) = self._samples[0], self._samples[-1]
        return (last - first) / (now - began) if now > began else 0.0
