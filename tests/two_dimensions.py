"""A small table of two correlated dimensions, right-or-wrong and graded items together, and its keys."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

import psymetric as ps

N = 160
# The first two items of each dimension are right or wrong, the others graded 0 to 2.
ITEMS = ("e1", "e2", "e3", "e4", "n1", "n2", "n3", "n4")
KEY = {"E": ITEMS[:4], "N": ITEMS[4:]}
WITHIN = {"E": ITEMS[:5], "N": ITEMS[4:]}
GRADED = np.array([2, 3, 6, 7])


def frame(*, seed: int = 5, correlation: float = 0.6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    theta = rng.multivariate_normal([0.2, -0.3], [[1.44, 1.2 * correlation], [1.2 * correlation, 1.0]], N)
    rows: list[tuple[str, str, str, int]] = []
    for place, item in enumerate(ITEMS):
        eta = theta[:, place // 4] - np.linspace(-0.6, 0.6, 4)[place % 4]
        score = (rng.random(N) < expit(eta)).astype(int)
        if place in GRADED:
            score += rng.random(N) < expit(eta - 0.2)
        rows += [(f"s{k:03d}", item, "EN"[place // 4], int(x)) for k, x in enumerate(score)]
    return pd.DataFrame(rows, columns=["subject", "item", "trait", "score"])


def table(rows: pd.DataFrame) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(rows, response="score", subject="subject", item="item", dimension="trait")


FRAME = frame()
TABLE = table(FRAME)
