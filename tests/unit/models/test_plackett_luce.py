"""Plackett-Luce: a second likelihood by enumeration, recovery, errors by hand, and what it refuses."""

from __future__ import annotations

from itertools import combinations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.curvature import value_and_gradient
from psymetric.estimation.problems import joint_problem
from psymetric.models.plackett_luce import suffix_symmetric

ITEMS = [f"m{item}" for item in range(6)]
WORTH = np.array([0.9, 0.5, 0.2, -0.2, -0.5, -0.9])
TIES = ps.PlackettLuce(ties="davidson-luce")


def by_enumeration(ranks: dict[str, float | None], worth: dict[str, float], log_delta: dict[int, float]) -> float:
    """Log-probability of one ranking, set by set, as the paper writes it; None is shown and not ranked."""

    def weight(chosen: tuple[str, ...]) -> float:
        return np.exp(log_delta[len(chosen)]) * np.exp(sum(worth[item] for item in chosen)) ** (1 / len(chosen))

    total, left = 0.0, set(ranks)
    for place in sorted({rank for rank in ranks.values() if rank is not None}):
        if len(left) == 1:
            break
        chosen = tuple(item for item in left if ranks[item] == place)
        sizes = [size for size in log_delta if size <= len(left)]
        every = sum(weight(some) for size in sizes for some in combinations(sorted(left), size))
        total += np.log(weight(chosen) / every)
        left -= set(chosen)
    return total


def some_rankings(seed: int, *, n: int = 40) -> list[dict[str, float | None]]:
    """Rankings of two to six items with ties of up to three, and unranked items."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        size = rng.integers(2, 7)
        ranks = [None if rng.random() < 0.2 else int(rank) for rank in rng.integers(0, 5, size)]
        if all(rank is None for rank in ranks) or max(ranks.count(rank) for rank in range(5)) > 3:
            continue
        found.append(dict(zip(rng.permutation(ITEMS)[:size].tolist(), ranks, strict=True)))
    return found


def as_table(rankings: list[dict[str, float | None]]) -> ps.RankingTable:
    rows = [(task, item, rank) for task, ranks in enumerate(rankings) for item, rank in ranks.items()]
    return ps.RankingTable.from_frame(pd.DataFrame(rows, columns=["task", "item", "rank"]))


@pytest.fixture(scope="module")
def simulated() -> ps.RankingTable:
    """2,000 rankings of four out of six items by 50 judges."""
    return drawn(ps.PlackettLuce(), {"worth": WORTH}, n=2_000, seed=11)


def drawn(model: ps.PlackettLuce, parameters: dict, *, n: int, seed: int, n_judges: int = 50) -> ps.RankingTable:
    rng = np.random.default_rng(seed)
    items, judge = np.argsort(rng.random((n, 6)), axis=1)[:, :4], np.arange(n) % n_judges
    codes = {"item": jnp.asarray(items), "shown": jnp.ones(items.shape, bool), "judge": jnp.asarray(judge)}
    with double_precision():
        params = {name: jnp.asarray(value) for name, value in parameters.items()}
        place = model.simulate(params, codes, 0, seed=seed)
    frame = pd.DataFrame(
        {
            "task": np.repeat(np.arange(n), 4),
            "judge": np.repeat([f"j{j:02}" for j in judge], 4),
            "item": np.array(ITEMS)[items.ravel()],
            "rank": place.ravel(),
        }
    )
    return ps.RankingTable.from_frame(frame, judge="judge")


def test_symmetric_functions_are_sums_over_sets():
    weights = np.random.default_rng(0).gamma(1.0, size=(3, 7))
    with double_precision():
        found = np.asarray(suffix_symmetric(jnp.asarray(weights), 4))
    for row, start, degree in np.ndindex(3, 7, 4):
        sets = combinations(weights[row, start:], degree + 1)
        assert found[degree, row, start] == pytest.approx(sum(np.prod(some) for some in sets), rel=1e-13)


def test_likelihood_equals_enumeration():
    rankings = some_rankings(2)
    table, worth = as_table(rankings), dict(zip(ITEMS, WORTH, strict=True))
    log_delta = {1: 0.0, 2: -0.7, 3: 0.4}
    with double_precision():
        problem = joint_problem(TIES, table, prior=False)
        values = {"worth": WORTH, "tie": np.array([-0.7, 0.4])}
        found = float(problem.log_likelihood(jnp.asarray(problem.space.unconstrain(values))))
    expected = sum(by_enumeration(ranks, worth, log_delta) for ranks in rankings)
    assert {1, 2, 3} <= set(np.asarray(problem.response).ravel().tolist())
    # Sums of some hundred logs in another order.
    assert found == pytest.approx(expected, abs=1e-10)


def test_gradient_is_zero_at_the_maximum():
    table = as_table(some_rankings(2, n=120))
    fit = ps.fit(TIES, table)
    with double_precision():
        problem = joint_problem(TIES, table, prior=False)
        free = jnp.asarray(problem.space.unconstrain(fit.parameters))
        gradient = np.asarray(value_and_gradient(problem, free)[1])
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_rankings_of_two_are_comparisons(simulated):
    """Bradley-Terry with Davidson's ties, by another likelihood and another table."""
    rng = np.random.default_rng(4)
    rows = [(*rng.choice(ITEMS, 2, replace=False), rng.choice(["left", "right", "tie"])) for _ in range(300)]
    frame = pd.DataFrame(rows, columns=["left", "right", "outcome"])
    pairs = ps.PairTable.from_frame(frame, left="left", right="right", outcome="outcome")
    place = {"left": (1, 2), "right": (2, 1), "tie": (1, 1)}
    table = as_table([dict(zip((left, right), map(float, place[how]), strict=True)) for left, right, how in rows])
    expected, found = ps.fit(ps.BradleyTerry(ties="davidson"), pairs), ps.fit(TIES, table)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(found.parameters["worth"], expected.parameters["worth"], atol=1e-7)
    np.testing.assert_allclose(found.standard_errors["worth"], expected.standard_errors["worth"], atol=1e-6)
    np.testing.assert_allclose(found.parameters["tie"][0], expected.parameters["tie"], atol=1e-7)


