"""Louis' identity against differentiating the marginal likelihood twice."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import model_cases
import numpy as np
import pytest

from psymetric.core.precision import double_precision
from psymetric.estimation.louis import marginal_hessian
from psymetric.estimation.problems import MarginalProblem, marginal_problem
from psymetric.models.space import has_ability

CASES = [case for case in model_cases.independent_cases() if has_ability(case.model)]


@jax.jit
def second_derivative(problem: MarginalProblem, free: jax.Array) -> jax.Array:
    return jax.hessian(problem.log_density)(free)


@pytest.mark.parametrize("case", model_cases.parameters(CASES))
def test_equals_the_second_derivative(case):
    with double_precision():
        problem = marginal_problem(case.model, case.table, prior=True, n_nodes=21, half_width=5.0)
        free = np.random.default_rng(3).normal(0, 0.4, problem.space.size)
        expected = np.asarray(second_derivative(problem, jnp.asarray(free)))
        # Sums of a hundred terms of order one, in another order.
        np.testing.assert_allclose(marginal_hessian(problem, free), expected, atol=1e-9)


def test_ragged_designs():
    """Subjects with one to nine responses, some of them weighted."""
    frame = model_cases.response_frame(4)
    frame = frame[np.random.default_rng(1).random(len(frame)) < 0.6].assign(w=1.0)
    frame.loc[frame.index[:20], "w"] = 2.5
    model = next(case.model for case in CASES if str(case).startswith("ManyFacetRasch"))
    with double_precision():
        problem = marginal_problem(
            model, model_cases.response_table(frame, "w"), prior=False, n_nodes=21, half_width=5.0
        )
        free = np.random.default_rng(4).normal(0, 0.4, problem.space.size)
        expected = np.asarray(second_derivative(problem, jnp.asarray(free)))
        np.testing.assert_allclose(marginal_hessian(problem, free), expected, atol=1e-9)


def test_subjects_counted_more_than_once_and_not_at_all():
    """By multiplicity, which counts integrals, and by weights of zero within one."""
    frame = model_cases.response_frame(4).assign(w=1.0)
    frame.loc[frame["subject"] == "s3", "w"] = 0.0
    model = next(case.model for case in CASES if str(case).startswith("ManyFacetRasch"))
    with double_precision():
        problem = marginal_problem(
            model, model_cases.response_table(frame, "w"), prior=False, n_nodes=21, half_width=5.0
        )
        counted = replace(problem, multiplicity=jnp.asarray([2.0, 0.0, 3.0] + [1.0] * 9))
        free = np.random.default_rng(4).normal(0, 0.4, problem.space.size)
        expected = np.asarray(second_derivative(counted, jnp.asarray(free)))
        np.testing.assert_allclose(marginal_hessian(counted, free), expected, atol=1e-9)
        assert not np.allclose(marginal_hessian(problem, free), expected, atol=1e-3)
