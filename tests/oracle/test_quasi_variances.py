"""Quasi-variances against R's qvcalc, from R's own covariances and from our own fit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError
from psymetric.scoring.quasi_variances import fitted_quasi_variances

# qvcalc stops where its deviance changes by less than 1e-8 of itself.
STOPPED = 1e-5
FITS = ("BradleyTerry2/baseball_home", "BradleyTerry2/baseball_nohome", "PlackettLuce/pudding", "PlackettLuce/nascar")


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FITS)
def test_quasi_variances_equal_qvcalc(name, oracles, held):
    record = json.loads((oracles / "fits" / f"{name}.json").read_text())
    expected = np.array(record["qv"]["quasiVar"])
    covariance = np.array(record["vcov"])
    if "abilities" in record:
        # BradleyTerry2 leaves the reference team out, and puts the home advantage last.
        kept = len(expected) - 1
        covariance = np.pad(covariance[:kept, :kept], ((1, 0), (1, 0)))
    covariance = covariance[: len(expected), : len(expected)]
    found, low, high = fitted_quasi_variances(covariance)
    held(name, "quasi-variances", found, expected, rtol=STOPPED)
    assert low < 0 < high


def test_of_three_levels_they_are_exact():
    """Three variances of differences determine three quasi-variances: q1 = (v12 + v13 - v23)/2."""
    root = np.random.default_rng(1).normal(size=(3, 3))
    covariance = root @ root.T
    variance = {(i, j): covariance[i, i] + covariance[j, j] - 2 * covariance[i, j] for i, j in ((0, 1), (0, 2), (1, 2))}
    found, low, high = fitted_quasi_variances(covariance)
    assert found[0] == pytest.approx((variance[0, 1] + variance[0, 2] - variance[1, 2]) / 2)
    assert max(abs(low), abs(high)) < 1e-9


def test_a_fit_and_its_refusals():
    rows = pd.DataFrame(
        {"a": list("xyzxyz"), "b": list("yzxyzx"), "w": ["left", "left", "left", "right", "right", "left"]}
    )
    table = ps.PairTable.from_frame(rows, left="a", right="b", outcome="w")
    fit = ps.fit(ps.BradleyTerry(), table)
    frame = ps.quasi_variances(fit)
    assert list(frame.columns) == ["level", "estimate", "se", "quasi_variance", "quasi_se"]
    difference = np.sqrt(frame["quasi_variance"][0] + frame["quasi_variance"][1])
    covariance = fit.covariances["worth"]
    assert difference == pytest.approx(np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    two = ps.fit(ps.BradleyTerry(), table.select("item", ["x", "y"]))
    with pytest.raises(DataError, match="'item' has 2 levels"):
        ps.quasi_variances(two)
