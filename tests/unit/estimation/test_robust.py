"""Sandwich errors against brute force, against statsmodels, and on data whose dependence is known."""

from __future__ import annotations

import engine_cases
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import logsumexp

import psymetric as ps
from psymetric.errors import ConvergenceError, DataError, DesignError
from psymetric.estimation.robust import robust_errors

EXACT = 1e-5  # central differences of step 1e-4 in scores and curvature
N_TEMPLATES = 39
NODES = np.linspace(-9, 9, 301)
LOG_WEIGHTS = -(NODES**2) / 2 - logsumexp(-(NODES**2) / 2)


def ragged() -> pd.DataFrame:
    """The engines' world with gaps, weights and a template that crosses subjects."""
    rng = np.random.default_rng(5)
    frame = engine_cases.frame().assign(w=1.0)
    frame["template"] = [f"t{k}" for k in rng.integers(0, N_TEMPLATES, len(frame))]
    frame["w"] = rng.choice([1.0, 2.0], len(frame))
    return frame[rng.random(len(frame)) < 0.8].reset_index(drop=True)


def ragged_table(frame: pd.DataFrame) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(
        frame, response="rating", subject="subject", item="item", facets=("judge", "template"), weight="w"
    )


@pytest.fixture(scope="module")
def world():
    frame = ragged()
    table = ragged_table(frame)
    return frame, table, ps.fit(ps.ManyFacetRasch(), table)


def free_of(fit: ps.Fit) -> np.ndarray:
    """Item 1, judge 1, step 1, mean, sd: everything else follows from the centring."""
    params = fit.parameters
    return np.array(
        [
            params["item"][0],
            params["judge"][0],
            params["step"][0, 0],
            params["population_mean"],
            params["population_sd"],
        ]
    )


def rows_log_probs(frame: pd.DataFrame, free: np.ndarray) -> np.ndarray:
    """Log-probability of every response at every node, shape (rows, nodes, categories)."""
    item, judge, step, mean, sd = free
    location = np.where(frame["item"] == "i1", -item, item) - np.where(frame["judge"] == "j1", judge, -judge)
    eta = location[:, None] + mean + sd * NODES
    logits = np.stack([0 * eta, eta - step, 2 * eta], axis=2)
    return logits - logsumexp(logits, axis=2, keepdims=True)


def subject_log_likelihoods(frame: pd.DataFrame, free: np.ndarray) -> np.ndarray:
    chosen = np.take_along_axis(rows_log_probs(frame, free), frame["rating"].to_numpy()[:, None, None], axis=2)[..., 0]
    subject = pd.factorize(frame["subject"])[0]
    total = np.zeros((subject.max() + 1, len(NODES)))
    np.add.at(total, subject, frame["w"].to_numpy()[:, None] * chosen)
    return logsumexp(total + LOG_WEIGHTS, axis=1)


