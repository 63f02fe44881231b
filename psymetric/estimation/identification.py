"""What a design determines, checked before and after fitting, and named when it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Curvature, Maximum
from psymetric.core.parameters import Block, ParameterSpace
from psymetric.data.coding import Label
from psymetric.data.rankings import RankingTable
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.boundaries import runaways
from psymetric.estimation.extremes import find_extremes, reach
from psymetric.estimation.suitability import use_instead
from psymetric.models.base import DIMENSION, AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.space import POPULATION_SD, has_ability, has_dimensions

__all__ = [
    "check_curvature",
    "check_dimensions",
    "check_extremes",
    "check_table",
    "crowded_notes",
    "moved_parameters",
    "require_ability",
    "require_one_population",
]

Levels = Mapping[str, tuple[Label, ...]]

_SHOWN = 6
_SHARE = 0.3
"""Parameters that move less than this share of the largest move go unnamed."""
_MANY_LEVELS, _FEW_RESPONSES = 100, 100
_NO_SPREAD = 0.1
"""Sd of a group or of a dimension in logits, under which the search is taken to follow it to zero."""
_MEND = (
    "Leave such levels out, anchor them, cross the design, declare the facet random, or use MAP(), Laplace() or "
    "NUTS(), whose priors decide what the data do not."
)


def require_ability(model: AbstractMeasurementModel, engine: str) -> None:
    """Raise DesignError for models without subjects to integrate over."""
    if not has_ability(model):
        raise DesignError(
            f"{engine} integrates over subjects, and {type(model).__name__} has none: {use_instead(model)}"
        )


def require_one_population(model: AbstractMeasurementModel, engine: str) -> None:
    """Raise DesignError for models whose subjects come from several populations, or have several abilities."""
    if has_dimensions(model):
        raise DesignError(
            f"{engine} is for one dimension, and {type(model).__name__} measures several: {use_instead(model)}"
        )
    if model.population.columns:
        raise DesignError(
            f"{engine} knows no population of subjects that {list(model.population.columns)} could tell apart: "
            f"{use_instead(model)}"
        )


def check_table(model: AbstractMeasurementModel, table: Table) -> None:
    """Raise when the table lacks what the model reads.

    Raises:
        DataError: The wrong kind of table, or a facet that is not one of its columns.
    """
    rankings = isinstance(table, RankingTable)
    kind = "pairs" if "left" in table.codes else "rankings" if rankings else "responses"
    name = type(model).__name__
    if kind != model.table_kind:
        kinds = {"pairs": "a PairTable", "responses": "a ResponseTable", "rankings": "a RankingTable"}
        wanted = kinds[model.table_kind]
        raise DataError(f"{name} needs {wanted}, got a {type(table).__name__}")
    if missing := [facet for facet in model.facets if facet not in table.codes]:
        others = [facet for facet in table.codes if facet != "subject"]
        raise DataError(f"{name} reads facet {missing[0]!r}, which the table does not have: its facets are {others}")
    if read := set(model.population.columns) & {*model.facets, "subject"}:
        raise DesignError(f"{name} reads facet {min(read)!r} itself, so that it cannot tell its subjects apart as well")
    model.check(table)


def check_extremes(model: AbstractMeasurementModel, table: Table) -> None:
    """Raise where maximum likelihood is infinite: levels, or cells of an interaction, without both low and high.

    Subjects are no concern here: they are integrated over, or set aside by the engine.

    Raises:
        IdentificationError: Names the facet, the level, the side and the number of responses.
    """
    fixed = tuple(
        spec.name for spec in model.parameters if not spec.random and not spec.covariates and spec.name in model.facets
    )
    _, sides = find_extremes(model, table, fixed)
    for facet, found in sides.items():
        if places := [place for place, side in enumerate(found) if side]:
            labels = [f"{table.levels[facet][place]!r} (all {found[place]})" for place in places]
            n = int(np.count_nonzero((table.codes[facet] == places[0]) & (table.weight > 0)))
            raise IdentificationError(
                f"{len(places)} of {len(found)} levels of {facet!r} have an extreme score: {_listed(labels)}. All "
                f"{n} responses of the first lie in the same end category, so that its maximum-likelihood estimate is "
                f"infinite. {_MEND}"
            )
    for spec in model.parameters:
        if ":" in spec.name and not spec.random and not spec.course:
            _check_cells(model, table, spec)


def _check_cells(model: AbstractMeasurementModel, table: Table, spec: ParamSpec) -> None:
    """A fixed interaction has one parameter per cell, which needs responses that are neither all low nor all high."""
    first, second = spec.axes
    n_second, n_cells = len(table.levels[second]), len(table.levels[first]) * len(table.levels[second])
    cell = table.codes[first].astype(np.int64) * n_second + table.codes[second]
    used = table.weight > 0
    low, high = reach(model, table, used)
    count, at_low, at_high = (
        np.bincount(cell[used & rows], minlength=n_cells)
        for rows in (used, table.response == low, table.response == high)
    )
    for what, wrong in (
        ("no response", count == 0),
        ("only lowest or only highest responses", (count > 0) & ((at_low == count) | (at_high == count))),
    ):
        if wrong.any():
            row, column = divmod(int(np.flatnonzero(wrong)[0]), n_second)
            raise IdentificationError(
                f"interaction {spec.name!r}: {int(wrong.sum())} of {n_cells} cells have {what}, the first at "
                f"{first} = {table.levels[first][row]!r}, {second} = {table.levels[second][column]!r}. Declare the "
                f"interaction random (random=({spec.name!r},)), which shrinks such cells, or leave it out"
            )


def crowded_notes(model: AbstractMeasurementModel, table: Table) -> tuple[str, ...]:
    """Facets with so many fixed levels, on so few responses each, that maximum likelihood is no longer unbiased.

    Source: Neyman & Scott (1948), Econometrica 16, 1-32. The size was simulated: 1,000 judges of 60 ratings each.
    """
    notes: list[str] = []
    for spec in model.parameters:
        if spec.name not in model.facets or spec.random or spec.anchors or spec.covariates:
            continue
        n_levels = len(table.levels[spec.name])
        each = float(table.weight.sum()) / n_levels
        if n_levels >= _MANY_LEVELS and each < _FEW_RESPONSES:
            notes.append(
                f"facet {spec.name!r} has {n_levels:,} fixed levels with about {each:.0f} responses each: so many "
                f"parameters spread all estimates too far, by some per cent; random=({spec.name!r},) does not"
            )
    return tuple(notes)


class Determined(Curvature, Protocol):
    """Curvature that knows the directions without any."""

    def null_directions(self) -> NDArray[np.float64]:
        """Unit columns, shape (parameters, directions)."""
        ...

    @property
    def is_definite(self) -> bool:
        """Whether it is that of a maximum: finite, and positive in every direction."""
        ...


def _check_groups(model: AbstractMeasurementModel, table: Table, parameters: Mapping[str, jax.Array]) -> None:
    """Raise where the search follows the sd of a group of subjects towards zero."""
    sd = np.asarray(parameters.get(POPULATION_SD, 1.0))
    groups = model.population.groups
    if groups is not None and sd.ndim == 1 and sd.min() < _NO_SPREAD:
        raise IdentificationError(
            f"the sd of the subjects runs to zero in {_without_spread(sd, table.levels[groups], _NO_SPREAD)} of "
            f"{groups!r}: they differ no more than chance alone makes them, so that their spread has no "
            "maximum-likelihood estimate. Join the group with another, leave it out, or use MAP()"
        )


def check_dimensions(
    model: AbstractMeasurementModel,
    table: Table,
    parameters: Mapping[str, jax.Array],
    *,
    least: float = _NO_SPREAD,
) -> None:
    """Raise where the search follows the sd of a dimension towards zero, once it is under `least` logits.

    Raises:
        IdentificationError: Names the dimensions.
    """
    sd = np.asarray(parameters.get(POPULATION_SD, 1.0))
    if has_dimensions(model) and sd.min() < least:
        named = _without_spread(sd, model.levels(table)[DIMENSION], least)
        raise IdentificationError(
            f"the sd of the subjects runs to zero on dimension {named}: on its items they differ no more than chance "
            "alone makes them, so that its sd and its correlations have no maximum-likelihood estimate. Leave its "
            "items out, put them under another dimension, or use MAP()"
        )


def _without_spread(sd: NDArray[np.float64], labels: tuple[Label, ...], least: float) -> str:
    return _listed([f"{labels[place]!r} (sd {sd[place]:.3f})" for place in np.flatnonzero(sd < least)])


def check_curvature(
    model: AbstractMeasurementModel,
    found: Maximum[Determined],
    space: ParameterSpace,
    active: NDArray[np.bool_],
    table: Table,
) -> None:
    """Raise IdentificationError naming the levels along which the likelihood is flat, or that have run to an edge."""
    null, levels = found.curvature.null_directions(), model.levels(table)
    if found.curvature.is_definite and not null.size:
        return
    if reached := runaways(model, table, space.constrain(jax.device_put(found.point))):
        raise IdentificationError(
            f"the likelihood has no maximum inside what {type(model).__name__} allows: {_listed(reached)}. An item "
            "that follows the others too closely (a Heywood case), that has nothing to do with them, or that nobody "
            "guesses does this. Use MAP(), whose priors hold such estimates, leave the item out, or use a model "
            "without that parameter"
        )
    if not null.size:
        if found.converged:
            _check_groups(model, table, space.constrain(jax.device_put(found.point)))
            check_dimensions(model, table, space.constrain(jax.device_put(found.point)))
            raise IdentificationError(f"the search ended where the likelihood has no maximum. {_MEND}")
        return
    tangent = np.zeros(space.size)
    tangent[np.flatnonzero(active)[-len(null) :]] = null[:, 0]
    named = moved_parameters(space, found.point, tangent, levels)
    raise IdentificationError(
        f"the data do not determine {null.shape[1]} direction(s) of the parameters: moving {_listed(named)} together "
        f"leaves the likelihood as it is. A level that is only ever low or only ever high, a category used too rarely, "
        f"or facets that never cross do this. {_MEND}"
    )


def moved_parameters(
    space: ParameterSpace, point: NDArray[np.float64], tangent: NDArray[np.float64], levels: Levels
) -> list[str]:
    """What a direction of the free vector moves most, in words, the largest first."""
    _, moves = jax.jvp(space.constrain, (jax.device_put(point),), (jax.device_put(tangent),))
    loads = [
        (float(load), _name(block, place, levels))
        for block in space.blocks
        for place, load in np.ndenumerate(np.asarray(moves[block.name]))
    ]
    most = max(abs(load) for load, _ in loads)
    return [f"{name} by {load / most:+.2f}" for load, name in sorted(loads, key=_by_size) if abs(load) > _SHARE * most]


def _by_size(entry: tuple[float, str]) -> float:
    return -abs(entry[0])


def _name(block: Block, place: tuple[int, ...], levels: Levels) -> str:
    """One number of a parameter array in words: `judge 'j3'`, `step 2 of item 'i1'`."""
    parts: list[str] = []
    for axis, index in zip(block.labels, place[-len(block.labels) :] if block.labels else (), strict=False):
        label = levels[axis][index] if axis in levels else index + 1
        parts.append(f"step {index + 1}" if axis == "step" else f"{axis} {label!r}")
    if block.labels == ("step",):
        parts = [f"step {place[-1] + 1}"]
    if block.labels and block.name not in (*block.labels, "worth") and ":" not in block.name:
        parts.append(block.name)
    return " of ".join(reversed(parts)) if parts else f"{block.name!r}"


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
