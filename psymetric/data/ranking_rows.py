"""Rows of rankings: reading places, telling rankings apart, and laying each out best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.distinct import combined
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, row_error
from psymetric.data.missing import answered_rows
from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.data.rankings import RankingTable

__all__ = [
    "BEST_WORST",
    "UNRANKED",
    "Rankings",
    "check_rankings",
    "closed_up",
    "counts",
    "place_labels",
    "read_places",
    "tell_apart",
]

BEST_WORST: tuple[Label, ...] = ("best", "neither", "worst")
"""Categories of a table of best-worst choices, in the order of their codes."""
UNRANKED = "unranked"
"""Category of an item that was shown and has no place: below every item that has one."""

Codes = NDArray[np.int32]


@final
@dataclass(frozen=True)
class Rankings:
    """Rankings as rows, each with its items best first; R rankings of at most A items.

    Attributes:
        item: Item codes, shape (R, A); 0 past the end. Tied items stand in the order of their codes.
        category: Category codes, shape (R, A), rising along a row; -1 past the end.
        codes: Code of the task and every further facet, each of shape (R,).
        weight: How often each ranking counts, shape (R,).
        row: First row of each ranking in the table, shape (R,).
    """

    item: Codes
    category: Codes
    codes: Mapping[str, Codes]
    weight: NDArray[np.float64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, table: RankingTable) -> Rankings:
        """The rankings of a table, in the order of their first rows."""
        owner, item, category = table.ranking, table.codes["item"], table.response
        order = np.lexsort((item, category, owner))
        count = np.bincount(owner)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        shape = (len(count), int(count.max()))
        items, categories = np.zeros(shape, np.int32), np.full(shape, -1, np.int32)
        items[owner[order], place], categories[owner[order], place] = item[order], category[order]
        row = np.full(len(count), len(owner), np.int64)
        np.minimum.at(row, owner, np.arange(len(owner)))
        codes = {name: code[row] for name, code in table.codes.items() if name != "item"}
        return cls(items, categories, codes, table.weight[row], row)


def tell_apart(codes: Mapping[str, Codes]) -> NDArray[np.int64]:
    """Number of each row's ranking, counted by first rows, shape (rows,): one task in one combination of facets."""
    return pd.factorize(combined([code for name, code in codes.items() if name != "item"]))[0].astype(np.int64)


def place_labels(n_places: int) -> tuple[Label, ...]:
    """Categories of a table of rankings with that many places."""
    return (*(str(place) for place in range(1, n_places + 1)), UNRANKED)


