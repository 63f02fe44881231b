"""Who won: from the labels of an outcome column to 0 = left, 1 = right, 2 = tie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label, plain
from psymetric.data.messages import listing, row_error
from psymetric.errors import DataError

__all__ = ["OUTCOMES", "code_outcomes"]

OUTCOMES: tuple[Label, ...] = ("left", "right", "tie")
"""The categories of every comparison, in the order of their codes."""

_MISSING, _UNKNOWN = -1, -2


def code_outcomes(
    values: pd.Series[Any],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    items: tuple[Label, ...],
    *,
    outcomes: Mapping[Any, str | None] | None,
    who: str,
    column: str,
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Outcome code of each row, -1 without an outcome, and notes.

    A label is read through `outcomes` first, then as the label of the row's left or right item, then as one of the
    words `left`, `right`, `tie`.

    Args:
        values: One label per row.
        left: Item codes of the left side, shape (rows,).
        right: Item codes of the right side, shape (rows,).
        items: Labels of the items.
        outcomes: The user's map of labels to `left`, `right`, `tie` or None (a non-response).
        who: The table being built, for messages.
        column: The user's name of the column, for messages.

    Raises:
        DataError: The map names another outcome; a label is unknown, or names an item and a result at once; no outcome.
    """
    given = _checked_map(outcomes, who=who)
    raw, found = pd.factorize(values)
    labels = [plain(label) for label in found]
    words: dict[Label | None, int] = {word: code for code, word in enumerate(OUTCOMES)}
    by_item: dict[Label | None, int] = {item: code for code, item in enumerate(items)}
    clash = [label for label in labels if label in words and label in by_item and label not in given]
    if clash:
        raise DataError(
            f"{who}: {listing(clash)} in column {column!r} is the name of an item and of a result; "
            f"say which in outcomes=, e.g. outcomes={{{clash[0]!r}: {clash[0]!r}}}, or rename the item."
        )
    known = given | {label: _MISSING for label in labels if isinstance(label, str) and not label.strip()}
    meaning = [known[label] if label in known else words.get(label, _UNKNOWN) for label in labels]
    winner = [_UNKNOWN if label in known else by_item.get(label, _UNKNOWN) for label in labels]
    # Appending a sentinel lets the -1 of a missing outcome index it.
    code = np.array([*meaning, _MISSING], dtype=np.int32)[raw]
    won = np.full(len(code), _UNKNOWN, np.int32)
    if any(place >= 0 for place in winner):
        won = np.array([*winner, _UNKNOWN], dtype=np.int32)[raw]
        code = np.where(won == left, 0, np.where(won == right, 1, code)).astype(np.int32)
    unknown = code == _UNKNOWN
    if unknown.any():
        raise _unknown_labels(values, unknown, won >= 0, who=who, column=column)
    if not (code >= 0).any():
        raise DataError(f"{who}: no row has an outcome in {column!r}; there is nothing to compare, check the column.")
    return code, _note_blanked(labels, given)


def _checked_map(outcomes: Mapping[Any, str | None] | None, *, who: str) -> dict[Label | None, int]:
    """The user's map with codes as values."""
    codes: dict[Label | None, int] = {}
    for label, meaning in (outcomes or {}).items():
        if meaning is not None and meaning not in OUTCOMES:
            raise DataError(
                f"{who}: outcomes maps {label!r} to {meaning!r}; map each label to 'left', 'right', 'tie', or None "
                "for a comparison without a result."
            )
        codes[plain(label)] = _MISSING if meaning is None else OUTCOMES.index(meaning)
    return codes


def _unknown_labels(
    values: pd.Series[Any], unknown: NDArray[np.bool_], foreign: NDArray[np.bool_], *, who: str, column: str
) -> DataError:
    """The error that names each unknown label with its count."""
    counts = values[unknown].value_counts()
    got = [f"{label} ({count:,}×)" for label, count in counts.items()]
    if foreign[unknown].all():
        what = f"winners in column {column!r} are neither the left nor the right item of their row"
        return row_error(who, what, unknown, got, "correct the winner or the two items of these rows")
    example = str(counts.index[0])
    fix = (
        f"say what they mean, e.g. outcomes={{{example!r}: 'left', …}} with values 'left', 'right', 'tie' or None, "
        "or name the winner as the left or right column does"
    )
    return row_error(who, f"unknown outcomes in column {column!r}", unknown, got, fix)


def _note_blanked(labels: list[Label | None], given: Mapping[Label | None, int]) -> tuple[str, ...]:
    """Which labels were taken for non-responses."""
    blanked = [label for label in labels if given.get(label) == _MISSING]
    return (f"Outcomes {listing(blanked)} were read as no response, as outcomes= says.",) if blanked else ()
