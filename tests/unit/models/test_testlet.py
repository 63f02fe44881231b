"""Rasch testlet model, against a likelihood written a second time with NumPy."""

from __future__ import annotations

import jax.numpy as jnp
import nested_world
import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError
from psymetric.estimation.problems import marginal_problem

N = 80
# Some rows missing, so that owners have one to three responses.
FRAME = nested_world.frame(N, 0.9, seed=3)[0].sample(frac=0.9, random_state=1)
TABLE = nested_world.table(FRAME)
NODES = np.linspace(-7.5, 7.5, 101)
INNER, MASS = (np.asarray(part) for part in np.polynomial.hermite_e.hermegauss(40))
NAMES = ("population_mean", "population_sd", "halo_sd", "item", "judge", "step")


def owner_log_likelihoods(halo: float, item: np.ndarray, judge: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Log-likelihood of every subject at the abilities `NODES`, shape (subjects, nodes), Gauss-Hermite inside."""
    codes = TABLE.codes
    location = NODES[:, None] + halo * INNER - (item[:, None] + judge)[..., None, None]
    scores = np.stack([0 * location, location - step[0], 2 * location - step.sum()], axis=2)
    log_probs = scores - logsumexp(scores, axis=2, keepdims=True)
    chosen = log_probs[codes["item"], codes["judge"], TABLE.response]
    found = np.zeros((N, 3, len(NODES), len(INNER)))
    np.add.at(found, (codes["subject"], codes["judge"]), chosen)
    return logsumexp(found + np.log(MASS / MASS.sum()), axis=3).sum(axis=1)


def unpack(free: np.ndarray) -> tuple:
    """Mean, log sd, log halo sd, two difficulties, two severities, one step."""
    item, judge = (np.append(part, -part.sum()) for part in (free[3:5], free[5:7]))
    return free[0], np.exp(free[1]), np.exp(free[2]), item, judge, np.array([free[7], -free[7]])


def log_joint(free: np.ndarray) -> np.ndarray:
    mean, sd, *rest = unpack(free)
    prior = -0.5 * ((NODES - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi)) + np.log(NODES[1] - NODES[0])
    return owner_log_likelihoods(*rest) + prior


def second_opinion(free: np.ndarray) -> float:
    return float(logsumexp(log_joint(free), axis=1).sum())


def point(fit: ps.Fit) -> np.ndarray:
    values = fit.parameters
    scales = [values["population_mean"], np.log(values["population_sd"]), np.log(values["halo_sd"])]
    return np.concatenate([scales, values["item"][:2], values["judge"][:2], values["step"].ravel()[:1]])


@pytest.fixture(scope="module")
def fit() -> ps.Fit:
    return ps.fit(ps.RaschTestlet(), TABLE)


def test_maximum_of_the_second_likelihood(fit):
    free, step = point(fit), 1e-4
    assert second_opinion(free) == pytest.approx(fit.log_likelihood, abs=1e-6)
    for place in range(len(free)):
        move = step * (np.arange(len(free)) == place)
        slope = (second_opinion(free + move) - second_opinion(free - move)) / (2 * step)
        # Newton ended within 1e-6 of the maximum, and the information about each is under a thousand.
        assert abs(slope) < 1e-3, (place, slope)


def test_standard_errors_are_those_of_the_second_likelihood(fit):
    free, step, size = point(fit), 1e-3, 8
    information = np.empty((size, size))
    for a in range(size):
        for b in range(a, size):
            one, other = step * (np.arange(size) == a), step * (np.arange(size) == b)
            values = [second_opinion(free + s * one + t * other) for s in (1, -1) for t in (1, -1)]
            information[a, b] = information[b, a] = -(values[0] - values[1] - values[2] + values[3]) / (4 * step**2)
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    for place, name in enumerate(NAMES[:3]):
        scale = 1.0 if place == 0 else fit.parameters[name]
        assert fit.standard_errors[name] / scale == pytest.approx(expected[place], rel=1e-4)
    np.testing.assert_allclose(fit.standard_errors["item"][:2], expected[3:5], rtol=1e-4)
    np.testing.assert_allclose(fit.standard_errors["judge"][:2], expected[5:7], rtol=1e-4)


def test_nodes_of_the_halo_are_enough(fit):
    assert fit.status.details["latent_nodes"] >= 13
    assert abs(fit.status.details["latent_doubling"]) < 1e-6


def test_reported(fit):
    row = fit.estimates("halo_sd").iloc[0]
    assert (row["level"], row["estimate"]) == ("halo_sd", float(fit.parameters["halo_sd"]))
    assert row["lower"] < 0.9 < row["upper"]
    assert "halo_sd" in fit.summary()
    assert fit.n_parameters == 8


def test_without_halo_it_is_the_many_facet_rasch_model():
    plain = ps.fit(ps.ManyFacetRasch(), TABLE)
    with double_precision():
        problem = marginal_problem(ps.RaschTestlet(), TABLE, prior=False, n_nodes=121, half_width=8.0)
        free = problem.space.unconstrain(dict(plain.parameters) | {"halo_sd": np.asarray(1e-7)})
        found = float(problem.log_likelihood(jnp.asarray(free)))
    # The halo's variance acts on the likelihood with its square, 1e-14.
    assert found == pytest.approx(plain.log_likelihood, abs=1e-8)


@pytest.mark.thorough
def test_no_halo_is_held_at_its_bound_and_said_so():
    """Ratings that differ within a judge more than independent ones would."""
    rows = nested_world.frame(60, 0.0, seed=8)[0]
    fit = ps.fit(ps.RaschTestlet(), nested_world.table(rows))
    plain = ps.fit(ps.ManyFacetRasch(), nested_world.table(rows))
    assert fit.parameters["halo_sd"] == pytest.approx(0.01)
    assert np.isnan(fit.standard_errors["halo_sd"])
    assert any("halo_sd is at its lower bound" in note for note in fit.notes)
    # The slope in the variance at zero adds (g² - I) / 2 over 180 owners of information 1.5 or so, an sd of 14; the
    # variance held is 1e-4, and four sds are 0.006.
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=0.006)
    np.testing.assert_allclose(fit.parameters["judge"], plain.parameters["judge"], atol=1e-3)


@pytest.mark.parametrize("method", ["eap", "map"])
def test_scores_know_of_the_halo(fit, method):
    scores = ps.score(fit, TABLE, method=method).frame
    joint = log_joint(point(fit))
    mass = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    order = [TABLE.levels["subject"].index(label) for label in scores["subject"]]
    if method == "eap":
        mean = mass @ NODES
        np.testing.assert_allclose(scores["estimate"], mean[order], atol=1e-6)
        np.testing.assert_allclose(scores["se"], np.sqrt(mass @ NODES**2 - mean**2)[order], atol=1e-6)
        return
    smooth = CubicSpline(NODES, joint, axis=1)
    mode, own = scores["estimate"].to_numpy(), np.arange(N)[order]
    # Spacing is a third of a posterior sd: cubic splines err by its fourth power in the slope, its square in the bend.
    slope, bend = (np.array([smooth(at, part)[row] for at, row in zip(mode, own, strict=True)]) for part in (1, 2))
    np.testing.assert_allclose(slope, 0, atol=1e-3)
    np.testing.assert_allclose(scores["se"], 1 / np.sqrt(-bend), rtol=5e-3)


def test_new_subjects_are_scored_from_a_stored_fit(fit, tmp_path):
    stored = ps.Fit.load(fit.save(tmp_path / "fit.npz"))
    assert stored.model == fit.model
    whole = ps.score(fit, TABLE).frame.set_index("subject")
    part = ps.score(stored, nested_world.table(FRAME.query("subject < 's010' and judge != 'j001'"))).frame
    assert len(part) == 10
    all_of_it = ps.score(stored, nested_world.table(FRAME.query("subject < 's010'"))).frame.set_index("subject")
    np.testing.assert_allclose(all_of_it["estimate"], whole.loc[all_of_it.index, "estimate"], atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "engine", [ps.MAP(), ps.Laplace(draws=400), pytest.param(ps.SVI(draws=200), marks=pytest.mark.slow)], ids=str
)
def test_engines_with_priors_agree(fit, engine):
    """Priors are wide, so that modes and means lie within half a standard error of the maximum."""
    other = ps.fit(ps.RaschTestlet(), TABLE, engine=engine)
    for name in NAMES:
        away = (other.parameters[name] - fit.parameters[name]) / fit.standard_errors[name]
        assert np.abs(away).max() < 0.5, name


@pytest.mark.slow
def test_sampler_agrees(fit):
    other = ps.fit(ps.RaschTestlet(), TABLE, engine=ps.NUTS(warmup=200, draws=500, chains=2))
    for name in NAMES:
        away = (other.parameters[name] - fit.parameters[name]) / fit.standard_errors[name]
        assert np.abs(away).max() < 0.5, name
    scores = ps.score(other, TABLE).frame
    assert np.corrcoef(scores["estimate"], ps.score(fit, TABLE).frame["estimate"])[0, 1] > 0.99


@pytest.mark.thorough
def test_items_within_passages():
    """The testlet's facet has no location of its own where items lie within it."""
    rows = nested_world.frame(60, 0.9, seed=5)[0].assign(passage=lambda frame: frame["judge"])
    rows = rows.assign(item=rows["item"] + rows["judge"])
    model = ps.RaschTestlet(ps.ManyFacetRasch(facets="item"), within="passage")  # pyright: ignore[reportArgumentType]
    fit = ps.fit(model, nested_world.table(rows, ("passage",)))
    assert model.facets == ("item", "passage")
    assert "passage" not in fit.parameters
    assert fit.parameters["item"].shape == (9,)
    low, high = fit.interval("halo_sd", 0.99)
    assert low < 0.9 < high


@pytest.mark.slow
@pytest.mark.parametrize("resample", ["subject", "parametric"])
def test_resampled(fit, resample):
    """Errors of 40 replicates, each known to a ninth, agree with those of the information within four of that."""
    found = ps.bootstrap(fit.model, TABLE, resample=resample, n=40, seed=1)
    assert found.failures.empty
    for name in ("halo_sd", "population_mean", "judge"):
        ratio = found.standard_errors[name] / fit.standard_errors[name]
        assert np.all(np.abs(np.log(ratio)) < 4 / np.sqrt(2 * 40)), (name, ratio)


def test_what_takes_responses_as_independent_refuses(fit):
    asked = {
        "score": lambda: ps.score(fit, TABLE, method="wle"),
        "person_fit": lambda: ps.person_fit(fit, TABLE),
        "fair_averages": lambda: ps.fair_averages(fit, "judge"),
        "score_table": lambda: ps.score_table(fit),
        "item_fit": lambda: ps.item_fit(fit, TABLE),
        "robust_errors": lambda: ps.robust_errors(fit, TABLE),
        "JointML": lambda: ps.fit(fit.model, TABLE, engine=ps.JointML()),
        "ConditionalML": lambda: ps.fit(fit.model, TABLE, engine=ps.ConditionalML()),
    }
    for who, ask in asked.items():
        with pytest.raises(DesignError, match=rf"{who} takes the responses of a subject as independent"):
            ask()


def test_bad_input():
    single = nested_world.table(FRAME.drop_duplicates(["subject", "judge"]))
    with pytest.raises(DataError, match="no subject has two responses under one judge"):
        ps.fit(ps.RaschTestlet(), single)
    with pytest.raises(DataError, match="no subject has responses under two levels of 'judge'"):
        ps.fit(ps.RaschTestlet(), nested_world.table(FRAME.query("judge == 'j000'")))
    with pytest.raises(DataError, match="reads facet 'topic', which the table does not have"):
        ps.fit(ps.RaschTestlet(within="topic"), TABLE)
    with pytest.raises(DesignError, match="must be a ManyFacetRasch"):
        ps.RaschTestlet("judge")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DesignError, match="name a facet whose levels each subject meets several of"):
        ps.RaschTestlet(within="subject")
    with pytest.raises(DesignError, match="halo_prior_sd=0"):
        ps.RaschTestlet(halo_prior_sd=0)


