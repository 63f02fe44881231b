"""Several correlated dimensions, against the models of one and against a likelihood written a second time in NumPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import null_space
from scipy.special import logsumexp
from two_dimensions import FRAME, GRADED, ITEMS, KEY, TABLE, WITHIN, N, frame, table

import psymetric as ps
from psymetric.errors import IdentificationError

NODES = np.linspace(-8, 8, 57)
ONE_DIMENSION_SEED = 1


X = FRAME.pivot(index="subject", columns="item", values="score")[list(ITEMS)].to_numpy()


def second_opinion(
    slopes: np.ndarray, item: np.ndarray, step: np.ndarray, mean: np.ndarray, sd: np.ndarray, r: float
) -> float:
    """Marginal log-likelihood on a fixed product grid; `step` is the first step of each graded item."""
    one, two = np.meshgrid(mean[0] + sd[0] * NODES, mean[1] + sd[1] * NODES, indexing="ij")
    z, w = (one - mean[0]) / sd[0], (two - mean[1]) / sd[1]
    log_prior = -0.5 * (z**2 - 2 * r * z * w + w**2) / (1 - r**2) - 0.5 * np.log(1 - r**2) - np.log(2 * np.pi)
    total = (log_prior + 2 * np.log(NODES[1] - NODES[0])).ravel()[None]
    for place in range(len(ITEMS)):
        eta = (slopes[place, 0] * one + slopes[place, 1] * two - item[place]).ravel()
        logits = [0 * eta, eta]
        if place in GRADED:
            tau = step[np.flatnonzero(place == GRADED)[0]]
            logits = [0 * eta, eta - tau, 2 * eta]
        log_p = np.stack(logits) - logsumexp(np.stack(logits), axis=0)
        total = total + log_p[X[:, place]]
    return float(logsumexp(total, axis=1).sum())


def pattern(key: dict[str, tuple[str, ...]]) -> np.ndarray:
    return np.array([[label in members for members in key.values()] for label in ITEMS], float)


def rasch_parts(free: np.ndarray, key) -> tuple:
    """Items orthogonal to the key's columns, steps, means, log sds, and the arc tangent of the correlation."""
    basis = null_space(pattern(key).T)
    n = basis.shape[1]
    return (
        pattern(key),
        basis @ free[:n],
        free[n : n + 4],
        free[n + 4 : n + 6],
        np.exp(free[n + 6 : n + 8]),
        np.tanh(free[-1]),
    )


def rasch_point(fit: ps.Fit, key) -> np.ndarray:
    p = fit.parameters
    item = null_space(pattern(key).T).T @ p["item"]
    return np.concatenate(
        [
            item,
            p["step"][GRADED, 0],
            p["population_mean"],
            np.log(p["population_sd"]),
            [np.arctanh(p["correlation"][0, 1])],
        ]
    )


def slope_parts(free: np.ndarray, key) -> tuple:
    """Free slopes, items, steps and correlation; each dimension is N(0, 1)."""
    slopes = pattern(key)
    n = int(slopes.sum())
    slopes[slopes == 1] = free[:n]
    return slopes, free[n : n + 8], free[n + 8 : n + 12], np.zeros(2), np.ones(2), np.tanh(free[-1])


def slope_point(fit: ps.Fit, key) -> np.ndarray:
    p = fit.parameters
    slopes = p["discrimination"][pattern(key) == 1]
    return np.concatenate([slopes, p["item"], p["step"][GRADED, 0], [np.arctanh(p["correlation"][0, 1])]])


@pytest.fixture(scope="module")
def rasch() -> ps.Fit:
    return ps.fit(ps.Multidimensional(), TABLE)


@pytest.fixture(scope="module")
def slopes() -> ps.Fit:
    return ps.fit(ps.Multidimensional(key=WITHIN, discrimination="free"), TABLE)


def assert_maximum(fit: ps.Fit, parts, point: np.ndarray, key) -> None:
    """The second likelihood has the fit's value at the point, and is flat there."""
    assert second_opinion(*parts(point, key)) == pytest.approx(fit.log_likelihood, abs=1e-6)
    for place in range(len(point)):
        move = 1e-4 * (np.arange(len(point)) == place)
        rise = second_opinion(*parts(point + move, key)) - second_opinion(*parts(point - move, key))
        # Newton ended within 1e-6 of the maximum, where no parameter has information over a thousand.
        assert abs(rise / 2e-4) < 1e-3, place


def test_between_items_with_slopes_of_one(rasch):
    assert_maximum(rasch, rasch_parts, rasch_point(rasch, KEY), KEY)
    assert rasch.n_parameters == 6 + 4 + 2 + 2 + 1


