"""The simplex judge: its likelihood against loops, its priors, and the tables it refuses."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from judged_candidates import COUNTS, counts_table

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError
from psymetric.estimation.truth import truth_problem
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.sensitivity.prior_density import grid_problem


def naive(counts: np.ndarray, prevalence: np.ndarray, confusion: np.ndarray, tilt: np.ndarray) -> float:
    total = 0.0
    for (c, j, k), n in np.ndenumerate(counts):
        chance = 0.0
        for m in range(counts.shape[2]):
            row = confusion[j, m] * np.exp(tilt[c, j])
            chance += prevalence[c, m] * row[k] / row.sum()
        total += n * np.log(chance)
    return total


@pytest.mark.parametrize("candidate_sd", [0.0, 0.4])
def test_likelihood_of_counts_is_that_of_loops_on_both_paths(candidate_sd: float) -> None:
    model, table = SimplexJudge(candidate_sd=candidate_sd), counts_table()
    with double_precision():
        general, fast = truth_problem(model, table, prior=True), grid_problem(model, table)
        free = jax.device_put(np.random.default_rng(0).normal(size=general.space.size))
        params = {name: np.asarray(value) for name, value in general.space.constrain(free).items()}
        tilt = params.get("preference", np.zeros((2, 2, 3)))
        expected = naive(COUNTS, params["prevalence"], params["confusion"], tilt)
        assert float(general.log_likelihood(free)) == pytest.approx(expected, abs=1e-9)
        assert float(fast.log_density(free)) == pytest.approx(float(general.log_density(free)), abs=1e-8)
    assert np.allclose(tilt.sum(axis=2), 0, atol=1e-12)


def test_prior_of_the_rows_is_that_of_the_specification() -> None:
    model = SimplexJudge(quality=0.7, prior_labels=8.0, background=(0.5, 0.3, 0.2))
    expected = 8 * (0.7 * np.eye(3) + 0.3 * np.array([0.5, 0.3, 0.2]))
    assert np.allclose(model.prior_counts("confusion", 3), expected)


def test_answers_share_their_truth_between_judges() -> None:
    rows = [("a1", "x", "j1", 1), ("a1", "x", "j2", 2), ("a2", "y", "j1", 3), ("a2", "y", "j2", 3)]
    frame = pd.DataFrame(rows, columns=["answer", "model", "judge", "label"])
    table = ps.ResponseTable.from_frame(frame, response="label", subject="answer", facets=("judge", "model"))
    model = SimplexJudge(candidate="model")
    with double_precision():
        problem = truth_problem(model, table, prior=True)
        free = jax.device_put(np.random.default_rng(1).normal(size=problem.space.size))
        params = {name: np.asarray(value) for name, value in problem.space.constrain(free).items()}
        pi, theta = params["prevalence"], params["confusion"]
        expected = np.log(pi[0] @ (theta[0, :, 0] * theta[1, :, 1])) + np.log(pi[1] @ (theta[0, :, 2] * theta[1, :, 2]))
        assert float(problem.log_likelihood(free)) == pytest.approx(expected, abs=1e-10)


def test_one_judge_of_three_levels_says_that_the_prior_decides() -> None:
    fit = ps.fit(SimplexJudge(), counts_table(COUNTS[:, :1]))
    assert any("driven by the prior: with 3 levels, 1 judge" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"quality": 1.2}, r"quality=1.2\) must be a probability between 0 and 1"),
        ({"prior_labels": 0}, "must be a positive number of labels"),
        ({"order": "up"}, r"order='up'\) must be one of"),
        ({"gold": "human"}, "gold is the truth of an answer, and counts do not say which"),
        ({"candidate": "judge"}, "must differ from one another"),
        ({"background": (0.5, 0.6)}, "must be shares above zero that sum to one"),
        ({"candidate_sd": -1.0}, "candidate_sd=-1.0"),
        ({"groups": "model"}, "its groups are the candidates"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], match: str) -> None:
    with pytest.raises(DesignError, match=match):
        SimplexJudge(**settings)  # pyright: ignore[reportArgumentType]


def test_tables_that_fit_no_such_model_are_refused() -> None:
    with pytest.raises(DataError, match="one level, 'm0', and nothing to compare it with"):
        ps.fit(SimplexJudge(), counts_table(COUNTS[:1]))
    with pytest.raises(DataError, match="has 2 shares for 3 categories"):
        ps.fit(SimplexJudge(background=(0.5, 0.5)), counts_table())
    with pytest.raises(DataError, match="must hold both of two truth values"):
        ps.fit(SimplexJudge(self_preference="own"), counts_table(extra={"own": "x"}))
