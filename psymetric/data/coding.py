"""From the labels of a column to integer codes and natural-sorted levels, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.messages import row_error

__all__ = [
    "SIDES",
    "Label",
    "code_labels",
    "code_names",
    "drop_unused",
    "kinds_of",
    "label_array",
    "natural_key",
    "picked_rows",
    "plain",
]

Label = str | int | float
"""What a level or category may be called. Labels keep the type they had in the source."""

SIDES = ("left", "right")
"""Codes of the two items of a pair; what is known of an item has codes `left.<name>` and `right.<name>`."""

_DIGITS = re.compile("([0-9]+)")


def natural_key(text: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Sort key that puts `item2` before `item10`, ignores case first, and never ties two different labels."""
    parts: list[tuple[int, str]] = []
    for place, part in enumerate(_DIGITS.split(text.casefold())):
        # A number sorts by its length, then its digits: no conversion, so a label of any length is safe.
        digits = part.lstrip("0")
        parts.append((len(digits), digits) if place % 2 else (-1, part))
    return tuple(parts), text


def plain(value: Any) -> Label | None:
    """The label as a plain Python value; None when it cannot serve as one."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return (int(value) if float(value).is_integer() else float(value)) if np.isfinite(value) else None
    if isinstance(value, str):
        return str.__str__(value)
    return value.isoformat() if hasattr(value, "isoformat") else None


def kinds_of(labels: Iterable[Label]) -> set[str]:
    """Which of `text`, `number`, `truth value` occur among the labels."""
    names = {bool: "truth value", int: "number", float: "number", str: "text"}
    return {names[type(label)] for label in labels}


def label_array(levels: tuple[Label, ...], codes: NDArray[np.int32]) -> pd.Index[Any]:
    """The label of each code, in a column type that fits the labels."""
    return pd.Index(list(levels)).take(codes)


def code_names(codes: Iterable[str], facet: str) -> tuple[str, ...]:
    """The codes that index the levels of a facet: two where it belongs to the items of a pair, none where unknown."""
    known = set(codes)
    if facet in known:
        return (facet,)
    sides = SIDES if facet == "item" else tuple(f"{side}.{facet}" for side in SIDES)
    return tuple(name for name in sides if name in known)


def picked_rows(codes: Mapping[str, NDArray[np.int32]], rows: NDArray[np.bool_]) -> dict[str, NDArray[np.int32]]:
    """The codes of some rows; the arrays themselves where that is all of them."""
    return dict(codes) if rows.all() else {name: code[rows] for name, code in codes.items()}


def drop_unused(
    codes: Mapping[str, NDArray[np.int32]], levels: Mapping[str, tuple[Label, ...]], level_of: Callable[[str], str]
) -> tuple[dict[str, NDArray[np.int32]], dict[str, tuple[Label, ...]]]:
    """The same rows coded without the levels that none of them uses.

    Args:
        codes: Level codes by name, each of shape (rows,).
        levels: Labels by facet.
        level_of: The facet whose levels a code indexes.
    """
    kept_codes: dict[str, NDArray[np.int32]] = {}
    kept_levels: dict[str, tuple[Label, ...]] = {}
    for facet, labels in levels.items():
        owners = [name for name in codes if level_of(name) == facet]
        used = np.zeros(len(labels), dtype=bool)
        for name in owners:
            used[codes[name]] = True
        if used.all():
            kept_codes |= {name: codes[name] for name in owners}
            kept_levels[facet] = labels
            continue
        place = (np.cumsum(used) - 1).astype(np.int32)
        kept_codes |= {name: place[codes[name]] for name in owners}
        kept_levels[facet] = tuple(labels[position] for position in np.flatnonzero(used))
    return {name: kept_codes[name] for name in codes}, kept_levels


def code_labels(values: pd.Series[Any], *, who: str, column: str) -> tuple[NDArray[np.int32], tuple[Label, ...]]:
    """Codes of a column of labels, and its levels in natural order.

    The levels depend on which labels occur and not on the order of the rows.

    Args:
        values: One label per row: text, numbers or truth values. Dates become ISO text, whole floats become integers.
        who: The table being built, for messages.
        column: The user's name of the column, for messages.

    Returns:
        Codes, shape (rows,), and levels: `levels[codes[i]]` is the label of row i.

    Raises:
        DataError: A label is missing or blank, is no text or number, or text and numbers are mixed.
    """
    raw, found = pd.factorize(values)
    uniques = list(found)
    labels = [plain(unique) for unique in uniques]
    _check_labels(raw, uniques, labels, who=who, column=column)
    known: list[Label] = [label for label in labels if label is not None]
    order = _natural_order(known)
    rank = np.empty(len(known), dtype=np.int32)
    rank[order] = np.arange(len(known), dtype=np.int32)
    return rank[raw], tuple(known[place] for place in order)


def _natural_order(labels: list[Label]) -> list[int]:
    """Positions of the labels, sorted."""
    if any(isinstance(label, str) for label in labels):
        keys: list[Any] = [natural_key(str(label)) for label in labels]
        return sorted(range(len(labels)), key=keys.__getitem__)
    return sorted(range(len(labels)), key=labels.__getitem__)


def _check_labels(
    raw: NDArray[np.intp], uniques: list[Hashable], labels: list[Label | None], *, who: str, column: str
) -> None:
    """Refuse missing, blank, unusable and mixed labels. `raw` indexes `labels`, -1 where the source is missing."""
    blank = [place for place, label in enumerate(labels) if isinstance(label, str) and not label.strip()]
    empty = (raw < 0) | np.isin(raw, blank)
    if empty.any():
        what = f"column {column!r} has no label"
        raise row_error(who, what, empty, [], "fill it in, or drop these rows before building the table")
    odd = [place for place, label in enumerate(labels) if label is None]
    if odd:
        what = f"column {column!r} holds values that cannot be labels"
        got = [repr(uniques[place]) for place in odd]
        raise row_error(who, what, np.isin(raw, odd), got, "name each level by a text or a finite number")
    kinds = kinds_of(label for label in labels if label is not None)
    if len(kinds) > 1:
        fewest = min(kinds, key=lambda kind: sum(kinds_of([label]) == {kind} for label in labels if label is not None))
        odd = [place for place, label in enumerate(labels) if label is not None and kinds_of([label]) == {fewest}]
        what = f"column {column!r} mixes {' and '.join(sorted(kinds))} labels"
        fix = f"give them one type, e.g. df[{column!r}] = df[{column!r}].astype(str)"
        raise row_error(who, what, np.isin(raw, odd), [labels[place] for place in odd], fix)
