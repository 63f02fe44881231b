"""What a reader should know about a table before trusting a fit to it, as plain sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing

__all__ = ["duplicate_note", "facet_notes", "missing_notes", "unused_categories", "weight_note"]


def unused_categories(
    response: NDArray[np.int32], categories: tuple[Label, ...], weight: NDArray[np.float64]
) -> Iterator[str]:
    """Categories without a response that counts."""
    used = np.bincount(response, weights=weight, minlength=len(categories)) > 0
    unused = [label for label, is_used in zip(categories, used, strict=True) if not is_used]
    if used.sum() == 1:
        yield f"Every response is {categories[int(np.argmax(used))]!r}; no model can be fitted to these rows alone."
    elif len(unused) == 1:
        yield f"Category {unused[0]!r} was never used; it keeps its place."
    elif unused:
        yield f"Categories {listing(unused)} were never used; they keep their places."


def duplicate_note(codes: Mapping[str, NDArray[np.int32]]) -> Iterator[str]:
    """Rows that repeat the cell of an earlier row."""
    sizes = [int(code.max()) + 1 for code in codes.values()]
    if math.prod(sizes) < 2**62:
        cells = np.ravel_multi_index(tuple(codes.values()), sizes)
        repeated = cells.size - len(pd.unique(cells))
    else:
        repeated = int(pd.DataFrame(dict(codes), copy=False).duplicated().sum())
    if repeated:
        facets = " × ".join(codes)
        rows = f"{counted(repeated, 'row')} {'repeats' if repeated == 1 else 'repeat'}"
        yield f"{rows} the {facets} of an earlier row; each counts as an observation of its own."


def facet_notes(
    levels: Mapping[str, tuple[Label, ...]], missing: pd.DataFrame, seen_in: Mapping[str, str], dimension: str | None
) -> Iterator[str]:
    """Facets of one level, levels without any response, labels that differ only in case or spaces.

    `seen_in` names the facet of each label column of `missing`.
    """
    for facet, labels in levels.items():
        if len(labels) == 1 and facet != dimension:
            yield f"Facet {facet!r} has one level, {labels[0]!r}; its effect cannot be told from the overall level."
        silent = _silent(labels, missing, [column for column, owner in seen_in.items() if owner == facet])
        if silent:
            have = "level has" if len(silent) == 1 else "levels have"
            yield f"{len(silent):,} {facet} {have} no response at all and cannot be measured: {listing(silent)}."
        alike = _alike(labels)
        if alike:
            yield f"Labels of {facet!r} differ only in case or spaces and were kept apart: {listing(alike)}."


def _silent(labels: tuple[Label, ...], missing: pd.DataFrame, columns: list[str]) -> list[Label]:
    """Labels that occur only in rows without a response."""
    if missing.empty:
        return []
    known = set(labels)
    return [label for column in columns for label in missing[column].unique().tolist() if label not in known]


def _alike(labels: tuple[Label, ...]) -> list[Label]:
    """Labels that are the same text once case and spaces are ignored."""
    texts = [label for label in labels if isinstance(label, str)]
    folded = [" ".join(text.casefold().split()) for text in texts]
    count = Counter(folded) if len(set(folded)) < len(folded) else Counter[str]()
    return [text for text, plain in zip(texts, folded, strict=True) if count[plain] > 1]


def missing_notes(missing: pd.DataFrame, observed: int) -> Iterator[str]:
    """How many rows hold no response, by reason."""
    if len(missing):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in missing["reason"].value_counts().items())
        share = len(missing) / (observed + len(missing))
        yield (
            f"{counted(len(missing), 'row')} of {observed + len(missing):,} ({share:.1%}) "
            f"{'has' if len(missing) == 1 else 'have'} no response: {reasons}."
        )


def weight_note(weight: NDArray[np.float64]) -> Iterator[str]:
    """Rows that carry no weight."""
    idle = int((weight == 0).sum())
    if idle:
        verbs = ("has", "counts") if idle == 1 else ("have", "count")
        yield f"{counted(idle, 'row')} {verbs[0]} weight 0 and {verbs[1]} for nothing."
