"""Fits of complete designs by matrix products: the numbers of the general way, sooner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.complete_sum import CompleteSum
from psymetric.core.gather_sum import GatherSum
from psymetric.core.precision import double_precision
from psymetric.estimation import louis, marginal
from psymetric.estimation.problems import marginal_problem

N_SUBJECTS, N_ITEMS = 400, 6


def answers(n_categories: int) -> ps.ResponseTable:
    rng = np.random.default_rng(n_categories)
    ability, difficulty = rng.normal(0, 1, N_SUBJECTS), np.linspace(-0.8, 0.8, N_ITEMS)
    latent = ability[:, None] - difficulty + rng.logistic(size=(N_SUBJECTS, N_ITEMS))
    score = np.digitize(latent, np.linspace(-1, 1, n_categories - 1))
    frame = pd.DataFrame(
        {
            "subject": np.repeat(np.arange(N_SUBJECTS), N_ITEMS),
            "item": np.tile(np.arange(N_ITEMS), N_SUBJECTS),
            "score": score.ravel(),
        }
    )
    return ps.ResponseTable.from_frame(frame, response="score", subject="subject", item="item")


@pytest.mark.parametrize(
    ("model", "n_categories", "is_simple"),
    [
        (ps.TwoPL(), 2, True),
        (ps.ThreePL(), 2, False),
        pytest.param(ps.GeneralizedPartialCredit(), 4, True, marks=pytest.mark.thorough),
        pytest.param(ps.ManyFacetRasch(facets=("item",), steps="item"), 4, True, marks=pytest.mark.thorough),
    ],
    ids=lambda value: type(value).__name__,
)
def test_hessian_equals_that_of_gathered_sums(model, n_categories, is_simple, monkeypatch):
    """Also of subjects counted twice; a guessing parameter needs the general covariances and gets them."""
    calls: list[bool] = []
    original = louis.complete_covariances
    monkeypatch.setattr(
        louis, "complete_covariances", lambda *given: (found := original(*given), calls.append(found is not None))[0]
    )
    with double_precision():
        problem = marginal_problem(model, answers(n_categories), prior=True, n_nodes=31, half_width=6.0)
        assert isinstance(problem.responses, CompleteSum)
        problem = replace(problem, multiplicity=problem.multiplicity.at[:5].set(2.0))
        general = replace(problem, responses=GatherSum.build(problem.responses.matrix()))
        free = problem.space.start() + np.random.default_rng(3).normal(0, 0.2, problem.space.size)
        expected = louis.marginal_hessian(general, free)
        found = louis.marginal_hessian(problem, free)
        # Entries are sums over 400 subjects of order one.
        np.testing.assert_allclose(found, expected, atol=1e-9)
        np.testing.assert_allclose(problem.log_density(free), general.log_density(free), rtol=1e-13)
    assert calls == [is_simple]


def test_climb_on_a_sample_ends_at_the_same_maximum(monkeypatch):
    table = answers(2)
    whole = ps.fit(ps.TwoPL(), table, engine=ps.MarginalML())
    monkeypatch.setattr(marginal, "_COARSE_FROM", 1)
    monkeypatch.setattr(marginal, "_SAMPLE", N_SUBJECTS // 3)
    sampled = ps.fit(ps.TwoPL(), table, engine=ps.MarginalML())
    assert sampled.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-6)
    # The curvature is that of a point within a millilogit of the maximum, and two climbs leave two such points.
    for name in ("item", "discrimination"):
        np.testing.assert_allclose(sampled.parameters[name], whole.parameters[name], atol=2e-6)
        np.testing.assert_allclose(sampled.standard_errors[name], whole.standard_errors[name], rtol=2e-3)
