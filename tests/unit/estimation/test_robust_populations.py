"""Sandwich errors where groups and covariates tell subjects apart: brute force, copies of subjects, and a bootstrap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

import psymetric as ps
from psymetric.errors import DesignError

EXACT = 1e-5  # central differences of step 1e-4 in scores and curvature
COPY = 1e-6
NODES = np.linspace(-8, 8, 161)
LOG_WEIGHTS = -(NODES**2) / 2 - logsumexp(-(NODES**2) / 2)
DIFFICULTY = np.array([-0.6, 0.0, 0.6])
MODEL = ps.Rasch(population=ps.Population(groups="school", covariates=("age",)))


def wide(seed: int, n: int = 80) -> pd.DataFrame:
    """Right or wrong answers of two schools that differ in mean and sd, with a covariate; a class holds five pupils."""
    rng = np.random.default_rng(seed)
    school = np.arange(n) % 2
    age = rng.normal(size=n)
    shared = np.repeat(rng.normal(size=n // 5), 5)
    theta = 0.6 * school + 0.4 * age + np.where(school, 1.3, 0.8) * (0.6 * shared + 0.8 * rng.normal(size=n))
    right = (rng.random((n, 3)) < expit(theta[:, None] - DIFFICULTY)).astype(int)
    frame = pd.DataFrame(right, columns=["i0", "i1", "i2"])
    return frame.assign(pupil=range(n), school=np.where(school, "t", "s"), age=age, room=np.arange(n) // 5)


def table_of(frame: pd.DataFrame) -> ps.ResponseTable:
    long = frame.melt(["pupil", "school", "age", "room"], var_name="item", value_name="right")
    long["day"] = long.index % 7
    return ps.ResponseTable.from_frame(
        long, response="right", subject="pupil", item="item", facets=("school", "age", "room", "day")
    )


def log_likelihoods(frame: pd.DataFrame, free: np.ndarray) -> np.ndarray:
    """By subject, from two difficulties, two means, two log sds and a weight."""
    school = (frame["school"] == "t").to_numpy(int)
    difficulty = np.array([free[0], free[1], -free[0] - free[1]])
    mean = free[2:4][school] + free[6] * (frame["age"] - frame["age"].mean()).to_numpy()
    theta = mean[:, None] + np.exp(free[4:6])[school][:, None] * NODES
    right = frame[["i0", "i1", "i2"]].to_numpy()[:, None, :]
    logit = theta[:, :, None] - difficulty
    return logsumexp(np.log(expit(np.where(right, logit, -logit))).sum(axis=2) + LOG_WEIGHTS, axis=1)


def differences(function, at: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Central differences, the parameter on the last axis."""
    moves = np.eye(len(at)) * step
    return np.stack([(function(at + move) - function(at - move)) / (2 * step) for move in moves], axis=-1)


def free_of(fit: ps.Fit) -> np.ndarray:
    known = fit.parameters
    parts = known["item"][:2], known["population_mean"], np.log(known["population_sd"]), known["covariate_weight"]
    return np.concatenate([np.ravel(part) for part in parts])


def reported(fit: ps.Fit) -> np.ndarray:
    """Errors of the same, those of the sds on their log."""
    error = fit.standard_errors
    sds = error["population_sd"] / fit.parameters["population_sd"]
    return np.concatenate([error["item"][:2], error["population_mean"], sds, np.ravel(error["covariate_weight"])])


@pytest.fixture(scope="module")
def world() -> tuple[pd.DataFrame, ps.ResponseTable, ps.Fit]:
    frame = wide(3)
    table = table_of(frame)
    return frame, table, ps.fit(MODEL, table)


@pytest.mark.parametrize("cluster", ["subject", "room"])
def test_errors_equal_a_brute_force_sandwich(world, cluster: str) -> None:
    frame, table, fit = world
    free = free_of(fit)
    scores = differences(lambda at: log_likelihoods(frame, at), free)
    hessian = differences(lambda at: differences(lambda x: log_likelihoods(frame, x).sum(), at), free)
    if cluster == "room":
        scores = pd.DataFrame(scores).groupby(frame["room"]).sum().to_numpy()
    bread, n = np.linalg.inv(-hessian), len(scores)
    expected = np.sqrt(np.diag(bread @ scores.T @ scores @ bread) * n / (n - 1))
    found = ps.robust_errors(fit, table, cluster=cluster)
    np.testing.assert_allclose(reported(found), expected, rtol=EXACT)
    assert found.standard_errors["item"][2] > 0
    assert any(f"{n} clusters of {cluster!r}" in note for note in found.notes)


@pytest.mark.thorough
def test_copies_of_subjects_count_once(world) -> None:
    frame, table, fit = world
    copies = pd.concat(
        [frame.assign(room=frame["pupil"]), frame.assign(room=frame["pupil"], pupil=frame["pupil"] + 1000)]
    )
    twice = table_of(copies.reset_index(drop=True))
    double = ps.fit(MODEL, twice)
    np.testing.assert_allclose(reported(double) * np.sqrt(2), reported(fit), rtol=1e-4)
    np.testing.assert_allclose(
        reported(ps.robust_errors(double, twice, cluster="room")), reported(ps.robust_errors(fit, table)), rtol=1e-4
    )


@pytest.mark.thorough
def test_a_population_that_is_known_keeps_its_zero_error(world) -> None:
    _, table, _ = world
    fit = ps.fit(ps.TwoPL(population=ps.Population(groups="school")), table, engine=ps.MAP())
    found = ps.robust_errors(fit, table)
    for name in ("population_mean", "population_sd"):
        assert found.standard_errors[name][0] == 0
        assert found.standard_errors[name][1] > 0


def test_groups_as_clusters_say_nothing_of_their_own(world) -> None:
    _, table, fit = world
    found = ps.robust_errors(fit, table, cluster="school")
    assert np.isnan(found.standard_errors["population_mean"]).all()
    assert np.isnan(found.standard_errors["population_sd"]).all()


def test_clusters_that_cross_subjects_are_refused(world) -> None:
    _, table, fit = world
    with pytest.raises(DesignError, match=r"cluster='day'\): 80 of 80 subjects have responses in several clusters"):
        ps.robust_errors(fit, table, cluster="day")


@pytest.mark.slow
def test_errors_by_room_equal_a_bootstrap_of_rooms() -> None:
    """The sd of 300 draws has a relative error of 1/√600, of which four; and a bootstrap of 80 rooms is off by 1/80.

    Means stand at the mean age of their own sample and move with it, which the errors of one sample do not hold.
    """
    frame, rooms, size = wide(5, 400), 80, 300
    table = table_of(frame)
    robust = reported(ps.robust_errors(ps.fit(MODEL, table), table, cluster="room"))
    rng, draws = np.random.default_rng(1), []
    members = [frame[frame["room"] == room] for room in range(rooms)]
    for _ in range(size):
        again = pd.concat([members[room] for room in rng.integers(0, rooms, rooms)])
        draws.append(free_of(ps.fit(MODEL, table_of(again.assign(pupil=range(len(again)))))))
    ratio = robust / np.std(draws, axis=0, ddof=1)
    np.testing.assert_allclose(ratio[[0, 1, 4, 5, 6]], 1, atol=4 / np.sqrt(2 * size) + 2 / rooms)
