"""Hierarchical Dawid-Skene: its likelihood written out, its ends at no spread and at known matrices, its scale."""

from __future__ import annotations

import jax
import label_likelihoods
import numpy as np
import pytest
from scipy.special import log_softmax

import psymetric as ps
from psymetric.core.centred_rows import CentredRows
from psymetric.core.precision import double_precision


def test_likelihood_is_that_written_out() -> None:
    frame, rng = label_likelihoods.label_frame(), np.random.default_rng(1)
    typical, prevalence = rng.dirichlet(np.ones(3), 3), np.array([0.5, 0.3, 0.2])
    deviation = rng.normal(size=(label_likelihoods.JUDGES, 3, 3))
    deviation -= deviation.mean(axis=2, keepdims=True)
    matrix = np.exp(log_softmax(np.log(typical) + deviation, axis=2))
    found = label_likelihoods.truth_log_likelihood(
        ps.HierarchicalDawidSkene(), frame, {"prevalence": prevalence, "typical": typical, "deviation": deviation}
    )
    written = label_likelihoods.log_likelihood(frame, prevalence, lambda judge, category: matrix[judge, :, category])
    assert found == pytest.approx(written, abs=1e-9)
    # With no spread every judge has the typical matrix.
    alike = label_likelihoods.truth_log_likelihood(
        ps.HierarchicalDawidSkene(), frame, {"prevalence": prevalence, "typical": typical, "deviation": 0 * deviation}
    )
    same = label_likelihoods.log_likelihood(frame, prevalence, lambda _, category: typical[:, category])
    assert alike == pytest.approx(same, abs=1e-9)


def test_rows_are_centred_in_orthonormal_directions() -> None:
    """A standard normal free vector gives differences of variance two, whichever two categories they are of."""
    rows = CentredRows((2, 4))
    with double_precision():
        basis = np.asarray(jax.jacobian(rows.forward)(jax.numpy.zeros(rows.size))).reshape(8, -1)
        free = np.random.default_rng(0).normal(size=rows.size)
        value = np.asarray(rows.forward(jax.device_put(free)))
    np.testing.assert_allclose(value.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(rows.inverse(value), free, atol=1e-12)
    covariance = basis @ basis.T
    np.testing.assert_allclose(covariance, np.kron(np.eye(2), np.eye(4) - 1 / 4), atol=1e-12)


@pytest.mark.thorough
def test_a_judge_of_few_labels_borrows_from_the_others() -> None:
    """Its posterior is wider than those of judges with many labels, and narrower than the prior of a lone judge."""
    frame = label_likelihoods.label_frame(120, n_categories=2, seed=5)
    frame = frame[(frame["judge"] != 4) | (frame["subject"] < 8)]
    engine = ps.NUTS(warmup=200, draws=200, chains=2, seed=1)
    fit = ps.fit(ps.HierarchicalDawidSkene(), label_likelihoods.label_table(frame), engine=engine, throw=False)
    se = fit.standard_errors["deviation"].mean(axis=(1, 2))
    assert se[4] > se[:4].max()
