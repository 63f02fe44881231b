"""From evidence to a page: the order of the sections, the title, and the record of every number."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.reporting.appendix import appendix_section
from psymetric.reporting.claims import claims_of
from psymetric.reporting.composed import Composed, about_study, assemble, extra_section
from psymetric.reporting.evidence import Evidence
from psymetric.reporting.key_figures import key_figures
from psymetric.reporting.methods import methods_of
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
from psymetric.reporting.views import Figure
from psymetric.reporting.wording import noun_of, numbered, plural, scale_words

__all__ = ["compose"]


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
    about = about_study(study, plan)
    sections = [
        scores_section(evidence),
        pairs_section(evidence),
        rankings_section(evidence),
        effects_section(evidence),
        judges_section(evidence),
        instrument_section(evidence),
        truth_section(evidence),
        missing_section(evidence.first.table, rows),
        next_section(evidence),
        sampling_section(evidence.parts),
        extra_section(extra),
        appendix_section(evidence.wholes, methods_of(evidence), by=evidence.by, about=about),
    ]
    return assemble(
        evidence.wholes,
        heading=plain(title or getattr(study, "study", None) or _title(evidence), 200),
        measured=_measured(evidence, study),
        claims=claims_of(evidence, rows),
        measures=_first_figure(evidence),
        key_figures=key_figures(evidence, rows),
        sections=[section for section in sections if section is not None],
        facets=_facets(evidence),
        about=about,
    )


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
