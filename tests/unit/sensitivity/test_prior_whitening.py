"""Whitening of a simplex judge: there and back, and a curvature of one in every direction at the mode."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.sensitivity.prior_density import grid_problem
from psymetric.sensitivity.prior_whitening import whitening


def test_curvature_at_the_mode_is_one_in_every_direction() -> None:
    counts = np.random.default_rng(0).integers(50, 300, (3, 2, 3))
    rows = [(f"c{c}", f"j{j}", k, n) for (c, j, k), n in np.ndenumerate(counts)]
    frame = pd.DataFrame(rows, columns=["model", "judge", "label", "n"])
    table = ps.ResponseTable.from_frame(frame, response="label", subject="model", facets="judge", weight="n")
    with double_precision():
        problem = grid_problem(ps.SimplexJudge(prior_labels=20.0, candidate_sd=0.3), table)
        found = whitening(problem)
        size = problem.space.size
        white = np.random.default_rng(1).standard_normal(size)
        assert np.allclose(found.white(found.free(white)), white, atol=1e-9)
        bent = jax.jit(jax.hessian(lambda at: -problem.log_density(found.free(at))))(np.zeros(size))
    assert np.allclose(bent, np.eye(size), atol=1e-4)
