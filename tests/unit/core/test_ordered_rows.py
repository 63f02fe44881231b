"""Rows of probabilities in order: the map is onto the order, has the volume it says, and comes back."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from psymetric.core.ordered_rows import OrderedRows, RowOrder, in_order, pooling, rows_from_free
from psymetric.core.precision import double_precision
from psymetric.core.simplex import Simplex, dirichlet_log_density

ORDERS: tuple[RowOrder, ...] = ("none", "lowest", "stochastic")
N_ROWS, N_LABELS = 3, 4


def bijector(order: RowOrder) -> OrderedRows:
    counts = np.random.default_rng(1).uniform(0.1, 3.0, (N_ROWS, N_LABELS))
    return OrderedRows.build((N_ROWS, N_LABELS), order, counts)


@pytest.mark.parametrize("order", ORDERS)
def test_rows_are_probabilities_in_the_order(order: RowOrder) -> None:
    with double_precision():
        rows = np.asarray(bijector(order).forward(jax.device_put(np.random.default_rng(2).normal(0, 2, 9))))
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-14)
    falls = np.diff(np.cumsum(rows, axis=1), axis=0) <= 1e-14
    assert {"none": True, "lowest": falls[:, 0].all(), "stochastic": falls.all()}[order]


@pytest.mark.parametrize("order", ORDERS)
def test_volume_is_the_determinant_of_the_derivative(order: RowOrder) -> None:
    with double_precision():
        chosen, free = bijector(order), jax.device_put(np.random.default_rng(3).normal(0, 1.5, 9))
        matrix = jax.jacobian(lambda at: chosen.forward(at)[:, :-1].ravel())(free)
        assert float(chosen.log_jacobian(free)) == pytest.approx(np.linalg.slogdet(np.asarray(matrix))[1], abs=1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_free_vector_comes_back(order: RowOrder) -> None:
    with double_precision():
        chosen, free = bijector(order), np.random.default_rng(4).normal(0, 1.5, 9)
        rows = np.asarray(chosen.forward(jax.device_put(free)))
        assert np.allclose(chosen.inverse(rows), free, atol=1e-7)


def test_order_is_seen_in_rows_that_have_it_and_not_in_those_that_have_it_reversed() -> None:
    with double_precision():
        pooled = jax.device_put(pooling("stochastic", N_LABELS))
        rows = rows_from_free(jax.device_put(np.random.default_rng(5).normal(size=(N_ROWS, N_LABELS - 1))), pooled)[0]
        assert bool(in_order(rows, pooled))
        assert not bool(in_order(rows[::-1], pooled))


def test_rows_on_the_edge_of_the_order_are_moved_inside() -> None:
    with double_precision():
        chosen = bijector("stochastic")
        equal = np.full((N_ROWS, N_LABELS), 1 / N_LABELS)
        free = chosen.inverse(equal)
        assert np.all(np.abs(free) < 10)


def test_dirichlet_density_of_unordered_rows_is_that_of_the_softmax_less_its_jacobian() -> None:
    counts = np.random.default_rng(6).uniform(0.5, 3.0, (N_ROWS, N_LABELS))
    with double_precision():
        rows, soft = OrderedRows.build(counts.shape, "none", counts), Simplex(counts.shape)
        free = np.random.default_rng(7).normal(size=9)
        value = np.asarray(rows.forward(jax.device_put(free)))
        other = jax.device_put(soft.inverse(value))
        of_rows = dirichlet_log_density(rows, jax.device_put(free), counts) - rows.log_jacobian(jax.device_put(free))
        of_soft = dirichlet_log_density(soft, other, counts) - soft.log_jacobian(other)
        assert float(of_rows) == pytest.approx(float(of_soft), abs=1e-7)
        naive = np.sum((counts - 1) * np.log(value))
        assert float(of_rows) == pytest.approx(naive, abs=1e-7)


def test_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order='up' is not one of"):
        pooling("up", 3)  # pyright: ignore[reportArgumentType]
