"""Whether the levels of a table can be compared at all: disconnected subsets, nested facets, items that only win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from psymetric.core.distinct import distinct
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["Connectivity", "Nesting", "connectivity"]

_SHOWN_SUBSETS = 4


@dataclass(frozen=True, eq=False)
class Nesting:
    """Two facets whose levels meet only inside groups.

    Attributes:
        facets: Names of the two facets.
        subsets: One row per level: `facet`, `level`, `subset` (numbered from 1, the largest first).
    """

    facets: tuple[str, str]
    subsets: pd.DataFrame

    @property
    def n_subsets(self) -> int:
        """Number of groups."""
        return int(self.subsets["subset"].max())

    def describe(self) -> str:
        """What is confounded, and how to mend it."""
        first, second = self.facets
        return (
            f"{first!r} and {second!r} are nested: their levels meet only inside {self.n_subsets:,} groups, "
            f"{_groups(self.subsets)}. Raising every {first} of a group and lowering every {second} of it by as much "
            f"changes nothing. Let each group share some {first} or some {second} level with another."
        )


@dataclass(frozen=True, eq=False)
class Connectivity:
    """What joins the levels of a table. Rows of weight 0 join nothing.

    Attributes:
        kind: `"responses"`, `"pairs"` or `"rankings"`.
        subsets: One row per level: `facet`, `level`, `subset` (numbered from 1, the largest first). Levels of different
            subsets cannot be compared.
        nested: Pairs of facets other than the subject that split further than the whole table does. Their levels are
            joined only through subjects, which cannot tell the two facets apart.
        nested_subjects: The same for the subject and another facet: each subject meets only the levels of its group.
            A model that takes subjects for a random sample can still be fitted, since it supposes that the groups of
            subjects are alike; one that gives each subject a parameter of its own cannot.
        strong: For pairs and rankings one row per item: `level`, `group`, and the weights of its group's `wins` and
            `losses` against items outside. Items of one group have beaten each other, directly or through others. None
            for responses.
    """

    kind: str
    subsets: pd.DataFrame
    nested: tuple[Nesting, ...] = ()
    nested_subjects: tuple[Nesting, ...] = ()
    strong: pd.DataFrame | None = None

    @property
    def n_subsets(self) -> int:
        """Number of disconnected subsets; 1 when all levels are joined."""
        return int(self.subsets["subset"].max())

    @property
    def n_strong(self) -> int:
        """Number of strongly connected groups of items; 1 when maximum likelihood worths exist, 0 for responses."""
        return 0 if self.strong is None else int(self.strong["group"].max())

    @property
    def connected(self) -> bool:
        """Whether one subset holds every level, no two facets are nested, and no group of items only wins or loses."""
        return self.n_subsets == 1 and not self.nested and self.n_strong <= 1

    def describe(self) -> str:
        """The subsets with their levels (long lists are cut) and how to mend the design, in full sentences."""
        if self.connected:
            sizes = self.subsets["facet"].value_counts(sort=False)
            text = " and ".join(counted(n, f"{facet} level") for facet, n in sizes.items())
            found = [f"{text} are connected: each can be compared with every other."]
        elif self.n_subsets > 1:
            found = [self._describe_subsets()]
        else:
            found = [nesting.describe() for nesting in self.nested]
            found += [self._describe_strong()] if self.n_strong > 1 else []
        found += [nesting.describe() for nesting in self.nested_subjects if self.n_subsets == 1]
        return " ".join(found)

    def _describe_subsets(self) -> str:
        what = {"pairs": "The comparisons", "rankings": "The rankings", "responses": "The responses"}[self.kind]
        mend = (
            "Compare some item of each subset with one of another"
            if self.kind != "responses"
            else "Let one judge rate in several subsets or repeat some subjects across them"
        )
        return (
            f"{what} fall into {self.n_subsets:,} disconnected subsets, and levels of different subsets cannot be "
            f"compared: {_groups(self.subsets)}. {mend}, or fit each subset by itself (table.select)."
        )

    def _describe_strong(self) -> str:
        frame = pd.DataFrame() if self.strong is None else self.strong
        parts: list[str] = []
        for _, group in frame.groupby("group"):
            wins, losses = float(group["wins"].iloc[0]), float(group["losses"].iloc[0])
            how = "always won" if wins and not losses else "always lost" if losses and not wins else "did both"
            parts.append(f"{listing(group['level'])} {how}")
        shown = "; ".join(parts[:_SHOWN_SUBSETS]) + ("; …" if len(parts) > _SHOWN_SUBSETS else "")
        return (
            f"The items fall into {self.n_strong:,} groups that are not joined by wins in both directions, so that "
            f"maximum likelihood worths are infinite; against items outside its group, {shown}. Collect comparisons "
            "until each group has won and lost against the rest."
        )


def connectivity(
    table: ResponseTable | PairTable | RankingTable, *, facets: str | Sequence[str] | None = None
) -> Connectivity:
    """Which levels of a table are joined by its rows, and so can be compared.

    For responses: connected components of the graph whose vertices are levels and whose rows join them, for all facets
    together and for each pair of facets. Both are necessary for separate effects; with three and more facets they are
    not quite sufficient, and the rank of the information, which every engine checks, decides.

    For pairs: components of the graph of comparisons, and strong components of the graph with an arrow from winner to
    loser (a tie has both). Worths that maximise the likelihood exist when there is one strong component. A ranking is
    all the comparisons that it implies; unranked items have not been compared with each other, nor those between the
    best and the worst of a set.

    Args:
        table: Responses, comparisons or rankings. Rows without a response join nothing.
        facets: Facets to consider; by default all of a `ResponseTable`; of other tables there are only the items.

    Raises:
        DataError: A facet that the table does not have.

    Source: Ford (1957), American Mathematical Monthly 64(8), 28-33, for the strong components; Weeks and Williams
        (1964), Technometrics 6(3), 319-324, for subsets in several facets.
    """
    if isinstance(table, RankingTable):
        return _of_rankings(table)
    own = ("item",) if isinstance(table, PairTable) else table.facets
    wanted = own if facets is None else facets
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    for name in names:
        if name not in table.levels:
            raise DataError(
                f"connectivity: no facet {name!r} in the {type(table).__name__}; {nearest(name, table.levels)}"
            )
    if not names:
        raise DataError(f"connectivity: facets is empty; name some of {listing(table.levels)}.")
    if isinstance(table, PairTable):
        strong = _strong(table)
        is_one = names == ("item",) and strong["group"].max() == 1
        labels = np.ones(len(strong), np.int64) if is_one else _weak(table, names)
        return Connectivity("pairs", _subsets(table, names, labels), strong=strong)
    labels = _weak(table, names)
    whole = int(labels.max())
    nested, nested_subjects = [], []
    for pair in combinations(names, 2) if len(names) > 2 else ():
        groups = _weak(table, pair)
        if groups.max() > whole:
            found = Nesting(pair, _subsets(table, pair, groups))
            (nested_subjects if "subject" in pair else nested).append(found)
    return Connectivity("responses", _subsets(table, names, labels), tuple(nested), tuple(nested_subjects))


def _subsets(
    table: ResponseTable | PairTable | RankingTable, facets: tuple[str, ...], labels: NDArray[np.int64]
) -> pd.DataFrame:
    """The component of every level of some facets, as a table."""
    sizes = [len(table.levels[facet]) for facet in facets]
    return pd.DataFrame(
        {
            "facet": np.repeat(np.array(facets, dtype=object), sizes).astype(str),
            "level": pd.Series([label for facet in facets for label in table.levels[facet]], dtype=object),
            "subset": labels,
        }
    )


def _weak(table: ResponseTable | PairTable, facets: tuple[str, ...]) -> NDArray[np.int64]:
    """Component of every level of some facets, one after the other, in the graph that the rows draw between them."""
    sizes = [len(table.levels[facet]) for facet in facets]
    start = dict(zip(facets, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    first, *others = [code for code in table.codes if table.level_of(code) in facets]
    if not others:  # one facet alone has no other to be confounded with: its levels are compared directly
        return np.ones(sum(sizes), np.int64)
    rows, joined, all_met = table.weight > 0, list[NDArray[np.int64]](), True
    for other in others:
        n_first, n_other = (len(table.levels[table.level_of(code)]) for code in (first, other))
        met = distinct(table.codes[first][rows] * np.int64(n_other) + table.codes[other][rows], n_first * n_other)
        all_met &= len(met) == n_first * n_other
        joined.append(met)
    if all_met:
        return np.ones(sum(sizes), np.int64)
    edges = np.zeros((2, 0), np.int64)
    for other, met in zip(others, joined, strict=True):
        n_other = len(table.levels[table.level_of(other)])
        tails, heads = start[table.level_of(first)] + met // n_other, start[table.level_of(other)] + met % n_other
        edges = np.concatenate([edges, [tails, heads]], axis=1)
    return _by_size(_components(edges[0], edges[1], sum(sizes)))


def _components(
    tails: NDArray[np.int64], heads: NDArray[np.int64], size: int, *, strong: bool = False
) -> NDArray[np.int64]:
    """Component of each vertex of a graph with these edges."""
    graph = coo_array((np.ones(tails.size), (tails, heads)), shape=(size, size))
    _, labels = connected_components(graph, directed=strong, connection="strong" if strong else "weak")
    return labels.astype(np.int64)


def _by_size(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Component numbers from 1, the largest first, the one of the first vertex first among equals."""
    found, first, size = np.unique(labels, return_index=True, return_counts=True)
    rank = np.empty(found.size, dtype=np.int64)
    rank[np.lexsort((first, -size))] = np.arange(1, found.size + 1)
    return rank[np.searchsorted(found, labels)]


