"""Many levels: sum scores, sparse curvature and its inverse, against the general problem and dense matrices."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.bijectors import Centred
from psymetric.core.precision import double_precision
from psymetric.estimation import curvature, sparse_joint, sparse_marginal
from psymetric.estimation.bordered import BorderedInformation, centred_contract, centred_extend
from psymetric.estimation.problems import joint_problem, marginal_problem
from psymetric.estimation.sparse_marginal import many_levels
from psymetric.estimation.sum_score_information import sum_score_information
from psymetric.estimation.sum_score_layout import Layout
from psymetric.estimation.sum_scores import sum_score_problem, value_and_gradient

N_SUBJECTS, N_JUDGES = 150, 12
COMMON = ps.ManyFacetRasch(facets=("item", "judge"))
OWNED = ps.ManyFacetRasch(facets=("item", "judge"), steps="item")


def ratings(*, ragged: bool) -> ps.ResponseTable:
    """Two to four judges each; `ragged`: some items missing, some responses weighted."""
    rng = np.random.default_rng(5)
    ability, severity = rng.normal(0, 1, N_SUBJECTS), rng.normal(0, 0.5, N_JUDGES)
    met = [(s, j) for s in range(N_SUBJECTS) for j in rng.choice(N_JUDGES, rng.integers(2, 5), replace=False)]
    frame = pd.DataFrame([(s, j, i) for s, j in met for i in range(5)], columns=["subject", "judge", "item"])
    location = (ability[frame["subject"]] - severity[frame["judge"]] - 0.3 * (frame["item"] - 2)).to_numpy()
    odds = np.cumsum(np.column_stack([np.zeros(len(frame)), location[:, None] - np.array([-1.0, 0.0, 1.0])]), axis=1)
    below = np.cumsum(np.exp(odds), axis=1)
    frame["score"] = (rng.random((len(frame), 1)) * below[:, -1:] > below).sum(axis=1)
    frame["w"] = 1.0
    if ragged:
        frame = frame[rng.random(len(frame)) < 0.9].reset_index(drop=True)
        frame.loc[frame.index[:30], "w"] = 2.5
    return ps.ResponseTable.from_frame(
        frame, response="score", subject="subject", item="item", facets=("judge",), weight="w"
    )


def dense(found: BorderedInformation) -> np.ndarray:
    """The whole matrix in the free vector."""
    n_levels = found.many.shape[0]
    basis = np.stack([centred_extend(unit) for unit in np.eye(n_levels - 1)], axis=1)
    size = n_levels - 1 + len(found.few)
    own, rest = np.arange(size)[found.place], np.delete(np.arange(size), found.place)
    whole = np.empty((size, size))
    whole[np.ix_(own, own)] = basis.T @ found.many.toarray() @ basis
    whole[np.ix_(own, rest)] = basis.T @ found.border
    whole[np.ix_(rest, own)] = whole[np.ix_(own, rest)].T
    whole[np.ix_(rest, rest)] = found.few
    return whole


def test_embedding_of_centred_levels():
    free = np.random.default_rng(0).normal(size=6)
    with double_precision():
        np.testing.assert_allclose(centred_extend(free), Centred((7,)).forward(jnp.asarray(free)), atol=1e-15)
    np.testing.assert_allclose(centred_contract(centred_extend(free)), free, atol=1e-15)


@pytest.mark.parametrize("ragged", [pytest.param(False, marks=pytest.mark.thorough), True])
@pytest.mark.parametrize("model", [COMMON, OWNED], ids=["common", "owned"])
def test_marginal_problem_of_sum_scores_is_the_general_one(model, ragged):
    table = ratings(ragged=ragged)
    with double_precision():
        general = marginal_problem(model, table, prior=False, n_nodes=41, half_width=6.0)
        problem = sum_score_problem(model, table, many="judge", n_nodes=41, half_width=6.0)
        assert problem is not None
        if not ragged:
            # All five items of a judge were met together.
            assert problem.classes.shape[1] == N_JUDGES
        free = np.random.default_rng(1).normal(0, 0.3, problem.space.size)
        value, gradient = curvature.value_and_gradient(general, jnp.asarray(free))
        found, slope = value_and_gradient(problem, jnp.asarray(free))
        assert float(found) == pytest.approx(float(value), rel=1e-13)
        np.testing.assert_allclose(slope, gradient, atol=1e-9)
        layout = Layout.of(problem.space, problem.cells, "judge")
        information = sum_score_information(problem, layout, free)
        expected = curvature.information(general, free).schur
        # Entries of up to 400, of which 1e-12 is rounding.
        np.testing.assert_allclose(dense(information), expected, atol=1e-8)


@pytest.mark.parametrize("model", [COMMON, OWNED], ids=["common", "owned"])
def test_joint_information_is_the_general_one(model):
    table = ratings(ragged=True)
    with double_precision():
        general = joint_problem(model, table, prior=False)
        problem = sparse_joint.joint_responses(model, table)
        assert problem is not None
        free = np.random.default_rng(1).normal(0, 0.3, problem.space.size)
        value, gradient = curvature.value_and_gradient(general, jnp.asarray(free))
        found, slope = sparse_joint.value_and_gradient(problem, jnp.asarray(free))
        assert float(found) == pytest.approx(float(value), rel=1e-13)
        np.testing.assert_allclose(slope, gradient, atol=1e-9)
        information = sparse_joint.joint_information(problem, "judge", free)
        expected = curvature.information(general, free)
        np.testing.assert_allclose(information.diagonal, expected.diagonal, rtol=1e-10)
        np.testing.assert_allclose(dense(information.rest), expected.schur, atol=1e-8)
        np.testing.assert_allclose(
            information.solve(np.asarray(gradient)), expected.solve(np.asarray(gradient)), atol=1e-8
        )


def test_inverse_and_solution_against_a_dense_inverse():
    with double_precision():
        problem = sum_score_problem(COMMON, ratings(ragged=True), many="judge", n_nodes=41, half_width=6.0)
        assert problem is not None
        layout = Layout.of(problem.space, problem.cells, "judge")
        found = sum_score_information(problem, layout, problem.space.start())
    whole = np.linalg.inv(dense(found))
    rng = np.random.default_rng(2)
    right = rng.normal(size=len(whole))
    np.testing.assert_allclose(found.solve(right), whole @ right, atol=1e-9)
    own, rest = np.arange(len(whole))[found.place], np.delete(np.arange(len(whole)), found.place)
    basis = np.stack([centred_extend(unit) for unit in np.eye(N_JUDGES - 1)], axis=1)
    covariance = basis @ whole[np.ix_(own, own)] @ basis.T
    inverse = found.inverse()
    np.testing.assert_allclose(inverse.few, whole[np.ix_(rest, rest)], rtol=1e-8)
    np.testing.assert_allclose(inverse.level_covariance(), covariance, atol=1e-10)
    np.testing.assert_allclose(inverse.level_variances(), np.diag(covariance), rtol=1e-8)
    levels, others = rng.normal(size=(4, N_JUDGES)), rng.normal(size=(4, len(rest)))
    across = basis @ whole[np.ix_(own, rest)]
    expected = (
        np.einsum("ij,jk,ik->i", levels, covariance, levels)
        + 2 * np.einsum("ij,jk,ik->i", levels, across, others)
        + np.einsum("ij,jk,ik->i", others, inverse.few, others)
    )
    from scipy.sparse import csr_array

    np.testing.assert_allclose(inverse.variances(csr_array(levels), others), expected, rtol=1e-8)


def test_a_direction_without_information_is_found():
    """Two judges whose difference nothing tells: their block has no curvature along it."""
    from scipy.sparse import csr_array

    block = 50 * np.eye(6)
    block[:2, :2] = [[25 + 1e-6, 25], [25, 25 + 1e-6]]
    found = BorderedInformation(csr_array(block), np.zeros((6, 1)), np.full((1, 1), 40.0), slice(0, 5))
    null = found.null_directions()
    assert null.shape == (6, 1)
    moved = centred_extend(null[:5, 0])
    np.testing.assert_allclose(np.abs(moved[:2]), np.sqrt(0.5), atol=1e-3)
    assert moved[0] * moved[1] < 0
    whole = BorderedInformation(csr_array(50 * np.eye(6)), np.zeros((6, 1)), np.full((1, 1), 40.0), slice(0, 5))
    assert whole.null_directions().shape == (6, 0)


@pytest.mark.parametrize("engine", [ps.MarginalML(), ps.JointML()], ids=["marginal", "joint"])
def test_fits_agree_with_the_general_way(engine, monkeypatch):
    table = ratings(ragged=True)
    general = ps.fit(COMMON, table, engine=engine)
    monkeypatch.setattr(sparse_marginal, "_MANY", 10)
    assert many_levels(COMMON, table) == "judge"
    sparse = ps.fit(COMMON, table, engine=engine)
    assert sparse.log_likelihood == pytest.approx(general.log_likelihood, abs=1e-6)
    assert sparse.extremes == general.extremes
    for name, value in general.parameters.items():
        np.testing.assert_allclose(sparse.parameters[name], value, atol=1e-6)
        # The curvature is that of a point within a millilogit of the maximum, and two climbs leave two such points.
        np.testing.assert_allclose(sparse.standard_errors[name], general.standard_errors[name], rtol=1e-4)
        if name in general.covariances:
            np.testing.assert_allclose(sparse.covariances[name], general.covariances[name], atol=1e-5)


def test_designs_that_need_the_general_way(monkeypatch):
    table = ratings(ragged=False)
    assert many_levels(COMMON, table) is None  # twelve judges are few
    monkeypatch.setattr(sparse_marginal, "_MANY", 10)
    facets = ("item", "judge")
    for model in (
        ps.ManyFacetRasch(facets=facets, random=("judge",)),
        ps.ManyFacetRasch(facets=facets, anchors={"judge": {0: 0.0}}),
        ps.ManyFacetRasch(facets=facets, interactions=(("judge", "item"),)),
        ps.ManyFacetRasch(facets=facets, steps="judge"),
    ):
        assert many_levels(model, table) is None, model
    with double_precision():
        sloped = ps.ManyFacetRasch(facets=facets, slopes=("item",))
        assert sum_score_problem(sloped, table, many="judge", n_nodes=41, half_width=6.0) is None
