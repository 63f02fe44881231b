"""What makes a table of comparisons unfit for a model of comparisons, whatever the engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from psymetric.data.coding import Label, code_names
from psymetric.errors import DataError
from psymetric.models.checks import Table
from psymetric.models.covariates import are_numbers, by_level

__all__ = ["check_pairs"]

_TIE = 2
_WHO = "BradleyTerry"


def check_pairs(
    table: Table,
    *,
    ties: str | None,
    owners: tuple[tuple[str, str], ...],
    attributes: tuple[str, ...],
    family: str | None,
    contest: tuple[str, ...],
) -> None:
    """Raise DataError for the first thing that the settings ask for and the table does not have.

    Args:
        table: Comparisons.
        ties: The rule for ties.
        owners: Settings, and the facets whose levels own a parameter by them.
        attributes: What is to be known of the items.
        family: The one of them that groups the items.
        contest: Columns of numbers that belong to comparisons.
    """
    _check_ties(table, ties)
    for setting, facet in owners:
        labels = table.levels[facet]
        if len(labels) == 1:
            raise DataError(
                f"{_WHO}({setting}={facet!r}): the facet has one level, {labels[0]!r}, which nothing tells from "
                "what is common to all comparisons; leave the setting at its default"
            )
    for name in attributes:
        if not code_names(table.codes, name):
            known = [facet for facet in table.levels if facet not in table.codes and facet != "item"]
            raise DataError(
                f"{_WHO} reads the attribute {name!r} of the items, and the table has {known}: give them by "
                "PairTable.from_frame(..., items=frame), one row per item"
            )
    if family is not None:
        _check_family(table, family)
    for name in contest:
        _check_contest(table, name)


def _check_ties(table: Table, ties: str | None) -> None:
    tied = table.response == _TIE
    if tied.any() and not ties:
        raise DataError(
            f"{_WHO}(ties=None): {int(tied.sum())} of {len(tied)} comparisons are ties, first at row "
            f'{int(np.flatnonzero(tied)[0])}: use BradleyTerry(ties="davidson"), or leave the ties out of the table'
        )
    if ties and not table.weight[tied].any():
        raise DataError(f'{_WHO}(ties="{ties}"): no comparison is a tie, so that ν is zero: use ties=None')


def _check_family(table: Table, family: str) -> None:
    owner = by_level(table, family, "item")
    sizes, labels = np.bincount(owner, minlength=len(table.levels[family])), table.levels[family]
    if len(sizes) < 2:
        raise DataError(f"{_WHO}(family={family!r}): all items are of one family, {labels[0]!r}; leave it out")
    if sizes.max() < 2:
        raise DataError(
            f"{_WHO}(family={family!r}): every family has one member (first {labels[0]!r}), so that families cannot be "
            'told from their members; leave it out, or use random=("item",)'
        )


def _check_contest(table: Table, name: str) -> None:
    labels: tuple[Label, ...] = table.levels[name]
    if not are_numbers(labels):
        odd = next(label for label in labels if not are_numbers((label,)))
        raise DataError(
            f"{_WHO}(contest={name!r}): the column holds {odd!r}, which is no number; give what the left item has more "
            "than the right one, such as a difference in length"
        )
    used: NDArray[np.int32] = np.unique(table.codes[name][table.weight > 0])
    if len(used) == 1:
        raise DataError(
            f"{_WHO}(contest={name!r}): {labels[int(used[0])]!r} in every comparison, which tells none from another: "
            'leave it out; what is common to all is position="common"'
        )
