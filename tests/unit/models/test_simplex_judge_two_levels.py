"""Two levels: the simplex judge's posterior against sums over a grid in NumPy, and the closed form of known judges."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import beta

import psymetric as ps
from psymetric.core.ordered_rows import RowOrder
from psymetric.core.precision import double_precision
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.sensitivity.prior_density import grid_problem

COUNTS = np.array([[14, 6], [8, 12]])
"""Labels 0 and 1 of two candidates by one judge."""
QUALITY, PRIOR_LABELS, PRIOR_SUBJECTS = 0.6, 5.0, 4.0


def two_level_table(counts: np.ndarray = COUNTS) -> ps.ResponseTable:
    rows = [(f"m{c}", "j", k, float(n)) for (c, k), n in np.ndenumerate(counts)]
    frame = pd.DataFrame(rows, columns=["model", "judge", "label", "n"])
    return ps.ResponseTable.from_frame(frame, response="label", subject="model", facets="judge", weight="n")


def posterior_by_sums(
    counts: np.ndarray, *, ordered: bool, n_points: int = 160
) -> tuple[np.ndarray, np.ndarray, float]:
    """Posterior means of the candidates' shares of level 1, of their products, and P(the second is above).

    With a and b the chances of label 1 under truths 0 and 1, the shares of two candidates are independent.
    """
    place = (np.arange(n_points) + 0.5) / n_points
    right = PRIOR_LABELS * (QUALITY + (1 - QUALITY) / 2)
    wrong = PRIOR_LABELS * (1 - QUALITY) / 2
    log_prior = beta.logpdf(place, wrong, right)[:, None] + beta.logpdf(place, right, wrong)[None, :]
    if ordered:
        log_prior = np.where(place[:, None] <= place[None, :], log_prior, -np.inf)
        log_prior[np.diag_indices(n_points)] -= np.log(2)
    chance = place[:, None, None] * (1 - place) + place[None, :, None] * place
    of_share = beta.logpdf(place, PRIOR_SUBJECTS / 2, PRIOR_SUBJECTS / 2)
    logs = [n0 * np.log1p(-chance) + n1 * np.log(chance) + of_share for n0, n1 in counts]
    totals = [logsumexp(one, axis=2) for one in logs]
    weight = np.exp(log_prior + sum(totals) - logsumexp(log_prior + sum(totals)))
    given = [np.exp(one - total[:, :, None]) for one, total in zip(logs, totals, strict=True)]
    averages = [one @ place for one in given]
    cross = float((weight * averages[0] * averages[1]).sum())
    squares = [float(np.einsum("ab,abp,p->", weight, one, place**2)) for one in given]
    products = np.array([[squares[0], cross], [cross, squares[1]]])
    below = np.cumsum(given[0], axis=2) - given[0] / 2
    means = np.array([(weight * average).sum() for average in averages])
    return means, products, float(np.einsum("ab,abp,abp->", weight, given[1], below))


def posterior_of_package(
    model: SimplexJudge, table: ps.ResponseTable, n_points: int = 27
) -> tuple[np.ndarray, np.ndarray]:
    """The same from the density that is sampled, summed over a grid of its free numbers, Jacobians and all."""
    with double_precision():
        problem = grid_problem(model, table)
        line = np.linspace(-6, 6, n_points)
        free = np.stack(np.meshgrid(*[line] * 4, indexing="ij"), axis=-1).reshape(-1, 4)

        @jax.jit
        def both(at: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.vmap(lambda one: (problem.log_density(one), problem.space.constrain(one)["prevalence"]))(at)

        logs, shares = (np.asarray(found) for found in both(jax.device_put(free)))
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    shares = shares[:, :, 1]
    return weight @ shares, (weight * shares.T) @ shares


@pytest.mark.parametrize("order", ["none", "stochastic"])
def test_posterior_is_that_of_sums_over_a_grid(order: RowOrder) -> None:
    model = SimplexJudge(order=order, quality=QUALITY, prior_labels=PRIOR_LABELS, prior_subjects=PRIOR_SUBJECTS)
    means, products, _ = posterior_by_sums(COUNTS, ordered=order != "none")
    found, found_products = posterior_of_package(model, two_level_table())
    assert found == pytest.approx(means, abs=2e-4)
    assert found_products == pytest.approx(products, abs=2e-4)


@pytest.mark.thorough
def test_sampler_draws_that_posterior() -> None:
    model = SimplexJudge(order="stochastic", quality=QUALITY, prior_labels=PRIOR_LABELS, prior_subjects=PRIOR_SUBJECTS)
    means, _, above = posterior_by_sums(COUNTS, ordered=True)
    grid = ps.prior_sensitivity(
        model, two_level_table(), quality=(), prior_labels=(), candidate_sd=(), order=(), draws=1_000
    )
    own = grid.means
    # The Monte Carlo errors: posterior sd over the root of the effective sample size.
    room = 4.5 * own["se"].to_numpy() / np.sqrt(grid.cells["ess"][0])
    assert np.all(np.abs(own["estimate"].to_numpy() - means) < room)
    assert abs(grid.above[0, 1, 0] - above) < 4.5 * np.sqrt(above * (1 - above) / grid.cells["ess"][0])


def test_order_of_two_levels_is_that_of_the_labels_and_gets_certain() -> None:
    certain = [posterior_by_sums(COUNTS * n, ordered=True)[2] for n in (1, 4, 16)]
    assert certain[0] < certain[1] < certain[2]
    assert certain[2] > 0.999
    margins = ps.JudgeMargins.from_shares({"j": COUNTS / 20}, candidates=["m0", "m1"], labels=[0, 1])
    better = ps.identified_set(margins, assumptions=ps.JudgeAssumptions(diagonal="chance")).differences.iloc[0]
    assert better["identified"] == "sign"
    assert better["order"] == "second above"
    assert ps.identified_set(margins).differences["identified"][0] == "no"


def test_known_judge_gives_the_closed_form() -> None:
    """With θ known, π = (γ - a) / (b - a): what Rogan and Gladen (1978) have for a test of known errors."""
    low, high = 0.2, 0.9
    n, wanted = 100_000, np.array([0.3, 0.65])
    gamma = low + wanted * (high - low)
    counts = np.round(n * np.column_stack([1 - gamma, gamma]))
    # λ = .7 on the truth and .3 on (1/3, 2/3): rows (.8, .2) and (.1, .9).
    model = SimplexJudge(quality=high - low, background=(1 / 3, 2 / 3), prior_labels=1e9, prior_subjects=1e-3)
    rows = ps.fit(model, two_level_table(counts))
    assert rows.parameters["confusion"][0] == pytest.approx(np.array([[0.8, 0.2], [0.1, 0.9]]), abs=1e-6)
    assert rows.parameters["prevalence"][:, 1] == pytest.approx(wanted, abs=1e-4)
