"""Sums of products of factors, against the sum over the whole grid."""

from __future__ import annotations

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp
from scipy.stats import multivariate_normal

from psymetric.core.precision import double_precision
from psymetric.estimation.window_sums import Factors, population_factors, population_terms, steepest_rise

N = 5


def random_factors(n_dims: int) -> Factors:
    rng = np.random.default_rng(n_dims)
    pairs = {pair: jnp.asarray(3 * rng.normal(size=(N, N))) for pair in combinations(range(n_dims), 2)}
    return Factors(jnp.asarray(3 * rng.normal(size=(n_dims, N))), pairs, {})


@pytest.mark.parametrize("n_dims", [1, 2, 3, *(pytest.param(n, marks=pytest.mark.thorough) for n in (4, 5))])
def test_products_of_factors_sum_as_the_grid_does(n_dims):
    with double_precision():
        factors = random_factors(n_dims)
        value, slopes = jax.value_and_grad(lambda some: some.log_sum)(factors)
        expected, whole = jax.value_and_grad(lambda some: logsumexp(some.log_joint))(factors)
        assert float(value) == pytest.approx(float(expected), abs=1e-12)
        for one, other in zip(jax.tree.leaves(slopes), jax.tree.leaves(whole), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


def test_a_factor_of_three_axes_is_summed_on_the_grid():
    with double_precision():
        factors = random_factors(3)
        extra = jnp.asarray(np.random.default_rng(0).normal(size=(N, N, N)))
        assert float(factors.times((0, 1, 2), extra).log_sum) == pytest.approx(
            float(logsumexp(factors.log_joint + extra)), abs=1e-12
        )


def test_population_factors_are_the_normal_density():
    """On every node the factors add up to SciPy's density times the size of a cell."""
    correlation = np.array([[1, 0.9, -0.3], [0.9, 1, -0.5], [-0.3, -0.5, 1]])
    mean, sd = np.array([0.3, -1.0, 0.0]), np.array([1.2, 0.4, 2.0])
    centre, spacing, steps = np.array([0.5, -0.8, 1.0]), np.array([0.3, 0.1, 0.5]), np.arange(-2.0, 3.0)
    params = {"population_mean": mean, "population_sd": sd, "correlation": correlation}
    with double_precision():
        known = {name: jnp.asarray(value) for name, value in params.items()}
        terms = population_terms(known, jnp.asarray(centre), jnp.asarray(spacing))
        factors = population_factors(terms, jnp.asarray(steps))
        found = np.asarray(factors.log_joint)
        # Factors of two axes are at most one; what they would rise by, those of one axis do.
        assert max(float(values.max()) for values in factors.pairs.values()) <= 1e-12
    axes = np.meshgrid(*(centre[d] + spacing[d] * steps for d in range(3)), indexing="ij")
    law = multivariate_normal(mean, correlation * np.outer(sd, sd))
    np.testing.assert_allclose(found, law.logpdf(np.stack(axes, axis=-1)) + np.log(spacing).sum(), atol=1e-10)
    square = np.linalg.inv(correlation) * np.outer(spacing / sd, spacing / sd)
    rises = [0.5 * (np.abs(square[d]).sum() - 2 * square[d, d]) for d in range(3)]
    assert steepest_rise(params, spacing[None]) == pytest.approx(max(rises))
