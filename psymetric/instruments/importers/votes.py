"""From the votes of a file to a table of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import plain
from psymetric.data.nonresponse import NonResponse
from psymetric.data.outcomes import OUTCOMES
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.instruments.importers.records import Records

__all__ = ["THOUSAND", "kept_where", "pair_table", "read_outcomes"]

THOUSAND = 1000.0
"""Lengths are counted in thousands, so that a weight of length is of the size of a worth."""

_UNKNOWN, _NONE = -2, -1


def read_outcomes(
    records: Records,
    field: str,
    meanings: Mapping[Any, str | None],
    *,
    sides: tuple[str, str] | None = None,
    given: Mapping[Any, str | None] | None = None,
    lost: Mapping[Any, NonResponse] | None = None,
) -> pd.DataFrame:
    """What each record says of its two items.

    Args:
        records: Of a file.
        field: Holds the labels.
        meanings: Label -> "left", "right", "tie", or None for a vote that is no comparison, as the format has it.
        sides: Fields with the left and the right item, where the winner's own name may stand for it.
        given: What the user's `outcomes=` says, which comes first; None where the importer has no such argument.
        lost: Label -> why it is no vote; `off_scale` for labels that are not in it. A null is `missing`.

    Returns:
        One row per record: `outcome` ("left", "right", "tie" or None) and `reason` (None where there is an outcome).

    Raises:
        DataError: A label is unknown, or names an item and a result at once; the message names file, line and label.
    """
    values = records.values(field)
    try:
        codes, found = pd.factorize(values)
    except TypeError:
        odd = np.array([isinstance(cell, (list, dict)) for cell in values], dtype=bool)
        raise records.error(f"field {field!r} holds lists or objects", odd, values[odd], "give one label") from None
    known = {**meanings, **_checked(given, who=records.who)}
    of_label = [_meaning(label, known) for label in found]
    outcome = np.array([*of_label, _NONE], dtype=np.int64)[codes]
    if sides:
        items = [records.frame[side].astype(object) for side in sides]
        clash = [label for label in found if label in meanings and label not in (given or {})]
        double = values.isin([label for label in clash if any((item == label).any() for item in items)])
        if double.any():
            example = plain(values[double].iloc[0])
            fix = f"say which in outcomes=, e.g. outcomes={{{example!r}: 'left'}}, or rename the item"
            what = f"labels in {field!r} name an item and a result"
            raise records.error(what, double.to_numpy(dtype=bool), values[double], fix)
        won = [(values.astype(object) == item).to_numpy(dtype=bool) for item in items]
        outcome = np.where(outcome == _UNKNOWN, np.select(won, [0, 1], _UNKNOWN), outcome)
    unknown = outcome == _UNKNOWN
    if unknown.any():
        fix = f"this format knows {', '.join(repr(label) for label in meanings)}"
        if given is not None:
            example = f"outcomes={{{plain(values[unknown].iloc[0])!r}: 'tie'}}"
            fix += f"; say what others mean, e.g. {example}, with values 'left', 'right', 'tie' or None"
        raise records.error(f"unknown labels in {field!r}", unknown, values[unknown], fix)
    why = [(lost or {}).get(label, NonResponse.off_scale).value for label in found]
    reason = np.array([*why, NonResponse.missing.value], dtype=object)[codes]
    return pd.DataFrame(
        {
            "outcome": np.array([*OUTCOMES, None], dtype=object)[outcome],
            "reason": kept_where(reason, outcome < 0),
        }
    )


def _meaning(label: object, meanings: Mapping[Any, str | None]) -> int:
    if label not in meanings:
        return _UNKNOWN
    meaning = meanings[label]
    return _NONE if meaning is None else OUTCOMES.index(meaning)


def _checked(outcomes: Mapping[Any, str | None] | None, *, who: str) -> Mapping[Any, str | None]:
    for label, meaning in (outcomes or {}).items():
        if meaning is not None and meaning not in OUTCOMES:
            raise DataError(
                f"{who}: outcomes= maps {label!r} to {meaning!r}; map each label to 'left', 'right', 'tie', or None "
                "for a vote that is no comparison."
            )
    return outcomes or {}


def kept_where(values: object, rows: NDArray[np.bool_]) -> NDArray[np.object_]:
    """The values, or one value, in these rows and None in the others, shape of `rows`."""
    kept = np.full(rows.shape, None, dtype=object)
    kept[rows] = values[rows] if isinstance(values, np.ndarray) else values
    return kept


def pair_table(frame: pd.DataFrame, facets: Sequence[str], *notes: str, weight: str | None = None) -> PairTable:
    """The table of a frame with columns left, right, outcome, reason and the facets, with notes.

    Raises:
        DataError: No vote has an outcome, or what else `PairTable.from_frame` refuses.
    """
    table = PairTable.from_frame(
        frame,
        left="left",
        right="right",
        outcome="outcome",
        facets=tuple(facets),
        reason="reason",
        weight=weight,
        # An item may be called "left" as well.
        outcomes={outcome: str(outcome) for outcome in OUTCOMES},
    )
    return table.noted(*notes)
