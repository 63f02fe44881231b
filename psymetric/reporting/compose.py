"""From evidence to a page: the order of the sections, the title, and the record of every number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import pandas as pd

from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.reporting.appendix import appendix_section, command_of
from psymetric.reporting.claims import claims_of
from psymetric.reporting.evidence import Evidence
from psymetric.reporting.key_figures import key_figures
from psymetric.reporting.page import Page
from psymetric.reporting.rounding import joined, plain
from psymetric.reporting.section_facets import effects_section, judges_section
from psymetric.reporting.section_instrument import instrument_section
from psymetric.reporting.section_missing import missing_section
from psymetric.reporting.section_next import next_section
from psymetric.reporting.section_pairs import pairs_section
from psymetric.reporting.section_rankings import rankings_section
from psymetric.reporting.section_sampling import sampling_section
from psymetric.reporting.section_scores import measures_figure, profiles_figure, scores_section
from psymetric.reporting.section_truth import truth_section
from psymetric.reporting.tables import Show, csv_text, data_link, json_rows, make_table, strict
from psymetric.reporting.views import Block, Figure, Heading, Link, Section, Table, Text
from psymetric.reporting.wording import noun_of, numbered, plural, scale_words

__all__ = ["Composed", "compose"]

_LARGEST_LINK = 500_000


@final
@dataclass(frozen=True)
class Composed:
    """A page with the frames and the record that go beside it."""

    page: Page
    scores: pd.DataFrame
    facets: pd.DataFrame
    record: Mapping[str, Any]


def compose(
    evidence: Evidence,
    rows: pd.DataFrame,
    *,
    title: str | None,
    study: object,
    plan: object,
    extra: Mapping[str, pd.DataFrame | str],
) -> Composed:
    """Build every section, then the first screen and the files.

    Args:
        evidence: All parts.
        rows: Every row asked for, with `reason`.
        title: Heading, or None.
        study: The study, or None.
        plan: The plan, or None.
        extra: Further blocks by heading.
    """
    first = evidence.first
    about = _about(study, plan)
    found = [
        scores_section(evidence),
        pairs_section(evidence),
        rankings_section(evidence),
        effects_section(evidence),
        judges_section(evidence),
        instrument_section(evidence),
        truth_section(evidence),
        missing_section(evidence, rows),
        next_section(evidence),
        sampling_section(evidence),
        _extra(extra),
        appendix_section(evidence, command=command_of(first), about=about),
    ]
    sections = [section for section in found if section is not None]
    claims = claims_of(evidence, rows)
    heading = plain(title or getattr(study, "study", None) or _title(evidence), 200)
    measured = _measured(evidence, study)
    frames = {block.key: block.frame for section in sections for block in section.blocks if isinstance(block, Table)}
    scores, facets = frames["scores"], _facets(evidence)
    record = strict(
        {
            "title": heading,
            "measured": measured,
            "claims": [{"text": claim.text, "detail": claim.detail, "strength": claim.strength} for claim in claims],
            "level": evidence.level,
            "about": about,
            "tables": {key: json_rows(frame) for key, frame in frames.items()},
            "fits": [{"label": part.label, **part.fit.to_dict()} for part in evidence.wholes],
        }
    )
    created, version = first.fit.provenance.created, first.fit.provenance.versions.get("psymetric", "")
    page = Page(
        title=heading,
        measured=measured,
        claims=claims,
        cautions=_cautions(evidence),
        measures=_first_figure(evidence),
        key_figures=key_figures(evidence, rows),
        sections=sections,
        downloads=_downloads(scores, facets, record),
        footer=f"Fitted {created} with psymetric {version}. Data {first.fit.table_hash[:12]}.",
    )
    return Composed(page, scores, facets, record)


def _first_figure(evidence: Evidence) -> Figure | None:
    """The measures, or of several traits the first profiles; None where nothing could be measured."""
    if not any(len(part.comparisons.known) for part in evidence.parts):
        return None
    if len(evidence.parts) == 1:
        return measures_figure(evidence.first)
    return profiles_figure(evidence, name="first-profiles", most=4, wide=560)


def _title(evidence: Evidence) -> str:
    part = evidence.first
    what = plural(noun_of(part.table, part.noun))
    judges = [facet for facet in part.table.levels if facet in ("judge", "rater")]
    by = f" by {numbered(len(part.table.levels[judges[0]]), judges[0])}" if judges else ""
    verb = "measured" if isinstance(part.table, ResponseTable) else "compared" if part.is_pairs else "ranked"
    return f"{len(part.table.levels[part.noun]):,} {what} {verb}{by}"


def _measured(evidence: Evidence, study: object) -> str:
    part = evidence.first
    table = part.table
    aside = {part.noun, "left", "right", *getattr(part.fit.model, "contest", ())}
    others = [facet for facet in table.facets if facet not in aside]
    sizes = joined(numbered(len(table.levels[facet]), noun_of(table, facet)) for facet in others)
    what = numbered(len(table.levels[part.noun]), noun_of(table, part.noun))
    instrument = getattr(study, "instrument", None)
    text = f"{what}, {_answers(evidence)}"
    text += f", {sizes}" if sizes else ""
    if isinstance(table, ResponseTable):
        text += f"; scale {scale_words(part.fit.categories)}"
    if len(evidence.parts) > 1:
        how = "measured together" if part.dimension is not None else "each measured by itself"
        text += f"; {numbered(len(evidence.parts), str(evidence.by))}, {how}"
    text += f". Instrument: {plain(instrument, 120)}." if isinstance(instrument, str) else "."
    return text[0].upper() + text[1:]


def _answers(evidence: Evidence) -> str:
    """How many answers, comparisons or rankings there are."""
    table = evidence.first.table
    if isinstance(table, RankingTable):
        return numbered(len(table.rankings.weight), "choice" if table.is_best_worst else "ranking")
    count = sum(each.table.n_rows for each in evidence.wholes)
    return f"{count:,} {'answers' if isinstance(table, ResponseTable) else 'comparisons'}"


def _cautions(evidence: Evidence) -> tuple[str, ...]:
    """Notes of the data and the fit, the first few; the appendix has all."""
    notes = list(dict.fromkeys(note for part in evidence.parts for note in (*part.fit.notes, *part.table.notes)))
    # What the sections on missing answers and categories say anyway.
    said = ("no response", "never used", "The rows with ")
    kept = [note for note in notes if not any(words in note for words in said)]
    shown = [plain(note, 320) for note in kept[:2]]
    more = len(kept) - len(shown)
    return (*shown, *([f"{numbered(more, 'further note')} in the appendix."] if more > 0 else []))


def _about(study: object, plan: object) -> dict[str, Any]:
    """Facts of the study and the plan that they carry."""
    found: dict[str, Any] = {}
    for name in ("study", "instrument", "readout", "hash", "notes"):
        value = getattr(study, name, None)
        if isinstance(value, str) and value:
            found["SHA-256 of the study" if name == "hash" else name] = value
    requests = getattr(plan, "frame", None)
    if isinstance(requests, pd.DataFrame):
        found["requests planned"] = f"{len(requests):,}"
    return found


def _facets(evidence: Evidence) -> pd.DataFrame:
    """Every level of every facet but the measured one, and the steps, in one long frame."""
    frames: list[pd.DataFrame] = []
    for part in evidence.wholes:
        mine = [frame.assign(facet=facet) for facet, frame in part.facet_frames.items()]
        names = {spec.name for spec in part.fit.model.parameters}
        if "step" in names:
            steps = part.fit.estimates("step", level=part.level)
            mine.append(
                steps.assign(
                    facet="step", level=[f"{g} {s}" for g, s in zip(steps["group"], steps["step"], strict=True)]
                )
            )
        mine.append(part.fit.estimates("population", level=part.level).assign(facet="population"))
        frames += [
            frame if part.label is None else frame.assign(**{str(evidence.by): part.label})
            for frame in mine
            if len(frame)
        ]
    frame = (
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["facet", "level", "estimate", "se"])
    )
    first = [
        name
        for name in (evidence.by, "facet", "level", "estimate", "se", "lower", "upper", "n")
        if name in frame.columns
    ]
    return frame[[*first, *(name for name in frame.columns if name not in (*first, "group", "step", "category"))]]


def _downloads(scores: pd.DataFrame, facets: pd.DataFrame, record: Mapping[str, Any]) -> tuple[Link, ...]:
    """The files of `Report.save` inside the page too, where they are small enough."""
    texts = {
        "scores.csv": (csv_text(scores), "text/csv"),
        "facets.csv": (csv_text(facets), "text/csv"),
        "fit.json": (json.dumps(record, ensure_ascii=False, allow_nan=False), "application/json"),
    }
    return tuple(
        data_link(name, text, media, name) for name, (text, media) in texts.items() if len(text) <= _LARGEST_LINK
    )


def _extra(extra: Mapping[str, pd.DataFrame | str]) -> Section | None:
    blocks: list[Block] = []
    for number, (heading, content) in enumerate(extra.items()):
        blocks.append(Heading(plain(heading, 120)))
        if isinstance(content, str):
            blocks.append(Text(tuple(filter(None, content.split("\n\n")))))
            continue
        numeric = {str(name) for name in content.select_dtypes("number").columns}
        shows = [
            Show(str(n), str(n).replace("_", " "), "number" if str(n) in numeric else "text") for n in content.columns
        ]
        blocks.append(make_table(f"extra-{number}", content, shows, caption=plain(heading, 120)))
    return Section("extra", "Further results", tuple(blocks)) if blocks else None
