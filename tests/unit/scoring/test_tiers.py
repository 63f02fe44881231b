"""Tiers and separability against counts over all pairs."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from given_fits import given_fit
from scipy.special import ndtr
from scipy.stats import norm

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.errors import DataError
from psymetric.scoring.comparisons import Comparisons


def scores(estimates: list[float], se: float, **columns: np.ndarray) -> ps.Scores:
    estimate = np.array(estimates)
    reach = norm.ppf(0.975) * se
    frame = pd.DataFrame(
        {
            "subject": [f"m{k}" for k in range(len(estimate))],
            "estimate": estimate,
            "se": se,
            "lower": estimate - reach,
            "upper": estimate + reach,
            "n": 10.0,
            "extreme": False,
            **columns,
        }
    )
    notes = ("one is unknown",)
    return ps.Scores(frame, method="wle", level=0.95, carries="-", notes=notes, provenance=Provenance("x"))


def worths(covariance: np.ndarray, **changes: object) -> ps.Fit:
    fit = given_fit(ps.BradleyTerry(), {"item": tuple("abcd")}, ("left", "right", "tie"), worth=[0.9, 0.3, -0.2, -1.0])
    return dataclasses.replace(
        fit,
        standard_errors={"worth": np.sqrt(np.diag(covariance))},
        covariances={"worth": covariance},
        **changes,
    )


def test_a_tier_ends_where_its_leader_is_surely_above() -> None:
    # With se .5 each, .95 needs a gap of 1.645 × √.5 = 1.163.
    found = ps.tiers(scores([-2.3, 0.0, -1.2, np.nan, -1.1, -2.5], 0.5))
    assert found["level"].tolist() == ["m1", "m4", "m2", "m0", "m5", "m3"]
    assert found["tier"].tolist()[:5] == [1, 1, 2, 2, 3]
    assert found["rank"].tolist()[:5] == [1, 2, 3, 4, 5]
    assert found.iloc[5][["rank", "tier"]].isna().all()
    np.testing.assert_allclose(found["p_leader"][:3].astype(float), [0.5, norm.cdf(1.1 / np.sqrt(0.5)), 0.5])
    assert found.attrs["rule"] == (
        "A new tier begins at the first level that the leader of the tier above exceeds with probability 0.95 or more, "
        "by normal approximations that take the errors of two levels as independent."
    )


def test_threshold_moves_the_cuts() -> None:
    source = scores(np.linspace(0, 3, 12).tolist(), 0.4)
    counts = [ps.tiers(source, threshold=bound)["tier"].max() for bound in (0.51, 0.8, 0.95, 0.999)]
    assert counts[0] == 12
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] > 1


def test_tiers_use_what_errors_share() -> None:
    # Errors of differences: √(2 × .25 × .1) = .224 with correlation .9, √.5 = .707 with none.
    shared = 0.25 * (0.1 * np.eye(4) + 0.9)
    assert ps.tiers(worths(shared))["tier"].tolist() == [1, 2, 3, 4]
    assert ps.tiers(worths(0.25 * np.eye(4)))["tier"].tolist() == [1, 1, 1, 2]


def naive(estimate: np.ndarray, covariance: np.ndarray, level: float, threshold: float) -> list[int]:
    """Both counts pair by pair."""
    z, intervals, probable = norm.ppf((1 + level) / 2), 0, 0
    se = np.sqrt(np.diag(covariance))
    for i, j in combinations(range(len(estimate)), 2):
        gap = abs(estimate[i] - estimate[j])
        intervals += bool(gap > z * (se[i] + se[j]))
        sd = np.sqrt(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
        probable += bool(ndtr(gap / sd) >= threshold)
    return [intervals, probable]


@pytest.mark.parametrize(("level", "threshold"), [(0.95, 0.95), (0.5, 0.8)])
def test_separability_is_the_count_over_all_pairs(level: float, threshold: float) -> None:
    rng = np.random.default_rng(3)
    for scale in (0.1, 0.4):
        root = scale * rng.normal(size=(4, 4))
        fit = worths(root @ root.T)
        found = ps.separability(fit, level=level, threshold=threshold)
        assert found["rule"].tolist() == ["intervals", "probability"]
        assert found["apart"].tolist() == naive(fit.parameters["worth"], root @ root.T, level, threshold)
        assert found["bound"].tolist() == [level, threshold]
        assert found["pairs"].tolist() == [6, 6]
        np.testing.assert_allclose(found["share"], found["apart"] / 6)


def test_separability_of_many_is_the_same_count() -> None:
    # More than one block of rows.
    rng = np.random.default_rng(5)
    values, se = rng.normal(size=520), 0.3
    found = ps.separability(scores(values.tolist(), se))
    assert found["apart"].tolist() == naive(values, np.diag(np.full(520, se**2)), 0.95, 0.95)


def test_draws_decide_where_there_are_any() -> None:
    rng = np.random.default_rng(0)
    stored = rng.normal([0.0, 1.0, 1.2], 0.3, (4_000, 3))
    plausible = {f"pv{k + 1}": stored[k] for k in range(len(stored))}
    frame = pd.DataFrame(plausible)
    source = scores([0.0, 1.0, 1.2], 9.0, **{name: frame[name].to_numpy() for name in frame})
    assert ps.tiers(source)["tier"].tolist() == [1, 1, 2]
    found = ps.separability(source).set_index("rule")
    # Independent errors of .3 each: sd .424, so that gaps of 1 and 1.2 are sure and one of .2 is not.
    assert found.loc["probability", "apart"] == 2
    assert found.loc["intervals", "apart"] == 0


def test_many_draws_are_counted_by_their_normal_distribution() -> None:
    rng = np.random.default_rng(1)
    values = np.sort(rng.normal(size=401))[::-1]
    draws = values + 0.3 * rng.standard_normal((5, 401))
    plain = Comparisons(values, np.full(401, 0.09))
    assert Comparisons(values, np.full(401, 0.09), draws).pairs_apart == plain.pairs_apart
    assert (
        Comparisons(values[:400], np.full(400, 0.09), draws[:, :400]).pairs_apart
        != plain.take(np.arange(400)).pairs_apart
    )


@pytest.mark.parametrize("call", [ps.tiers, ps.separability])
def test_bad_settings(call) -> None:
    source = scores([0.0, 1.0], 0.1)
    with pytest.raises(DataError, match=r"threshold=1\.0 is not a probability above \.5 and under 1"):
        call(source, threshold=1.0)
    with pytest.raises(DataError, match=r"threshold=0\.5 is not a probability above \.5"):
        call(source, threshold=0.5)
    with pytest.raises(DataError, match=r"a ranking needs at least two"):
        call(scores([0.0, np.nan], 0.1))
    with pytest.raises(DataError, match=r"got a DataFrame; pass what psymetric.fit or psymetric.score returned"):
        call(source.frame)


def test_scores_keep_their_own_intervals() -> None:
    source = scores([0.0, 1.0], 0.1)
    with pytest.raises(DataError, match=r"level=0\.9 and the scores have intervals of 0\.95: score"):
        ps.separability(source, level=0.9)
    with pytest.raises(DataError, match=r"separability: level=2 is not a coverage"):
        ps.separability(source, level=2)


def test_dimensions_have_no_common_order() -> None:
    frame = pd.concat([scores([0.0, 1.0], 0.1).frame.assign(dimension=name) for name in ("warm", "apt")])
    several = dataclasses.replace(scores([0.0, 1.0], 0.1), frame=frame)
    with pytest.raises(DataError, match=r"tiers: the scores are of several dimensions, \['warm', 'apt'\]"):
        ps.tiers(several)


def test_a_fit_without_errors_is_not_ranked() -> None:
    unknown = worths(np.full((4, 4), np.nan))
    with pytest.raises(DataError, match=r"tiers: 0 levels with an estimate and a standard error"):
        ps.tiers(unknown)
