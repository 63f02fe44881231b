"""Gradients of comparisons by cells against the density of their rows."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import model_cases
import numpy as np
import pytest

from psymetric.core.precision import double_precision
from psymetric.estimation.pair_cells import PairCells
from psymetric.estimation.problems import joint_problem

PAIRS = [case for case in model_cases.independent_cases() if case.model.table_kind == "pairs"]


@pytest.mark.parametrize("case", model_cases.parameters(PAIRS))
def test_gradients_at_several_points(case):
    """Each point under counts of its own, results that do not occur in the table among them."""
    rng = np.random.default_rng(8)
    with double_precision():
        problem = joint_problem(case.model, case.table, prior=True)
        cells = PairCells.of(problem, case.table)
        points = rng.normal(0, 0.4, (3, problem.space.size))
        counts = rng.integers(0, 3, (3, cells.n_counts)).astype(float)
        found, every = cells.gradients(points, counts), cells.every_result()
        for point, count, one in zip(points, counts, found, strict=True):
            drawn = replace(every, weight=jnp.asarray(count))
            np.testing.assert_allclose(one, np.asarray(jax.grad(drawn.log_density)(jnp.asarray(point))), atol=1e-9)


@pytest.mark.parametrize("case", PAIRS[:1], ids=str)
def test_counts_are_the_rows_added_up(case):
    with double_precision():
        problem = joint_problem(case.model, case.table, prior=False)
        cells = PairCells.of(problem, case.table)
        weight = jnp.asarray(cells.counts(case.table.weight))
        point = jnp.asarray(np.random.default_rng(2).normal(0, 0.4, problem.space.size))
        whole = replace(cells.every_result(), weight=weight)
        np.testing.assert_allclose(whole.log_density(point), problem.log_density(point), rtol=1e-12)
