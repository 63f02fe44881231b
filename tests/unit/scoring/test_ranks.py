"""Ranks and probabilities of order against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.errors import DataError
from psymetric.scoring.rank_sets import rank_sets
from psymetric.scoring.ranks import pairwise_probabilities, rank_probabilities

DRAWS = 20_000
BAND = 4.5 * 0.5 / np.sqrt(DRAWS)  # 4.5 standard errors of a share


def scores(estimates, ses, *, note: str = "", **columns) -> ps.Scores:
    estimate, se = np.array(estimates, float), np.array(ses, float)
    frame = pd.DataFrame(
        {
            "subject": [f"m{k}" for k in range(len(estimate))],
            "estimate": estimate,
            "se": se,
            "lower": estimate - 2 * se,
            "upper": estimate + 2 * se,
            "n": 10.0,
            "extreme": False,
            **columns,
        }
    )
    notes = (note,) if note else ()
    return ps.Scores(frame, method="wle", level=0.95, carries="-", notes=notes, provenance=Provenance("x"))


THREE = scores([0.0, 0.5, 0.2], [0.3, 0.4, 0.1])


def test_p_best_is_the_integral():
    def best(k: int) -> float:
        others = [j for j in range(3) if j != k]
        frame = THREE.frame

        def density(x: float) -> float:
            below = np.prod([norm.cdf(x, frame["estimate"][j], frame["se"][j]) for j in others])
            return norm.pdf(x, frame["estimate"][k], frame["se"][k]) * below

        return quad(density, -4, 4, points=[0.0, 0.2, 0.5])[0]

    found = ps.p_best(THREE, draws=DRAWS, seed=1).set_index("level")["p_best"]
    for k in range(3):
        assert found[f"m{k}"] == pytest.approx(best(k), abs=BAND)
    assert found.sum() == pytest.approx(1)
    assert found.index[0] == "m1"


def test_pairwise_of_independent_normals_is_exact():
    found = pairwise_probabilities(THREE)
    assert found.loc["m1", "m0"] == pytest.approx(norm.cdf(0.5 / np.hypot(0.3, 0.4)))
    np.testing.assert_allclose(found + found.T, 1.0)
    assert found.index.tolist() == ["m1", "m2", "m0"]


def test_rank_probabilities_agree_with_the_other_tables():
    found = rank_probabilities(THREE, draws=DRAWS, seed=1)
    np.testing.assert_allclose(found.sum(axis=0), 1.0)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    best = ps.p_best(THREE, draws=DRAWS, seed=1).set_index("level")["p_best"]
    np.testing.assert_allclose(found[1], best[found.index])
    # The expected rank is one plus the probabilities of being beaten.
    pairwise = pairwise_probabilities(THREE)
    expected = 1 + (pairwise.sum(axis=0) - 0.5)
    np.testing.assert_allclose(found @ np.arange(1, 4), expected[found.index], atol=2 * 3 * BAND)


def test_sure_ranks_have_no_width():
    found = ps.rank_intervals(scores([3.0, 1.0, 2.0], [1e-3] * 3))
    assert found["level"].tolist() == ["m0", "m2", "m1"]
    for column in ("rank", "rank_lower", "rank_upper"):
        assert found[column].tolist() == [1, 2, 3]


def test_equal_measures_may_be_anywhere():
    found = ps.rank_intervals(scores([0.0] * 20, [0.5] * 20), draws=4_000)
    assert found["rank_lower"].max() == 1
    assert found["rank_upper"].min() == 20


def test_level_moves_the_interval():
    source = scores(np.linspace(0, 1, 20), [0.3] * 20)
    wide, narrow = (ps.rank_intervals(source, level=level) for level in (0.95, 0.5))
    width = [(frame["rank_upper"] - frame["rank_lower"]).to_numpy() for frame in (wide, narrow)]
    assert (width[0] >= width[1]).all()
    assert width[0].sum() > width[1].sum()


def test_subjects_without_an_estimate_come_last():
    found = ps.rank_intervals(scores([0.0, np.nan, 1.0], [0.1] * 3, note="m1 had nothing"))
    assert found["level"].tolist() == ["m2", "m0", "m1"]
    assert found["rank"].isna().tolist() == [False, False, True]


def test_plausible_values_are_the_draws():
    rng = np.random.default_rng(0)
    values = rng.normal([0.0, 0.1], 1.0, (500, 2))
    source = scores([0.0, 0.1], [9.0, 9.0], **{f"pv{k + 1}": values[k] for k in range(500)})
    found = ps.p_best(source).set_index("level")["p_best"]
    assert found["m0"] == np.mean(values[:, 0] > values[:, 1])


def test_worths_use_their_covariance(worths):
    covariance, worth = worths.covariances["worth"], worths.parameters["worth"]
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    expected = norm.cdf((worth[0] - worth[1]) / np.sqrt(variance))
    assert pairwise_probabilities(worths).loc["a", "b"] == pytest.approx(expected)
    drawn = ps.p_best(worths, draws=DRAWS).set_index("level")["p_best"]
    shares = rank_probabilities(worths, draws=DRAWS, seed=2)[1]
    np.testing.assert_allclose(drawn[shares.index], shares, atol=2 * BAND)
    assert ps.rank_intervals(worths)["level"].iloc[0] == "a"


def test_draws_of_a_fit_are_used(drawn):
    stored = drawn.draws["ability"].reshape(-1, 42)
    found = ps.p_best(drawn).set_index("level")["p_best"]
    best = pd.Series(np.bincount(stored.argmax(axis=1), minlength=42) / 300, index=list(drawn.levels["subject"]))
    np.testing.assert_allclose(found[best.index], best)


def test_a_facet_can_be_ranked(marginal):
    found = ps.rank_intervals(marginal, facet="judge")
    assert set(found["level"]) == {"ann", "bob", "cat"}
    assert found["estimate"].is_monotonic_decreasing


def test_ranks_repeat_with_the_seed():
    pd.testing.assert_frame_equal(ps.rank_intervals(THREE, seed=4), ps.rank_intervals(THREE, seed=4))


def test_integrated_subjects(marginal):
    with pytest.raises(DataError, match=r"MarginalML integrates subjects out: rank their scores, rank_intervals"):
        ps.rank_intervals(marginal)


def test_unknown_facet(marginal):
    with pytest.raises(DataError, match=r"ManyFacetRasch has no facet 'prompt'"):
        ps.p_best(marginal, facet="prompt")
    with pytest.raises(DataError, match=r"'step' has no levels to rank"):
        ps.p_best(marginal, facet="step")
    with pytest.raises(DataError, match=r"p_best: scores are of subjects; to rank facet 'judge' pass the fit"):
        ps.p_best(THREE, facet="judge")


def test_bad_settings():
    with pytest.raises(DataError, match=r"level=1.5 is not a coverage"):
        ps.rank_intervals(THREE, level=1.5)
    with pytest.raises(DataError, match=r"p_best: draws=1; ask for at least 2"):
        ps.p_best(THREE, draws=1)
    with pytest.raises(
        DataError, match=r"p_best: 1 level with an estimate and a standard error; a ranking needs at least two"
    ):
        ps.p_best(scores([1.0, np.nan], [0.1, 0.1], note="none"))
    many = scores(np.zeros(5_001), np.ones(5_001))
    with pytest.raises(DataError, match=r"rank_probabilities: 5,001 levels make a table of 25,010,001 cells"):
        rank_probabilities(many)


@pytest.mark.parametrize("method", ["marginal", "simultaneous"])
def test_sets_are_those_of_the_estimates_and_their_covariance(worths, method):
    found = ps.rank_intervals(worths, method=method, seed=3)
    covariance = worths.covariances["worth"]
    order = np.argsort(-worths.parameters["worth"])
    lower, upper = rank_sets(worths.parameters["worth"], covariance, coverage=method, level=0.95, seed=3)
    assert found["rank_lower"].tolist() == lower[order].tolist()
    assert found["rank_upper"].tolist() == upper[order].tolist()
    narrow = ps.rank_intervals(worths)
    assert (found["rank_upper"] - found["rank_lower"] >= narrow["rank_upper"] - narrow["rank_lower"]).all()


def test_sets_of_draws_use_their_covariance(drawn):
    found = ps.rank_intervals(drawn, facet="judge", method="marginal", seed=3)
    draws = drawn.draws["judge"].reshape(-1, len(drawn.levels["judge"]))
    mean = draws.mean(axis=0)
    order = np.argsort(-mean)
    lower, _ = rank_sets(mean[order], np.cov(draws[:, order], rowvar=False), coverage="marginal", level=0.95, seed=3)
    assert found["rank_lower"].tolist() == lower.tolist()


def test_unknown_method_is_named(worths):
    with pytest.raises(DataError, match=r"method='wide' is not known"):
        ps.rank_intervals(worths, method="wide")
