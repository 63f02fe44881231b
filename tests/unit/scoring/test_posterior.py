"""Quantiles of a posterior held on nodes."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from psymetric.scoring.posterior import Posterior


def test_quantiles_of_a_normal_posterior():
    standard = np.linspace(-7, 7, 25)
    theta = np.array([[1.0], [-3.0]]) + np.array([[0.5], [2.0]]) * standard
    weight = np.exp(-0.5 * standard**2) / np.exp(-0.5 * standard**2).sum()
    posterior = Posterior(theta, np.stack([weight, weight]))
    probability = np.array([[0.001, 0.025, 0.3, 0.5, 0.9, 0.999]] * 2)
    expected = np.array([[1.0], [-3.0]]) + np.array([[0.5], [2.0]]) * ndtri(probability)
    np.testing.assert_allclose(posterior.quantile(probability), expected, atol=2e-3 * 2.0)
    np.testing.assert_allclose(posterior.mean, [1.0, -3.0], atol=1e-12)
    np.testing.assert_allclose(posterior.sd, [0.5, 2.0], rtol=1e-8)
