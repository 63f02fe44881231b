"""Ratings of whole lists turned into rankings: in which order a judge put what it scored together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from psymetric.data.coding import label_array
from psymetric.data.columns import RESERVED
from psymetric.data.messages import counted, listing
from psymetric.data.rankings import RankingTable
from psymetric.data.rated_pairs import check_lists, list_of
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["rankings_from_ratings"]

_TAKEN = RESERVED | {"task", "rank", "score", "list"}


def rankings_from_ratings(table: ResponseTable, *, by: str | Sequence[str], of: str = "subject") -> RankingTable:
    """Rank the ratings of every list; equal ones are ties.

    A list is all ratings in one combination of the facets `by`, such as the scores that one judge gave, at once, to all
    replies to a prompt. Under `PlackettLuce` a list has the likelihood of its order, a sum of listwise log-sum-exps
    (ListMLE): unlike the pairs of `pairs_from_ratings`, its choices are independent of each other given the worths, so
    that a list needs no correction for the number of its pairs. Lists still hang together where a judge gave several:
    use `robust_errors(fit, rankings, cluster="judge")`, or `bootstrap(..., resample="judge")`.

    The order forgets by how much two ratings differ and where on the scale they lie, so that judges who use the scale
    differently can be joined. A coarse scale makes many ties (`PlackettLuce(ties="davidson-luce")`), and what their
    rule says of them is then a good part of the likelihood.

    Args:
        table: Ratings. Rows without one are left out: what was not rated is not ranked, neither above nor below.
        by: Facets whose every combination is a list.
        of: The facet whose levels are ranked; they become the items.

    Returns:
        Rankings with the facets `by` (a name that rankings use themselves, such as `item`, gets `_facet` added) and the
        number of the list as `task`. Lists of one rating say nothing and are left out, with a note.

    Raises:
        DataError: An unknown facet, `of` among `by`, two ratings of one thing in one list, ratings of one list with
            different weights, or no list of two.

    Source: Xia, Liu, Wang, Zhang & Li (2008), Listwise approach to learning to rank, ICML 25, 1192-1199 (ListMLE).
    """
    who = "rankings_from_ratings"
    names = (by,) if isinstance(by, str) else tuple(by)
    check_lists(table, names, of, who=who)
    owner = list_of(table, names)
    size = np.bincount(owner)
    thing = owner * len(table.levels[of]) + table.codes[of]
    if (twice := pd.Series(thing).duplicated().to_numpy(dtype=bool)).any():
        row = int(np.argmax(twice))
        at = ", ".join(f"{name} {table.levels[name][table.codes[name][row]]!r}" for name in names)
        raise DataError(
            f"{who}: {of} {table.levels[of][table.codes[of][row]]!r} has several ratings in one list ({at}; "
            f"{int(twice.sum()):,} such rows): name in by= what tells them apart"
        )
    if size.max() < 2:
        raise DataError(f"{who}: no list by {listing(names)} holds two ratings; leave a facet out of by=")
    facets = {name: f"{name}_facet" if name in _TAKEN else name for name in names}
    frame = pd.DataFrame(
        {
            **{facets[name]: label_array(table.levels[name], table.codes[name]) for name in names},
            "list": owner,
            "item": label_array(table.levels[of], table.codes[of]),
            "score": table.response,
            "weight": table.weight,
        }
    )
    rankings = RankingTable.from_scores(
        frame, score="score", task="list", item="item", facets=tuple(facets.values()), weight="weight"
    )
    return rankings.noted(_caveat(rankings, int(np.sum(size < 2))))


def _caveat(rankings: RankingTable, n_alone: int) -> str:
    n_lists, last = int(rankings.ranking.max()) + 1, len(rankings.categories) - 1
    place = rankings.ranking * last + rankings.response
    tied = rankings.n_rows - len(np.unique(place))
    alone = f" {counted(n_alone, 'list')} of one rating left out." if n_alone else ""
    return (
        f"{counted(n_lists, 'ranking')} made of lists of ratings: their order is kept and the scale is lost "
        f"({counted(tied, 'item')} of {rankings.n_rows:,} tied with another before it). Where a judge gave several "
        f"lists, cluster the errors by it (robust_errors, bootstrap), or they are too small.{alone}"
    )
