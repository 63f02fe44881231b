"""Fitting bootstrap replicates: from the fit's own estimates on shared programs, or from scratch where that fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.optimizers import polish
from psymetric.core.precision import double_precision
from psymetric.core.steps import UNUSED
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import ConvergenceError, DataError, DesignError, IdentificationError
from psymetric.estimation.assemble import constrain
from psymetric.estimation.curvature import Information, information
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import Engine, fit as fit_table
from psymetric.estimation.identification import check_extremes
from psymetric.estimation.marginal import Climb, is_resolved, resolved_problem
from psymetric.estimation.problems import JointProblem, MarginalProblem, joint_problem, marginal_problem
from psymetric.estimation.resampling import Resampler, Weights, present_rows, with_copies
from psymetric.models.base import ABILITY, Table
from psymetric.models.choice import AbstractChoiceModel, distinct_choices
from psymetric.models.space import POPULATION_SD, has_ability, step_groups

__all__ = ["Replicate", "refit"]

Vector = NDArray[np.float64]
Values = dict[str, Vector]
FAILURES = (DataError, DesignError, IdentificationError, ConvergenceError)

_ROOM = 1.3
"""Finer than the fit's grid by this factor, so that few replicates need one of their own."""
_LEAST_SD = 0.1
"""Logits: an sd under this may have its maximum at zero, which the engine looks into."""
_STEPS, _HALVINGS, _LONGEST = 50, 20, 2.0
_FLAT = 1e-4
"""Information, per squared logit, behind a standard error of 100 logits."""
_TOGETHER = 4_000_000
"""Weights in memory at a time: replicates × distinct rows."""


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
    """The replicates of a fit to `table`, one per generator, in their order."""
    if not has_ability(fit.model):
        yield from _refit_pairs(fit, engine, source, generators)
        return
    # Not the source's table: a parametric one has a row for every category, which is no likelihood of anything.
    warm = _warm(fit, table)
    for generator in generators:
        with double_precision():
            weights = source.draw(generator)
            values = None if warm is None else _from_warm(warm, fit, engine, source.table, weights)
        yield _from_scratch(fit, engine, source.table, weights) if values is None else Replicate(values, "")


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
        n_nodes, half_width = len(problem.nodes), float(problem.nodes[-1])
        finer = problem.with_grid(int(_ROOM * n_nodes), half_width + 1)
        if problem.nested is not None:
            finer = replace(finer, nested=problem.nested.finer(_ROOM))
        return _Warm(finer, start, information(finer, start), _steps(fit, table))


def _from_warm(warm: _Warm, fit: Fit, engine: Any, table: Any, weights: Weights) -> Values | None:
    """Newton steps from the fit's estimates; None where the replicate is of another shape or they lead nowhere."""
    total = weights.total(table.codes["subject"])
    if _has_absent(fit, table, total):
        return None
    drawn = replace(table, weight=total)
    problem = warm.problem
    try:
        if not _same(_steps(fit, drawn), warm.used):
            return None
        if not fit.penalised:
            check_extremes(fit.model, drawn)
        if weights.subjects is not None:
            problem = replace(problem, multiplicity=jnp.asarray(weights.subjects))
        else:
            n_nodes, half_width = len(problem.nodes), float(problem.nodes[-1])
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
    values = {name: np.asarray(value) for name, value in constrain(problem.space, jnp.asarray(found.point)).items()}
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
    return ("left", "right") if axis == "item" and "left" in table.codes else (axis,)


def _has_absent(fit: Fit, table: Table, weight: Vector) -> bool:
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


def _from_scratch(fit: Fit, engine: Engine, table: Any, weights: Weights) -> Replicate:
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


def _refit_pairs(
    fit: Fit, engine: Any, source: Resampler, generators: list[np.random.Generator]
) -> Iterator[Replicate]:
    """One compiled Newton climb over the weights of the distinct comparisons, replicate after replicate."""
    table = source.table
    with double_precision():
        problem = joint_problem(fit.model, table, prior=fit.penalised)
        start = problem.space.unconstrain(fit.parameters)
        chosen, row = _distinct_row(problem, table)
    n_distinct = len(np.asarray(problem.weight))
    size = max(_TOGETHER // n_distinct, 1)
    for first in range(0, len(generators), size):
        with double_precision():
            drawn = [source.draw(generator) for generator in generators[first : first + size]]
            stacked = np.stack([np.bincount(row, each.rows[chosen], minlength=n_distinct) for each in drawn])
            found = _newton(problem, jnp.asarray(start), jnp.asarray(stacked), engine.tolerance)
            values = {name: np.asarray(value) for name, value in jax.vmap(problem.space.constrain)(found[0]).items()}
            reached = np.asarray(found[1]) < engine.tolerance
            reached &= np.asarray(found[2]) > (0.0 if fit.penalised else _FLAT)
        for place, weights in enumerate(drawn):
            if reached[place] and not _has_absent(fit, table, weights.rows):
                yield Replicate({name: value[place] for name, value in values.items()}, "")
            else:
                yield _from_scratch(fit, engine, table, weights)


def _distinct_row(problem: JointProblem, table: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the table that hold the weights of comparisons or rankings, and the problem's row of each."""
    if isinstance(table, RankingTable) and isinstance(problem.model, AbstractChoiceModel):
        return table.rankings.row, distinct_choices(problem.model, table)[1]
    columns = [(np.asarray(code), table.codes[name]) for name, code in problem.codes.items()]
    columns.append((np.asarray(problem.response), table.response))
    sizes = tuple(int(code.max()) + 1 for _, code in columns)
    theirs, ours = (np.ravel_multi_index(tuple(pair[side] for pair in columns), sizes) for side in (0, 1))
    order = np.argsort(theirs)
    return np.arange(len(ours)), order[np.searchsorted(theirs, ours, sorter=order)]


@jax.jit
def _newton(problem: JointProblem, start: Array, weights: Array, tolerance: float) -> tuple[Array, Array, Array]:
    """Modes under each row of weights, last steps in logits, and the least eigenvalues of the information.

    The log density of comparisons is concave, so that halved Newton steps of bounded length cannot miss its mode.
    """

    def one(weight: Array) -> tuple[Array, Array, Array]:
        def density(point: Array) -> Array:
            return replace(problem, weight=weight).log_density(point)

        def curvature(point: Array) -> tuple[Array, Array]:
            slope, product = jax.linearize(jax.grad(density), point)
            return slope, -jax.lax.map(product, jnp.eye(len(point), dtype=point.dtype))

        def advance(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            point, _, count = state
            slope, information = curvature(point)
            step = jnp.linalg.solve(information, slope)
            length = jnp.max(jnp.abs(step))
            step = step * jnp.minimum(1.0, _LONGEST / length)
            least = density(point) - 1e-9 * (1 + jnp.abs(density(point)))

            def too_long(trial: tuple[Array, Array]) -> Array:
                return (density(point + trial[0] * step) < least) & (trial[1] < _HALVINGS)

            scale, _ = jax.lax.while_loop(
                too_long, lambda trial: (trial[0] / 2, trial[1] + 1), (jnp.ones(()), jnp.zeros(()))
            )
            return point + scale * step, length, count + 1

        def unfinished(state: tuple[Array, Array, Array]) -> Array:
            # A step that is not a number compares false, which ends the climb.
            return (state[1] >= tolerance) & (state[2] < _STEPS)

        point, last, _ = jax.lax.while_loop(unfinished, advance, (start, jnp.asarray(jnp.inf), jnp.zeros(())))
        return point, last, jnp.linalg.eigvalsh(curvature(point)[1])[0]

    return jax.lax.map(one, weights)
