"""Engines against brute force: integrals and maxima computed another way, by separate code, on a table small enough."""

from __future__ import annotations

from itertools import product

import engine_cases
import numpy as np
import pandas as pd
import pytest
from engine_cases import ENGINES, MODEL
from numpyro.diagnostics import effective_sample_size
from scipy.special import log_softmax, logsumexp

import psymetric as ps

# Standard errors by which two seeded estimates may differ: one in 16,000 by chance, each.
MONTE_CARLO = 4.0
NAMES = ("item", "judge", "step", "population_mean", "population_sd")


@pytest.fixture(scope="module")
def frame():
    return engine_cases.frame()


@pytest.fixture(scope="module")
def nuts(frame) -> ps.Fit:
    return ps.fit(MODEL, engine_cases.table(frame), engine=ENGINES["NUTS"])


@pytest.fixture(scope="module")
def laplace(frame) -> ps.Fit:
    return ps.fit(MODEL, engine_cases.table(frame), engine=ENGINES["Laplace"])


def log_likelihood(frame, item, judge, step, mean, sd, *, n_nodes: int = 41) -> np.ndarray:
    """Marginal log-likelihood by Gauss-Hermite, from counts of answer patterns; arguments of shape (points,).

    `item` is the second item's difficulty (the first has minus it), and likewise `judge` and `step`.
    """
    patterns = frame.pivot(index="subject", columns=["item", "judge"], values="rating")
    columns = [(int(i[1]) - 1.5, int(j[1]) - 1.5) for i, j in patterns.columns]
    distinct, counts = np.unique(patterns.to_numpy(), axis=0, return_counts=True)
    nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    theta = mean[:, None] + sd[:, None] * nodes
    columns_log_probs = []
    for i, j in columns:
        location = theta - 2 * i * item[:, None] - 2 * j * judge[:, None]
        steps = np.stack([0 * location, location + step[:, None], 2 * location], axis=-1)
        columns_log_probs.append(log_softmax(steps, axis=-1))
    total = np.zeros(len(item))
    for pattern, count in zip(distinct, counts, strict=True):
        joint = sum(log_probs[..., k] for log_probs, k in zip(columns_log_probs, pattern, strict=True))
        total += count * (logsumexp(joint, b=weights, axis=1) - np.log(np.sqrt(2 * np.pi)))
    return total


def test_marginal_ml_is_the_maximum_of_the_brute_force_likelihood(frame):
    fit = ps.fit(MODEL, engine_cases.table(frame))

    value = fit.parameters
    at = [value["item"][1], value["judge"][1], value["step"][0, 1], value["population_mean"], value["population_sd"]]
    # The point itself, and a step each way along every parameter.
    step = 1e-4
    points = np.array(at) + step * np.vstack([np.zeros(5), np.eye(5), -np.eye(5)])
    here, ahead, behind = np.split(log_likelihood(frame, *points.T, n_nodes=121), [1, 6])
    assert fit.log_likelihood == pytest.approx(here[0], abs=1e-6)
    # Rounding of 1e-13 in a value of 220 over a step of 1e-4.
    np.testing.assert_allclose((ahead - behind) / (2 * step), 0, atol=1e-5)
    assert np.all(ahead < here)
    assert np.all(behind < here)


def log_posterior(frame, points: np.ndarray, copies: int = 1, *, n_nodes: int = 41) -> np.ndarray:
    """Log posterior density at points (item, judge, step, mean, log sd), shape (points, 5)."""
    item, judge, step, mean, log_sd = points.T
    log_density = copies * log_likelihood(frame, item, judge, step, mean, np.exp(log_sd), n_nodes=n_nodes)
    # Priors on the free coordinates: (−x, x) lies at √2·x along its unit direction.
    for value, scale in ((item, 2.0), (judge, 2.0), (step, 2.0)):
        log_density -= 0.5 * (np.sqrt(2) * value / scale) ** 2
    return log_density - (0.5 * (mean / 5.0) ** 2 + 0.5 * (np.exp(log_sd) / 2.5) ** 2 - log_sd)


def test_map_is_the_maximum_of_the_brute_force_posterior(frame):
    value = ps.fit(MODEL, engine_cases.table(frame), engine=ENGINES["MAP"]).parameters
    at = [value["item"][1], value["judge"][1], value["step"][0, 1], value["population_mean"]]
    step = 1e-4
    points = np.array([*at, np.log(value["population_sd"])]) + step * np.vstack([np.zeros(5), np.eye(5), -np.eye(5)])
    here, ahead, behind = np.split(log_posterior(frame, points, n_nodes=121), [1, 6])
    np.testing.assert_allclose((ahead - behind) / (2 * step), 0, atol=1e-5)
    assert np.all(ahead < here)
    assert np.all(behind < here)


