"""Confusion matrices by EM and Newton's method: published numbers, closed forms, automatic derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import labelled_world
import numpy as np
import pandas as pd
import pytest
from labelled_world import confusion, drawn, table_of

import psymetric as ps
from psymetric.core.parameters import jacobian
from psymetric.core.precision import double_precision
from psymetric.errors import DesignError, IdentificationError
from psymetric.estimation import truth_search
from psymetric.estimation.truth import truth_data, truth_problem, truth_sums

MODEL = ps.DawidSkene(over="observer")


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    return labelled_world.anaesthesia()


@pytest.fixture(scope="module")
def fit(table) -> ps.Fit:
    return ps.fit(MODEL, table)


def test_more_starts_find_a_higher_maximum(table, fit) -> None:
    """The published one is a local maximum."""
    found = ps.fit(MODEL, table, engine=ps.MarginalML(starts=10))
    assert found.log_likelihood > fit.log_likelihood + 0.2
    assert any("the surface has several maxima: " in note for note in found.notes)
    assert found.status.details["starts"] == 10
    # Its truths carry the names that labels agree with.
    assert np.all(found.parameters["confusion"].mean(axis=0).argmax(axis=1) == np.arange(4))


def test_standard_errors_are_those_of_automatic_derivatives(table, fit) -> None:
    """The likelihood of the probabilities that are not held at 0, the last of each row left out, in JAX."""
    shares = np.concatenate([fit.parameters["prevalence"][None], fit.parameters["confusion"].reshape(-1, 4)])
    inside = (shares > 0) & (shares < 1)
    last = 3 - np.argmax(inside[:, ::-1], axis=1)
    free = inside & (np.arange(4) != last[:, None])
    with double_precision():
        sums = truth_sums(MODEL, truth_data(MODEL, table), 4)

        def log_likelihood(values: jax.Array) -> jax.Array:
            rows = jnp.asarray(np.where(free, 0.0, shares)).at[np.nonzero(free)].set(values)
            filled = jnp.where(free.any(axis=1), 1 - (rows * free).sum(axis=1), rows[np.arange(21), last])
            rows = rows.at[np.arange(21), last].set(filled)
            # Logs of what is held are constants, which need no derivative.
            rows = jnp.maximum(rows, 1e-300)
            return sums.log_likelihood({"prevalence": rows[0], "confusion": rows[1:].reshape(5, 4, 4)})

        hessian = np.asarray(jax.jit(jax.hessian(log_likelihood))(jnp.asarray(shares[free])))
    errors = np.full((21, 4), np.nan)
    errors[free] = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    ours = np.concatenate([fit.standard_errors["prevalence"][None], fit.standard_errors["confusion"].reshape(-1, 4)])
    np.testing.assert_allclose(ours[free], errors[free], rtol=1e-6)
    assert np.all(np.isnan(ours) == ~inside)


def test_what_is_at_the_edge_is_said(fit) -> None:
    assert any("38 of 84 probabilities are at 0, the edge of what they can be" in note for note in fit.notes)
    frame = fit.estimates("confusion")
    assert list(frame.columns) == ["observer", "truth", "category", "estimate", "se", "lower", "upper", "n", "note"]
    edge = frame[frame["estimate"].isin([0.0, 1.0])]
    assert edge[["se", "lower", "upper"]].isna().all(axis=None)
    assert (edge["note"] == "at its bound: no standard error").all()
    inside = frame.drop(edge.index)
    assert (inside["lower"] < inside["estimate"]).all()
    assert (inside["estimate"] < inside["upper"]).all()
    assert (inside["note"] == "").all()
    assert list(fit.estimates("prevalence")["level"]) == [1, 2, 3, 4]
    assert (fit.estimates("prevalence")["n"] == 45).all()


def test_mode_is_the_one_that_autodiff_climbs_to(table) -> None:
    """With priors nothing is at an edge: EM and Newton end where the gradient of the density in JAX is zero."""
    found = ps.fit(MODEL, table, engine=ps.MAP())
    with double_precision():
        problem = truth_problem(MODEL, table, prior=True)
        free = jnp.asarray(problem.space.unconstrain(found.parameters))
        gradient = jax.grad(problem.log_density)
        slope, hessian = jax.jit(lambda point: (gradient(point), jax.jacfwd(gradient)(point)))(free)
        moves = np.asarray(jacobian(problem.space, free)["confusion"]).reshape(-1, len(free))
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    expected = np.sqrt(np.einsum("ip,pq,iq->i", moves, np.linalg.inv(-np.asarray(hessian)), moves))
    np.testing.assert_allclose(found.standard_errors["confusion"].ravel(), expected, rtol=1e-6)


def _all_known(seed: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    frame, truth = drawn(np.array([0.5, 0.3, 0.2]), confusion([0.7, 0.6], 3), 80, seed=seed)
    gold = pd.DataFrame({"subject": frame["subject"].unique(), "judge": "expert", "label": truth})
    return pd.concat([frame, gold], ignore_index=True), truth


def test_with_gold_for_all_they_are_shares_of_labels() -> None:
    """Nothing is latent: relative frequencies, their binomial errors, and counts with the prior's added."""
    frame, truth = _all_known()
    model, table = ps.DawidSkene(gold="expert"), table_of(frame)
    counts = np.zeros((2, 3, 3))
    labels = frame[frame["judge"] != "expert"]
    np.add.at(
        counts, (labels["judge"].str[-1].astype(int), truth[labels["subject"].str[1:].astype(int)], labels["label"]), 1
    )
    plain, prior = ps.fit(model, table), ps.fit(model, table, engine=ps.MAP())
    shares, of_truth = counts / counts.sum(axis=2, keepdims=True), np.bincount(truth) / 80
    np.testing.assert_allclose(plain.parameters["confusion"], shares, atol=1e-12)
    np.testing.assert_allclose(plain.parameters["prevalence"], of_truth, atol=1e-12)
    binomial = np.sqrt(shares * (1 - shares) / counts.sum(axis=2, keepdims=True))
    np.testing.assert_allclose(plain.standard_errors["confusion"], binomial, rtol=1e-9)
    np.testing.assert_allclose(plain.standard_errors["prevalence"], np.sqrt(of_truth * (1 - of_truth) / 80), rtol=1e-9)
    added = counts + np.where(np.eye(3, dtype=bool), 2.8, 0.6)
    np.testing.assert_allclose(prior.parameters["confusion"], added / added.sum(axis=2, keepdims=True), atol=1e-8)
    expected = (np.bincount(truth) + 2 / 3) / 82
    np.testing.assert_allclose(prior.parameters["prevalence"], expected, atol=1e-8)
    assert list(plain.estimates("judge")["judge"].unique()) == ["j000", "j001"]


