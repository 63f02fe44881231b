"""Matrix products for complete designs, against the sparse product they stand for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array

from psymetric.core.complete_sum import CompleteSum, complete_totals
from psymetric.core.gather_sum import GatherSum
from psymetric.core.precision import double_precision

N_OWNERS, N_GROUPS = 40, 5


def weights(group: int, seed: int = 0) -> csr_array:
    """Every owner takes one row of every group, with the weight of the group."""
    rng = np.random.default_rng(seed)
    rows = np.arange(N_GROUPS) * group + rng.integers(0, group, (N_OWNERS, N_GROUPS))
    values = np.broadcast_to(1.0 + np.arange(N_GROUPS) % 2, rows.shape)
    owners = np.repeat(np.arange(N_OWNERS), N_GROUPS)
    return csr_array((values.ravel(), (owners, rows.ravel())), shape=(N_OWNERS, N_GROUPS * group))


@pytest.mark.parametrize("group", [2, 3, 4])
def test_product_and_gradient_are_those_of_the_sparse_matrix(group):
    matrix = weights(group)
    with double_precision():
        plan = CompleteSum.build(matrix, group)
        assert plan is not None
        table = jnp.asarray(np.random.default_rng(1).normal(size=(matrix.shape[1], 7)))
        cotangent = np.random.default_rng(2).normal(size=(N_OWNERS, 7))
        found, back = jax.vjp(plan, table)
        np.testing.assert_allclose(found, matrix @ np.asarray(table), atol=1e-12)
        np.testing.assert_allclose(back(jnp.asarray(cotangent))[0], matrix.T @ cotangent, atol=1e-12)
        np.testing.assert_array_equal(plan.matrix().toarray(), matrix.toarray())
        assert plan.shape == matrix.shape
        assert plan.total == GatherSum.build(matrix).total == matrix.sum()


def test_designs_that_are_not_complete():
    matrix = weights(2).tolil()
    assert complete_totals(csr_array(matrix), 2) is not None
    matrix[3, :2] = 0  # one owner left a group out
    assert complete_totals(csr_array(matrix), 2) is None
    matrix[3, 0] = 2.5  # and took it with another weight
    assert complete_totals(csr_array(matrix), 2) is None
    assert CompleteSum.build(csr_array(matrix), 2) is None


def test_the_matrix_given_is_left_as_it_was():
    matrix = weights(3)
    before = matrix.toarray()
    CompleteSum.build(matrix, 3)
    np.testing.assert_array_equal(matrix.toarray(), before)


def test_a_thinned_design_keeps_every_row_often_chosen_or_is_refused():
    rng = np.random.default_rng(3)
    chosen = rng.integers(0, 2, (200, N_GROUPS))
    rows = (np.arange(N_GROUPS) * 2 + chosen).ravel()
    matrix = csr_array((np.ones(rows.size), (np.repeat(np.arange(200), N_GROUPS), rows)), shape=(200, 2 * N_GROUPS))
    with double_precision():
        plan = CompleteSum.build(matrix, 2)
        assert plan is not None
        half = plan.thinned(2)
        assert half is not None
        np.testing.assert_array_equal(half.matrix().toarray(), matrix.toarray()[::2])
        assert plan.thinned(20) is None  # ten owners choose no row thirty times
