"""Fit of models of several latent variables: sums written out with NumPy, and tables drawn from the fit itself."""

from __future__ import annotations

from functools import cache

import nested_world
import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal, norm
from two_dimensions import FRAME, KEY, WITHIN, table

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.diagnostics.moments import measure, response_moments
from psymetric.diagnostics.residuals import unexpected_responses
from psymetric.errors import DataError, DesignError

THOROUGH = pytest.mark.thorough
GRID = np.linspace(-8, 8, 161)
SHARED = nested_world.table(nested_world.frame(60, 0.9, seed=3)[0].sample(frac=0.9, random_state=1))
TWO = table(FRAME)


@cache
def fitted(name: str) -> tuple[ps.Fit, ps.ResponseTable]:
    models = {
        "halo": (ps.RaschTestlet(), SHARED),
        "ideal": (ps.HierarchicalRater(), SHARED),
        "simple": (ps.Multidimensional(key=KEY), TWO),
        "within": (ps.Multidimensional(key=WITHIN, discrimination="free"), TWO),
    }
    model, data = models[name]
    return ps.fit(model, data), data


def steps_of(logits: np.ndarray) -> np.ndarray:
    """Probabilities of categories from the logits of each against the one below, along the last axis."""
    summed = np.concatenate([np.zeros((*logits.shape[:-1], 1)), np.cumsum(logits, axis=-1)], axis=-1)
    return np.exp(summed - logsumexp(summed, axis=-1, keepdims=True))


def moments(probability: np.ndarray, response: int, mass: np.ndarray) -> tuple[float, float, float]:
    """Expectation, variance and squared standardised residual of one response, averaged over `mass`."""
    score = np.arange(probability.shape[-1])
    expected = probability @ score
    variance = probability @ score**2 - expected**2
    return tuple(float(np.sum(mass * part)) for part in (expected, variance, (response - expected) ** 2 / variance))


def second_opinion(name: str, subject: int) -> np.ndarray:
    """Moments of every response of one subject on a fixed product grid, shape (responses, 3)."""
    fit, data = fitted(name)
    values, mine = fit.parameters, np.flatnonzero(data.codes["subject"] == subject)
    item, response = data.codes["item"][mine], data.response[mine]
    if name in ("simple", "within"):
        at = np.stack(np.meshgrid(GRID, GRID, indexing="ij"), axis=-1)
        covariance = values["correlation"] * np.outer(values["population_sd"], values["population_sd"])
        log_mass = multivariate_normal(values["population_mean"], covariance).logpdf(at)
        place = at @ values["discrimination"].T - values["item"]
        chance = [steps_of(place[..., [i]] - values["step"][i]) for i in item]
        log_mass = log_mass + sum(np.log(p[..., x] + 1e-300) for p, x in zip(chance, response, strict=True))
        mass = np.exp(log_mass - logsumexp(log_mass))
        return np.array([moments(p, x, mass) for p, x in zip(chance, response, strict=True)])
    judge, rows = data.codes["judge"][mine], range(len(mine))
    abilities = values["population_mean"] + values["population_sd"] * GRID
    if name == "halo":
        inner = np.linspace(-6, 6, 81) * values["halo_sd"]
        prior = norm.logpdf(inner, 0, values["halo_sd"])
        at, owner = abilities[:, None] + inner, judge
        chance = [steps_of((at - values["item"][i] - values["judge"][j])[..., None] - values["step"].ravel())
                  for i, j in zip(item, judge, strict=True)]  # fmt: skip
        priors = {o: prior - logsumexp(prior) + np.zeros_like(at) for o in owner}
    else:
        owner, score = item, np.arange(3)
        criteria = 1 + values["judge"][:, None] + values["criterion"]
        reached = expit(values["precision"][:, None, None] * (score[None, :, None] - criteria[:, None]))
        whole = np.concatenate(
            [np.ones((*reached.shape[:-1], 1)), reached, np.zeros((*reached.shape[:-1], 1))], axis=-1
        )
        chance = [-np.diff(whole[j], axis=-1)[None] + np.zeros((len(GRID), 1, 1)) for j in judge]
        priors = {o: np.log(steps_of((abilities - values["item"][o])[:, None] - values["step"][o])) for o in owner}
    joint = {o: priors[o] + sum(np.log(chance[r][..., response[r]]) for r in rows if owner[r] == o) for o in priors}
    ability = norm.logpdf(GRID)
    ability = ability + sum(logsumexp(part, axis=1) for part in joint.values())
    ability = np.exp(ability - logsumexp(ability))
    own = {o: ability[:, None] * np.exp(part - logsumexp(part, axis=1, keepdims=True)) for o, part in joint.items()}
    return np.array([moments(chance[r], response[r], own[owner[r]]) for r in rows])