def test_simulation_recovers(simulated):
    ties = drawn(TIES, {"worth": WORTH, "tie": np.array([-0.8, -1.5])}, n=2_000, seed=3)
    fit = ps.fit(TIES, ties)
    # Eight estimates and six: four standard errors are exceeded by chance once in a thousand such tests.
    assert np.all(np.abs(fit.parameters["worth"] - WORTH) < 4 * fit.standard_errors["worth"])
    assert np.all(np.abs(fit.parameters["tie"][:2] - [-0.8, -1.5]) < 4 * fit.standard_errors["tie"][:2])
    plain = ps.fit(ps.PlackettLuce(), simulated)
    assert np.all(np.abs(plain.parameters["worth"] - WORTH) < 4 * plain.standard_errors["worth"])


def test_slopes_of_judges_recover():
    model, slope = ps.PlackettLuce(slopes="judge"), np.exp(np.linspace(-0.8, 0.8, 5))
    table = drawn(model, {"worth": WORTH, "judge_slope": slope}, n=2_000, seed=6, n_judges=5)
    fit = ps.fit(model, table)
    away = (fit.parameters["judge_slope"] - slope) / fit.standard_errors["judge_slope"]
    assert np.all(np.abs(away) < 4)
    assert fit.estimates("judge_slope")["n"].tolist() == [400.0] * 5


