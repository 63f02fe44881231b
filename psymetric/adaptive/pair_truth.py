"""What simulated studies of comparisons take for true, and where their answers come from."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal, final, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psymetric.adaptive.pair_courses import AbstractSupply, ModelSupply, RecordedSupply
from psymetric.data.messages import counted
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.estimation.fitting import fit
from psymetric.estimation.map_laplace import MAP
from psymetric.models.bradley_terry import BradleyTerry

__all__ = ["Answers", "PairTruth", "read_truth"]

Array = NDArray[np.float64]
Answers = Literal["model", "recorded"]

_WHO = "pair_savings"
_TIE = 2


@final
@dataclass(frozen=True)
class PairTruth:
    """The truth of simulated studies.

    Attributes:
        worth: In logits, shape (sets, items).
        tie: Davidson's log ν; minus infinity without ties.
        recorded: Wins of the row's item, of the column's, and ties, shape (items, items, 3), where answers are drawn
            from these; else None.
        notes: Where it comes from, as sentences.
    """

    worth: Array
    tie: float
    recorded: Array | None
    notes: tuple[str, ...]

    def supply(self, true: Array, order: NDArray[np.int64]) -> AbstractSupply:
        """Answers for replicates whose items stand in the given order, both of shape (replicates, items)."""
        if self.recorded is None:
            return ModelSupply(true, self.tie)
        return RecordedSupply(np.stack([self.recorded[np.ix_(own, own)] for own in order]))


def read_truth(given: ArrayLike | PairTable, *, answers: Answers, tie_share: float, prior_sd: float) -> PairTruth:
    """The truth in worths or, by a fit, in comparisons.

    Raises:
        DataError: Fewer than two items, worths that are not numbers, settings out of range or that do not go together.
    """
    if answers not in get_args(Answers):
        raise DataError(f"{_WHO}: answers={answers!r} is not known; use one of {[*get_args(Answers)]}")
    if not 0 <= tie_share < 1:
        raise DataError(f"{_WHO}: tie_share={tie_share} is not a share of ties in [0, 1)")
    if isinstance(given, PairTable):
        if tie_share:
            raise DataError(f"{_WHO}: tie_share={tie_share} belongs to worths; comparisons have ties of their own")
        return _of_table(given, answers, prior_sd)
    if answers == "recorded":
        raise DataError(f'{_WHO}: answers="recorded" draws from a PairTable, and truth is worths')
    try:
        worth = np.atleast_2d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"{_WHO}: truth is neither worths nor a PairTable: {error}") from error
    if worth.ndim != 2 or worth.shape[1] < 2 or not np.isfinite(worth).all():
        raise DataError(f"{_WHO}: truth of shape {worth.shape}; give finite worths of two or more items")
    flat = np.flatnonzero(np.ptp(worth, axis=1) == 0)
    if flat.size:
        raise DataError(
            f"{_WHO}: all worths are equal in set {flat[0]} of {len(worth):,}, which leaves no order to find"
        )
    # P(tie) between equals is ν / (2 + ν).
    return PairTruth(worth, log(2 * tie_share / (1 - tie_share)) if tie_share else -np.inf, None, ())


def _of_table(table: PairTable, answers: Answers, prior_sd: float) -> PairTruth:
    tied = bool((table.response == _TIE).any())
    fitted = fit(BradleyTerry(ties="davidson" if tied else None, prior_sd=prior_sd), table, engine=MAP())
    worth, tie = fitted.parameters["worth"][None], float(fitted.parameters["tie"]) if tied else -np.inf
    if answers == "model":
        note = "Answers are drawn from the model fitted to the table, and any pair can be asked."
        return PairTruth(worth, tie, None, (note,))
    if not np.array_equal(table.weight, np.round(table.weight)):
        raise DataError(f'{_WHO}: answers="recorded" draws whole answers, and weights of the table are not whole')
    n_items = worth.shape[1]
    one_way = np.zeros((n_items, n_items, 3))
    np.add.at(one_way, (table.codes["left"], table.codes["right"], table.response), table.weight)
    recorded = one_way + one_way.swapaxes(0, 1)[:, :, [1, 0, 2]]
    met = recorded.sum(axis=2)[np.triu_indices(n_items, 1)]
    note = (
        f"Answers are those recorded, each drawn once at most; {counted(int(np.sum(met == 0)), 'pair')} of "
        f"{len(met):,} without any are not asked."
    )
    return PairTruth(worth, tie, recorded, (note,))