@pytest.mark.slow
def test_intervals_of_subjects_are_honest():
    """Of 1,200 intervals in four tables, with a halo as wide as the subjects' spread."""
    inside = {"RaschTestlet": list[bool](), "ManyFacetRasch": list[bool]()}
    halo = []
    for seed in range(4):
        rows, ability = nested_world.frame(300, 1.1, seed=seed)
        table = nested_world.table(rows)
        for model in (ps.RaschTestlet(), ps.ManyFacetRasch()):
            fit = ps.fit(model, table)
            scores = ps.score(fit, table).frame.sort_values("subject")
            inside[type(model).__name__] += ((scores["lower"] < ability) & (ability < scores["upper"])).tolist()
            if "halo_sd" in fit.parameters:
                halo.append((float(fit.parameters["halo_sd"]) - 1.1) / float(fit.standard_errors["halo_sd"]))
    error = np.sqrt(0.95 * 0.05 / 1_200)
    # Four standard errors of a share; the tables' own estimation errors move it by less than one.
    assert abs(np.mean(inside["RaschTestlet"]) - 0.95) < 4 * error
    assert np.mean(inside["ManyFacetRasch"]) < 0.95 - 10 * error
    # The mean of four standard normal errors.
    assert abs(np.mean(halo)) < 3 / np.sqrt(4)
