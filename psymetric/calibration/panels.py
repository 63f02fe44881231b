"""What a panel of people said of each thing, beside what the judges under test said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.distinct import distinct_places
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest, row_error
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.scoring.fair import category_values

__all__ = ["JudgeRows", "Panel", "check_level", "panel_of"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@final
@dataclass(frozen=True)
class JudgeRows:
    """What one judge under test said of units of a panel; rows in the order of units.

    Attributes:
        label: The judge.
        unit: Unit of each row, shape (R,); a unit may have several rows.
        response: Category codes, shape (R,).
        weight: How much each row counts, shape (R,).
    """

    label: Label
    unit: Codes
    response: Codes
    weight: Array

    def shares(self, n_units: int, n_categories: int) -> Array:
        """The judge's distribution over the categories, shape (U, K); rows of NaN for units it said nothing of."""
        cells = np.bincount(self.unit * n_categories + self.response, self.weight, n_units * n_categories)
        found = cells.reshape(n_units, n_categories)
        total = found.sum(axis=1, keepdims=True)
        return np.divide(found, total, out=np.full(found.shape, np.nan), where=total > 0)


@final
@dataclass(frozen=True)
class Panel:
    """At most one label of each unit by each person; rows in the order of units.

    Attributes:
        unit: 0…U−1, shape (R,): one combination of the levels of the facets that tell one thing from another.
        person: 0…P−1, shape (R,).
        response: Category codes 0…K−1, shape (R,).
        subject: Subject of each unit, 0…C−1 without gaps, shape (U,).
        group: Place in `groups` of each unit, shape (U,).
        people: The P labels.
        groups: Levels of the grouping facet; (None,) without one.
        values: The K numbers of the categories: numeric labels, else 0…K−1.
        units: Labels of each unit, a column per facet, U rows.
        judges: What the judges under test said of these units.
    """

    unit: Codes
    person: Codes
    response: Codes
    subject: Codes
    group: Codes
    people: tuple[Label, ...]
    groups: tuple[Label | None, ...]
    values: Array
    units: pd.DataFrame
    judges: tuple[JudgeRows, ...]

    @property
    def n_units(self) -> int:
        """Units that a person rated."""
        return len(self.subject)

    @cached_property
    def counts(self) -> Array:
        """People who put each unit in each category, shape (U, K)."""
        n_categories = len(self.values)
        cells = np.bincount(self.unit * n_categories + self.response, minlength=self.n_units * n_categories)
        return cells.reshape(self.n_units, n_categories).astype(np.float64)

    def cases(self) -> Iterator[tuple[Label | None, NDArray[np.bool_]]]:
        """All units under None, then, where there is a grouping facet, those of each of its levels."""
        yield None, np.ones(self.n_units, np.bool_)
        if self.groups != (None,):
            yield from ((label, self.group == place) for place, label in enumerate(self.groups))


