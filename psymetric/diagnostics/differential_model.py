"""A measurement model with a shift, and a ratio of slopes or shifts of steps, for every level in every focal group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.data.coding import Label
from psymetric.data.responses import ResponseTable
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec, Table

__all__ = [
    "CELL",
    "IMPACT_LOG_SD",
    "IMPACT_MEAN",
    "SHIFT",
    "SLOPE",
    "Cells",
    "DifferentialModel",
    "has_steps",
    "is_slope",
    "step_names",
]

CELL, _NONE = "differential cell", "none"
SHIFT, SLOPE, _STEP = "differential shift", "differential slope", "differential step"
IMPACT_MEAN, IMPACT_LOG_SD = "impact mean", "impact log sd"


def is_slope(spec: ParamSpec) -> bool:
    """Whether a parameter multiplies the distance between a subject and a level."""
    return bool(spec.axes) and spec.unit == "slope"


def has_steps(model: AbstractMeasurementModel) -> bool:
    """Whether a model has steps between neighbouring categories, whose logits a step's shift moves."""
    return any(
        "step" in spec.axes and spec.support == "real" and spec.identification == "sum_to_zero"
        for spec in model.parameters
    )


def step_names(n_categories: int) -> tuple[str, ...]:
    """Parameters that move a cell's steps apart: all but the first, which is minus the sum of the others."""
    return tuple(f"{_STEP} {step}" for step in range(2, n_categories))


@final
@dataclass(frozen=True)
class Cells:
    """The combinations of level and focal group that may function differently.

    Attributes:
        level: Code of the level in its facet, shape (cells,).
        group: Code of the focal group, shape (cells,).
        labels: What messages call them, shape (cells,).
    """

    level: NDArray[np.int64]
    group: NDArray[np.int64]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, table: ResponseTable, facet: str, group: str, wanted: NDArray[np.bool_]) -> Cells:
        """The cells marked in `wanted`, shape (levels, groups)."""
        level, focal = np.nonzero(wanted)
        names = [f"{table.levels[facet][i]} × {table.levels[group][g]}" for i, g in zip(level, focal, strict=True)]
        return cls(level, focal, tuple(names))

    def mark(self, table: ResponseTable, facet: str, group: str) -> ResponseTable:
        """The table with a further facet that says which cell a row is in."""
        place = np.zeros((len(table.levels[facet]), len(table.levels[group])), np.int32)
        place[self.level, self.group] = np.arange(1, len(self.labels) + 1)
        codes = {**table.codes, CELL: place[table.codes[facet], table.codes[group]]}
        levels = {**table.levels, CELL: (_NONE, *self.labels)}
        return replace(table, codes=codes, levels=levels, missing=table.missing.assign(**{CELL: _NONE}))


@final
@dataclass(frozen=True)
class DifferentialModel(AbstractMeasurementModel):
    r"""A model whose levels may function differently in focal groups, and whose groups have populations of their own.

    In a cell with shift s and log ratio of slopes r a subject of ability θ responds as, in the reference group, one of
    ability $\lambda + e^r(\theta - \lambda - s)$, where λ is the location of the response (difficulty, plus severity):
    the slope becomes $e^r$ times what it was, the location $\lambda + s$, and steps keep their distance in logits.
    Where steps move instead, the logit of category k against the one below loses the slope times $s + \delta_k$,
    with $\sum_k \delta_k = 0$ (Penfield, 2007, by adjacent categories).

    Focal groups have a mean and an sd of their own, as in `Population(groups=...)`: a subject's ability is a linear
    function of one drawn as in the reference group. Written so, all subjects share one grid, the reference group
    keeps the model's own scale whichever it is, and the information has its quick form.

    Attributes:
        base: The model without it.
        group: The facet of the groups.
        reference: Its level that the others are compared with.
        shapes: Names of the cells' parameters besides the shift: that of the slope, those of the steps, or none.
        prior_sd: Scale in logits of the normal prior on shifts, around 0.
        slope_prior_sd: Scale of the normal prior on the logs of the ratios.

    Source: Penfield (2007), Journal of Educational Measurement 44, 187-210.
    """

    base: AbstractMeasurementModel
    group: str
    reference: Label
    shapes: tuple[str, ...] = ()
    prior_sd: float = 0.5
    slope_prior_sd: float = 0.25

    @property
    def with_slopes(self) -> bool:
        """Whether cells have ratios of slopes."""
        return SLOPE in self.shapes

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs", "rankings"]:
        return self.base.table_kind

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return (*self.base.facets, self.group, CELL)

    @property
    @override
    def scale(self) -> Literal["items", "subjects"]:
        return self.base.scale

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        at_zero, alike = ((_NONE, 0.0),), ((self.reference, 0.0),)
        shift = ParamSpec(SHIFT, (CELL,), anchors=at_zero, prior_sd=self.prior_sd)
        shapes = [
            ParamSpec(name, (CELL,), anchors=at_zero, prior_sd=self.slope_prior_sd, unit="log slope")
            if name == SLOPE
            else ParamSpec(name, (CELL,), anchors=at_zero, prior_sd=self.prior_sd)
            for name in self.shapes
        ]
        return (
            *self.base.parameters,
            ParamSpec(IMPACT_MEAN, (self.group,), anchors=alike, prior_sd=5.0),
            ParamSpec(IMPACT_LOG_SD, (self.group,), anchors=alike, prior_sd=1.0, unit="log sd"),
            shift,
            *shapes,
        )

    @override
    def n_outcomes(self, n_categories: int) -> int:
        return self.base.n_outcomes(n_categories)

    @override
    def check(self, table: Table) -> None:
        self.base.check(table)

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        group, cell = codes[self.group], codes[CELL]
        ability = params[IMPACT_MEAN][group] + jnp.exp(params[IMPACT_LOG_SD][group]) * params[ABILITY][codes["subject"]]
        ability = ability - params[SHIFT][cell]
        if self.with_slopes:
            location = self.location(params, codes)
            ability = location + jnp.exp(params[SLOPE][cell]) * (ability - location)
        every = jnp.arange(ability.shape[0])
        log_probs = self.base.category_log_probs(
            {**params, ABILITY: ability}, {**codes, "subject": every}, n_categories
        )
        if not self.shapes or self.with_slopes:
            return log_probs
        later = jnp.stack([params[name][cell] for name in self.shapes], axis=1)
        steps = jnp.concatenate([-later.sum(axis=1, keepdims=True), later], axis=1)
        slope = jnp.broadcast_to(self.discrimination(params, codes), ability.shape)
        return jax.nn.log_softmax(
            log_probs - slope[:, None] * jnp.pad(jnp.cumsum(steps, axis=1), ((0, 0), (1, 0))), axis=1
        )

    def location(self, params: Mapping[str, Array], codes: Mapping[str, Array]) -> Array:
        """Where on the subjects' scale each response is decided in the reference group, shape (responses,)."""
        return sum(
            (params[spec.name][_places(spec, codes)] for spec in self.base.parameters if spec.is_location),
            start=jnp.zeros(()),
        )

    def discrimination(self, params: Mapping[str, Array], codes: Mapping[str, Array]) -> Array:
        """What a logit of ability is worth in each response of the reference group, shape (responses,) or ()."""
        found = jnp.ones(())
        for spec in self.base.parameters:
            if is_slope(spec):
                found = found * params[spec.name][_places(spec, codes)]
        return found


def _places(spec: ParamSpec, codes: Mapping[str, Array]) -> tuple[Array, ...]:
    return tuple(codes[axis] for axis in spec.axes)
