"""Importing psymetric and asking for help are quick: nothing heavy is loaded until it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

IMPORT_LIMIT_S = 0.3
HELP_LIMIT_S = 0.6
# A busy machine can only make a run slower, so the best of a few is the measurement; a slow import fails every one.
RUNS = 3
HEAVY = ("jax", "pandas", "numpy", "scipy", "matplotlib", "pydantic", "sqlalchemy", "httpx")


def best_of(command: list[str], limit: float) -> float:
    """Wall-clock seconds of the quickest of RUNS runs; up to RUNS more where none was quick enough."""
    best = float("inf")
    for run in range(2 * RUNS):
        began = perf_counter()
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        best = min(best, perf_counter() - began)
        if best < limit and run + 1 >= RUNS:
            break
    return best


def test_import_is_quick() -> None:
    assert best_of([sys.executable, "-c", "import psymetric"], IMPORT_LIMIT_S) < IMPORT_LIMIT_S


def test_help_is_quick() -> None:
    command = Path(sys.executable).with_name("psymetric")
    assert command.exists(), "the console script is not installed"
    assert best_of([str(command), "--help"], HELP_LIMIT_S) < HELP_LIMIT_S


@pytest.mark.parametrize("module", ["psymetric", "psymetric.errors"])
def test_import_loads_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == []
