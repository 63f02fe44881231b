"""Fits of mixtures of judges against one class, a direct search, finite differences, and the truth."""

from __future__ import annotations

import dataclasses

import mixed_judges
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.mixtures import permuted, unswitched
from psymetric.models.space import parameter_space

N_JUDGES, N_EACH = 40, 50
N_WORTH = len(mixed_judges.ITEMS) - 1


@pytest.fixture(scope="module")
def drawn() -> tuple[ps.PairTable, np.ndarray]:
    frame, kind = mixed_judges.draw(N_JUDGES, N_EACH, seed=1)
    return mixed_judges.as_table(frame), kind


@pytest.fixture(scope="module")
def table(drawn) -> ps.PairTable:
    return drawn[0]


@pytest.fixture(scope="module")
def fit(table) -> ps.Fit:
    return ps.fit(mixed_judges.MODEL, table)


@pytest.fixture(scope="module")
def one_class(table) -> ps.Fit:
    return ps.fit(ps.JudgeMixture(mixed_judges.WITHIN, classes=1), table)


def unpacked(point: np.ndarray) -> dict[str, np.ndarray]:
    """Worths but the last, position and tie of each class, and the log-odds of class 1."""
    by_class = point[:-1].reshape(2, N_WORTH + 2)
    first = 1 / (1 + np.exp(-point[-1]))
    worth = by_class[:, :N_WORTH].T
    return {
        "worth": np.vstack([worth, -worth.sum(axis=0)]),
        "position": by_class[:, N_WORTH],
        "tie": by_class[:, N_WORTH + 1],
        "share": np.array([first, 1 - first]),
    }


def packed(values) -> np.ndarray:
    odds = np.log(values["share"][0] / values["share"][1])
    rows = [[*values["worth"][:-1, k], values["position"][k], values["tie"][k]] for k in range(2)]
    return np.append(np.ravel(rows), odds)


def naive(point: np.ndarray, table: ps.PairTable) -> float:
    return mixed_judges.log_likelihood(table, **unpacked(point))


def test_one_class_is_the_model_within_classes(table, one_class) -> None:
    plain = ps.fit(mixed_judges.WITHIN, table)
    assert one_class.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-9)
    assert one_class.n_parameters == plain.n_parameters
    for name, value in plain.parameters.items():
        np.testing.assert_allclose(one_class.parameters[name][..., 0], value, atol=1e-8)
        # The Hessian may be that of a point a millilogit away.
        np.testing.assert_allclose(one_class.standard_errors[name][..., 0], plain.standard_errors[name], rtol=1e-5)
    assert one_class.notes == plain.notes


def test_maximum_is_that_of_a_direct_search(table, fit) -> None:
    """L-BFGS with numerical derivatives on the likelihood written out, from the truth."""
    truth = packed({name: getattr(mixed_judges, name.upper()) for name in ("worth", "position", "tie", "share")})
    found = minimize(lambda point: -naive(point, table), truth, method="L-BFGS-B", options={"ftol": 1e-13})
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-4)
    assert fit.log_likelihood == pytest.approx(naive(packed(fit.parameters), table), abs=1e-8)
    # Numerical derivatives leave the search about √1e-5 standard errors away.
    for name, value in unpacked(found.x).items():
        np.testing.assert_allclose(fit.parameters[name], value, atol=3e-3)


def test_standard_errors_are_those_of_the_numerical_hessian(table, fit) -> None:
    top, n, step = packed(fit.parameters), 2 * (N_WORTH + 2) + 1, 1e-3
    hessian, moves = np.zeros((n, n)), step * np.eye(n)
    for i in range(n):
        for j in range(i + 1):
            corners = [si * sj * naive(top + si * moves[i] + sj * moves[j], table) for si in (1, -1) for sj in (1, -1)]
            hessian[i, j] = hessian[j, i] = sum(corners) / (4 * step**2)
    covariance = np.linalg.inv(-hessian)
    errors = np.sqrt(np.diag(covariance))
    expected = errors[:-1].reshape(2, N_WORTH + 2)
    # Differences of second order over a step of a millilogit err by about 1e-6 of the curvature.
    np.testing.assert_allclose(fit.standard_errors["worth"][:-1].T, expected[:, :N_WORTH], rtol=1e-4)
    np.testing.assert_allclose(fit.standard_errors["position"], expected[:, N_WORTH], rtol=1e-4)
    np.testing.assert_allclose(fit.standard_errors["tie"], expected[:, N_WORTH + 1], rtol=1e-4)
    first, second = fit.parameters["share"]
    np.testing.assert_allclose(fit.standard_errors["share"], errors[-1] * first * second, rtol=1e-4)


