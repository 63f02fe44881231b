"""What a report says of models with more of a subject than one ability: dimensions, halos, ideal categories."""

from __future__ import annotations

import numpy as np

from psymetric.models.space import CORRELATION
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.rounding import plain, rounded
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Text
from psymetric.reporting.wording import noun_of, plural

__all__ = ["dimension_blocks", "left_out", "rater_blocks", "shared_words"]


def dimension_blocks(evidence: Evidence) -> list[Block]:
    """Means, sds and correlations of the dimensions of each fit, and their reliabilities."""
    blocks: list[Block] = []
    for number, whole in enumerate(evidence.wholes):
        parts = evidence.dimensions_of(whole)
        if whole.dimension is None or CORRELATION not in whole.fit.parameters:
            continue
        frame = whole.fit.estimates("population", level=whole.level)
        known = {f"population_mean: {part.dimension}": part.reliability for part in parts}
        frame["reliability"] = [known.get(name, np.nan) for name in frame["level"]]
        frame["level"] = [name.replace("population_", "") for name in frame["level"]]
        shows = [
            Show("level", "of the population", "label"),
            Show("estimate", "estimate", "number", "Means and sds in logits"),
            Show("se", "SE", "number"),
            Show("lower", f"{whole.level:.0%} interval", "range", upper="upper"),
            Show("reliability", "reliability", "number", "Of the measures on the dimension: share that is not error"),
        ]
        suffix = "" if whole.label is None else f"-{number}"
        title = "Dimensions" if whole.label is None else f"Dimensions of {plain(whole.label, 60)}"
        table = make_table(f"dimensions{suffix}", frame, shows, caption="Dimensions: means, sds and correlations")
        noun = plural(noun_of(whole.table, "subject"))
        reading = (
            f"Correlations are those of the {noun} themselves, freed of error; the measures on this page borrow from "
            "one another and correlate more. Infit and outfit of a subject are over the answers to all dimensions."
        )
        blocks += [Heading(title), table, Text((reading,), quiet=True)]
    return blocks


def left_out(what: str, part: Part) -> Text:
    """A sentence in the place of something that this model does not have."""
    name = type(part.fit.model).__name__
    why = (
        "answers depend on several dimensions, and there is no one scale to draw it along"
        if part.dimension is not None
        else f"answers of a {noun_of(part.table, 'subject')} under one {noun_of(part.table, part.hangs_together)} hang "
        "together, and do not add up as independent ones do"
    )
    return Text((f"{what} left out: under {name} {why}.",), quiet=True)


def shared_words(part: Part) -> str:
    """What ratings of a subject share beyond its measure, in a sentence; or nothing."""
    if not part.hangs_together:
        return ""
    subject, within = noun_of(part.table, "subject"), noun_of(part.table, part.hangs_together)
    if part.has_ideal:
        return (
            f"Judges see the ideal category of each {subject} under each {within}, and answers tell of the measure "
            "through it alone: however many judge one piece of work, it counts once."
        )
    name = next(name for name in part.fit.parameters if name.endswith("_sd") and name != "population_sd")
    estimate, lower, upper = part.scalar(name)
    return (
        f"Answers of one {subject} under one {within} share an effect of their own, with an sd of "
        f"{rounded(estimate, 0.05)} logits ({rounded(lower, 0.05)} to {rounded(upper, 0.05)}); intervals allow for it."
    )


def rater_blocks(part: Part, facet: str, number: int) -> list[Block]:
    """How precisely judges see ideal categories, and where their criteria stand; nothing without these."""
    if "precision" not in part.fit.parameters or part.unit_of(facet) != "categories":
        return []
    noun, suffix = noun_of(part.table, facet), "" if part.label is None else f"-{number}"
    ends = Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se")
    precision = part.fit.estimates("precision", level=part.level)
    precision = precision.sort_values("estimate", ascending=False, ignore_index=True)
    criterion = part.fit.estimates("criterion", level=part.level)
    se = Show("se", "SE", "se", se="se")
    return [
        make_table(
            f"precision-{facet}{suffix}",
            precision,
            [
                Show("level", noun, "label"),
                Show("estimate", "precision", "se", "Logits per category; 3 hits an inner category in 64%", se="se"),
                se,
                ends,
            ],
            caption=f"Precision of the {plural(noun)}, from high to low",
        ),
        make_table(
            f"criterion-{facet}{suffix}",
            criterion,
            [
                Show("group", noun, "label"),
                Show("category", "from category", "label"),
                Show("estimate", "criterion", "estimate", "In categories, around the severity", se="se"),
                se,
                ends,
            ],
            caption=f"Criteria of the {plural(noun)}: gaps of one category use the scale evenly",
        ),
    ]
