"""The parameter space of a model on a table: specifications become bijectors once sizes and categories are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.bijectors import (
    Anchored,
    AnchoredScale,
    Bijector,
    Centred,
    Fixed,
    Free,
    GeometricMeanOne,
    Positive,
    Scaled,
    Unit,
)
from psymetric.core.courses import Course
from psymetric.core.parameters import Block, ParameterSpace
from psymetric.core.simplex import Simplex
from psymetric.core.steps import Ordered, Steps
from psymetric.data.coding import Label
from psymetric.errors import DataError, DesignError
from psymetric.models.base import ABILITY, DIMENSION, AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.covariates import by_level, check_spread, level_terms
from psymetric.models.population import Background, population_shape

__all__ = [
    "CORRELATION",
    "COVARIATE_MEAN",
    "COVARIATE_WEIGHT",
    "POPULATION_MEAN",
    "POPULATION_MEAN_PRIOR_SD",
    "POPULATION_SD",
    "SCALE_PRIOR_SD",
    "explained_blocks",
    "has_ability",
    "has_dimensions",
    "parameter_space",
    "require_one_dimension",
    "step_groups",
    "subject_moments",
    "term_names",
    "weight_name",
]

Matrix = NDArray[np.float64]

POPULATION_MEAN, POPULATION_SD, CORRELATION = "population_mean", "population_sd", "correlation"
COVARIATE_WEIGHT, COVARIATE_MEAN = "covariate_weight", "covariate_mean"

POPULATION_MEAN_PRIOR_SD = 5.0
SCALE_PRIOR_SD = 2.5
"""Half-normal scale, in logits, of the priors on the population sd and on the sd of a random facet."""


def has_ability(model: AbstractMeasurementModel) -> bool:
    """Whether the model has a subject parameter that can be integrated over."""
    return any(spec.name == ABILITY for spec in model.parameters)


def has_dimensions(model: AbstractMeasurementModel) -> bool:
    """Whether the model measures subjects on several dimensions."""
    return any(spec.name == ABILITY and DIMENSION in spec.axes for spec in model.parameters)


def require_one_dimension(model: AbstractMeasurementModel, who: str) -> None:
    """Raise DesignError for models that measure subjects on several dimensions."""
    if has_dimensions(model):
        raise DesignError(
            f"{who} is for one dimension, and {type(model).__name__} measures several: fit one dimension at a time, "
            "with psymetric.fit_each(model, table, by=...), or table.select('item', ...)"
        )


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
        DataError: Columns of the population that do not tell its parameters apart.
    """
    blocks: list[Block] = []
    for spec in model.parameters:
        if spec.name == ABILITY and ability == "free":
            shape = tuple(len(model.levels(table)[axis]) for axis in spec.axes)
            blocks.append(Block(ABILITY, Free(shape), spec.prior_sd, None, spec.axes))
        elif (own := model.blocks(spec, table)) is not None:
            blocks += own
        elif spec.name != ABILITY:
            blocks += _blocks(spec, table, model.levels(table))
        else:
            blocks += _population_blocks(model, table)
    return ParameterSpace(tuple(blocks))


def subject_moments(params: Mapping[str, Array], known: Background | None) -> tuple[Array, Array]:
    """Mean and sd of the population each subject comes from: scalars, or of shape (subjects,)."""
    mean, sd = params[POPULATION_MEAN], params[POPULATION_SD]
    if known is None:
        return mean, sd
    mean, sd = (jnp.atleast_1d(value)[known.group] for value in (mean, sd))
    if COVARIATE_WEIGHT in params:
        mean = mean + (known.covariates - params[COVARIATE_MEAN]) @ params[COVARIATE_WEIGHT]
    return mean, sd


def _population_blocks(model: AbstractMeasurementModel, table: Table) -> list[Block]:
    found, groups = population_shape(model.population, table), model.population.groups
    shape = () if found.n_groups is None else (found.n_groups,)
    if model.scale == "items":
        mean, sd = Free(shape), Positive(shape)
    elif found.n_groups is None:
        mean, sd = Fixed.build(0.0), Fixed.build(1.0)
    else:
        first = np.array([True] + [False] * (found.n_groups - 1))
        mean, sd = Anchored.build(np.where(first, 0.0, np.nan)), AnchoredScale.build(np.where(first, 1.0, np.nan))
    labels = () if groups is None else (groups,)
    blocks = [
        Block(POPULATION_MEAN, mean, POPULATION_MEAN_PRIOR_SD, labels=labels),
        Block(POPULATION_SD, sd, SCALE_PRIOR_SD, labels=labels, is_scale=sd.size > 0),
    ]
    if found.terms:
        weight = Scaled((len(found.terms),), jax.device_put(1 / found.sd))
        blocks.append(Block(COVARIATE_WEIGHT, weight, model.population.prior_sd, labels=(COVARIATE_WEIGHT,)))
        blocks.append(Block(COVARIATE_MEAN, Fixed.build(found.mean), 1.0, labels=(COVARIATE_WEIGHT,)))
    return blocks


