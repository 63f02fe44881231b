"""Comparisons whose maximum-likelihood estimates do not exist: named before a search that would never end.

With ties or without, logit or probit, the log-likelihood falls towards minus infinity along a direction of the linear
parameters unless no comparison that it touches goes against it: where none does, the maximum lies at infinity (Albert &
Anderson, 1984, Biometrika 71, 1-10). A linear programme finds such a direction (Konis, 2007, DPhil thesis, Oxford).
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack, vstack

from psymetric.core.parameters import ParameterSpace
from psymetric.core.precision import double_precision
from psymetric.data.connectivity import connectivity
from psymetric.data.pairs import PairTable
from psymetric.errors import IdentificationError
from psymetric.estimation.identification import moved_parameters
from psymetric.estimation.problems import JointProblem, joint_problem
from psymetric.models.base import AbstractMeasurementModel, ParamSpec
from psymetric.models.space import term_names

__all__ = ["check_comparisons"]

Matrix = NDArray[np.float64]

_MOST = 300_000
"""Numbers of a design, comparisons that differ × parameters, up to which the programme takes a fraction of a second. A
maximum that is found is itself the proof that nothing separates; larger tables are left to the search, which names the
directions in which it runs off."""
_ROUNDING = 1e-9
_PRICE = 1e-6
"""What a unit of a parameter costs beside a comparison won: of all directions that separate as much, the smallest."""
_MEND = "Leave it out, collect comparisons that go the other way, or give it a prior: engine=MAP() or NUTS()."
_SHOWN = 6


def check_comparisons(model: AbstractMeasurementModel, table: PairTable) -> None:
    """Raise where maximum likelihood cannot determine a model of comparisons.

    Raises:
        IdentificationError: Items that no chain of wins joins both ways; a level of a facet with too few comparisons
            for a slope, or without a tie or a win for its readiness to tie; parameters that others determine; or
            parameters along which the comparisons are separated.
    """
    worth = next((spec for spec in model.parameters if spec.name == "worth"), None)
    if worth is not None and not worth.random and not worth.covariates:
        found = connectivity(table)
        if found.n_strong > 1:
            raise IdentificationError(f"{found.describe()} Or give the worths a prior: engine=MAP() or NUTS().")
    for spec in model.parameters:
        if spec.unit == "slope" and spec.axes:
            _check_count(model, table, spec)
        if spec.name == "tie" and spec.axes:
            _check_ties(table, spec)
    # A common position beside free worths is left to the search: it takes every comparison won from one side.
    linear = [spec for spec in model.parameters if spec.support == "real" and spec.axes and spec.name != "tie"]
    if worth is None or (linear == [worth] and not worth.covariates):
        return
    with double_precision():
        problem = joint_problem(model, table, prior=False)
        if len(problem.response) * problem.space.size <= _MOST:
            _check_design(model, table, problem)


def _check_count(model: AbstractMeasurementModel, table: PairTable, spec: ParamSpec) -> None:
    """A slope takes more comparisons than the level has parameters of its own."""
    facet = spec.axes[0]
    own = sum(each.axes == (facet,) and not each.covariates for each in model.parameters)
    n_each = np.bincount(table.codes[facet], table.weight, len(table.levels[facet]))
    if (few := np.flatnonzero(n_each <= own)).size:
        names = [f"{table.levels[facet][place]!r} ({n_each[place]:g})" for place in few]
        raise IdentificationError(
            f"{len(few)} of {len(n_each)} levels of {facet!r} have too few comparisons for {own} parameter(s) of their "
            f"own, a slope among them: {_listed(names)}. Leave them out (table.select), use slopes=(), or give the "
            "slopes a prior: engine=MAP() or NUTS()."
        )


def _check_ties(table: PairTable, spec: ParamSpec) -> None:
    """A readiness to tie of its own runs off where a level never ties, or does nothing else."""
    facet = spec.axes[0]
    n_levels, owner, tied = len(table.levels[facet]), table.codes[facet], table.response == 2
    n_each, n_ties = (np.bincount(owner, table.weight * rows, n_levels) for rows in (np.ones(len(tied)), tied))
    if (wrong := np.flatnonzero((n_ties == 0) | (n_ties == n_each))).size:
        names = [f"{table.levels[facet][place]!r} ({n_ties[place]:g} of {n_each[place]:g})" for place in wrong]
        raise IdentificationError(
            f"{len(wrong)} of {n_levels} levels of {facet!r} have no tie, or nothing else: {_listed(names)}. Their own "
            'readiness to tie is then without a maximum-likelihood estimate: use tie_owner="common", or engine=MAP()'
        )


@partial(jax.jit)
def _slopes(problem: JointProblem, free: Array) -> Array:
    """Derivative of every row's log odds of left over right, shape (rows, parameters)."""

    def log_odds(point: Array) -> Array:
        params = problem.space.constrain(point)
        log_probs = problem.model.category_log_probs(params, problem.codes, problem.n_categories)
        return log_probs[:, 0] - log_probs[:, 1]

    return jax.jacfwd(log_odds)(free)


