"""How facets are called in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from psymetric.data.table import CodedTable

__all__ = ["JUDGES", "noun_of", "numbered", "plural", "scale_words"]

JUDGES = frozenset({"judge", "rater", "annotator", "grader", "worker", "reviewer", "evaluator", "judges", "raters"})
"""Facet names that mean who judged."""

_IRREGULAR = {"criterion": "criteria", "persona": "personas", "person": "people", "story": "stories"}


def noun_of(table: CodedTable, facet: str) -> str:
    """What a level of a facet is called: the user's column name where that is a plain word, else the facet's."""
    column = table.columns.get(facet, facet) if facet in ("subject", "item") else facet
    word = re.sub(r"(_id|_name|_index|_label|_idx)$", "", str(column)).replace("_", " ").strip().lower()
    return word if re.fullmatch(r"[^\W\d_]{3,20}( [^\W\d_]{2,20})?", word) else facet


def plural(noun: str) -> str:
    """The plural of a noun."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun if noun.endswith("s") else f"{noun}s"


def numbered(count: int, noun: str) -> str:
    """`1 judge`, `3 judges`."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def scale_words(categories: Sequence[object]) -> str:
    """The scale's ends, as in `1–5` or `never to often`."""
    low, high = categories[0], categories[-1]
    return f"{low}–{high}" if isinstance(low, int) else f"“{low}” to “{high}”"