@pytest.mark.thorough
def test_with_gold_for_all_the_posterior_is_dirichlet() -> None:
    frame, truth = _all_known()
    found = ps.fit(ps.DawidSkene(gold="expert"), table_of(frame), engine=ps.NUTS(draws=500, chains=2))
    counts = np.bincount(truth) + 2 / 3
    share = counts / 82
    error = np.sqrt(share * (1 - share) / 83)
    # Means of draws with at least 400 effective ones, five standard errors.
    assert np.all(np.abs(found.parameters["prevalence"] - share) < 5 * error / 20)
    np.testing.assert_allclose(found.standard_errors["prevalence"], error, rtol=0.15)


def test_errors_are_left_out_where_they_are_too_many(table, fit, monkeypatch) -> None:
    monkeypatch.setattr(truth_search, "MOST_FREE", 60)
    found = ps.fit(MODEL, table)
    np.testing.assert_allclose(found.parameters["confusion"], fit.parameters["confusion"], atol=1e-6)
    assert found.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)
    assert np.isnan(found.standard_errors["confusion"]).all()
    assert any("standard errors, which need the information of all of them together" in note for note in found.notes)
    assert "moved no probability by more than" in found.status.message
    with pytest.raises(DesignError, match=r"63 free parameters are too many for draws.*use MAP\(\) or MarginalML\(\)"):
        ps.fit(MODEL, table, engine=ps.Laplace())


def test_an_unfinished_search_says_so(table) -> None:
    with pytest.raises(ps.errors.ConvergenceError, match="MarginalML did not converge"):
        ps.fit(MODEL, table, engine=ps.MarginalML(max_iterations=1))


def test_groups_identify_two_judges() -> None:
    """Hui & Walter (1980): two judges, two groups of unlike prevalence, as many numbers as parameters."""
    matrices = confusion([0.9, 0.8], 2)
    parts = [drawn(np.array(share), matrices, 400, seed=seed)[0].assign(region=name)
             for seed, (name, share) in enumerate({"n": [0.2, 0.8], "s": [0.7, 0.3]}.items())]  # fmt: skip
    frame = pd.concat([parts[0], parts[1].assign(subject=parts[1]["subject"] + "s")], ignore_index=True)
    table = table_of(frame, "region")
    found = ps.fit(ps.DawidSkene(groups="region"), table)
    assert found.parameters["prevalence"].shape == (2, 2)
    # As many parameters as there are independent frequencies: these are met exactly.
    for code, share in enumerate(found.parameters["prevalence"]):
        own = frame[frame["region"] == "ns"[code]].pivot(index="subject", columns="judge", values="label")
        seen = np.bincount(2 * own["j000"] + own["j001"], minlength=4) / len(own)
        met = np.einsum("m,mi,mj->ij", share, *found.parameters["confusion"]).ravel()
        np.testing.assert_allclose(met, seen, atol=1e-6)
    assert list(found.estimates("prevalence").columns[:2]) == ["region", "truth"]
    with pytest.raises(IdentificationError, match="two labels of each subject by 2 levels of 'judge' fit many pairs"):
        ps.fit(ps.DawidSkene(), table)
