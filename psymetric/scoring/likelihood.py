"""A fitted model's likelihood on rows, with each subject at one or several abilities, in pieces of bounded memory.

Everything here goes through the model's own `category_log_probs`; derivatives by ability are automatic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.precision import double_precision
from psymetric.data.messages import row_error
from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.space import has_ability
from psymetric.scoring.alignment import AlignedRows

__all__ = [
    "Piece",
    "check_possible",
    "derivatives",
    "log_likelihoods",
    "model_log_probs",
    "pieces",
    "probabilities",
    "probabilities_at",
    "row_derivatives",
]

Array = NDArray[np.float64]

_PIECE = 1 << 21
"""Numbers (rows × nodes × categories) handled at once."""
_IMPOSSIBLE = -5_000.0
"""A log-probability below this at ability zero belongs to a category that the fit puts out of reach."""


def model_log_probs(
    model: AbstractMeasurementModel,
    params: dict[str, JaxArray],
    codes: dict[str, JaxArray],
    theta: JaxArray,
    n_categories: int,
) -> JaxArray:
    """Log-probabilities with row r at the abilities theta[r], shape (rows, nodes, categories)."""
    n_rows, n_nodes = theta.shape
    wide = {name: jnp.repeat(code, n_nodes) for name, code in codes.items()}
    if has_ability(model):
        wide["subject"] = jnp.arange(n_rows * n_nodes)
        params = params | {ABILITY: theta.ravel()}
    return model.category_log_probs(params, wide, n_categories).reshape(n_rows, n_nodes, -1)


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _probabilities_at(
    model: AbstractMeasurementModel, params: Any, codes: Any, theta: JaxArray, n_categories: int
) -> JaxArray:
    return jnp.exp(model_log_probs(model, params, codes, theta[:, None], n_categories)[:, 0])


def probabilities_at(
    model: AbstractMeasurementModel,
    params: Mapping[str, Array],
    codes: Mapping[str, NDArray[np.int32]],
    theta: Array,
    n_categories: int,
) -> Array:
    """Category probabilities of a few rows at given abilities, shape (rows, categories).

    Rows are padded to a power of two, so that many small questions about one fit share a compiled program.
    """
    n_rows = len(theta)
    length = max(64, 1 << (n_rows - 1).bit_length())
    with double_precision():
        padded = {name: np.resize(code, length) for name, code in codes.items()}
        found = _probabilities_at(model, dict(params), padded, np.resize(theta, length), n_categories)
        return np.asarray(found)[:n_rows]


class Piece:
    """Some rows of a table, padded to a length that few programs are compiled for."""

    def __init__(self, rows: AlignedRows, where: slice, length: int) -> None:
        self.where = where
        self.count = where.stop - where.start
        self._length = length
        self.codes = {name: self.pad(code[where]) for name, code in rows.codes.items()}
        self.response = self.pad(rows.response[where])

    def pad(self, values: NDArray[Any]) -> NDArray[Any]:
        """Zeros appended up to the common length."""
        return np.concatenate([values, np.zeros((self._length - self.count, *values.shape[1:]), values.dtype)])

    def trim(self, values: Any) -> NDArray[Any]:
        """The rows that are not padding."""
        return np.asarray(values)[: self.count]


def pieces(rows: AlignedRows, n_nodes: int) -> Iterator[Piece]:
    """The rows in pieces whose evaluation at `n_nodes` abilities per row fits the memory bound."""
    n_rows = len(rows.response)
    most = max(_PIECE // (n_nodes * rows.n_outcomes), 64)
    length = min(1 << (n_rows - 1).bit_length(), 1 << (most.bit_length() - 1))
    for start in range(0, n_rows, length):
        yield Piece(rows, slice(start, min(start + length, n_rows)), length)


def row_derivatives(
    model: AbstractMeasurementModel, params: Any, codes: Any, response: JaxArray, theta: JaxArray, n_categories: int
) -> JaxArray:
    """What `derivatives` returns of a few rows, to be compiled or differentiated again, shape (6, rows)."""

    def log_probs(at: JaxArray) -> JaxArray:
        return model_log_probs(model, params, codes, at[:, None], n_categories)[:, 0]

    def slope(at: JaxArray) -> tuple[JaxArray, JaxArray]:
        return jax.jvp(log_probs, (at,), (jnp.ones_like(at),))

    (value, first), (_, second) = jax.jvp(slope, (theta,), (jnp.ones_like(theta),))
    probability, row = jnp.exp(value), jnp.arange(len(response))
    score = jnp.arange(value.shape[1])
    expected = probability @ score
    return jnp.stack(
        [
            first[row, response],
            second[row, response],
            jnp.sum(probability * first**2, axis=1),
            jnp.sum(probability * first * (second + first**2), axis=1),
            expected,
            probability @ score**2 - expected**2,
        ]
    )


_derivatives = partial(jax.jit, static_argnames=("model", "n_categories"))(row_derivatives)


def derivatives(rows: AlignedRows, theta: Array) -> Array:
    """What estimating an ability needs, for each row at its own ability.

    Args:
        rows: The responses.
        theta: Ability of each row in logits, shape (R,).

    Returns:
        Shape (6, R): first and second derivative of the log-likelihood by ability; Fisher information I; Warm's
        J = Σ P'P''/P; expected category; variance of the category.
    """
    found = np.empty((6, len(rows.response)))
    with double_precision():
        for piece in pieces(rows, 1):
            at = piece.pad(theta[piece.where])
            values = _derivatives(rows.model, dict(rows.params), piece.codes, piece.response, at, len(rows.categories))
            found[:, piece.where] = np.asarray(values)[:, : piece.count]
    return found


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _row_log_likelihood(
    model: AbstractMeasurementModel, params: Any, codes: Any, response: JaxArray, theta: JaxArray, n_categories: int
) -> JaxArray:
    log_probs = model_log_probs(model, params, codes, theta, n_categories)
    return jnp.take_along_axis(log_probs, response[:, None, None], axis=2)[:, :, 0]


def log_likelihoods(rows: AlignedRows, theta: Array) -> Array:
    """Each subject's log-likelihood at its own nodes.

    Args:
        rows: The responses.
        theta: Abilities in logits, shape (S, M).

    Returns:
        Shape (S, M).
    """
    total = np.zeros_like(theta)
    with double_precision():
        for piece in pieces(rows, theta.shape[1]):
            owner = rows.subject[piece.where]
            at = piece.pad(theta[owner])
            values = piece.trim(
                _row_log_likelihood(
                    rows.model, dict(rows.params), piece.codes, piece.response, at, len(rows.categories)
                )
            )
            pick = csr_array(
                (rows.weight[piece.where], (owner, np.arange(piece.count))), shape=(len(theta), piece.count)
            )
            total += pick @ values
    return total


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _probabilities(
    model: AbstractMeasurementModel, params: Any, codes: Any, theta: JaxArray, weight: JaxArray, n_categories: int
) -> JaxArray:
    return jnp.einsum("rm,rmk->rk", weight, jnp.exp(model_log_probs(model, params, codes, theta, n_categories)))


def probabilities(rows: AlignedRows, theta: Array, weight: Array) -> Array:
    """Category probabilities of every row, averaged over the nodes of its subject.

    Args:
        rows: The responses; only their codes are read.
        theta: Abilities in logits, shape (S, M).
        weight: Weights of the nodes, shape (S, M), rows summing to one.

    Returns:
        Shape (R, K).
    """
    found = np.empty((len(rows.response), rows.n_outcomes))
    with double_precision():
        for piece in pieces(rows, theta.shape[1]):
            owner = rows.subject[piece.where]
            found[piece.where] = piece.trim(
                _probabilities(
                    rows.model,
                    dict(rows.params),
                    piece.codes,
                    piece.pad(theta[owner]),
                    piece.pad(weight[owner]),
                    len(rows.categories),
                )
            )
    return found


def check_possible(rows: AlignedRows, *, who: str) -> None:
    """Refuse responses that the fit cannot give a likelihood to.

    Raises:
        DataError: A level without an estimate, or a category that its steps never saw.
    """
    found = np.empty(len(rows.response))
    with double_precision():
        for piece in pieces(rows, 1):
            at = np.zeros((len(piece.response), 1))
            values = _row_log_likelihood(
                rows.model, dict(rows.params), piece.codes, piece.response, at, len(rows.categories)
            )
            found[piece.where] = piece.trim(values)[:, 0]
    counts = rows.weight > 0
    if np.any(bad := counts & np.isnan(found)):
        got = [f"{name} {code}" for name, code in _first_codes(rows, bad).items()]
        raise row_error(
            who, "the levels of these rows have no estimate in the fit (codes given)", bad, got,
            "leave them out, or fit with MarginalML() or MAP()",
        )  # fmt: skip
    if np.any(bad := counts & (found < _IMPOSSIBLE)):
        got = [rows.categories[code] for code in rows.response[bad]]
        fix = "leave them out, or fit with a table that uses the category"
        raise row_error(who, "categories that were never used under these steps in the fit", bad, got, fix)


def _first_codes(rows: AlignedRows, bad: NDArray[np.bool_]) -> dict[str, int]:
    first = int(np.argmax(bad))
    return {name: int(code[first]) for name, code in rows.codes.items()}
