"""MACE: its likelihood written out, and the better-than-chance Dawid-Skene that it is with two categories."""

from __future__ import annotations

import label_likelihoods
import numpy as np
import pytest

import psymetric as ps


def test_likelihood_is_that_written_out() -> None:
    frame, rng = label_likelihoods.label_frame(), np.random.default_rng(1)
    knows, habit = rng.uniform(0.1, 0.9, label_likelihoods.JUDGES), rng.dirichlet(np.ones(3), label_likelihoods.JUDGES)
    prevalence = np.array([0.5, 0.3, 0.2])

    def label(judge: int, category: int) -> np.ndarray:
        return knows[judge] * (np.arange(3) == category) + (1 - knows[judge]) * habit[judge, category]

    found = label_likelihoods.truth_log_likelihood(
        ps.MACE(), frame, {"prevalence": prevalence, "competence": knows, "habit": habit}
    )
    assert found == pytest.approx(label_likelihoods.log_likelihood(frame, prevalence, label), abs=1e-9)


@pytest.mark.thorough
def test_two_categories_are_dawid_skene_with_judges_better_than_chance() -> None:
    """Sensitivity + specificity − 1 is the competence; both maxima are of one likelihood."""
    table = label_likelihoods.label_table(label_likelihoods.label_frame(300, n_categories=2, seed=3))
    matrix = ps.fit(ps.DawidSkene(), table, engine=ps.MarginalML())
    mace = ps.fit(ps.MACE(), table, engine=ps.MarginalML())
    assert mace.log_likelihood == pytest.approx(matrix.log_likelihood, abs=1e-6)
    youden = np.trace(matrix.parameters["confusion"], axis1=1, axis2=2) - 1
    np.testing.assert_allclose(mace.parameters["competence"], youden, atol=1e-4)
