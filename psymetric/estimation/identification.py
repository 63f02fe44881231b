"""What a design determines, checked before and after fitting, and named when it does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from psymetric.core.parameters import ParameterSpace
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.curvature import Information
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import has_ability

__all__ = ["check_curvature", "check_table", "require_ability"]

_SHOWN = 6


def require_ability(model: AbstractMeasurementModel, engine: str) -> None:
    """Raise DesignError for models without subjects to integrate over."""
    if not has_ability(model):
        raise DesignError(
            f"{engine} integrates over subjects, and {type(model).__name__} has none: use JointML() for plain maximum "
            "likelihood, or MAP(), Laplace(), NUTS()"
        )


def check_table(model: AbstractMeasurementModel, table: Table) -> None:
    """Raise when the table lacks what the model reads.

    Raises:
        DataError: The wrong kind of table, or a facet that is not one of its columns.
    """
    kind = "pairs" if "left" in table.codes else "responses"
    name = type(model).__name__
    if kind != model.table_kind:
        wanted = {"pairs": "a PairTable", "responses": "a ResponseTable"}[model.table_kind]
        raise DataError(f"{name} needs {wanted}, got a {type(table).__name__}")
    if missing := [facet for facet in model.facets if facet not in table.codes]:
        others = [facet for facet in table.codes if facet != "subject"]
        raise DataError(f"{name} reads facet {missing[0]!r}, which the table does not have: its facets are {others}")
    model.check(table)


def check_curvature(curvature: Information, space: ParameterSpace, active: NDArray[np.bool_], table: Table) -> None:
    """Raise IdentificationError naming the parameters along which the likelihood is flat."""
    null = curvature.null_directions()
    if not null.size:
        return
    names: list[str] = []
    place = np.flatnonzero(active)[-len(null) :]
    where = space.slices()
    for block in space.blocks:
        inside = (place >= where[block.name].start) & (place < where[block.name].stop)
        weight = np.abs(null[inside]).max(initial=0.0)
        if weight > 0.05:
            names.append(f"{block.name!r} ({weight:.2f})")
    raise IdentificationError(
        f"the data do not determine {null.shape[1]} direction(s) of the parameters; they involve {', '.join(names[:_SHOWN])}. "
        "A level whose responses are all in the lowest or all in the highest category, or two facets that never cross, do "
        "this: leave such levels out, cross the design, anchor levels, or use MAP() or NUTS(), whose priors decide what the "
        "data do not"
    )


def structural_specs(model: AbstractMeasurementModel) -> list[str]:
    """Names of the facets whose locations are estimated."""
    return [
        spec.name
        for spec in model.parameters
        if spec.name != ABILITY and len(spec.axes) == 1 and "step" not in spec.axes
    ]
