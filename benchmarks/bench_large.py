"""A many-facet Rasch model of 1.36 million ratings by marginal and by joint maximum likelihood.

The size is that of a public set of ratings of 39,565 comments by 7,912 judges on 10 items of 5 categories, at which
users of other programs gave up after days. No peer runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pandas as pd

from benchmarks.ours import fitting
from benchmarks.runner import Section, Target, as_table, take_turns, time_calls, verdict

N_COMMENTS, N_JUDGES, N_ITEMS, N_PAIRS = 39_565, 7_912, 10, 135_556
TARGET = Target(warm=20.0, peak=2048.0)
ENGINES = ("MarginalML", "JointML")


def ratings() -> pd.DataFrame:
    """135,556 pairs of comment and judge, each rated on all items; simulated, seed 20260104.

    Every comment has three judges or four, drawn at random. Comments are normal with an sd of one logit, judges with
    one of half a logit.
    """
    rng = np.random.default_rng(20260104)
    comment = np.sort(np.concatenate([np.tile(np.arange(N_COMMENTS), 3), np.arange(N_PAIRS - 3 * N_COMMENTS)]))
    judge = rng.integers(0, N_JUDGES, N_PAIRS)
    while (again := pd.DataFrame({"comment": comment, "judge": judge}).duplicated().to_numpy()).any():
        judge[again] = rng.integers(0, N_JUDGES, int(again.sum()))
    comment, judge = np.repeat(comment, N_ITEMS), np.repeat(judge, N_ITEMS)
    item = np.tile(np.arange(N_ITEMS), N_PAIRS)
    severity, difficulty = rng.normal(0, 0.5, N_JUDGES), np.linspace(-0.9, 0.9, N_ITEMS)
    steps = np.array([-1.5, -0.5, 0.5, 1.5])
    location = rng.normal(0, 1, N_COMMENTS)[comment] - severity[judge] - difficulty[item]
    score = np.zeros(len(item), np.int32)
    for start in range(0, len(item), 200_000):
        part = slice(start, start + 200_000)
        logits = np.cumsum(location[part, None] - steps, axis=1)
        below = np.cumsum(np.exp(np.column_stack([np.zeros(len(logits)), logits])), axis=1)
        score[part] = (rng.random((len(logits), 1)) * below[:, -1:] > below).sum(axis=1)
    return pd.DataFrame({"comment": comment, "judge": judge, "item": item, "score": score})


def psymetric(frame: pd.DataFrame, engine: str) -> Callable[[], float]:
    import psymetric as ps

    table = ps.ResponseTable.from_frame(frame, response="score", subject="comment", item="item", facets=("judge",))
    return fitting(ps.ManyFacetRasch(facets=("item", "judge")), table, getattr(ps, engine)())


def run() -> list[Section]:
    """Time both engines, each in a process of its own."""
    timings = take_turns("benchmarks.bench_large", ENGINES, rounds=1)
    missed = [what for timing in timings for what in TARGET.missed(timing)]
    text = (
        f"{N_COMMENTS:,} comments, {N_JUDGES:,} judges, {N_ITEMS} items, 5 categories, {N_ITEMS * N_PAIRS:,} ratings\n"
        "(simulated). Standard errors for every parameter, by JointML for the comments too. The log-likelihoods are\n"
        f"those of two methods, one marginal and one joint.\n\n{as_table(timings)}\n\n"
        f"Required: {TARGET}; {verdict(missed)}."
    )
    return [Section("Many-facet Rasch model, 1.36 million ratings and 7,912 judges", text, timings, missed)]


if __name__ == "__main__":
    data = ratings()
    time_calls(f"{sys.argv[1]}, psymetric {version('psymetric')}", lambda: psymetric(data, sys.argv[1]), warm_runs=1)
