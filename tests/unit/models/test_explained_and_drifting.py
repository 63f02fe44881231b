"""Covariates of items and drift of judges: what the many-facet model says of the levels of a facet."""

from __future__ import annotations

import model_cases
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

import psymetric as ps
from psymetric.core.courses import Course
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError

N, ITEMS, NODES = 120, 8, np.linspace(-9, 9, 181)
LENGTH, TOPIC = np.array([3, 9, 1, 7, 5, 2, 8, 6]), np.array(list("abcabcab"))


def explained_table() -> ps.ResponseTable:
    rng = np.random.default_rng(8)
    difficulty = 0.25 * (LENGTH - 5) + 0.5 * (TOPIC == "b") + 0.3 * rng.standard_normal(ITEMS)
    theta = 1.2 * rng.standard_normal(N)
    right = rng.random((N, ITEMS)) < expit(theta[:, None] - difficulty)
    rows = [(f"p{s}", f"i{k}", int(LENGTH[k]), TOPIC[k], int(right[s, k])) for s in range(N) for k in range(ITEMS)]
    frame = pd.DataFrame(rows, columns=["person", "item", "length", "topic", "score"])
    return ps.ResponseTable.from_frame(
        frame, response="score", subject="person", item="item", facets=("length", "topic")
    )


TABLE = explained_table()
RIGHT = np.zeros((N, ITEMS))
RIGHT[TABLE.codes["subject"], TABLE.codes["item"]] = TABLE.response
COVARIATES = {"item": ("length", "topic")}


def rasch_log_likelihood(difficulty: np.ndarray, mean: float, log_sd: float) -> float:
    logit = NODES[:, None] - difficulty
    log_p = RIGHT @ np.log(expit(logit)).T + (1 - RIGHT) @ np.log(expit(-logit)).T
    prior = -0.5 * ((NODES - mean) / np.exp(log_sd)) ** 2 - log_sd - 0.5 * np.log(2 * np.pi)
    return float(logsumexp(log_p + prior + np.log(NODES[1] - NODES[0]), axis=1).sum())


def slopes(function, point: np.ndarray) -> np.ndarray:
    step = 1e-4 * np.eye(len(point))
    return np.array([(function(point + move) - function(point - move)) / 2e-4 for move in step])