def test_within_items_with_free_slopes(slopes):
    assert_maximum(slopes, slope_parts, slope_point(slopes, WITHIN), WITHIN)
    assert slopes.n_parameters == 9 + 8 + 4 + 1


def test_standard_errors_are_those_of_the_second_likelihood(rasch):
    point = rasch_point(rasch, KEY)
    n, step = len(point), 1e-3
    information = np.empty((n, n))
    for a in range(n):
        for b in range(a + 1):
            moves = [step * (s * (np.arange(n) == a) + t * (np.arange(n) == b)) for s in (1, -1) for t in (1, -1)]
            values = [second_opinion(*rasch_parts(point + move, KEY)) for move in moves]
            information[a, b] = information[b, a] = -(values[0] - values[1] - values[2] + values[3]) / (4 * step**2)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    p, se = rasch.parameters, rasch.standard_errors
    # An engine's curvature may be that of a point within a millilogit of the mode.
    np.testing.assert_allclose(se["population_mean"], errors[-5:-3], rtol=1e-3)
    np.testing.assert_allclose(se["population_sd"] / p["population_sd"], errors[-3:-1], rtol=1e-3)
    assert se["correlation"][0, 1] / (1 - p["correlation"][0, 1] ** 2) == pytest.approx(errors[-1], rel=1e-3)


def test_one_dimension_is_the_many_facet_rasch_model():
    rng = np.random.default_rng(2)
    rows = FRAME[FRAME["item"].isin(GRADED_LABELS)].assign(judge=lambda d: rng.integers(0, 3, len(d)))
    data = ps.ResponseTable.from_frame(rows, response="score", subject="subject", item="item", facets=("judge",))
    several = ps.fit(ps.Multidimensional(key={"all": GRADED_LABELS}, facets=("item", "judge"), steps="common"), data)
    one = ps.fit(ps.ManyFacetRasch(facets=("item", "judge")), data)
    assert several.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-6)
    for name in ("item", "judge"):
        np.testing.assert_allclose(several.parameters[name], one.parameters[name], atol=1e-5)
        np.testing.assert_allclose(several.standard_errors[name], one.standard_errors[name], rtol=1e-4)
    np.testing.assert_allclose(several.parameters["population_sd"], one.parameters["population_sd"], atol=1e-5)


GRADED_LABELS = tuple(ITEMS[place] for place in GRADED)


def test_one_dimension_with_slopes_is_the_generalised_partial_credit_model():
    """Its location b is the intercept over the slope: a(θ - b) = aθ - δ."""
    several = ps.fit(ps.Multidimensional(key={"all": ITEMS}, discrimination="free"), TABLE)
    one = ps.fit(ps.GeneralizedPartialCredit(), TABLE)
    assert several.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-6)
    slope = several.parameters["discrimination"][:, 0]
    np.testing.assert_allclose(slope, one.parameters["discrimination"], atol=1e-5)
    np.testing.assert_allclose(several.parameters["item"] / slope, one.parameters["item"], atol=1e-5)


def test_without_correlation_the_dimensions_are_separate_fits(rasch):
    import jax.numpy as jnp

    from psymetric.core.precision import double_precision
    from psymetric.estimation.multidimensional import multidimensional_problem, placed
    from psymetric.estimation.window_places import accuracy

    apart = ps.fit_each(ps.ManyFacetRasch(facets=("item",), steps="item"), TABLE, by="trait")
    values = dict(rasch.parameters)
    values["item"] = np.concatenate([apart[d].parameters["item"] for d in "EN"])
    values["step"] = np.concatenate([apart[d].parameters["step"] for d in "EN"])
    for name in ("population_mean", "population_sd"):
        values[name] = np.array([float(apart[d].parameters[name]) for d in "EN"])
    values["correlation"] = np.eye(2)
    with double_precision():
        problem = multidimensional_problem(ps.Multidimensional(), TABLE, prior=False)
        point = problem.space.unconstrain(values)
        found = float(placed(problem, point, accuracy(2)).log_likelihood(jnp.asarray(point)))
    assert found == pytest.approx(sum(apart[d].log_likelihood for d in "EN"), abs=1e-6)
    assert found < rasch.log_likelihood


def test_a_column_and_a_key_are_the_same(rasch):
    by_key = ps.fit(ps.Multidimensional(key=KEY), TABLE)
    np.testing.assert_array_equal(by_key.parameters["item"], rasch.parameters["item"])