def test_truth_lies_within_the_joint_uncertainty(drawn, fit) -> None:
    """Forty judges of fifty comparisons: the distance from the truth in the fit's own covariance is chi-square."""
    assert np.array_equal(np.sort(np.bincount(drawn[1]))[::-1], np.bincount(drawn[1])), "class 1 is the larger one"
    names = ("share", "worth", "position", "tie")
    apart = np.concatenate([(fit.parameters[name] - getattr(mixed_judges, name.upper())).ravel() for name in names])
    root = np.concatenate([fit.factors[name].reshape(-1, fit.n_parameters) for name in names])
    distance = apart @ np.linalg.pinv(root @ root.T, rcond=1e-9) @ apart
    assert chi2.ppf(1e-4, fit.n_parameters) < distance < chi2.ppf(1 - 1e-4, fit.n_parameters)


def test_every_class_has_its_rows_and_the_largest_is_the_first(fit) -> None:
    frame = fit.estimates("item")
    assert list(frame.columns) == ["item", "class", "estimate", "se", "lower", "upper", "n", "note"]
    assert frame["class"].tolist() == [1, 2] * len(mixed_judges.ITEMS)
    np.testing.assert_array_equal(frame["estimate"].to_numpy().reshape(-1, 2), fit.parameters["worth"])
    shares = fit.estimates("class")
    assert shares["level"].tolist() == [1, 2]
    assert shares["estimate"].is_monotonic_decreasing
    assert ((shares["lower"] > 0) & (shares["upper"] < 1)).all()
    np.testing.assert_allclose(fit.parameters["worth"].sum(axis=0), 0, atol=1e-12)
    assert fit.estimates("tie")["level"].tolist() == [1, 2]
    assert "2 classes" in fit.summary()


def test_it_says_how_many_starts_reached_the_best(fit, table) -> None:
    details = fit.status.details
    assert details["starts"] == 20
    assert 1 <= details["starts_at_best"] < 20
    assert details["spread_of_maxima"] > 10
    assert f"{details['starts_at_best']:.0f} of 20 EM runs reached the best" in fit.summary()
    other = ps.fit(mixed_judges.MODEL, table, engine=ps.JointML(seed=5))
    assert other.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(other.parameters["worth"], fit.parameters["worth"], atol=1e-5)
    with pytest.raises(DesignError, match=r"JointML\(starts=3\) is for JudgeMixture\(\), whose likelihood has several"):
        ps.fit(mixed_judges.WITHIN, table, engine=ps.JointML(starts=3))
    with pytest.raises(DataError, match=r"JointML\(starts=0\) must be a whole number of climbs, 1 or more"):
        ps.JointML(starts=0)


def test_it_survives_saving(fit, tmp_path) -> None:
    loaded = ps.Fit.load(fit.save(tmp_path / "fit.npz"))
    assert loaded.model == fit.model
    assert loaded.summary() == fit.summary()
    pd.testing.assert_frame_equal(loaded.estimates("item"), fit.estimates("item"))


def test_map_is_the_mode_of_the_documented_priors(table) -> None:
    found = ps.fit(mixed_judges.MODEL, table, engine=ps.MAP())

    def log_density(point: np.ndarray) -> float:
        values = unpacked(point)
        odds = np.log(values["share"]) - np.log(values["share"]).mean()
        squares = sum((values[name] ** 2).sum() for name in ("worth", "position", "tie"))
        return naive(point, table) - 0.5 * squares / 2.0**2 - 0.5 * (odds**2).sum() / 1.5**2

    top, step = packed(found.parameters), 1e-4
    gradient = [(log_density(top + move) - log_density(top - move)) / (2 * step) for move in step * np.eye(len(top))]
    np.testing.assert_allclose(gradient, 0, atol=2e-4)
    assert found.penalised
    assert np.isnan(found.aic)


def test_a_class_that_leaves_items_only_winning_is_named() -> None:
    """Three of the judges let 'a' win always, which a class of theirs alone would have at infinity."""
    frame = mixed_judges.draw(N_JUDGES, N_EACH, seed=6, share=np.array([1.0, 0.0]))[0]
    devoted = frame["judge"].isin(["j00", "j01", "j02"])
    for_a = [frame["left"] == "a", frame["right"] == "a", frame["left"] < frame["right"]]
    frame.loc[devoted, "winner"] = np.select(for_a, ["left", "right", "right"], "left")[devoted]
    table = mixed_judges.as_table(frame)
    with pytest.raises(IdentificationError, match=r"class 2 of 2 holds 3 judges \(\['j00', 'j01', 'j02'\]\), whose"):
        ps.fit(mixed_judges.MODEL, table)
    with pytest.raises(IdentificationError, match=r"Use fewer classes than 2, or give them a prior: engine=MAP\(\)"):
        ps.fit(mixed_judges.MODEL, table)


