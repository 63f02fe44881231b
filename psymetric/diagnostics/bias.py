"""Bias: how far each combination of two facets departs from the sum of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import norm

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.moments import Measured, measure, response_moments
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.space import has_ability
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import derivatives, model_log_probs, pieces

__all__ = ["bias_analysis", "estimate_terms", "stuck_cells"]

Array = NDArray[np.float64]

_WHO = "bias_analysis"
_TOLERANCE, _MAX_STEPS, _LONGEST_STEP = 1e-8, 100, 1.0
_BLOCK = 1 << 17
_FAR = 60.0


def bias_analysis(fit: Fit, table: ResponseTable, first: str, second: str) -> pd.DataFrame:
    """An extra term for every combination of two facets, with everything else as fitted.

    For each cell the maximum-likelihood estimate of one number added to the difficulty of its responses: positive
    means more severe there than both facets' locations say. `JointML` fits: subjects at their measures. All others:
    subjects integrated out over their posteriors, so that a subject's own uncertainty is neither ignored nor allowed
    to absorb the bias. The facets need not be in the model: a template it leaves out can be crossed with the judges
    here.

    Cells are screened one at a time against a fit that has none of them, so that a real bias in one cell leaks a
    little into its neighbours; to estimate many together fit `ManyFacetRasch(interactions=...)`. With C cells, C/20
    have p < .05 by chance alone: read `p_holm`, which holds the chance of any false alarm at its level.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.
        first: A facet, such as "judge".
        second: Another, such as "item"; "subject" is allowed.

    Returns:
        One row per cell with responses: the two facets' labels (columns named as they are), n (sum of weights),
        observed and expected (mean score 0…K−1), estimate, se (logits), t (estimate / se), p (two-sided, normal),
        p_holm, note (cells with all lowest or all highest responses have no estimate).

    Raises:
        DataError: An unknown facet, twice the same, a model without subjects, or a mismatch of fit and table.

    Source: Linacre, FACETS manual, Tables 9-14; Myford & Wolfe (2004), Journal of Applied Measurement 5, 189-227; Holm
    (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    _check(fit, table, first, second)
    measured = measure(fit, table, who=_WHO)
    if measured.unit != "logit":
        raise DataError(
            f"{_WHO}: answers of {type(fit.model).__name__} follow the ideal category, so that no departure has a "
            f"place in logits: use fit_statistics(fit, table, pairs=[({first!r}, {second!r})])"
        )
    size = len(table.levels[second])
    keys, cell = np.unique(table.codes[first].astype(np.int64) * size + table.codes[second], return_inverse=True)
    cell = cell.reshape(-1)
    weight = np.where(measured.extreme, 0.0, measured.rows.weight)
    n = np.bincount(cell, weight, len(keys)).astype(np.float64)
    stuck = stuck_cells(measured.rows, weight, cell, n)
    estimate, se = estimate_terms(measured, cell, len(keys), (weight > 0) & ~stuck[cell])
    moments = response_moments(measured)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed, expected = (
            np.bincount(cell, weight * values, len(keys)) / n for values in (measured.rows.response, moments.expected)
        )
        t = estimate / se
    p = 2 * norm.sf(np.abs(t))
    notes = np.where(
        n == 0, "extreme scores only", np.where(stuck, "all lowest or all highest: no finite estimate", "")
    )
    labels = [pd.Index(list(table.levels[name])) for name in (first, second)]
    return pd.DataFrame(
        {
            first: labels[0].take(keys // size),
            second: labels[1].take(keys % size),
            "n": np.bincount(cell, measured.rows.weight, len(keys)),
            "observed": observed,
            "expected": expected,
            "estimate": estimate,
            "se": se,
            "t": t,
            "p": p,
            "p_holm": adjusted(p),
            "note": notes,
        }
    )


def _check(fit: Fit, table: ResponseTable, first: str, second: str) -> None:
    if not has_ability(fit.model):
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no subjects; biases of pairs are not screened here")
    if first == second:
        raise DataError(f"{_WHO}: {first!r} twice; name two different facets, such as 'judge' and 'item'")
    for facet in (first, second):
        if facet not in getattr(table, "facets", (facet,)):
            raise DataError(f"{_WHO}: the table has no facet {facet!r}: it has {list(table.facets)}")


def stuck_cells(rows: AlignedRows, weight: Array, cell: NDArray[np.int64], n: Array) -> NDArray[np.bool_]:
    """Cells whose responses are all the lowest, or all the highest, in reach."""
    found = n <= 0
    for side in (-_FAR, _FAR):
        end = np.rint(derivatives(rows, np.full(len(rows.response), side))[4])
        found |= n - np.bincount(cell, weight * (rows.response == end), len(n)) <= 1e-9 * n
    return found


@final
@dataclass(frozen=True)
class _Block:
    """Rows of some cells. A group is what one subject has in one cell; only within it do nodes multiply.

    Attributes:
        rows: The rows.
        cell: Cell of each row, from 0, shape (R,).
        group: Group of each row, shape (R,).
        group_cell: Cell of each group, shape (G,).
        group_subject: Subject of each group, shape (G,).
        cells: Which cells of the whole these are.
    """

    rows: AlignedRows
    cell: NDArray[np.int64]
    group: NDArray[np.int64]
    group_cell: NDArray[np.int64]
    group_subject: NDArray[np.int64]
    cells: NDArray[np.int64]


def _blocks(rows: AlignedRows, cell: NDArray[np.int64], keep: NDArray[np.bool_]) -> Iterator[_Block]:
    chosen = np.flatnonzero(keep)
    chosen = chosen[np.argsort(cell[chosen], kind="stable")]
    starts = np.flatnonzero(np.diff(cell[chosen], prepend=-1))
    cuts: list[int] = [0]
    for start in starts.tolist():
        if start - cuts[-1] >= _BLOCK:
            cuts.append(start)
    for begin, end in zip(cuts, [*cuts[1:], len(chosen)], strict=True):
        index = chosen[begin:end]
        if not len(index):
            continue
        cells, local = np.unique(cell[index], return_inverse=True)
        n_subjects = len(rows.subjects)
        keys, group = np.unique(local.reshape(-1) * np.int64(n_subjects) + rows.subject[index], return_inverse=True)
        yield _Block(
            rows.take(index), local.reshape(-1), group.reshape(-1), keys // n_subjects, keys % n_subjects, cells
        )


def estimate_terms(
    measured: Measured, cell: NDArray[np.int64], n_cells: int, keep: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """One number added to the difficulty of each cell's responses, and its standard error, shape (cells,) each.

    Args:
        measured: The responses and where their subjects are.
        cell: Cell of each row, shape (R,).
        n_cells: How many cells there are.
        keep: Which rows count, shape (R,).
    """
    estimate, se = np.full(n_cells, np.nan), np.full(n_cells, np.nan)
    for block in _blocks(measured.rows, cell, keep):
        bias = np.zeros(len(block.cells))
        baseline = _sums(measured, block, bias)[0]
        for _ in range(_MAX_STEPS):
            score, information, complete = _score(measured, block, bias, baseline)
            step = np.clip(score / np.maximum(information, complete / 4), -_LONGEST_STEP, _LONGEST_STEP)
            bias = bias + step
            if np.max(np.abs(step)) < _TOLERANCE:
                break
        information = _score(measured, block, bias, baseline)[1]
        estimate[block.cells] = bias
        se[block.cells] = 1 / np.sqrt(np.where(information > 0, information, np.nan))
    return estimate, se


def _score(measured: Measured, block: _Block, bias: Array, baseline: Array) -> tuple[Array, Array, Array]:
    """Slope, observed information (Louis, 1982) and complete-data information of the cells' marginal likelihoods."""
    log_likelihood, first, second = _sums(measured, block, bias)
    prior = measured.abilities.weight[block.group_subject]
    tilt = log_likelihood - baseline
    posterior = prior * np.exp(tilt - tilt.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    slope = -np.sum(posterior * first, axis=1)
    complete = -np.sum(posterior * second, axis=1)
    missing = np.sum(posterior * first**2, axis=1) - slope**2

    def total(values: Array) -> Array:
        return np.bincount(block.group_cell, values, len(block.cells)).astype(np.float64)

    return total(slope), total(complete - missing), total(complete)


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _row_sums(
    model: AbstractMeasurementModel, params: Any, codes: Any, response: JaxArray, theta: JaxArray, n_categories: int
) -> JaxArray:
    def chosen(at: JaxArray) -> JaxArray:
        log_probs = model_log_probs(model, params, codes, at, n_categories)
        return jnp.take_along_axis(log_probs, response[:, None, None], axis=2)[:, :, 0]

    def slope(at: JaxArray) -> tuple[JaxArray, JaxArray]:
        return jax.jvp(chosen, (at,), (jnp.ones_like(at),))

    (value, first), (_, second) = jax.jvp(slope, (theta,), (jnp.ones_like(theta),))
    return jnp.stack([value, first, second])


def _sums(measured: Measured, block: _Block, bias: Array) -> Array:
    """Log-likelihood and two derivatives by ability at each group's nodes moved by minus its bias, shape (3, G, M)."""
    rows, theta = block.rows, measured.abilities.theta
    found = np.zeros((3, len(block.group_cell), theta.shape[1]))
    with double_precision():
        for piece in pieces(rows, theta.shape[1]):
            at = piece.pad(theta[rows.subject[piece.where]] - bias[block.cell[piece.where], None])
            values = _row_sums(rows.model, dict(rows.params), piece.codes, piece.response, at, len(rows.categories))
            group = block.group[piece.where]
            entries = (rows.weight[piece.where], (group, np.arange(piece.count)))
            pick = csr_array(entries, shape=(found.shape[1], piece.count))
            for target, value in zip(found, np.asarray(values), strict=True):
                target += pick @ value[: piece.count]
    return found
