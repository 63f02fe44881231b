"""Comparisons of a judge with people: one column for each person it would replace, in each group of units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.calibration.advantage import Advantage, advantage, closer
from psymetric.calibration.panels import JudgeRows, Panel
from psymetric.data.coding import Label
from psymetric.data.messages import counted
from psymetric.errors import DataError

__all__ = ["Compared", "Replacements", "compared", "families"]

Array = NDArray[np.float64]


def families(panel: Panel) -> Iterator[tuple[NDArray[np.int64], tuple[Label | None, ...]]]:
    """Group of each row and labels of the groups: all rows together, then each level of the grouping facet."""
    yield np.zeros_like(panel.unit), (None,)
    if panel.groups != (None,):
        yield panel.group[panel.unit], panel.groups


@final
@dataclass(frozen=True)
class Compared:
    """Comparisons of one judge: row of the panel, and who was closer there."""

    row: NDArray[np.int64]
    sign: NDArray[np.int8]


def compared(panel: Panel, rows: JudgeRows, judge: str, distances: Array, *, who: str) -> Compared:
    """The judge against each person, wherever another person labelled the same unit.

    Raises:
        DataError: The judge labelled a unit twice, or only units of one person.
    """
    again = np.flatnonzero(np.diff(rows.unit) == 0)
    if again.size:
        named = panel.units.iloc[int(rows.unit[again[0]])].to_dict()
        raise DataError(
            f"{who}: {judge} {rows.label!r} labelled {counted(int(again.size), 'thing')} more than once, first "
            f"{named}; the test compares single labels: keep one with table.select, or name by unit= what tells the "
            "things apart."
        )
    label = np.full(panel.n_units, -1, np.int64)
    label[rows.unit] = rows.response
    n_people = panel.counts.sum(axis=1)
    kept = np.flatnonzero((label[panel.unit] >= 0) & (n_people[panel.unit] > 1))
    if not kept.size:
        raise DataError(
            f"{who}: {judge} {rows.label!r} shares {counted(len(rows.unit), 'thing')} with people, each labelled by "
            "one person only: there is nobody left to compare with once that person is left out."
        )
    unit = panel.unit[kept]
    return Compared(kept, closer(panel.counts, unit, panel.response[kept], label[unit], distances))


@final
@dataclass(frozen=True)
class Replacements:
    """One column per group and person with enough units.

    Attributes:
        person: Of each column, shape (M,).
        group: Place in `groups` of each column, shape (M,).
        groups: Labels of the groups.
        found: The advantage of the judge, by column.
        n_units: Units of each group, shape (G,).
        left_out: Labels of group and person with too few units.
    """

    person: NDArray[np.int64]
    group: NDArray[np.int64]
    groups: tuple[Label | None, ...]
    found: Advantage
    n_units: NDArray[np.int64]
    left_out: tuple[tuple[Label | None, Label], ...]

    @staticmethod
    def build(
        panel: Panel,
        against: Compared,
        group: NDArray[np.int64],
        groups: tuple[Label | None, ...],
        min_units: int,
        *,
        who: str,
    ) -> Replacements:
        """The columns of one judge."""
        row = against.row
        unit, n_people = panel.unit[row], len(panel.people)
        cell = group[row] * n_people + panel.person[row]
        size = len(groups) * n_people
        pairs = np.unique(cell * len(panel.subject) + panel.subject[unit]) // len(panel.subject)
        enough = (np.bincount(cell, minlength=size) >= min_units) & (np.bincount(pairs, minlength=size) > 1)
        if not enough.any():
            most = int(np.bincount(cell, minlength=size).max())
            raise DataError(
                f"{who}: nobody shares {min_units} units of two subjects or more with the judge and another person; "
                f"got {most:,} at most; label more, or lower min_units and use test='exact'."
            )
        kept = enough[cell]
        column = (np.cumsum(enough) - 1)[cell[kept]]
        found = advantage(
            against.sign[kept], column, panel.subject[unit[kept]], (int(panel.subject.max()) + 1, int(enough.sum()))
        )
        chosen = np.flatnonzero(enough)
        short = np.flatnonzero(~enough)
        units = np.unique(group[row] * panel.n_units + unit) // panel.n_units
        return Replacements(
            chosen % n_people,
            chosen // n_people,
            groups,
            found,
            np.bincount(units, minlength=len(groups)),
            tuple((groups[cell // n_people], panel.people[cell % n_people]) for cell in short),
        )
