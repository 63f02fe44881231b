"""What is known of the items of a pair: attributes by item, spread over both sides of every comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import SIDES, Label, code_labels, plain
from psymetric.data.columns import facet_names, native_frame
from psymetric.data.messages import counted, listing, row_error
from psymetric.errors import DataError

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

__all__ = ["ItemAttributes", "code_attributes", "refuse_side_names"]

_ITEM = "item"


@final
@dataclass(frozen=True)
class ItemAttributes:
    """Attributes of I items.

    Attributes:
        codes: Attribute -> level code of each item, shape (I,).
        levels: Attribute -> labels in natural order.
        notes: What was left aside.
    """

    codes: Mapping[str, NDArray[np.int32]]
    levels: Mapping[str, tuple[Label, ...]]
    notes: tuple[str, ...]

    def on_sides(self, sides: Mapping[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
        """Codes `left.<name>` and `right.<name>` of comparisons whose items have the codes in `sides`."""
        return {f"{side}.{name}": code[sides[side]] for name, code in self.codes.items() for side in SIDES}


def code_attributes(
    items: IntoFrame, labels: tuple[Label, ...], *, taken: Iterable[str], who: str, column: str
) -> ItemAttributes:
    """Code a frame of one row per item; every column but the items' own is an attribute.

    Args:
        items: Labels in a column `item`, or else in the index of a pandas frame.
        labels: The items that were compared, each of which needs a row.
        taken: Names of facets that no attribute may carry.
        who: The table being built, for messages.
        column: The user's name of the left items, for messages.

    Raises:
        DataError: No column, an item twice, an item without a row, an empty cell, or a name that is taken.
    """
    frame = native_frame(items, who=f"{who}(items=)")
    if _ITEM in frame.columns:
        frame = frame.set_index(_ITEM)
    elif not isinstance(items, pd.DataFrame):
        raise DataError(
            f"{who}: items= has columns {listing(frame.columns)} and no column 'item'; name the items in it."
        )
    names = facet_names([str(name) for name in frame.columns], who=who)
    if not names:
        raise DataError(f"{who}: items= has no column beside the items; give at least one attribute, or leave it out.")
    if both := sorted(set(names) & set(taken)):
        raise DataError(f"{who}: {both[0]!r} is a facet of the comparisons and an attribute in items=; rename one.")
    rows = _rows_of(frame.index, labels, who=who, column=column)
    used = frame.iloc[rows].reset_index(drop=True)
    coded = {str(name): code_labels(used[name], who=f"{who}(items=)", column=str(name)) for name in frame.columns}
    idle = len(frame) - len(labels)
    notes = (f"{counted(idle, 'row')} of items= tell of items that were never compared.",) if idle else ()
    return ItemAttributes(
        {name: code for name, (code, _) in coded.items()}, {name: known for name, (_, known) in coded.items()}, notes
    )


def _rows_of(index: pd.Index[Any], labels: tuple[Label, ...], *, who: str, column: str) -> list[int]:
    """The row of every item."""
    found = [plain(value) for value in index]
    twice = pd.Index(found).duplicated()
    if twice.any():
        got = [label for label, again in zip(found, twice, strict=True) if again]
        raise row_error(who, "items= has several rows of one item", twice, got, "give each item one row")
    place = {label: row for row, label in enumerate(found)}
    if lost := [label for label in labels if label not in place]:
        raise DataError(
            f"{who}: {counted(len(lost), 'item')} of {len(labels)} compared ({column!r}) have no row in items=, first "
            f"{lost[0]!r}; got rows of {listing(found)}. Name the items as the comparisons do, in a column 'item' or "
            "in the index, and add a row for each."
        )
    return [place[label] for label in labels]


def refuse_side_names(names: Iterable[str], *, who: str) -> None:
    """Raise DataError where a further facet is named like an attribute of one side."""
    for name in names:
        side, dot, attribute = name.partition(".")
        if dot and side in SIDES:
            raise DataError(
                f"{who}: facet {name!r} is named like an attribute of the {side} item; give what is known of the items "
                f"by items=, or rename the column, e.g. {side + '_' + attribute!r}."
            )
