"""Simulation-based calibration of NUTS for the latent-truth family."""

from __future__ import annotations

import calibration_family
import numpy as np
import pytest
from calibration_page import ENGINE
from calibration_study import p_values, row, too_small

ABOUT = (
    "Parameters from the priors that the models document, truths and labels from them in NumPy, and ranks of the true "
    "values among draws of NUTS, as in the calibration of NUTS on responses."
)
REPLICATIONS = 100


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_calibration_of_the_truth_family(record_validation):
    found = {
        name: calibration_family.replicate(name, ENGINE, range(REPLICATIONS)).honest
        for name in calibration_family.DRAWS
    }
    rows = [row(name, quantity, ranks) for name, own in found.items() for quantity, ranks in own.items()]
    record_validation("Calibration of NUTS on the latent-truth family", ABOUT, rows)
    assert too_small(p_values(found)) == {}


@pytest.mark.parametrize("name", calibration_family.DRAWS)
def test_tables_of_the_study_use_their_categories(name):
    """Drawn labels follow the share of the truth they were drawn for."""
    table, values = calibration_family.simulate(name, 0)
    assert len(table.response) == calibration_family.SUBJECTS * calibration_family.JUDGES
    assert values["prevalence"].sum() == pytest.approx(1)
    assert np.isfinite(np.concatenate([np.ravel(value) for value in values.values()])).all()
