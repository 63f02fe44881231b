"""Ratings turned into comparisons: which of two was rated higher under the same judge, item and wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.distinct import combined
from psymetric.data.coding import label_array
from psymetric.data.columns import RESERVED
from psymetric.data.messages import counted, listing, nearest
from psymetric.data.outcomes import OUTCOMES
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["check_lists", "list_of", "pairs_from_ratings"]

_Weights = Literal["pair", "list"]


def pairs_from_ratings(
    table: ResponseTable, *, by: str | Sequence[str], of: str = "subject", weights: _Weights = "pair"
) -> PairTable:
    """Compare the ratings of every list in pairs: the higher of two wins, equal ones are ties.

    A list is all ratings in one combination of the facets `by`, such as what one judge said under one criterion. The
    outcome forgets by how much two ratings differ and where on the scale they lie, so that judges who use the scale
    differently can be joined.

    The pairs of a list of n hang together: there are n (n - 1) / 2 of them and at most n - 1 are news. Estimates are
    consistent, but errors that take them as independent are too small: use `robust_errors(fit, pairs, cluster="list")`,
    or `bootstrap(..., resample="list")`. Which item is left follows its label and means nothing, so that a position
    effect has no place in the model.

    Args:
        table: Ratings. Rows without one are left out.
        by: Facets whose every combination is a list.
        of: The facet whose levels are compared; they become the items.
        weights: "pair", 1 for every pair, or the product of the weights of its ratings; "list" times 2 / n, so that the
            pairs of a list of n count as n - 1 comparisons: a long list is then no louder than it is long.

    Returns:
        Comparisons with the facets `by` (`item` is called `item_facet`, as the things compared are the items now) and
        `list`, the number of the list.

    Raises:
        DataError: An unknown facet, `of` among `by`, two ratings of one thing in one list, or no list of two.
    """
    who = "pairs_from_ratings"
    names = (by,) if isinstance(by, str) else tuple(by)
    check_lists(table, names, of, who=who)
    if weights not in get_args(_Weights):
        raise DataError(f"{who}: weights={weights!r} is not known: use {list(get_args(_Weights))}")
    owner = list_of(table, names)
    thing = table.codes[of].astype(np.int64)
    order = np.lexsort((thing, owner))
    first, second = _within(np.bincount(owner))
    first, second = order[first], order[second]
    same = thing[first] == thing[second]
    if same.any():
        row = first[int(np.argmax(same))]
        at = ", ".join(f"{name} {table.levels[name][table.codes[name][row]]!r}" for name in names)
        raise DataError(
            f"{who}: {of} {table.levels[of][thing[row]]!r} has several ratings in one list ({at}; {int(same.sum()):,} "
            "such pairs): name in by= what tells them apart"
        )
    if not len(first):
        raise DataError(f"{who}: no list by {listing(names)} holds two ratings; leave a facet out of by=")
    difference = table.response[first] - table.response[second]
    weight = table.weight[first] * table.weight[second]
    if weights == "list":
        weight = weight * 2 / np.bincount(owner)[owner[first]]
    labels = label_array(table.levels[of], table.codes[of])
    facets = {name: f"{name}_facet" if name in RESERVED else name for name in names}
    frame = pd.DataFrame(
        {
            **{facets[name]: label_array(table.levels[name], table.codes[name][first]) for name in names},
            "list": owner[first],
            "left": labels[first],
            "right": labels[second],
            "outcome": np.array(OUTCOMES, dtype=object)[np.select([difference > 0, difference < 0], [0, 1], 2)],
            "weight": weight,
        }
    )
    pairs = PairTable.from_frame(
        frame,
        left="left",
        right="right",
        outcome="outcome",
        facets=(*facets.values(), "list"),
        weight="weight",
        # An item may be called "left" as well.
        outcomes={outcome: str(outcome) for outcome in OUTCOMES},
    )
    return pairs.noted(_caveat(owner, len(first), weights))


def _within(count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of both members of every pair inside runs of these lengths that follow one another."""
    start = np.cumsum(count) - count
    firsts, seconds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(count[count > 1]):
        first, second = np.triu_indices(int(size), 1)
        runs = start[count == size][:, None]
        firsts.append((runs + first).ravel())
        seconds.append((runs + second).ravel())
    return np.concatenate(firsts), np.concatenate(seconds)


def check_lists(table: ResponseTable, names: tuple[str, ...], of: str, *, who: str) -> None:
    """Raise DataError unless the table has the facets whose combinations are lists, and the one that is compared."""
    if not isinstance(table, ResponseTable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"{who}: needs a ResponseTable, got a {type(table).__name__}")
    for name in (*names, of):
        if name not in table.codes:
            raise DataError(f"{who}: no facet {name!r}; {nearest(name, table.codes)}")
    if not names or of in names:
        raise DataError(f"{who}: by={listing(names)} must name facets other than {of!r}, which is compared")


def list_of(table: ResponseTable, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Number of the combination of facets that each row is in, counted by first rows, shape (rows,)."""
    return pd.factorize(combined([table.codes[name] for name in names]))[0].astype(np.int64)


def _caveat(owner: NDArray[np.int64], n_pairs: int, weights: _Weights) -> str:
    size = np.bincount(owner)
    n_lists, n_news = int(np.sum(size > 1)), int(np.sum(np.maximum(size - 1, 0)))
    how = ", weighted to count as many" if weights == "list" else ""
    return (
        f"{counted(n_pairs, 'comparison')} made of {counted(n_lists, 'list')} of ratings, of which at most {n_news:,} "
        f"are independent{how}: cluster the errors by 'list' (robust_errors, bootstrap), or they are too small."
    )