def differences(function, at: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Central differences, the parameter on the last axis."""
    moves = np.eye(len(at)) * step
    return np.stack([(function(at + move) - function(at - move)) / (2 * step) for move in moves], axis=-1)


def reported(fit: ps.Fit) -> np.ndarray:
    errors = fit.standard_errors
    return np.array(
        [
            errors["item"][0],
            errors["judge"][0],
            errors["step"][0, 0],
            errors["population_mean"],
            errors["population_sd"],
        ]
    )


def bread_of(frame: pd.DataFrame, free: np.ndarray) -> np.ndarray:
    def gradient(at: np.ndarray) -> np.ndarray:
        return differences(lambda x: subject_log_likelihoods(frame, x).sum(), at)

    return np.linalg.inv(-differences(gradient, free))


def test_subject_clusters_equal_a_brute_force_sandwich(world):
    frame, table, fit = world
    free = free_of(fit)
    scores = differences(lambda x: subject_log_likelihoods(frame, x), free)
    bread = bread_of(frame, free)
    expected = np.sqrt(np.diag(bread @ scores.T @ scores @ bread) * len(scores) / (len(scores) - 1))
    np.testing.assert_allclose(reported(robust_errors(fit, table)), expected, rtol=EXACT)


def test_crossing_clusters_equal_the_sum_over_pairs_of_responses(world):
    """Every pair of responses that shares a subject or a template, each part with its own small-sample factor."""
    frame, table, fit = world
    free = free_of(fit)
    subject, template = pd.factorize(frame["subject"])[0], pd.factorize(frame["template"])[0]
    chosen = frame["rating"].to_numpy()[:, None, None]

    def chosen_log_probs(at: np.ndarray) -> np.ndarray:
        return np.take_along_axis(rows_log_probs(frame, at), chosen, axis=2)[..., 0]

    weight = frame["w"].to_numpy()
    total = np.zeros((subject.max() + 1, len(NODES)))
    np.add.at(total, subject, weight[:, None] * chosen_log_probs(free))
    posterior = np.exp(total + LOG_WEIGHTS - logsumexp(total + LOG_WEIGHTS, axis=1, keepdims=True))
    slopes = differences(chosen_log_probs, free)
    scores = weight[:, None] * np.einsum("rnp,rn->rp", slopes, posterior[subject])
    meat = np.zeros((5, 5))
    both = subject * 100 + template
    for owner, sign in ((subject, 1), (template, 1), (both, -1)):
        n = len(np.unique(owner))
        meat += sign * scores.T @ (owner[:, None] == owner).astype(float) @ scores * n / (n - 1)
    bread = bread_of(frame, free)
    covariance = bread @ meat @ bread
    assert np.linalg.eigvalsh(covariance)[0] > 0
    found = robust_errors(fit, table, cluster="template")
    np.testing.assert_allclose(reported(found), np.sqrt(np.diag(covariance)), rtol=EXACT)
    assert any("clusters are few" in note for note in found.notes)


def test_duplicated_subjects_in_their_clusters_count_once():
    """Two copies of everybody: plain errors shrink by √2, errors by original are those of one copy."""
    frame = engine_cases.frame()
    copies = [frame.assign(subject=frame["subject"] + side, origin=frame["subject"]) for side in ("a", "b")]
    twice = ps.ResponseTable.from_frame(
        pd.concat(copies, ignore_index=True),
        response="rating",
        subject="subject",
        item="item",
        facets=("judge", "origin"),
    )
    once = engine_cases.table(frame)
    single, double = ps.fit(engine_cases.MODEL, once), ps.fit(engine_cases.MODEL, twice)
    np.testing.assert_allclose(reported(double) * np.sqrt(2), reported(single), rtol=1e-6)
    clustered = robust_errors(double, twice, cluster="origin")
    np.testing.assert_allclose(reported(clustered), reported(robust_errors(single, once)), rtol=1e-6)


def joint_problem_by_hand(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dichotomous responses as logistic regression with a dummy for every subject and sum-coded facets."""
    subject = pd.get_dummies(frame["subject"], dtype=float).to_numpy()
    item = np.where(frame["item"] == "i1", -1.0, 1.0)
    judge = np.where(frame["judge"] == "j1", -1.0, 1.0)
    return np.column_stack([subject, item, judge]), frame["rating"].to_numpy(), pd.factorize(frame["subject"])[0]


def test_joint_errors_equal_clustered_logistic_regression_with_subject_dummies():
    frame = engine_cases.frame()
    frame["rating"] = (frame["rating"] > 0).astype(int)
    # Statsmodels has no way with extreme scores: leave them out, and keep them for psymetric, which sets them aside.
    share = frame.groupby("subject")["rating"].transform("mean")
    inside = frame[(share > 0) & (share < 1)]
    table = engine_cases.table(frame)
    fit = ps.fit(engine_cases.MODEL, table, engine=ps.JointML())
    design, response, owner = joint_problem_by_hand(inside)
    n = len(np.unique(owner))
    theirs = sm.GLM(response, design, family=sm.families.Binomial()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": owner, "use_correction": False}
    )
    ours = robust_errors(fit, table)
    np.testing.assert_allclose(fit.parameters["item"][0], theirs.params[-2], rtol=1e-6)
    expected = theirs.bse[-2:] * np.sqrt(n / (n - 1))
    found = [ours.standard_errors["item"][0], ours.standard_errors["judge"][0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    extreme = np.array(fit.extremes["subject"]) != ""
    assert extreme.any()
    np.testing.assert_array_equal(ours.standard_errors["ability"][extreme], fit.standard_errors["ability"][extreme])
    by_judge = robust_errors(fit, table, cluster="judge")
    assert np.isnan(by_judge.standard_errors["judge"]).all()
    assert np.isfinite(by_judge.standard_errors["item"]).all()


ITEMS = np.array([0.8, 0.2, -0.3, -0.7])
PAIRS = [(a, b) for a in range(4) for b in range(a + 1, 4)]


def votes(rng: np.random.Generator, *, judges: int, copies: int) -> ps.PairTable:
    """Every judge compares every pair once, and says the same `copies` times over."""
    rows = pd.DataFrame(
        [(f"j{judge}", a, b, side) for judge in range(judges) for a, b in PAIRS for side in (0, 1)],
        columns=["judge", "a", "b", "side"],
    )
    chance = 1 / (1 + np.exp(ITEMS[rows["b"]] - ITEMS[rows["a"]]))
    won = np.repeat(rng.random(len(rows) // 2) < chance[::2], 2)
    rows["w"] = copies * (won == (rows["side"] == 0)).astype(float)
    rows = rows.assign(
        outcome=np.where(rows["side"] == 0, "left", "right"),
        a="m" + rows["a"].astype(str),
        b="m" + rows["b"].astype(str),
    )
    return ps.PairTable.from_frame(rows, left="a", right="b", outcome="outcome", judge="judge", weight="w")


@pytest.mark.parametrize("position", [False, True])
def test_bradley_terry_equals_clustered_logistic_regression(position):
    table = votes(np.random.default_rng(2), judges=25, copies=1)
    model = ps.BradleyTerry(position=position)
    fit = ps.fit(model, table)
    used = table.weight > 0
    left, right = table.codes["left"][used], table.codes["right"][used]
    design = np.eye(4)[left] - np.eye(4)[right]
    design = np.column_stack([design[:, :3], np.ones(len(left))] if position else [design[:, :3]])
    response = (table.response[used] == 0).astype(float)
    # From worths relative to the last item to centred ones.
    centre = np.zeros((4, design.shape[1]))
    centre[:, :3] = np.vstack([np.eye(3), np.zeros(3)]) - 1 / 4
    for cluster, kind, words, n in (
        ("judge", "cluster", {"cov_kwds": {"groups": table.codes["judge"][used], "use_correction": False}}, 25),
        (None, "HC0", {}, int(used.sum())),
    ):
        theirs = sm.Logit(response, design).fit(disp=0, tol=1e-12, cov_type=kind, **words)
        expected = np.sqrt(np.diag(centre @ theirs.cov_params() @ centre.T) * n / (n - 1))
        ours = robust_errors(fit, table, cluster=cluster)
        np.testing.assert_allclose(ours.standard_errors["worth"], expected, rtol=1e-6)
        if position:
            np.testing.assert_allclose(
                ours.standard_errors["position"], theirs.bse[-1] * np.sqrt(n / (n - 1)), rtol=1e-6
            )
        assert set(ours.covariances) == set(fit.covariances)


def test_repeated_votes_get_honest_errors():
    """Judges who repeat themselves three times: the estimates' spread is √3 times what plain errors say."""
    rng, n = np.random.default_rng(8), 150
    estimates, plain, robust = np.empty((n, 4)), np.empty((n, 4)), np.empty((n, 4))
    for k in range(n):
        table = votes(rng, judges=60, copies=3)
        fit = ps.fit(ps.BradleyTerry(), table)
        estimates[k], plain[k] = fit.parameters["worth"], fit.standard_errors["worth"]
        robust[k] = robust_errors(fit, table, cluster="judge").standard_errors["worth"]
    spread = estimates.std(axis=0, ddof=1)
    # The sd of n draws has a relative standard error of 1/√(2n); four of them.
    band = 4 / np.sqrt(2 * n)
    np.testing.assert_allclose(np.sqrt((robust**2).mean(axis=0)) / spread, 1, atol=band)
    np.testing.assert_allclose(plain.mean(axis=0) / spread, 1 / np.sqrt(3), atol=band / np.sqrt(3))


def test_held_population_sd_keeps_no_error():
    frame = engine_cases.frame()
    frame["rating"] = (frame.index + frame.index // 4) % 3
    table = engine_cases.table(frame)
    fit = ps.fit(engine_cases.MODEL, table)
    assert np.isnan(fit.standard_errors["population_sd"])
    robust = robust_errors(fit, table)
    assert np.isnan(robust.standard_errors["population_sd"])
    assert np.isfinite(robust.standard_errors["item"]).all()


def test_refusals(world):
    frame, table, fit = world
    with pytest.raises(DesignError, match="each of which has a location of its own"):
        robust_errors(fit, table, cluster="judge")
    with pytest.raises(DataError, match=r"cluster='rater'\) is not a column of the table: it has"):
        robust_errors(fit, table, cluster="rater")
    with pytest.raises(DataError, match="the fit is of another table"):
        robust_errors(fit, ragged_table(frame.iloc[:-1]))
    one, few = ragged_table(frame.assign(template="t")), ragged_table(frame.assign(template=frame.index % 4))
    with pytest.raises(DataError, match="1 cluster shows no spread"):
        robust_errors(ps.fit(ps.ManyFacetRasch(), one), one, cluster="template")
    with pytest.raises(DataError, match="4 clusters that cross subjects are too few for 5 parameters"):
        robust_errors(ps.fit(ps.ManyFacetRasch(), few), few, cluster="template")
    with pytest.raises(DataError, match="needs a maximum and Laplace gives draws"):
        robust_errors(ps.fit(ps.ManyFacetRasch(), table, engine=ps.Laplace(draws=10)), table)
    with pytest.raises(ConvergenceError, match="did not converge"):
        robust_errors(ps.fit(ps.ManyFacetRasch(), table, engine=ps.MarginalML(max_iterations=1), throw=False), table)
    random = ps.ManyFacetRasch(random=("judge",))
    with pytest.raises(DesignError, match="random facet 'judge' ties all subjects together"):
        robust_errors(ps.fit(random, table), table)
