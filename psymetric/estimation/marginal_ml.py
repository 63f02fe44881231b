"""Marginal maximum likelihood: subjects integrated out, every other parameter at its maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
import numpy as np

from psymetric.core.precision import double_precision
from psymetric.estimation.assemble import build_fit, constrain, constrained_uncertainty
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature, require_ability
from psymetric.estimation.marginal import MarginalSolution, solve_marginal
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["MarginalML", "marginal_fit"]


@final
@dataclass(frozen=True)
class MarginalML:
    """Marginal maximum likelihood with a normal population of subjects (Bock & Aitkin, 1981).

    Subjects are integrated over an equally spaced grid that is refined until its spacing resolves the narrowest
    posterior; the maximum is reached by L-BFGS and Newton steps on the exact Hessian, whose inverse gives the
    standard errors (observed information, not the complete-data one). Random facets are estimated by empirical Bayes:
    their sd by EM with a normal approximation to the levels' posterior, the log-likelihood by Laplace's method.

    Args:
        tolerance: Convergence: largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations.

    Source: Bock & Aitkin (1981), Psychometrika 46, 443-459; Louis (1982), JRSS B 44, 226-233.
    """

    tolerance: float = 1e-6
    max_iterations: int = 2_000

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        require_ability(model, type(self).__name__)
        with double_precision():
            found = solve_marginal(
                model, table, prior=False, tolerance=self.tolerance, max_iterations=self.max_iterations
            )
            check_curvature(found.maximum.curvature, found.problem.space, found.active, table)
            return marginal_fit(model, table, self, found, penalised=False)


def marginal_fit(
    model: AbstractMeasurementModel, table: Table, engine: object, found: MarginalSolution, *, penalised: bool
) -> Fit:
    """Label a marginal mode."""
    space, maximum = found.problem.space, found.maximum
    errors, covariances = constrained_uncertainty(
        space, maximum.point, maximum.curvature.covariance(), np.flatnonzero(found.active)
    )
    random = sum(block.bijector.size for block in space.blocks if block.scale is not None)
    details = {"last_step": maximum.last_step, "nodes": float(len(found.problem.nodes))}
    message = f"last Newton step {maximum.last_step:.1e} logits on {len(found.problem.nodes)} nodes"
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus(maximum.converged, message, maximum.iterations, details),
        log_likelihood=found.log_likelihood,
        n_parameters=space.size - random,
        parameters=constrain(space, jnp.asarray(maximum.point)),
        standard_errors=errors,
        covariances=covariances,
        penalised=penalised,
    )
