"""Estimates at the edge of what they can be: slopes that run to infinity, guessing at zero, locations of no slope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from psymetric.models.base import AbstractMeasurementModel, ParamSpec, Table

__all__ = ["boundary_notes", "runaways"]

Array = NDArray[np.float64]

_STEEP, _FLAT = 6.0, 0.05
"""Slopes beyond which an item is all but a step in the ability, and under which it says nothing about it."""
_EDGE = 1e-3
"""Distance of a probability from 0 or 1 at which it might as well be there."""
_FAR = 3.0
"""Prior sds from the prior's centre: where only the prior keeps an estimate from going on."""
_VAGUE = 5.0
"""Standard error in logits of a location that is not known."""
_SHOWN = 6


def runaways(model: AbstractMeasurementModel, table: Table, parameters: Mapping[str, Any]) -> list[str]:
    """Slopes and probabilities whose estimates have reached the edge, in words, with why."""
    found: list[str] = []
    for spec in model.parameters:
        if spec.unit == "slope":
            # Exactly zero is what a key leaves out.
            size = np.abs(np.asarray(parameters[spec.name]))
            edges = {
                "running to infinity": size > _STEEP,
                "next to zero, which leaves its location open": (size < _FLAT) & (size > 0),
            }
        elif spec.unit == "probability":
            value = np.asarray(parameters[spec.name])
            edges = {"at its bound of 0": value < _EDGE, "at its bound of 1": value > 1 - _EDGE}
        else:
            continue
        for why, reached in edges.items():
            places = np.argwhere(reached).tolist()
            numbers = np.asarray(parameters[spec.name])[reached].tolist()
            found += [
                f"{_label(spec, place, table)} ({number:.3g}: {why})"
                for place, number in zip(places, numbers, strict=True)
            ]
    return found


def boundary_notes(
    model: AbstractMeasurementModel,
    table: Table,
    parameters: Mapping[str, Array],
    errors: Mapping[str, Array],
    *,
    penalised: bool,
) -> Iterator[str]:
    """What to say of estimates at the edge, and of those that only their prior keeps from it."""
    if reached := runaways(model, table, parameters):
        mend = "tighter priors" if penalised else "MAP(), whose priors hold such estimates"
        yield (
            f"estimates at the edge of what they can be: {_listed(reached)}. Their standard errors say little; use "
            f"{mend}, or leave the item out"
        )
    vague = [
        f"{_label(spec, place, table)} (se {np.asarray(errors[spec.name])[tuple(place)]:.1f})"
        for spec in model.parameters
        if spec.is_location and model.scale == "subjects"
        for place in np.argwhere(np.asarray(errors[spec.name]) > _VAGUE).tolist()
    ]
    if vague:
        yield f"locations that the data hardly determine, since their items say little about subjects: {_listed(vague)}"
    held = [text for spec in model.parameters for text in _held(spec, table, parameters)] if penalised else []
    if held:
        yield (
            "held by their priors, from which the likelihood alone would take them further, perhaps to infinity: "
            f"{_listed(held)}"
        )


def _held(spec: ParamSpec, table: Table, parameters: Mapping[str, Array]) -> Iterator[str]:
    """Slopes and probabilities that lie far out in their priors."""
    if spec.unit not in ("slope", "probability"):
        return
    value = np.asarray(parameters[spec.name])
    free = {"positive": np.log, "unit": logit}.get(spec.support, np.asarray)(value)
    far = np.abs(free - spec.centre) / spec.prior_sd
    for place in np.argwhere((far > _FAR) & (value != 0)).tolist():
        at = tuple(place)
        yield f"{_label(spec, place, table)} ({value[at]:.3g}, {far[at]:.1f} prior sds from the prior's centre)"


def _label(spec: ParamSpec, place: list[int], table: Table) -> str:
    """`discrimination of item 'i5'`, `item 'i5'`, `slope at step 2 of item 'i5'`."""
    facets = [axis for axis in spec.axes if axis != "step"]
    of = ", ".join(
        f"{axis} {table.levels[axis][code] if axis in table.levels else code + 1!r}"
        for axis, code in zip(facets, place, strict=False)
    )
    at = f" at step {place[-1] + 1}" if "step" in spec.axes else ""
    return of if spec.name in facets else f"{spec.name}{at} of {of}"


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
