"""Hierarchical rater model, against sums over all ideal ratings written out with NumPy."""

from __future__ import annotations

from itertools import product

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError

N, ITEMS, JUDGES, K = 60, 2, 3, 3
NODES = np.linspace(-10, 10, 121)
PRECISION, SEVERITY = np.array([6.0, 3.0, 1.5]), np.array([0.0, 0.4, -0.3])
MODEL = ps.HierarchicalRater()


def simulated(n: int, precision: np.ndarray, severity: np.ndarray, *, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Ratings, and the ideal category behind each; drawn with NumPy alone."""
    rng, n_judges = np.random.default_rng(seed), len(precision)
    theta, difficulty, step = rng.normal(0.2, 1.5, n), np.array([-0.3, 0.3]), np.array([-0.7, 0.7])
    location = theta[:, None] - difficulty
    score = np.stack([0 * location, location - step[0], 2 * location], axis=-1)
    chance = np.exp(score - logsumexp(score, axis=-1, keepdims=True))
    ideal = (rng.random((n, ITEMS, 1)) > chance.cumsum(axis=2)).sum(axis=2)
    criteria = np.arange(1, K) - 0.5 + severity[:, None]
    at_least = expit(precision[:, None] * (ideal[..., None, None] - criteria))
    rating = (rng.random((n, ITEMS, n_judges, 1)) < at_least).sum(axis=3)
    rows = pd.MultiIndex.from_product(
        [[f"s{k:04}" for k in range(n)], ["i0", "i1"], [f"j{k}" for k in range(n_judges)]],
        names=["subject", "item", "judge"],
    ).to_frame(index=False)
    return rows.assign(rating=rating.ravel()), np.repeat(ideal.ravel(), n_judges)


def table(rows: pd.DataFrame) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(rows, response="rating", subject="subject", item="item", facets=("judge",))


# Some ratings missing: work seen by one to three judges.
TABLE = table(simulated(N, PRECISION, SEVERITY, seed=6)[0].sample(frac=0.9, random_state=2))


@pytest.fixture(scope="module")
def fit() -> ps.Fit:
    return ps.fit(MODEL, TABLE)


def enumerated(values: dict[str, np.ndarray]) -> np.ndarray:
    """Log of probability of the responses and all ideal ratings, and of the ability: (subjects, K ** items, nodes)."""
    difficulty, step, precision = values["item"], values["step"], values["precision"]
    score = np.stack([k * (NODES[None] - difficulty[:, None]) - step[:, :k].sum(axis=1)[:, None] for k in range(K)])
    log_ideal = score - logsumexp(score, axis=0)  # (categories, items, nodes)
    criteria = (K - 1) / 2 + values["judge"][:, None] + values["criterion"]
    at_least = expit(precision[:, None, None] * (np.arange(K)[None, :, None] - criteria[:, None]))
    edges = np.concatenate([np.ones((JUDGES, K, 1)), at_least, np.zeros((JUDGES, K, 1))], axis=2)
    log_seen = np.log(edges[..., :-1] - edges[..., 1:])  # (judges, ideal, category)
    mean, sd = values["population_mean"], values["population_sd"]
    weight = -0.5 * ((NODES - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi)) + np.log(NODES[1] - NODES[0])
    found = np.empty((N, K**ITEMS, len(NODES)))
    for place, ideal in enumerate(product(range(K), repeat=ITEMS)):
        deserved = np.array(ideal)[TABLE.codes["item"]]
        row = log_seen[TABLE.codes["judge"], deserved, TABLE.response]
        seen = np.bincount(TABLE.codes["subject"], row, N)
        found[:, place] = seen[:, None] + sum(log_ideal[ideal[item], item] for item in range(ITEMS)) + weight
    return found


def log_prior(values: dict[str, np.ndarray]) -> float:
    """Log prior density on the free scale, written out: normal, log-normal, half-normal with its Jacobian."""
    squares = [
        (values["item"], 2.0),  # centred by orthonormal directions, so that squares are squares of the values
        (values["step"], 2.0),
        (values["population_mean"], 5.0),
        (values["judge"], 1.0),
        (np.log(values["precision"]) - np.log(3.0), 0.75),
        (np.log(np.diff(values["criterion"], axis=1)), 0.5),
        (values["population_sd"], 2.5),
    ]
    return float(-0.5 * sum(np.sum((value / sd) ** 2) for value, sd in squares) + np.log(values["population_sd"]))


def unpack(free: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, log sd, one difficulty, one step per item, three severities, log precisions and log gaps."""
    gap = np.exp(free[11:14])
    return {
        "population_mean": free[0], "population_sd": np.exp(free[1]), "item": np.array([free[2], -free[2]]),
        "step": np.column_stack([free[3:5], -free[3:5]]), "judge": free[5:8], "precision": np.exp(free[8:11]),
        "criterion": np.column_stack([-gap / 2, gap / 2]),
    }  # fmt: skip


def point(fit: ps.Fit) -> np.ndarray:
    values = fit.parameters
    return np.concatenate([
        [values["population_mean"], np.log(values["population_sd"]), values["item"][0]], values["step"][:, 0],
        values["judge"], np.log(values["precision"]), np.log(np.diff(values["criterion"], axis=1)[:, 0]),
    ])  # fmt: skip


def second_opinion(free: np.ndarray) -> float:
    return float(logsumexp(enumerated(unpack(free)), axis=(1, 2)).sum())


def test_likelihood_is_the_sum_over_all_ideal_ratings(fit):
    assert second_opinion(point(fit)) == pytest.approx(fit.log_likelihood, abs=1e-6)


def test_mode_of_the_second_posterior(fit):
    free, step = point(fit), 1e-4

    def density(at: np.ndarray) -> float:
        return second_opinion(at) + log_prior(unpack(at))

    for place in range(len(free)):
        move = step * (np.arange(len(free)) == place)
        slope = (density(free + move) - density(free - move)) / (2 * step)
        # Newton ended within 1e-6 of the mode, and the information about each is under a thousand.
        assert abs(slope) < 1e-3, (place, slope)


def test_ideal_ratings_are_those_of_the_enumeration(fit):
    found = ps.ideal_ratings(fit, TABLE)
    joint = enumerated(dict(fit.parameters))
    mass = np.exp(logsumexp(joint, axis=2) - logsumexp(joint, axis=(1, 2))[:, None])
    work = list(product(range(K), repeat=ITEMS))
    for row in found.itertuples():
        subject, item = TABLE.levels["subject"].index(row.subject), TABLE.levels["item"].index(row.item)
        chance = [sum(mass[subject, place] for place, ideal in enumerate(work) if ideal[item] == k) for k in range(K)]
        np.testing.assert_allclose([row.p_0, row.p_1, row.p_2], chance, atol=1e-6)
        assert row.mode == int(np.argmax(chance))
        assert row.expected == pytest.approx(chance[1] + 2 * chance[2], abs=1e-6)
        assert row.sd == pytest.approx(np.sqrt(chance[1] + 4 * chance[2] - row.expected**2), abs=1e-5)
    assert found["n"].sum() == TABLE.n_rows
    assert not found.duplicated(["subject", "item"]).any()


@pytest.mark.parametrize("method", ["eap", "map"])
def test_scores_are_those_of_the_enumeration(fit, method):
    joint = logsumexp(enumerated(dict(fit.parameters)), axis=1)
    mass = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    frame = ps.score(fit, TABLE, method=method).frame
    order = [TABLE.levels["subject"].index(label) for label in frame["subject"]]
    if method == "eap":
        mean = mass @ NODES
        np.testing.assert_allclose(frame["estimate"], mean[order], atol=1e-6)
        np.testing.assert_allclose(frame["se"], np.sqrt(mass @ NODES**2 - mean**2)[order], atol=1e-6)
    else:
        best = NODES[mass.argmax(axis=1)][order]
        assert np.abs(frame["estimate"] - best).max() < 0.6 * (NODES[1] - NODES[0])


def test_perfect_judges_show_the_ideal_category():
    """At high precision the likelihood is that of the partial credit model on the ideal categories."""
    params = {
        "ability": jnp.zeros(1), "item": jnp.zeros(1), "step": jnp.zeros((1, 3)), "judge": jnp.zeros(1),
        "precision": jnp.array([200.0]), "criterion": jnp.array([[-1.0, 0.0, 1.0]]), "ideal": jnp.arange(4),
    }  # fmt: skip
    codes = {"subject": jnp.zeros(4, int), "item": jnp.zeros(4, int), "judge": jnp.zeros(4, int)}
    with double_precision():
        found = MODEL.category_log_probs(params, codes | {MODEL.owner: jnp.arange(4)}, 4)
    np.testing.assert_allclose(np.exp(found), np.eye(4), atol=1e-12)


def test_extreme_subjects_are_marked(fit):
    frame = ps.score(fit, TABLE).frame.set_index("subject")
    rating = pd.Series(TABLE.response).groupby(np.array(TABLE.levels["subject"])[TABLE.codes["subject"]])
    np.testing.assert_array_equal(frame["extreme"], ((rating.max() == 0) | (rating.min() == K - 1))[frame.index])


@pytest.mark.slow
def test_settings_of_judges_are_recovered():
    """400 pieces of work by 200 subjects: within four standard errors, and told apart."""
    precision, severity = np.array([6.0, 4.0, 2.0, 1.0]), np.array([0.0, 0.4, -0.3, 0.0])
    rows, ideal = simulated(200, precision, severity, seed=4)
    fit = ps.fit(MODEL, table(rows))
    for name, truth in (("precision", precision), ("judge", severity)):
        frame = fit.estimates(name)
        assert (np.abs(frame["estimate"] - truth) < 4 * frame["se"]).all(), name
    assert (np.diff(fit.parameters["precision"][1:]) < 0).all()
    assert fit.estimates("judge")["estimate"].iloc[1] > fit.estimates("judge")["estimate"].iloc[2]
    found = ps.ideal_ratings(fit, table(rows))
    chance = found[["p_0", "p_1", "p_2"]].to_numpy()
    right = found["mode"].to_numpy() == ideal[:: len(precision)]
    # Said with these probabilities, the modes are right that often.
    said = chance.max(axis=1)
    assert abs(right.mean() - said.mean()) < 4 * np.sqrt(np.sum(said * (1 - said))) / len(said)


def test_other_engines(fit):
    draws = ps.fit(MODEL, TABLE, engine=ps.Laplace(draws=400))
    away = (draws.parameters["judge"] - fit.parameters["judge"]) / fit.standard_errors["judge"]
    assert np.abs(away).max() < 0.5
    scores, own = (ps.score(one, TABLE).frame["estimate"] for one in (draws, fit))
    assert np.corrcoef(scores, own)[0, 1] > 0.98
    for engine in (ps.JointML(), ps.ConditionalML()):
        with pytest.raises(DesignError, match="HierarchicalRater lets those under one item hang together: use MAP"):
            ps.fit(MODEL, TABLE, engine=engine)


def test_two_categories_and_common_steps(fit):
    rows = simulated(120, np.array([4.0, 3.0, 2.0]), np.zeros(3), seed=1)[0]
    two = ps.fit(ps.HierarchicalRater(steps="common"), table(rows.assign(rating=(rows["rating"] > 1).astype(int))))
    assert two.parameters["criterion"].shape == (3, 1)
    assert np.all(two.parameters["criterion"] == 0)
    assert np.all(np.isfinite(two.standard_errors["precision"]))


def test_bad_input(fit):
    rows = simulated(20, PRECISION, SEVERITY, seed=6)[0]
    alone = rows.drop_duplicates(["subject", "item"])
    with pytest.raises(DataError, match=r"no piece of work \(subject and item\) was rated by two judges"):
        ps.fit(MODEL, table(alone))
    with pytest.raises(DesignError, match=r"steps='judge'\) must be 'common' or 'item'"):
        ps.HierarchicalRater(steps="judge")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DesignError, match="must name the facet of the judges"):
        ps.HierarchicalRater("item")
    with pytest.raises(DesignError, match="precision_prior_sd=-1"):
        ps.HierarchicalRater(precision_prior_sd=-1)
    with pytest.raises(DataError, match="ManyFacetRasch has no ideal categories: fit HierarchicalRater"):
        ps.ideal_ratings(ps.fit(ps.ManyFacetRasch(), TABLE), TABLE)
    with pytest.raises(DataError, match="judge not in the fit"):
        ps.ideal_ratings(fit, table(rows.assign(judge="x" + rows["judge"])))
