"""Assembling the rows of a plan: units by facets, allocated, labelled, shuffled and checked for links."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.design.allocation import asking_order, fractional, full, linked
from psymetric.design.levels import facet_levels
from psymetric.design.links import check_links
from psymetric.design.requests import request_seeds
from psymetric.design.study import Study
from psymetric.design.subjects import Texts
from psymetric.design.units import Units, make_units
from psymetric.errors import DesignError
from psymetric.instruments.schema import Instrument, Inventory, PairTask

__all__ = ["assemble"]

_MAX_ROWS: Final = 5_000_000
_COLUMNS: Final = (
    *("instrument", "kind", "item", "trait", "subject", "model", "persona", "judge", "endpoint"),
    *("template", "order", "label", "replacement", "position"),
    *("left", "right", "left_text", "right_text", "group", "occasion", "language", "readout"),
)
_LINKED_FACETS: Final = ("item", "judge", "template", "order", "label", "replacement")

Levels = Mapping[str, tuple[str, ...]]
Codes = Mapping[str, NDArray[np.int64]]


def assemble(
    study: Study, instrument: Instrument, texts: Texts | None, seed: int
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """All rows in asking order, without their keys, and notes on the design.

    Raises:
        StudyError: The study does not suit its instrument.
        DesignError: Too many or too few requests, or levels that could not be compared.
    """
    levels = facet_levels(study, instrument, seed=seed)
    # One stream for each purpose, so that what one draws does not move the others.
    unit_rng, cell_rng, order_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    units = make_units(study, instrument, texts, study.design.calls, unit_rng)
    codes, notes = _allocate(study, units, levels, isinstance(instrument, PairTask), cell_rng)
    order = asking_order(codes["unit"], order_rng)
    frame = _label(study, instrument, units, levels, {name: code[order] for name, code in codes.items()})
    _check(study, instrument, texts, levels, frame)
    frame["seed"] = request_seeds(frame, seed)
    return frame, (*units.notes, *notes, *_advice(study, levels))


def _allocate(
    study: Study, units: Units, levels: Levels, paired: bool, rng: np.random.Generator
) -> tuple[Codes, tuple[str, ...]]:
    sizes = {facet: len(names) for facet, names in levels.items()}
    design, everything = study.design, units.count * prod(sizes.values())
    if design.kind == "linked":
        return _link(study, units, sizes, rng)
    if design.kind == "full" or design.calls is None or design.calls >= everything:
        _refuse_too_many(study, everything)
        rows = full(units.count, sizes)
        if design.calls is None or design.calls == everything:
            return rows, ()
        return rows, (f"calls: {design.calls:,} is more than the full crossing, which is asked whole ({everything:,})",)
    calls = design.calls
    _refuse_too_many(study, calls)
    if calls < units.count and not paired:
        raise DesignError(
            f"{study.source}: calls: {calls:,} leaves some of {units.count:,} subjects unasked; "
            f"raise calls or take fewer subjects"
        )
    # Pairs come in an order of which any beginning is balanced; the few extra calls of other units fall at random.
    rank = np.arange(units.count) if paired else rng.permutation(units.count)
    note = (
        f"fractional design: {calls:,} of the {everything:,} requests of the full crossing ({calls / everything:.1%})"
    )
    return fractional(units.count, sizes, calls, rank, rng), (note,)


def _link(study: Study, units: Units, sizes: dict[str, int], rng: np.random.Generator) -> tuple[Codes, tuple[str, ...]]:
    k = study.design.judges_per_subject or 1
    if k > sizes["judge"]:
        raise DesignError(f"{study.source}: judges_per_subject: {k} is more than the study's {sizes['judge']} judges")
    _refuse_too_many(study, units.count * k * prod(sizes.values()) // sizes["judge"])
    note = (
        f"linked design: each {'pair' if 'left' in units.columns else 'subject'} meets {k} of {sizes['judge']} judges"
    )
    return linked(units.count, sizes, k, rng), (note,)


def _refuse_too_many(study: Study, rows: int) -> None:
    if rows > _MAX_ROWS:
        raise DesignError(
            f"{study.source}: the design asks {rows:,} requests, more than one plan may hold ({_MAX_ROWS:,}); "
            f"use design: {{kind: fractional, calls: …}} or vary fewer facets"
        )


def _label(study: Study, instrument: Instrument, units: Units, levels: Levels, codes: Codes) -> pd.DataFrame:
    rows = len(codes["unit"])
    columns = {name: values[codes["unit"]] for name, values in units.columns.items()}
    columns |= {facet: np.array(names, dtype=object)[codes[facet]] for facet, names in levels.items()}
    traits = _traits(instrument)
    if "item" in levels and any(traits.values()):
        columns["trait"] = np.array([traits[item] for item in levels["item"]], dtype=object)[codes["item"]]
    columns["endpoint"] = columns["model"] if isinstance(instrument, Inventory) else columns["judge"]
    constants = {"instrument": instrument.name, "kind": instrument.kind, "language": instrument.language}
    constants["readout"] = study.readout
    columns |= {name: np.full(rows, value, dtype=object) for name, value in constants.items()}
    absent = np.full(rows, None, dtype=object)
    frame = pd.DataFrame({name: pd.array(columns.get(name, absent), dtype="str") for name in _COLUMNS})
    return frame.assign(occasion=codes["occasion"] + 1)


def _traits(instrument: Instrument) -> dict[str, str | None]:
    if isinstance(instrument, PairTask):
        return {}
    entries = instrument.items if isinstance(instrument, Inventory) else instrument.criteria
    return {entry.id: entry.trait for entry in entries}


def _check(study: Study, instrument: Instrument, texts: Texts | None, levels: Levels, frame: pd.DataFrame) -> None:
    if isinstance(instrument, PairTask) and texts is not None:
        unmet = sorted(set(texts.systems) - set(frame["left"]) - set(frame["right"]))
        if unmet:
            raise DesignError(
                f"{study.source}: {len(unmet)} of {len(set(texts.systems))} compared texts are in no pair, first "
                f"{unmet[0]!r}; raise calls, or give its group a second text"
            )
    chosen = study.model.facets if study.model is not None and study.model.facets is not None else _LINKED_FACETS
    facets = tuple(f for f in _LINKED_FACETS if f in chosen and len(levels.get(f, ())) > 1)
    # Traits are measured apart, so each must hold together by itself.
    for trait, rows in frame.groupby("trait", dropna=False, sort=False):
        about = f"{study.source}, trait {trait!r}" if isinstance(trait, str) else study.source
        lacking = sorted(set(frame["subject"].dropna()) - set(rows["subject"].dropna()))
        if lacking:
            raise DesignError(
                f"{about}: {len(lacking)} of {frame['subject'].nunique()} subjects are asked nothing about it, first "
                f"{lacking[0]!r}; raise calls"
            )
        check_links(rows, facets, who=about)


def _advice(study: Study, levels: Levels) -> tuple[str, ...]:
    cold = study.temperature == 0 and any(not endpoint.temperature for endpoint in study.endpoints)
    if len(levels["occasion"]) > 1 and cold:
        return ("occasions at temperature 0 show only how far the server repeats itself, not how sure the model is",)
    return ()
