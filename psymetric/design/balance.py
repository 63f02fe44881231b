"""Sharing sets of items among judges, and how evenly that came out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing
from psymetric.errors import DesignError

__all__ = ["checked_labels", "judge_balance", "share_judges"]

Codes = NDArray[np.int64]

_EXCHANGES: Final = 20
"""Attempted exchanges per judge of a set."""


def checked_labels(labels: Sequence[object], *, who: str, noun: str, least: int) -> tuple[Label, ...]:
    """The labels as a tuple.

    Raises:
        DesignError: A single text, labels that are not texts or numbers or occur twice, or fewer than `least`.
    """
    if isinstance(labels, str):
        raise DesignError(f"{who}: {noun}s={labels!r} is one text; give a list of labels")
    found = tuple(label for label in labels if isinstance(label, str | int | float) and label == label)
    odd = [label for label in labels if not isinstance(label, str | int | float) or label != label]
    if odd:
        raise DesignError(f"{who}: {counted(len(odd), f'{noun} label')} neither text nor number, first {odd[0]!r}")
    twice = (
        list(dict.fromkeys(label for label in found if found.count(label) > 1)) if len(set(found)) < len(found) else []
    )
    if twice:
        raise DesignError(f"{who}: {noun}s hold {listing(twice)} more than once; name each once")
    if len(found) < least:
        raise DesignError(f"{who}: {counted(len(found), noun)}; a design needs at least {least}")
    return found


def share_judges(sets: Codes, n_judges: int, per_set: int, n_items: int, rng: np.random.Generator) -> Codes:
    """Different judges for each set of items, so that all have as many sets, and each item meets them evenly.

    Sets come in random order, each to judges with the fewest sets so far, and of these to those that have met its
    items least; then sets exchange judges as long as that makes the meetings of items and judges more alike. Numbers of
    sets differ by one at most.

    Args:
        sets: Items of each set, shape (sets, size).
        n_judges: Judges, at least `per_set`.
        per_set: How many judge a set.
        n_items: Items.
        rng: Randomness.

    Returns:
        Shape (sets, per_set).
    """
    met, asked = np.zeros((n_items, n_judges)), np.zeros(n_judges)
    chosen = np.empty((len(sets), per_set), dtype=np.int64)
    for place in rng.permutation(len(sets)):
        items = sets[place]
        lot = rng.random(n_judges)
        judges = np.lexsort((lot, met[items].sum(axis=0), asked))[:per_set]
        chosen[place] = judges
        met[np.ix_(items, judges)] += 1
        asked[judges] += 1
    return _exchanged(chosen, sets, met, rng)


def _exchanged(chosen: Codes, sets: Codes, met: NDArray[np.float64], rng: np.random.Generator) -> Codes:
    """Judges of each set after exchanges that do not raise the sum of squares of `met`, shape (items, judges)."""
    n_sets, per_set = chosen.shape
    tries = _EXCHANGES * n_sets * per_set
    rows, places = rng.integers(n_sets, size=(tries, 2)), rng.integers(per_set, size=(tries, 2))
    judges: list[list[int]] = chosen.tolist()
    members = [set(row) for row in sets.tolist()]
    table: list[list[int]] = met.astype(np.int64).tolist()
    for (one, two), (here, there) in zip(rows.tolist(), places.tolist(), strict=True):
        p, q = judges[one][here], judges[two][there]
        if p in judges[two] or q in judges[one]:
            continue
        mine, theirs = members[one] - members[two], members[two] - members[one]
        change = sum(table[x][q] - table[x][p] + 1 for x in mine) + sum(table[x][p] - table[x][q] + 1 for x in theirs)
        if change > 0:
            continue
        for items, gone, come in ((mine, p, q), (theirs, q, p)):
            for x in items:
                table[x][gone] -= 1
                table[x][come] += 1
        judges[one][here], judges[two][there] = q, p
    return np.array(judges, dtype=np.int64)


def judge_balance(judges: Sequence[Label], judge: Codes, sets: Codes, n_items: int) -> pd.DataFrame:
    """Comparisons of each judge, and the fewest and the most of them that one item is in.

    Args:
        judges: Labels.
        judge: Who is asked, shape (rows,).
        sets: Items of each row, shape (rows, size).
        n_items: Items.

    Returns:
        `judge`, `comparisons`, `item_min`, `item_max`.
    """
    cells = (judge[:, None] * n_items + sets).ravel()
    met = np.bincount(cells, minlength=len(judges) * n_items).reshape(len(judges), n_items)
    return pd.DataFrame(
        {
            "judge": list(judges),
            "comparisons": np.bincount(judge, minlength=len(judges)),
            "item_min": met.min(axis=1),
            "item_max": met.max(axis=1),
        }
    )
