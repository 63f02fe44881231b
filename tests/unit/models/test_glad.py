"""GLAD: difficulties integrated by another rule, and the one-coin model that it becomes without them."""

from __future__ import annotations

import label_likelihoods
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, log_expit
from scipy.stats import norm

import psymetric as ps

PREVALENCE = np.array([0.5, 0.3, 0.2])
SKILL = np.array([0.4, 0.9, 1.5, 2.2, 3.0])


def _by_quadrature(frame, sd: float) -> float:
    """Log-likelihood with every subject's difficulty integrated adaptively."""
    total = 0.0
    for _, rows in frame.groupby("subject"):
        judge, label = rows["judge"].to_numpy(), rows["label"].to_numpy()

        def density(z: float, judge=judge, label=label) -> float:
            # Log-odds α exp(−σz) of the truth against each of two other labels.
            ahead = SKILL[judge] * np.exp(-sd * z) - np.log(2)
            by_truth = [
                np.sum(np.where(label == truth, log_expit(ahead), log_expit(-ahead) - np.log(2))) for truth in range(3)
            ]
            return float(PREVALENCE @ np.exp(by_truth) * norm.pdf(z))

        total += np.log(quad(density, -8, 8, epsabs=0, epsrel=1e-10, limit=200)[0])
    return total


def test_likelihood_with_difficulties_integrated() -> None:
    frame = label_likelihoods.label_frame(40)
    params = {"prevalence": PREVALENCE, "skill": SKILL, "difficulty_sd": np.array(0.7)}
    found = label_likelihoods.truth_log_likelihood(ps.GLAD(), frame, params)
    # The half-width of the grid, 5 sd, leaves out 6e-7 of each subject's distribution.
    assert found == pytest.approx(_by_quadrature(frame, 0.7), abs=40 * 1e-6)


def test_without_difficulties_it_is_one_coin() -> None:
    frame = label_likelihoods.label_frame(40)
    params = {"prevalence": PREVALENCE, "skill": SKILL, "difficulty_sd": np.array(0.0)}
    coin = {"prevalence": PREVALENCE, "accuracy": expit(SKILL - np.log(2))}
    assert label_likelihoods.truth_log_likelihood(ps.GLAD(), frame, params) == pytest.approx(
        label_likelihoods.truth_log_likelihood(ps.OneCoin(), frame, coin), abs=1e-9
    )


@pytest.mark.thorough
def test_difficulties_that_there_are_and_are_not_are_told_apart() -> None:
    """The interval of σ holds its value where subjects differ; where they do not it reaches down to next to nothing."""
    found: dict[float, ps.Fit] = {}
    for sd in (0.0, 1.0):
        rng, skill = np.random.default_rng(7), np.linspace(1.0, 3.0, 8)
        truth, difficulty = rng.integers(0, 2, 500), rng.normal(size=(500, 1))
        right = rng.random((500, 8)) < expit(skill * np.exp(-sd * difficulty))
        subject, judge = np.nonzero(np.ones_like(right))
        label = np.where(right, truth[:, None], 1 - truth[:, None])[subject, judge]
        frame = label_likelihoods.label_frame(1).iloc[:0][[]].assign(subject=subject, judge=judge, label=label)
        found[sd] = ps.fit(ps.GLAD(), label_likelihoods.label_table(frame), engine=ps.MAP())
    estimate, se = (float(getattr(found[1.0], name)["difficulty_sd"]) for name in ("parameters", "standard_errors"))
    assert abs(estimate - 1.0) < 3 * se
    assert float(found[0.0].parameters["difficulty_sd"]) < 0.4
