"""Maximum likelihood of latent-truth models, truths summed out."""

from __future__ import annotations

from typing import Any

import numpy as np

from psymetric.core.parameters import constrain
from psymetric.estimation.assemble import build_fit, uncertainty
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature
from psymetric.estimation.truth_search import truth_mode
from psymetric.models.base import Table
from psymetric.models.truth import AbstractTruthModel

__all__ = ["fit_truth"]


def fit_truth(
    model: AbstractTruthModel,
    table: Table,
    engine: Any,
    *,
    tolerance: float,
    max_iterations: int,
    starts: int,
    seed: int,
) -> Fit:
    """Fit a latent-truth model by maximum likelihood; standard errors are from the exact observed information.

    Raises:
        IdentificationError: The likelihood has no maximum, or is flat in some direction, named.
    """
    climbed = truth_mode(
        model, table, prior=False, tolerance=tolerance, max_iterations=max_iterations, starts=starts, seed=seed
    )
    space, maximum = climbed.best.problem.space, climbed.best.maximum
    check_curvature(model, maximum, space, np.ones(space.size, bool), table)
    parameters = {name: np.asarray(value) for name, value in constrain(space, maximum.point).items()}
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus.of_maximum(maximum, details=climbed.details),
        log_likelihood=maximum.value,
        n_parameters=space.size,
        parameters=parameters,
        uncertainty=uncertainty(space, maximum, parameters),
        penalised=False,
        notes=climbed.notes,
    )
