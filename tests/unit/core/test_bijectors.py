"""Constraint maps: what they promise of their values, their inverses and their directions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from psymetric.core.bijectors import Anchored, Centred, Free, Positive
from psymetric.core.precision import double_precision
from psymetric.core.steps import UNUSED, Steps

USED = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 1, 1]], bool)


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def maps():
    with double_precision():
        return [
            Free((2, 3)),
            Positive((3,)),
            Centred((1,)),
            Centred((5,)),
            Centred((3, 4)),
            Anchored.build(np.array([np.nan, 0.5, np.nan])),
            Steps.build(USED),
        ]


@pytest.mark.parametrize("bijector", maps(), ids=lambda b: type(b).__name__)
def test_there_and_back(bijector):
    free = np.random.default_rng(1).normal(size=bijector.size)
    value = np.asarray(bijector.forward(jnp.asarray(free)))
    assert value.shape == bijector.shape
    np.testing.assert_allclose(bijector.inverse(value), free, atol=1e-11)


@pytest.mark.parametrize("bijector", [b for b in maps() if isinstance(b, (Centred, Steps, Free))], ids=repr)
def test_directions_are_orthonormal(bijector):
    """So that a normal prior on the free vector is the same normal on the constrained space."""
    jacobian = np.asarray(jax.jacfwd(lambda x: bijector.forward(x).ravel())(jnp.zeros(bijector.size)))
    np.testing.assert_allclose(jacobian.T @ jacobian, np.eye(bijector.size), atol=1e-12)


def test_centred_sums_to_zero_along_every_axis():
    value = np.asarray(Centred((3, 4)).forward(jnp.arange(6.0)))
    np.testing.assert_allclose(value.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(value.sum(axis=1), 0, atol=1e-12)


def test_anchored_levels_stay():
    value = np.asarray(Anchored.build(np.array([np.nan, 0.5, np.nan])).forward(jnp.array([7.0, 8.0])))
    np.testing.assert_array_equal(value, [7.0, 0.5, 8.0])


def test_log_jacobian_of_positive():
    free = jnp.array([0.3, -1.2])
    jacobian = jax.jacfwd(Positive((2,)).forward)(free)
    assert float(Positive((2,)).log_jacobian(free)) == pytest.approx(float(jnp.linalg.slogdet(jacobian)[1]))


def test_steps_put_unused_categories_out_of_reach():
    steps = Steps.build(USED)
    assert steps.size == 2 + 1 + 2 + 0 + 1
    value = np.asarray(steps.forward(jnp.asarray(np.random.default_rng(2).normal(size=steps.size))))
    cumulated = np.concatenate([np.zeros((len(USED), 1)), np.cumsum(value, axis=1)], axis=1)
    cumulated -= np.where(USED, cumulated, np.inf).min(axis=1, keepdims=True)
    # Between used categories nothing is out of reach; every step into or out of an unused one is visibly no estimate.
    assert np.all(cumulated[USED] < 20)
    assert np.all(cumulated[~USED] > UNUSED / 2)
    joins_unused = ~USED[:, 1:] | ~USED[:, :-1]
    assert np.array_equal(np.abs(value) > UNUSED / 2, joins_unused)


def test_steps_of_a_group_sum_to_zero():
    """Over the categories that the group uses: the first and last used category are equally likely at its location."""
    steps = Steps.build(USED)
    value = np.asarray(steps.forward(jnp.ones(steps.size)))
    cumulated = np.concatenate([np.zeros((len(USED), 1)), np.cumsum(value, axis=1)], axis=1)
    for row, used in zip(cumulated, USED, strict=True):
        places = np.flatnonzero(used)
        assert row[places[-1]] - row[places[0]] == pytest.approx(0, abs=1e-9)
