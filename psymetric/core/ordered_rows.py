"""Matrices of probabilities whose rows may be in order: from a free array and back, without differences that cancel.

Row m is a distribution over labels, made of the row above by moving probability to higher labels only. How much of
the order that keeps is a matter of what is moved, the `pooled` matrix B times the row above:

- B gathers everything at the lowest label: no order, as every distribution can be made of that;
- B keeps the lowest label and gathers the rest above it: the lowest label becomes less likely from row to row;
- B is the identity: rows are in stochastic order, as moving upwards is just what that means.
"""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = ["RowOrder", "free_from_rows", "in_order", "pooling", "rows_from_free"]

RowOrder = Literal["none", "lowest", "stochastic"]

_LEAST = 1e-300
"""Keeps logs finite where a probability leaves the range of numbers."""


def pooling(order: RowOrder, n_labels: int) -> NDArray[np.float64]:
    """The matrix B that says what a row keeps of the row above, shape (labels, labels).

    Raises:
        ValueError: An unknown order.
    """
    if order == "stochastic":
        return np.eye(n_labels)
    if order not in get_args(RowOrder):
        raise ValueError(f"order={order!r} is not one of {[*get_args(RowOrder)]}")
    pooled = np.zeros((n_labels, n_labels))
    pooled[0] = 1.0
    if order == "lowest":
        pooled[0, 1:], pooled[1, 1:] = 0.0, 1.0
    return pooled


def rows_from_free(free: Array, pooled: Array) -> tuple[Array, Array]:
    """Rows, and the log of their volume per unit of the free array.

    Of the probability that stands at a label or has been moved to it, the share with logit `free` stays there, and the
    rest moves on.

    Args:
        free: Shape (..., rows, labels - 1).
        pooled: What a row keeps of the row above, as `pooling` gives it, shape (labels, labels).

    Returns:
        Probabilities, shape (..., rows, labels), and the log of the Jacobian of all labels but the last, shape (...).
    """
    stays, goes = jax.nn.sigmoid(free), jax.nn.sigmoid(-free)
    batch, n_labels = free.shape[:-2], free.shape[-1] + 1

    def row(kept: Array, shares: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        at_label: list[Array] = []
        rooms = [kept[..., 0]]
        for k in range(n_labels - 1):
            at_label.append(rooms[k] * shares[0][..., k])
            rooms.append(rooms[k] * shares[1][..., k] + kept[..., k + 1])
        found = jnp.stack([*at_label, rooms[-1]], axis=-1)
        return found @ pooled.T, (found, jnp.stack(rooms[:-1], axis=-1))

    first = jnp.zeros((*batch, n_labels)).at[..., 0].set(1.0)
    # One row at a time in a loop: unrolled, the program takes twice as long to compile.
    _, (rows, rooms) = jax.lax.scan(row, first, (jnp.moveaxis(stays, -2, 0), jnp.moveaxis(goes, -2, 0)))
    volume = jnp.log(stays + _LEAST) + jnp.log(goes + _LEAST) + jnp.log(jnp.moveaxis(rooms, 0, -2) + _LEAST)
    return jnp.moveaxis(rows, 0, -2), jnp.sum(volume, axis=(-2, -1))


def free_from_rows(rows: Array, pooled: Array) -> Array:
    """Inverse of `rows_from_free`, shape (..., rows, labels - 1); NaN where the rows are not in that order."""
    moved_on = _moved_on(rows, pooled)
    return jnp.log(rows[..., :-1] + _LEAST) - jnp.log(moved_on + _LEAST)


def in_order(rows: Array, pooled: Array) -> Array:
    """Whether the rows are in the order that `pooled` stands for, shape (...)."""
    return jnp.all(_moved_on(rows, pooled) >= 0, axis=(-2, -1))


def _moved_on(rows: Array, pooled: Array) -> Array:
    """What each row moves beyond each label but the last, shape (..., rows, labels - 1).

    Added from the right, what arrives there less what was there; from the right the sums cancel least.
    """
    tails = jnp.cumsum(rows[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    kept = jnp.cumsum((rows[..., :-1, :] @ pooled.T)[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    return tails.at[..., 1:, :].add(-kept)
