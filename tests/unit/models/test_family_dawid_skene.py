"""Families that err together: the sum over what they see written out, Dawid-Skene without it, and recovery."""

from __future__ import annotations

from itertools import product

import label_likelihoods
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

import psymetric as ps
from psymetric.errors import DataError, DesignError

PREVALENCE = np.array([0.5, 0.3, 0.2])
SHARED = np.array([0.2, 0.1, 1e-12])


def _written_out(frame: pd.DataFrame, confusion: np.ndarray) -> float:
    """Every truth with every combination of what the three families see."""
    total = 0.0
    for _, rows in frame.groupby("subject"):
        terms = []
        for truth, *seen in product(range(3), repeat=4):
            views = np.where(np.array(seen) == truth, 1 - SHARED, SHARED / 2)
            term = np.log(PREVALENCE[truth]) + np.log(views).sum()
            for judge, family, label in zip(rows["judge"], rows["family"], rows["label"], strict=True):
                term += np.log(confusion[judge, seen[family], label])
            terms.append(term)
        total += logsumexp(terms)
    return total


def test_likelihood_sums_over_what_families_see() -> None:
    frame, confusion = label_likelihoods.label_frame(30), np.random.default_rng(1).dirichlet(np.ones(3), (5, 3))
    params = {"prevalence": PREVALENCE, "shared_error": SHARED, "confusion": confusion}
    found = label_likelihoods.truth_log_likelihood(ps.FamilyDawidSkene(), frame, params)
    assert found == pytest.approx(_written_out(frame, confusion), abs=1e-9)
    alone = label_likelihoods.truth_log_likelihood(ps.FamilyDawidSkene(), frame, {**params, "shared_error": 0 * SHARED})
    without = {"prevalence": PREVALENCE, "confusion": confusion}
    assert alone == pytest.approx(label_likelihoods.truth_log_likelihood(ps.DawidSkene(), frame, without), abs=1e-9)


def correlated_frame(n: int, *, seed: int, shared: tuple[float, ...] = (0.15, 0.1, 0.2, 0.0)) -> pd.DataFrame:
    """Three families of three, three and two judges, right in 85% of what their family sees, and a judge alone.

    The column `truth` holds the truth.
    """
    rng, parts = np.random.default_rng(seed), list[pd.DataFrame]()
    truth = rng.choice(3, n, p=PREVALENCE)
    for family, size in enumerate((3, 3, 2, 1)):
        seen = np.where(rng.random(n) < shared[family], (truth + rng.integers(1, 3, n)) % 3, truth)
        for judge in range(size):
            label = np.where(rng.random(n) < 0.85, seen, (seen + rng.integers(1, 3, n)) % 3)
            own = {"subject": np.arange(n), "judge": f"{family}{judge}", "family": family, "label": label}
            parts.append(pd.DataFrame({**own, "truth": truth}))
    return pd.concat(parts, ignore_index=True)


def test_shared_errors_are_recovered_and_certainty_is_honest() -> None:
    frame = correlated_frame(800, seed=4)
    table = label_likelihoods.label_table(frame)
    truth = frame.groupby("subject")["truth"].first().to_numpy()
    fit = ps.fit(ps.FamilyDawidSkene(), table)
    shared, se = fit.parameters["shared_error"], fit.standard_errors["shared_error"]
    # Three families, so that one in 120 runs has any outside three standard errors.
    assert np.all(np.abs(shared[:3] - [0.15, 0.1, 0.2]) < 3 * se[:3])
    assert shared[3] < 1e-9
    surprise = {}
    for model in (ps.FamilyDawidSkene(), ps.DawidSkene()):
        said = ps.true_categories(ps.fit(model, table, engine=ps.MAP()), table)
        right = (said.frame["category"].to_numpy() == truth).mean()
        # Binomial error of the share that is right, were the probabilities those of being right.
        p = said.frame["probability"].to_numpy()
        surprise[type(model).__name__] = (p.mean() - right) / np.sqrt((p * (1 - p)).sum()) * len(p)
    assert surprise["FamilyDawidSkene"] < 3
    assert surprise["DawidSkene"] > 3


def test_a_judge_of_two_families_is_refused() -> None:
    frame = label_likelihoods.label_frame()
    frame.loc[frame.index[0], "family"] = 2
    with pytest.raises(DataError, match=r"FamilyDawidSkene\(family='family'\): 1 level\(s\) of 'judge' stand"):
        ps.fit(ps.FamilyDawidSkene(), label_likelihoods.label_table(frame))
    with pytest.raises(DesignError, match=r"family='judge'\) must name a column of its own"):
        ps.FamilyDawidSkene(family="judge")
