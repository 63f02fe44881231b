"""Maximum likelihood of a mixture of judges: its estimates, and the classes for which there are none."""

from __future__ import annotations

from typing import Any, cast

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.parameters import constrain
from psymetric.data.connectivity import connectivity
from psymetric.data.messages import counted, listing
from psymetric.data.pairs import PairTable
from psymetric.errors import IdentificationError
from psymetric.estimation.assemble import build_fit, uncertainty
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature
from psymetric.estimation.mixture_search import MixtureMode, mixture_mode
from psymetric.estimation.mixtures import memberships
from psymetric.models.base import Table
from psymetric.models.judge_mixture import JudgeMixture

__all__ = ["fit_mixture"]

Vector = NDArray[np.float64]


def fit_mixture(
    model: JudgeMixture, table: Table, engine: Any, *, tolerance: float, max_iterations: int, starts: int, seed: int
) -> Fit:
    """Fit a mixture of judges by EM from many starts and Newton's method at the best.

    Standard errors are from the exact observed information of the likelihood, classes summed out.

    Raises:
        IdentificationError: A class whose judges leave items only winning or only losing, named; no maximum.
    """
    found = mixture_mode(
        model, table, prior=False, tolerance=tolerance, max_iterations=max_iterations, starts=starts, seed=seed
    )
    space, maximum = found.problem.space, found.maximum
    parameters = {name: np.asarray(value) for name, value in constrain(space, maximum.point).items()}
    if not maximum.curvature.is_definite or maximum.curvature.null_directions().size:
        _check_classes(model, cast(PairTable, table), found, parameters)
        check_curvature(model, maximum, space, np.ones(space.size, bool), table)
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus.of_maximum(maximum, details=found.details),
        log_likelihood=maximum.value,
        n_parameters=space.size,
        parameters=parameters,
        uncertainty=uncertainty(space, maximum, parameters),
        penalised=False,
        notes=found.notes,
    )


def _check_classes(model: JudgeMixture, table: PairTable, found: MixtureMode, parameters: dict[str, Vector]) -> None:
    """Raise where the judges of a class leave items that only won or only lost, or are none."""
    probability = np.asarray(memberships(found.problem.sums, jax.device_put(parameters)))
    chosen, labels = probability.argmax(axis=1), table.levels[model.over]
    for k in range(model.classes):
        members = [label for label, own in zip(labels, (chosen == k).tolist(), strict=True) if own]
        what = f"class {k + 1} of {model.classes} holds {counted(len(members), model.over)}"
        mend = f"Use fewer classes than {model.classes}, or give them a prior: engine=MAP() or NUTS()."
        if not members:
            raise IdentificationError(f"{what}: nothing determines its worths. {mend}")
        graph = connectivity(table.select(model.over, members))
        compared = len(graph.subsets) if graph.n_strong == 1 else 0
        if compared < len(table.levels["item"]):
            raise IdentificationError(
                f"{what} ({listing(members)}), whose comparisons do not determine its worths. {graph.describe()} {mend}"
            )
