"""Progress lines."""

from __future__ import annotations

import io

from rich.console import Console

from psymetric.administration.progress import ProgressLine, Snapshot, describe

HALF = Snapshot(1_000, 2_000, 12, (("429", 3), ("503", 1)), 2.14, 12_345, 0.5)


def test_line_tells_what_matters() -> None:
    line = describe(HALF, rate=10.0)
    assert line == (
        "1,000/2,000 (50%) · 10.0/s · 12 without an answer · retrying 3 (429), 1 (503), next in 2.1 s · "
        "spent 0.50 (12,345 tokens) · ETA 1:40"
    )


def test_line_without_prices_retries_or_rate() -> None:
    assert describe(Snapshot(0, 5, 0, (), None, 0, None), 0.0) == "0/5 (0%) · 0.0/s · 0 tokens · ETA unknown"
    assert describe(Snapshot(5, 5, 0, (), None, 9, None), 1.0) == "5/5 (100%) · 1.0/s · 9 tokens"
    assert "waiting 3.0 s" in describe(Snapshot(0, 5, 0, (), 3.0, 0, None), 0.0)
    assert describe(Snapshot(0, 7_300, 0, (), None, 0, None), 1.0).endswith("ETA 2:01:40")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(terminal: bool) -> str:
    clock, out = Clock(), io.StringIO()
    line = ProgressLine(Console(file=out, force_terminal=terminal, width=200), clock=clock)
    line.start()
    for done in range(40):
        clock.now += 1
        line.show(Snapshot(done, 40, 0, (), None, 0, None))
    line.stop("done [bold]really[/bold]")
    return out.getvalue()


def test_plain_lines_come_now_and_then_where_there_is_no_terminal() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines == [
        "14/40 (35%) · 1.0/s · 0 tokens · ETA 0:26",
        "29/40 (72%) · 1.0/s · 0 tokens · ETA 0:11",
        "done [bold]really[/bold]",
    ]


def test_terminal_has_one_live_line() -> None:
    text = shown(terminal=True)
    assert "39/40 (98%)" in text
    assert text.count("\n") <= 2
    assert text.rstrip().endswith("done [bold]really[/bold]")


def test_quiet_shows_nothing() -> None:
    line = ProgressLine(None)
    line.start()
    line.show(HALF)
    line.stop("x")
