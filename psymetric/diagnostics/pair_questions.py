"""Which comparisons put the same question: the same two items under the same prompt, in either order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import combined
from psymetric.data.coding import SIDES
from psymetric.data.messages import nearest
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError

__all__ = ["check_pairs", "contest_facets", "questions", "unit_facets"]

Codes = NDArray[np.int64]


def check_pairs(pairs: object, *, who: str) -> PairTable:
    """The table, when it holds comparisons with their ties.

    Raises:
        DataError: Another kind of table, or one whose ties are half wins.
    """
    if not isinstance(pairs, PairTable):
        raise DataError(f"{who}: reads comparisons, a PairTable; got {type(pairs).__name__}")
    if "comparison" in pairs.codes:
        raise DataError(
            f"{who}: the ties of this table count as half wins, two rows each, which are no outcomes of comparisons; "
            'use the table from before ties_as_half_wins(), and a model of ties: BradleyTerry(ties="davidson")'
        )
    return pairs


def contest_facets(pairs: PairTable) -> tuple[str, ...]:
    """What belongs to comparisons and not to their items: judges, prompts, occasions."""
    return tuple(name for name in pairs.codes if pairs.level_of(name) == name)


def unit_facets(
    pairs: PairTable, unit: str | Sequence[str] | None, *, leaving: Collection[str] = (), who: str
) -> tuple[str, ...]:
    """Facets that a question is about besides its items; by default all but those in `leaving`.

    Raises:
        DataError: A name that is no facet of comparisons.
    """
    known = contest_facets(pairs)
    if unit is None:
        return tuple(name for name in known if name not in leaving)
    chosen = (unit,) if isinstance(unit, str) else tuple(unit)
    for name in chosen:
        if name not in known:
            hint = nearest(name, known) if known else "it has none"
            raise DataError(f"{who}: unit={name!r} is no facet of the comparisons; {hint}")
    return tuple(name for name in chosen if name not in leaving)


def questions(pairs: PairTable, facets: Sequence[str]) -> tuple[Codes, NDArray[np.bool_]]:
    """Number of each row's question, 0…Q−1, and whether the later of its items was shown first; shape (R,) each.

    Args:
        pairs: Comparisons.
        facets: What makes comparisons of the same two items different questions.
    """
    left, right = (pairs.codes[side] for side in SIDES)
    codes = [np.minimum(left, right), np.maximum(left, right), *(pairs.codes[name] for name in facets)]
    return combined(codes), left > right
