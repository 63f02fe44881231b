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


def coverage(seed: int) -> dict[tuple[str, str], float]:
    """Share of new subjects inside their intervals, items drawn from the priors that calibrate them."""
    rng = np.random.default_rng(seed)
    item, slope = rng.normal(0, 1.0, N_ITEMS), rng.normal(1, 0.3, N_ITEMS)
    fit = ps.fit(MODEL, table_of(rng.normal(size=N_CALIBRATED), item, slope, rng), engine=ps.MAP())
    ability = rng.normal(size=N_SCORED)
    table = table_of(ability, item, slope, rng)
    found = {}
    for method in ("eap", "wle"):
        for parameters in ("known", "uncertain"):
            scores = ps.score(fit, table, method=method, parameters=parameters, parameter_draws=100)
            order = scores.frame.sort_values("subject")
            found[method, parameters] = float(np.mean((order["lower"] <= ability) & (ability <= order["upper"])))
    return found


@pytest.mark.slow
def test_uncertain_items_bring_coverage_nearer_to_nominal():
    """Intervals that hold the items fixed are too short; those that carry them are nearer to what they promise.

    The replication is the unit, since one calibration serves all its subjects. Bands are SIGNIFICANCE standard errors
    of the paired difference, and of the mean.
    """
    found = pd.DataFrame([coverage(seed) for seed in range(N_REPLICATIONS)])
    for method in ("eap", "wle"):
        known, uncertain = found[method, "known"], found[method, "uncertain"]
        gain = uncertain - known
        assert gain.mean() > SIGNIFICANCE * gain.std(ddof=1) / np.sqrt(N_REPLICATIONS), method
        assert abs(uncertain.mean() - LEVEL) < abs(known.mean() - LEVEL), method
    eap = found["eap", "uncertain"]
    assert abs(eap.mean() - LEVEL) < SIGNIFICANCE * eap.std(ddof=1) / np.sqrt(N_REPLICATIONS)
    held = found["eap", "known"]
    assert LEVEL - held.mean() > SIGNIFICANCE * held.std(ddof=1) / np.sqrt(N_REPLICATIONS)
