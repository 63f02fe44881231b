from __future__ import annotations

import numpy as np
import pytest
from report_cases import fit_of

from psymetric.reporting.variance import variance_shares


def test_shares_are_those_of_the_variances() -> None:
    fit = fit_of(judge=[-1.0, 0.0, 1.0], judge_se=0.0, population_sd=2.0)
    frame = variance_shares(fit).set_index("facet")
    # Sample variance of −1, 0, 1 is 1; of the subjects 4.
    assert frame.loc["judge", "variance"] == pytest.approx(1.0)
    assert frame.loc["subject", "share"] == pytest.approx(0.8)


def test_error_is_taken_off() -> None:
    frame = variance_shares(fit_of(judge=[-1.0, 0.0, 1.0], judge_se=0.6, population_sd=2.0)).set_index("facet")
    assert frame.loc["judge", "variance"] == pytest.approx(1.0 - 0.36)


def test_noise_alone_is_no_variance() -> None:
    frame = variance_shares(fit_of(judge=[-0.1, 0.0, 0.1], judge_se=0.5, population_sd=1.0)).set_index("facet")
    assert frame.loc["judge", "variance"] == 0.0
    assert frame.loc["subject", "share"] == 1.0


def test_interval_of_the_share_covers_it() -> None:
    frame = variance_shares(fit_of(judge=[-1.0, 0.0, 1.0], judge_se=0.2, population_sd=1.0))
    assert (frame["lower"] <= frame["share"]).all()
    assert (frame["share"] <= frame["upper"]).all()
    assert np.isclose(frame["share"].sum(), 1.0)
