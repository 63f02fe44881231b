"""Plain Bradley-Terry models from the square of win counts: Newton steps, and many squares at once.

The worths' likelihood depends on the comparisons only through who beat whom how often (Zermelo, 1929; Ford, 1957). A
million votes on two hundred items are forty thousand counts, on which a Newton step costs a millisecond.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from psymetric.core.optimizers import Maximum, polish
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.curvature import Information
from psymetric.models.base import AbstractMeasurementModel, Table
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.space import parameter_space

__all__ = ["covers", "solve_wins", "win_counts", "worths_of"]

Matrix = NDArray[np.float64]

_MOST_ITEMS = 3_000
"""Items whose square of counts is still held densely."""
_CHORD_STEPS = 30


def covers(model: AbstractMeasurementModel, table: Table) -> bool:
    """Whether the model has worths alone, under a logit link, and few enough items."""
    is_plain = isinstance(model, BradleyTerry) and replace(model, prior_sd=2.0) == BradleyTerry(prior_sd=2.0)
    return is_plain and len(table.levels["item"]) <= _MOST_ITEMS


def win_counts(table: Table) -> Matrix:
    """How often the row's item beat the column's, shape (items, items)."""
    n_items = len(table.levels["item"])
    left, right = table.codes["left"].astype(np.int64), table.codes["right"].astype(np.int64)
    won = np.where(table.response == 0, left * n_items + right, right * n_items + left)
    return np.bincount(won, weights=table.weight, minlength=n_items**2).reshape(n_items, n_items).astype(np.float64)


def solve_wins(
    model: AbstractMeasurementModel, table: Table, *, tolerance: float, max_iterations: int
) -> tuple[ParameterSpace, Maximum[Information]]:
    """The maximum of the likelihood over centred worths, by Newton's method on the counts."""
    wins = win_counts(table)
    met, n_items = wins + wins.T, len(wins)
    basis = centred_basis(n_items)

    def value_and_gradient(point: Matrix) -> tuple[float, Matrix]:
        worth = basis @ point
        gap = worth[:, None] - worth
        surprise = wins * expit(-gap)
        return float(np.sum(wins * log_expit(gap))), basis.T @ (surprise.sum(axis=1) - surprise.sum(axis=0))

    def curvature(point: Matrix) -> Information:
        return Information(np.zeros(0), np.zeros((n_items - 1, 0)), basis.T @ laplacian(met, basis @ point) @ basis)

    found = polish(
        value_and_gradient,
        curvature,
        np.zeros(n_items - 1),
        tolerance=tolerance,
        evaluations=0,
        max_steps=max_iterations,
    )
    # At the maximum itself: on counts a Hessian costs no more than a step.
    return parameter_space(model, table, ability="free"), replace(found, curvature=curvature(found.point))


def laplacian(met: Matrix, worth: Matrix) -> Matrix:
    """Information about the worths, shape (items, items): that of each pair, met · p(1 − p), as a weighted graph."""
    gap = worth[:, None] - worth
    each = met * expit(gap) * expit(-gap)
    return np.diag(each.sum(axis=1)) - each


def centred_basis(n_items: int) -> Matrix:
    """Directions of the free vector of centred worths, shape (items, items - 1)."""
    directions = np.eye(n_items - 1)
    last = -np.ones(n_items - 1) / np.sqrt(n_items)
    return np.concatenate([directions - 1 / (np.sqrt(n_items) + n_items), last[None]])


@jax.jit
def worths_of(wins: Array, start: Array, inverse: Array, tolerance: Array) -> tuple[Array, Array]:
    """Worths from several squares of counts that differ little from one whose worths are known.

    All share the inverse information of that one: their own differs from it by some per cent, so that each step is
    that much shorter than the one before and costs no factorisation.

    Args:
        wins: Shape (squares, items, items).
        start: Worths of the one, shape (items,).
        inverse: Pseudo-inverse of its information, shape (items, items).
        tolerance: Longest last step that counts as converged, in logits.

    Returns:
        Worths, shape (squares, items), and the longest last step of each square, shape (squares,).
    """
    won, met = jnp.sum(wins, axis=2), wins + jnp.swapaxes(wins, 1, 2)

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        return (jnp.max(state[1]) >= tolerance) & (state[2] < _CHORD_STEPS)

    def advance(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        worth, _, count = state
        expected = jnp.sum(met / (1 + jnp.exp(worth[:, None, :] - worth[:, :, None])), axis=2)
        step = (won - expected) @ inverse
        return worth + step, jnp.max(jnp.abs(step), axis=1), count + 1

    # The first step is from the same worths for all, whose chances are computed once.
    chance = jax.nn.sigmoid(start[:, None] - start)
    first = (won - jnp.einsum("nij,ij->ni", met, chance)) @ inverse
    begin = start + first, jnp.max(jnp.abs(first), axis=1), jnp.ones((), int)
    worth, last, _ = jax.lax.while_loop(unfinished, advance, begin)
    return worth, last
