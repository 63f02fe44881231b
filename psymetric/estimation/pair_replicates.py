"""Bootstrap replicates of comparisons, many at once, all from the fit and with its information."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.poisson_draws import PoissonTable
from psymetric.core.precision import double_precision
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.estimation.curvature import information
from psymetric.estimation.fit import Fit
from psymetric.estimation.joint_ml import JointML
from psymetric.estimation.pair_cells import PairCells
from psymetric.estimation.problems import JointProblem, joint_problem
from psymetric.estimation.redrawn_rankings import redrawn_rankings
from psymetric.estimation.replicates import Replicate, from_scratch, has_absent
from psymetric.estimation.resampling import COMPARISON, Resampler, Weights, row_counts
from psymetric.estimation.win_counts import covers, laplacian, win_counts, worths_of
from psymetric.models.choice import AbstractChoiceModel, distinct_choices

__all__ = ["refit_drawn_rankings", "refit_pairs"]

Vector = NDArray[np.float64]

_TOGETHER = 2_000_000
"""Numbers in an array at a time: replicates × counts."""
_IN_CACHE = 160_000
"""The same where passes over an array cost more than calls of a function: a megabyte."""
_FEW_AT_ONCE = 500_000
"""The same for comparisons by cell and result."""
_STEPS, _HALVINGS, _LONGEST = 50, 20, 2.0
_FLAT = 1e-4
"""Information, per squared logit, behind a standard error of 100 logits."""
_THREADS = 4


def refit_pairs(fit: Fit, engine: Any, source: Resampler, generators: list[np.random.Generator]) -> Iterator[Replicate]:
    """The replicates of a fit to comparisons, one per generator, in their order."""
    table = source.table
    if isinstance(table, RankingTable):
        yield from _from_rankings(fit, engine, source, table, generators)
    elif isinstance(table, PairTable):
        if source.unit == COMPARISON and isinstance(engine, JointML) and covers(fit.model, table):
            yield from _from_counts(fit, engine, table, generators)
        else:
            yield from _from_cells(fit, engine, source, table, generators)


def _from_counts(
    fit: Fit, engine: JointML, votes: PairTable, generators: list[np.random.Generator]
) -> Iterator[Replicate]:
    """Worths alone, from squares of win counts.

    Each count is Poisson: the multinomial of all comparisons, but with a total that is free to vary, on which no worth
    depends (Hanley & MacGibbon, 2006, Computer Methods and Programs in Biomedicine 83, 57-62).
    """
    wins = win_counts(votes)
    n_items, cells = len(wins), np.flatnonzero(wins)
    # Where in a draw each count of the square stands; behind its end stands the zero of those that never happened.
    place = np.full(n_items**2, len(cells))
    place[cells] = np.arange(len(cells))
    worth = fit.parameters["worth"]
    # Worths move in the space of sum zero, outside of which the added 1 / n has all its inverse.
    inverse = np.asarray(np.linalg.inv(laplacian(wins + wins.T, worth) + 1 / n_items), np.float64) - 1 / n_items
    chances, size = PoissonTable.build(wins.ravel()[cells]), max(_IN_CACHE // n_items**2, 1)

    def solve(own: list[np.random.Generator]) -> list[Replicate | Weights]:
        """Replicates, or the weights of those whose worths have to be looked for from scratch."""
        drawn = np.stack([chances.draw(each) for each in own])
        counts = np.stack([np.append(each, 0.0).take(place) for each in drawn]).reshape(-1, n_items, n_items)
        worths, off = worths_of(counts, worth, inverse, engine.tolerance)
        is_good = (off < engine.tolerance) & np.all(counts.sum(axis=1) + counts.sum(axis=2) > 0, axis=1)
        return [
            Replicate({"worth": value}, "") if good else Weights(weights, None)
            for value, good, weights in zip(worths, is_good, drawn, strict=True)
        ]

    left, right = np.unravel_index(cells, wins.shape)
    table = _of_wins(votes, left.astype(np.int32), right.astype(np.int32), wins.ravel()[cells])
    parts = [generators[first : first + size] for first in range(0, len(generators), size)]
    with ThreadPoolExecutor(max(min(_THREADS, _TOGETHER // n_items**2), 1)) as threads:
        for part in threads.map(solve, parts):
            for found in part:
                yield found if isinstance(found, Replicate) else from_scratch(fit, engine, table, found)


def _of_wins(table: PairTable, left: NDArray[np.int32], right: NDArray[np.int32], weight: Vector) -> PairTable:
    """Wins as a table with one row per winner and loser."""
    return PairTable(
        codes={"left": left, "right": right},
        levels={"item": table.levels["item"]},
        response=np.zeros(len(left), np.int32),
        categories=table.categories,
        weight=weight,
        missing=table.missing.iloc[:0][["left", "right", "reason"]],
    )


def _from_cells(
    fit: Fit, engine: Any, source: Resampler, table: PairTable, generators: list[np.random.Generator]
) -> Iterator[Replicate]:
    """Any model of comparisons, from counts of what it tells apart: by steps with the fit's information."""
    with double_precision():
        problem = joint_problem(fit.model, table, prior=fit.penalised)
        start = problem.space.unconstrain(fit.parameters)
        inverse = information(problem, start).covariance()
        cells = PairCells.of(problem, table)
    size = min(max(_FEW_AT_ONCE // cells.n_counts, 1), len(generators))

    def modes(drawn: list[Weights]) -> tuple[Vector, NDArray[np.bool_]]:
        counts = np.zeros((size, cells.n_counts))
        for place, each in enumerate(drawn):
            counts[place] = cells.counts(each.rows)
        points, last = _shared_steps(cells, start, inverse, counts, engine.tolerance)
        return _climbed(fit, cells.every_result, start, points, last < engine.tolerance, counts, engine.tolerance)

    yield from _labelled(fit, engine, source, generators, size, problem, modes)


def _from_rankings(
    fit: Fit, engine: Any, source: Resampler, table: RankingTable, generators: list[np.random.Generator]
) -> Iterator[Replicate]:
    """Rankings, from the weights of distinct ones."""
    with double_precision():
        problem = joint_problem(fit.model, table, prior=fit.penalised)
        start = problem.space.unconstrain(fit.parameters)
    first, (_, row) = table.rankings.row, distinct_choices(cast(AbstractChoiceModel, fit.model), table)
    n_distinct = len(np.asarray(problem.weight))
    size = min(max(_TOGETHER // n_distinct, 1), len(generators))

    def modes(drawn: list[Weights]) -> tuple[Vector, NDArray[np.bool_]]:
        counts = np.zeros((size, n_distinct))
        for place, each in enumerate(drawn):
            counts[place] = np.bincount(row, each.rows[first], n_distinct)
        points = np.tile(start, (size, 1))
        return _climbed(fit, lambda: problem, start, points, np.zeros(size, bool), counts, engine.tolerance)

    yield from _labelled(fit, engine, source, generators, size, problem, modes)


def refit_drawn_rankings(
    fit: Fit, engine: Any, table: RankingTable, generators: list[np.random.Generator]
) -> Iterator[Replicate]:
    """Replicates from rankings that the fit itself draws in the table's design; a ranking of weight w is w rankings."""
    model = cast(AbstractChoiceModel, fit.model)
    counts = row_counts(table, "resample='parametric'")[table.rankings.row]
    every = np.repeat(np.arange(len(counts)), counts)
    with double_precision():
        problem = joint_problem(model, table, prior=fit.penalised)
        start, ones = problem.space.unconstrain(fit.parameters), np.ones((1, len(every)))
    for generator in generators:
        own = redrawn_rankings(fit, table, every, seed=int(generator.integers(2**31)))
        with double_precision():
            seen = model.choices(own)
            codes, response = jax.device_put((seen.codes, seen.response))
            drawn = replace(problem, codes=codes, response=response, weight=jax.device_put(seen.weight))
            points, reached = _climbed(
                fit,
                partial(lambda one: one, drawn),
                start,
                start[None].copy(),
                np.zeros(1, bool),
                ones,
                engine.tolerance,
            )
            values = {name: np.asarray(value) for name, value in problem.space.constrain(points[0]).items()}
        # An item or a judge of weight zero is in no draw.
        weights = Weights(own.weight, None)
        absent = has_absent(fit, own, weights.rows)
        yield Replicate(values, "") if reached[0] and not absent else from_scratch(fit, engine, own, weights)


def _labelled(
    fit: Fit,
    engine: Any,
    source: Resampler,
    generators: list[np.random.Generator],
    size: int,
    problem: JointProblem,
    modes: Callable[[list[Weights]], tuple[Vector, NDArray[np.bool_]]],
) -> Iterator[Replicate]:
    """Replicates from free vectors, `size` draws at a time; those without a mode are fitted from scratch."""
    for first in range(0, len(generators), size):
        drawn = [source.draw(generator) for generator in generators[first : first + size]]
        with double_precision():
            points, reached = modes(drawn)
            found = jax.vmap(problem.space.constrain)(jax.device_put(points))
            values = {name: np.asarray(value) for name, value in found.items()}
        for place, weights in enumerate(drawn):
            if reached[place] and not has_absent(fit, source.table, weights.rows):
                yield Replicate({name: value[place] for name, value in values.items()}, "")
            else:
                yield from_scratch(fit, engine, source.table, weights)


def _climbed(
    fit: Fit,
    problem: Callable[[], JointProblem],
    start: Vector,
    points: Vector,
    reached: NDArray[np.bool_],
    weights: Vector,
    tolerance: float,
) -> tuple[Vector, NDArray[np.bool_]]:
    """Free vectors and which of them are modes, after a climb of their own for those that are none yet."""
    left = np.flatnonzero(~reached & weights.any(axis=1))
    if left.size:
        found = _newton(problem(), *jax.device_put((start, weights[left])), tolerance)
        climbed, length, least = (np.asarray(part) for part in found)
        points[left] = climbed
        reached[left] = (length < tolerance) & (least > (0.0 if fit.penalised else _FLAT))
    return points, reached


def _shared_steps(
    cells: PairCells, start: Vector, inverse: Vector, counts: Vector, tolerance: float
) -> tuple[Vector, Vector]:
    """Points reached by steps with the fit's information, and their last steps; those that go astray are left."""
    points, last = np.tile(start, (len(counts), 1)), np.full(len(counts), np.inf)
    going = np.ones(len(counts), bool)
    for _ in range(_STEPS):
        # All of them, those that have arrived included: every number of rows would be compiled anew.
        step = cells.gradients(points, counts) @ inverse
        length = np.max(np.abs(step), axis=1, initial=0.0)
        is_shorter = length < np.minimum(last, _LONGEST)
        moved = going & is_shorter
        points[moved] += step[moved]
        last = np.where(going, np.where(is_shorter, length, np.inf), last)
        going = moved & (length >= tolerance)
        if not going.any():
            break
    return points, last


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
