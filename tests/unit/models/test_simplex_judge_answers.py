"""The simplex judge of answers: strata, favours, orders and gold, against loops and closed forms."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from judged_candidates import ROWS, SHARES, answer_frame, answer_table
from scipy.stats import dirichlet

import psymetric as ps
from psymetric.core.ordered_rows import RowOrder
from psymetric.core.precision import double_precision
from psymetric.estimation.truth import truth_problem
from psymetric.models.simplex_judge import SimplexJudge


def by_loops(frame: pd.DataFrame, params: dict[str, np.ndarray]) -> float:
    """Log-likelihood, answer by answer, truth by truth, label by label; gold leaves one truth."""
    total = 0.0
    for _, answer in frame.groupby("answer"):
        c, s = int(answer["model"].iloc[0][1]), int(answer["level"].iloc[0] == "hard")
        gold = answer.loc[answer["judge"] == "human", "label"] - 1
        chance = 0.0
        for m in gold.tolist() or range(3):
            joint = params["prevalence"][c, s, m]
            for label in answer[answer["judge"] != "human"].itertuples():
                j = int(str(label.judge)[1])
                tilt = params["preference"][c, j] + params["self_preference"][j] * label.own * np.array([-0.5, 0, 0.5])
                row = params["confusion"][j, s, m] * np.exp(tilt)
                joint *= row[label.label - 1] / row.sum()
            chance += joint
        total += np.log(chance)
    return total


def in_order(rows: np.ndarray, order: RowOrder) -> bool:
    above = rows[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    if order == "lowest":
        above = above[..., :1]
    return order == "none" or bool(np.all(np.diff(above, axis=-2) > -1e-12))


@pytest.mark.parametrize("order", ["lowest", "stochastic"])
def test_likelihood_with_strata_favours_and_gold_is_that_of_loops(order: RowOrder) -> None:
    frame = answer_frame(n_gold=5)
    model = SimplexJudge(
        candidate="model", strata="level", self_preference="own", candidate_sd=0.5, order=order, gold="human"
    )
    with double_precision():
        problem = truth_problem(model, answer_table(frame), prior=True)
        free = jax.device_put(np.random.default_rng(0).normal(size=problem.space.size))
        params = {name: np.asarray(value) for name, value in problem.space.constrain(free).items()}
        assert params["prevalence"].shape == (2, 2, 3)
        assert params["confusion"].shape == (2, 2, 3, 3)
        assert float(problem.log_likelihood(free)) == pytest.approx(by_loops(frame, params), abs=1e-9)
    assert in_order(params["confusion"], order)


def test_gold_of_all_answers_leaves_dirichlet_posteriors() -> None:
    """Density at several points: that of Dirichlets of prior and counted labels, up to one constant."""
    frame = answer_frame(n_gold=20)
    model = SimplexJudge(candidate="model", gold="human")
    gold = frame[frame["judge"] == "human"].set_index("answer")["label"]
    judged = frame[frame["judge"] != "human"].assign(truth=lambda of: of["answer"].map(gold))
    of_rows, of_shares = np.tile(model.prior_counts("confusion", 3), (2, 1, 1)), np.full((2, 3), 4 / 3)
    for row in judged.itertuples():
        of_rows[int(str(row.judge)[1]), row.truth - 1, row.label - 1] += 1
    for answer, truth in gold.items():
        of_shares[int(str(answer)[1]), truth - 1] += 1
    with double_precision():
        problem = truth_problem(model, answer_table(frame), prior=True)
        short: list[float] = []
        for seed in range(4):
            free = jax.device_put(np.random.default_rng(seed).normal(size=problem.space.size))
            params = {name: np.asarray(value) for name, value in problem.space.constrain(free).items()}
            known = [(params["prevalence"], of_shares), (params["confusion"].reshape(6, 3), of_rows.reshape(6, 3))]
            wanted = sum(dirichlet.logpdf(p, a) for ps_, as_ in known for p, a in zip(ps_, as_, strict=True))
            where = problem.space.slices()
            volume = sum(float(block.bijector.log_jacobian(free[where[block.name]])) for block in problem.space.blocks)
            short.append(float(problem.log_density(free)) - volume - wanted)
    assert short == pytest.approx([short[0]] * 4, abs=1e-8)


@pytest.mark.thorough
def test_gold_on_some_answers_narrows_the_judge() -> None:
    """The curvature of the density at one point: with gold, more is known of every number of the judges."""
    frame = answer_frame(n=40, n_gold=20)
    known: list[np.ndarray] = []
    for rows, gold in ((frame[frame["judge"] != "human"], None), (frame, "human")):
        model = SimplexJudge(candidate="model", gold=gold)
        with double_precision():
            problem = truth_problem(model, answer_table(rows), prior=True)
            where = problem.space.slices()
            counts = {"prevalence": SHARES, "confusion": ROWS}
            free = np.zeros(problem.space.size)
            for block in problem.space.blocks:
                free[where[block.name]] = block.bijector.inverse(counts[block.name])
            curvature = np.asarray(jax.hessian(problem.log_density)(jax.device_put(free)))
        known.append(np.diag(np.linalg.inv(-curvature))[where["confusion"]])
    assert np.sqrt(known[1]).mean() < 0.9 * np.sqrt(known[0]).mean()


@pytest.mark.thorough
@pytest.mark.parametrize("order", ["lowest", "stochastic"])
def test_fits_keep_their_order(order: RowOrder) -> None:
    fit = ps.fit(SimplexJudge(candidate="model", order=order, strata="level"), answer_table(answer_frame(100)))
    assert fit.status.converged
    assert in_order(fit.parameters["confusion"], order)
    assert not any("driven by the prior" in note for note in fit.notes)


@pytest.mark.thorough
def test_grid_of_priors_of_answers_runs_with_everything() -> None:
    model = SimplexJudge(
        candidate="model", gold="human", strata="level", self_preference="own", order="stochastic", prior_labels=8.0
    )
    table = answer_table(answer_frame(60, n_gold=30))
    grid = ps.prior_sensitivity(
        model, table, quality=(), prior_labels=(), candidate_sd=(), order=(), warmup=200, draws=300
    )
    assert grid.cells["usable"].all()
    pair = grid.pairs().iloc[0]
    assert (pair["first"], pair["second"]) == ("m1", "m0")
    assert grid.tipping_points().empty
