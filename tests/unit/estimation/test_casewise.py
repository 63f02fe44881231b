"""Scores of single responses against the gradient of the whole log-likelihood, for every model."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import model_cases
import numpy as np
import pytest

from psymetric.core.precision import double_precision
from psymetric.estimation.casewise import (
    constraint_jacobian,
    joint_hessian,
    joint_scores,
    marginal_scores,
    structural_space,
)
from psymetric.estimation.problems import JointProblem, MarginalProblem, joint_problem, marginal_problem
from psymetric.models.base import ABILITY
from psymetric.models.space import has_ability

CASES = model_cases.independent_cases()


@jax.jit
def gradient(problem: MarginalProblem | JointProblem, free: jax.Array) -> jax.Array:
    return jax.grad(lambda point: problem.log_likelihood(point))(free)


def point_of(problem: MarginalProblem | JointProblem) -> np.ndarray:
    return np.random.default_rng(6).normal(0, 0.4, problem.space.size)


@pytest.mark.parametrize("case", model_cases.parameters(case for case in CASES if has_ability(case.model)))
def test_posterior_means_add_up_to_the_marginal_gradient(case):
    with double_precision():
        problem = marginal_problem(case.model, case.table, prior=False, n_nodes=21, half_width=5.0)
        free = point_of(problem)
        total = case.table.weight @ marginal_scores(problem, case.table, free)
        found = total @ np.asarray(constraint_jacobian(problem.space, jnp.asarray(free)))
        # Sums of a hundred terms of order one, in another order.
        np.testing.assert_allclose(found, np.asarray(gradient(problem, jnp.asarray(free))), atol=1e-9)


@pytest.mark.parametrize("case", model_cases.parameters(CASES))
def test_rows_add_up_to_the_joint_gradient(case):
    with double_precision():
        problem = joint_problem(case.model, case.table, prior=False)
        free = point_of(problem)
        scores, own = joint_scores(problem, case.table, free)
        expected = np.asarray(gradient(problem, jnp.asarray(free)))
        where, space = problem.space.slices(), structural_space(problem.space)
        n_own = where[ABILITY].stop if ABILITY in where else 0
        jacobian = np.asarray(constraint_jacobian(space, jnp.asarray(free[n_own:])))
        np.testing.assert_allclose((case.table.weight @ scores) @ jacobian, expected[n_own:], atol=1e-9)
        if n_own:
            subject = case.table.codes["subject"]
            by_subject = np.bincount(subject, weights=case.table.weight * own, minlength=n_own)
            np.testing.assert_allclose(by_subject, expected[:n_own], atol=1e-9)


PAIRS = [case for case in CASES if case.model.table_kind == "pairs"]


@pytest.mark.parametrize("case", model_cases.parameters(PAIRS))
def test_hessian_of_comparisons(case):
    with double_precision():
        problem = joint_problem(case.model, case.table, prior=True)
        free = point_of(problem)
        expected = np.asarray(jax.hessian(problem.log_density)(jnp.asarray(free)))
        np.testing.assert_allclose(joint_hessian(problem, free), expected, atol=1e-8)