@pytest.mark.parametrize(
    ("name", "close"),
    # The product grids are exact to 1e-6; positions that are sums keep two moments of their posterior, not its shape.
    [
        ("simple", 1e-5),
        pytest.param("ideal", 1e-5, marks=THOROUGH),
        ("halo", 5e-3),
        pytest.param("within", 5e-3, marks=THOROUGH),
    ],
)
def test_moments_are_those_of_sums_over_all_latent_variables(name, close):
    fit, data = fitted(name)
    found = response_moments(measure(fit, data, who="test"))
    for subject in (0, 7, 23):
        mine = data.codes["subject"] == subject
        values = np.stack([found.expected, found.variance, found.outfit], axis=1)[mine]
        np.testing.assert_allclose(values, second_opinion(name, subject), rtol=close, atol=close)


def drawn_again(fit: ps.Fit, data: ps.ResponseTable, seed: int) -> ps.ResponseTable:
    """Other subjects in the place of these, with everything drawn anew from the fit."""
    places = measure(fit, data, who="test").positions
    rng = np.random.default_rng(seed)
    with double_precision():
        params = {**places.rows.params, "ability": places.anew(rng)}
        codes = {**places.rows.codes, "subject": places.rows.subject}
        response = places.rows.model.simulate(params, codes, len(fit.categories), seed=seed)
    frame = data.to_frame().assign(response=np.array(fit.categories)[response])
    facets = tuple(name for name in data.facets if name not in ("subject", "item"))
    return ps.ResponseTable.from_frame(
        frame, response="response", subject="subject", item="item", facets=facets, categories=fit.categories
    )


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["halo", "ideal", "simple", "within"])
def test_mean_squares_centre_at_one(name):
    """Tables drawn from the fit, known parameters: the mean outfit of all responses is one within four errors.

    The error is that of independent subjects, from the spread of the subjects' own mean squares.
    """
    fit, data = fitted(name)
    outfit, infit = [], []
    for seed in range(6):
        frame = ps.fit_statistics(fit, drawn_again(fit, data, seed), facets=["subject", "item"])
        own = frame[frame["facet"] == "subject"]
        outfit += own["outfit"].tolist()
        infit += frame.loc[frame["facet"] == "item", "infit"].tolist()
    error = np.std(outfit, ddof=1) / np.sqrt(len(outfit))
    assert abs(np.mean(outfit) - 1) < 4 * error
    spread = np.std(infit, ddof=1) / np.sqrt(len(infit))
    assert abs(np.mean(infit) - 1) < 4 * spread


@pytest.mark.thorough
def test_a_judge_who_guesses_and_a_subject_are_found():
    frame = nested_world.frame(150, 0.9, seed=4)[0]
    guesses = np.random.default_rng(1).integers(0, 3, len(frame))
    data = nested_world.table(frame.assign(rating=np.where(frame["judge"] == "j001", guesses, frame["rating"])))
    for model in (ps.RaschTestlet(), ps.HierarchicalRater()):
        fit = ps.fit(model, data)
        found = ps.fit_statistics(fit, data, facets=["judge"]).set_index("level")
        if isinstance(model, ps.RaschTestlet):
            assert found["infit"].idxmax() == "j001"
            assert found.loc["j001", "infit_z"] > 3
        else:
            # The judge's own precision takes the noise up: that is what the model has it for.
            assert fit.estimates("precision").set_index("level")["estimate"].idxmin() == "j001"
            assert found.loc["j001", "infit"] == pytest.approx(1, abs=0.2)


def test_errors_are_given_where_a_level_moves_responses():
    fit, data = fitted("ideal")
    found = ps.fit_statistics(fit, data).set_index("facet")["model_se"]
    assert found.loc[["subject", "item"]].isna().all()
    assert (found.loc["judge"] > 0).all()
    fit, data = fitted("simple")
    found = ps.fit_statistics(fit, data).set_index("facet")["model_se"]
    assert found.loc["subject"].isna().all()
    assert (found.loc["item"] > 0).all()


