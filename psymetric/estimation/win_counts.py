"""Plain Bradley-Terry models from the square of win counts: Newton steps, and many squares at once.

The worths' likelihood depends on the comparisons only through who beat whom how often (Zermelo, 1929; Ford, 1957). A
million votes on two hundred items are forty thousand counts, on which a Newton step costs a millisecond.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from psymetric.core.bijectors import contract_centred
from psymetric.core.optimizers import Maximum, polish
from psymetric.core.parameters import ParameterSpace
from psymetric.data.pairs import PairTable
from psymetric.estimation.curvature import Information
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.space import parameter_space

__all__ = ["covers", "laplacian", "solve_wins", "win_counts", "worths_of"]

Matrix = NDArray[np.float64]

_MOST_ITEMS = 3_000
"""Items whose square of counts is still held densely."""
_CHORD_STEPS = 30


def covers(model: AbstractMeasurementModel, table: PairTable) -> bool:
    """Whether the model has worths alone, under a logit link, and few enough items."""
    is_plain = isinstance(model, BradleyTerry) and replace(model, prior_sd=2.0) == BradleyTerry(prior_sd=2.0)
    return is_plain and len(table.levels["item"]) <= _MOST_ITEMS


def win_counts(table: PairTable) -> Matrix:
    """How often the row's item beat the column's, shape (items, items)."""
    met, n_items = table.met, len(table.levels["item"])
    wins = np.zeros((n_items, n_items))
    wins[met.left, met.right] = met.count[:, 0]
    # No ordered pair occurs twice, so that neither assignment adds to itself.
    wins[met.right, met.left] += met.count[:, 1]
    return wins


def solve_wins(
    model: AbstractMeasurementModel, table: PairTable, *, tolerance: float, max_iterations: int
) -> tuple[ParameterSpace, Maximum[Information]]:
    """The maximum of the likelihood over centred worths, by Newton's method on the counts."""
    wins = win_counts(table)
    n_items, total = len(wins), wins + wins.T
    low, high = np.nonzero(np.triu(total))
    won, met = wins[low, high], total[low, high]

    def value_and_gradient(point: Matrix) -> tuple[float, Matrix]:
        worth = _worths(point)
        gap = worth[low] - worth[high]
        decay = np.exp(-np.abs(gap))
        # The log chance of a win is half the signed gap, less what both outcomes share.
        value = (won - met / 2) @ gap - met @ (np.abs(gap) / 2 + np.log1p(decay))
        surprise = won - met * np.where(gap > 0, 1, decay) / (1 + decay)
        slope = np.bincount(low, surprise, n_items) - np.bincount(high, surprise, n_items)
        return float(value), contract_centred(slope.astype(np.float64), 0)

    def curvature(point: Matrix) -> Information:
        square = contract_centred(contract_centred(laplacian(total, _worths(point)), 0), 1)
        return Information(np.zeros(0), np.zeros((n_items - 1, 0)), square)

    start = np.log((wins.sum(axis=1) + 0.5) / (wins.sum(axis=0) + 0.5))
    found = polish(
        value_and_gradient,
        curvature,
        contract_centred(start - start.mean(), 0),
        tolerance=tolerance,
        evaluations=0,
        max_steps=max_iterations,
    )
    if found.converged:
        # On counts a Hessian costs no more than a step: one at the end squares what the tolerance has left.
        point = found.point + curvature(found.point).solve(value_and_gradient(found.point)[1])
        found = replace(found, point=point, value=value_and_gradient(point)[0], origin=point)
    return parameter_space(model, table, ability="free"), replace(found, curvature=curvature(found.point))


def _worths(point: Matrix) -> Matrix:
    """Centred worths of a free vector: `extend_centred` on numpy arrays, shape (items,)."""
    n_items, total = len(point) + 1, point.sum()
    root = np.sqrt(n_items)
    return np.append(point - total / (n_items + root), -total / root)


def laplacian(met: Matrix, worth: Matrix) -> Matrix:
    """Information about the worths, shape (items, items): that of each pair, met · p(1 − p), as a weighted graph."""
    decay = np.exp(-np.abs(worth[:, None] - worth))
    each = met * decay / (1 + decay) ** 2
    return np.diag(each.sum(axis=1)) - each


def worths_of(wins: Matrix, start: Matrix, inverse: Matrix, tolerance: float) -> tuple[Matrix, Matrix]:
    """Worths from several squares of counts that differ little from one whose worths are known.

    All share the inverse information of that one: their own differs from it by some per cent, so that each step is
    that much shorter than the one before and costs no factorisation. What is left after a step is the sum of those to
    come, a geometric series whose ratio the last two steps tell.

    Args:
        wins: Shape (squares, items, items).
        start: Worths of the one, shape (items,).
        inverse: Pseudo-inverse of its information, shape (items, items).
        tolerance: How far from its worths a square may stop, in logits.

    Returns:
        Worths, shape (squares, items), and how far off each may still be, shape (squares,); NaN or infinite where the
        steps lead nowhere.
    """
    won, met = wins.sum(axis=2), wins + wins.swapaxes(1, 2)
    worth, before = np.tile(start, (len(wins), 1)), np.full(len(wins), np.inf)
    off = before
    # Worths that run off end as NaN, which no comparison takes for an answer.
    with np.errstate(all="ignore"):
        for step in range(_CHORD_STEPS):
            strength = np.exp(worth)
            expected = strength * (met / (strength[:, :, None] + strength[:, None, :])).sum(axis=2)
            change = (won - expected) @ inverse
            length = np.max(np.abs(change), axis=1)
            worth += change
            ratio = length / before
            off = np.where(ratio < 1, length * ratio / (1 - ratio), np.inf) if step else length
            before = length
            if not np.any(off >= tolerance):
                break
    return worth, off
