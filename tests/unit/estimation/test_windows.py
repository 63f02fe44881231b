"""Integrals on windows under each posterior, against a fixed product grid over all dimensions."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation.multidimensional import multidimensional_problem, placed
from psymetric.estimation.window_draws import draw_dimensions
from psymetric.estimation.window_places import accuracy, place_windows
from psymetric.estimation.windows import all_moments

# What `accuracy` promises of a log-likelihood per subject; found when written: 3e-11, 1e-11, 2e-8, 2e-6 and 2e-5.
PROMISED = {1: 1e-8, 2: 1e-8, 3: 1e-7, 4: 1e-5, 5: 1e-4}
# Nodes of the reference over ±8 sds (±6 in five dimensions), half a posterior sd apart or closer.
REFERENCE = {1: (8, 161), 2: (8, 81), 3: (8, 61), 4: (7, 37), 5: (6, 23)}
N, EACH = 4, 3
DIFFICULTY = np.array([-0.7, 0.1, 0.8])


def table(n_dims: int) -> ps.ResponseTable:
    rng = np.random.default_rng(n_dims)
    theta = rng.normal(size=(N, n_dims))
    rows = [
        (f"s{s}", f"i{d}{i}", f"d{d}", int(rng.random() < expit(theta[s, d] - DIFFICULTY[i])))
        for s in range(N)
        for d in range(n_dims)
        for i in range(EACH)
    ]
    rows += [("extreme", f"i{d}{i}", f"d{d}", int(d % 2)) for d in range(n_dims) for i in range(EACH)]
    frame = pd.DataFrame(rows, columns=["subject", "item", "trait", "right"])
    return ps.ResponseTable.from_frame(frame, response="right", subject="subject", item="item", dimension="trait")


def reference(data: ps.ResponseTable, params: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Marginal log-likelihoods, shape (subjects,), and posterior means, shape (subjects, dimensions)."""
    n_dims = len(params["population_mean"])
    reach, n_nodes = REFERENCE[n_dims]
    z = np.linspace(-reach, reach, n_nodes)
    shapes = [[-1 if e == d else 1 for e in range(n_dims)] for d in range(n_dims)]
    precision = np.linalg.inv(params["correlation"])
    pairs = [
        precision[d, e] * z.reshape(shapes[d]) * z.reshape(shapes[e]) for d in range(n_dims) for e in range(n_dims)
    ]
    constant = np.linalg.slogdet(params["correlation"])[1] + n_dims * np.log(2 * np.pi)
    prior = -0.5 * (reduce(np.add, pairs) + constant) + n_dims * np.log(z[1] - z[0])
    values, means = [], []
    for subject in range(len(data.levels["subject"])):
        total = prior
        for d in range(n_dims):
            theta = params["population_mean"][d] + params["population_sd"][d] * z
            rows = (data.codes["subject"] == subject) & (data.codes["trait"] == d)
            along = np.zeros(n_nodes)
            for item, right in zip(data.codes["item"][rows], data.response[rows], strict=True):
                along += np.log(expit((2 * right - 1) * (theta - params["item"][item])))
            total = total + along.reshape(shapes[d])
        values.append(logsumexp(total))
        mass = np.exp(total - values[-1])
        marginals = [mass.sum(axis=tuple(e for e in range(n_dims) if e != d)) for d in range(n_dims)]
        means.append(params["population_mean"] + params["population_sd"] * np.array([m @ z for m in marginals]))
    return np.array(values), np.array(means)


@pytest.mark.parametrize(
    "n_dims", [pytest.param(n, marks=[pytest.mark.thorough] if n > 3 else []) for n in sorted(PROMISED)]
)
def test_marginal_likelihood_and_means(n_dims):
    data = table(n_dims)
    correlation = np.full((n_dims, n_dims), 0.5) + 0.5 * np.eye(n_dims)
    with double_precision():
        problem = multidimensional_problem(ps.Multidimensional(), data, prior=False)
        params = {
            name: np.asarray(value) for name, value in problem.space.constrain(np.zeros(problem.space.size)).items()
        }
        params |= {
            "item": np.tile(DIFFICULTY, n_dims),
            "population_mean": np.linspace(-0.5, 0.5, n_dims),
            "population_sd": np.linspace(0.8, 1.3, n_dims),
            "correlation": correlation,
            "step": np.zeros((EACH * n_dims, 1)),
        }
        integral, spacing = place_windows(problem.integral, params, accuracy(n_dims))
        known = {name: jnp.asarray(value) for name, value in params.items()}
        found = integral.each(lambda subject: integral.log_marginal(known, subject))
        mean = np.asarray(all_moments(integral, params).mean)
    expected, means = reference(data, params)
    np.testing.assert_allclose(np.asarray(found), expected, atol=PROMISED[n_dims])
    np.testing.assert_allclose(mean, means, atol=10 * PROMISED[n_dims])
    assert spacing <= accuracy(n_dims).spacing * (1 + 1e-12)


def test_windows_elsewhere_share_a_program():
    """What is compiled depends on the number of nodes, not on where they lie and how closely."""
    with double_precision():
        bare = multidimensional_problem(ps.Multidimensional(), table(2), prior=True)
        problem = placed(bare, bare.space.start(), accuracy(2))
    closer = replace(problem, spacing=problem.spacing / 2)
    assert jax.tree.structure(problem) == jax.tree.structure(closer)


def test_what_the_nodes_do_not_resolve_has_no_more_than_its_mass():
    """Responses have a probability under one, also where the population collapses onto a node or a line of them.

    Weights of the nodes that add up to more would make the posterior of such parameters improper.
    """
    with double_precision():
        bare = multidimensional_problem(ps.Multidimensional(), table(2), prior=True)
        problem = placed(bare, bare.space.start(), accuracy(2))
        problem = replace(problem, integral=replace(problem.integral, in_factors=False))
        centre = np.asarray(problem.integral.subjects.centre)[0]
        params = {
            name: np.asarray(value) for name, value in problem.space.constrain(jnp.asarray(bare.space.start())).items()
        }
        params["population_mean"] = centre
        for sd, correlation in ((1e-6, 0.0), (1.0, 1 - 1e-9), (1e-3, -1 + 1e-9)):
            params |= {
                "population_sd": np.full(2, sd),
                "correlation": np.array([[1, correlation], [correlation, 1]]),
            }
            assert float(problem.log_marginals({name: jnp.asarray(v) for name, v in params.items()}).max()) <= 0
            free = problem.space.unconstrain(params)
            assert np.isfinite(draw_dimensions(problem, free[None], seed=1)).all()
