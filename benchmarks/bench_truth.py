"""Dawid and Skene's model on simulated labels: psymetric beside crowd-kit, and ten million labels."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.runner import Ratio, Section, Target, as_table, take_turns, time_calls, verdict

N_CATEGORIES, N_LABELS = 4, 10
"""Categories, and labels of each subject."""
SLACK = 1.0
"""crowd-kit stops where its likelihood gains little and need not be at the maximum: ours must be no lower than this."""
ALIKE = 0.999
"""Share of the subjects that both must call the same."""
LEAST = 1.0
MANY = Target(warm=30.0, peak=6 * 1024)


def labels(n_subjects: int, n_judges: int) -> pd.DataFrame:
    """Ten labels of every subject by judges who are right in 50 to 95% of their labels."""
    rng = np.random.default_rng(20261122)
    truth = rng.choice(N_CATEGORIES, n_subjects, p=[0.4, 0.3, 0.2, 0.1])
    accuracy = rng.uniform(0.5, 0.95, n_judges)
    task = np.repeat(np.arange(n_subjects), N_LABELS)
    worker = rng.integers(0, n_judges, len(task))
    wrong = (truth[task] + rng.integers(1, N_CATEGORIES, len(task))) % N_CATEGORIES
    return pd.DataFrame(
        {
            "task": task,
            "worker": worker,
            "label": np.where(rng.random(len(task)) < accuracy[worker], truth[task], wrong),
        }
    )


def psymetric(frame: pd.DataFrame) -> Callable[[], float]:
    """From a frame to estimates and the posterior of every truth."""
    import psymetric as ps

    def call() -> float:
        table = ps.ResponseTable.from_frame(frame, response="label", subject="task", facets="worker")
        fit = ps.fit(ps.DawidSkene(over="worker"), table)
        assert fit.log_likelihood is not None
        found = ps.true_categories(fit, table)
        assert np.isfinite(found.accuracy)
        return fit.log_likelihood

    return call


def crowdkit(frame: pd.DataFrame) -> Callable[[], Any]:
    """The same; what it found comes back, as its own loss is none of the labels'."""
    from crowdkit.aggregation import DawidSkene

    def call() -> Any:
        model = DawidSkene()
        model.fit(frame)
        return model

    return call


def log_likelihood(frame: pd.DataFrame, model: Any) -> float:
    """Of the labels at crowd-kit's estimates, truths summed out."""
    every = pd.MultiIndex.from_product([range(frame["worker"].max() + 1), range(N_CATEGORIES)])
    errors = model.errors_.reindex(index=every, columns=range(N_CATEGORIES)).fillna(0.0).to_numpy()
    # Rows need not sum to one exactly, as crowd-kit keeps them off zero.
    errors = errors.reshape(-1, N_CATEGORIES, N_CATEGORIES)
    rows = np.log(np.maximum(errors / errors.sum(axis=1, keepdims=True), 1e-300))
    joint = np.log(model.priors_.reindex(range(N_CATEGORIES)).to_numpy()) + np.zeros((frame["task"].max() + 1, 1))
    np.add.at(joint, frame["task"].to_numpy(), rows[frame["worker"], frame["label"]])
    return float(np.logaddexp.reduce(joint, axis=1).sum())


def same_truths(frame: pd.DataFrame) -> float:
    """Share of the subjects that both programs put into the same category."""
    import psymetric as ps

    table = ps.ResponseTable.from_frame(frame, response="label", subject="task", facets="worker")
    found = ps.true_categories(ps.fit(ps.DawidSkene(over="worker"), table), table).frame
    theirs = crowdkit(frame)().labels_.reindex(found["subject"]).to_numpy()
    return float((found["category"].to_numpy() == theirs).mean())


def run() -> list[Section]:
    """Time both on 100,000 labels, and psymetric on ten million.

    Raises:
        RuntimeError: crowd-kit reached a higher likelihood, or other truths.
    """
    timings = take_turns("benchmarks.bench_truth", ("psymetric 10000 500", "crowdkit 10000 500"))
    alike = same_truths(labels(10_000, 500))
    if timings[1].log_likelihood > timings[0].log_likelihood + SLACK or alike < ALIKE:
        raise RuntimeError(f"different optima ({alike:.4f} of the truths alike): {timings}")
    ratio = Ratio(timings[1], timings[0])
    missed = ratio.missed(LEAST)
    text = (
        "100,000 labels of 10,000 subjects by 500 judges, from frame to truths. psymetric climbs until no probability\n"
        f"moves, crowd-kit until its loss gains less than 1e-5; {100 * alike:.2f}% of the truths are the same.\n\n"
        f"{as_table(timings)}\n\nRequired: ratio of {ratio.of} ≥ {LEAST:g}; {verdict(missed)}."
    )
    return [Section("Dawid-Skene on 100,000 labels", text, timings, missed), _many()]


def _many() -> Section:
    timings = take_turns("benchmarks.bench_truth", ("psymetric 1000000 5000",), rounds=1)
    missed = MANY.missed(timings[0])
    text = (
        "Ten million labels of a million subjects by 5,000 judges, from frame to truths.\n\n"
        f"{as_table(timings)}\n\nRequired: {MANY}; {verdict(missed)}."
    )
    return Section("Dawid-Skene on ten million labels", text, timings, missed)


def main(name: str, n_subjects: int, n_judges: int) -> None:
    """Time one contestant."""
    data = labels(n_subjects, n_judges)
    if name == "psymetric":
        time_calls(f"psymetric {version('psymetric')}", lambda: psymetric(data))
        return
    time_calls(
        f"crowd-kit {version('crowd-kit')}",
        lambda: crowdkit(data),
        log_likelihood=lambda model: log_likelihood(data, model),
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