def test_robust_errors_are_the_sandwich_by_hand(simulated):
    fit = ps.fit(ps.PlackettLuce(), simulated)
    found = simulated.rankings
    worth = fit.parameters["worth"]
    slope, information = np.zeros((len(found.item), 6)), np.zeros((6, 6))
    row = np.arange(len(found.item))
    for place in range(3):
        left = found.item[:, place:]
        chance = np.exp(worth[left]) / np.exp(worth[left]).sum(axis=1, keepdims=True)
        expected = np.zeros((len(row), 6))
        np.put_along_axis(expected, left, chance, axis=1)
        slope -= expected
        slope[row, left[:, 0]] += 1
        information += np.diag(expected.sum(axis=0)) - expected.T @ expected
    bread = np.linalg.pinv(information)
    # A fit's Hessian may be that of a point up to a millilogit away.
    np.testing.assert_allclose(np.sqrt(np.diag(bread)), fit.standard_errors["worth"], rtol=1e-4)
    for cluster, owner in ((None, row), ("judge", found.codes["judge"])):
        n_clusters = owner.max() + 1
        by_cluster = np.zeros((n_clusters, 6))
        np.add.at(by_cluster, owner, slope)
        meat = n_clusters / (n_clusters - 1) * by_cluster.T @ by_cluster
        expected = np.sqrt(np.diag(bread @ meat @ bread))
        robust = ps.robust_errors(fit, simulated, cluster=cluster).standard_errors["worth"]
        np.testing.assert_allclose(robust, expected, rtol=1e-6)
    with pytest.raises(DataError, match=r"cluster='item'\) is not a column of the table: it has \['task', 'judge'\]"):
        ps.robust_errors(fit, simulated, cluster="item")


def test_bootstrap_of_rankings(simulated):
    fit = ps.fit(ps.PlackettLuce(), simulated)
    expected = ps.robust_errors(fit, simulated).standard_errors["worth"]
    found = ps.bootstrap(ps.PlackettLuce(), simulated, n=200)
    assert found.resample == "ranking"
    # The sd of 200 draws has a standard error of 5%; six of them.
    np.testing.assert_allclose(found.estimates("item")["se"], expected, rtol=0.2)
    assert ps.bootstrap(ps.PlackettLuce(), simulated, n=5, resample="judge").estimates("item")["se"].gt(0).all()
    with pytest.raises(DataError, match="neither 'parametric' nor a column of the table"):
        ps.bootstrap(ps.PlackettLuce(), simulated, n=5, resample="item")


def test_bootstrap_where_a_replicate_lacks_a_tie():
    """One ranking has the only tie of three: replicates without it have a tie parameter less."""
    twos = [ranks for ranks in some_rankings(2, n=60) if max([*ranks.values()].count(place) for place in range(5)) < 3]
    table = as_table([*twos, {"m0": 1.0, "m1": 1.0, "m2": 1.0}])
    found = ps.bootstrap(TIES, table, n=4, seed=1)
    lacking = np.isnan(found.draws["tie"][:, 1])
    assert 0 < lacking.sum() < 4
    assert np.isfinite(found.draws["tie"][:, 0]).all()


def test_posterior_agrees_with_its_normal_approximation(simulated):
    laplace = ps.fit(ps.PlackettLuce(), simulated, engine=ps.Laplace(draws=4_000))
    nuts = ps.fit(ps.PlackettLuce(), simulated, engine=ps.NUTS(warmup=300, draws=500, chains=2))
    mode = ps.fit(ps.PlackettLuce(), simulated, engine=ps.MAP())
    se = mode.standard_errors["worth"]
    # Means of about a thousand draws: 3% of an sd each; sds to some 3%. Four of these.
    np.testing.assert_allclose(nuts.parameters["worth"], laplace.parameters["worth"], atol=0.15 * se.max())
    np.testing.assert_allclose(nuts.standard_errors["worth"], se, rtol=0.12)
    np.testing.assert_allclose(laplace.standard_errors["worth"], se, rtol=0.06)
    best = ps.p_best(nuts)
    assert best["level"].iloc[0] == "m0"


