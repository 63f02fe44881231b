"""Components of residuals against numpy, the simulated band against an independent simulation, planted dimensions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rated_world import extreme_subjects, naive_posterior, naive_probabilities, naive_steps, rated_table

import psymetric as ps
from psymetric.errors import DataError

NAIVE = 1e-6  # the posterior means of the two grids
DIFFICULTY = np.array([-1.2, -0.6, -0.2, 0.2, 0.6, 1.2])


def naive_correlations(fit, table, facet: str) -> pd.DataFrame:
    """Pairwise correlations of Σ(x − E)/√ΣV at the posterior means, from the definition of the model."""
    value = {name: dict(fit.estimates(name)[["level", "estimate"]].to_numpy()) for name in ("item", "judge")}
    frame, steps, score = table.to_frame(), naive_steps(fit), np.arange(4)
    means = {subject: np.dot(*naive_posterior(fit, table, subject)) for subject in table.levels["subject"]}
    parts = []
    for row in frame.itertuples():
        p = naive_probabilities(means[row.subject], value["item"][row.item] + value["judge"][row.judge], steps)
        parts.append((fit.categories.index(row.response) - p @ score, p @ score**2 - (p @ score) ** 2))
    frame[["residual", "variance"]] = parts
    sums = frame.groupby(["subject", facet])[["residual", "variance"]].sum()
    return (sums["residual"] / np.sqrt(sums["variance"])).unstack(facet).corr()


@pytest.mark.parametrize("facet", ["item", "judge"])
def test_eigenvalues_and_loadings(marginal, table, facet):
    found = ps.residual_components(marginal, table, facet=facet, simulations=0)
    matrix = naive_correlations(marginal, table, facet).to_numpy()
    values, vectors = np.linalg.eigh(matrix)
    np.testing.assert_allclose(found.eigenvalues["eigenvalue"], values[::-1], atol=NAIVE)
    loadings = found.loadings[["contrast_1", "contrast_2", "contrast_3"]].to_numpy()
    np.testing.assert_allclose(loadings @ loadings.T, matrix, atol=10 * NAIVE)
    first = np.abs(vectors[:, -1]) * np.sqrt(values[-1])
    np.testing.assert_allclose(np.abs(loadings[:, 0]), first, atol=10 * NAIVE)
    assert found.loadings["level"].tolist() == list(table.levels[facet])
    assert (loadings.max(axis=0) >= -loadings.min(axis=0)).all()
    assert found.eigenvalues["simulated_upper"].isna().all()
    assert found.n_beyond_chance == 0
    assert "without simulations there is no band, and no eigenvalue can be called large" in found.notes


def answers(right: np.ndarray) -> ps.ResponseTable:
    long = pd.DataFrame(right.astype(int)).rename_axis("person").reset_index().melt("person", var_name="item")
    return ps.ResponseTable.from_frame(long, response="value", subject="person", item="item")


def drawn(rng: np.random.Generator, second: float = 0.0) -> np.ndarray:
    """Right or wrong on six items; `second` is the sd of an ability that only the last three need."""
    theta = rng.normal(0.2, 1.1, 300)[:, None] + np.outer(rng.normal(0, second, 300), np.arange(6) > 2)
    return rng.random(theta.shape) < 1 / (1 + np.exp(DIFFICULTY - theta))


@pytest.fixture(scope="module")
def known():
    """A Rasch fit with known parameters."""
    table = answers(drawn(np.random.default_rng(5)))
    fit = ps.fit(ps.Rasch(), table)
    truth = {"item": DIFFICULTY, "population_mean": np.array(0.2), "population_sd": np.array(1.1)}
    return replace(fit, parameters={**fit.parameters, **truth}), table


def test_band_against_an_independent_simulation(known):
    """The same eigenvalues simulated with numpy alone, abilities as posterior means on a grid."""
    fit, table = known
    found, size = ps.residual_components(fit, table, simulations=60, seed=1), 60
    rng, grid = np.random.default_rng(2), 0.2 + 1.1 * np.linspace(-6, 6, 121)
    log_p = -np.log1p(np.exp(np.array([1, -1])[:, None, None] * (grid - DIFFICULTY[:, None])))
    values = []
    for _ in range(size):
        right = drawn(rng)
        log_density = right @ log_p[1] + ~right @ log_p[0] - 0.5 * ((grid - 0.2) / 1.1) ** 2
        weight = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        theta = (weight @ grid) / weight.sum(axis=1)
        p = 1 / (1 + np.exp(DIFFICULTY - theta[:, None]))
        values.append(np.linalg.eigvalsh(np.corrcoef((right - p) / np.sqrt(p * (1 - p)), rowvar=False))[::-1])
    spread = np.std(values, axis=0, ddof=1)
    difference = found.eigenvalues["simulated_mean"] - np.mean(values, axis=0)
    assert (np.abs(difference) < 4 * spread * np.sqrt(2 / size)).all()


def test_one_dimension_is_within_the_band_and_a_second_is_not(known):
    fit, table = known
    assert ps.residual_components(fit, table, simulations=60).n_beyond_chance == 0
    two = answers(drawn(np.random.default_rng(9), second=1.5))
    found = ps.residual_components(fit, two, simulations=60)
    assert found.n_beyond_chance == 1
    assert found.eigenvalues["flag"][0] == "beyond chance: larger than in 0.95 of simulated tables"
    assert (found.eigenvalues["flag"][1:] == "").all()
    sides = np.sign(found.loadings["contrast_1"])
    assert (sides[:3] == -sides[3:].to_numpy()).all()


def test_seed_settles_the_band(known):
    fit, table = known
    first, again, other = (
        ps.residual_components(fit, table, simulations=5, seed=seed).eigenvalues["simulated_upper"]
        for seed in (1, 1, 2)
    )
    pd.testing.assert_series_equal(first, again)
    assert not np.allclose(first, other)


def test_joint_fits(joint, table):
    found = ps.residual_components(joint, table, facet="judge", simulations=10)
    assert found.n_subjects <= len(table.levels["subject"]) - len(extreme_subjects(joint))
    assert found.eigenvalues["eigenvalue"].sum() == pytest.approx(3.0)
    assert found.eigenvalues["simulated_mean"].sum() == pytest.approx(3.0)


def test_pairs_without_common_subjects_count_as_zero(known):
    fit, table = known
    frame = table.to_frame()
    apart = ~((frame["item"] == 0) & (frame["subject"] < 150)) & ~((frame["item"] == 1) & (frame["subject"] >= 150))
    part = ps.ResponseTable.from_frame(frame[apart], response="response", subject="subject", item="item")
    found = ps.residual_components(fit, part, simulations=3)
    assert found.unknown_pairs == 1
    assert found.notes[0].startswith("1 pairs of levels share fewer than 4 subjects")


def test_refusals(marginal, table, frame, pairs, worths):
    with pytest.raises(DataError, match="residual_components: BradleyTerry has no subjects"):
        ps.residual_components(worths, pairs)
    with pytest.raises(DataError, match="facet 'item' has 2 levels, and components need 3"):
        ps.residual_components(marginal, rated_table(frame[frame["item"] != "i1"]))
    with pytest.raises(DataError, match="n_contrasts=0 must be 1 or more"):
        ps.residual_components(marginal, table, n_contrasts=0)
    with pytest.raises(DataError, match="quantile=95 is not between 0 and 1"):
        ps.residual_components(marginal, table, quantile=95)
    with pytest.raises(DataError, match=r"simulations need whole-number weights: pass simulations=0"):
        ps.residual_components(marginal, rated_table(frame.assign(n=0.5), weight="n"))
    one = pd.concat([frame[frame["text"] == "top"].assign(text=f"c{k}") for k in range(5)])
    with pytest.raises(DataError, match="residuals of item 'i1' do not vary"):
        ps.residual_components(marginal, rated_table(one))
    alone = pd.concat([frame[(frame["text"] == f"s{k}") & (frame["item"] == f"i{k % 3 + 1}")] for k in range(20)])
    with pytest.raises(DataError, match=r"3 of 3 pairs of levels of 'item' share fewer than 4 subjects"):
        ps.residual_components(marginal, rated_table(alone))


def test_too_many_levels(marginal, table, monkeypatch):
    monkeypatch.setattr("psymetric.diagnostics.components._MOST_LEVELS", 2)
    with pytest.raises(DataError, match="facet 'item' has 3 levels, too many for a matrix of correlations"):
        ps.residual_components(marginal, table)
