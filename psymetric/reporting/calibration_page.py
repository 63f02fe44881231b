"""A page on what a judge's verdicts are worth once people have labelled some of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import pandas as pd

from psymetric.calibration.alternative_annotator import AlternativeAnnotatorTest
from psymetric.calibration.calibrated import CalibratedEstimate
from psymetric.calibration.human_ceiling import HumanCeiling
from psymetric.calibration.quality import CalibrationQuality
from psymetric.calibration.reliability_diagram import ReliabilityDiagram
from psymetric.errors import DataError
from psymetric.reporting.calibration_claims import calibration_claims, calibration_figure, calibration_numbers
from psymetric.reporting.calibration_evidence import CalibrationEvidence
from psymetric.reporting.calibration_methods import calibration_appendix
from psymetric.reporting.claims import Claim
from psymetric.reporting.composed import extra_section
from psymetric.reporting.files import save_all
from psymetric.reporting.page import Page, in_short, render
from psymetric.reporting.rounding import plain
from psymetric.reporting.section_estimates import estimates_section, labels_section
from psymetric.reporting.section_judge_errors import errors_section, sample_section
from psymetric.reporting.section_people import people_section
from psymetric.reporting.tables import csv_text, file_links, json_rows, json_text, strict
from psymetric.reporting.views import Section, Table
from psymetric.reporting.wording import numbered

__all__ = ["CalibrationReport", "calibration_report"]


@final
@dataclass(frozen=True, eq=False, repr=False)
class CalibrationReport:
    """A finished page.

    Attributes:
        title: Heading of the page.
        html: The whole page; it asks for nothing else.
        estimates: Every estimate, one row each.
        send: Rows to send to a person, or None.
        record: Every number of the page as JSON-able values.
        claims: The sentences of the first screen.
    """

    title: str
    html: str
    estimates: pd.DataFrame
    send: pd.DataFrame | None
    record: Mapping[str, Any]
    claims: tuple[str, ...]

    def save(self, path: str | Path) -> Path:
        """Write the page, and beside it `estimates.csv`, `calibration.json` and, of rows to send, `next_labels.csv`.

        Args:
            path: Of the page, ending in `.html`; or a folder, in which it is called `calibration.html`.

        Returns:
            Path of the page.

        Raises:
            DataError: A file cannot be written.
        """
        texts = _beside(self.estimates, self.send, self.record)
        return save_all(self.html, texts, Path(path), name="calibration.html")

    def __repr__(self) -> str:
        return f"CalibrationReport({self.title!r}, {len(self.html) / 1e6:.1f} MB)"

    def _repr_html_(self) -> str:
        return in_short(self.title, self.claims)


def calibration_report(
    found: CalibratedEstimate,
    *,
    title: str | None = None,
    quality: Mapping[str, CalibrationQuality] | None = None,
    reliability: Mapping[str, ReliabilityDiagram] | None = None,
    people: AlternativeAnnotatorTest | None = None,
    ceiling: HumanCeiling | None = None,
    send: pd.DataFrame | None = None,
    command: str | None = None,
    extra: Mapping[str, pd.DataFrame | str] | None = None,
) -> CalibrationReport:
    """A page on calibrated estimates: what can be said, how the judge errs, what to ask next, and how to repeat it.

    Args:
        found: From `calibrated_estimate`; its rows are the data of the page.
        title: Heading; by default made from what was estimated.
        quality: Results of `calibration_quality` by the name of the probabilities, such as `{"raw": …, "mapped": …}`.
            Where neither this nor `reliability` is given and verdicts are probabilities of two-valued labels, those of
            the verdicts are shown.
        reliability: Results of `reliability_diagram`, in the same way.
        people: What `alternative_annotator_test` said, where several people labelled the same things.
        ceiling: What `human_ceiling` said.
        send: Rows to send to a person next, such as those chosen by `next_labels` with their `probability`.
        command: The command that makes the page again; by default Python.
        extra: Further blocks at the end, heading -> frame or text.

    Returns:
        The page; `save` writes it.

    Raises:
        DataError: `found` is no calibrated estimate, or `send` has no rows.
    """
    if not isinstance(found, CalibratedEstimate):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(
            f"calibration_report: found is a {type(found).__name__}; pass what psymetric.calibrated_estimate returned"
        )
    if send is not None and send.empty:
        raise DataError("calibration_report: send has no rows; pass the rows to label, or leave it out")
    evidence = CalibrationEvidence(found, quality or {}, reliability or {}, people, ceiling, send)
    sections = [
        estimates_section(evidence),
        errors_section(evidence),
        sample_section(evidence),
        people_section(evidence),
        labels_section(evidence),
        extra_section(extra or {}),
        calibration_appendix(evidence, command),
    ]
    return _finished(evidence, plain(title or _title(evidence), 200), [one for one in sections if one is not None])


def _finished(evidence: CalibrationEvidence, title: str, sections: list[Section]) -> CalibrationReport:
    found, claims = evidence.found, calibration_claims(evidence)
    record = _record(evidence, title, claims, sections)
    origin = found.provenance
    page = Page(
        title=title,
        measured=_measured(evidence),
        claims=claims,
        cautions=tuple(plain(note, 320) for note in found.notes),
        measures=calibration_figure(evidence),
        key_figures=calibration_numbers(evidence),
        sections=sections,
        downloads=file_links(_beside(found.frame, evidence.send, record)),
        footer=f"Computed {origin.created} with psymetric {origin.versions.get('psymetric', '')}. "
        f"Data {origin.source[:12]}.",
    )
    whole = tuple(claim.whole for claim in claims)
    return CalibrationReport(title, render(page), found.frame, evidence.send, record, whole)


def _record(
    evidence: CalibrationEvidence, title: str, claims: list[Claim], sections: list[Section]
) -> Mapping[str, Any]:
    tables = {block.key: block.frame for section in sections for block in section.blocks if isinstance(block, Table)}
    return strict(
        {
            "title": title,
            "claims": [{"text": claim.text, "detail": claim.detail, "strength": claim.strength} for claim in claims],
            "level": evidence.level,
            "notes": evidence.found.notes,
            "tables": {key: json_rows(frame) for key, frame in tables.items()},
            "provenance": evidence.found.provenance.to_dict(),
        }
    )


def _beside(estimates: pd.DataFrame, send: pd.DataFrame | None, record: Mapping[str, Any]) -> dict[str, str]:
    """The files that stand beside the page."""
    texts = {"estimates.csv": csv_text(estimates), "calibration.json": json_text(record, indent=1)}
    return texts if send is None else texts | {"next_labels.csv": csv_text(send)}


def _title(evidence: CalibrationEvidence) -> str:
    return f"{plain(evidence.column('judge'), 60)} calibrated to {plain(evidence.column('label'), 60)}"


def _measured(evidence: CalibrationEvidence) -> str:
    estimand = {"mean": "Mean", "difference": "Difference", "win_rate": "Win rate"}[evidence.found.estimand]
    over = " by ".join(filter(None, (estimand, *(plain(name, 40) for name in evidence.groups))))
    rows = evidence.rows
    sizes = f"{numbered(len(rows.judge), 'verdict')} ({plain(evidence.column('judge'), 40)})"
    return (
        f"{over} from {sizes} and {numbered(int(rows.known.sum()), 'label')} ({plain(evidence.column('label'), 40)})."
    )
