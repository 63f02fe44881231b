"""A grid of 60 priors of the simplex judge: 20 candidates, 5 judges, 5 levels, compilation included."""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import pandas as pd

from benchmarks.runner import Section, output_of

TITLE = "Grid of priors of the simplex judge"
REQUIRED_SECONDS = 120.0


def simulated(n_candidates: int = 20, n_judges: int = 5, n_levels: int = 5, labels: int = 200) -> pd.DataFrame:
    """Counts of labels from judges that are right more often than not."""
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(n_levels), n_candidates)
    centre = 8 * (0.6 * np.eye(n_levels) + 0.4 / n_levels)
    judges = [[rng.dirichlet(row) for row in centre] for _ in range(n_judges)]
    rows = [
        (f"c{c}", f"j{j}", k + 1, n)
        for c in range(n_candidates)
        for j, judge in enumerate(judges)
        for k, n in enumerate(rng.multinomial(labels, truth[c] @ np.array(judge)))
    ]
    return pd.DataFrame(rows, columns=["candidate", "judge", "label", "n"])


def sampled() -> dict[str, float]:
    """Seconds, processor seconds, and how many priors gave a number."""
    import psymetric as ps

    frame = simulated()
    table = ps.ResponseTable.from_frame(frame, response="label", subject="candidate", facets="judge", weight="n")
    started = time.perf_counter()
    grid = ps.prior_sensitivity(
        ps.SimplexJudge(quality=0.5),
        table,
        quality=(0.3, 0.4, 0.5, 0.6, 0.8),
        prior_labels=(5.0, 10.0),
        progress=lambda said: print(f"{time.perf_counter() - started:.0f} s: {said}", file=sys.stderr, flush=True),
    )
    wall, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    usable = int(grid.cells["usable"].sum())
    cpu = used.ru_utime + used.ru_stime
    return {"wall": wall, "cpu": cpu, "priors": float(len(grid.cells)), "usable": float(usable)}


def run() -> list[Section]:
    """Sample the grid in a fresh process."""
    found = output_of([sys.executable, "-m", "benchmarks.bench_prior_grid"])
    verdict = "met" if found["wall"] <= REQUIRED_SECONDS else "missed"
    text = (
        f"{found['priors']:.0f} priors × 20 candidates × 5 judges × 5 levels, 200 labels each, half of the priors with "
        f"candidate effects, compilation included: {found['wall']:.0f} s ({found['cpu']:.0f} processor s); "
        f"{found['usable']:.0f} priors gave a number. {REQUIRED_SECONDS:.0f} s are required: {verdict} in this run."
    )
    missed = [] if verdict == "met" else [f"grid of priors: {found['wall']:.0f} s > {REQUIRED_SECONDS:.0f} s"]
    return [Section(TITLE, text, [], missed)]


if __name__ == "__main__":
    print(json.dumps(sampled()))
