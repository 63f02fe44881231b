"""The parameter space of a model on a table: specifications become bijectors once sizes and categories are known."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from psymetric.core.bijectors import (
    Anchored,
    Bijector,
    Centred,
    Fixed,
    Free,
    GeometricMeanOne,
    Ordered,
    Positive,
    Steps,
    Unit,
)
from psymetric.core.parameters import Block, ParameterSpace
from psymetric.errors import DataError, DesignError
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec, Table

__all__ = [
    "POPULATION_MEAN",
    "POPULATION_MEAN_PRIOR_SD",
    "POPULATION_SD",
    "SCALE_PRIOR_SD",
    "has_ability",
    "parameter_space",
    "step_groups",
]

POPULATION_MEAN, POPULATION_SD = "population_mean", "population_sd"

POPULATION_MEAN_PRIOR_SD = 5.0
SCALE_PRIOR_SD = 2.5
"""Half-normal scale, in logits, of the priors on the population sd and on the sd of a random facet."""


def has_ability(model: AbstractMeasurementModel) -> bool:
    """Whether the model has a subject parameter that can be integrated over."""
    return any(spec.name == ABILITY for spec in model.parameters)


def parameter_space(
    model: AbstractMeasurementModel, table: Table, *, ability: Literal["integrated", "free"]
) -> ParameterSpace:
    """Lay out the free vector of `model` on `table`.

    Args:
        model: The measurement model.
        table: Sizes the axes, and says which categories each step group uses.
        ability: "integrated" replaces the subject parameter by the mean and sd of its population; "free" keeps it.

    Raises:
        DesignError: An anchored level is not in the table.
    """
    blocks: list[Block] = []
    for spec in model.parameters:
        if spec.name != ABILITY:
            blocks += _blocks(spec, table)
        elif ability == "free":
            blocks.append(Block(ABILITY, Free((len(table.levels["subject"]),)), spec.prior_sd, None, spec.axes))
        elif model.population == "standard":
            blocks += [Block(POPULATION_MEAN, Fixed.build(0.0), 1.0), Block(POPULATION_SD, Fixed.build(1.0), 1.0)]
        else:
            blocks.append(Block(POPULATION_MEAN, Free(()), POPULATION_MEAN_PRIOR_SD))
            blocks.append(Block(POPULATION_SD, Positive(()), SCALE_PRIOR_SD, is_scale=True))
    return ParameterSpace(tuple(blocks))


def _blocks(spec: ParamSpec, table: Table) -> list[Block]:
    bijector = _bijector(spec, table)
    if not spec.random or bijector.size == 0:
        return [Block(spec.name, bijector, spec.prior_sd, None, spec.axes, spec.centre)]
    scale = f"{spec.name}_sd"
    return [
        Block(spec.name, bijector, spec.prior_sd, scale, spec.axes),
        Block(scale, Positive(()), SCALE_PRIOR_SD, is_scale=True),
    ]


def _bijector(spec: ParamSpec, table: Table) -> Bijector:
    if "step" in spec.axes and spec.identification == "sum_to_zero" and spec.support == "real":
        return Steps.build(step_groups(spec, table))
    shape = tuple(len(table.categories) - 1 if axis == "step" else len(table.levels[axis]) for axis in spec.axes)
    if spec.support == "positive":
        return GeometricMeanOne(shape) if spec.identification == "sum_to_zero" else Positive(shape)
    if spec.support == "unit":
        return Unit(shape)
    if spec.support == "ordered":
        return Ordered(shape)
    if spec.anchors:
        return Anchored.build(_anchor_values(spec, table))
    if spec.identification == "sum_to_zero":
        return Centred(shape)
    return Free(shape)


def _anchor_values(spec: ParamSpec, table: Table) -> NDArray[np.float64]:
    levels = table.levels[spec.axes[0]]
    values = np.full(len(levels), np.nan)
    place = {label: code for code, label in enumerate(levels)}
    if unknown := [label for label, _ in spec.anchors if label not in place]:
        raise DesignError(f"anchors of {spec.name!r} name {unknown}, not among its levels {list(levels)[:20]}")
    for label, value in spec.anchors:
        values[place[label]] = value
    return values


def step_groups(spec: ParamSpec, table: Table, *, keep: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Which categories each step group uses, shape (groups, categories), among all rows or those in `keep`.

    Raises:
        DataError: The whole table uses a single category.
    """
    n_categories = len(table.categories)
    owner = (
        np.zeros(len(table.response), np.int64) if len(spec.axes) == 1 else table.codes[spec.axes[0]].astype(np.int64)
    )
    n_groups = 1 if len(spec.axes) == 1 else len(table.levels[spec.axes[0]])
    cells = owner * n_categories + table.response
    weight = table.weight if keep is None else table.weight * keep
    counts = np.bincount(cells, weights=weight, minlength=n_groups * n_categories)
    used = counts.reshape(n_groups, n_categories) > 0
    if np.count_nonzero(used.any(axis=0)) < 2:
        raise DataError(
            f"all responses fall in one category ({table.categories[int(table.response[0])]}): nothing varies"
        )
    return used
