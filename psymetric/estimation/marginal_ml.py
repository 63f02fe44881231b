"""Marginal maximum likelihood: subjects integrated out, every other parameter at its maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.estimation.assemble import build_fit, constrain, uncertainty
from psymetric.estimation.empirical_bayes import LEAST_SD
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature, check_extremes, crowded_notes, require_ability
from psymetric.estimation.integrated import solve_integrated
from psymetric.estimation.marginal import MarginalSolution
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.space import CORRELATION, POPULATION_SD

__all__ = ["MarginalML"]


@final
@dataclass(frozen=True)
class MarginalML:
    """Marginal maximum likelihood with a normal population of subjects (Bock & Aitkin, 1981).

    Subjects are integrated over an equally spaced grid that is refined until its spacing resolves the narrowest
    posterior; the maximum is reached by L-BFGS and Newton steps on the exact Hessian, whose inverse gives the
    standard errors (observed information, not the complete-data one). Random facets are estimated by empirical Bayes:
    their sd and the log-likelihood by Laplace's method. An sd whose maximum is at zero is held at 0.01 and noted.

    Args:
        tolerance: Convergence: largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations, and on Newton steps.

    Source: Bock & Aitkin (1981), Psychometrika 46, 443-459; Louis (1982), JRSS B 44, 226-233.
    """

    tolerance: float = 1e-6
    max_iterations: int = 2_000

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        require_ability(model, type(self).__name__)
        check_extremes(model, table)
        with double_precision():
            found = solve_integrated(
                model, table, prior=False, tolerance=self.tolerance, max_iterations=self.max_iterations
            )
            check_curvature(found.maximum, found.problem.space, found.active, model.levels(table))
            return _label(model, table, self, found)


def _label(model: AbstractMeasurementModel, table: Table, engine: MarginalML, found: MarginalSolution) -> Fit:
    space, maximum = found.problem.space, found.maximum
    parameters = {name: np.asarray(value) for name, value in constrain(space, jnp.asarray(maximum.point)).items()}
    errors, covariances = _uncertainty(found, parameters)
    random = sum(block.bijector.size for block in space.blocks if block.scale is not None)
    held = (POPULATION_SD,) if found.population_sd_held else ()
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus(
            maximum.converged,
            f"last Newton step {maximum.last_step:.1e} logits on {found.problem.grid}",
            maximum.iterations,
            {"last_step": maximum.last_step, **found.problem.grid_details},
        ),
        log_likelihood=found.log_likelihood,
        n_parameters=space.size - random,
        parameters=parameters,
        standard_errors=errors,
        covariances=covariances,
        penalised=False,
        notes=crowded_notes(model, table)
        + found.notes
        + tuple(
            f"{name} is at its lower bound of {LEAST_SD} logits: its levels differ no more than chance lets them, and "
            "it has no standard error"
            for name in (*held, *found.at_bound)
        ),
    )


def _uncertainty(
    found: MarginalSolution, parameters: dict[str, NDArray[np.float64]]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Standard errors and covariances, those of the sds of random facets from their own likelihood."""
    errors, covariances = uncertainty(found.problem.space, found.maximum, parameters, found.active)
    for name, error in found.log_sd_errors:
        errors[name] = parameters[name] * error
    if CORRELATION in errors:
        held = ~found.active[found.problem.space.slices()[CORRELATION]]
        i, j = (places[held] for places in np.tril_indices(len(errors[CORRELATION]), -1))
        errors[CORRELATION][i, j] = errors[CORRELATION][j, i] = np.nan
    if found.population_sd_held:
        errors[POPULATION_SD] = np.full((), np.nan)
    return errors, covariances