def test_population_frame(rasch):
    rows = rasch.estimates("population").set_index("level")
    assert list(rows.index) == [
        "correlation: E, N", "population_mean: E", "population_mean: N", "population_sd: E", "population_sd: N",
    ]  # fmt: skip
    r, se = rasch.parameters["correlation"][0, 1], rasch.standard_errors["correlation"][0, 1]
    ends = np.tanh(np.arctanh(r) + np.array([-1, 1]) * 1.959964 * se / (1 - r**2))
    np.testing.assert_allclose(rows.loc["correlation: E, N", ["lower", "upper"]].astype(float), ends, atol=1e-6)
    # One fixed table: within four standard errors of the truth.
    assert abs(r - 0.6) < 4 * se


def test_discriminations_are_those_of_the_key(slopes):
    rows = slopes.estimates("discrimination")
    assert list(rows["item"] + rows["dimension"]) == [f"{i}{d}" for i in ITEMS for d in "EN" if i in WITHIN[d]]
    assert (rows["n"] == N).all()
    assert (rows["se"] > 0).all()


def brute_posterior(fit: ps.Fit) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and covariances on a product grid, as `second_opinion` has it."""
    p, fine = fit.parameters, np.linspace(-8, 8, 161)
    mean, sd, r = p["population_mean"], p["population_sd"], p["correlation"][0, 1]
    one, two = (m.ravel() for m in np.meshgrid(mean[0] + sd[0] * fine, mean[1] + sd[1] * fine, indexing="ij"))
    z, w = (one - mean[0]) / sd[0], (two - mean[1]) / sd[1]
    total = (-0.5 * (z**2 - 2 * r * z * w + w**2) / (1 - r**2))[None]
    for place in range(len(ITEMS)):
        a = p["discrimination"][place]
        eta = a[0] * one + a[1] * two - p["item"][place]
        logits = np.stack([0 * eta, eta, *([2 * eta] if place in GRADED else [])])
        logits[1] -= p["step"][place, 0] if place in GRADED else 0
        total = total + (logits - logsumexp(logits, axis=0))[X[:, place]]
    mass = np.exp(total - logsumexp(total, axis=1, keepdims=True))
    theta = np.stack([one, two], axis=1)
    first = mass @ theta
    second = np.einsum("sq,qd,qe->sde", mass, theta, theta)
    return first, second - first[:, :, None] * first[:, None, :]


def test_expected_a_posteriori(slopes):
    mean, covariance = brute_posterior(slopes)
    scores = ps.score(slopes, TABLE)
    frame = scores.frame
    assert list(frame.columns) == ["subject", "dimension", "estimate", "se", "lower", "upper", "n", "extreme"]
    assert list(frame["dimension"][:2]) == ["E", "N"]
    np.testing.assert_allclose(frame["estimate"], mean.ravel(), atol=1e-7)
    np.testing.assert_allclose(frame["se"], np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)).ravel(), atol=1e-7)
    assert (frame["n"] == [5, 4] * N).all()
    at_end = (X[:, 4:] == np.array([1, 1, 2, 2])).all(axis=1) | (X[:, 4:] == 0).all(axis=1)
    np.testing.assert_array_equal(frame["extreme"][1::2], at_end)


def test_posterior_modes_are_flat(rasch):
    from scipy.optimize import approx_fprime

    scores = ps.score(rasch, TABLE, method="map").frame
    mode = scores["estimate"].to_numpy().reshape(-1, 2)
    p = rasch.parameters
    precision = np.linalg.inv(p["correlation"] * np.outer(p["population_sd"], p["population_sd"]))

    def log_posterior(theta: np.ndarray, subject: int) -> float:
        away = theta - p["population_mean"]
        total = -0.5 * away @ precision @ away
        for place in range(len(ITEMS)):
            eta = theta[place // 4] - p["item"][place]
            logits = np.array(
                [0, eta - (p["step"][place, 0] if place in GRADED else 0), 2 * eta][: 3 if place in GRADED else 2]
            )
            total += logits[X[subject, place]] - logsumexp(logits)
        return float(total)

    for subject in (0, 7, 31):
        slope = approx_fprime(mode[subject], log_posterior, 1e-6, subject)
        # One-sided differences of step 1e-6 err by half the curvature times the step.
        np.testing.assert_allclose(slope, 0, atol=1e-5)


def test_plausible_values_have_the_posteriors_moments(rasch):
    mean, covariance = brute_posterior(rasch)
    frame = ps.score(rasch, TABLE, method="plausible", draws=400, seed=3).frame
    values = frame.filter(like="pv").to_numpy().reshape(N, 2, 400)
    z = (values.mean(axis=2) - mean) / np.sqrt(np.diagonal(covariance, axis1=1, axis2=2) / 400)
    # 320 means: 4.5 standard errors are exceeded by chance once in 500 such tests.
    assert np.abs(z).max() < 4.5
    found = np.mean([np.cov(values[s])[0, 1] for s in range(N)])
    expected = covariance[:, 0, 1].mean()
    error = np.sqrt(np.mean(covariance[:, 0, 0] * covariance[:, 1, 1] + covariance[:, 0, 1] ** 2) / (400 * N))
    assert abs(found - expected) < 4 * error


def test_new_subjects_and_part_of_the_items(rasch):
    few = table(FRAME[FRAME["subject"].isin(["s003", "s004"]) & (FRAME["trait"] == "E")])
    frame = ps.score(rasch, few).frame.set_index(["subject", "dimension"])
    # The dimension without a response is measured through its correlation with the other, and less surely.
    p = rasch.parameters
    slope = p["correlation"][0, 1] * p["population_sd"][1] / p["population_sd"][0]
    for subject in ("s003", "s004"):
        expected = p["population_mean"][1] + slope * (frame.loc[(subject, "E"), "estimate"] - p["population_mean"][0])
        assert frame.loc[(subject, "N"), "estimate"] == pytest.approx(expected, abs=1e-7)
        assert frame.loc[(subject, "N"), "n"] == 0


def test_saved_and_loaded(slopes, tmp_path):
    loaded = ps.Fit.load(slopes.save(tmp_path / "fit.npz"))
    assert loaded.model == slopes.model
    pd.testing.assert_frame_equal(ps.score(loaded, TABLE).frame, ps.score(slopes, TABLE).frame)
    assert loaded.summary() == slopes.summary()
    assert ps.Scores.from_dict(ps.score(slopes, TABLE).to_dict()).frame.shape == (2 * N, 8)


def test_engines_with_draws():
    model = ps.Multidimensional()
    ml = ps.fit(model, TABLE)
    mode = ps.fit(model, TABLE, engine=ps.MAP())
    laplace = ps.fit(model, TABLE, engine=ps.Laplace(draws=400, seed=1))
    se = ml.standard_errors["correlation"][0, 1]
    for fit in (mode, laplace):
        # A uniform prior on r, and a prior of two logits on 160 subjects' parameters, are weak.
        assert abs(fit.parameters["correlation"][0, 1] - ml.parameters["correlation"][0, 1]) < se
    assert laplace.draws["ability"].shape == (1, 400, N, 2)
    assert len(laplace.estimates("subject")) == 2 * N
    criteria = ps.information_criteria(laplace, TABLE, draws=100)
    # The density of a new subject is below that of the fitted ones, by about the number of parameters.
    gap = ml.log_likelihood - criteria.frame.set_index("criterion").loc["loo", "elpd"]
    assert 0.5 * ml.n_parameters < gap < 2 * ml.n_parameters
    carried, held = ps.score(laplace, TABLE), ps.score(mode, TABLE)
    assert "draws" in carried.carries
    assert np.corrcoef(carried.frame["estimate"], held.frame["estimate"])[0, 1] > 0.999
    assert set(laplace.to_arviz().posterior["ability"].dims) == {"chain", "draw", "subject_level", "dimension_level"}


def test_dimensions_that_are_one_are_held_and_noted():
    """Both dimensions are one: this sample's likelihood rises towards a correlation of one."""
    data = table(frame(correlation=1.0, seed=ONE_DIMENSION_SEED))
    fit = ps.fit(ps.Multidimensional(), data)
    assert fit.parameters["correlation"][0, 1] == pytest.approx(0.99)
    named = "the correlation of dimensions 'E' and 'N' is held at ±0.99"
    assert any(note.startswith(named) and "or use MAP()" in note for note in fit.notes)
    assert np.isnan(fit.standard_errors["correlation"][0, 1])
    assert np.isfinite(fit.standard_errors["population_sd"]).all()
    assert np.isfinite(ps.score(fit, data).frame["estimate"]).all()


def test_a_dimension_without_spread_is_named():
    """Items of N that contradict one another spread sum scores less than chance does."""
    rows = FRAME[FRAME["item"].isin(("e1", "e2", "e3", "e4", "n1", "n2"))].copy()
    right = rows[rows["item"] == "n1"].set_index("subject")["score"]
    second = rows["item"] == "n2"
    rows.loc[second, "score"] = 1 - rows.loc[second, "subject"].map(right)
    with pytest.raises(IdentificationError, match=r"runs to zero on dimension 'N' \(sd 0\.0.*or use MAP\(\)"):
        ps.fit(ps.Multidimensional(), table(rows))
