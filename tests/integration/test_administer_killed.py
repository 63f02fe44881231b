"""A run that is killed or interrupted loses nothing that was stored and asks nothing stored again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import Log, ToyPlan, completion, endpoint, serving

from psymetric.administration.administer import administer
from psymetric.administration.store import Store

REQUESTS = 300
TESTS = Path(__file__).resolve().parents[1]
RUN = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from asking import ToyPlan, endpoint
from psymetric.administration.administer import administer
base_url, store = sys.stdin.readline().split(maxsplit=1)
administer(ToyPlan({REQUESTS}, (endpoint(base_url, max_concurrency=10),)), store=store.strip(), progress=True)
"""

Start = Callable[[Log, Path], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Processes that have imported everything and wait to be told what to ask: importing is most of their time."""
    waiting = [
        subprocess.Popen([sys.executable, "-c", RUN], stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    unused = list(waiting)

    def go(log: Log, store: Path) -> subprocess.Popen[bytes]:
        run = unused.pop()
        assert run.stdin is not None
        run.stdin.write(f"{log.base_url} {store}\n".encode())
        run.stdin.flush()
        return run

    yield go
    for run in waiting:
        run.kill()
        run.communicate()


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
            run.kill()
            run.wait()
            wait_for(lambda: log.in_flight == 0)
            assert run.returncode == -signal.SIGKILL
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
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=120)
        assert len(log.questions) < REQUESTS
    message = f"interrupted: {len(log.questions)} of {REQUESTS} answers are stored in sqlite:///{store}; run the same"
    assert run.returncode in {130, -signal.SIGINT}
    assert message in said.decode()
    assert finals(store).total() == len(log.questions)
