"""Two-parameter logistic model by marginal maximum likelihood: psymetric and Python `mirt` on the same answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.ours import fitting, table_of
from benchmarks.runner import PATIENCE, Section, Target, as_table, take_turns, time_calls, verdict

SHARED = Path(__file__).resolve().parents[2] / "shared/oracles/fits/timing/sim2pl_10000x50.csv.gz"
LEAST_LOG_LIKELIHOOD = -273239.99
"""The maximum of the shared data is -273239.982; Python mirt stops at -273248.14, short of it."""
N_ITEMS, SMALL, LARGE = 50, 10_000, 100_000
TARGETS = {SMALL: Target(warm=0.2), LARGE: Target(warm=3.0)}


def answers(n_subjects: int) -> np.ndarray:
    """Complete 0/1 answers to 50 items: the shared data, or simulated subjects from N(0, 1), seed 20260103.

    Slopes are lognormal with a log sd of 0.3, difficulties normal with an sd of one logit.
    """
    if n_subjects == SMALL and SHARED.exists():
        return pd.read_csv(SHARED).to_numpy(np.int32)
    rng = np.random.default_rng(20260103)
    slope, difficulty = rng.lognormal(0, 0.3, N_ITEMS), rng.normal(0, 1, N_ITEMS)
    ability = rng.normal(0, 1, n_subjects)
    logit = slope * (ability[:, None] - difficulty)
    return (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.int32)


def psymetric(data: np.ndarray) -> Callable[[], float]:
    import psymetric as ps

    return fitting(ps.TwoPL(), table_of(data), ps.MarginalML())


def mirt(data: np.ndarray, *, standard_errors: bool) -> Callable[[], float]:
    from mirt import fit_mirt

    def call() -> float:
        return fit_mirt(data, model="2PL", compute_standard_errors=standard_errors).log_likelihood

    return call


def _section(n_subjects: int) -> Section:
    rounds = 2 if n_subjects == SMALL else 1
    contestants = (f"psymetric {n_subjects}", f"mirt {n_subjects}")
    ours, theirs = take_turns("benchmarks.bench_two_pl", contestants, rounds=rounds)
    is_shared = n_subjects == SMALL and SHARED.exists()
    least = LEAST_LOG_LIKELIHOOD if is_shared else theirs.log_likelihood - 0.01
    if ours.log_likelihood < least:
        raise RuntimeError(f"psymetric stopped short of {least}: {ours} {theirs}")
    missed = TARGETS[n_subjects].missed(ours)
    source = "the shared timing data" if is_shared else "simulated"
    text = (
        f"{n_subjects:,} subjects, {N_ITEMS} items, complete ({source}). "
        f"psymetric's time\nincludes standard errors from the exact observed information; {theirs.note}.\n\n"
        f"{as_table([ours, theirs])}\n\n"
        f"Required: {TARGETS[n_subjects]}; {verdict(missed)}."
    )
    return Section(f"Two-parameter logistic model, {n_subjects:,} × {N_ITEMS}", text, [ours, theirs], missed)


def run() -> list[Section]:
    """Time both programs on both sizes.

    Raises:
        RuntimeError: psymetric did not reach the maximum, or less than its peer.
    """
    return [_section(SMALL), _section(LARGE)]


if __name__ == "__main__":
    size = int(sys.argv[2])
    matrix = answers(size)
    if sys.argv[1] == "mirt":
        with_errors = size == LARGE
        time_calls(
            f"mirt {version('mirt')}",
            lambda: mirt(matrix, standard_errors=with_errors),
            note=f"mirt's call {'includes' if with_errors else 'leaves out'} standard errors",
            patience=PATIENCE,
        )
    else:
        time_calls(f"psymetric {version('psymetric')}", lambda: psymetric(matrix))
