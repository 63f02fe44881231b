"""Votes of an arena: people who see two answers side by side and choose (LMSYS, Chatbot Arena, and their like)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.messages import counted
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.instruments.importers.records import Records, Repeats, read_records
from psymetric.instruments.importers.votes import THOUSAND, pair_table, read_outcomes

__all__ = ["ARENA_FACETS", "read_arena"]

_WHO: Final = "read_arena"
Length = Literal["characters", "tokens"]

# Names that files use for one field, the first being the arena's own.
_LEFT: Final = ("model_a", "left")
_RIGHT: Final = ("model_b", "right")
_FACETS: Final = {"judge": ("judge", "worker"), "prompt": ("prompt",), "turn": ("turn",), "language": ("language",)}
_TEXTS: Final = {"characters": ("conversation_a", "conversation_b"), "tokens": ("conv_metadata",)}
_TOKENS: Final = ("sum_assistant_a_tokens", "sum_assistant_b_tokens")

ARENA_FACETS: Final = tuple(_FACETS)
"""What may sway a vote, where the file knows it."""

_BOTH_BAD: Final = ("tie (bothbad)", "both_bad", "bothbad")
_MEANINGS: Final[Mapping[str, str | None]] = {
    "model_a": "left",
    "model_b": "right",
    "tie": "tie",
    "left": "left",
    "right": "right",
    **dict.fromkeys(_BOTH_BAD),
}


def read_arena(
    path: str | Path,
    *,
    outcomes: Mapping[Any, str | None] | None = None,
    facets: Sequence[str] = ARENA_FACETS,
    length: Length | None = None,
    repeats: Repeats = "error",
) -> PairTable:
    """Comparisons from votes of an arena.

    One record is one vote: `model_a` (shown on the left) and `model_b`, or `left` and `right`; `winner`: "model_a",
    "model_b", "left", "right", the winner's own name, "tie", or that both are bad; and where the file has them `judge`
    (or `worker`), `prompt`, `turn` and `language`, which become facets. Texts and other fields are not read.

    "tie (bothbad)" and "both_bad" say that neither answer will do, not that the two are equal. They are non-responses
    (`off_scale`) with a note, unless `outcomes={"tie (bothbad)": "tie"}` says otherwise.

    Args:
        path: `.jsonl`, `.json` (a list), `.csv`, `.tsv` (each also with `.gz`) or `.parquet`.
        outcomes: What labels of `winner` mean: "left", "right", "tie" or None; comes before the format's own meanings.
        facets: Which of the four to keep, where the file has them. A facet of a hundred thousand people costs memory.
        length: Adds the facet `length`, for `BradleyTerry(contest="length")`: what the left answers have more than the
            right ones, in thousands of characters of the assistant's turns (`conversation_a`, `conversation_b`) or of
            tokens (`conv_metadata`).
        repeats: What to do with a vote whose `question_id` occurred before, where there are such: "error", "first"
            (leave it out), or "keep".

    Returns:
        The table, in the order of the file; left is the model shown on the left.

    Raises:
        DataError: The file cannot be read, or a record cannot be understood; the message names the line.

    Source: Chiang et al. (2024), Chatbot Arena, ICML; data sets lmsys/chatbot_arena_conversations and
    lmarena-ai/arena-human-preference-100k, -140k.
    """
    kept = _known_facets(facets)
    if length is not None and length not in get_args(Length):
        raise DataError(f"{_WHO}: length={length!r} is not known: use None or one of {[*get_args(Length)]}")
    fields = [*_LEFT, *_RIGHT, "winner", "question_id", *(name for facet in kept for name in _FACETS[facet])]
    records = read_records(path, [*fields, *(_TEXTS[length] if length else ())], who=_WHO)
    records, notes = records.distinct(("question_id",), repeats)
    left, right = records.first_of(_LEFT), records.first_of(_RIGHT)
    sides = {"left": records.labels(left), "right": records.labels(right)}
    records.refuse_self(left, right)
    votes = read_outcomes(records, "winner", _MEANINGS, sides=(left, right), given=outcomes or {})
    columns: dict[str, Any] = dict(sides)
    for facet in kept:
        if known := [name for name in _FACETS[facet] if records.has(name)]:
            columns[facet] = records.labels(known[0])
    if length:
        columns["length"] = _length(records, length)
    frame = pd.DataFrame({**columns, "outcome": votes["outcome"], "reason": votes["reason"]})
    return pair_table(frame, [name for name in columns if name not in sides], *notes, *_both_bad(records, votes))


def _known_facets(facets: Sequence[str]) -> tuple[str, ...]:
    names = (facets,) if isinstance(facets, str) else tuple(facets)
    for name in names:
        if name not in _FACETS:
            raise DataError(f"{_WHO}: facets= holds {name!r}; an arena file has {[*_FACETS]}")
    return names


def _both_bad(records: Records, votes: pd.DataFrame) -> tuple[str, ...]:
    """What a reader must know of votes that found both answers bad."""
    bad = records.values("winner").isin(_BOTH_BAD) & votes["outcome"].isna()
    if not bad.any():
        return ()
    return (
        f"{counted(int(bad.sum()), 'vote')} found both answers bad, which ties neither with the other: kept as "
        'non-responses. outcomes={"tie (bothbad)": "tie"} counts them as ties.',
    )


def _length(records: Records, length: Length) -> NDArray[np.float64]:
    """Left less right, in thousands, shape (records,)."""
    if length == "characters":
        sides = [_assistant(records, field) for field in _TEXTS[length]]
    else:
        cells = records.values("conv_metadata")
        sides = [np.array([_token_count(cell, name) for cell in cells], dtype=np.float64) for name in _TOKENS]
    lost = np.isnan(sides[0]) | np.isnan(sides[1])
    if lost.any():
        fix = "leave length= out, or drop these records"
        raise records.error(f"the length in {length} is not to be found", lost, [], fix)
    return (sides[0] - sides[1]) / THOUSAND


def _assistant(records: Records, field: str) -> NDArray[np.float64]:
    """Characters of the assistant's turns of each conversation, NaN for what is no conversation; shape (records,)."""
    return np.array([_characters(cell) for cell in records.values(field)], dtype=np.float64)


def _characters(conversation: object) -> float:
    turns: list[Any] = list(conversation) if isinstance(conversation, (list, np.ndarray)) else []
    spoken = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "assistant"]
    lengths = [len(text) for text in spoken if isinstance(text, str)]
    return float(sum(lengths)) if spoken and len(lengths) == len(spoken) else np.nan


def _token_count(metadata: object, name: str) -> float:
    count = metadata.get(name) if isinstance(metadata, dict) else None
    return float(count) if isinstance(count, (int, float)) and not isinstance(count, bool) else np.nan