def _blocks(spec: ParamSpec, table: Table, levels: Mapping[str, tuple[Label, ...]]) -> list[Block]:
    if spec.covariates:
        return explained_blocks(spec, table)
    bijector = _bijector(spec, table, levels)
    if spec.support == "scale":
        return [Block(spec.name, bijector, spec.prior_sd, None, spec.axes, is_scale=True)]
    if not spec.random or bijector.size == 0:
        return [Block(spec.name, bijector, spec.prior_sd, None, spec.axes, spec.centre)]
    scale = f"{spec.name}_sd"
    return [
        Block(spec.name, bijector, spec.prior_sd, scale, spec.axes),
        Block(scale, Positive(()), SCALE_PRIOR_SD, is_scale=True),
    ]


def explained_blocks(spec: ParamSpec, table: Table, *, group: str | None = None) -> list[Block]:
    """Weights of the covariates, and the facet they add up to.

    Args:
        spec: A facet with covariates, or a group, or both.
        table: Has their columns.
        group: Column whose levels have a parameter of that name, placed before this one, which is added as well.
    """
    facet, scale = spec.axes[0], f"{spec.name}_sd"
    blocks, sources = list[Block](), dict[str, Matrix]()
    if spec.covariates:
        names, terms = level_terms(table, facet, spec.covariates)
        check_spread(names, terms, np.ones((len(terms), 1)), facet)
        weight = weight_name(spec.name)
        blocks.append(
            Block(weight, Scaled((len(names),), jax.device_put(1 / terms.std(axis=0))), spec.prior_sd, labels=(weight,))
        )
        sources[weight] = terms
    if group is not None:
        sources[group] = np.eye(len(table.levels[group]))[by_level(table, group, facet)]
    # Centred like the facet itself, so that the origin stays where it was; a free one has its origin at zero.
    centred = spec.identification == "sum_to_zero"
    design = tuple(jax.device_put(terms - centred * terms.mean(axis=0)) for terms in sources.values())
    names, n_levels = tuple(sources), len(table.levels[facet])
    if not spec.random:
        nothing = Fixed.build(np.zeros(n_levels))
        return [*blocks, Block(spec.name, nothing, 1.0, None, spec.axes, weights=names, design=design)]
    residual = Centred((n_levels,))
    return [
        *blocks,
        Block(spec.name, residual, spec.prior_sd, scale, spec.axes, spec.centre, weights=names, design=design),
        Block(scale, Positive(()), SCALE_PRIOR_SD, is_scale=True),
    ]


def weight_name(facet: str) -> str:
    """Name of the parameter that holds the weights of a facet's covariates."""
    return f"{facet}_weight"


def term_names(model: AbstractMeasurementModel, table: Table) -> dict[str, tuple[str, ...]]:
    """The terms that covariates make, by the name of the parameter that holds their weights."""
    owners = {COVARIATE_WEIGHT: ("subject", model.population.covariates)}
    owners |= {weight_name(spec.name): (spec.axes[0], spec.covariates) for spec in model.parameters if spec.covariates}
    return {name: level_terms(table, *owner)[0] for name, owner in owners.items() if owner[1]}


def _times(labels: tuple[Label, ...]) -> NDArray[np.float64]:
    """Occasions as numbers: their labels where these are numbers, else their places."""
    if all(isinstance(label, (int, float)) for label in labels):
        return np.array(labels, np.float64)
    return np.arange(len(labels), dtype=np.float64)


def _bijector(spec: ParamSpec, table: Table, levels: Mapping[str, tuple[Label, ...]]) -> Bijector:
    if "step" in spec.axes and spec.identification == "sum_to_zero" and spec.support == "real":
        return Steps.build(step_groups(spec, table))
    if spec.course:
        build = Course.walk if spec.course == "walk" else Course.line
        first, second = (table.levels[axis] for axis in spec.axes)
        return build(len(first), _times(second), centred=spec.identification == "sum_to_zero")
    shape = tuple(len(table.categories) - 1 if axis == "step" else len(levels[axis]) for axis in spec.axes)
    if spec.support == "scale":
        return Positive(shape)
    if spec.support == "positive":
        return GeometricMeanOne(shape) if spec.identification == "sum_to_zero" else Positive(shape)
    if spec.support == "unit":
        return Unit(shape)
    if spec.support == "simplex":
        return Simplex(shape)
    if spec.support == "ordered":
        return Ordered.build(step_groups(spec, table))
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
