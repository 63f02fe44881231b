"""Matrices of probabilities whose rows may be in order: from a free array and back, without differences that cancel.

Row m is a distribution over labels, made of the row above by moving probability to higher labels only. How much of
the order that keeps is a matter of what is moved, the `pooled` matrix B times the row above:

- B gathers everything at the lowest label: no order, as every distribution can be made of that;
- B keeps the lowest label and gathers the rest above it: the lowest label becomes less likely from row to row;
- B is the identity: rows are in stochastic order, as moving upwards is just what that means.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal, final, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = ["OrderedRows", "RowOrder", "free_from_rows", "in_order", "pooling", "rows_from_free"]

RowOrder = Literal["none", "lowest", "stochastic"]

_LEAST = 1e-300
"""Keeps logs finite where a probability leaves the range of numbers."""
_NEWTON_STEPS = 12
_INSIDE = 0.8


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


@final
@partial(jax.tree_util.register_dataclass, data_fields=["pooled", "left", "right"], meta_fields=["shape"])
@dataclass(frozen=True)
class OrderedRows:
    """Arrays of shape (..., rows, labels) whose rows are probabilities in an order, from free numbers.

    Under a Dirichlet prior worth less than a label, the log-odds of a rare label have a long tail, in which a sampler
    gets lost. Log-odds are therefore bent: quadratic in the free numbers, so that these have tails like a normal
    distribution's under that prior.

    Attributes:
        shape: Of the array.
        pooled: As `pooling` gives it, shape (labels, labels).
        left: Rate at which the density of the log-odds falls to the left, of a shape that broadcasts to (..., rows,
            labels - 1).
        right: The same to the right.
    """

    shape: tuple[int, ...]
    pooled: Array
    left: Array
    right: Array

    @classmethod
    def build(cls, shape: tuple[int, ...], order: RowOrder, counts: NDArray[np.float64]) -> OrderedRows:
        """Rows in `order` under Dirichlet priors with these parameters, of the rows' shape."""
        after = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1][..., 1:]
        # Where rows are in stochastic order, what a label leaves may be nothing and the labels after it still likely.
        right = np.minimum(after, 1.0) if order == "stochastic" else after
        rates = [np.where(rate < 1, rate, np.sqrt(rate)) for rate in (counts[..., :-1], right)]
        return cls(shape, *jax.device_put((pooling(order, shape[-1]), *rates)))

    @property
    def size(self) -> int:
        """Length of the free vector."""
        return prod(self.shape[:-1]) * (self.shape[-1] - 1)

    def _parts(self, free: Array) -> tuple[Array, Array]:
        numbers = free.reshape(*self.shape[:-1], self.shape[-1] - 1)
        low = jax.nn.softplus(-numbers)
        high = low + numbers
        up = jax.nn.sigmoid(numbers)
        slope = low * (1 - up) / self.left + high * up / self.right
        rows, volume = rows_from_free(high**2 / (2 * self.right) - low**2 / (2 * self.left), self.pooled)
        return rows, jnp.sum(volume) + jnp.sum(jnp.log(slope + _LEAST))

    def forward(self, free: Array) -> Array:
        """The probabilities, of `shape`."""
        return self._parts(free)[0]

    def log_forward(self, free: Array) -> Array:
        """Logs of the probabilities, finite where these are too small for a number."""
        return jnp.log(self.forward(free) + _LEAST)

    def log_jacobian(self, free: Array) -> Array:
        """Log of the volume of all but one of the probabilities of each row per unit of the free vector."""
        return self._parts(free)[1]

    def free(self, rows: Array) -> Array:
        """The free vector of rows in that order, shape (size,); NaN where they are not."""
        odds = free_from_rows(rows, self.pooled)
        start = jnp.where(odds < 0, -jnp.sqrt(2 * self.left * jnp.abs(odds)), jnp.sqrt(2 * self.right * jnp.abs(odds)))

        def step(_: int, number: Array) -> Array:
            low, up = jax.nn.softplus(-number), jax.nn.sigmoid(number)
            high = low + number
            short = high**2 / (2 * self.right) - low**2 / (2 * self.left) - odds
            return number - jnp.clip(short / (low * (1 - up) / self.left + high * up / self.right), -1.0, 1.0)

        return jax.lax.fori_loop(0, _NEWTON_STEPS, step, start).ravel()

    def inverse(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """The free vector; rows at the edge of the order, such as equal ones, are first moved inside by a fifth.

        What is inside is all rows with equal shares of their room.
        """
        odds = np.asarray(_odds(jnp.asarray(value), self.pooled))
        if not np.all(np.isfinite(odds)) or np.abs(odds).max(initial=0.0) > -np.log(_LEAST) / 2:
            inner = np.asarray(_inner(self.pooled, value.shape[-2]))
            value = _INSIDE * value + (1 - _INSIDE) * inner
        return np.asarray(_free(self, jnp.asarray(value)))


@jax.jit
def _odds(rows: Array, pooled: Array) -> Array:
    return free_from_rows(rows, pooled)


@jax.jit
def _free(bijector: OrderedRows, rows: Array) -> Array:
    return bijector.free(rows)


@partial(jax.jit, static_argnums=1)
def _inner(pooled: Array, n_rows: int) -> Array:
    return rows_from_free(jnp.zeros((n_rows, pooled.shape[0] - 1)), pooled)[0]