@pytest.mark.parametrize("name", ["halo", "ideal", "simple", "within"])
def test_everything_that_is_defined_is_a_number(name):
    fit, data = fitted(name)
    facet = "judge" if "judge" in data.facets else "item"
    assert np.isfinite(ps.residual_correlations(fit, data, facet=facet)["q3"]).all()
    found = ps.residual_components(fit, data, facet=facet, simulations=3)
    assert np.isfinite(found.eigenvalues[["eigenvalue", "simulated_upper"]]).all(axis=None)
    shares = ps.posterior_predictive(fit, data, replicates=40).query("facet == 'all'")
    assert ((shares["lower"] <= shares["observed"]) & (shares["observed"] <= shares["upper"])).all()
    used = ps.category_statistics(fit, data).query("n > 0")
    assert np.isfinite(used[["average_measure", "expected_measure", "outfit"]]).all(axis=None)
    assert len(unexpected_responses(fit, data, threshold=1.5, limit=5)) == 5
    reliability = ps.score_reliability(fit, data, draws=20)
    assert reliability["value"].between(0, 1).all()
    assert ("dimension" in reliability.columns) == (name in ("simple", "within"))


def test_dependence_that_the_model_has_is_not_found_again():
    """Pairs of items under one judge, told apart as items: Rasch sees the halo in them, the testlet model does not."""
    rows = nested_world.frame(250, 1.2, seed=5)[0]
    rows["item"] = rows["item"] + rows["judge"]
    data = nested_world.table(rows)
    same = lambda frame: frame["first"].str[4:] == frame["second"].str[4:]  # noqa: E731
    gaps = []
    plain = ps.ManyFacetRasch(facets=("item",))
    for model in (plain, ps.RaschTestlet(plain)):
        frame = ps.residual_correlations(ps.fit(model, data), data, facet="item")
        gaps.append(frame.loc[same(frame), "q3"].mean() - frame.loc[~same(frame), "q3"].mean())
    # Correlations of 250 subjects have errors of .06, their means over nine pairs of .02.
    assert gaps[0] > 0.1
    assert gaps[1] < 0.06


def test_person_fit_of_several_dimensions():
    """Standard normal at tables drawn from the fit, as far as eight responses can be."""
    fit, data = fitted("simple")
    star = np.concatenate([ps.person_fit(fit, drawn_again(fit, data, seed))["lz_star"] for seed in range(4)])
    n = len(star)
    # With estimates drawn towards the population the mean is off by a tenth or so: Snijders' correction is asymptotic.
    assert abs(star.mean()) < 0.15 + 4 / np.sqrt(n)
    assert abs(star.std() - 1) < 0.2
    found = ps.person_fit(fit, TWO)
    assert list(found.columns[2:4]) == ["ability: E", "ability: N"]
    with pytest.raises(DataError, match="method='wle' is for one dimension"):
        ps.person_fit(fit, data, method="wle")


def test_one_dimension_of_several_is_the_model_of_one():
    """A key of one dimension: the same fit statistics and person fit as the many-facet Rasch model."""
    rows = FRAME[FRAME["item"].isin(KEY["E"])]
    data = table(rows)
    several = ps.fit(ps.Multidimensional(key={"E": KEY["E"]}), data)
    one = ps.fit(ps.ManyFacetRasch(facets=("item",), steps="item"), data)
    a, b = (ps.fit_statistics(fit, data).set_index(["facet", "level"]) for fit in (several, one))
    columns = ["infit", "infit_z", "outfit", "outfit_z", "point_measure", "point_measure_expected"]
    # Two climbs end within a millilogit of each other.
    np.testing.assert_allclose(a[columns], b[columns], atol=2e-3)
    a, b = (ps.person_fit(fit, data, method="map") for fit in (several, one))
    np.testing.assert_allclose(a["lz_star"], b["lz_star"], atol=5e-3)
    np.testing.assert_allclose(a["ability: E"], b["ability"], atol=5e-3)


@pytest.mark.parametrize(
    ("ask", "name", "message"),
    [
        (lambda f, t: ps.person_fit(f, t), "halo", "person_fit takes the responses of a subject as independent"),
        (lambda f, t: ps.item_fit(f, t), "ideal", "item_fit takes the responses of a subject as independent"),
        (lambda f, t: ps.limited_information(f, t), "simple", "is for one dimension, and Multidimensional measures"),
        (lambda f, t: ps.bias_analysis(f, t, "judge", "item"), "ideal", "no departure has a place in logits"),
        (lambda f, t: ps.facet_summary(f, "subject", t), "halo", "use score_reliability"),
        (lambda f, t: ps.characteristic_curves(f, t), "simple", "characteristic_curves is for one dimension"),
        (lambda f, t: ps.characteristic_curves(f, t), "halo", "characteristic_curves takes the responses"),
        (lambda f, t: ps.fair_averages(f, "item"), "simple", "fair_averages is for one dimension"),
    ],
)  # fmt: skip
def test_what_has_no_theory_says_what_to_use(ask, name, message):
    with pytest.raises((DataError, DesignError), match=message):
        ask(*fitted(name))