def _strong(table: PairTable) -> pd.DataFrame:
    """Groups of items that have beaten each other, directly or through others."""
    met = table.met
    for_left, for_right = met.count[:, 0] + met.count[:, 2], met.count[:, 1] + met.count[:, 2]
    winner, loser = np.concatenate([met.left, met.right]), np.concatenate([met.right, met.left])
    weight = np.concatenate([for_left, for_right])
    won = weight > 0
    return _groups_of_winners(table.levels["item"], winner[won], loser[won], weight[won])


def _of_rankings(table: RankingTable) -> Connectivity:
    """Connectivity of the comparisons that rankings imply."""
    found, items = table.rankings, table.levels["item"]
    first, second = np.triu_indices(found.item.shape[1], 1)
    better, worse = found.item[:, first].astype(np.int64), found.item[:, second].astype(np.int64)
    above, below = found.category[:, first], found.category[:, second]
    is_known = (below >= 0) & (found.weight > 0)[:, None]
    # Rows rise along a ranking, so that the left of two is never the lower one; equal ranks are wins on both sides.
    is_tie = is_known & (above == below) & ((below < len(table.categories) - 1) & (not table.is_best_worst))
    is_win = is_tie | (is_known & (above < below))
    weight = np.broadcast_to(found.weight[:, None], is_win.shape)
    winner, loser = np.concatenate([better[is_win], worse[is_tie]]), np.concatenate([worse[is_win], better[is_tie]])
    strong = _groups_of_winners(items, winner, loser, np.concatenate([weight[is_win], weight[is_tie]]))
    subsets = _by_size(_components(winner, loser, len(items)))
    return Connectivity("rankings", _subsets(table, ("item",), subsets), strong=strong)


