"""Fitting bootstrap replicates: from the fit's own estimates on shared programs, or from scratch where that fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import polish
from psymetric.core.parameters import constrain
from psymetric.core.precision import double_precision
from psymetric.core.steps import UNUSED
from psymetric.data.coding import code_names
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import ConvergenceError, DataError, DesignError, IdentificationError
from psymetric.estimation.curvature import Information, information
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import Engine, fit as fit_table
from psymetric.estimation.identification import check_extremes
from psymetric.estimation.marginal import Climb, is_resolved, resolved_problem
from psymetric.estimation.problems import MarginalProblem, marginal_problem
from psymetric.estimation.resampling import Resampler, Weights, present_rows, with_copies
from psymetric.models.base import ABILITY, Table
from psymetric.models.space import POPULATION_SD, step_groups

__all__ = ["Replicate", "from_scratch", "has_absent", "refit"]

Vector = NDArray[np.float64]
Values = dict[str, Vector]
FAILURES = (DataError, DesignError, IdentificationError, ConvergenceError)

_ROOM = 1.3
"""Finer than the fit's grid by this factor, so that few replicates need one of their own."""
_LEAST_SD = 0.1
"""Logits: an sd under this may have its maximum at zero, which the engine looks into."""
_STEPS = 50


@final
@dataclass(frozen=True)
class Replicate:
    """Constrained estimates by name over the whole table's levels, NaN where a level has no data; or why not."""

    values: Values | None
    failure: str


def refit(
    fit: Fit,
    table: ResponseTable | PairTable | RankingTable,
    engine: Engine,
    source: Resampler,
    generators: list[np.random.Generator],
) -> Iterator[Replicate]:
    """The replicates of a fit to responses, one per generator, in their order."""
    # Not the source's table: a parametric one has a row for every category, which is no likelihood of anything.
    warm = _warm(fit, table)
    for generator in generators:
        with double_precision():
            weights = source.draw(generator)
            values = None if warm is None else _from_warm(warm, fit, engine, source.table, weights)
        yield from_scratch(fit, engine, source.table, weights) if values is None else Replicate(values, "")


@final
@dataclass(frozen=True)
class _Warm:
    """What replicates of a marginal fit share.

    Attributes:
        problem: Of the table itself. start: Its mode. curvature: Information there. used: Categories by step group.
    """

    problem: MarginalProblem
    start: Vector
    curvature: Information
    used: tuple[NDArray[np.bool_], ...]


def _steps(fit: Fit, table: Table) -> tuple[NDArray[np.bool_], ...]:
    return tuple(step_groups(spec, table) for spec in fit.model.parameters if "step" in spec.axes)


def _warm(fit: Fit, table: ResponseTable | PairTable | RankingTable) -> _Warm | None:
    """None for fits that replicates cannot start from: joint ones, random facets, a population sd at its bound."""
    random = any(spec.random and spec.name != ABILITY for spec in fit.model.parameters)
    if ABILITY in fit.parameters or random or _is_near_bound(fit, fit.parameters):
        return None
    with double_precision():
        problem, start = resolved_problem(fit.model, table, fit.parameters, prior=fit.penalised)
        n_nodes, half_width = len(problem.nodes), problem.half_width
        finer = problem.with_grid(int(_ROOM * n_nodes), half_width + 1)
        if problem.nested is not None:
            finer = replace(finer, nested=problem.nested.finer(_ROOM))
        return _Warm(finer, start, information(finer, start), _steps(fit, table))


