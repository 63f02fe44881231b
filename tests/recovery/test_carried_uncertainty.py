"""Coverage of intervals for new subjects, items calibrated on sixty: held at their estimates, and uncertain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

LEVEL, SIGNIFICANCE = 0.95, 3.3
N_CALIBRATED, N_SCORED, N_ITEMS, N_REPLICATIONS = 60, 300, 30, 40
MODEL = ps.TwoPL(prior_sd=1.0, slope_prior_sd=0.3)


def table_of(ability: np.ndarray, item: np.ndarray, slope: np.ndarray, rng: np.random.Generator) -> ps.ResponseTable:
    """Right or wrong answers of all subjects to all items."""
    right = rng.random((len(ability), N_ITEMS)) < 1 / (1 + np.exp(-slope * (ability[:, None] - item)))
    rows = pd.MultiIndex.from_product([range(len(ability)), range(N_ITEMS)], names=["s", "i"]).to_frame(index=False)
    return ps.ResponseTable.from_frame(
        rows.assign(x=right.ravel().astype(int)), response="x", subject="s", item="i", categories=[0, 1]
    )


def coverage(seed: int) -> dict[str, float]:
    """Share of new subjects inside their intervals, items drawn from the priors that calibrate them."""
    rng = np.random.default_rng(seed)
    item, slope = rng.normal(0, 1.0, N_ITEMS), rng.normal(1, 0.3, N_ITEMS)
    fit = ps.fit(MODEL, table_of(rng.normal(size=N_CALIBRATED), item, slope, rng), engine=ps.MAP())
    ability = rng.normal(size=N_SCORED)
    table = table_of(ability, item, slope, rng)
    found = {}
    for parameters in ("known", "uncertain"):
        scores = ps.score(fit, table, parameters=parameters, parameter_draws=100).frame.sort_values("subject")
        found[parameters] = float(np.mean((scores["lower"] <= ability) & (ability <= scores["upper"])))
    return found


@pytest.mark.slow
def test_uncertain_items_bring_coverage_nearer_to_nominal():
    """Posterior intervals that hold the items fixed are too short; those that carry them keep what they promise.

    The replication is the unit, since one calibration serves all its subjects. Bands are SIGNIFICANCE standard errors
    of the paired difference, and of the mean.
    """
    found = pd.DataFrame([coverage(seed) for seed in range(N_REPLICATIONS)])
    known, uncertain = found["known"], found["uncertain"]

    def reach(values: pd.Series) -> float:
        return SIGNIFICANCE * float(values.std(ddof=1)) / np.sqrt(N_REPLICATIONS)

    gain = uncertain - known
    assert gain.mean() > reach(gain)
    assert LEVEL - known.mean() > reach(known)
    assert abs(uncertain.mean() - LEVEL) < reach(uncertain)
    assert abs(uncertain.mean() - LEVEL) < abs(known.mean() - LEVEL)
