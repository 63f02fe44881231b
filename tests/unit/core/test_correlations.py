"""Correlation matrices and orthogonal vectors from free numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from psymetric.core.correlations import Correlation
from psymetric.core.parameters import Block, ParameterSpace
from psymetric.core.precision import double_precision
from psymetric.core.subspaces import Orthogonal


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def numerical_jacobian(function, free: np.ndarray, step: float = 1e-6) -> np.ndarray:
    moves = np.eye(len(free)) * step
    return np.stack([(function(free + move) - function(free - move)) / (2 * step) for move in moves], axis=1)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_correlation_matrix_there_and_back(n):
    bijector = Correlation((n, n))
    free = np.random.default_rng(n).normal(size=bijector.size)
    value = np.asarray(bijector.forward(jnp.asarray(free)))
    np.testing.assert_array_equal(np.diag(value), 1.0)
    np.testing.assert_allclose(value, value.T, atol=1e-15)
    assert np.linalg.eigvalsh(value).min() > 0
    np.testing.assert_allclose(bijector.inverse(value), free, atol=1e-9)


def test_the_first_column_holds_plain_correlations_and_the_rest_partial_ones():
    """r of variables 2 and 3 given 1, by the textbook formula for a partial correlation."""
    value = np.asarray(Correlation((3, 3)).forward(jnp.arctanh(jnp.array([0.5, -0.3, 0.4]))))
    assert value[1, 0] == pytest.approx(0.5)
    assert value[2, 0] == pytest.approx(-0.3)
    partial = (value[2, 1] - 0.5 * -0.3) / np.sqrt((1 - 0.5**2) * (1 - 0.3**2))
    assert partial == pytest.approx(0.4)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_log_jacobian_equals_finite_differences(n):
    bijector = Correlation((n, n))
    free = np.random.default_rng(n).normal(0, 0.7, bijector.size)
    below = np.tril_indices(n, -1)
    jacobian = numerical_jacobian(lambda x: np.asarray(bijector.forward(jnp.asarray(x)))[below], free)
    # Central differences of step 1e-6: rounding 1e-10, through at most six factors.
    assert float(bijector.log_jacobian(jnp.asarray(free))) == pytest.approx(np.linalg.slogdet(jacobian)[1], abs=1e-7)


def test_log_jacobian_is_finite_far_out():
    far = jnp.array([400.0, -400.0, 0.0])
    bijector = Correlation((3, 3))
    assert float(bijector.log_jacobian(far)) == pytest.approx(2 * (np.log(2) - 400) * 3, rel=1e-9)
    assert np.isfinite(np.asarray(jax.grad(bijector.log_jacobian)(far))).all()


@pytest.mark.parametrize("eta", [1.0, 2.0, 4.0])
def test_lkj_prior_of_two_variables_is_a_beta_distribution(eta):
    """(r + 1) / 2 follows Beta(η, η), by which a density in the free number follows with its Jacobian."""
    from scipy.stats import beta

    space = ParameterSpace((Block("correlation", Correlation((2, 2)), 1.0, lkj=eta),))
    free = np.linspace(-2, 2, 9)
    found = np.array([float(space.log_prior(jnp.array([x]))) for x in free])
    expected = beta(eta, eta).logpdf((np.tanh(free) + 1) / 2) + np.log(1 - np.tanh(free) ** 2)
    np.testing.assert_allclose(found - found[4], expected - expected[4], atol=1e-12)


def test_lkj_prior_gives_each_correlation_of_three_its_known_spread():
    """Under LKJ(η) in D dimensions (r + 1) / 2 is Beta(η + D/2 - 1, same); checked by importance sampling."""
    eta, n = 2.0, 3
    space = ParameterSpace((Block("correlation", Correlation((n, n)), 1.0, lkj=eta),))
    rng = np.random.default_rng(3)
    free = rng.standard_t(5, (40_000, 3))
    log_prior = np.asarray(jax.vmap(space.log_prior)(jnp.asarray(free)))
    from scipy.stats import t

    weight = np.exp(log_prior - t(5).logpdf(free).sum(axis=1))
    weight /= weight.sum()
    values = np.asarray(jax.vmap(Correlation((n, n)).forward)(jnp.asarray(free)))
    shape = eta + n / 2 - 1
    for i, j in ((1, 0), (2, 0), (2, 1)):
        square = values[:, i, j] ** 2
        found = weight @ square
        # Four Monte Carlo errors of a self-normalised mean.
        band = 4 * np.sqrt(np.sum(weight**2 * (square - found) ** 2))
        assert found == pytest.approx(1 / (2 * shape + 1), abs=band)


def test_orthogonal_vectors():
    groups = np.array([[1, 0], [1, 0], [1, 1], [0, 1], [0, 1]], float)
    bijector = Orthogonal.build(groups)
    assert bijector.size == 3
    free = np.random.default_rng(1).normal(size=3)
    value = np.asarray(bijector.forward(jnp.asarray(free)))
    np.testing.assert_allclose(groups.T @ value, 0, atol=1e-12)
    np.testing.assert_allclose(bijector.inverse(value), free, atol=1e-12)
    basis = np.asarray(bijector.basis)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-12)
