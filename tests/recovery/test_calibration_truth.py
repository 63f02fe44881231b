"""Simulation-based calibration of NUTS for latent truths, and the likelihood that it is checked with."""

from __future__ import annotations

import calibration_labels
import jax.numpy as jnp
import numpy as np
import pytest
from calibration_labels import DESIGNS
from calibration_page import ENGINE
from calibration_study import p_values, row, too_small

from psymetric.core.precision import double_precision
from psymetric.estimation.truth import truth_data, truth_sums

ABOUT = (
    "Prevalences and confusion matrices from their Dirichlet priors, truths and labels from them, and ranks of the "
    "true values among draws of NUTS, as in the calibration of NUTS on responses."
)


@pytest.mark.parametrize("label", DESIGNS)
def test_likelihood_of_the_study_is_the_packages(label):
    """Two implementations, of which this study's knows no sparse sums."""
    design = DESIGNS[label]
    table, values, labels = calibration_labels.simulate(design, 3)
    with double_precision():
        sums = truth_sums(design.model, truth_data(design.model, table), design.n_categories)
        found = float(sums.log_likelihood({name: jnp.asarray(value) for name, value in values.items()}))
    assert found == pytest.approx(calibration_labels.log_likelihood(values, labels), abs=1e-9)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_calibration_of_truths(record_validation):
    found = {
        label: calibration_labels.replicate(design, ENGINE, range(design.n)).honest for label, design in DESIGNS.items()
    }
    checks = p_values(found)
    rows = [row(label, name, ranks) for label, of_label in found.items() for name, ranks in of_label.items()]
    record_validation("Calibration of NUTS on latent truths", ABOUT, rows)
    assert too_small(checks) == {}


@pytest.mark.slow
def test_narrow_draws_are_noticed():
    ranks = calibration_labels.replicate(DESIGNS["Dawid-Skene"], ENGINE, range(50))
    assert ("x", "all", "dispersion") in too_small(p_values({"x": ranks.narrow}))
    assert np.median(ranks.effective) > 100
