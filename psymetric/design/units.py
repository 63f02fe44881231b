"""The units of a design, which one row measures: subjects of inventories and rubrics, pairs of texts to compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psymetric.design.settings import TextSource
from psymetric.design.study import Study
from psymetric.design.subjects import Texts
from psymetric.errors import DesignError
from psymetric.instruments.schema import Instrument, PairTask

__all__ = ["Units", "make_units"]

Column = NDArray[np.object_]

_MAX_PAIRS: Final = 1_000_000


@dataclass(frozen=True)
class Units:
    """Units and the plan columns that they fill.

    Attributes:
        count: Number of units.
        columns: Label by unit for each plan column, shape (count,); columns that do not apply are absent.
        notes: What was left out.
    """

    count: int
    columns: dict[str, Column]
    notes: tuple[str, ...] = ()


def make_units(
    study: Study, instrument: Instrument, texts: Texts | None, calls: int | None, rng: np.random.Generator
) -> Units:
    """The units of a study.

    Args:
        study: Names the models and personas.
        instrument: Whose kind decides what a unit is.
        texts: The texts; None for an inventory.
        calls: Number of requests, which limits the pairs that are listed; None lists all.
        rng: Shuffles pairs and which text of a pair is the left one.

    Raises:
        DesignError: Fewer than two texts to compare, or more pairs than can be listed.
    """
    if texts is None or not isinstance(study.subjects, TextSource):
        return _models(study)
    if isinstance(instrument, PairTask):
        return _pairs(texts, calls, rng)
    return Units(len(texts.ids), {"subject": _column(texts.ids)})


def _models(study: Study) -> Units:
    names = [endpoint.name for endpoint in study.endpoints]
    personas = [persona.name for persona in study.personas]
    if not personas:
        return Units(len(names), {"subject": _column(names), "model": _column(names)})
    crossed = [(name, persona) for name in names for persona in personas]
    return Units(
        len(crossed),
        {
            "subject": _column([f"{name}/{persona}" for name, persona in crossed]),
            "model": _column([name for name, _ in crossed]),
            "persona": _column([persona for _, persona in crossed]),
        },
    )


def _pairs(texts: Texts, calls: int | None, rng: np.random.Generator) -> Units:
    members: dict[str, list[int]] = {}
    for i, group in enumerate(texts.groups):
        members.setdefault(group, []).append(i)
    total = sum(len(ids) * (len(ids) - 1) // 2 for ids in members.values())
    if calls is None and total > _MAX_PAIRS:
        raise DesignError(
            f"{len(texts.ids):,} texts make {total:,} pairs, more than a full design may list ({_MAX_PAIRS:,}); "
            f"use design: {{kind: fractional, calls: …}}"
        )
    wanted = total if total <= _MAX_PAIRS else min(total, max(calls or 0, _MAX_PAIRS))
    pairs = list(islice(_interleaved(list(members.values()), rng), wanted))
    different = [(a, b) for a, b in pairs if texts.systems[a] != texts.systems[b]]
    if not different:
        raise DesignError("a comparison needs at least two texts of different systems in one group, found none")
    notes = (
        (f"left out, as both texts are of one system: {len(pairs) - len(different):,} pairs",)
        if len(different) < len(pairs)
        else ()
    )
    left, right = np.array(different, dtype=np.int64).T
    ids, systems, groups = _column(texts.ids), _column(texts.systems), _column(texts.groups)
    columns = {"left": systems[left], "right": systems[right], "left_text": ids[left], "right_text": ids[right]}
    if len(members) > 1:
        columns["group"] = groups[left]
    return Units(len(different), columns, notes)


def _interleaved(groups: list[list[int]], rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Pairs of all groups in turn, so that any beginning of the list covers all groups alike."""
    rings = [_ring(group, rng) for group in groups]
    for turn in zip_longest(*(rings[i] for i in rng.permutation(len(rings)))):
        yield from (pair for pair in turn if pair is not None)


def _ring(members: list[int], rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """All pairs of members: first neighbours on a ring, then those two apart, and so on.

    Any beginning of the list connects the members as soon as it can and gives all of them nearly equally many
    comparisons; in each turn of the ring every member is the left one once.
    """
    size = len(members)
    ring = rng.permutation(members)
    for gap in range(1, size // 2 + 1):
        # At half the ring, going all round would list each pair twice.
        for i in range(size if 2 * gap != size else gap):
            yield int(ring[i]), int(ring[(i + gap) % size])


def _column(values: object) -> Column:
    return np.array(values, dtype=object)
