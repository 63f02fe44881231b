"""Newton's method for confusion matrices, and their exact observed information, truths summed out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from psymetric.core.bijectors import contract_centred
from psymetric.core.optimizers import Maximum, polish
from psymetric.estimation.curvature import Information
from psymetric.estimation.truth_em import TINY, ConfusionSums, Expected

__all__ = ["FreeRows", "free_rows", "information", "log_moves", "released", "top"]

Array = NDArray[np.float64]

_NEWTON_STEPS = 60
_NOBODY = 1e-6
"""Expected subjects or labels of a row under which nothing determines it."""
_SMALL, _SHRINKING = 1e-3, 0.999
"""A probability under the first, whose expected count shrinks it by more than the second, is on its way to zero."""
_RISING = 1e-6
"""Gain of a held probability in a step of EM, relative to itself, from which it is let go."""
_DENSE = 0.1
"""Share of entries in a design from which products of dense matrices are quicker."""


@final
@dataclass(frozen=True)
class FreeRows:
    """Which probabilities are free, and a free vector for them: orthonormal log-odds within each row.

    Attributes:
        inside: Probabilities that are neither held at zero nor all of what their row has, shape (rows, K).
        determined: Rows that expected subjects or labels determine, shape (rows,).
    """

    inside: NDArray[np.bool_]
    determined: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Length of the free vector."""
        return int(np.maximum(self.inside.sum(axis=1) - 1, 0).sum())

    @cached_property
    def basis(self) -> csr_array:
        """From the free vector to log-odds of the rows, shape (rows × K, free)."""
        n_inside = self.inside.sum(axis=1)
        last = np.cumsum(np.maximum(n_inside - 1, 0))
        places = np.arange(self.inside.size).reshape(self.inside.shape)
        lines, columns, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        for size in range(2, self.inside.shape[1] + 1):
            chosen = np.flatnonzero(n_inside == size)
            own = places[chosen][self.inside[chosen]].reshape(-1, size)
            ends = (last[chosen] - size + 1)[:, None] + np.arange(size - 1)
            shape = (len(chosen), size, size - 1)
            lines.append(np.broadcast_to(own[:, :, None], shape).ravel())
            columns.append(np.broadcast_to(ends[:, None, :], shape).ravel())
            values.append(np.broadcast_to(contract_centred(np.eye(size) - 1 / size, 1), shape).ravel())
        entries = (np.concatenate(values), (np.concatenate(lines), np.concatenate(columns)))
        return csr_array(entries, shape=(self.inside.size, self.size))

    def free(self, rows: Array) -> Array:
        """The free vector of rows, shape (free,)."""
        return self.basis.T @ np.log(rows).ravel()

    def rows(self, free: Array, before: Array) -> Array:
        """Rows at a free vector; those that are not free stay as in `before`."""
        odds = (self.basis @ free).reshape(before.shape)
        odds = np.where(self.inside, odds, -np.inf)
        top = odds.max(axis=1, keepdims=True)
        moves = np.asarray(self.inside.any(axis=1))
        weight = np.where(self.inside, np.exp(odds - np.where(moves[:, None], top, 0.0)), 0.0)
        moved = weight / np.where(moves, weight.sum(axis=1), 1.0)[:, None]
        return np.where(moves[:, None], np.maximum(moved, TINY), before)