def check_level(level: float, draws: int, *, who: str) -> None:
    """Raises DataError unless `level` is a coverage and `draws` a number of samples."""
    if not 0 < level < 1:
        raise DataError(f"{who}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if draws < 1:
        raise DataError(f"{who}: draws={draws} samples; ask for at least 1")


def panel_of(
    table: ResponseTable,
    tested: Label | Sequence[Label],
    *,
    people: Sequence[Label] | None,
    judge: str,
    unit: Sequence[str] | None,
    by: str | None,
    who: str,
) -> Panel:
    """The people and the judges under test of a table.

    Args:
        table: Labels with a facet that holds people and judges alike.
        tested: Levels of that facet under test; may be none of them.
        people: Levels that are people; None for all others.
        judge: The facet.
        unit: Facets that tell one thing from another; None for subject and item.
        by: Facet of the groups, which becomes one of `unit`; None without groups.
        who: The public function, for messages.

    Raises:
        DataError: No such facet or level, a judge that is one of the people, fewer than two people, no two people who
            labelled the same thing, a person who labelled a thing twice, weights of people other than 0 and 1, or a
            judge under test without a thing that people labelled.
    """
    if not isinstance(cast(object, table), ResponseTable):
        raise DataError(
            f"{who}: got a {type(table).__name__}; make a table of it with ResponseTable.from_frame, people and judges "
            "in one column that is named among the facets."
        )
    facets = _facets(table, judge, unit, by, who)
    asked, crowd = _levels(table, tested, people, judge, who)
    by_judge = table.codes[judge].astype(np.int64)
    kept = table.weight > 0
    of_people = kept & np.isin(by_judge, crowd)
    odd = of_people & (table.weight != 1)
    if odd.any():
        raise row_error(
            who, "weights of people other than 0 and 1", odd, table.weight[odd], "give one row for each label"
        )
    first, thing = distinct_places([table.codes[name] for name in facets])
    place = np.full(len(first), -1, np.int64)
    with_people = np.unique(thing[of_people])
    place[with_people] = np.arange(len(with_people))
    rows = np.flatnonzero(of_people)
    rows = rows[np.lexsort((by_judge[rows], thing[rows]))]
    _check_repeats(table, rows, thing, by_judge, judge, facets, who)
    labels = tuple(table.levels[judge][code] for code in crowd)
    where = np.full(len(table.levels[judge]), -1, np.int64)
    where[crowd] = np.arange(len(crowd))
    if len(rows) == len(with_people):
        raise DataError(
            f"{who}: no two of {counted(len(labels), 'person', 'people')} labelled the same thing "
            f"({counted(len(with_people), 'thing')}, told apart by {listing(facets)}); let people overlap, or name by "
            "unit= the facets that tell one thing from another."
        )
    one_of_each = first[with_people]
    _, subject = np.unique(table.codes["subject"][one_of_each], return_inverse=True)
    levels, group = _groups(table, by, one_of_each)
    columns = {name: np.array(table.levels[name], object)[table.codes[name][one_of_each]] for name in facets}
    return Panel(
        unit=place[thing[rows]],
        person=where[by_judge[rows]],
        response=table.response[rows].astype(np.int64),
        subject=subject.reshape(-1).astype(np.int64),
        group=group,
        people=labels,
        groups=levels,
        values=category_values(table.categories),
        units=pd.DataFrame(columns),
        judges=tuple(_judge_rows(table, code, judge, kept, place[thing], who) for code in asked),
    )


def _facets(table: ResponseTable, judge: str, unit: Sequence[str] | None, by: str | None, who: str) -> list[str]:
    """Facets that tell one thing from another."""
    named = [unit] if isinstance(unit, str) else list(unit or ())
    for facet in (judge, *named, *([] if by is None else [by])):
        if facet not in table.codes:
            raise DataError(f"{who}: the table has no facet {facet!r}; {nearest(facet, table.codes)}")
    own = named or [name for name in ("subject", "item") if name in table.codes]
    own = own if by is None or by in own else [*own, by]
    if judge in own or judge == "subject":
        raise DataError(f"{who}: judge={judge!r} cannot be what is labelled as well; name the facet of the judges.")
    if by == "subject" or "subject" not in own:
        raise DataError(
            f"{who}: intervals come from how subjects differ, so that unit= names the subject and by= does not; "
            f"got unit={own}, by={by!r}."
        )
    return own


def _levels(
    table: ResponseTable, tested: Label | Sequence[Label], people: Sequence[Label] | None, judge: str, who: str
) -> tuple[list[int], list[int]]:
    """Codes of the judges under test, in the order asked, and of the people, in the order of the table."""
    known = {label: code for code, label in enumerate(table.levels[judge])}
    single = isinstance(tested, str) or not isinstance(tested, Sequence)
    asked: list[Label] = list(dict.fromkeys([cast(Label, tested)] if single else cast("Sequence[Label]", tested)))
    given = [label for label in known if label not in asked] if people is None else list(dict.fromkeys(people))
    for label in (*asked, *given):
        if label not in known:
            raise DataError(f"{who}: no {judge} is named {label!r}; {nearest(label, known)}")
    both = [label for label in asked if label in given]
    if both:
        raise DataError(
            f"{who}: {listing(both)} would be compared with {'itself' if len(both) == 1 else 'themselves'}; "
            "a judge under test cannot be one of the people: leave it out of people="
        )
    if len(given) < 2:
        raise DataError(
            f"{who}: {counted(len(given), 'person', 'people')}, {listing(given)}; people disagree only where there are "
            "at least two of them, and three or more tell who is the odd one out."
        )
    return [known[label] for label in asked], sorted(known[label] for label in given)


def _check_repeats(
    table: ResponseTable, rows: Codes, thing: Codes, by_judge: Codes, judge: str, facets: list[str], who: str
) -> None:
    again = (np.diff(thing[rows]) == 0) & (np.diff(by_judge[rows]) == 0)
    if again.any():
        repeated = np.zeros(table.n_rows, np.bool_)
        repeated[rows[1:][again]] = True
        raise row_error(
            who, f"a person ({judge}) labelled the same thing before, things being told apart by {listing(facets)}",
            repeated, [], "keep one label, or name by unit= what else tells things apart",
        )  # fmt: skip


def _groups(table: ResponseTable, by: str | None, rows: Codes) -> tuple[tuple[Label | None, ...], Codes]:
    if by is None:
        return (None,), np.zeros(len(rows), np.int64)
    present, group = np.unique(table.codes[by][rows], return_inverse=True)
    return tuple(table.levels[by][code] for code in present), group.reshape(-1).astype(np.int64)


def _judge_rows(
    table: ResponseTable, code: int, judge: str, kept: NDArray[np.bool_], place: Codes, who: str
) -> JudgeRows:
    """Rows of one judge about units that people labelled."""
    label = table.levels[judge][code]
    rows = np.flatnonzero(kept & (table.codes[judge] == code) & (place >= 0))
    if not rows.size:
        raise DataError(
            f"{who}: {judge} {label!r} labelled nothing that people labelled; it can be compared with them only where "
            "they meet."
        )
    rows = rows[np.argsort(place[rows], kind="stable")]
    return JudgeRows(label, place[rows], table.response[rows].astype(np.int64), table.weight[rows])
