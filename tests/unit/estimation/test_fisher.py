"""One evaluation of a marginal problem against its parts, and the programs that a fit compiles."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import engine_cases
import jax
import jax.numpy as jnp
import numpy as np

import psymetric as ps
from psymetric.core.parameters import constrain
from psymetric.core.precision import double_precision
from psymetric.estimation.curvature import penalty, value_and_gradient
from psymetric.estimation.fisher import evaluated, posterior_spread
from psymetric.estimation.problems import marginal_problem

PROGRAMS = {"_bend", "_on_the_table", "_penalty", "_with_penalty", "constrain", "evaluated", "jacobian"}
"""Two more where a large table is climbed on a coarse grid: `evaluated` in another shape."""


@jax.jit
def directly(problem, free):
    """Log density and its gradient by differentiating it, posteriors by their definition, and the log prior."""
    found = jax.value_and_grad(problem.log_density)(free)
    return found, jax.nn.softmax(problem.log_joint(free), axis=1), problem.space.log_prior(free)


def test_parts_of_an_evaluation():
    rng = np.random.default_rng(5)
    with double_precision():
        table = engine_cases.table(engine_cases.frame())
        problem = marginal_problem(engine_cases.MODEL, table, prior=True, n_nodes=31, half_width=6.0)
        counted = rng.integers(0, 3, engine_cases.N_SUBJECTS).astype(np.float64)
        problem = replace(problem, multiplicity=jnp.asarray(counted))
        free = rng.normal(0, 0.4, problem.space.size)

        expected, posterior, prior = directly(problem, free)
        found = value_and_gradient(problem, free)
        assert abs(float(found[0]) - float(expected[0])) < 1e-10
        np.testing.assert_allclose(found[1], expected[1], atol=1e-10)
        assert abs(penalty(problem, free) - float(prior)) < 1e-12

        at, posterior = evaluated(problem, constrain(problem.space, free)), np.asarray(posterior)
        np.testing.assert_allclose(at.posterior, posterior, atol=1e-12)
        weighted = problem.responses.matrix().T @ (counted[:, None] * posterior)
        np.testing.assert_allclose(at.expected, weighted, atol=1e-12)

        mean, sd, at_end = posterior_spread(problem, free)
        nodes = np.asarray(problem.nodes)
        np.testing.assert_allclose(mean, posterior @ nodes, atol=1e-12)
        np.testing.assert_allclose(sd**2, posterior @ nodes**2 - mean**2, atol=1e-10)
        np.testing.assert_allclose(at_end, posterior[:, [0, -1]].max(), rtol=1e-9)


def test_a_fit_compiles_few_programs(caplog):
    """Each takes a fifth of a second, and so does what is done to arrays outside of them, operation by operation."""
    # Of a shape that no other test has.
    rows = engine_cases.frame().query("subject not in ('s3', 's14', 's15')")
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        ps.fit(engine_cases.MODEL, engine_cases.table(rows), engine=ps.MarginalML())
    names = re.findall(r"Finished XLA compilation of jit\((\w+)\)", caplog.text)
    assert "evaluated" in names
    assert set(names) <= PROGRAMS
    assert len(names) == len(set(names))
