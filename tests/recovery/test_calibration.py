"""Simulation-based calibration of NUTS: true values are as likely to have any rank among their posterior draws."""

from __future__ import annotations

import calibration_study
import numpy as np
import pytest
from calibration_cases import COMPARISONS, DESIGNS
from calibration_mixtures import log_likelihoods, without_labels
from calibration_page import ABOUT_COMPARISONS, ABOUT_RESPONSES, ENGINE, describe
from calibration_study import (
    N_RANKS,
    Ranks,
    chi_square,
    dispersion,
    distribution_function,
    p_values,
    row,
    run_again,
    simulate,
    too_small,
)
from calibration_tables import cells


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


def test_what_is_ranked_of_a_mixture_is_the_same_under_every_order_of_its_classes():
    design = COMPARISONS["judge mixture, three classes"]
    _, truth, scores = simulate(design, 0)
    turned = {name: value[..., [2, 0, 1]] for name, value in truth.items()}
    there, back = without_labels(truth), without_labels(turned)
    assert all(np.allclose(there[name], back[name], atol=1e-12) for name in there)
    worth = truth["worth"].T
    apart = [((worth[k] - worth[m]) ** 2).sum() for k, m in ((0, 1), (0, 2), (1, 2))]
    assert np.isclose(there["distance of worths"], sum(apart))
    # The worths alone in another order: the same classes, but of other shares.
    wrong = {**truth, "worth": turned["worth"]}
    both = {name: np.stack([truth[name], turned[name], wrong[name]]) for name in truth}
    found = log_likelihoods(both, cells(design), scores)
    assert np.isclose(found[0], found[1], atol=1e-9)
    assert abs(found[0] - found[2]) > 1e-3
    assert not np.allclose(there["worth, mean of judges"], without_labels(wrong)["worth, mean of judges"], atol=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("title", "designs", "about", "n_again"),
    [
        ("Calibration of NUTS", DESIGNS, ABOUT_RESPONSES, 0),
        ("Calibration of NUTS on comparisons", COMPARISONS, ABOUT_COMPARISONS, 3),
    ],
    ids=["responses", "comparisons"],
)
def test_calibration(title, designs, about, n_again, record_validation):
    found = {label: calibration_study.replicate(design, ENGINE, range(design.n)) for label, design in designs.items()}
    checks = p_values({label: ranks.honest for label, ranks in found.items()})
    rows = [row(label, name, of_name) for label, ranks in found.items() for name, of_name in ranks.honest.items()]
    again = run_again(designs, ENGINE, checks, n_again)
    record_validation(title, describe(found, checks, again, about), rows)
    assert too_small(checks) == {}
    assert too_small(again) == {}
