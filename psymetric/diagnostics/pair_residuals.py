"""Pairs of items, and items by judge, whose comparisons came out otherwise than a fit expects."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.distinct import factorized
from psymetric.data.coding import label_array
from psymetric.data.messages import nearest
from psymetric.data.pairs import PairTable
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.diagnostics.pair_chances import PairChances, pair_chances
from psymetric.diagnostics.pair_questions import contest_facets
from psymetric.diagnostics.pair_sums import PairSums, pair_sums
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit

__all__ = ["pair_residuals"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Orders = Literal["together", "apart"]

_WHO = "pair_residuals"
_RELIABLE = 2.0
"""Variance of a score under which its chances are so skewed that z says little; p is exact all the same."""


def pair_residuals(
    fit: Fit, pairs: PairTable, *, by: str | None = None, orders: Orders = "together", alpha: float = 0.05
) -> pd.DataFrame:
    r"""Scores of every pair of items, or of every item with every judge, beside what the fit expects.

    The score of a side is its wins and half its ties. With $E$ and $V$ its expectation and variance under the model,
    summed over the comparisons, $z = (\text{score} - E) / \sqrt V$. Pairs of items test whether one order serves for
    all of them; items by judge whether a judge favours one; `orders="apart"` whether the position helps all alike.

    The worths are estimated from the same comparisons and take up part of what they show, so that z is somewhat too
    small, by about the share of free worths in cells: little where many pairs met, much where a few did. A row of
    weight w counts as w comparisons. Comparisons without an outcome are left out.

    Args:
        fit: A fit of BradleyTerry.
        pairs: The comparisons: the fitted table, or others whose levels the fit knows.
        by: None for pairs of items; a facet such as "judge" for each of its levels with each item.
        orders: Pairs of items: "together", or "apart" for a row per order, `first` being shown first.
        alpha: Level of the flag, for all rows together, in (0, 1).

    Returns:
        One row per cell, the least expected first: first and second (items; the earlier level first), or the facet and
        item; n (sum of weights), score, expected, residual (score − expected, comparisons), z, p (two-sided: twice the
        smaller exact tail; by the normal law where weights are no whole numbers), p_holm (for all rows together), flag
        (direction and size where p_holm < alpha), note (where z is of little use: variance under 2).

    Raises:
        DataError: The table does not match the fit, an unknown facet, ties that are half wins or that the fit has no
            rule for, `orders` beside `by`, or alpha outside (0, 1).
        DesignError: A fit of another model.

    Source: David (1988), The Method of Paired Comparisons, 2nd ed., ch. 4; Holm (1979), Scandinavian Journal of
    Statistics 6, 65-70; the tails are those of a sum of independent scores (Hong, 2013, Computational Statistics & Data
    Analysis 59, 41-51).
    """
    chances = pair_chances(fit, pairs, who=_WHO)
    _check(pairs, by, orders, alpha)
    labels, found = _by_items(pairs, chances, orders) if by is None else _by_facet(pairs, chances, by)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (found.score - found.expected) / np.sqrt(found.variance)
    p = np.minimum(2 * np.minimum(found.at_most, found.at_least), 1.0)
    p_holm = adjusted(p)
    frame = labels.assign(
        n=found.n,
        score=found.score,
        expected=found.expected,
        residual=found.score - found.expected,
        z=np.where(np.isfinite(z), z, np.nan),
        p=p,
        p_holm=p_holm,
    )
    frame["flag"] = np.where(p_holm < alpha, _flags(found), "")
    frame["note"] = np.where(found.variance < _RELIABLE, "few or lopsided comparisons: read p, not z", "")
    return frame.sort_values(["p", "n"], ascending=[True, False], kind="stable", ignore_index=True)


def _check(pairs: PairTable, by: str | None, orders: str, alpha: float) -> None:
    if orders not in get_args(Orders):
        raise DataError(f"{_WHO}: orders={orders!r} is not one of {list(get_args(Orders))}")
    if by is not None and orders == "apart":
        raise DataError(f'{_WHO}: orders="apart" is of pairs of items; leave out by={by!r}, or keep orders together')
    if not 0 < alpha < 1:
        raise DataError(f"{_WHO}: alpha={alpha} is not a level between 0 and 1, such as 0.05")
    known = contest_facets(pairs)
    if by is not None and by not in known:
        hint = nearest(by, known) if known else "it has none"
        raise DataError(f"{_WHO}: by={by!r} is no facet of the comparisons; {hint}")


def item_pairs(pairs: PairTable, rows: Codes, *, apart: bool = False) -> tuple[Codes, Codes, NDArray[np.bool_]]:
    """Pairs of items that met, as cells.

    Args:
        pairs: Comparisons.
        rows: Which of them.
        apart: Whether the two orders are two cells.

    Returns:
        First item × items + second item of each cell, shape (C,); the cell of each row and whether its first item is
        the right one, shape (R,) each.
    """
    left, right = (pairs.codes[side][rows].astype(np.int64) for side in ("left", "right"))
    turned = np.zeros(len(rows), np.bool_) if apart else left > right
    n_items = len(pairs.levels["item"])
    key = np.where(turned, right * n_items + left, left * n_items + right)
    keys, cell = factorized(key, n_items**2)
    return keys, cell, turned


def _by_items(pairs: PairTable, chances: PairChances, orders: Orders) -> tuple[pd.DataFrame, PairSums]:
    keys, cell, turned = item_pairs(pairs, chances.rows, apart=orders == "apart")
    rows = chances.rows
    found = pair_sums(
        cell,
        chances.kind,
        turned,
        pairs.response[rows],
        pairs.weight[rows],
        probability=chances.probability,
        n_cells=len(keys),
    )
    items = pairs.levels["item"]
    first, second = np.divmod(keys, len(items))
    return pd.DataFrame({"first": _labels(items, first), "second": _labels(items, second)}), found


def _by_facet(pairs: PairTable, chances: PairChances, by: str) -> tuple[pd.DataFrame, PairSums]:
    rows, items = chances.rows, pairs.levels["item"]
    key = [pairs.codes[by][rows].astype(np.int64) * len(items) + pairs.codes[side][rows] for side in ("left", "right")]
    keys, cell = factorized(np.concatenate(key), len(pairs.levels[by]) * len(items))
    found = pair_sums(
        cell,
        np.tile(chances.kind, 2),
        np.repeat([False, True], len(rows)),
        np.tile(pairs.response[rows], 2),
        np.tile(pairs.weight[rows], 2),
        probability=chances.probability,
        n_cells=len(keys),
    )
    level, item = np.divmod(keys, len(items))
    return pd.DataFrame({by: _labels(pairs.levels[by], level), "item": _labels(items, item)}), found


def _labels(levels: tuple[object, ...], code: Codes) -> pd.Series:
    return pd.Series(label_array(levels, code.astype(np.int32)).to_numpy(dtype=object), dtype=object)  # pyright: ignore[reportArgumentType]


def _flags(found: PairSums) -> list[str]:
    words = np.where(found.score > found.expected, "wins more than expected", "wins less than expected")
    return [
        f"{word}: {score:g} of {n:g}, {expected:.1f} expected"
        for word, score, n, expected in zip(words, found.score, found.n, found.expected, strict=True)
    ]
