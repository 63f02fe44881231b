"""Labels of a latent truth, and judges against labels: published numbers and those of other programs."""

from __future__ import annotations

import labelled_world
import numpy as np
import pytest

import psymetric as ps

# Printed with six, four or three decimals, of which the last is rounded.
SIX, FOUR, THREE = 5.1e-7, 5.1e-5, 5.1e-4

DAWID_SKENE = "README, O19 Dawid-Skene"
CLASSES = "1 4 2 2 2 2 1 3 2 2 4 3 1 2 1 1 1 1 2 2 2 2 2 2 1 1 2 1 1 1 1 3 1 2 2 4 2 3 3 1 1 1 2 1 2"
OBSERVERS = [
    [[0.889, 0.111, 0, 0], [0.071, 0.876, 0.053, 0], [0, 0.339, 0.661, 0], [0, 0, 0.556, 0.444]],
    [[0.834, 0.166, 0, 0], [0.053, 0.633, 0.314, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
]


def test_patients_and_observers_of_dawid_and_skene(held) -> None:
    """EM from the majority's votes, which ends at a local maximum; a test of the engine finds a higher one."""
    table = labelled_world.anaesthesia()
    fit = ps.fit(ps.DawidSkene(over="observer"), table)
    assert fit.status.converged
    held(DAWID_SKENE, "log-likelihood", fit.log_likelihood, -192.89088, atol=5e-6)
    held(DAWID_SKENE, "prevalence", fit.parameters["prevalence"], [0.3996, 0.4220, 0.1118, 0.0667], atol=FOUR)
    held(DAWID_SKENE, "confusion of observers 1 and 2", fit.parameters["confusion"][:2], OBSERVERS, atol=THREE)
    frame = ps.true_categories(fit, table).frame.set_index("subject").sort_index()
    held(DAWID_SKENE, "likeliest class of each patient", frame["category"], [int(one) for one in CLASSES.split()])
    soft = frame.loc[frame["probability"] < 0.99, "probability"]
    assert soft.index.tolist() == [7, 35, 38]
    held(DAWID_SKENE, "probability of the three uncertain ones", soft, [0.981, 0.948, 0.979], atol=THREE)


@pytest.mark.parametrize(
    ("power", "numbers"),
    [
        (1.0, (0.650000, 0.470099, 0.829901)),
        (None, (0.672829, 0.511375, 0.834283)),
        (0.0, (0.700000, 0.499163, 0.900837)),
    ],
)
def test_prediction_powered_means(held, power, numbers) -> None:
    y = [1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1]
    f = [1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1]
    row = ps.prediction_powered_mean(y, f, [1] * 140 + [0] * 60, power=power).frame.iloc[0]
    name = "tuned" if power is None else f"power {power:.0f}"
    held("README, O21 PPI", f"mean and interval, {name}", row[["estimate", "lower", "upper"]], numbers, atol=SIX)
    np.testing.assert_allclose(row[["people_alone", "judge_alone"]].to_numpy(float), 0.7, rtol=1e-12)


def test_prevalence_behind_verdicts(held) -> None:
    found = ps.rogan_gladen([1, 1, 0, 0, 1, 0, 1, 0], [1, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 0, 1, 0, 1])
    row = found.frame.set_index("category").loc[1]
    held("README, O22 Rogan-Gladen", "prevalence", row["estimate"], 0.75)
    held("README, O22 Rogan-Gladen", "interval from eight labels", row[["lower", "upper"]], [0, 1])
