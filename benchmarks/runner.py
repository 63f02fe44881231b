"""Running one contestant in a fresh process, and timing it there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

ROUNDS, WARM_RUNS = 2, 3
"""Programs take turns, so that other work on the machine slows none of them alone; the best of all rounds counts."""


@dataclass(frozen=True)
class Timing:
    """Wall seconds of one program on one job.

    Attributes:
        program: Name and version.
        cold: First call in a fresh process: imports and compilation included, data already read.
        warm: Best of the later calls.
        log_likelihood: What it reached.
        note: What the call computes.
    """

    program: str
    cold: float
    warm: float
    log_likelihood: float
    note: str = ""


def output_of(module: str, contestant: str) -> dict[str, Any]:
    """What `python -m module contestant` prints as JSON in its last line."""
    command = [sys.executable, "-m", module, contestant]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def take_turns(module: str, contestants: tuple[str, ...]) -> list[Timing]:
    """Run `python -m module contestant`, which prints its timing as JSON, for each in turn; the best of the rounds."""
    found: dict[str, list[Timing]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name in contestants:
            found[name].append(Timing(**output_of(module, name)))
    return [
        replace(times[0], cold=min(t.cold for t in times), warm=min(t.warm for t in times)) for times in found.values()
    ]


def time_calls(program: str, prepare: Callable[[], Callable[[], float]], *, note: str = "") -> None:
    """Print the timing of `prepare` with its first call, and of the best later call; calls return a log-likelihood."""
    start = time.perf_counter()
    call = prepare()
    value = call()
    cold = time.perf_counter() - start
    warm = float("inf")
    for _ in range(WARM_RUNS):
        start = time.perf_counter()
        value = call()
        warm = min(warm, time.perf_counter() - start)
    print(json.dumps(asdict(Timing(program, cold, warm, value, note))))


def as_table(timings: list[Timing]) -> str:
    """A Markdown table, every program beside the first."""
    first = timings[0]
    lines = [
        "| program | cold, s | warm, s | log-likelihood | warm, times psymetric |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.program} | {t.cold:.2f} | {t.warm:.3f} | {t.log_likelihood:.4f} | {t.warm / first.warm:.1f} |"
        for t in timings
    ]
    return "\n".join(lines)


def as_lines(timings: list[Timing]) -> list[str]:
    """What the terminal shows."""
    lines = [f"  {t.program:18} cold {t.cold:7.2f} s   warm {t.warm:8.3f} s   {t.log_likelihood:.4f}" for t in timings]
    return [*lines, f"  warm ratio {timings[1].warm / timings[0].warm:.1f}"]
