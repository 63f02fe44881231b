"""Marginal maximum likelihood: subjects integrated out, every other parameter at its maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.parameters import ParameterSpace, constrain
from psymetric.core.precision import double_precision
from psymetric.estimation.assemble import Uncertainty, build_fit, uncertainty
from psymetric.estimation.empirical_bayes import LEAST_SD
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature, check_extremes, crowded_notes, require_ability
from psymetric.estimation.integrated import solve_integrated
from psymetric.estimation.marginal import MarginalSolution
from psymetric.estimation.multistart import Climbed, check_starts, climb_from_each
from psymetric.estimation.nested_grid import nested_details
from psymetric.estimation.sparse_marginal import SparseSolution, bordered_uncertainty, solve_sum_scores
from psymetric.estimation.truth_ml import fit_truth
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.space import CORRELATION
from psymetric.models.truth import AbstractTruthModel

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
        starts: Climbs, of which all but the first start from draws of the priors; the highest maximum counts. For
            models with slopes, whose likelihood may have several.
        seed: Seed of those draws.

    Source: Bock & Aitkin (1981), Psychometrika 46, 443-459; Louis (1982), JRSS B 44, 226-233.
    """

    tolerance: float = 1e-6
    max_iterations: int = 2_000
    starts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_starts(self, self.starts)

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        if isinstance(model, AbstractTruthModel):
            return fit_truth(model, table, self, prior=False)
        require_ability(model, type(self).__name__)
        check_extremes(model, table)
        with double_precision():
            sparse = self._by_sums(model, table)
            if sparse is not None:
                every = np.ones(sparse.problem.space.size, bool)
                check_curvature(model, sparse.maximum, sparse.problem.space, every, table)
                return _label_sparse(model, table, self, sparse)
            climbed = climb_from_each(
                lambda start: solve_integrated(
                    model,
                    table,
                    prior=False,
                    tolerance=self.tolerance,
                    max_iterations=self.max_iterations,
                    start=start,
                ),
                lambda found: found.log_likelihood,
                starts=self.starts,
                seed=self.seed,
            )
            best = climbed.best
            check_curvature(model, best.maximum, best.problem.space, best.active, table)
            return _label(model, table, self, climbed)

    def _by_sums(self, model: AbstractMeasurementModel, table: Table) -> SparseSolution | None:
        """The mode for designs of very many levels; None for others, and for several starts."""
        if self.starts > 1:
            return None
        return solve_sum_scores(model, table, tolerance=self.tolerance, max_iterations=self.max_iterations)


def _label(
    model: AbstractMeasurementModel, table: Table, engine: MarginalML, climbed: Climbed[MarginalSolution]
) -> Fit:
    found = climbed.best
    space, maximum = found.problem.space, found.maximum
    parameters = _parameters(space, maximum.point)
    random = sum(block.bijector.size for block in space.blocks if block.scale is not None)
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus.of_maximum(
            maximum,
            f" on {found.problem.grid}",
            found.problem.grid_details | climbed.details | nested_details(found.problem, maximum.point),
        ),
        log_likelihood=found.log_likelihood,
        n_parameters=space.size - random,
        parameters=parameters,
        uncertainty=_uncertainty(found, parameters),
        penalised=False,
        notes=crowded_notes(model, table)
        + found.notes
        + climbed.notes
        + tuple(
            f"{name} is at its lower bound of {LEAST_SD} logits: its levels differ no more than chance lets them, and "
            "it has no standard error"
            for name in (*found.held, *found.at_bound)
        ),
    )


def _label_sparse(model: AbstractMeasurementModel, table: Table, engine: MarginalML, found: SparseSolution) -> Fit:
    space, maximum = found.problem.space, found.maximum
    parameters = _parameters(space, maximum.point)
    if maximum.converged:
        place, inverse = maximum.curvature.place, maximum.curvature.inverse()
        known = bordered_uncertainty(space, found.many, maximum.point, place, inverse)
    else:
        known = Uncertainty({name: np.full(value.shape, np.nan) for name, value in parameters.items()})
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus.of_maximum(
            maximum, f" on {len(found.problem.nodes)} nodes", {"nodes": float(len(found.problem.nodes))}
        ),
        log_likelihood=maximum.value,
        n_parameters=space.size,
        parameters=parameters,
        uncertainty=known,
        penalised=False,
        notes=crowded_notes(model, table),
    )


def _parameters(space: ParameterSpace, point: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {name: np.asarray(value) for name, value in constrain(space, point).items()}


def _uncertainty(found: MarginalSolution, parameters: dict[str, NDArray[np.float64]]) -> Uncertainty:
    """Uncertainty at the maximum, that of the sds of random facets from their own likelihood."""
    known = uncertainty(found.problem.space, found.maximum, parameters, found.active)
    for name, error in found.log_sd_errors:
        known.standard_errors[name] = parameters[name] * error
    if CORRELATION in parameters:
        errors = known.standard_errors[CORRELATION]
        held = ~found.active[found.problem.space.slices()[CORRELATION]]
        i, j = (places[held] for places in np.tril_indices(len(errors), -1))
        errors[i, j] = errors[j, i] = np.nan
    for name in found.held:
        known.standard_errors[name] = np.full((), np.nan)
    return known
