"""Where several people labelled the same things: whether the judge may stand in for one, and how near people come."""

from __future__ import annotations

import pandas as pd

from psymetric.calibration.alternative_annotator import AlternativeAnnotatorTest
from psymetric.calibration.human_ceiling import HumanCeiling
from psymetric.plots.disagreement import plot_human_ceiling
from psymetric.reporting.calibration_evidence import CalibrationEvidence
from psymetric.reporting.rounding import plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Text, draw
from psymetric.reporting.wording import numbered

__all__ = ["people_section"]

_STATISTIC = "total variation"


def people_section(evidence: CalibrationEvidence) -> Section | None:
    """The alternative-annotator test and the human ceiling; None without either."""
    blocks: list[Block] = []
    if evidence.people is not None:
        blocks += _replacing(evidence.people)
    if evidence.ceiling is not None:
        blocks += _ceiling(evidence.ceiling)
    lead = "Labels are taken for right above. Here people are held against one another, and the judge against people."
    return Section("people", "The judge and people", tuple(blocks), lead) if blocks else None


def _replacing(found: AlternativeAnnotatorTest) -> list[Block]:
    interval = f"{found.level:.0%} interval"
    judges = [
        Show("judge", "judge", "label"),
        Show("group", "group", "text"),
        Show("n_people", "people", "count"),
        Show("n_units", "units", "count"),
        Show("omega", "winning rate", "share", "Share of people against whom the judge wins; half pass."),
        Show("omega_lower", interval, "range", upper="omega_upper"),
        Show("p_pass", "passes again", "probability", "How often another sample would pass."),
        Show("rho", "advantage", "number", "Mean share of units where the judge is as near as the person, or nearer."),
        Show("rho_lower", interval, "range", upper="rho_upper"),
        Show("epsilon_needed", "epsilon needed", "number", "The least that would pass.", digits=3),
    ]
    people = [
        Show("person", "person", "label"),
        Show("judge", "judge", "text"),
        Show("group", "group", "text"),
        Show("n_units", "units", "count"),
        Show("judge_share", "judge as near", "share"),
        Show("person_share", "person as near", "share"),
        Show("difference", "difference", "number", "Person less judge.", digits=3),
        Show("lower", interval, "range", upper="upper"),
        Show("p_adjusted", "p", "p", f"One-sided, of a difference of {found.epsilon:g} or more; adjusted."),
        Show("result", "", "text"),
    ]
    tested = found.people.assign(result=["judge wins" if wins else "" for wins in found.people["wins"]])
    text = (
        f"Each person is left out in turn; the judge wins where it is not {found.epsilon:g} or more further from the "
        f"others ({found.metric} labels, false discovery rate {found.rate:g})."
    )
    return [
        Heading("May the judge stand in for a person?"),
        Text((text,)),
        make_table("alternative_annotator", found.frame, judges, caption="Judges in place of a person"),
        make_table("left_out", tested, people, caption="Each person against the judge"),
        *_notes(found.notes),
    ]


def _ceiling(found: HumanCeiling) -> list[Block]:
    panel = numbered(found.panel, "person")
    blocks: list[Block] = [Heading("How near do people come to people?")]
    own = found.frame[(found.frame["statistic"] == _STATISTIC) & found.frame["ceiling"].notna()]
    if len(own):
        text = (
            f"Distance from the other people's labels ({_STATISTIC}), of {panel} more and of the judge; smaller is "
            "nearer. The judge is in the warning colour where it is further than people beyond chance."
        )
        figure = draw(
            lambda width: plot_human_ceiling(found, statistic=_STATISTIC, width=width),
            name="ceiling",
            title="The judge beside the human ceiling",
            reading=text,
        )
        blocks.append(figure)
    interval = f"{found.level:.0%} interval"
    shows = [
        Show("rater", "who", "label"),
        Show("group", "group", "text"),
        Show("statistic", "statistic", "text"),
        Show("value", "value", "number", digits=3),
        Show("lower", interval, "range", upper="upper"),
        Show("shortfall", "short of people by", "number", "Below zero the judge is nearer than people are.", digits=3),
        Show("shortfall_lower", f"its {interval}", "range", upper="shortfall_upper"),
        Show("n_units", "units", "count"),
    ]
    frame = found.frame[found.frame["value"].notna()]
    raters = [f"{panel} more" if pd.isna(judge) else plain(judge, 40) for judge in frame["judge"]]
    caption = "People and judges against the other people"
    return [
        *blocks,
        make_table("human_ceiling", frame.assign(rater=raters), shows, caption=caption),
        *_notes(found.notes),
    ]


def _notes(notes: tuple[str, ...]) -> list[Block]:
    return [Text(tuple(plain(note, 600) for note in notes), listed=True, quiet=True)] if notes else []
