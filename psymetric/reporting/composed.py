"""What all pages have in common: the record of every number, downloads, further blocks, facts of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import pandas as pd

from psymetric.reporting.claims import Claim
from psymetric.reporting.fitted import Fitted
from psymetric.reporting.page import Page
from psymetric.reporting.rounding import plain
from psymetric.reporting.tables import Show, csv_text, file_links, json_rows, json_text, make_table, strict
from psymetric.reporting.views import Block, Figure, Heading, KeyFigure, Section, Table, Text
from psymetric.reporting.wording import numbered

__all__ = ["Composed", "about_study", "assemble", "extra_section"]

_SAID: Final = ("no response", "never used", "The rows with ", "no gold labels: ", "less often than chance")
"""Of notes: what claims and sections say anyway."""


@final
@dataclass(frozen=True)
class Composed:
    """A page with the frames and the record that go beside it."""

    page: Page
    scores: pd.DataFrame
    facets: pd.DataFrame
    record: Mapping[str, Any]


def assemble(
    parts: Sequence[Fitted],
    *,
    heading: str,
    measured: str,
    claims: Sequence[Claim],
    measures: Figure | None,
    key_figures: Sequence[KeyFigure],
    sections: Sequence[Section],
    facets: pd.DataFrame,
    about: Mapping[str, Any],
) -> Composed:
    """Put a page together from what was written for it.

    Args:
        parts: One for every fit.
        heading: Title of the page.
        measured: What was measured and how.
        claims: Sentences of the first screen.
        measures: The first figure.
        key_figures: The figures below.
        sections: All others, among them a table with the key "scores".
        facets: Every level of every facet but the measured one.
        about: Facts about the study.
    """
    frames = {block.key: block.frame for section in sections for block in section.blocks if isinstance(block, Table)}
    fit = parts[0].fit
    record = strict(
        {
            "title": heading,
            "measured": measured,
            "claims": [{"text": claim.text, "detail": claim.detail, "strength": claim.strength} for claim in claims],
            "level": parts[0].level,
            "about": about,
            "tables": {key: json_rows(frame) for key, frame in frames.items()},
            "fits": [{"label": part.label, **part.fit.to_dict()} for part in parts],
        }
    )
    page = Page(
        title=heading,
        measured=measured,
        claims=claims,
        cautions=_cautions(parts),
        measures=measures,
        key_figures=key_figures,
        sections=sections,
        downloads=file_links(
            {
                "scores.csv": csv_text(frames["scores"]),
                "facets.csv": csv_text(facets),
                "fit.json": json_text(record),
            }
        ),
        footer=f"Fitted {fit.provenance.created} with psymetric {fit.provenance.versions.get('psymetric', '')}. "
        f"Data {fit.table_hash[:12]}.",
    )
    return Composed(page, frames["scores"], facets, record)


def _cautions(parts: Sequence[Fitted]) -> tuple[str, ...]:
    """Notes of the data and the fit, the first few; the appendix has all."""
    notes = list(dict.fromkeys(note for part in parts for note in (*part.fit.notes, *part.table.notes)))
    kept = [note for note in notes if not any(words in note for words in _SAID)]
    shown = [plain(note, 320) for note in kept[:2]]
    more = len(kept) - len(shown)
    return (*shown, *([f"{numbered(more, 'further note')} in the appendix."] if more > 0 else []))


def about_study(study: object, plan: object) -> dict[str, Any]:
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


def extra_section(extra: Mapping[str, pd.DataFrame | str]) -> Section | None:
    """The blocks that the caller adds."""
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
