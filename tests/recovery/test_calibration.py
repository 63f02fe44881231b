"""Simulation-based calibration of NUTS: true values are as likely to have any rank among their posterior draws."""

from __future__ import annotations

import calibration_study
import numpy as np
import pytest
from calibration_cases import COMPARISONS, DESIGNS
from calibration_page import ABOUT_COMPARISONS, ABOUT_RESPONSES, ENGINE, describe
from calibration_study import N_RANKS, Ranks, chi_square, dispersion, distribution_function, p_values, row, too_small


@pytest.fixture(scope="module")
def few() -> Ranks:
    return calibration_study.replicate(DESIGNS["many-facet"], ENGINE, range(50))


@pytest.mark.slow
def test_nuts_is_calibrated(few):
    """A small version of the study below."""
    assert too_small(p_values({"many-facet": few.honest})) == {}


@pytest.mark.slow
def test_an_overconfident_sampler_is_noticed(few):
    """The check can fail: draws a third closer to their mean put the truth outside them too often."""
    assert ("many-facet", "all", "dispersion") in too_small(p_values({"many-facet": few.narrow}))


def test_uniform_ranks_pass_and_others_do_not():
    """The p values are uniform under uniform ranks, and tiny where ranks lean to one side or to both."""
    rng = np.random.default_rng(1)
    for p_value in (distribution_function, lambda ranks: dispersion({"x": ranks})):
        found = [p_value(list(rng.integers(0, N_RANKS, 100))) for _ in range(200)]
        # A rate of 1 in 10 over 200 studies has a standard error of .021.
        assert abs(np.mean(np.array(found) < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 200)
    leaning = list((N_RANKS * rng.beta(1.5, 1, 400)).astype(int))
    assert max(distribution_function(leaning), chi_square(leaning)) < 1e-4
    assert dispersion({"x": list((N_RANKS * rng.beta(0.7, 0.7, 400)).astype(int))}) < 1e-4


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("title", "designs", "about"),
    [
        ("Calibration of NUTS", DESIGNS, ABOUT_RESPONSES),
        ("Calibration of NUTS on comparisons", COMPARISONS, ABOUT_COMPARISONS),
    ],
    ids=["responses", "comparisons"],
)
def test_calibration(title, designs, about, record_validation):
    found = {label: calibration_study.replicate(design, ENGINE, range(design.n)) for label, design in designs.items()}
    checks = p_values({label: ranks.honest for label, ranks in found.items()})
    rows = [row(label, name, of_name) for label, ranks in found.items() for name, of_name in ranks.honest.items()]
    record_validation(title, describe(found, checks, about), rows)
    assert too_small(checks) == {}
