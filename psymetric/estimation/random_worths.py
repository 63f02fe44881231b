"""Models of comparisons with random worths, families or walks: integrated out by Laplace's method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import constrain
from psymetric.estimation.assemble import build_fit, uncertainty
from psymetric.estimation.curvature import Information
from psymetric.estimation.empirical_bayes import LEAST_SD, estimate_scales, random_mask, scale_mask
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature
from psymetric.estimation.marginal import Climb
from psymetric.estimation.problems import joint_problem
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["fit_random_worths"]


def fit_random_worths(
    model: AbstractMeasurementModel, table: Table, engine: Any, *, tolerance: float, max_iterations: int
) -> Fit:
    """Fit a model without subjects: sds by `estimate_scales`, everything else at the mode given them.

    The log-likelihood has the random levels integrated out by Laplace's method.

    Args:
        model: Has parameters whose levels are draws from N(0, sd²).
        table: Comparisons.
        engine: Whose name and settings the fit carries.
        tolerance: Largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations, and on Newton steps.

    Source: Breslow & Clayton (1993), JASA 88, 9-25, sections 2.1 and 2.3.
    """
    problem = joint_problem(model, table, prior=False)
    space = problem.space
    active = ~scale_mask(space)
    near, evaluations = Climb(problem, space.start(), active).ascend(max_iterations)

    def reach(
        start: NDArray[np.float64], known: tuple[Information, NDArray[np.float64]] | None = None
    ) -> Maximum[Information]:
        return Climb(problem, start, active).polish(tolerance, evaluations, max_iterations, known=known)

    found = reach(near)
    check_curvature(model, found, space, active, table)
    scales = estimate_scales(space, found, active, reach)
    top = scales.maximum.point
    maximum = replace(scales.maximum, curvature=Climb(problem, top, active).curvature(top[active]), origin=top)
    random = random_mask(space)
    parameters = {name: np.asarray(value) for name, value in constrain(space, maximum.point).items()}
    known = uncertainty(space, maximum, parameters, active)
    for name, error in scales.log_sd_errors.items():
        known.standard_errors[name] = parameters[name] * error
    spread = np.linalg.slogdet(maximum.curvature.schur[np.ix_(random[active], random[active])])[1]
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus.of_maximum(maximum),
        log_likelihood=maximum.value - 0.5 * float(spread),
        n_parameters=space.size - int(random.sum()),
        parameters=parameters,
        uncertainty=known,
        penalised=False,
        notes=tuple(
            f"{name} is at its lower bound of {LEAST_SD} logits: its levels differ no more than chance lets them, and "
            "it has no standard error"
            for name in scales.at_bound
        ),
    )
