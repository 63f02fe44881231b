"""The mode of a latent-truth model, with or without its priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.estimation.curvature import Information
from psymetric.estimation.marginal import climb
from psymetric.estimation.multistart import Climbed, climb_from_each
from psymetric.estimation.truth import TruthProblem, truth_problem
from psymetric.models.base import Table
from psymetric.models.truth import AbstractTruthModel

__all__ = ["TruthMode", "truth_mode"]

Vector = NDArray[np.float64]


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

    def from_start(chosen: Vector | None) -> TruthMode:
        first = problem.space.start() if start is None else start
        point = first if chosen is None else chosen
        return TruthMode(problem, climb(problem, point, tolerance=tolerance, max_iterations=max_iterations))

    return climb_from_each(from_start, lambda mode: mode.maximum.value, starts=starts, seed=seed)
