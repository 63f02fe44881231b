"""The truth of a world as a table, centred as a model's estimates are, to lay beside them.

Each facet sums to zero over the levels given, and what the centring takes away goes to the subjects, whose origin is
then that of the fit. Judges who prefer options by their place shift whole orders: with the original and the reversed
order that is exactly a severity of the order, and is counted as one; with other orders it is not a severity at all, and
the facet `order` is then left out. A taste for labels is never one and enters no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.design.levels import items_of
from psymetric.design.rendering import options_of
from psymetric.instruments.schema import Inventory, PairTask
from psymetric.simulation.truth import SHIFTING_FACETS, World, trait_of

__all__ = ["truth_frame"]

Levels = Mapping[str, Sequence[Any]]


def truth_frame(world: World, *, levels: Levels | None = None) -> pd.DataFrame:
    """True values in logits, in the shape of `Fit.estimates`.

    Args:
        world: The truth.
        levels: Levels by facet to which it is confined, such as those of a table; facets that it leaves out are taken
            as the world has them. Only "order" needs it: without it the order is taken to be the original one.

    Returns:
        Columns `facet`, `level`, `step` (1..K-1 in rows of facet "step", missing elsewhere), `true`, and `trait`
        (missing where items have none). Facets: "subject", "item", "judge", "template", "order", "label", "replacement"
        and "step"; for a pair task "item" (the worths of what is compared), "position" and "tie". Every trait has rows
        of its own. A facet with one level is there with the value 0.
    """
    wanted = {facet: [str(label) for label in labels] for facet, labels in (levels or {}).items()}
    rows = _pair_rows(world, wanted) if isinstance(world.instrument, PairTask) else _response_rows(world, wanted)
    frame = pd.DataFrame(rows, columns=["facet", "level", "step", "true", "trait"])
    return frame.astype({"facet": "str", "level": "str", "step": "Int64", "true": "float64", "trait": "str"})


def _response_rows(world: World, wanted: Mapping[str, list[str]]) -> list[tuple[Any, ...]]:
    traits = dict.fromkeys(trait_of(world.instrument, item) for item in items_of(world.instrument))
    return [row for trait in traits for row in _trait_rows(world, trait, wanted)]


def _trait_rows(world: World, trait: str, wanted: Mapping[str, list[str]]) -> list[tuple[Any, ...]]:
    of_trait = [item for item in world.items if trait_of(world.instrument, item.name) == trait]
    items = _kept(of_trait, wanted.get("item"))
    judges = _kept(world.judges, wanted.get("judge"))
    orders = wanted.get("order") or list(world.shifts.get("order", ())) or ["original"]
    pull, exact = _option_pull(world, [item.name for item in items], [judge.name for judge in judges], orders)
    severity = np.array([judge.severity for judge in judges])
    difficulty = np.array([item.difficulty for item in items])
    # Axes: judge, item, order. Main effects are means over the other axes, which balanced designs weigh equally.
    places = severity[:, None, None] + difficulty[:, None] + pull
    shifts = {f: _levels_of(world, f, wanted) for f in SHIFTING_FACETS if f != "order"}
    order_shift = np.array([world.shift("order", order) for order in orders])
    means = {f: float(np.mean([world.shift(f, level) for level in names])) for f, names in shifts.items() if names}
    moved = float(order_shift.mean()) + sum(means.values())
    by_judge = dict(zip([judge.name for judge in judges], places.mean(axis=(1, 2)).tolist(), strict=True))
    inventory, grand = isinstance(world.instrument, Inventory), float(places.mean())
    label = trait or None
    rows: list[tuple[Any, ...]] = []
    for subject in _kept(world.subjects, wanted.get("subject")):
        origin = by_judge.get(subject.model, grand) if inventory else grand
        rows.append(("subject", subject.name, None, subject.measures[trait] - origin - moved, label))
    rows += _effects("item", [item.name for item in items], places.mean(axis=(0, 2)), label)
    if not inventory:
        rows += _effects("judge", [judge.name for judge in judges], places.mean(axis=(1, 2)), label)
    if exact:
        rows += _effects("order", orders, order_shift + places.mean(axis=(0, 1)), label)
    for facet, names in shifts.items():
        rows += _effects(facet, names, np.array([world.shift(facet, level) for level in names]), label)
    rows += [("step", item.name, k, step, label) for item in items for k, step in enumerate(item.steps, 1)]
    return rows


def _effects(facet: str, names: Sequence[str], values: NDArray[np.float64], trait: str | None) -> list[tuple[Any, ...]]:
    centred = values - values.mean() if len(values) else values
    return [(facet, name, None, value, trait) for name, value in zip(names, centred.tolist(), strict=True)]


def _option_pull(
    world: World, items: list[str], judges: list[str], orders: list[str]
) -> tuple[NDArray[np.float64], bool]:
    """Severity that a taste for early options gives each judge, item and order; whether that is all it does."""
    steps = world.instrument.response.n_categories - 1
    direction = {"original": 1.0, "reversed": -1.0}
    taste = {judge.name: judge.option_position / judge.discrimination for judge in world.judges}
    keys = {item.id: item.key for item in world.instrument.items} if isinstance(world.instrument, Inventory) else {}
    pull = np.array(
        [[[taste[j] * keys.get(i, 1) * direction.get(o, 0.0) / steps for o in orders] for i in items] for j in judges]
    ).reshape(len(judges), len(items), len(orders))
    return pull, set(orders) <= direction.keys() or not any(taste[name] for name in judges)


def _pair_rows(world: World, wanted: Mapping[str, list[str]]) -> list[tuple[Any, ...]]:
    subjects = _kept(world.subjects, wanted.get("item"))
    worth = np.array([subject.measures[""] for subject in subjects])
    rows = _effects("item", [subject.name for subject in subjects], worth, None)
    judges = _kept(world.judges, wanted.get("judge"))
    taste = float(np.mean([judge.option_position for judge in judges]))
    orders = wanted.get("order") or ["original"]
    if taste and orders != ["original"]:
        return rows
    size = len(options_of(world.instrument)[0])
    early = [taste * (1 - place / (size - 1)) for place in range(size)]
    first = float(np.mean([judge.first_position for judge in judges]))
    rows.append(("position", "position", None, first + early[0] - early[1], None))
    if size == 3:
        rows.append(("tie", "tie", None, world.tie + early[2] - early[1], None))
    return rows


def _kept(parts: Sequence[Any], names: Sequence[str] | None) -> list[Any]:
    return [part for part in parts if names is None or part.name in set(names)]


def _levels_of(world: World, facet: str, wanted: Mapping[str, list[str]]) -> list[str]:
    return wanted.get(facet) or list(world.shifts.get(facet, ()))
