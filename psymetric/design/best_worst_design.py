"""Sets of items for best-worst choices, in which items, pairs of items and places are balanced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from psymetric.data.coding import Label
from psymetric.design.balance import checked_labels, judge_balance, share_judges
from psymetric.design.pair_graphs import spectrum
from psymetric.errors import DesignError

__all__ = ["BestWorstDesign", "best_worst_sets"]

Codes = NDArray[np.int64]
_WHO: Final = "best_worst_sets"
_USUAL: Final = 2
"""Sets per item, at the upper end of the usual 1.5 to 2."""
_EXCHANGES: Final = 60
"""Attempted exchanges per place in a set; the last quarter of them seldom finds a better one."""


@final
@dataclass(frozen=True)
class BestWorstDesign:
    """Sets of items to choose the best and the worst of, and how balanced they are.

    Attributes:
        frame: One row per item of a set, sets in asking order: `task` (from 1), `place` (from 1, as shown), `item`, and
            `judge` where judges were named.
        items: One row per item: `item`, `sets` it is in, `opponents` (different ones it meets), `place_min` and
            `place_max` (how often in the place it has least and most often).
        together: How often two items meet: one row per number of meetings, `meetings` and `pairs`.
        pair_balance: Sum of squares of those numbers, the least that any numbers with their total could have divided by
            the design's: 1 where pairs meet equally often, to within one.
        judges: One row per judge: `judge`, `comparisons` (sets), `item_min`, `item_max`; empty without judges.
    """

    frame: pd.DataFrame
    items: pd.DataFrame
    together: pd.DataFrame
    pair_balance: float
    judges: pd.DataFrame

    def __str__(self) -> str:
        size, sets, met = int(self.frame["place"].max()), self.frame["task"].nunique(), self.together["meetings"]
        return (
            f"{sets:,} sets of {size} of {len(self.items):,} items, {sets / len(self.items):.3g} sets per item\n"
            f"each item in {self.items['sets'].min():,} to {self.items['sets'].max():,} sets; two items meet "
            f"{met.min():,} to {met.max():,} times, balance {self.pair_balance:.3f}"
        )


def best_worst_sets(
    items: Sequence[Label], *, size: int = 4, sets: int | None = None, judges: Sequence[Label] = (), seed: int = 0
) -> BestWorstDesign:
    """Sets for best-worst scaling: each item equally often, no item twice in a set, pairs as equally as can be found.

    Random sets with every item equally often, improved by exchanges of two items between two sets as long as that makes
    the numbers of meetings more alike. Places within sets are then dealt so that an item has each about equally often.

    Args:
        items: What is compared.
        size: Items in a set; 4 or 5 are usual.
        sets: Number of sets; by default twice the items (1.5 to 2 times is the rule of thumb; Kiritchenko & Mohammad).
        judges: Who is asked, each about as many sets and each item as evenly as can be; none leaves the column out.
        seed: Seed of the random numbers.

    Raises:
        DesignError: Fewer items than a set holds, sets too few to show every item or to link them all, or labels that
            occur twice.

    Source: Louviere, Flynn & Marley (2015), Best-Worst Scaling, ch. 2; Kiritchenko & Mohammad (2016), NAACL, 811-817.
    """
    labels = checked_labels(items, who=_WHO, noun="item", least=3)
    names = checked_labels(judges, who=_WHO, noun="judge", least=0)
    n_items = len(labels)
    n_sets = _USUAL * n_items if sets is None else sets
    if not 3 <= size <= n_items:
        raise DesignError(f"{_WHO}: size={size}; a set holds 3 or more, and at most the {n_items:,} items")
    # Sets that share an item link their items: a tree of sets is the least.
    least = -(-(n_items - 1) // (size - 1))
    if n_sets < least:
        raise DesignError(f"{_WHO}: sets={n_sets} of {size} cannot link {n_items:,} items; give {least:,} or more")
    rng = np.random.default_rng(seed)
    found = _placed(_improved(_dealt(n_items, size, n_sets, rng), n_items, rng), n_items)
    met = _together(found, n_items)
    if spectrum(met)[0] < 1e-9 * size:
        raise DesignError(f"{_WHO}: sets={n_sets} leave items that no chain of sets links; give more sets")
    order = rng.permutation(n_sets)
    judge = share_judges(found, len(names), 1, n_items, rng).ravel()[order] if names else np.zeros(0, np.int64)
    found = found[order]
    columns: dict[str, object] = {
        "task": np.repeat(np.arange(1, n_sets + 1), size),
        "place": np.tile(np.arange(1, size + 1), n_sets),
        "item": np.array(labels, dtype=object)[found.ravel()],
    }
    if names:
        columns["judge"] = np.array(names, dtype=object)[np.repeat(judge, size)]
    meetings = met[np.triu_indices(n_items, 1)].astype(np.int64)
    pairs = np.bincount(meetings)
    even, more = divmod(n_sets * comb(size, 2), len(meetings))
    least_squares = len(meetings) * even**2 + more * (2 * even + 1)
    places = np.stack([np.bincount(found[:, place], minlength=n_items) for place in range(size)], axis=1)
    return BestWorstDesign(
        frame=pd.DataFrame(columns).infer_objects(),
        items=pd.DataFrame(
            {
                "item": list(labels),
                "sets": places.sum(axis=1),
                "opponents": np.count_nonzero(met, axis=1),
                "place_min": places.min(axis=1),
                "place_max": places.max(axis=1),
            }
        ),
        together=pd.DataFrame({"meetings": np.flatnonzero(pairs), "pairs": pairs[pairs > 0]}),
        pair_balance=float(least_squares / np.sum(meetings**2)),
        judges=judge_balance(names, judge, found if names else found[:0], n_items),
    )


def _dealt(n_items: int, size: int, n_sets: int, rng: np.random.Generator) -> Codes:
    """Random sets of different items, each item as often as any other to within one; shape (sets, size)."""
    left = np.full(n_items, n_sets * size // n_items)
    left[rng.permutation(n_items)[: n_sets * size % n_items]] += 1
    sets = np.empty((n_sets, size), dtype=np.int64)
    for row in range(n_sets):
        # The items with most appearances to come: no item is then left over for fewer sets than it needs.
        sets[row] = np.lexsort((rng.random(n_items), -left))[:size]
        left[sets[row]] -= 1
    return sets


def _improved(sets: Codes, n_items: int, rng: np.random.Generator) -> Codes:
    """The sets after exchanges that lower the sum of squares of meetings, or leave it and so make room for others."""
    met = _together(sets, n_items).astype(np.int64)
    n_sets, size = sets.shape
    tries = _EXCHANGES * n_sets * size
    rows, places = rng.integers(n_sets, size=(tries, 2)), rng.integers(size, size=(tries, 2))
    members = [set(row) for row in sets.tolist()]
    found: list[list[int]] = sets.tolist()
    table: list[list[int]] = met.tolist()
    for (one, two), (here, there) in zip(rows.tolist(), places.tolist(), strict=True):
        a, b = found[one][here], found[two][there]
        if one == two or a in members[two] or b in members[one]:
            continue
        stays, others = members[one] - {a}, members[two] - {b}
        of_a, of_b = table[a], table[b]
        # Sum of squares changes by 2 (gain of meetings) + 1 each for what comes, and by 1 - 2 (meetings) for what goes.
        change = (
            sum(of_b[x] - of_a[x] for x in stays if x not in others)
            + sum(of_a[x] - of_b[x] for x in others if x not in stays)
            + len(stays - others)
            + len(others - stays)
        )
        if change > 0:
            continue
        for x in stays:
            of_a[x], of_b[x] = of_a[x] - 1, of_b[x] + 1
            table[x][a], table[x][b] = of_a[x], of_b[x]
        for x in others:
            of_a[x], of_b[x] = of_a[x] + 1, of_b[x] - 1
            table[x][a], table[x][b] = of_a[x], of_b[x]
        found[one][here], found[two][there] = b, a
        members[one], members[two] = stays | {b}, others | {a}
    return np.array(found, dtype=np.int64)


def _placed(sets: Codes, n_items: int) -> Codes:
    """The sets with their items in the places that these have had least often so far."""
    had = np.zeros((n_items, sets.shape[1]))
    placed = np.empty_like(sets)
    for row, items in enumerate(sets):
        # Squares: a third time in one place is worse than a second time in each of two.
        chosen, place = linear_sum_assignment(had[items] ** 2)
        placed[row, place] = items[chosen]
        had[placed[row], np.arange(sets.shape[1])] += 1
    return placed


def _together(sets: Codes, n_items: int) -> NDArray[np.float64]:
    """How often two items are in one set, shape (items, items), zero on the diagonal."""
    present = np.zeros((len(sets), n_items))
    np.put_along_axis(present, sets, 1.0, axis=1)
    met = present.T @ present
    np.fill_diagonal(met, 0.0)
    return met
