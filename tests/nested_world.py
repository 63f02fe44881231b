"""Ratings of subjects by judges who see a halo, drawn with NumPy alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

import psymetric as ps

DIFFICULTY, SEVERITY, STEPS = np.array([-0.5, 0.1, 0.4]), np.array([0.5, -0.2, -0.3]), np.array([-0.8, 0.8])
MEAN, SD = 0.3, 1.1


def frame(n_subjects: int, halo: float, *, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Subjects × three items × three judges, three categories, and the subjects' abilities."""
    rng = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [range(n_subjects), range(3), range(3)], names=["subject", "item", "judge"]
    ).to_frame(index=False)
    ability, shared = rng.normal(MEAN, SD, n_subjects), halo * rng.standard_normal((n_subjects, 3))
    location = (
        ability[rows["subject"]]
        + shared[rows["subject"], rows["judge"]]
        - DIFFICULTY[rows["item"]]
        - SEVERITY[rows["judge"]]
    )
    weight = np.exp(np.column_stack([0 * location, location - STEPS[0], 2 * location - STEPS.sum()]))
    below = weight.cumsum(axis=1) / weight.sum(axis=1, keepdims=True)
    rows = rows.assign(rating=(rng.random((len(rows), 1)) > below).sum(axis=1))
    names = {name: rows[name].map(lambda code, name=name: f"{name[0]}{code:03}") for name in rows.columns[:3]}
    return rows.assign(**names), ability


def table(rows: pd.DataFrame, facets: tuple[str, ...] = ("judge",)) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(rows, response="rating", subject="subject", item="item", facets=facets)
