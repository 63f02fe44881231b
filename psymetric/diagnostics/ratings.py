"""Ratings as agreement sees them: what was rated, by which judge, in which category."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import combined
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest, row_error
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.scoring.fair import category_values

__all__ = ["Ratings", "grouped_ratings"]

Codes = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Ratings:
    """At most one rating of each unit by each judge; rows in the order of units, then judges.

    Attributes:
        unit: 0…U−1, shape (R,): one combination of the levels of every facet but the judge.
        judge: 0…J−1, shape (R,).
        response: Category codes 0…K−1, shape (R,).
        judges: The J labels.
        values: The K numbers that intervals, weights and ICC are taken of: numeric category labels, else 0…K−1.
    """

    unit: Codes
    judge: Codes
    response: Codes
    judges: tuple[Label, ...]
    values: NDArray[np.float64]

    @property
    def n_units(self) -> int:
        """Units with a rating."""
        return int(self.unit[-1]) + 1

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """Ratings of each unit in each category, shape (U, K)."""
        n_categories = len(self.values)
        cells = np.bincount(self.unit * n_categories + self.response, minlength=self.n_units * n_categories)
        return cells.reshape(self.n_units, n_categories).astype(np.float64)


def grouped_ratings(
    table: ResponseTable, judge: str, by: str | None, *, who: str
) -> Iterator[tuple[Label | None, Ratings]]:
    """All ratings under None, then those of each level of `by`.

    Raises:
        DataError: No such facet, one judge, weights, or a judge who rated a unit twice.
    """
    _check(table, judge, by, who)
    kept = np.flatnonzero(table.weight > 0)
    unit = _same_thing(table, judge)[kept]
    order = np.lexsort((table.codes[judge][kept], unit))
    rows, unit = kept[order], unit[order]
    by_judge = table.codes[judge][rows].astype(np.int64)
    repeated = np.zeros(table.n_rows, np.bool_)
    repeated[rows[1:][(np.diff(unit) == 0) & (np.diff(by_judge) == 0)]] = True
    if repeated.any():
        raise row_error(
            who, f"a {judge} rated the same thing before", repeated, [],
            "name the occasion or template among the facets when the table is built, or keep one of the ratings",
        )  # fmt: skip
    values, response = category_values(table.categories), table.response[rows].astype(np.int64)

    def ratings(chosen: Codes) -> Ratings:
        _, units = np.unique(unit[chosen], return_inverse=True)
        present, judges = np.unique(by_judge[chosen], return_inverse=True)
        labels = tuple(table.levels[judge][code] for code in present)
        return Ratings(units.astype(np.int64), judges.astype(np.int64), response[chosen], labels, values)

    every = ratings(np.arange(len(rows)))
    if len(every.judges) < 2:
        raise DataError(
            f"{who}: only one {judge} has ratings, {listing(every.judges)}; agreement needs at least two judges."
        )
    if every.counts.sum(axis=1).max() < 2:
        raise DataError(
            f"{who}: no two of {counted(len(every.judges), 'judge')} rated the same thing "
            f"({counted(every.n_units, 'unit')}); let judges overlap, or fit ManyFacetRasch to a connected design."
        )
    yield None, every
    if by is not None:
        group = table.codes[by][rows]
        parts = np.split(
            np.argsort(group, kind="stable"), np.cumsum(np.bincount(group, minlength=len(table.levels[by])))[:-1]
        )
        yield from ((label, ratings(part)) for label, part in zip(table.levels[by], parts, strict=True) if part.size)


def _check(table: ResponseTable, judge: str, by: str | None, who: str) -> None:
    for facet in (judge, by):
        if facet is not None and facet not in table.codes:
            raise DataError(f"{who}: the table has no facet {facet!r}; {nearest(facet, table.codes)}")
    if judge in (by, "subject"):
        raise DataError(f"{who}: judge={judge!r} cannot be what is rated as well; name the facet of the judges.")
    weighted = (table.weight != 0) & (table.weight != 1)
    if weighted.any():
        raise row_error(
            who, "weights other than 0 and 1", weighted, table.weight[weighted],
            "agreement is between single ratings, give one row for each",
        )  # fmt: skip


def _same_thing(table: ResponseTable, judge: str) -> Codes:
    """Number of the combination of all other facets, shape (R,)."""
    others = [name for name in table.codes if name != judge]
    return combined([table.codes[name] for name in others])