def _check_design(model: AbstractMeasurementModel, table: PairTable, problem: JointProblem) -> None:
    """Rank, then separation, of what moves the log odds where all items are equal."""
    space, start, used = problem.space, problem.space.start(), np.asarray(problem.weight) > 0
    slopes, fixed = np.asarray(_slopes(problem, jax.device_put(start)))[used], _fixed(model, space)
    # Up to a positive factor of the rule for ties, a row of the design: minus its mirror image for a win of the right.
    design, outcome = slopes[:, fixed], np.asarray(problem.response)[used]
    levels = {**model.levels(table), **term_names(model, table)}

    def named(direction: Matrix) -> str:
        tangent = np.zeros(space.size)
        tangent[fixed] = direction
        return _listed(moved_parameters(_free_blocks(space), start, tangent, levels))

    if (null := _null_direction(design)) is not None:
        others = np.where(_of_items(space)[fixed], 0.0, null)
        alone = np.abs(others).max() > _ROUNDING
        also = ", and items with it," if alone and np.abs(null - others).max() > _ROUNDING else ""
        what = named(others if alone else null)
        raise IdentificationError(
            f"the comparisons do not determine every parameter: moving {what}{also} changes no probability. A "
            "covariate of a contest that is a difference of something known of the items, one that hardly varies "
            "beside the position, or one that others add up to does this: leave one of them out"
        )
    direction, n_decided = _separation(design, outcome, np.asarray(problem.weight)[used])
    if direction is not None:
        raise IdentificationError(
            f"the comparisons are separated: {named(direction)}, and all of the {n_decided:g} comparisons that this "
            f"makes a difference to go the way it points, so that its maximum-likelihood estimate is infinite. {_MEND}"
        )


def _fixed(model: AbstractMeasurementModel, space: ParameterSpace) -> NDArray[np.int64]:
    """Places of the linear parameters that no distribution holds."""
    nonlinear = {spec.name for spec in model.parameters if spec.support != "real" or spec.name == "tie"}
    where = space.slices()
    kept = [
        np.arange(where[block.name].start, where[block.name].stop)
        for block in space.blocks
        if block.scale is None and not block.is_scale and block.name not in nonlinear
    ]
    return np.concatenate([np.zeros(0, np.int64), *kept])


def _of_items(space: ParameterSpace) -> NDArray[np.bool_]:
    """Which places of the free vector are the items' own worths."""
    mask, where = np.zeros(space.size, bool), space.slices()
    mask[where["worth"]] = True
    return mask


def _free_blocks(space: ParameterSpace) -> ParameterSpace:
    """The space with what follows from others left to them, so that messages name what is estimated."""
    return ParameterSpace(tuple(block for block in space.blocks if block.bijector.size))


def _null_direction(design: Matrix) -> Matrix | None:
    """A direction that moves no row, or None."""
    if not design.shape[1]:
        return None
    size = np.sqrt((design**2).sum(axis=0))
    if (idle := np.flatnonzero(size == 0)).size:
        return np.eye(design.shape[1])[idle[0]]
    values, vectors = np.linalg.eigh((design / size).T @ (design / size))
    return vectors[:, 0] / size if values[0] < _ROUNDING * design.shape[1] else None


def _separation(design: Matrix, outcome: NDArray[np.int32], weight: Matrix) -> tuple[Matrix | None, float]:
    """A direction along which no row goes the other way and some move, and how many of these."""
    if not design.shape[1]:
        return None, 0.0
    size = np.abs(design).max(axis=0)
    scaled = csr_array(design / size)
    ahead = csr_array(scaled[outcome == 0])
    won = csr_array(vstack([ahead, -csr_array(scaled[outcome == 1])]))
    tied = csr_array(scaled[outcome == 2])
    n_rows, n_columns = won.shape
    # Variables: the direction's positive and negative parts, and how far each decided row moves, at most one.
    balance = vstack(
        [hstack([won, -won, -eye_array(n_rows)]), hstack([tied, -tied, csr_array((tied.shape[0], n_rows))])]
    )
    price = np.concatenate([np.full(2 * n_columns, _PRICE), -np.ones(n_rows)])
    bounds = [(0, None)] * (2 * n_columns) + [(0, 1)] * n_rows
    found = linprog(price, A_eq=balance, b_eq=np.zeros(balance.shape[0]), bounds=bounds)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if found.x is None or found.x[2 * n_columns :].sum() < 0.5:
        return None, 0.0
    moves = np.concatenate([weight[outcome == 0], weight[outcome == 1]]) @ (found.x[2 * n_columns :] > 0.5)
    return (found.x[:n_columns] - found.x[n_columns : 2 * n_columns]) / size, float(moves)


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
