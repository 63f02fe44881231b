"""The posterior of comparisons with ties, judges' slopes and a position effect, as large as a crowd's leaderboard."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from importlib.metadata import version

import numpy as np
import pandas as pd

from benchmarks.bench_nuts import Sampled, processor_seconds, summaries
from benchmarks.runner import Section, output_of, verdict

N_VOTES, N_MODELS, N_JUDGES = 8_931, 60, 124
TITLE = f"Posterior of Bradley-Terry with ties and slopes: {N_MODELS} models, {N_JUDGES} judges, {N_VOTES:,} votes"
SECONDS, LEAST_ESS = 60.0, 400.0


def votes() -> pd.DataFrame:
    """Votes with four ties in ten, as people gave on LLMFAO; judges differ in what they vote on and how clearly."""
    rng = np.random.default_rng(20260105)
    worth, slope = rng.normal(0, 0.8, N_MODELS), np.exp(rng.normal(0, 0.4, N_JUDGES))
    judge = rng.choice(N_JUDGES, N_VOTES, p=rng.dirichlet(np.ones(N_JUDGES)))
    left = rng.integers(0, N_MODELS, N_VOTES)
    right = (left + rng.integers(1, N_MODELS, N_VOTES)) % N_MODELS
    gap = slope[judge] * (worth[left] - worth[right])
    odds = np.exp(np.stack([gap / 2 + 0.15, -gap / 2, np.full(N_VOTES, 0.35)], axis=1))
    below = np.cumsum(odds, axis=1)
    outcome = (rng.random((N_VOTES, 1)) * below[:, -1:] > below).sum(axis=1)
    labels = np.array(["left", "right", "tie"])
    return pd.DataFrame({"left": left, "right": right, "judge": judge, "winner": labels[outcome]})


def sample() -> Sampled:
    """Fit twice; effective sample sizes are of all parameters."""
    import psymetric as ps

    table = ps.PairTable.from_frame(votes(), left="left", right="right", outcome="winner", judge="judge")
    model = ps.BradleyTerry(ties="davidson", position=True, slopes=("judge",))
    seconds: list[float] = []
    for _ in range(2):
        started, used = time.perf_counter(), processor_seconds()
        fit = ps.fit(model, table, engine=ps.NUTS(), throw=False)
        seconds += [time.perf_counter() - started, processor_seconds() - used]
    mean, sd, ess = (np.concatenate(parts).tolist() for parts in zip(*summaries(fit), strict=True))
    name = f"psymetric {version('psymetric')}, NUTS"
    return Sampled(name, seconds[0], seconds[2], seconds[3], mean, sd, ess, fit.status.message)


def run() -> list[Section]:
    """Sample in a fresh process."""
    found = Sampled(**output_of([sys.executable, "-m", "benchmarks.bench_pair_nuts"]))
    missed = [f"{found.cold:.0f} s > {SECONDS:.0f} s"] if min(found.cold, found.cpu) > SECONDS else []
    missed += [f"bulk ESS {found.least_ess:.0f} < {LEAST_ESS:.0f}"] if found.least_ess < LEAST_ESS else []
    text = "\n".join(
        [
            "Simulated votes, four in ten ties (Davidson), judges of different discrimination and an effect of the",
            "position; four chains of 1,000 draws after 300 of warm-up, side by side on one core. The parameter",
            "that mixes worst has the least bulk effective sample size. *Cold* includes compilation.",
            "",
            "| program | cold, s | warm, s | warm, CPU s | least bulk ESS | ESS per s | status |",
            "|---|---|---|---|---|---|---|",
            f"| {found.program} | {found.cold:.0f} | {found.warm:.0f} | {found.cpu:.0f} | {found.least_ess:.0f} "
            f"| {found.least_ess / found.warm:.0f} | {found.status} |",
            "",
            f"Required: at most {SECONDS:.0f} s and a least bulk effective sample size of {LEAST_ESS:.0f}; "
            f"{verdict(missed)}.",
        ]
    )
    return [Section(TITLE, text, [], missed)]


if __name__ == "__main__":
    print(json.dumps(asdict(sample())))
