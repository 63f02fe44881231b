"""Louis' identity for several abilities against second derivatives by automatic differentiation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_dimensions import FRAME, WITHIN, table

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation import louis_dimensions
from psymetric.estimation.louis_dimensions import dimensions_hessian
from psymetric.estimation.multidimensional import multidimensional_problem, placed
from psymetric.estimation.window_places import COARSE

ROWS = FRAME[FRAME["subject"] < "s030"]
RNG = np.random.default_rng(4)
# Three dimensions; judges who meet a part of the responses, unequal weights, and missing responses.
JUDGED = ROWS.assign(judge=RNG.choice(["j1", "j2", "j3"], len(ROWS)), weight=RNG.choice([1.0, 0.5], len(ROWS))).sample(
    frac=0.8, random_state=1
)
THREE = {"E": ("e1", "e2", "e3"), "M": ("e4", "n1", "n2"), "N": ("n3", "n4")}
CASES = {
    "between": (ps.Multidimensional(), table(ROWS)),
    "within, slopes": (ps.Multidimensional(key=WITHIN, discrimination="free"), table(ROWS)),
    "three, judges": (
        ps.Multidimensional(key=THREE, facets=("item", "judge"), steps="common", discrimination="free"),
        ps.ResponseTable.from_frame(
            JUDGED, response="score", subject="subject", item="item", facets=("judge",), weight="weight"
        ),
    ),
}


@pytest.mark.parametrize(
    "name", ["between", *(pytest.param(name, marks=pytest.mark.thorough) for name in CASES if name != "between")]
)
def test_curvature_is_that_of_the_density(name, monkeypatch):
    model, data = CASES[name]
    # Several pieces, the last one not full.
    monkeypatch.setattr(louis_dimensions, "_AT_ONCE", 1 << 17)
    with double_precision():
        problem = multidimensional_problem(model, data, prior=True)
        # Away from the mode, where neither part of the identity vanishes.
        point = problem.space.start() + np.random.default_rng(2).normal(size=problem.space.size) / 4
        problem = placed(problem, point, COARSE)
        found = dimensions_hessian(problem, point)
        expected = np.asarray(jax.jit(jax.hessian(problem.log_density))(jnp.asarray(point)))
    # Rounding alone lies between them.
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