def test_results_are_labelled(simulated):
    fit = ps.fit(ps.PlackettLuce(), simulated)
    assert fit.engine == "JointML"
    assert "2000 rankings; 6 items" in fit.summary()
    assert "50 judges" not in fit.summary()
    frame = fit.estimates("item")
    assert (frame["level"].tolist(), frame["n"].sum()) == (ITEMS, 8_000.0)
    assert ps.rank_intervals(fit)["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    loaded = ps.p_best(fit)
    assert loaded["p_best"].sum() == pytest.approx(1)


def test_a_tie_order_that_never_occurs_is_said():
    table = as_table([{"m0": 1, "m1": 1, "m2": 1}, {"m0": 1, "m1": 2, "m2": 3}, {"m2": 1, "m1": 2, "m0": 3}])
    fit = ps.fit(TIES, table)
    frame = fit.estimates("tie")
    assert frame["level"].tolist() == [2, 3]
    assert frame["note"].tolist() == ["ties of this size never occur", ""]
    assert np.isnan(frame["estimate"]).tolist() == [True, False]


def test_fit_survives_a_file(simulated, tmp_path):
    fit = ps.fit(ps.PlackettLuce(pseudo=0.5), simulated)
    again = ps.Fit.load(fit.save(tmp_path / "fit.npz"))
    assert again.model == fit.model
    np.testing.assert_array_equal(again.parameters["worth"], fit.parameters["worth"])


def test_pseudo_comparisons_are_a_prior():
    lost = as_table([{"m0": 1, "m1": 2}, {"m0": 1, "m1": 2}])
    with pytest.raises(IdentificationError, match=r"\['m0'\] always won; \['m1'\] always lost"):
        ps.fit(ps.PlackettLuce(), lost)
    fit = ps.fit(ps.PlackettLuce(pseudo=0.5), lost)
    assert (fit.engine, fit.penalised, "penalised" in fit.summary()) == ("MAP", True, True)
    # By symmetry the ghost lies between: two wins less those expected are what the ghost takes back, ½ tanh(u / 2).
    u = fit.parameters["worth"].max()
    assert 2 * (1 - 1 / (1 + np.exp(-2 * u))) == pytest.approx(0.5 * np.tanh(u / 2), abs=1e-8)
    assert fit.parameters["ghost"] == pytest.approx(0, abs=1e-8)
    both = as_table([{"m0": 1, "m1": 2}, {"m0": 2, "m1": 1}])
    with pytest.raises(
        DesignError, match=r"JointML maximises the likelihood alone, and PlackettLuce.* asks for a prior"
    ):
        ps.fit(ps.PlackettLuce(pseudo=0.5), both, engine=ps.JointML())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ties": "davidson"}, 'use None or "davidson-luce"'),
        ({"slopes": "item"}, 'use None or "judge"'),
        ({"prior_sd": 0}, r"PlackettLuce\(prior_sd=0\) must be a positive number"),
        ({"pseudo": -1}, "must be a positive number, such as 0.5, or None"),
    ],
)
def test_settings(settings: dict, message: str):
    with pytest.raises((DataError, DesignError), match=message):
        ps.PlackettLuce(**settings)


def test_tables_it_refuses():
    tied, plain = as_table([{"m0": 1, "m1": 1}, {"m0": 1, "m1": 2}]), as_table([{"m0": 1, "m1": 2}])
    with pytest.raises(DataError, match=r"1 of 2 rankings have ties, first task 0: use PlackettLuce\(ties="):
        ps.fit(ps.PlackettLuce(), tied)
    with pytest.raises(DataError, match="no items are tied, so that δ is zero"):
        ps.fit(TIES, plain)
    best = ps.RankingTable.best_worst(pd.DataFrame({"a": ["x"], "b": ["y"], "c": ["x"]}), shown=["a", "b"], best="c")
    with pytest.raises(DataError, match=r"needs rankings and the table holds best-worst choices: use BestWorst\(\)"):
        ps.fit(ps.PlackettLuce(), best)


def test_statistics_of_categories_do_not_apply(simulated):
    fit = ps.fit(ps.PlackettLuce(), simulated)
    with pytest.raises(DesignError, match="gives probability to whole rankings"):
        ps.fit_statistics(fit, simulated)
    with pytest.raises(DesignError, match="which are no categories"):
        fit.model.category_log_probs({}, {}, 2)
