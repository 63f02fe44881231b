"""The page of a latent-truth fit: the order of its sections, its title, and its files."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from psymetric.reporting.appendix import appendix_section
from psymetric.reporting.composed import Composed, about_study, assemble, extra_section
from psymetric.reporting.key_figures import missing_figure
from psymetric.reporting.rounding import joined, plain
from psymetric.reporting.section_gold import gold_section
from psymetric.reporting.section_label_judges import accuracy_figure, information_figure, label_judges_section
from psymetric.reporting.section_missing import missing_section
from psymetric.reporting.section_sampling import sampling_section
from psymetric.reporting.section_true_categories import decided_figure, true_categories_section
from psymetric.reporting.truth_claims import truth_claims
from psymetric.reporting.truth_evidence import TruthEvidence
from psymetric.reporting.truth_methods import truth_methods
from psymetric.reporting.wording import numbered, plural

__all__ = ["compose_truth"]


def compose_truth(
    evidence: TruthEvidence,
    rows: pd.DataFrame,
    *,
    title: str | None,
    study: object,
    plan: object,
    extra: Mapping[str, pd.DataFrame | str],
) -> Composed:
    """Build every section, then the first screen and the files.

    Args:
        evidence: The fit and what follows from it.
        rows: Every row asked for, with `reason`.
        title: Heading, or None.
        study: The study, or None.
        plan: The plan, or None.
        extra: Further blocks by heading.
    """
    about = about_study(study, plan)
    sections = [
        true_categories_section(evidence),
        label_judges_section(evidence),
        gold_section(evidence),
        missing_section(evidence.table, rows),
        sampling_section([evidence]),
        extra_section(extra),
        appendix_section([evidence], truth_methods(evidence), about=about),
    ]
    return assemble(
        [evidence],
        heading=plain(title or getattr(study, "study", None) or _title(evidence), 200),
        measured=_measured(evidence),
        claims=truth_claims(evidence, rows),
        measures=accuracy_figure(evidence),
        key_figures=(decided_figure(evidence), information_figure(evidence), missing_figure(rows)),
        sections=[section for section in sections if section is not None],
        facets=_facets(evidence),
        about=about,
    )


def _title(evidence: TruthEvidence) -> str:
    judges = numbered(len(evidence.names), evidence.judge)
    return f"{len(evidence.subjects):,} {plural(evidence.noun)} labelled by {judges}"


def _measured(evidence: TruthEvidence) -> str:
    labels = numbered(round(float(evidence.labels.weight.sum())), "label")
    names = [plain(label, 24) for label in evidence.fit.categories]
    scale = joined(names, last="or") if len(names) <= 6 else f"{len(names)} categories"
    gold = int((evidence.labels.known >= 0).sum())
    sizes = (numbered(len(evidence.subjects), evidence.noun), numbered(len(evidence.names), evidence.judge), labels)
    text = f"{', '.join(sizes)}: {scale}. The truth is not observed"
    return f"{text} but for {gold:,} with gold." if gold else f"{text}."


def _facets(evidence: TruthEvidence) -> pd.DataFrame:
    """Judges, prevalence and confusion in one long frame."""
    judges = evidence.judges.rename(
        columns={
            f"accuracy{end}": name
            for end, name in (("", "estimate"), ("_se", "se"), ("_lower", "lower"), ("_upper", "upper"))
        }
    )
    prevalence = evidence.prevalence.rename(columns={"category": "level"})
    frame = pd.concat(
        [
            judges.assign(facet="judge"),
            prevalence.assign(facet="prevalence"),
            evidence.confusion_frame.assign(facet="confusion"),
        ],
        ignore_index=True,
    )
    first = ["facet", "level", "truth", "label", "estimate", "se", "lower", "upper", "n"]
    return frame[[*first, *(name for name in frame.columns if name not in first)]]
