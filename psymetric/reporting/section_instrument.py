"""The instrument: Wright map, categories, steps and items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.categories import category_statistics
from psymetric.plots.category_curves import CurvePanel, curve_panel, draw_category_curves
from psymetric.plots.wright_map import Ruler, draw_wright_map, step_ruler
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.instrument_curves import information_blocks, item_blocks
from psymetric.reporting.rounding import joined, plain, rounded
from psymetric.reporting.section_facets import facet_blocks
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Heading, Section, Table, Text, draw
from psymetric.reporting.wording import JUDGES, noun_of, numbered, plural

__all__ = ["instrument_section"]

_PANELS, _STEPS = 6, 40


def instrument_section(evidence: Evidence) -> Section | None:
    """Every facet on one ruler, how the categories work, and the items."""
    blocks: list[Block] = []
    for number, part in enumerate(evidence.wholes):
        if not isinstance(part.table, ResponseTable):
            continue
        if len(evidence.wholes) > 1:
            blocks.append(Heading(plain(part.label, 60)))
        for place, mine in enumerate(evidence.parts):
            if mine.fit is part.fit:
                blocks += [Heading(plain(mine.label, 60))] if mine.dimension is not None else []
                blocks.append(_wright_map(mine, place))
        blocks += _categories(part, part.table, number)
        blocks += information_blocks(part, part.table, number)
        if "item" in part.facets:
            blocks += facet_blocks(part, "item", number)
        blocks += item_blocks(part, part.table, number)
    return Section("instrument", "The instrument", tuple(blocks)) if blocks else None


def _wright_map(part: Part, number: int) -> Figure:
    subjects = part.measures["estimate"].to_numpy(dtype=float)
    rulers = [
        Ruler(
            noun_of(part.table, facet),
            [plain(label, 60) for label in frame["level"]],
            frame["estimate"].to_numpy(dtype=float),
            "severe" if facet in JUDGES else "hard",
        )
        for facet, frame in _on_ruler(part)
        if len(frame) > 1
    ]
    # Steps of items stand on the axis of the dimension that their item measures.
    steps = step_ruler(part.fit) if part.dimension is None else None
    rulers += [steps] if steps is not None and len(steps.labels) <= _STEPS else []
    known = subjects[np.isfinite(subjects)]
    noun = plural(noun_of(part.table, "subject"))
    names = [plain(label, 60) for label in part.measures["level"]]
    text = f"{len(known):,} {noun}, and every level of every facet, on one scale in logits."
    if part.dimension is not None:
        name = plain(part.dimension, 40)
        text = f"{len(known):,} {noun} and the items that measure {name} alone, on its axis in logits."
    elif part.has_ideal:
        text = f"{len(known):,} {noun}, items and steps of the ideal category on one scale; judges are not on it."
    if len(known):
        text += (
            f" The {noun} lie around {rounded(float(known.mean()), 0.1)}: with an average level of every facet, the "
            f"highest answer is {'likelier' if known.mean() > 0 else 'less likely'} than the lowest."
        )
    title = "Wright map: all facets on one logit ruler"
    described = " ".join([text, *(_places(ruler) for ruler in rulers)])
    return draw(
        lambda width: draw_wright_map(Ruler(noun, names, subjects, "high"), rulers, width=width),
        name=f"wright-{number}",
        title=title,
        description=described,
        reading=text,
    )


def _on_ruler(part: Part) -> list[tuple[str, pd.DataFrame]]:
    """The facets whose levels stand on the part's scale, those of a dimension on its axis."""
    found = [(facet, frame) for facet, frame in part.facet_frames.items() if part.unit_of(facet) == "logits"]
    if part.dimension is None:
        return found
    slopes, measured = part.slopes, (part.fit.parameters["discrimination"] != 0).sum(axis=1)
    alone = slopes[(slopes.to_numpy() != 0) & (measured == 1)]
    frame = part.facet_frames["item"]
    frame = frame[frame["level"].isin(alone.index)]
    return [("item", frame.assign(estimate=frame["estimate"] / alone.reindex(frame["level"]).to_numpy()))]


