"""The posterior mode, and the normal approximation at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax
import numpy as np

from psymetric.core.parameters import constrain
from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.estimation.assemble import build_fit, uncertainty
from psymetric.estimation.curvature import penalty
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.multistart import Climbed, check_starts
from psymetric.estimation.nested_grid import nested_details
from psymetric.estimation.posterior import Mode, best_mode, fit_from_draws, whitening
from psymetric.estimation.truth_ml import fit_truth
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.dawid_skene import DawidSkene

__all__ = ["MAP", "Laplace"]


@final
@dataclass(frozen=True)
class MAP:
    """Mode of the posterior of all parameters, subjects integrated out (marginal Bayes modal estimation).

    The mode is taken on the unconstrained scale, where scales are logs. Standard errors are from the posterior's exact
    curvature. A penalised estimate, and the summary says so.

    Args:
        tolerance: Convergence: largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations.
        starts: Climbs, of which all but the first start from draws of the priors; the highest mode counts. For models
            with slopes, whose posterior may have several.
        seed: Seed of those draws.

    Source: Mislevy (1986), Psychometrika 51, 177-195.
    """

    tolerance: float = 1e-6
    max_iterations: int = 2_000
    starts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_starts(self, self.starts)

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        if isinstance(model, DawidSkene):
            return fit_truth(model, table, self, prior=True)
        with double_precision():
            climbed = _climb(self, model, table)
            mode = climbed.best
            space, found = mode.problem.space, mode.maximum
            point = jax.device_put(found.point)
            parameters = {name: np.asarray(value) for name, value in constrain(space, point).items()}
            return build_fit(
                model,
                table,
                self,
                status=_status(climbed),
                log_likelihood=found.value - penalty(mode.problem, point),
                n_parameters=space.size,
                parameters=parameters,
                uncertainty=uncertainty(space, found, parameters),
                penalised=True,
                notes=climbed.notes,
            )


@final
@dataclass(frozen=True)
class Laplace:
    """Normal approximation to the posterior at its mode on the unconstrained scale, by draws.

    Intervals are quantiles of the draws on the constrained scale, so that a scale's interval stays positive. Subjects
    are drawn from their exact conditional given each draw, so that their intervals carry the other parameters'
    uncertainty.

    Args:
        draws: Number of draws.
        seed: Seed of the random numbers.
        tolerance: Convergence of the mode: largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations.
        starts: Climbs, as for `MAP`. The approximation is at the highest mode and knows of no other.

    Source: Tierney & Kadane (1986), JASA 81, 82-86.
    """

    draws: int = 1_000
    seed: int = 0
    tolerance: float = 1e-6
    max_iterations: int = 2_000
    starts: int = 1

    def __post_init__(self) -> None:
        check_starts(self, self.starts)
        if self.draws < 2:
            raise DataError(f"Laplace(draws={self.draws}) needs at least 2 draws")

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        with double_precision():
            climbed = _climb(self, model, table)
            mode, found = climbed.best, climbed.best.maximum
            root = whitening(found.curvature.schur)
            noise = np.random.default_rng(self.seed).standard_normal((self.draws, len(found.point)))
            free = (found.point + noise @ root.T)[None]
            return fit_from_draws(
                model,
                table,
                self,
                mode.for_draws().problem,
                free,
                status=_status(climbed),
                seed=self.seed,
                notes=climbed.notes,
            )


def _climb(engine: MAP | Laplace, model: AbstractMeasurementModel, table: Table) -> Climbed[Mode]:
    return best_mode(
        model,
        table,
        tolerance=engine.tolerance,
        max_iterations=engine.max_iterations,
        starts=engine.starts,
        seed=engine.seed,
    )


def _status(climbed: Climbed[Mode]) -> FitStatus:
    found = climbed.best.maximum
    details = {**climbed.details, **nested_details(climbed.best.problem, found.point)}
    return FitStatus.of_maximum(found, " to the posterior mode", details)
