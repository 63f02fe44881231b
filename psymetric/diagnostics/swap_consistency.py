"""Consistency under swap: whether a judge names the same winner when the two items change places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from psymetric.core.distinct import combined
from psymetric.data.messages import counted, nearest
from psymetric.data.pairs import PairTable
from psymetric.diagnostics.pair_questions import check_pairs, contest_facets, questions, unit_facets
from psymetric.errors import DataError

__all__ = ["Swapped", "outcome_shares", "swap_consistency", "swap_rows", "swapped_questions"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_WHO = "swap_consistency"


def swap_consistency(
    pairs: PairTable, *, unit: str | Sequence[str] | None = None, by: str | None = "judge", level: float = 0.95
) -> pd.DataFrame:
    r"""How often the same winner is named in both orders of the same question.

    A question is two items under one combination of levels of the facets in `unit`, put to one judge. With
    $p_k$ the shares of its outcomes in one order and $q_k$ in the other (0 or 1 where each order was asked once), k
    naming the item that won or a tie,

    * strict consistency is $\sum_k p_k q_k$: the same winner both times, or a tie both times;
    * direction-only consistency is one less the share of reversals: a tie beside a win is no reversal;
    * `first` and `second` are the reversals: both times the item shown first won, or both times the second.

    strict + mixed + first + second = 1, and direction = strict + mixed. Every question counts once, however often it
    was asked, and a row of weight w as w comparisons of its question. Questions with outcomes in one order only are
    counted in `n_one_order` and enter no share; a comparison without an outcome is no comparison here.

    Args:
        pairs: Comparisons, `left` being the item shown first.
        unit: Facets that tell one question from another besides the two items, such as "prompt". By default all facets
            of the table. The facet `by` and a facet "judge" always belong to them.
        by: Facet of the groups; left out where the default is no facet of the table, None for all questions alone.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        One row for all questions (group None), then one per level of `by`: group, n (questions asked in both orders),
        n_one_order, strict, direction (each with _lower and _upper: Wilson's interval over questions, taken for
        independent), mixed (a win beside a tie), first, second, note. NaN with a note where n is 0.

    Raises:
        DataError: No question was asked in both orders, an unknown facet, ties that are half wins, or no coverage.

    Source: Zheng et al. (2023), Judging LLM-as-a-judge with MT-bench and Chatbot Arena, section 3.4 and table 2
    (consistency); Zeng et al. (2024), LLMBar, section 4 (positional agreement rate).
    """
    check_pairs(pairs, who=_WHO)
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    known = contest_facets(pairs)
    if by is not None and by not in known:
        if by != "judge":
            raise DataError(f"{_WHO}: by={by!r} is no facet of the comparisons; {nearest(by, known or ('None',))}")
        by = None
    facets = unit_facets(pairs, unit, who=_WHO)
    judges = tuple(name for name in (by, "judge") if name in known)
    found = swapped_questions(pairs, tuple(dict.fromkeys((*facets, *judges))), by)
    if not found.both.any():
        about = ", ".join(repr(name) for name in dict.fromkeys((*facets, *judges))) or "no facet"
        raise DataError(
            f"{_WHO}: none of {counted(len(found.both), 'question')} (two items and {about}) has outcomes in both "
            "orders; name by unit= the facets that a question keeps when its items change places"
        )
    whole = swap_rows(found, np.zeros_like(found.group), 1, level)
    frames = [whole.assign(group=pd.Series([None], dtype=object))]
    if by is not None:
        labels = pairs.levels[by]
        frames.append(
            swap_rows(found, found.group, len(labels), level).assign(group=pd.Series(list(labels), dtype=object))
        )
    frame = pd.concat(frames, ignore_index=True)
    return frame[["group", *(name for name in frame.columns if name != "group")]]


@final
@dataclass(frozen=True)
class Swapped:
    """Outcomes of Q questions in both orders.

    Attributes:
        both: Whether both orders have an outcome, shape (Q,).
        group: Group of each question, shape (Q,).
        shares: Chance that two comparisons, one of each order, agree strictly; that one is a tie; that the first shown
            won both; that the second did. Shape (Q, 4), rows summing to one; NaN without both orders.
        expected: Strict consistency of two independent answers under a fit, shape (Q,); NaN without one or the other.
    """

    both: NDArray[np.bool_]
    group: Codes
    shares: Array
    expected: Array


def swapped_questions(
    pairs: PairTable, facets: Sequence[str], by: str | None, *, chances: Array | None = None
) -> Swapped:
    """Questions of a table, `facets` telling them apart, with their group by `by`, which is one of the facets.

    Args:
        pairs: Comparisons.
        facets: What makes comparisons of the same two items different questions.
        by: Facet of the groups, or None.
        chances: Of left, right and tie under a fit, for each row of positive weight, shape (R, 3); or None.
    """
    kept = pairs.weight > 0
    question, turned = questions(pairs, facets)
    question = combined([question[kept]])
    n_questions = int(question.max()) + 1
    group = np.zeros(n_questions, np.int64)
    if by is not None:
        group[question] = pairs.codes[by][kept]
    cell = question * 2 + turned[kept]
    shares, asked = outcome_shares(cell, turned[kept], pairs.response[kept], pairs.weight[kept], 2 * n_questions)
    there, back = shares[0::2], shares[1::2]
    both = (asked[0::2] > 0) & (asked[1::2] > 0)
    strict = np.sum(there * back, axis=1)
    # In the first order the earlier item was shown first, in the other one the later.
    first, second = there[:, 0] * back[:, 1], there[:, 1] * back[:, 0]
    found = np.stack([strict, 1 - strict - first - second, first, second], axis=1)
    expected = np.full(n_questions, np.nan)
    if chances is not None:
        mean = _mean_chances(cell, turned[kept], chances, pairs.weight[kept], 2 * n_questions)
        expected = np.where(both, np.sum(mean[0::2] * mean[1::2], axis=1), np.nan)
    return Swapped(both, group, np.where(both[:, None], found, np.nan), expected)


def _mean_chances(cell: Codes, turned: NDArray[np.bool_], chances: Array, weight: Array, n_cells: int) -> Array:
    """Mean chances of the earlier item's win, the later one's and a tie in each cell, shape (cells, 3)."""
    left, right, tie = chances.T
    columns = np.where(turned, right, left), np.where(turned, left, right), tie
    total = np.bincount(cell, weight, n_cells)
    sums = np.stack([np.bincount(cell, weight * column, n_cells) for column in columns], axis=1)
    return np.divide(sums, total[:, None], out=np.zeros_like(sums), where=total[:, None] > 0)


def outcome_shares(
    cell: Codes, turned: NDArray[np.bool_], response: NDArray[np.int32], weight: Array, n_cells: int
) -> tuple[Array, Array]:
    """Shares of the earlier item's wins, the later one's and ties in each cell, shape (cells, 3), and its weight."""
    outcome = np.where(turned & (response < 2), 1 - response, response)
    counts = np.bincount(cell * 3 + outcome, weight, 3 * n_cells).reshape(n_cells, 3)
    total = counts.sum(axis=1)
    return np.divide(counts, total[:, None], out=np.full(counts.shape, np.nan), where=total[:, None] > 0), total


def swap_rows(found: Swapped, group: Codes, n_groups: int, level: float) -> pd.DataFrame:
    """Shares of each group, with intervals; the columns of `swap_consistency` without its groups."""
    own, both = group[found.both], found.shares[found.both]
    n = np.bincount(own, minlength=n_groups)
    alone = np.bincount(group[~found.both], minlength=n_groups)
    total = np.stack([np.bincount(own, part, n_groups) for part in both.T], axis=1)
    share = np.divide(total, n[:, None], out=np.full(total.shape, np.nan), where=n[:, None] > 0)
    strict, mixed, first, second = share.T
    columns: dict[str, object] = {"n": n, "n_one_order": alone}
    for name, value in (("strict", strict), ("direction", strict + mixed)):
        lower, upper = proportion_confint(value * n, np.maximum(n, 1), alpha=1 - level, method="wilson")
        columns |= {name: value, f"{name}_lower": np.asarray(lower), f"{name}_upper": np.asarray(upper)}
    note = np.where(n > 0, "", "no question has outcomes in both orders")
    return pd.DataFrame({**columns, "mixed": mixed, "first": first, "second": second, "note": note})