def read_places(
    values: pd.Series[Any], owner: NDArray[np.int64], *, who: str, column: str
) -> tuple[NDArray[np.int32], tuple[Label, ...]]:
    """Category codes and categories from a column of ranks; a row of a ranking without any rank has -1.

    Args:
        values: Ranks, 1 or any number, lowest best, equal where tied; empty or "unranked" for shown and not ranked. Or
            the words "best", "neither" and "worst".
        owner: Number of each row's ranking.
        who: The table being built, for messages.
        column: The user's name of the column, for messages.

    Raises:
        DataError: A rank is no finite number.
    """
    answered = answered_rows(values) & ~values.isin([UNRANKED]).to_numpy(dtype=bool)
    if answered.any() and set(values[answered].unique().tolist()) <= set(BEST_WORST):
        code = values.map({word: place for place, word in enumerate(BEST_WORST)}).fillna(1).to_numpy(np.int32)
        chosen = np.bincount(owner, code != 1) > 0
        return np.where(chosen[owner], code, -1).astype(np.int32), BEST_WORST
    numbers = pd.to_numeric(values.where(answered), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = answered & ~np.isfinite(numbers)
    if bad.any():
        fix = "give numbers, 1 for the best, and leave the cell empty where an item was shown and not ranked"
        raise row_error(who, f"ranks in column {column!r} are not numbers", bad, values[bad].head(100).tolist(), fix)
    if not answered.any():
        raise DataError(f"{who}: no row has a rank in {column!r}; there is nothing to compare, check the column.")
    dense = pd.Series(np.where(answered, numbers, np.nan)).groupby(owner).rank(method="dense").to_numpy() - 1
    n_places = int(np.nanmax(dense)) + 1
    ranked = np.bincount(owner, answered) > 0
    return np.where(ranked[owner], np.where(answered, dense, n_places), -1).astype(np.int32), place_labels(n_places)


def closed_up(category: Codes, owner: NDArray[np.int64], unranked: int) -> Codes:
    """Places of part of the rows numbered anew, without the gaps of those left out."""
    places = pd.Series(np.where(category < unranked, category, np.nan)).groupby(owner).rank(method="dense").to_numpy()
    return np.where(category < unranked, np.nan_to_num(places) - 1, unranked).astype(np.int32)


def counts(table: RankingTable, facet: str, in_missing: Sequence[Label]) -> pd.DataFrame:
    """The frame behind `RankingTable.counts`; `in_missing` are the labels of the rows without a rank."""
    labels, is_item = table.levels[facet], facet == "item"
    rows = slice(None) if is_item else table.rankings.row
    code, weight, response = table.codes[facet][rows], table.weight[rows], table.response[rows]
    rankings = table.missing[[name for name in table.codes if name != "item"]].drop_duplicates()
    lost = (table.missing if is_item else rankings)[facet].value_counts()
    every = [*labels, *(label for label in in_missing if label not in set(labels))]

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(code, values, minlength=len(every)).astype(np.float64)

    frame = pd.DataFrame(
        {
            "level": every,
            "n": np.bincount(code, minlength=len(every)),
            "weight": total(weight),
            "missing": lost.reindex(every, fill_value=0).to_numpy(dtype=np.int64),
        }
    )
    if not is_item:
        return frame
    if table.is_best_worst:
        best, worst = (total(weight * (response == place)) for place in (0, 2))
        shown = np.where(frame["weight"] > 0, frame["weight"], np.nan)
        return frame.assign(best=best, worst=worst, score=(best - worst) / shown)
    last = len(table.categories) - 1
    return frame.assign(first=total(weight * (response == 0)), unranked=total(weight * (response == last)))


def check_rankings(table: RankingTable) -> None:
    """Refuse rankings that contradict themselves.

    Raises:
        DataError: An item twice, one item alone, unequal weights in one ranking, places with gaps, a ranking without
            any place, more than one best or worst item.
    """
    who, owner, item = type(table).__name__, table.ranking, table.codes["item"]
    pairs = pd.Series(owner * np.int64(len(table.levels["item"])) + item)
    twice = pairs.duplicated().to_numpy(dtype=bool)
    if twice.any():
        got = [f"{table.levels['item'][item[row]]!r} in {_name(table, row)}" for row in np.flatnonzero(twice)[:100]]
        fix = "give every item one row in its ranking; name what tells rankings apart in task=, judge= or facets="
        raise row_error(who, "items stand twice in one ranking", twice, got, fix)
    alone = np.bincount(owner) == 1
    if alone.any():
        fix = "list every item that was shown, with an empty rank where it has none, or leave these rankings out"
        raise _refused(table, "rankings hold one item", alone, fix)
    weight = pd.Series(table.weight).groupby(owner)
    if (uneven := (weight.max() != weight.min()).to_numpy(dtype=bool)).any():
        raise _refused(table, "weights differ within one ranking", uneven, "a weight counts whole rankings")
    if table.categories == BEST_WORST:
        best, worst = (np.bincount(owner, table.response == code, minlength=len(alone)) for code in (0, 2))
        if (wrong := (best > 1) | (worst > 1) | (best + worst == 0)).any():
            raise _refused(table, "choices have no best and no worst item, or several", wrong, "name one of each")
        return
    if table.categories != place_labels(len(table.categories) - 1):
        raise DataError(
            f"{who}: categories are {listing(table.categories)}; use from_frame, which makes {place_labels(2)!r} or "
            f"{BEST_WORST!r}."
        )
    ranked = table.response < len(table.categories) - 1
    n_places = pd.Series(np.where(ranked, table.response, -1)).groupby(owner)
    if (gaps := (n_places.max() + 1 != n_places.nunique() - _any(~ranked, owner)).to_numpy(dtype=bool)).any():
        raise _refused(table, "places are left out, or no item has one", gaps, "use from_frame, which numbers them")


def _any(mask: NDArray[np.bool_], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    return (np.bincount(owner, mask) > 0).astype(np.int64)


def _name(table: RankingTable, row: int | np.integer[Any]) -> str:
    """A row's ranking in words: `task 't1', judge 'j2'`."""
    return ", ".join(
        f"{name} {table.levels[name][code[row]]!r}" for name, code in table.codes.items() if name != "item"
    )


def _refused(table: RankingTable, what: str, wrong: NDArray[np.bool_], fix: str) -> DataError:
    first = int(np.flatnonzero(table.ranking == int(np.argmax(wrong)))[0])
    return DataError(
        f"{type(table).__name__}: {what} ({int(wrong.sum()):,} of {counted(len(wrong), 'ranking')}, first "
        f"{_name(table, first)}); {fix}."
    )
