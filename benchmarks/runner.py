"""Running one contestant in a fresh process, and timing it there."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROUNDS, WARM_RUNS = 2, 3
"""Programs take turns, so that other work on the machine slows none of them alone; the best of all rounds counts."""
PATIENCE = 30.0
"""Seconds of a peer's first call above which it is not called again."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one program on one job.

    Attributes:
        program: Name and version.
        cold: First call in a fresh process: imports and compilation included, data already read.
        kept: The same where an earlier process has left its compiled programs in JAX's cache; NaN where none has.
        warm: Best of the later calls; NaN where there was none.
        cold_cpu, kept_cpu, warm_cpu: Processor seconds of the same calls, over all cores. They exceed wall seconds on
            an idle machine and fall short of them on a busy one.
        log_likelihood: What it reached.
        peak: Largest resident memory of the process, in MiB.
        note: What the call computes.
    """

    program: str
    cold: float
    warm: float
    cold_cpu: float
    warm_cpu: float
    log_likelihood: float
    peak: float
    note: str = ""
    kept: float = float("nan")
    kept_cpu: float = float("nan")

    @property
    def is_warm(self) -> bool:
        """Whether it was called more than once."""
        return self.warm == self.warm


@dataclass(frozen=True)
class Ratio:
    """Seconds of one program in those of another: of their warm calls, or of their first ones where one has no other.

    A first call imports and compiles, a warm one does not, so that one is never laid beside the other.
    """

    theirs: Timing
    ours: Timing

    @property
    def of(self) -> str:
        """Which calls are compared."""
        return "warm calls" if self.theirs.is_warm and self.ours.is_warm else "first calls"

    @property
    def value(self) -> float:
        """How many times as long they take."""
        if self.of == "warm calls":
            return self.theirs.warm / self.ours.warm
        return self.theirs.cold / self.ours.cold

    def missed(self, least: float) -> list[str]:
        """That it is less than required, in words, or nothing."""
        return [f"ratio {self.value:.1f} of {self.of} < {least:g}"] if self.value < least else []

    def __str__(self) -> str:
        return f"{self.value:.1f}" + (", first calls" if self.of == "first calls" else "")


@dataclass(frozen=True)
class Section:
    """What one benchmark found: a section of the page, and the targets it missed."""

    title: str
    text: str
    timings: list[Timing]
    missed: list[str]


@dataclass(frozen=True)
class Target:
    """Most seconds (and MiB) that a job may take.

    Other work on the machine adds to wall seconds. Processor seconds over all cores are more than the wall seconds of
    an idle machine, so that a target met by either is met.
    """

    warm: float = float("inf")
    kept: float = float("inf")
    peak: float = float("inf")

    def missed(self, timing: Timing) -> list[str]:
        """Which of them a timing misses, in words."""
        found = {
            f"warm {timing.warm:.3g} s > {self.warm:g} s": min(timing.warm, timing.warm_cpu) > self.warm,
            f"fresh process {timing.kept:.3g} s > {self.kept:g} s": min(timing.kept, timing.kept_cpu) > self.kept,
            f"peak {timing.peak:.0f} MiB > {self.peak:g} MiB": timing.peak > self.peak,
        }
        return [text for text, is_missed in found.items() if is_missed]

    def __str__(self) -> str:
        parts = [
            f"warm ≤ {self.warm:g} s",
            f"fresh process with kept programs ≤ {self.kept:g} s",
            f"peak ≤ {self.peak:g} MiB",
        ]
        return ", ".join(part for part in parts if "inf" not in part)


def output_of(command: list[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """What a command prints as JSON in its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def take_turns(module: str, contestants: tuple[str, ...], *, rounds: int = ROUNDS) -> list[Timing]:
    """Run `python -m module contestant`, which prints its timing as JSON, for each in turn; the best of the rounds.

    A contestant may carry arguments after a space. Compiled programs and bytecode are kept from round to round,
    as the command line tool and Python keep them; the first round starts with none.
    """
    found: dict[str, list[Timing]] = {name: [] for name in contestants}
    with TemporaryDirectory() as cache:
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05",
            "PYTHONPYCACHEPREFIX": f"{cache}/bytecode",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(rounds):
            for name in contestants:
                command = [sys.executable, "-m", module, *name.split()]
                found[name].append(Timing(**output_of(command, environment)))
    nan = float("nan")
    return [
        replace(
            times[0],
            kept=min((t.cold for t in times[1:]), default=nan),
            kept_cpu=min((t.cold_cpu for t in times[1:]), default=nan),
            warm=min(t.warm for t in times),
            warm_cpu=min(t.warm_cpu for t in times),
            peak=max(t.peak for t in times),
        )
        for times in found.values()
    ]


def time_calls(
    program: str,
    prepare: Callable[[], Callable[[], Any]],
    *,
    log_likelihood: Callable[[Any], float] = float,
    note: str = "",
    warm_runs: int = WARM_RUNS,
    patience: float = float("inf"),
) -> None:
    """Print the timing of `prepare` with its first call, and of the best later call.

    Args:
        program: Name and version.
        prepare: Imports the program, and returns the call.
        log_likelihood: Of what a call returns; it is not timed.
        note: What the call computes.
        warm_runs: Later calls.
        patience: Seconds of the first call above which there are no later ones.
    """
    start, start_cpu = time.perf_counter(), time.process_time()
    call = prepare()
    value = call()
    cold, cold_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    warm = warm_cpu = float("nan")
    for _ in range(warm_runs if cold <= patience else 0):
        start, start_cpu = time.perf_counter(), time.process_time()
        value = call()
        # fmin ignores the NaN of no call so far.
        warm = float(np.fmin(warm, time.perf_counter() - start))
        warm_cpu = float(np.fmin(warm_cpu, time.process_time() - start_cpu))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(Timing(program, cold, warm, cold_cpu, warm_cpu, log_likelihood(value), peak, note))))


def as_table(timings: list[Timing]) -> str:
    """A Markdown table; the last column has the times in those of the first program."""
    lines = [
        "| program | cold, s | kept programs, s | warm, s | processor s | peak, MiB | log-likelihood | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.program} | {_or_dash(t.cold, 2)} | {_or_dash(t.kept, 2)} | {_or_dash(t.warm)} | "
        f"{_or_dash(t.warm_cpu)} | {_or_dash(t.peak, 0)} | {t.log_likelihood:.4f} | {Ratio(t, timings[0])} |"
        for t in timings
    ]
    return "\n".join(lines)


def verdict(missed: list[str]) -> str:
    """Whether what is required was met."""
    return f"missed: {'; '.join(missed)}" if missed else "met in this run"


def _or_dash(number: float, digits: int = 3) -> str:
    return f"{number:.{digits}f}" if number == number else "–"