def test_draws_are_put_into_the_order_of_the_mode(table) -> None:
    model = ps.JudgeMixture(mixed_judges.WITHIN, classes=3)
    rng = np.random.default_rng(8)
    with double_precision():
        space = parameter_space(model, table, ability="free")
        mode = rng.normal(0, 1, space.size)
        draws = mode + rng.normal(0, 0.05, (2, 50, space.size))
        order = np.array([rng.permutation(3) for _ in range(100)])
        shuffled = permuted(space, draws.reshape(100, -1), order)
        values = {name: np.asarray(value) for name, value in space.constrain(shuffled[7]).items()}
        for name, value in space.constrain(draws.reshape(100, -1)[7]).items():
            np.testing.assert_allclose(values[name], np.asarray(value)[..., order[7]], atol=1e-12)
    ordered, share = unswitched(space, shuffled.reshape(draws.shape), mode)
    np.testing.assert_allclose(ordered, draws, atol=1e-12)
    assert share == (order != np.arange(3)).any(axis=1).mean()
    same, none = unswitched(space, draws, mode)
    assert same is draws
    assert none == 0


def test_a_search_that_is_cut_short_says_so(table) -> None:
    found = ps.fit(mixed_judges.MODEL, table, engine=ps.JointML(max_iterations=0), throw=False)
    assert not found.status.converged
    assert np.isnan(found.standard_errors["worth"]).all()
    with pytest.raises(ps.errors.ConvergenceError, match="JointML did not converge"):
        ps.fit(mixed_judges.MODEL, table, engine=ps.JointML(max_iterations=0))


def test_errors_that_take_comparisons_as_independent_refuse(fit, table) -> None:
    with pytest.raises(DesignError, match=r"under JudgeMixture those of one judge hang together"):
        ps.robust_errors(fit, table, cluster="judge")
    with pytest.raises(DataError, match="report: a mixture of judges has no one order of the items"):
        ps.report(fit, table)


def test_a_judge_of_one_comparison_is_counted(table) -> None:
    weight = table.weight.copy()
    own = np.flatnonzero((table.codes["judge"] == 3) & (weight > 0))
    weight[own[1:]] = 0
    found = ps.fit(mixed_judges.MODEL, dataclasses.replace(table, weight=weight))
    assert any(note.startswith("1 of 40 levels of 'judge' made one comparison only") for note in found.notes)


@pytest.mark.slow
def test_nuts_agrees_with_the_mode(fit, table) -> None:
    draws = ps.fit(mixed_judges.MODEL, table, engine=ps.NUTS(warmup=300, draws=800, chains=2))
    for name, value in fit.parameters.items():
        assert np.all(np.abs(draws.parameters[name] - value) < 0.5 * fit.standard_errors[name]), name
        np.testing.assert_allclose(draws.standard_errors[name], fit.standard_errors[name], rtol=0.15)
    np.testing.assert_allclose(draws.draws["share"].sum(axis=-1), 1, atol=1e-9)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """95% intervals of all worths and of the shares in 200 simulated tables of one design."""
    covered = []
    for seed in range(200):
        fit = ps.fit(mixed_judges.MODEL, mixed_judges.as_table(mixed_judges.draw(N_JUDGES, N_EACH, seed=100 + seed)[0]))
        truth = {name: getattr(mixed_judges, name.upper()) for name in ("worth", "position", "tie", "share")}
        order = np.argsort([np.abs(fit.parameters["worth"][:, 0] - truth["worth"][:, k]).sum() for k in range(2)])
        inside = []
        for name, value in truth.items():
            lower, upper = fit.interval(name, 0.95)
            inside.append(((lower < value[..., order]) & (value[..., order] < upper)).ravel())
        covered.append(np.concatenate(inside))
    share = np.mean(covered, axis=1)
    # Intervals of one table hang together, so that the tables' own spread gives the Monte Carlo error.
    assert abs(share.mean() - 0.95) < 4 * share.std(ddof=1) / np.sqrt(len(share))


@pytest.mark.thorough
@pytest.mark.shared_data
def test_llmfao_has_two_kinds_of_voters(shared_data) -> None:
    path = shared_data / "llmfao" / "crowd-comparisons.csv"
    votes = ps.PairTable.read(path, left="left", right="right", outcome="winner", judge="worker")
    one = ps.fit(mixed_judges.WITHIN, votes)
    two, again = (ps.fit(mixed_judges.MODEL, votes, engine=ps.JointML(seed=seed)) for seed in (0, 1))
    # Counted when written: 684 units of log-likelihood for 61 parameters.
    assert two.log_likelihood > one.log_likelihood + 600
    assert again.log_likelihood == pytest.approx(two.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(again.parameters["worth"], two.parameters["worth"], atol=1e-4)
    assert two.status.details["starts_at_best"] > 10
    found = ps.class_membership(two, votes)
    assert found.entropy > 0.8
    # The larger class ties readily; the other seldom ties and favours the left side.
    assert two.parameters["tie"][0] > 0.5 > -0.5 > two.parameters["tie"][1]
    assert two.parameters["position"][1] > two.parameters["position"][0] + 0.2