def test_without_a_residual_covariates_say_all():
    """The linear logistic test model, against a likelihood written a second time."""
    model = ps.ManyFacetRasch(facets=("item",), covariates=COVARIATES)
    fit = ps.fit(model, TABLE)
    terms = np.stack([LENGTH, TOPIC == "b", TOPIC == "c"], axis=1).astype(float)
    terms -= terms.mean(axis=0)

    def second_opinion(free: np.ndarray) -> float:
        return rasch_log_likelihood(terms @ free[:3], free[3], free[4])

    weight = fit.parameters["item_weight"]
    point = np.array([*weight, fit.parameters["population_mean"], np.log(fit.parameters["population_sd"])])
    assert second_opinion(point) == pytest.approx(fit.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(slopes(second_opinion, point), 0, atol=1e-3)
    np.testing.assert_allclose(fit.parameters["item"], terms @ weight, atol=1e-12)
    assert fit.n_parameters == 5
    assert fit.levels["item_weight"] == ("length", "topic=b", "topic=c")
    np.testing.assert_allclose(fit.covariances["item"], terms @ fit.covariances["item_weight"] @ terms.T, atol=1e-10)


def test_as_many_covariates_as_items_are_the_rasch_model():
    frame = TABLE.to_frame().assign(own=lambda rows: rows["item"])
    table = ps.ResponseTable.from_frame(frame, response="response", subject="subject", item="item", facets=("own",))
    for engine in (ps.MarginalML(tolerance=1e-9), ps.JointML(tolerance=1e-9), ps.ConditionalML(tolerance=1e-9)):
        explained = ps.fit(ps.ManyFacetRasch(facets=("item",), covariates={"item": "own"}), table, engine=engine)
        plain = ps.fit(ps.Rasch(), TABLE, engine=engine)
        assert explained.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
        np.testing.assert_allclose(explained.parameters["item"], plain.parameters["item"], atol=1e-5)
        # Their information is that of a point up to .001 logits from the maximum, which another path reaches elsewhere.
        np.testing.assert_allclose(explained.standard_errors["item"], plain.standard_errors["item"], rtol=1e-3)


@pytest.mark.shared_data
def test_verbal_aggression(shared_data):
    """Subjects and items explained at once, as MixedModels.jl 4 does in its own tests (test/markdown.jl, `gm3`).

    It takes Laplace's method for subjects and items; here subjects are integrated exactly and the items' residuals sum
    to zero. Their sd is then free of the one degree that the intercept takes, √(24/23) wider, and so are the standard
    errors of what explains them. Signs of items turn, because easiness became difficulty.
    """
    frame = pd.read_csv(shared_data / "classic" / "lme4__VerbAgg.csv.gz")
    columns = ("Anger", "Gender", "btype", "situ")
    frame = frame.assign(yes=(frame["r2"] == "Y").astype(int))
    table = ps.ResponseTable.from_frame(frame, response="yes", subject="id", item="item", facets=columns)
    model = ps.ManyFacetRasch(
        facets=("item",), random=("item",), covariates={"item": columns[2:]}, population=ps.Population(columns[:2])
    )
    fit = ps.fit(model, table)
    published = {
        "covariate_weight: Anger": (0.0575541, 0.016758),
        "covariate_weight: Gender=M": (0.3207844, 0.191266),
        "item_weight: btype=scold": (1.0582595, 0.256805),
        "item_weight: btype=shout": (2.1047525, 0.258529),
        "item_weight: situ=self": (1.0549790, 0.210303),
    }
    found = fit.estimates("population").set_index("level")
    for name, (estimate, se) in published.items():
        # Laplace's error in the estimates is a fiftieth of their standard errors, in these 1%.
        assert found.loc[name, "estimate"] == pytest.approx(estimate, abs=0.03 * se), name
        wider = np.sqrt(24 / 23) if name.startswith("item") else 1.0
        assert found.loc[name, "se"] == pytest.approx(wider * se, rel=0.01), name
    assert found.loc["population_sd", "estimate"] == pytest.approx(1.339766, rel=0.01)
    assert found.loc["item_sd", "estimate"] == pytest.approx(np.sqrt(24 / 23) * 0.495305, rel=0.01)


def test_walks_have_the_covariance_of_random_walks():
    """cov(w_t, w_u) = min(t, u) − t₀ for steps of unit variance per unit of time, both centred over occasions."""
    times = np.array([2.0, 3.0, 5.0, 9.0])
    with double_precision():
        walk = Course.walk(3, times, centred=False)
        basis = np.stack([np.asarray(walk.forward(unit))[0] for unit in np.eye(walk.size)[:3]], axis=1)
    centring = np.eye(4) - 0.25
    np.testing.assert_allclose(basis @ basis.T, centring @ (np.minimum.outer(times, times) - 2) @ centring, atol=1e-12)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("build", [Course.walk, Course.line])
def test_courses_come_back(build, centred):
    course = build(4, np.array([0.0, 1.0, 4.0]), centred=centred)
    free = np.random.default_rng(1).standard_normal(course.size)
    value = np.asarray(course.forward(free))
    assert value.shape == (4, 3)
    np.testing.assert_allclose(value.sum(axis=1), 0, atol=1e-6)
    if centred:
        np.testing.assert_allclose(value.sum(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(course.inverse(value), free, atol=1e-6)


JUDGES, OCCASIONS, STEP = 12, 6, 0.35


def drifting_table(course: np.ndarray, *, seed: int, n: int = 900) -> ps.ResponseTable:
    """Essays of six occasions, each rated by three of twelve judges on four categories."""
    rng = np.random.default_rng(seed)
    theta, severity = rng.standard_normal(n), np.linspace(-0.8, 0.8, JUDGES)
    occasion = np.arange(n) % OCCASIONS
    judge = np.argsort(rng.random((n, JUDGES)), axis=1)[:, :3]
    location = theta[:, None] - severity[judge] - course[judge, occasion[:, None]]
    logits = np.cumsum(location[..., None] - np.array([-1.0, 0.0, 1.0]), axis=-1)
    weight = np.exp(np.concatenate([np.zeros((n, 3, 1)), logits], axis=-1))
    below = weight.cumsum(axis=-1) / weight.sum(axis=-1, keepdims=True)
    rating = (rng.random((n, 3, 1)) > below).sum(axis=-1)
    frame = pd.DataFrame(
        {
            "essay": np.repeat([f"e{k}" for k in range(n)], 3),
            "judge": [f"j{k}" for k in judge.ravel()],
            "occasion": np.repeat(occasion + 1, 3),
            "rating": rating.ravel(),
        }
    )
    return ps.ResponseTable.from_frame(
        frame, response="rating", subject="essay", facets=("judge", "occasion"), categories=range(4)
    )


def by_label(fit: ps.Fit, course: np.ndarray) -> np.ndarray:
    """The true courses in the fit's order of judges, as departures from each judge's mean and from all judges'."""
    course = course[[int(str(label)[1:]) for label in fit.levels["judge"]]]
    course = course - course.mean(axis=1, keepdims=True)
    return course - course.mean(axis=0)


def test_random_walks_of_judges_are_found():
    steps = STEP * np.random.default_rng(2).standard_normal((JUDGES, OCCASIONS - 1))
    course = np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
    model = ps.ManyFacetRasch(facets=("judge", "occasion"), drift={"judge:occasion": "walk"})
    fit = ps.fit(model, drifting_table(course, seed=3))
    se = float(fit.standard_errors["judge:occasion_sd"])
    # The steps drawn have a spread of their own, known to 1/√(2 · 55) of it.
    assert abs(float(fit.parameters["judge:occasion_sd"]) - STEP) < 3 * np.hypot(se, STEP / np.sqrt(110))
    away = (fit.parameters["judge:occasion"] - by_label(fit, course)) / fit.standard_errors["judge:occasion"]
    # Squares of 55 independent standard normals spread over 72 cells: their mean has sd √(2 / 55) or less.
    assert abs(np.mean(away**2) - 1) < 3.3 * np.sqrt(2 / 55)
    still = ps.fit(ps.ManyFacetRasch(facets=("judge", "occasion")), drifting_table(course, seed=3))
    assert fit.log_likelihood > still.log_likelihood + 20


def test_straight_drift_is_a_rate_per_unit_of_time():
    rate = np.linspace(-0.2, 0.2, JUDGES)
    course = rate[:, None] * np.arange(OCCASIONS)
    table = drifting_table(course, seed=4)
    fit = ps.fit(ps.ManyFacetRasch(facets=("judge", "occasion"), drift={"judge:occasion": "linear"}), table)
    found = fit.parameters["judge:occasion"]
    np.testing.assert_allclose(np.diff(found, axis=1), np.diff(found, axis=1)[:, :1].repeat(5, axis=1), atol=1e-9)
    away = (found - by_label(fit, course))[:, -1] / fit.standard_errors["judge:occasion"][:, -1]
    assert np.abs(away).max() < 3.5
    # Every other course is nested in the free interaction, and none in the model without drift.
    still, free = (
        ps.fit(ps.ManyFacetRasch(facets=("judge", "occasion"), interactions=pairs), table).log_likelihood
        for pairs in ((), (("judge", "occasion"),))
    )
    assert still < fit.log_likelihood < free
    assert free - fit.log_likelihood < 0.5 * 44 + 3.3 * np.sqrt(0.5 * 44)  # half a chi-square of 55 − 11


def test_bad_settings():
    frame = model_cases.response_frame(4)
    with pytest.raises(DesignError, match="names \\['day'\\], not among its facets"):
        ps.ManyFacetRasch(drift={"judge:day": "walk"})
    with pytest.raises(DesignError, match="must name two facets, no interaction as well"):
        ps.ManyFacetRasch(drift={"judge:item": "jump"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(DesignError, match="no interaction as well"):
        ps.ManyFacetRasch(drift={"judge:item": "walk"}, interactions=(("judge", "item"),))
    with pytest.raises(DesignError, match="both anchored and explained"):
        ps.ManyFacetRasch(anchors={"item": {"i1": 0.0}}, covariates={"item": ("length",)})
    with pytest.raises(DataError, match="reads column 'length', which the table does not have"):
        ps.fit(ps.ManyFacetRasch(covariates={"item": ("length",)}), model_cases.response_table(frame))
    with pytest.raises(DataError, match="constant within each item"):
        ps.fit(ps.ManyFacetRasch(facets=("item",), covariates={"item": "judge"}), model_cases.response_table(frame))
