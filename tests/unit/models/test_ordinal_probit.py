"""Ordered probit judges: their likelihood from the normal distribution, and Dawid-Skene with two categories."""

from __future__ import annotations

import label_likelihoods
import numpy as np
import pytest
from scipy.stats import norm

import psymetric as ps
from psymetric.errors import DesignError


@pytest.mark.parametrize("criteria", ["even", "judge"])
def test_likelihood_is_that_of_normal_noise(criteria: str) -> None:
    frame, rng = label_likelihoods.label_frame(), np.random.default_rng(1)
    severity, precision = rng.normal(0, 0.4, 5), rng.uniform(0.7, 3, 5)
    own = np.array([[-0.5, 0.5]] * 5) if criteria == "even" else np.array([-1, 1]) * rng.uniform(0.2, 1, (5, 1))
    prevalence = np.array([0.5, 0.3, 0.2])

    def label(judge: int, category: int) -> np.ndarray:
        bounds = np.concatenate([[-np.inf], 1 + severity[judge] + own[judge], [np.inf]])
        # What the judge sees is the level and noise of sd 1 / precision; it says between which bounds that lies.
        above, below = (precision[judge] * (bounds[k] - np.arange(3)) for k in (category, category + 1))
        return norm.cdf(below) - norm.cdf(above)

    params = {"prevalence": prevalence, "severity": severity, "precision": precision}
    params |= {} if criteria == "even" else {"criterion": own}
    found = label_likelihoods.truth_log_likelihood(ps.OrdinalProbit(criteria=criteria), frame, params)
    assert found == pytest.approx(label_likelihoods.log_likelihood(frame, prevalence, label), abs=1e-9)


@pytest.mark.thorough
def test_two_categories_are_dawid_skene_in_other_terms() -> None:
    table = label_likelihoods.label_table(label_likelihoods.label_frame(300, n_categories=2, seed=3))
    matrix = ps.fit(ps.DawidSkene(), table, engine=ps.MarginalML())
    probit = ps.fit(ps.OrdinalProbit(), table, engine=ps.MarginalML())
    assert probit.log_likelihood == pytest.approx(matrix.log_likelihood, abs=1e-6)
    severity, precision = probit.parameters["severity"], probit.parameters["precision"]
    sensitivity = norm.cdf(precision * (0.5 - severity))
    np.testing.assert_allclose(sensitivity, matrix.parameters["confusion"][:, 1, 1], atol=1e-4)


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(DesignError, match=r"OrdinalProbit\(criteria='all'\) must be 'even' or 'judge'"):
        ps.OrdinalProbit(criteria="all")  # pyright: ignore[reportArgumentType]
