"""Dependence of judges given the truth: its score by finite differences, its error rate, and what it finds."""

from __future__ import annotations

import label_likelihoods
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError, DesignError


def _correlated(n: int, *, seed: int, shared: float) -> pd.DataFrame:
    """Judges 0 and 1 of one family, 2 to 4 alone; right in 80% of what their family sees."""
    rng, families = np.random.default_rng(seed), np.array([0, 0, 1, 2, 3])
    truth = rng.integers(0, 2, n)
    wrong = rng.random((n, 4)) < np.array([shared, 0, 0, 0])
    seen = np.where(wrong, 1 - truth[:, None], truth[:, None])[:, families]
    label = np.where(rng.random((n, 5)) < 0.8, seen, 1 - seen)
    subject, judge = np.nonzero(np.ones_like(label))
    return pd.DataFrame({"subject": subject, "judge": judge, "family": families[judge], "label": label[subject, judge]})


def test_score_is_the_derivative_of_the_likelihood_with_dependence() -> None:
    """Of log-likelihoods in which a pair has P(x, y | truth) ∝ θ θ exp(δ[x = y]), by central differences."""
    frame = label_likelihoods.label_frame(80, n_categories=2, seed=2, kept=1.0)
    table = label_likelihoods.label_table(frame)
    fit = ps.fit(ps.DawidSkene(), table, engine=ps.MAP())
    share, confusion = fit.parameters["prevalence"], fit.parameters["confusion"]
    wide = frame.pivot(index="subject", columns="judge", values="label").to_numpy()

    def log_likelihood(delta: float) -> float:
        joint = np.tile(np.log(share), (len(wide), 1))
        for judge in range(5):
            joint += np.log(confusion[judge][:, wide[:, judge]]).T
        agree = np.einsum("mx,mx->m", confusion[1], confusion[3])
        # What the factor makes of the pair's probabilities, normalised under each truth.
        joint += np.where((wide[:, 1] == wide[:, 3])[:, None], delta, 0.0) - np.log1p(agree * np.expm1(delta))
        return float(np.logaddexp.reduce(joint, axis=1).sum())

    slope = (log_likelihood(1e-4) - log_likelihood(-1e-4)) / 2e-4
    found = ps.judge_dependence(fit, table).frame
    row = found[(found["first"] == 1) & (found["second"] == 3)].iloc[0]
    assert (row["agreement"] - row["expected"]) * row["n"] == pytest.approx(slope, abs=1e-5)


def test_a_family_is_found_and_independent_judges_are_not() -> None:
    table = label_likelihoods.label_table(_correlated(600, seed=3, shared=0.25))
    found = ps.judge_dependence(ps.fit(ps.DawidSkene(), table, engine=ps.MAP()), table, family="family")
    first = found.frame.iloc[0]
    assert (first["first"], first["second"], first["flag"]) == (0, 1, "dependent")
    within = found.pooled.set_index("pairs").loc["within 0"]
    assert within["z"] == pytest.approx(first["z"], abs=1e-9)
    assert list(found.pooled["pairs"]) == ["all pairs", "within 0", "across families"]
    clean = label_likelihoods.label_table(_correlated(600, seed=4, shared=0.0))
    assert not (ps.judge_dependence(ps.fit(ps.DawidSkene(), clean, engine=ps.MAP()), clean).frame["flag"] != "").any()


@pytest.mark.slow
def test_p_values_hold_their_level() -> None:
    """Under independence: the share of p below .05, within three binomial errors of it, of one pair in each table."""
    n, small = 200, 0
    for seed in range(n):
        table = label_likelihoods.label_table(_correlated(300, seed=100 + seed, shared=0.0))
        found = ps.judge_dependence(ps.fit(ps.DawidSkene(), table, engine=ps.MAP()), table).frame
        small += int((found.sort_values(["first", "second"])["p"].iloc[seed % 10]) < 0.05)
    assert abs(small / n - 0.05) < 3 * np.sqrt(0.05 * 0.95 / n)


def test_refusals() -> None:
    table = label_likelihoods.label_table(label_likelihoods.label_frame(60, n_categories=2))
    glad = ps.fit(ps.GLAD(), table)
    with pytest.raises(DesignError, match=r"GLAD has a dependence of its own: test DawidSkene\(\) or OneCoin\(\)"):
        ps.judge_dependence(glad, table)
    fit = ps.fit(ps.OneCoin(), table, engine=ps.MAP())
    with pytest.raises(DataError, match=r"has no column 'firm'"):
        ps.judge_dependence(fit, table, family="firm")
    with pytest.raises(DataError, match=r"alpha=1.5 must lie between 0 and 1"):
        ps.judge_dependence(fit, table, alpha=1.5)
