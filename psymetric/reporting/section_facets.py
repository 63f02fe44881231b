"""What moved the scores, and the judges: severity, fit and what follows from both."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from psymetric.plots.fit_bubbles import HIGH, LOW, Bubbles, draw_fit_bubbles
from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.reporting.bias import bias_blocks, bias_figure
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.key_figures import facet_words
from psymetric.reporting.latent_variables import rater_blocks, shared_words
from psymetric.reporting.rounding import joined, plain, signed, two_digits, typical_se, worded
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Heading, Section, Table, Text, draw
from psymetric.reporting.wording import JUDGES, noun_of, numbered, plural, scale_words

__all__ = ["effects_section", "facet_blocks", "facet_table", "judges_section"]

_ROWS = 24
_BUBBLES = 4
"""Levels from which it is worth seeing all of them beside one another."""


def effects_section(evidence: Evidence) -> Section | None:
    """Variance shares, and every facet that is neither item nor judge."""
    blocks: list[Block] = []
    for number, part in enumerate(evidence.wholes):
        if part.has_ideal:
            blocks += _without_shares(part)
        if part.shares is None or len(part.shares) < 2:
            continue
        if len(evidence.wholes) > 1:
            blocks.append(Heading(plain(part.label, 60)))
        blocks.append(_shares(part, "" if part.label is None else f"-{number}"))
        for facet in part.facets:
            if facet != "item" and facet not in JUDGES:
                blocks += facet_blocks(part, facet, number)
        blocks += _interactions(part, number)
        if words := shared_words(part):
            blocks.append(Text((words,)))
    return Section("effects", "What moved the scores", tuple(blocks)) if blocks else None


def _without_shares(part: Part) -> list[Block]:
    text = (
        "Shares of variance are left out: the severity of judges is in categories, all else in logits, and the two do "
        "not add up."
    )
    return [Text((shared_words(part),)), Text((text,), quiet=True)]


def judges_section(evidence: Evidence) -> Section | None:
    """The facets that judged."""
    blocks: list[Block] = []
    for number, part in enumerate(evidence.wholes):
        mine = [facet for facet in part.facets if facet in JUDGES]
        if mine and len(evidence.wholes) > 1:
            blocks.append(Heading(plain(part.label, 60)))
        for facet in mine:
            blocks += facet_blocks(part, facet, number, headed=len(mine) > 1)
            blocks += rater_blocks(part, facet, number)
            blocks += bias_blocks(part, facet, number)
    return Section("judges", "The judges", tuple(blocks)) if blocks else None


def _shares(part: Part, suffix: str) -> Table:
    frame = part.shares if part.shares is not None else pd.DataFrame()
    frame = frame.assign(facet=[facet_words(part, facet) for facet in frame["facet"]])
    shows = [
        Show("facet", "source", "label"),
        Show("share", "share", "share", "Share of the sum of the variances"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper"),
        Show("variance", "variance", "number", "In squared logits, freed of estimation error", digits=2),
        Show("levels", "levels", "count"),
    ]
    # Subjects come first, then from large to small.
    own, main = frame.iloc[0], frame.iloc[1]
    text = (
        f"The {main['facet']} moves an answer {'more than' if main['share'] > own['share'] else 'less than'} the "
        f"{own['facet']} does. "
        "Scores are corrected for all of these; where every level met every other, they would not even shift a raw "
        "ranking. "
        "The chance in a single answer is not part of the sum."
    )
    return make_table(
        f"variance{suffix}", frame, shows, caption="Where the spread behind an answer comes from", reading=text
    )


def facet_blocks(part: Part, facet: str, number: int, *, headed: bool = True) -> list[Block]:
    """Figure, table and summary of one facet."""
    blocks: list[Block] = [Heading(plural(noun_of(part.table, facet)).capitalize())] if headed else []
    if len(part.facet_frames[facet]) > 1:
        blocks.append(_figure(part, facet, number))
    blocks.append(facet_table(part, facet, number))
    if (facet == "item" or facet in JUDGES) and len(part.facet_frames[facet]) >= _BUBBLES:
        blocks.append(_fit_figure(part, facet, number))
    if facet in part.summaries:
        blocks.append(Text((_summary(part, facet),), quiet=True))
    return blocks


def _figure(part: Part, facet: str, number: int) -> Figure:
    frame = part.facet_frames[facet]
    kept = frame if len(frame) <= _ROWS else pd.concat([frame.head(_ROWS // 2), frame.tail(_ROWS // 2)])
    se = typical_se(frame["se"])
    rows = [
        IntervalRow(
            plain(row["level"], 60),
            row["estimate"],
            row["lower"],
            row["upper"],
            signed(row["estimate"], se),
            marked=_flagged(row),
            alarming=_flagged(row),
        )
        for row in kept.to_dict("records")
    ]
    noun = noun_of(part.table, facet)
    title = (
        f"{'Severity' if facet in JUDGES else 'Effect'} of {numbered(len(frame), noun)} with {part.level:.0%} intervals"
    )
    word = "severity" if facet in JUDGES else "difficulty"
    reading = _reading(part, facet)
    described = f"{title}. " + "; ".join(f"{row.label} {row.value}" for row in rows[:12])
    return draw(
        lambda width: draw_intervals(
            rows,
            width=width,
            axis=f"{word}, {part.unit_of(facet)} (to the right: lower answers)",
            reference=0.0,
            skipped=len(frame) - len(kept),
        ),
        name=f"facet-{number}-{part.facets.index(facet)}",
        title=title,
        description=described,
        reading=reading,
    )


def _fit_figure(part: Part, facet: str, number: int) -> Figure:
    """How noisy each level is, against its measure."""
    frame = part.facet_frames[facet]
    measure, infit, se = (frame[name].to_numpy(dtype=float) for name in ("estimate", "infit", "se"))
    bubbles = Bubbles([plain(label, 60) for label in frame["level"]], measure, infit, se)
    noun, out = noun_of(part.table, facet), [bubbles.labels[place] for place in np.flatnonzero(bubbles.out).tolist()]
    text = (
        f"Every {noun} lies within the conventional bounds of infit, {LOW:g} to {HIGH:g}."
        if not out
        else f"{joined(out[:4])}{' and others' if len(out) > 4 else ''} {'lies' if len(out) == 1 else 'lie'} outside "
        f"the conventional bounds of infit, {LOW:g} to {HIGH:g}."
    )
    word = "severity" if facet in JUDGES else "difficulty"
    return draw(
        lambda width: draw_fit_bubbles(bubbles, width=width, axis=f"{word}, {part.unit_of(facet)}"),
        name=f"fit-{number}-{part.facets.index(facet)}",
        title=f"Infit of {numbered(len(frame), noun)} against {word}",
        reading=f"{text} A bubble reaches one standard error up and down.",
    )


def _flagged(row: Mapping[Hashable, Any]) -> bool:
    flag = row.get("flag")
    return isinstance(flag, str) and flag != ""


def _reading(part: Part, facet: str) -> str:
    """What to see: who stands at the ends, how far apart, and what that is worth on the rating scale."""
    frame = part.facet_frames[facet]
    top, bottom = frame.iloc[0], frame.iloc[-1]
    gap, se = float(top["estimate"] - bottom["estimate"]), float(np.hypot(top["se"], bottom["se"]))
    noun = noun_of(part.table, facet)
    if not np.isfinite(se) or gap < 1.96 * se:
        text = f"No difference between these {plural(noun)} stands out from the noise."
    else:
        words = ("most severe", "most lenient") if facet in JUDGES else ("hardest", "easiest")
        text = (
            f"{plain(top['level'], 40)} is the {words[0]}, {plain(bottom['level'], 40)} the {words[1]}: "
            f"{worded(gap, se)} {part.unit_of(facet)} apart."
        )
        if np.isfinite(top["fair_average"]) and np.isfinite(bottom["fair_average"]):
            error = typical_se([top["fair_se"], bottom["fair_se"]])
            text += (
                f" An average {noun_of(part.table, 'subject')} is expected to get "
                f"{worded(top['fair_average'], error)} with the one "
                f"and {worded(bottom['fair_average'], error)} with the other on the "
                f"{scale_words(part.table.categories)} scale."
            )
    flagged = frame[frame["flag"].fillna("") != ""] if "flag" in frame.columns else frame.iloc[:0]
    if 0 < len(flagged) <= 4:
        text += (
            f" Open dots: {joined(plain(level, 30) for level in flagged['level'])} "
            f"{'fits' if len(flagged) == 1 else 'fit'} the model poorly."
        )
    elif len(flagged):
        text += f" Open dots: {numbered(len(flagged), noun)} fit the model poorly."
    return text


def facet_table(part: Part, facet: str, number: int) -> Table:
    """Estimates and fit of every level."""
    frame = part.facet_frames[facet]
    noun = noun_of(part.table, facet)
    word = "severity" if facet in JUDGES else "difficulty"
    shows = [
        Show("level", noun, "label"),
        Show("estimate", word, "estimate", f"In {part.unit_of(facet)}{_origin(part, facet)}", se="se"),
        Show("se", "SE", "se", f"Standard error in {part.unit_of(facet)}", se="se"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se"),
        Show(
            "fair_average", "fair average", "se", "Expected answer with this level for an average subject", se="fair_se"
        ),
        Show("n", "answers", "count"),
        Show("infit", "infit", "number", "Mean square weighted by information; 1 is expected, above 1 noisier"),
        Show("infit_z", "z", "number", "Infit as a standard normal deviate", digits=1),
        Show("outfit", "outfit", "number", "Mean square of standardised residuals; 1 is expected"),
        Show("point_measure", "point-measure r", "number", "Correlation of its answers with the measures"),
        Show("flag", "flag", "flag"),
        Show("note", "note", "text"),
    ]
    if not frame["note"].astype(str).any():
        shows.pop()
    suffix = "" if part.label is None else f"-{number}"
    return make_table(
        f"{facet}{suffix}",
        frame,
        shows,
        caption=f"{plural(noun).capitalize()}, from {'severe to lenient' if facet in JUDGES else 'hard to easy'}",
    )


def _origin(part: Part, facet: str) -> str:
    return "; the facet sums to zero" if part.fit.spec(facet).identification == "sum_to_zero" else ""


def _summary(part: Part, facet: str) -> str:
    found = part.summaries[facet]
    noun = plural(noun_of(part.table, facet))
    test = found.fixed
    verdict = "differ by more than error" if test.p < 0.05 else "cannot be shown to differ"
    size = "p < .001" if test.p < 0.001 else f"p = {test.p:.3f}".replace("0.", ".")
    text = (
        f"The {noun} {verdict} (χ² = {test.statistic:,.1f} on {test.df:g} degrees of freedom, {size}); their spread "
        "freed of error is "
        f"{found.population.true_sd:.2f} {part.unit_of(facet)}, "
        f"separation {found.population.separation:.1f}, reliability "
        f"{two_digits(found.population.reliability)}."
    )
    if found.agreement is not None:
        text += (
            f" Two of them gave the same answer to the same thing in {found.agreement.observed_share:.0%} of cases; "
            "the model expects "
            f"{found.agreement.expected_share:.0%}."
        )
    return text


def _interactions(part: Part, number: int) -> list[Block]:
    """Joint departures the model estimated, the largest first."""
    blocks: list[Block] = []
    for spec in part.fit.model.parameters:
        if ":" not in spec.name or spec.name not in part.fit.parameters:
            continue
        first, second = spec.axes
        frame = part.fit.estimates(spec.name, level=part.level)
        frame = frame.assign(z=frame["estimate"] / frame["se"].where(frame["se"] > 0))
        frame = frame.sort_values("z", key=lambda z: -z.abs(), ignore_index=True)
        shows = [
            Show(first, noun_of(part.table, first), "label"),
            Show(second, noun_of(part.table, second), "label"),
            Show("estimate", "departure", "estimate", "In logits; positive: harder than both alone say", se="se"),
            Show("se", "SE", "se", se="se"),
            Show("z", "z", "number", digits=1),
        ]
        words = facet_words(part, spec.name)
        strong = int((frame["z"].abs() > 2).sum())
        reading = (
            f"{strong} of {len(frame):,} departures exceed twice their error; {0.046 * len(frame):.0f} would by "
            "chance alone."
        )
        key = f"{first}-by-{second}" + ("" if part.label is None else f"-{number}")
        blocks += [
            Heading(words.capitalize()),
            bias_figure(
                frame,
                (first, second),
                (frame["z"].abs() > 2).to_numpy(bool),
                name=f"departures-{number}-{first}-{second}",
                reading=reading,
                strength="z",
            ),
            make_table(key, frame, shows, caption=f"{words}: joint departures", most=60),
        ]
    return blocks