def free_rows(here: Expected, *, hold: bool) -> FreeRows:
    """What is free at a point near a maximum.

    Args:
        here: The point.
        hold: Whether probabilities may be zero; under a prior they are not.
    """
    total = here.counts.sum(axis=1)
    determined = total > _NOBODY if hold else np.ones(len(total), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        shrunk = here.counts / (here.rows * np.where(total > 0, total, 1.0)[:, None])
    zero = (here.rows < _SMALL) & (shrunk < _SHRINKING) & hold
    inside: NDArray[np.bool_] = ~zero & determined[:, None]
    inside[inside.sum(axis=1) < 2] = False
    return FreeRows(inside, determined)


def top(
    sums: ConfusionSums, here: Expected, free: FreeRows, *, tolerance: float, evaluations: int, max_iterations: int
) -> tuple[Expected, Maximum[Information]]:
    """Newton steps from a point near a maximum until they are smaller than `tolerance`, in logits."""
    rows = np.where(free.inside | ~free.determined[:, None] | (here.rows > 0.5), here.rows, TINY)
    rows = rows / rows.sum(axis=1, keepdims=True)
    found: dict[bytes, Expected] = {}

    def at(point: Array) -> Expected:
        key = point.tobytes()
        if key not in found:
            found.clear()
            found[key] = sums.expect(free.rows(point, rows))
        return found[key]

    def value_and_gradient(point: Array) -> tuple[float, Array]:
        expected = at(point)
        total = expected.counts.sum(axis=1, keepdims=True)
        return expected.value, free.basis.T @ (expected.counts - total * expected.rows).ravel()

    def curvature(point: Array) -> Information:
        block = information(sums, at(point), free)
        return Information(np.zeros(0), np.zeros((len(block), 0)), block)

    maximum = polish(
        value_and_gradient,
        curvature,
        free.free(rows),
        tolerance=tolerance,
        evaluations=evaluations,
        max_steps=min(_NEWTON_STEPS, max_iterations),
    )
    # Of the top itself, not of a point a millilogit away: it costs one more.
    return at(maximum.point), replace(maximum, curvature=curvature(maximum.point), origin=maximum.point)


def released(here: Expected, free: FreeRows) -> Array | None:
    """Rows to go on from where probabilities were held at zero that the likelihood would raise; None where none is."""
    total = here.counts.sum(axis=1, keepdims=True)
    held = ~free.inside & free.determined[:, None] & (here.rows <= 2 * TINY)
    rising = held & (here.counts > (1 + _RISING) * here.rows * total)
    if not rising.any():
        return None
    rows = np.where(rising, _SMALL, here.rows)
    return rows / rows.sum(axis=1, keepdims=True)


def information(sums: ConfusionSums, here: Expected, free: FreeRows) -> Array:
    """Observed information of the free vector, shape (free, free).

    That of complete data less what the truths, not being seen, take away.

    Source: Louis (1982), JRSS B 44, 226-233, eq. 3.1.
    """
    total = here.counts.sum(axis=1)
    rows = here.rows
    # Moves of the logs of the probabilities with the free vector.
    moves = log_moves(rows, free)
    weighted = diags_array((total[:, None] * rows).ravel()) @ moves
    complete = (moves.T @ weighted).toarray()
    lost = moves.T @ (moves.T @ _missing(sums, rows)).T
    block = complete - np.asarray(lost)
    return (block + block.T) / 2


def log_moves(rows: Array, free: FreeRows) -> csr_array:
    """Derivatives of the logs of the probabilities in the free vector, shape (rows × K, free)."""
    n_rows, n_categories = rows.shape
    lines = np.arange(rows.size)
    mean = csr_array((rows.ravel(), (lines // n_categories, lines)), shape=(n_rows, rows.size))
    spread = csr_array((np.ones(rows.size), (lines, lines // n_categories)), shape=(rows.size, n_rows))
    kept = diags_array(free.inside.ravel().astype(np.float64))
    return csr_array(kept @ (free.basis - spread @ (mean @ free.basis)))


def _missing(sums: ConfusionSums, rows: Array) -> Array:
    """Covariance of what the complete data say of the logs of the probabilities, given the labels, a square matrix."""
    posterior, _ = sums.posterior(rows)
    n_columns, n_truths = sums.design.shape[1], posterior.shape[1]
    shape = (n_columns, n_truths)
    place = sums.as_rows(np.arange(n_columns * n_truths, dtype=np.float64).reshape(shape)).astype(np.int64)
    line = np.empty(n_columns * n_truths, np.int64)
    line[place.ravel()] = np.arange(place.size)
    line = line.reshape(shape)
    design = sums.design
    dense = design.toarray() if design.nnz > _DENSE * design.shape[0] * n_columns else None
    missing = np.zeros((place.size, place.size))
    for first in range(n_truths):
        for second in range(first, n_truths):
            both = (first == second) * posterior[:, first] - posterior[:, first] * posterior[:, second]
            weight = sums.multiplicity * both
            if dense is not None:
                block = dense.T @ (weight[:, None] * dense)
            else:
                block = (design.T @ (diags_array(weight) @ design)).toarray()
            missing[np.ix_(line[:, first], line[:, second])] = block
            missing[np.ix_(line[:, second], line[:, first])] = block.T
    return missing
