"""Candidates and their judges: labels counted, and labels of answers of a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

import psymetric as ps

COUNTS = np.array([[[5, 3, 2], [4, 4, 2]], [[1, 2, 7], [2, 3, 5]]])
ROWS = np.array([[[0.75, 0.2, 0.05], [0.15, 0.7, 0.15], [0.05, 0.25, 0.7]], [[0.6, 0.25, 0.15]] * 3])
ROWS[1, 1:] = [[0.2, 0.6, 0.2], [0.1, 0.3, 0.6]]
SHARES = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])


def counts_table(counts: np.ndarray = COUNTS, *, extra: dict[str, object] | None = None) -> ps.ResponseTable:
    """Counts by candidate, judge and label 1, 2, ..."""
    rows = [
        {"model": f"m{c}", "judge": f"j{j}", "label": k + 1, "n": int(n)} | (extra or {})
        for (c, j, k), n in np.ndenumerate(counts)
    ]
    facets = ("judge", *(extra or {}))
    frame = pd.DataFrame(rows)
    return ps.ResponseTable.from_frame(frame, response="label", subject="model", facets=facets, weight="n")


def answer_frame(n: int = 20, *, n_gold: int = 0, seed: int = 3) -> pd.DataFrame:
    """Two judges' labels of n answers of each candidate, and the truth of the first of them by "human"."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []
    for c in range(2):
        for i in range(n):
            truth, level = rng.choice(3, p=SHARES[c]), "hard" if i % 2 else "easy"
            for j in range(2):
                label = 1 + rng.choice(3, p=ROWS[j, truth])
                rows.append((f"a{c}-{i}", f"m{c}", f"j{j}", label, level, int(c == j)))
            if i < n_gold:
                rows.append((f"a{c}-{i}", f"m{c}", "human", 1 + truth, level, 0))
    return pd.DataFrame(rows, columns=["answer", "model", "judge", "label", "level", "own"])


def answer_table(frame: pd.DataFrame) -> ps.ResponseTable:
    facets = ("judge", "model", "level", "own")
    return ps.ResponseTable.from_frame(frame, response="label", subject="answer", facets=facets)
