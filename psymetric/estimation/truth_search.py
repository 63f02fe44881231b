"""The mode of a latent-truth model, with or without its priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from psymetric.core.optimizers import Maximum
from psymetric.errors import DesignError
from psymetric.estimation.curvature import Information
from psymetric.estimation.marginal import climb
from psymetric.estimation.multistart import Climbed, climb_from_each
from psymetric.estimation.truth import TruthProblem, truth_problem
from psymetric.estimation.truth_em import (
    ConfusionSums,
    Expected,
    accelerated_em,
    confusion_sums,
    maximised,
    random_rows,
    voted_rows,
)
from psymetric.estimation.truth_newton import FreeRows, free_rows, released, top
from psymetric.models.base import Table
from psymetric.models.dawid_skene import DawidSkene
from psymetric.models.truth import AbstractTruthModel

__all__ = ["MOST_FREE", "THERE", "ConfusionMode", "TruthMode", "confusion_mode", "truth_mode"]

Vector = NDArray[np.float64]

MOST_FREE = 2_000
"""Free parameters up to which the dense information is computed."""
_NEAR, THERE = 1e-3, 1e-7
"""Largest change of a probability in a step of EM from which Newton's method goes on, and where EM alone ends."""
_RELEASES = 5
_ALIKE = 1e-3
"""Log density by which two ends may differ and still be one maximum."""


@final
@dataclass(frozen=True)
class TruthMode:
    """Where a climb ended.

    Attributes:
        problem: The problem.
        maximum: Mode and curvature.
    """

    problem: TruthProblem
    maximum: Maximum[Information]


@final
@dataclass(frozen=True)
class ConfusionMode:
    """The highest maximum that EM led to.

    Attributes:
        here: The mode, and the expected counts there.
        free: What of it is neither zero nor undetermined.
        maximum: Newton's last step and the observed information; None where there are too many parameters for them.
        steps: Steps of EM.
        moved: Largest change of a probability in its last one.
        details: For `FitStatus`: starts, how many reached the best, and the spread of their ends in log density.
        log_likelihood: At the mode, priors left out.
    """

    here: Expected
    free: FreeRows
    maximum: Maximum[Information] | None
    steps: int
    moved: float
    details: dict[str, float]
    log_likelihood: float


def truth_mode(
    model: AbstractTruthModel,
    table: Table,
    *,
    prior: bool,
    tolerance: float,
    max_iterations: int,
    starts: int = 1,
    seed: int = 0,
    start: Vector | None = None,
) -> Climbed[TruthMode]:
    """Climb from where the priors are centred, judges that are better than chance, and from other starts.

    Args:
        model: The model.
        table: Labels.
        prior: Add the priors (MAP) or not (maximum likelihood).
        tolerance: Largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations, and on Newton steps.
        starts: Climbs, of which all but the first start at random places around the first start.
        seed: Seed of these places.
        start: Free vector of the first climb; None is where the priors are centred.
    """
    problem = truth_problem(model, table, prior=prior)
    if isinstance(model, DawidSkene) and prior and start is None:
        found = confusion_mode(
            model, table, prior=True, tolerance=tolerance, max_iterations=max_iterations, starts=starts, seed=seed
        )
        if found.maximum is None:
            raise DesignError(
                f"{problem.space.size:,} free parameters are too many for draws, which need the covariance of all of "
                f"them (up to {MOST_FREE:,}): use MAP() or MarginalML(), or fewer levels of {model.over!r}"
            )
        return Climbed(TruthMode(problem, found.maximum), found.details, ())

    def from_start(chosen: Vector | None) -> TruthMode:
        first = problem.space.start() if start is None else start
        point = first if chosen is None else chosen
        return TruthMode(problem, climb(problem, point, tolerance=tolerance, max_iterations=max_iterations))

    return climb_from_each(from_start, lambda mode: mode.maximum.value, starts=starts, seed=seed)


def confusion_mode(
    model: DawidSkene,
    table: Table,
    *,
    prior: bool,
    tolerance: float,
    max_iterations: int,
    starts: int = 1,
    seed: int = 0,
) -> ConfusionMode:
    """EM from the votes, and from votes mixed with chance for further starts; Newton's method from the best end.

    Args: As `truth_mode`.

    Source: Dempster, Laird & Rubin (1977), JRSS B 39, 1-38.
    """
    sums = confusion_sums(model, table, prior=prior)[0]
    n_categories, rng = len(table.categories), np.random.default_rng(seed)
    points = [voted_rows(sums, n_categories), *(random_rows(sums, n_categories, rng) for _ in range(starts - 1))]
    few = sums.prior.size - len(sums.prior) <= MOST_FREE
    near = _NEAR if few else THERE
    ends = [accelerated_em(sums, point, tolerance=near, max_iterations=max_iterations) for point in points]
    heights = np.array([end.value for end, *_ in ends])
    here, steps, moved = ends[int(np.argmax(heights >= heights.max() - _ALIKE))]
    if not prior and not len(sums.clamped[0]) and starts > 1:
        here = _named(sums, here)
    details = {
        "starts": float(starts),
        "starts_at_best": float((heights >= heights.max() - _ALIKE).sum()),
        "spread_of_maxima": float(np.ptp(heights)),
    }
    details = details if starts > 1 else {}
    free = free_rows(here, hold=not prior)
    maximum = None
    for _ in range(_RELEASES if few else 0):
        here, maximum = top(sums, here, free, tolerance=tolerance, evaluations=steps, max_iterations=max_iterations)
        again = released(here, free)
        if maximum.converged and again is None:
            break
        # No maximum yet: EM goes on, from what should not have been held where there is any.
        near /= 100
        start = here.rows if again is None else again
        here, more, moved = accelerated_em(sums, start, tolerance=near, max_iterations=max_iterations)
        steps, free = steps + more, free_rows(here, hold=not prior)
    log_likelihood = here.value - float((sums.prior * np.log(here.rows)).sum())
    return ConfusionMode(here, free, maximum, steps, moved, details, log_likelihood)


def _named(sums: ConfusionSums, here: Expected) -> Expected:
    """The same maximum with its truths in the order in which labels agree most with them."""
    n_categories = here.rows.shape[1]
    said = here.counts[sums.n_groups :].reshape(-1, n_categories, n_categories).sum(axis=0)
    order = linear_sum_assignment(-said.T)[1]
    if np.array_equal(order, np.arange(n_categories)):
        return here
    judges = here.rows[sums.n_groups :].reshape(-1, n_categories, n_categories)[:, order]
    rows = np.concatenate([here.rows[: sums.n_groups][:, order], judges.reshape(-1, n_categories)])
    return sums.expect(maximised(rows, rows))
