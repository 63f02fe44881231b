"""The engines that contract tests run over, and one small table drawn from known parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

import psymetric as ps

MODEL = ps.ManyFacetRasch()
ENGINES = {
    "MarginalML": ps.MarginalML(),
    "ConditionalML": ps.ConditionalML(),
    "JointML": ps.JointML(),
    "MAP": ps.MAP(),
    "Laplace": ps.Laplace(draws=1_000),
    # Short chains, and one set of settings throughout: every other set is another program to compile.
    "NUTS": ps.NUTS(warmup=200, draws=1_000, chains=2),
    "SVI": ps.SVI(),
}
N_SUBJECTS = 60
DIFFICULTY, SEVERITY, STEPS = np.array([-0.4, 0.4]), np.array([0.5, -0.5]), np.array([-0.6, 0.6])
MEAN, SD = 0.3, 1.4


def frame(*, seed: int = 4) -> pd.DataFrame:
    """Sixty subjects × two items × two judges, three categories, drawn from the rating scale model."""
    rng = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [[f"s{i}" for i in range(N_SUBJECTS)], ["i1", "i2"], ["j1", "j2"]], names=["subject", "item", "judge"]
    ).to_frame(index=False)
    ability = rng.normal(MEAN, SD, N_SUBJECTS)
    location = (
        np.repeat(ability, 4) - DIFFICULTY[pd.factorize(rows["item"])[0]] - SEVERITY[pd.factorize(rows["judge"])[0]]
    )
    weight = np.exp(np.column_stack([0 * location, location - STEPS[0], 2 * location - STEPS.sum()]))
    below = weight.cumsum(axis=1) / weight.sum(axis=1, keepdims=True)
    return rows.assign(rating=(rng.random((len(rows), 1)) > below).sum(axis=1))


def table(rows: pd.DataFrame, weight: str | None = None) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(
        rows, response="rating", subject="subject", item="item", facets=("judge",), weight=weight
    )
