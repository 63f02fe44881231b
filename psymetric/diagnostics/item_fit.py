"""Item fit: does each item's response depend on the summed score as the model says?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.stats import chi2

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.complete import complete_responses
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.problems import MarginalProblem, marginal_problem

__all__ = ["item_fit"]

Array = NDArray[np.float64]

_WHO = "item_fit"
_NODES, _HALF_WIDTH = 241, 8.0
_RANK = 1e-9
_ABILITIES = 41
"""Abilities at which it is asked how many ways a variable's own parameters can move its response function."""


def item_fit(fit: Fit, table: ResponseTable, *, min_expected: float = 1.0, alpha: float = 0.05) -> pd.DataFrame:
    r"""S-X² of every item: observed and expected categories among subjects of the same summed score.

    Expected proportions follow from the model by the recursion of Lord and Wingersky,
    $E_{ik|s} = \int P_i(k|\theta)\, f(s-k|\theta)\,\phi / \int f(s|\theta)\,\phi$, so that subjects are grouped by what
    was observed and not by an estimate. The lowest and the highest summed score say nothing and are left out. Where a
    category is expected fewer than `min_expected` times among subjects of a score it is joined to its neighbour; where
    that leaves a single category, the score is joined to the next. Degrees of freedom are the cells that are free given
    the sizes of the groups, minus the number of ways in which the item's own parameters can move its response function
    (1 in the Rasch model, the number of steps with partial credit). Parameters common to all items are not counted:
    with few items the test is that much conservative.

    The variables are the items, or the combinations of the model's facets where every subject met all of them.

    Args:
        fit: A fit by `MarginalML` without random facets.
        table: The table that was fitted: complete, without weights.
        min_expected: Smallest expected count of a cell; above 0.
        alpha: Level behind the flag, for the p-values adjusted for the number of items.

    Returns:
        One row per variable: level (label; several facets joined by " × "), s_x2, groups (of scores), df, p, p_holm,
        rmsea (√(max(S-X² − df, 0) / (df (N − 1)))), flag. NaN with a flag where no degrees of freedom are left.

    Raises:
        DataError: The fit, the table or the design does not allow the test; a setting out of range.

    Source: Orlando & Thissen (2000), Applied Psychological Measurement 24, 50-64, eq. 4 and 6; several categories: Kang
    & Chen (2008), Journal of Educational Measurement 45, 391-406.
    """
    if not min_expected > 0:
        raise DataError(f"{_WHO}: min_expected={min_expected} must be a positive count, such as 1")
    if not 0 < alpha < 1:
        raise DataError(f"{_WHO}: alpha={alpha} is not a level between 0 and 1, such as 0.05")
    data = complete_responses(fit, table, who=_WHO)
    with double_precision():
        problem = marginal_problem(fit.model, table, prior=False, n_nodes=_NODES, half_width=_HALF_WIDTH)
        free = jax.device_put(problem.space.unconstrain(fit.parameters))
        probability = np.asarray(_conditional(problem, free))
        own = _own_parameters(problem, free)
    weight = np.exp(np.asarray(problem.log_weights))
    expected = _expected_proportions(probability, weight)
    score = data.response.sum(axis=1)
    size = np.bincount(score, minlength=expected.shape[1])
    rows = []
    for variable, proportions in enumerate(expected):
        observed = np.zeros_like(proportions)
        np.add.at(observed, (score, data.response[:, variable]), 1.0)
        found = _collapsed(observed[1:-1], (size[:, None] * proportions)[1:-1], min_expected)
        rows.append((found.statistic, found.groups, found.free_cells - own[variable]))
    return _frame(data.labels, rows, len(score), alpha)


def _frame(labels: tuple[str, ...], rows: list[tuple[float, int, int]], n_subjects: int, alpha: float) -> pd.DataFrame:
    value, groups, df = (np.array(column) for column in zip(*rows, strict=True))
    testable = df > 0
    freedom = np.where(testable, df, 1)
    p = np.where(testable, chi2.sf(value, freedom), np.nan)
    p_holm = adjusted(p)
    rmsea = np.sqrt(np.maximum(value - freedom, 0) / (freedom * (n_subjects - 1)))
    return pd.DataFrame(
        {
            "level": pd.Series(list(labels), dtype=object),
            "s_x2": np.where(testable, value, np.nan),
            "groups": groups,
            "df": np.maximum(df, 0),
            "p": p,
            "p_holm": p_holm,
            "rmsea": np.where(testable, rmsea, np.nan),
            "flag": np.select(
                [~testable, p_holm < alpha],
                [
                    "no degrees of freedom left: too few subjects or items",
                    f"does not follow the model: Holm-adjusted p below {alpha:.3g}",
                ],
                "",
            ),
        }
    )


@jax.jit
def _conditional(problem: MarginalProblem, free: JaxArray) -> JaxArray:
    """Category probabilities at the nodes, shape (V, K, nodes)."""
    table = problem.table(problem.space.constrain(free))
    return jnp.exp(table).reshape(-1, problem.n_categories, problem.nodes.shape[0])