def _groups_of_winners(
    items: tuple[Label, ...], winner: NDArray[np.int64], loser: NDArray[np.int64], weight: NDArray[np.float64]
) -> pd.DataFrame:
    """Strong components of the graph from winners to losers, with the weights won and lost across them."""
    group = _by_size(_components(winner, loser, len(items), strong=True))
    across = weight * (group[winner] != group[loser])
    wins = np.bincount(group[winner], weights=across, minlength=group.max() + 1)
    losses = np.bincount(group[loser], weights=across, minlength=group.max() + 1)
    return pd.DataFrame(
        {"level": pd.Series(items, dtype=object), "group": group, "wins": wins[group], "losses": losses[group]}
    )


def _groups(subsets: pd.DataFrame) -> str:
    """The first subsets with their levels: `subset 1 (subject ['a', 'b'], judge ['x']); …`."""
    parts: list[str] = []
    last = int(subsets["subset"].max())
    for number in range(1, min(last, _SHOWN_SUBSETS) + 1):
        members = subsets[subsets["subset"] == number]
        inside = ", ".join(
            f"{facet} {listing(group['level'], shown=4)}" for facet, group in members.groupby("facet", sort=False)
        )
        parts.append(f"subset {number} ({inside})")
    return "; ".join(parts) + (f"; … {last - _SHOWN_SUBSETS:,} more" if last > _SHOWN_SUBSETS else "")
