"""Grids, sparse sums and the optimiser, against closed forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import log_ndtr
from threadpoolctl import threadpool_info

from psymetric.core.distinct import distinct, factorized
from psymetric.core.gather_sum import GatherSum
from psymetric.core.optimizers import ascend, polish
from psymetric.core.precision import double_precision
from psymetric.core.quadrature import normal_grid
from psymetric.core.threads import single_threaded_blas


def test_grid_has_the_moments_of_a_normal():
    nodes, log_weights = normal_grid(61, 8.0)
    weights = np.exp(log_weights)
    for power, moment in ((0, 1), (1, 0), (2, 1), (4, 3), (6, 15)):
        assert weights @ nodes**power == pytest.approx(moment, abs=1e-9)


def test_grid_error_falls_as_documented():
    """E[Φ((θ − a) / s)] has a closed form; a kernel of sd s needs a spacing near s."""
    for spread, error in ((0.5, 1e-9), (1.0, 1e-9)):
        nodes, log_weights = normal_grid(61, 8.0)
        found = np.exp(log_weights) @ np.exp(log_ndtr((nodes - 0.7) / spread))
        expected = np.exp(log_ndtr(-0.7 / np.sqrt(1 + spread**2)))
        assert found == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("seed", range(3))
def test_gather_sum_is_a_sparse_product(seed):
    rng = np.random.default_rng(seed)
    # Ragged: some owners have nothing, one has very much.
    owner = np.concatenate([rng.integers(0, 9, 40), np.full(150, 3)])
    rows, weights = rng.integers(0, 7, len(owner)), rng.uniform(0.5, 2, len(owner))
    matrix = np.zeros((10, 7))
    np.add.at(matrix, (owner, rows), weights)
    with double_precision():
        plan = GatherSum.build(csr_array((weights, (owner, rows)), shape=(10, 7)))
        table = jnp.asarray(rng.normal(size=(7, 5)))
        np.testing.assert_allclose(plan(table), matrix @ np.asarray(table), atol=1e-12)
        cotangent = rng.normal(size=(10, 5))
        np.testing.assert_allclose(jax.vjp(plan, table)[1](jnp.asarray(cotangent))[0], matrix.T @ cotangent, atol=1e-12)
    np.testing.assert_allclose(plan.matrix().toarray(), matrix)


@pytest.mark.parametrize("bound", [50, 10**9])
def test_distinct_is_unique(bound):
    """By flags where keys are dense, by sorting where they are not."""
    keys = np.random.default_rng(0).integers(0, min(bound, 10**6), 400)
    values, place = np.unique(keys, return_inverse=True)
    np.testing.assert_array_equal(distinct(keys, bound), values)
    for found, expected in zip(factorized(keys, bound), (values, place), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_one_blas_thread():
    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    with single_threaded_blas():
        assert set(threads()) == {1}
    assert threads() == before


class Curved:
    """Negative Hessian of −Σ log cosh(x − centre), with unequal scales."""

    def __init__(self, diagonal: np.ndarray) -> None:
        self.diagonal = diagonal

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        return gradient / self.diagonal


SCALE, CENTRE = np.array([1.0, 100.0, 1e4]), np.array([3.0, -2.0, 0.5])


def log_cosh(x: np.ndarray) -> tuple[float, np.ndarray]:
    return -float(np.sum(SCALE * np.log(np.cosh(x - CENTRE)))), -SCALE * np.tanh(x - CENTRE)


def curvature(x: np.ndarray) -> Curved:
    return Curved(SCALE / np.cosh(x - CENTRE) ** 2)


def test_climb_and_polish_reach_the_top():
    near, evaluations = ascend(log_cosh, np.zeros(3), information=SCALE, max_iterations=200)
    np.testing.assert_allclose(near, CENTRE, atol=0.1)
    found = polish(log_cosh, curvature, near, tolerance=1e-8, evaluations=evaluations, max_steps=30)
    assert found.converged
    assert found.iterations > evaluations
    np.testing.assert_allclose(found.point, CENTRE, atol=1e-10)
    np.testing.assert_allclose(found.curvature.diagonal, SCALE, rtol=1e-5)


def test_too_few_steps_are_no_convergence():
    found = polish(log_cosh, curvature, CENTRE + 0.9, tolerance=1e-12, evaluations=0, max_steps=1)
    assert not found.converged


def test_nothing_to_climb():
    point, evaluations = ascend(log_cosh, np.zeros(0), information=np.zeros(0), max_iterations=10)
    assert point.size == 0
    assert evaluations == 0