def posterior_moments(frame, near: ps.Fit, *, copies: int = 1) -> dict[str, np.ndarray]:
    """Posterior means and sds by the rectangle rule on a five-dimensional grid, whitened by the draws of a fit nearby.

    With a spacing of one sd the rule errs by 3e-9, and what lies beyond four sds by 1e-3 in an sd.
    """
    draws = drawn(near).reshape(-1, 5)
    draws[:, 4] = np.log(draws[:, 4])
    root = np.linalg.cholesky(np.cov(draws.T))
    axes = [np.arange(-4.0, 4.1)] * 4 + [np.arange(-7.0, 5.1)]
    points = draws.mean(axis=0) + np.array([*product(*axes)]) @ root.T
    log_density = np.concatenate([log_posterior(frame, block, copies) for block in np.array_split(points, 60)])
    weight = np.exp(log_density - logsumexp(log_density))
    values = np.column_stack([points[:, :4], np.exp(points[:, 4])])
    means = weight @ values
    return {"mean": means, "sd": np.sqrt(weight @ values**2 - means**2)}


@pytest.fixture(scope="module")
def posterior(frame, laplace) -> dict[str, np.ndarray]:
    return posterior_moments(frame, laplace)


def drawn(fit: ps.Fit) -> np.ndarray:
    """The same five numbers, shape (chains, draws, 5)."""
    d = fit.draws
    return np.stack(
        [d["item"][..., 1], d["judge"][..., 1], d["step"][..., 0, 1], d["population_mean"], d["population_sd"]], axis=-1
    )


def error_of_mean(draws: np.ndarray) -> float:
    """Monte Carlo standard error of a mean of autocorrelated draws, shape (chains, draws)."""
    return float(draws.std() / np.sqrt(effective_sample_size(draws)))


def error_of_sd(draws: np.ndarray) -> float:
    """The same of a standard deviation, by the delta method from that of the variance."""
    return error_of_mean((draws - draws.mean()) ** 2) / (2 * float(draws.std()))


@pytest.mark.thorough
@pytest.mark.parametrize("place", range(5), ids=NAMES)
def test_nuts_samples_the_brute_force_posterior(nuts, posterior, place):
    values = drawn(nuts)[..., place]
    assert abs(values.mean() - posterior["mean"][place]) < MONTE_CARLO * error_of_mean(values)
    assert abs(values.std() - posterior["sd"][place]) < MONTE_CARLO * error_of_sd(values)


@pytest.mark.parametrize("place", range(5), ids=NAMES)
def test_laplace_is_normal_at_the_mode(frame, laplace, place):
    mode = ps.fit(MODEL, engine_cases.table(frame), engine=ENGINES["MAP"])
    value = drawn(laplace)[..., place]
    expected, error = (
        [v["item"][1], v["judge"][1], v["step"][0, 1], v["population_mean"], v["population_sd"]][place]
        for v in (mode.parameters, mode.standard_errors)
    )
    if NAMES[place] == "population_sd":  # normal on the log scale
        value, expected, error = np.log(value), np.log(expected), error / expected
    assert abs(value.mean() - expected) < MONTE_CARLO * error_of_mean(value)
    assert abs(value.std() - error) < MONTE_CARLO * error_of_sd(value)


@pytest.mark.thorough
def test_laplace_approaches_the_posterior(frame):
    """Its error in posterior sds falls as one over the root of the number of subjects: sixteen copies are enough."""
    copies = [frame.assign(subject=frame["subject"] + f"-{copy}") for copy in range(16)]
    fit = ps.fit(MODEL, engine_cases.table(pd.concat(copies)), engine=ENGINES["Laplace"])
    expected = posterior_moments(frame, fit, copies=16)
    for place, value in enumerate(np.moveaxis(drawn(fit), -1, 0)):
        assert abs(value.mean() - expected["mean"][place]) < MONTE_CARLO * error_of_mean(value), NAMES[place]
        assert abs(value.std() - expected["sd"][place]) < MONTE_CARLO * error_of_sd(value), NAMES[place]


def test_subjects_are_drawn_from_their_conditional(frame, nuts, posterior):
    """The mean ability over subjects with one pattern equals its EAP averaged over the posterior, within error."""
    patterns = frame.pivot(index="subject", columns=["item", "judge"], values="rating").sum(axis=1)
    scores = patterns[list(nuts.levels["subject"])].to_numpy()
    ability = nuts.parameters["ability"]
    # One total score, one posterior: subjects that share it differ by Monte Carlo error only.
    score = np.bincount(scores).argmax()
    alike = ability[scores == score]
    sd = nuts.standard_errors["ability"][scores == score].mean()
    draws = nuts.draws["ability"].shape[0] * nuts.draws["ability"].shape[1]
    assert len(alike) > 3
    assert np.ptp(alike) < 2 * MONTE_CARLO * sd / np.sqrt(draws)
