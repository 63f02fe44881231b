"""Elements with an extreme score: all responses in the lowest or all in the highest category in reach.

Their maximum-likelihood estimate is infinite. They are set aside before joint estimation, round after round because
setting one aside can make another extreme, and get a finite estimate afterwards from a score moved inwards by a
fraction of a point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import distinct
from psymetric.data.coding import Label, code_names
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import step_groups

__all__ = ["Rows", "adjusted_estimates", "find_extremes", "reach"]

Vector = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Rows:
    """Part of a table, its levels coded anew; satisfies `Table`."""

    codes: Mapping[str, NDArray[np.int32]]
    levels: Mapping[str, tuple[Label, ...]]
    response: NDArray[np.int32]
    weight: Vector
    categories: tuple[Label, ...]
    notes: tuple[str, ...]
    hash: object

    @classmethod
    def of(cls, table: Table, keep: NDArray[np.bool_]) -> Rows:
        """The rows in `keep`, shape (rows,)."""
        codes, levels = dict(table.codes), dict(table.levels)
        for facet, labels in table.levels.items():
            columns = code_names(codes, facet)
            present = distinct(np.concatenate([table.codes[column][keep] for column in columns]), len(labels))
            recode = np.full(len(labels), -1, np.int32)
            recode[present] = np.arange(len(present))
            for column in columns:
                codes[column] = recode[table.codes[column][keep]]
            levels[facet] = tuple(labels[code] for code in present)
        return cls(codes, levels, table.response[keep], table.weight[keep], table.categories, table.notes, table.hash)


def find_extremes(
    model: AbstractMeasurementModel, table: Table, facets: tuple[str, ...]
) -> tuple[NDArray[np.bool_], dict[str, tuple[str, ...]]]:
    """Rows free of extreme elements, and by facet "minimum", "maximum" or "" per level.

    Anchored levels have their value whatever their score, and the only level of a facet is fixed at zero.

    Args:
        model: Says which steps a row has, and what is anchored.
        table: Responses.
        facets: Facets to look at, "subject" among them or not.
    """
    facets = tuple(facet for facet in facets if facet == "subject" or len(table.levels[facet]) > 1)
    anchored = {spec.name: {label for label, _ in spec.anchors} for spec in model.parameters}
    free = {
        facet: np.array([label not in anchored.get(facet, ()) for label in table.levels[facet]]) for facet in facets
    }
    sides = {facet: np.full(len(table.levels[facet]), "", dtype="<U7") for facet in facets}
    keep, found = table.weight > 0, True
    while found and keep.any():
        found = False
        low, high = reach(model, table, keep)
        rows = keep, keep & (table.response == low), keep & (table.response == high)
        for facet in facets:
            n_levels = len(table.levels[facet])
            present, at_low, at_high = (
                np.bincount(table.codes[facet], weights=chosen, minlength=n_levels) for chosen in rows
            )
            for side, count in (("minimum", at_low), ("maximum", at_high)):
                extreme = (present > 0) & (count == present) & (sides[facet] == "") & free[facet]
                sides[facet][extreme] = side
                found |= bool(extreme.any())
        for facet in facets:
            keep = keep & (sides[facet][table.codes[facet]] == "")
    return keep, {facet: tuple(side.tolist()) for facet, side in sides.items()}


def reach(
    model: AbstractMeasurementModel, table: Table, keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest category that each row's step group uses among the kept rows."""
    steps = next((spec for spec in model.parameters if "step" in spec.axes), None)
    if steps is None:
        n_rows = len(table.response)
        return np.zeros(n_rows, np.int64), np.full(n_rows, len(table.categories) - 1, np.int64)
    used = step_groups(steps, table, keep=keep)
    low, high = used.argmax(axis=1), used.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
    group = table.codes[steps.axes[0]] if len(steps.axes) == 2 else np.zeros(len(table.response), np.int64)
    return low[group], high[group]


def adjusted_estimates(
    model: AbstractMeasurementModel,
    table: Table,
    params: Mapping[str, Vector],
    facet: str,
    sides: tuple[str, ...],
    rows: NDArray[np.bool_],
    *,
    adjustment: float,
) -> tuple[Vector, Vector]:
    """Estimates and standard errors of the extreme levels of one facet, others as they are.

    Args:
        model: The model.
        table: The whole table.
        params: Arrays over the whole table's levels; NaN where an element is itself not yet estimated.
        facet: Facet whose extreme levels are sought.
        sides: "minimum", "maximum" or "" per level.
        rows: Rows to use: those whose other elements have estimates.
        adjustment: Score points by which an extreme score is moved inwards.
    """
    name = ABILITY if facet == "subject" else facet
    sign = 1.0 if facet == "subject" else -1.0
    # The others' responses say nothing of them.
    rows = rows & (np.array(sides) != "")[table.codes[facet]]
    codes = {column: jax.device_put(table.codes[column][rows]) for column in ("subject", *model.facets)}
    owner, weight = table.codes[facet][rows], table.weight[rows]
    n_levels, n_categories = len(sides), len(table.categories)
    low, high = (side[rows] for side in reach(model, table, table.weight > 0))

    def total(values: NDArray[Any]) -> Vector:
        return np.bincount(owner, weights=weight * values, minlength=n_levels).astype(np.float64)

    target = np.where(np.array(sides) == "minimum", total(low) + adjustment, total(high) - adjustment)
    lower, upper = np.full(n_levels, -40.0), np.full(n_levels, 40.0)
    variance = np.ones(n_levels)
    for _ in range(60):
        middle = (lower + upper) / 2
        trial = jax.device_put(dict(params))
        trial[name] = jax.device_put(np.where(np.array(sides) == "", params[name], sign * middle))
        probability = np.exp(np.asarray(model.category_log_probs(trial, codes, n_categories)))
        expected = probability @ np.arange(n_categories)
        variance = total(probability @ np.arange(n_categories) ** 2 - expected**2)
        below = total(expected) < target
        lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
    with np.errstate(divide="ignore"):
        return sign * (lower + upper) / 2, 1.0 / np.sqrt(variance)