def _from_warm(warm: _Warm, fit: Fit, engine: Any, table: Any, weights: Weights) -> Values | None:
    """Newton steps from the fit's estimates; None where the replicate is of another shape or they lead nowhere."""
    total = weights.total(table.codes["subject"])
    if has_absent(fit, table, total):
        return None
    drawn = replace(table, weight=total)
    problem = warm.problem
    try:
        if not _same(_steps(fit, drawn), warm.used):
            return None
        if not fit.penalised:
            check_extremes(fit.model, drawn)
        if weights.subjects is not None:
            problem = replace(problem, multiplicity=jax.device_put(weights.subjects))
        else:
            n_nodes, half_width = len(problem.nodes), problem.half_width
            own = marginal_problem(
                fit.model,
                replace(table, weight=weights.rows),
                prior=fit.penalised,
                n_nodes=n_nodes,
                half_width=half_width,
            )
            nested = own.nested and problem.nested and replace(own.nested, grid=problem.nested.grid)
            problem = replace(problem, responses=own.responses, nested=nested)
        climb = Climb(problem, warm.start, np.ones(len(warm.start), bool))
        # One Hessian for all replicates: theirs differ from it by some per cent, so that each step is that much shorter
        # than the one before, at a tenth of its cost. Replicates further away get their own.
        found = polish(
            climb.value_and_gradient,
            lambda _: warm.curvature,
            warm.start,
            tolerance=engine.tolerance,
            evaluations=0,
            max_steps=min(_STEPS, engine.max_iterations),
        )
        if not found.converged:
            found = climb.polish(engine.tolerance, 0, engine.max_iterations)
    except (*FAILURES, np.linalg.LinAlgError):
        return None
    if not found.converged or (not fit.penalised and found.curvature.null_directions().size):
        return None
    values = {name: np.asarray(value) for name, value in constrain(problem.space, found.point).items()}
    if _is_near_bound(fit, values) or not is_resolved(problem, found.point):
        return None
    return {name: _without_unused(value) for name, value in values.items()}


def _is_near_bound(fit: Fit, values: Mapping[str, Vector]) -> bool:
    scales = [POPULATION_SD, *(spec.name for spec in fit.model.parameters if spec.support == "scale")]
    return any(bool(np.any(values[name] < _LEAST_SD)) for name in scales)


def _same(one: tuple[NDArray[np.bool_], ...], other: tuple[NDArray[np.bool_], ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _axes(fit: Fit) -> dict[str, tuple[str, ...]]:
    return {spec.name: tuple(axis for axis in spec.axes if axis != "step") for spec in fit.model.parameters}


def _columns(axis: str, table: Table) -> tuple[str, ...]:
    return code_names(table.codes, axis)


def has_absent(fit: Fit, table: Table, weight: Vector) -> bool:
    """Whether a level of the model's facets has no data; absent subjects that are integrated out count for nothing."""
    facets = {axis for name, axes in _axes(fit).items() for axis in axes if name in fit.parameters}
    facets &= set(table.levels)
    used = weight > 0
    for axis in facets:
        seen = np.zeros(len(table.levels[axis]), bool)
        for column in _columns(axis, table):
            seen[table.codes[column][used]] = True
        if not seen.all():
            return True
    return False


def _without_unused(value: Vector) -> Vector:
    """NaN for steps into or out of categories that the replicate does not use."""
    return np.where(np.abs(value) > UNUSED / 2, np.nan, value)


def from_scratch(fit: Fit, engine: Engine, table: Any, weights: Weights) -> Replicate:
    """The replicate fitted as any table is."""
    if ABILITY in fit.parameters or not isinstance(table, ResponseTable):
        total = weights.total(table.codes.get("subject"))
        own = present_rows(table, total) if np.any(total > 0) else None
    else:
        own = with_copies(table, weights)
    if own is None:
        return Replicate(None, "no response was drawn")
    try:
        found = fit_table(fit.model, own, engine=engine)
    except FAILURES as error:
        return Replicate(None, f"{type(error).__name__}: {error}")
    axes = _axes(fit)
    return Replicate(
        {
            name: _spread(fit, own, axes.get(name, ()), found.parameters[name], value.shape)
            for name, value in fit.parameters.items()
        },
        "",
    )


def _spread(fit: Fit, own: Table, axes: tuple[str, ...], value: Vector, shape: tuple[int, ...]) -> Vector:
    """Values over the replicate's levels as values over the fit's, NaN where the replicate lacks the level."""
    value = _without_unused(value)
    if not axes:
        return value
    whole = np.full(shape, np.nan)
    places = [{label: code for code, label in enumerate(fit.levels[axis])} for axis in axes]
    levels = fit.model.levels(own)
    whole[np.ix_(*([place[label] for label in levels[axis]] for place, axis in zip(places, axes, strict=True)))] = value
    return whole
