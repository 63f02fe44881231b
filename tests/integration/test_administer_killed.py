"""A run that is killed or interrupted loses nothing that was stored and asks nothing stored again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from asking import Log, ToyPlan, completion, endpoint, serving

from psymetric.administration.administer import administer
from psymetric.administration.store import Store

REQUESTS = 300
TESTS = Path(__file__).resolve().parents[1]
# Importing is most of a run's time here, so one process imports everything and forks a run for each line it reads.
RUNS = f"""
import os, sys
sys.path.insert(0, {str(TESTS)!r})
from asking import ToyPlan, endpoint
from psymetric.administration.administer import administer
for line in sys.stdin:
    base_url, store, said = line.rstrip().split("\\t")
    pid = os.fork()
    if not pid:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        administer(ToyPlan({REQUESTS}, (endpoint(base_url, max_concurrency=10),)), store=store)
        sys.exit()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass
class Run:
    """One run in a process of its own."""

    starter: subprocess.Popen[str]
    pid: int
    stderr: Path

    def send(self, number: int) -> int:
        """Send a signal; the exit code once the process has ended."""
        os.kill(self.pid, number)
        assert self.starter.stdout is not None
        return int(self.starter.stdout.readline())


Start = Callable[[Log, Path], Run]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    with subprocess.Popen(
        [sys.executable, "-c", RUNS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:

        def go(log: Log, store: Path) -> Run:
            assert starter.stdin is not None
            assert starter.stdout is not None
            said = store.with_suffix(".stderr")
            starter.stdin.write(f"{log.base_url}\t{store}\t{said}\n")
            starter.stdin.flush()
            return Run(starter, int(starter.stdout.readline()), said)

        yield go


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def finals(store: Path) -> Counter[str]:
    with Store(store, create=False) as opened:
        return Counter(row["key"] for row in opened.rows(["key", "final"]) if row["final"])


def slow(seconds: float) -> Callable[[dict[str, Any], int], Any]:
    async def answer() -> Any:
        await asyncio.sleep(seconds)
        return completion()

    return lambda *_: answer()


def test_kill_9_at_any_moment_loses_nothing_and_repeats_nothing_stored(start: Start, tmp_path: Path) -> None:
    store = tmp_path / "run.db"
    with serving(slow(0.02)) as log:
        plan = ToyPlan(REQUESTS, (endpoint(log.base_url, max_concurrency=10),))
        keys = dict(zip(plan.frame["key"], range(REQUESTS), strict=True))
        kept: list[set[str]] = []
        seen: list[int] = [0]
        for stop_at in (60, 150):
            run = start(log, store)
            wait_for(lambda limit=stop_at: len(log.questions) >= limit)
            assert run.send(signal.SIGKILL) == -signal.SIGKILL
            wait_for(lambda: log.in_flight == 0)
            kept.append(set(finals(store)))
            seen.append(len(log.questions))
        responses = administer(plan, store=store, progress=False)
    assert 40 <= len(kept[0]) < len(kept[1]) < REQUESTS
    # An answer is lost only if it was still on its way to us or to the disk: at most ten each at each kill.
    lost = [asked - len(stored) for asked, stored in zip(seen[1:], kept, strict=True)]
    assert 0 <= lost[0] <= 20
    assert 0 <= lost[1] <= 40
    for stored, since in zip(kept, seen[1:], strict=True):
        asked_again = set(log.questions[since:]) & {f"question {keys[key]}" for key in stored}
        assert asked_again == set()
    assert finals(store) == Counter(dict.fromkeys(keys, 1))
    assert responses.counts == {"answered": REQUESTS}
    assert len(responses.frame) == REQUESTS


def test_ctrl_c_stores_what_is_under_way_and_says_how_to_continue(start: Start, tmp_path: Path) -> None:
    store = tmp_path / "run.db"
    with serving(slow(0.2)) as log:
        run = start(log, store)
        wait_for(lambda: len(log.questions) >= 25)
        code = run.send(signal.SIGINT)
        assert len(log.questions) < REQUESTS
    message = f"interrupted: {len(log.questions)} of {REQUESTS} answers are stored in sqlite:///{store}; run the same"
    assert code in {130, -signal.SIGINT}
    assert message in run.stderr.read_text()
    assert finals(store).total() == len(log.questions)
