"""What a fit of comparisons expects of each row: chances of left, right and tie, and how far apart the worths are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import distinct_places
from psymetric.data.pairs import PairTable
from psymetric.diagnostics.pair_questions import check_pairs
from psymetric.errors import DesignError
from psymetric.estimation.fit import Fit
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.scoring.alignment import AlignedRows, match
from psymetric.scoring.likelihood import check_possible, probabilities

__all__ = ["PairChances", "pair_chances"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class PairChances:
    """Comparisons with positive weight in D kinds, which the model does not tell apart within.

    Attributes:
        rows: Places of these comparisons in the table, shape (R,).
        kind: Kind of each, shape (R,).
        probability: Chances of left, right and tie (zero without a rule for ties) of each kind, shape (D, 3).
        gap: Worth of the left item less that of the right one, on its occasion; shape (D,).
    """

    rows: NDArray[np.int64]
    kind: NDArray[np.int64]
    probability: Array
    gap: Array


def pair_chances(fit: Fit, pairs: PairTable, *, who: str) -> PairChances:
    """Match comparisons to a fit and find what it expects of them, at its estimates (posterior means).

    Raises:
        DataError: No comparisons, ties that are half wins or that the fit has no rule for, a level that the fit does
            not know or has no estimate of.
        DesignError: A fit of another model than Bradley and Terry's.
    """
    check_pairs(pairs, who=who)
    aligned = match(fit, pairs, who=who)
    if not isinstance(fit.model, BradleyTerry):
        raise DesignError(f"{who}: reads the worths of BradleyTerry; got a fit of {type(fit.model).__name__}")
    check_possible(aligned, who=who)
    kept = np.flatnonzero(pairs.weight > 0)
    codes = {name: code[kept] for name, code in aligned.codes.items()}
    first, kind = distinct_places([*codes.values()])
    one = aligned.take(kept[first])
    found = probabilities(one, np.zeros((1, 1)), np.ones((1, 1)))
    chances = np.zeros((len(first), 3))
    chances[:, : found.shape[1]] = found
    return PairChances(kept, kind, chances, _gaps(fit.model, one))


def _gaps(model: BradleyTerry, rows: AlignedRows) -> Array:
    left, right = rows.codes["left"], rows.codes["right"]
    gap = rows.params["worth"][left] - rows.params["worth"][right]
    for pair in model.drift:
        occasion = rows.codes[pair.partition(":")[2]]
        gap = gap + rows.params[pair][left, occasion] - rows.params[pair][right, occasion]
    return gap
