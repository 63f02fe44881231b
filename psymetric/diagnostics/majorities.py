"""Who beats whom by majority, for all judges together or each by itself, and how likely a fit made that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import factorized
from psymetric.data.pairs import PairTable
from psymetric.diagnostics.pair_chances import PairChances
from psymetric.diagnostics.pair_sums import pair_sums
from psymetric.diagnostics.tournaments import count_cycles, count_triples, most_cycles

__all__ = ["Majorities", "Tournament", "majorities"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Tournament:
    """Pairs of items that met, as matrices over the items that were compared.

    Attributes:
        items: Their codes, increasing, shape (items,).
        won: Comparisons that the row's item won against the column's, shape (items, items).
        met: Whether they met, of the same shape.
        chance: That the row's item has the majority, under a fit; of the same shape, or None.
    """

    items: Codes
    won: Array
    met: NDArray[np.bool_]
    chance: Array | None

    @property
    def n_pairs(self) -> int:
        """Pairs that met."""
        return int(self.met.sum()) // 2

    @property
    def n_tied(self) -> int:
        """Pairs that met without a majority."""
        return self.n_pairs - int(self.beats.sum())

    @property
    def n_absent(self) -> int:
        """Pairs that never met."""
        return len(self.items) * (len(self.items) - 1) // 2 - self.n_pairs

    @property
    def beats(self) -> NDArray[np.bool_]:
        """Whether the row's item has the majority, shape (items, items)."""
        return self.won > self.won.T

    @property
    def n_triples(self) -> int:
        """Triples whose three pairs have a majority."""
        return count_triples(self.beats | self.beats.T)

    @property
    def n_cyclic(self) -> int:
        """Those that are circular."""
        return count_cycles(self.beats)

    @property
    def zeta(self) -> float:
        """Kendall's coefficient of consistence; NaN unless every pair of three items or more has a majority."""
        if len(self.items) < 3 or self.n_absent or self.n_tied:
            return float("nan")
        return 1 - self.n_cyclic / most_cycles(len(self.items))


@final
@dataclass(frozen=True)
class Majorities:
    """Pairs of items that met, C of them in the order of their owners; each array of shape (C,).

    Attributes:
        owner: Judge of the pair, or 0.
        first: The earlier item.
        second: The later one.
        wins: Of the first.
        losses: Of the first.
        ahead: Chance under a fit that the first has the majority; None without a fit.
        behind: Chance that the second has it.
    """

    owner: Codes
    first: Codes
    second: Codes
    wins: Array
    losses: Array
    ahead: Array | None
    behind: Array | None

    def tournament(self, start: int, end: int) -> Tournament:
        """The pairs from one place to another, which belong to one owner."""
        first, second = self.first[start:end], self.second[start:end]
        items, place = np.unique(np.concatenate([first, second]), return_inverse=True)
        at, other = np.split(place.reshape(-1), 2)

        def square(there: Array, back: Array) -> Array:
            found = np.zeros((len(items), len(items)))
            found[at, other], found[other, at] = there[start:end], back[start:end]
            return found

        met = np.zeros((len(items), len(items)), np.bool_)
        met[at, other] = met[other, at] = True
        chance = None if self.ahead is None or self.behind is None else square(self.ahead, self.behind)
        return Tournament(items.astype(np.int64), square(self.wins, self.losses), met, chance)


def majorities(
    pairs: PairTable, rows: Codes, chances: PairChances | None, *, owner: Codes, n_owners: int
) -> Majorities:
    """Votes of every pair that met, by owner.

    Args:
        pairs: Comparisons.
        rows: Those with positive weight, R of them.
        chances: What a fit expects of the same, or None.
        owner: Of each, 0…n_owners − 1, shape (R,).
        n_owners: Judges, or 1.
    """
    left, right = (pairs.codes[side][rows].astype(np.int64) for side in ("left", "right"))
    response, weight, n_items = pairs.response[rows], pairs.weight[rows], len(pairs.levels["item"])
    turned = left > right
    key = (owner * n_items + np.minimum(left, right)) * n_items + np.maximum(left, right)
    keys, cell = factorized(key, n_owners * n_items**2)
    who, rest = np.divmod(keys, n_items**2)
    first, second = np.divmod(rest, n_items)

    def votes(of_first: bool) -> Array:
        winner = np.where(turned == of_first, 1, 0)
        return np.bincount(cell, np.where(response == winner, weight, 0.0), len(keys)).astype(np.float64)

    wins, losses = votes(True), votes(False)
    if chances is None:
        return Majorities(who, first, second, wins, losses, None, None)
    sums = pair_sums(cell, chances.kind, turned, response, weight, probability=chances.probability, n_cells=len(keys))
    return Majorities(who, first, second, wins, losses, sums.ahead, sums.behind)