def _own_parameters(problem: MarginalProblem, free: JaxArray) -> NDArray[np.int64]:
    """In how many directions parameters of a facet's levels move each variable's response function, shape (V,)."""
    where = problem.space.slices()
    owned = [block.name for block in problem.space.blocks if set(block.labels) - {"step"}]
    columns = np.concatenate([np.arange(where[name].start, where[name].stop) for name in owned])
    # Few abilities settle a rank, and keep the derivatives small.
    some = np.linspace(0, problem.nodes.shape[0] - 1, _ABILITIES).astype(int)

    def at_some(point: JaxArray) -> JaxArray:
        return _conditional(problem, point)[:, :, some]

    push: Any = jax.linearize(at_some, free)[1]
    directions = jnp.eye(free.shape[0], dtype=free.dtype)[columns]
    derivative = np.asarray(jax.lax.map(push, directions)).transpose(1, 0, 2, 3)
    singular = np.linalg.svd(derivative.reshape(len(derivative), len(columns), -1), compute_uv=False)
    return np.count_nonzero(singular > _RANK * singular.max(axis=1, keepdims=True), axis=1)


def _expected_proportions(probability: Array, weight: Array) -> Array:
    """Categories of each variable given the summed score of all, shape (V, scores, K); 0 where a score is impossible.

    Args:
        probability: Shape (V, K, nodes).
        weight: Of the nodes, shape (nodes,).
    """
    n_variables, n_categories, n_nodes = probability.shape
    before, after = [np.ones((1, n_nodes))], [np.ones((1, n_nodes))]
    for variable in range(n_variables - 1):
        before.append(_with_one_more(before[-1], probability[variable]))
        after.append(_with_one_more(after[-1], probability[n_variables - 1 - variable]))
    n_scores = n_variables * (n_categories - 1) + 1
    joint = np.zeros((n_variables, n_scores, n_categories))
    for variable in range(n_variables):
        left, right = before[variable], after[n_variables - 1 - variable]
        rest = np.zeros((n_scores - n_categories + 1, n_nodes))
        for shift, part in enumerate(left):
            rest[shift : shift + len(right)] += part * right
        for category in range(n_categories):
            joint[variable, category : category + len(rest), category] = rest @ (
                weight * probability[variable, category]
            )
    total = joint.sum(axis=2, keepdims=True)
    return np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)


def _with_one_more(score: Array, probability: Array) -> Array:
    """Distribution of a summed score at each node with one more variable in it (Lord & Wingersky, 1984)."""
    n_categories = len(probability)
    found = np.zeros((len(score) + n_categories - 1, score.shape[1]))
    for category in range(n_categories):
        found[category : category + len(score)] += score * probability[category]
    return found


@final
@dataclass(frozen=True)
class _Collapsed:
    """Chi-square of a table after joining sparse cells, its groups of rows, and its cells minus one per group."""

    statistic: float
    groups: int
    free_cells: int


def _collapsed(observed: Array, expected: Array, least: float) -> _Collapsed:
    """Join neighbouring categories, then rows from both ends towards the middle, until cells are large enough.

    Args:
        observed: Counts, shape (rows, K).
        expected: Of the same shape.
        least: Smallest expected count.
    """
    rows = np.stack([observed, expected], axis=1)
    # The row best able to stand alone: by its second largest expected count, the smaller one of two categories.
    middle = int(np.argmax(np.sort(expected, axis=1)[:, -2]))
    low, left_low = _grouped(rows[:middle], least)
    high, left_high = _grouped(rows[middle:][::-1], least)
    groups = [*low, *high[::-1]]
    if not groups:
        return _Collapsed(0.0, 0, 0)
    # What is left in the middle is too little for a group of its own.
    groups[max(len(low) - 1, 0)] = groups[max(len(low) - 1, 0)] + left_low + left_high
    cells = [_joined(group, least) for group in groups]
    statistic = sum(float(np.sum((counts - means) ** 2 / means)) for counts, means in cells)
    return _Collapsed(statistic, len(cells), sum(len(means) - 1 for _, means in cells))


def _grouped(rows: Array, least: float) -> tuple[list[Array], Array]:
    """Rows joined in their order until they have two cells, each of shape (2, K); and what is left of the last."""
    groups: list[Array] = []
    waiting = np.zeros(rows.shape[1:])
    for row in rows:
        waiting = waiting + row
        if _joined(waiting, least).shape[1] > 1:
            groups.append(waiting)
            waiting = np.zeros_like(waiting)
    return groups, waiting


def _joined(counts: Array, least: float) -> Array:
    """Observed and expected counts, shape (2, K), with sparse categories joined to their neighbours."""
    cells: list[Array] = []
    waiting = np.zeros(2)
    for category in counts.T:
        waiting = waiting + category
        if waiting[1] >= least:
            cells.append(waiting)
            waiting = np.zeros(2)
    if cells:
        cells[-1] = cells[-1] + waiting
    return np.array(cells).reshape(-1, 2).T
