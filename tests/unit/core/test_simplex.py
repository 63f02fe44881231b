"""Probabilities that sum to one: the map from a free vector, its volume, and the Dirichlet prior."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import dirichlet

from psymetric.core.parameters import Block, ParameterSpace
from psymetric.core.precision import double_precision
from psymetric.core.simplex import Simplex, dirichlet_log_density


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def _volume(free: np.ndarray) -> float:
    """Log of the determinant of all but the last probability in the free vector, by differences."""
    simplex, n = Simplex((len(free) + 1,)), len(free)
    ends = [[np.asarray(simplex.forward(jnp.asarray(free + s * 1e-6 * np.eye(n)[k])))[:n] for s in (1, -1)]
            for k in range(n)]  # fmt: skip
    return float(np.log(abs(np.linalg.det(np.array([(high - low) / 2e-6 for high, low in ends])))))


def test_rows_and_their_free_vector() -> None:
    simplex = Simplex((2, 3))
    value = np.array([[0.5, 0.3, 0.2], [0.05, 0.05, 0.9]])
    free = simplex.inverse(value)
    assert free.shape == (simplex.size,) == (4,)
    np.testing.assert_allclose(simplex.forward(jnp.asarray(free)), value, atol=1e-14)
    # Exchanging two categories turns the free vector and leaves its length.
    assert np.linalg.norm(simplex.inverse(value[:, [2, 0, 1]])) == pytest.approx(np.linalg.norm(free))
    far = np.asarray(simplex.log_forward(jnp.asarray(3_000.0 * free)))
    assert np.all(np.isfinite(far))


def test_dirichlet_prior_is_scipys_with_the_volume() -> None:
    counts, simplex = np.array([2.8, 0.9, 0.3]), Simplex((3,))
    points = [np.array([0.3, -0.7]), np.array([-1.2, 0.4]), np.zeros(2)]
    ours = [float(dirichlet_log_density(simplex, jnp.asarray(p), jnp.asarray(counts))) for p in points]
    theirs = [dirichlet.logpdf(np.asarray(simplex.forward(jnp.asarray(p))), counts) + _volume(p) for p in points]
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), atol=1e-8)


def test_block_with_a_dirichlet_prior_starts_at_its_mean() -> None:
    counts = np.array([[2.8, 0.6, 0.6], [0.1, 3.8, 0.1]])
    block = Block("rows", Simplex((2, 3)), 1.0, labels=("judge", "category"), dirichlet=jnp.asarray(counts))
    space = ParameterSpace((block,))
    start = jnp.asarray(space.start())
    np.testing.assert_allclose(space.constrain(start)["rows"], counts / 4, atol=1e-14)
    moved = start + jnp.array([0.2, 0.0, -0.1, 0.3])
    rows = np.asarray(space.constrain(moved)["rows"])
    assert float(space.log_prior(moved)) == pytest.approx(float((counts * np.log(rows)).sum()), abs=1e-12)
