"""The distribution of a sum of responses given the ability (Lord & Wingersky, 1984), and posteriors from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.data.messages import row_error
from psymetric.models.base import AbstractMeasurementModel
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import model_log_probs
from psymetric.scoring.posterior import LogLikelihood, Posterior

__all__ = ["OUT_OF_REACH", "sum_score_log_probs", "sum_score_posterior"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

OUT_OF_REACH = -1e30
"""Stands for the logarithm of zero: finite, so that derivatives of what adds to it are zero and not NaN."""
_PIECE = 1 << 21
"""Numbers (subjects × nodes × sums × categories) handled at once."""


def sum_score_log_probs(log_probs: JaxArray) -> JaxArray:
    """Log-probabilities of every sum of independent responses, each in 0…K−1.

    Cells are added one at a time; the work is quadratic in their number. In logarithms, since the sum of a hundred
    responses at a far ability is less likely than the smallest float.

    Args:
        log_probs: Category log-probabilities by cell, shape (cells, ..., K).

    Returns:
        Shape (..., cells × (K − 1) + 1).

    Source: Lord & Wingersky (1984), Applied Psychological Measurement 8, 453-461; any number of categories: Thissen,
    Pommerich, Billeaud & Williams (1995), Applied Psychological Measurement 19, 39-49.
    """
    *middle, n_categories = log_probs.shape[1:]
    top = n_categories - 1
    size = log_probs.shape[0] * top + 1
    start = jnp.full((*middle, size), OUT_OF_REACH).at[..., 0].set(0.0)

    def add(sums: JaxArray, cell: JaxArray) -> tuple[JaxArray, None]:
        padded = jnp.pad(sums, [(0, 0)] * len(middle) + [(top, 0)], constant_values=OUT_OF_REACH)
        ways = [padded[..., top - k : top - k + size] + cell[..., k, None] for k in range(n_categories)]
        return logsumexp(jnp.stack(ways), axis=0), None

    return jax.lax.scan(add, start, log_probs)[0]


def sum_score_posterior(
    rows: AlignedRows, posterior_of: Callable[[AlignedRows, LogLikelihood], Posterior], *, who: str
) -> Posterior:
    """Posterior of every subject given only the sum of its responses, 0…K−1 each.

    Subjects who answered the same cells with the same sum share one calculation.

    Args:
        rows: The responses; a weight of two counts as the response given twice.
        posterior_of: From rows and the log-likelihood of a subject's sum to posteriors.
        who: The public function, for messages.

    Raises:
        DataError: Weights that are not whole numbers, of which there is no sum.

    Source: Thissen et al. (1995), eq. 3 and 4.
    """
    single = _one_row_each(rows, who=who)
    first, place = _alike(single)
    kept = np.full(len(rows.subjects), -1)
    kept[first] = np.arange(len(first))
    chosen = single.take(kept[single.subject] >= 0)
    few = replace(
        chosen,
        subject=kept[chosen.subject].astype(np.int32),
        subjects=tuple(rows.subjects[code] for code in first.tolist()),
    )
    found = posterior_of(few, _log_likelihoods)
    return Posterior(found.theta[place], found.weight[place])


def _one_row_each(rows: AlignedRows, *, who: str) -> AlignedRows:
    times = np.rint(rows.weight)
    if np.any(bad := np.abs(times - rows.weight) > 1e-9):
        raise row_error(
            who,
            "a sum score needs weights that are whole numbers",
            bad,
            rows.weight[bad],
            'give counts as weights, or use method="eap"',
        )
    repeated = rows.take(np.repeat(np.arange(len(rows.response)), times.astype(np.int64)))
    return replace(repeated, weight=np.ones(len(repeated.response)))


def _alike(rows: AlignedRows) -> tuple[Codes, Codes]:
    """One subject of each set of cells and sum, and the place of every subject among them.

    A set of cells is known by the sum of random 64-bit numbers of its cells, in two independent copies: S subjects are
    confused with a chance of S² / 2¹²⁹.
    """
    n_subjects = len(rows.subjects)
    columns = np.column_stack([*rows.codes.values()]) if rows.codes else np.zeros((len(rows.response), 1), np.int32)
    cell = np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)
    numbers = np.random.default_rng(0).integers(0, 1 << 64, (2, int(cell.max(initial=0)) + 1), np.uint64)
    keys = np.zeros((n_subjects, 3), np.uint64)
    for column in (0, 1):
        np.add.at(keys[:, column], rows.subject, numbers[column, cell])
    np.add.at(keys[:, 2], rows.subject, rows.response.astype(np.uint64))
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, place.reshape(-1)


@final
@dataclass(frozen=True)
class _Group:
    """Subjects of about equal numbers of responses; B subjects of which the last may be padding, C cells each.

    Attributes:
        subjects: Which subjects these are, shape (at most B,).
        row: Row of each cell, 0 where there is none, shape (B, C).
        used: Where there is one, shape (B, C).
    """

    subjects: Codes
    row: Codes
    used: NDArray[np.bool_]


def _groups(rows: AlignedRows, n_nodes: int) -> Iterator[_Group]:
    n_subjects, n_outcomes = len(rows.subjects), rows.n_outcomes
    order = np.argsort(rows.subject, kind="stable")
    count = np.bincount(rows.subject, minlength=n_subjects)
    start = np.cumsum(count) - count
    # Lengths are rounded up by at most a quarter, so that few programs are compiled.
    step = 1 << np.maximum(np.floor(np.log2(np.maximum(count, 1))).astype(np.int64) - 2, 0)
    length = np.maximum(-(-count // step) * step, 1)
    for n_cells in np.unique(length).tolist():
        members = np.flatnonzero(length == n_cells)
        numbers = n_nodes * (n_cells * (n_outcomes - 1) + 1) * n_outcomes
        size = min(1 << max((_PIECE // numbers).bit_length() - 1, 0), 1 << (len(members) - 1).bit_length())
        for begin in range(0, len(members), size):
            subjects = members[begin : begin + size]
            place = np.arange(n_cells)
            used = np.zeros((size, n_cells), bool)
            used[: len(subjects)] = place < count[subjects, None]
            row = np.zeros((size, n_cells), np.int64)
            filled = used[: len(subjects)]
            row[: len(subjects)][filled] = order[(start[subjects, None] + place)[filled]]
            yield _Group(subjects, row, used)


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _group_log_likelihood(
    model: AbstractMeasurementModel,
    params: Any,
    codes: Any,
    used: JaxArray,
    total: JaxArray,
    theta: JaxArray,
    n_categories: int,
) -> JaxArray:
    n_subjects, n_cells = used.shape
    n_nodes = theta.shape[1]
    log_probs = model_log_probs(model, params, codes, jnp.repeat(theta, n_cells, axis=0), n_categories)
    cells = log_probs.reshape(n_subjects, n_cells, n_nodes, -1)
    nothing = jnp.full(cells.shape[-1], OUT_OF_REACH).at[0].set(0.0)
    cells = jnp.where(used[:, :, None, None], cells, nothing)
    sums = sum_score_log_probs(jnp.moveaxis(cells, 1, 0))
    return jnp.take_along_axis(sums, total[:, None, None], axis=2)[:, :, 0]


def _log_likelihoods(rows: AlignedRows, theta: Array) -> Array:
    """Each subject's log-likelihood of its sum score at its own nodes, shape (S, M) as `theta`."""
    found = np.empty_like(theta)
    total = np.bincount(rows.subject, rows.response, len(rows.subjects)).astype(np.int64)
    if not len(rows.response):
        return np.zeros_like(theta)
    with double_precision():
        for group in _groups(rows, theta.shape[1]):
            n_subjects = len(group.subjects)
            padded = np.resize(group.subjects, len(group.used))
            codes = {name: code[group.row].ravel() for name, code in rows.codes.items()}
            values = _group_log_likelihood(
                rows.model,
                dict(rows.params),
                codes,
                group.used,
                np.where(np.arange(len(padded)) < n_subjects, total[padded], 0),
                theta[padded],
                len(rows.categories),
            )
            found[group.subjects] = np.asarray(values)[:n_subjects]
    return found
