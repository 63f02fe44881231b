"""From a table to complete subjects × items: what coefficients of a scale are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.scoring.fair import category_values

__all__ = ["ScaleMatrix", "scale_matrix"]

_FEWEST = 3


@final
@dataclass(frozen=True)
class ScaleMatrix:
    """Subjects who answered every item.

    Attributes:
        values: Shape (S, I), in units of the ratings.
        items: The I labels.
        notes: Who was left out and what was averaged, as sentences.
    """

    values: NDArray[np.float64]
    items: tuple[Label, ...]
    notes: tuple[str, ...]


def scale_matrix(table: ResponseTable, *, mean: bool, who: str) -> ScaleMatrix:
    """The complete subjects of a table; rows of weight 0 do not count.

    Args:
        table: Responses to items.
        mean: Average several responses of a subject to an item by their weights; else refuse them.
        who: The caller, for messages.

    Raises:
        DataError: No items, one item, several dimensions, repeats, fewer than three complete subjects, no variance.
    """
    items = table.levels.get("item", ())
    if len(items) < 2:
        raise DataError(f"{who}: {counted(len(items), 'item')}; a scale needs at least two, name item= in the table.")
    if table.dimension is not None and len(table.levels[table.dimension]) > 1:
        raise DataError(
            f"{who}: the rows measure {counted(len(table.levels[table.dimension]), 'dimension')} "
            f"{listing(table.levels[table.dimension])}; take table.split({table.dimension!r}) and one part at a time."
        )
    kept = np.flatnonzero(table.weight > 0)
    weight = table.weight[kept]
    cell = table.codes["subject"][kept].astype(np.int64) * len(items) + table.codes["item"][kept]
    shape = len(table.levels["subject"]), len(items)
    times = np.bincount(cell, minlength=shape[0] * shape[1])
    if times.max(initial=0) > 1 and not mean:
        further = [name for name, labels in table.levels.items() if name not in ("subject", "item") and len(labels) > 1]
        raise DataError(
            f"{who}: {int(np.sum(times > 1)):,} of {int(np.sum(times > 0)):,} subject × item cells have several "
            f'responses (further facets: {listing(further)}); choose a level with table.select, or repeats="mean".'
        )
    value = category_values(table.categories)[table.response[kept]]
    mass = np.bincount(cell, weight, times.size)
    answered = (times > 0).reshape(shape)
    complete = np.asarray(answered.all(axis=1), np.bool_)
    if complete.sum() < _FEWEST:
        raise DataError(
            f"{who}: {counted(int(complete.sum()), 'subject')} of {shape[0]:,} answered all {shape[1]} items; it takes "
            f"{_FEWEST}. Choose items with table.select, or fit a model and use score_reliability."
        )
    average = np.bincount(cell, weight * value, times.size) / np.where(times > 0, mass, 1.0)
    values = average.reshape(shape)[complete]
    _require_variance(values, items, who)
    return ScaleMatrix(values, items, _notes(complete, times.reshape(shape)[complete]))


def _require_variance(values: NDArray[np.float64], items: tuple[Label, ...], who: str) -> None:
    flat = [label for label, column in zip(items, values.T, strict=True) if np.ptp(column) == 0]
    if flat:
        raise DataError(
            f"{who}: all {len(values):,} complete subjects answered items {listing(flat)} alike; leave them out with "
            "table.select."
        )
    total = values.sum(axis=1)
    if np.ptp(total) < 1e-9:
        raise DataError(f"{who}: the items sum to {total[0]:g} for every subject; is half of them reverse-keyed?")


def _notes(complete: NDArray[np.bool_], times: NDArray[np.int64]) -> tuple[str, ...]:
    notes: list[str] = []
    if not complete.all():
        notes.append(
            f"{int(np.sum(~complete)):,} of {counted(len(complete), 'subject')} lack an item and were left out"
        )
    if times.max() > 1:
        spread = f"{times.min()} to {times.max()}" if times.min() < times.max() else f"{times.max()}"
        notes.append(f"each item's value is the mean of {spread} responses: the reliability of that mean")
    return tuple(notes)