def _places(ruler: Ruler) -> str:
    """A ruler for who cannot see it."""
    first = list(zip(ruler.labels, ruler.places.tolist(), strict=True))[:8]
    return f"{ruler.heading}: {', '.join(f'{label} {rounded(place, 0.1)}' for label, place in first)}."


def _categories(part: Part, responses: ResponseTable, number: int) -> list[Block]:
    """Curves, table and steps."""
    table = category_statistics(part.fit, responses)
    suffix = "" if part.label is None else f"-{number}"
    return [
        Heading("Categories"),
        Text(("Curves are left out: answers follow the ideal category, which the judges' criteria cut.",), quiet=True)
        if part.has_ideal
        else _curves(part, list(dict.fromkeys(table["group"])), number),
        _category_table(table, suffix, "categories" if part.has_ideal else "logits"),
        *_steps(part, suffix),
    ]


def _curves(part: Part, groups: list[Any], number: int) -> Figure:
    panels: list[CurvePanel] = []
    never: list[str] = []
    for group in groups:
        panel = curve_panel(part.fit, group, heading="" if len(groups) == 1 else plain(group, 40))
        if panel.marked:
            never.append(panel.heading or "the scale")
        panels.append(panel)
    shown = sorted(panels, key=lambda panel: -len(panel.marked))[:_PANELS] if len(panels) > _PANELS else panels
    if never:
        text = (
            f"In {joined(never[:4])}{' and others' if len(never) > 4 else ''}, the category drawn in the warning "
            "colour is nowhere the most likely one."
        )
    else:
        text = "Every category is the most likely one somewhere: the scale works as ordered."
    if len(panels) > len(shown):
        text += f" {len(shown)} of {len(panels)} step structures are shown, those with such categories first."
    title = "Category probability curves"
    return draw(
        lambda width: draw_category_curves(shown, width=width, axis="measure relative to the level, logits"),
        name=f"categories-{number}",
        title=title,
        reading=text,
    )


def _category_table(frame: pd.DataFrame, suffix: str, unit: str) -> Table:
    shows = [
        Show("group", "steps of", "label"),
        Show("category", "category", "label"),
        Show("n", "answers", "count"),
        Show("share", "share", "share"),
        Show(
            "average_measure",
            "average measure",
            "number",
            f"Mean of the {unit} behind the answers in this category; should rise",
        ),
        Show("expected_measure", "expected", "number", "What the model expects there"),
        Show("outfit", "outfit", "number", "Mean square; 1 is expected"),
        Show("threshold", "step", "number", f"In {unit}, where this category and the one below are equally likely"),
        Show("flag", "flag", "flag"),
    ]
    if "group" in frame.columns and frame["group"].nunique() < 2:
        shows = shows[1:]
    return make_table(f"categories{suffix}", frame, shows, caption="How the categories were used")


def _steps(part: Part, suffix: str) -> list[Block]:
    frame = part.fit.estimates("step", level=part.level)
    values = frame.groupby("group", sort=False)["estimate"]
    frame["flag"] = ["disordered" if gap < 0 else "" for gap in values.diff().fillna(0.0)]
    several = frame["group"].nunique() > 1
    shows = [
        *([Show("group", noun_of(part.table, getattr(part.fit.model, "steps", "group")), "label")] if several else []),
        Show("category", "step into", "label"),
        Show("estimate", "step", "estimate", "Logits, relative to the level's location", se="se"),
        Show("se", "SE", "se", se="se"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se"),
        Show("flag", "flag", "flag"),
        Show("note", "note", "text"),
    ]
    if not frame["note"].astype(str).any():
        shows.pop()
    disordered = int((frame["flag"] != "").sum())
    if frame["category"].nunique() < 2:
        return [Text(("With two categories there is one step, fixed at zero.",), quiet=True)]
    reading = (
        f"{numbered(disordered, 'step')} {'lies' if disordered == 1 else 'lie'} below the step before: the category "
        "between is never the most likely answer, "
        "often a sign that it is rarely used. That does not disorder the measures."
        if disordered
        else "The steps rise in order."
    )
    return [
        make_table(
            f"steps{suffix}",
            frame,
            shows,
            caption=f"Steps between {'ideal ' if part.has_ideal else ''}categories",
            reading=reading,
        )
    ]
