"""The page of a simplex judge: the order of its sections, its title, its methods and its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from psymetric.plots.confusion import ConfusionPanel, draw_confusions
from psymetric.reporting.appendix import appendix_section
from psymetric.reporting.composed import Composed, about_study, assemble, extra_section
from psymetric.reporting.key_figures import missing_figure
from psymetric.reporting.rounding import plain
from psymetric.reporting.section_candidates import candidates_figure, candidates_section, order_figure
from psymetric.reporting.section_gold import gold_section
from psymetric.reporting.section_identified import identified_section, sensitivity_section
from psymetric.reporting.section_missing import missing_section
from psymetric.reporting.section_sampling import sampling_section
from psymetric.reporting.simplex_claims import simplex_claims
from psymetric.reporting.simplex_evidence import SimplexEvidence
from psymetric.reporting.simplex_methods import simplex_methods
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.truth_evidence import TruthEvidence
from psymetric.reporting.views import Figure, KeyFigure, Section, Table, draw
from psymetric.reporting.wording import numbered, plural, scale_words

__all__ = ["compose_simplex"]

_PANELS: Final = 12


def compose_simplex(
    evidence: SimplexEvidence,
    rows: pd.DataFrame,
    *,
    title: str | None,
    study: object,
    plan: object,
    extra: Mapping[str, pd.DataFrame | str],
) -> Composed:
    """Build every section, then the first screen and the files.

    Args: As `compose_truth`.
    """
    about = about_study(study, plan)
    gold = gold_section(TruthEvidence(evidence.fit, evidence.table, evidence.level)) if evidence.model.golds else None
    sections = [
        candidates_section(evidence),
        identified_section(evidence),
        sensitivity_section(evidence),
        _judges(evidence),
        gold,
        missing_section(evidence.table, rows),
        sampling_section([evidence]),
        extra_section(extra),
        appendix_section([evidence], simplex_methods(evidence), about=about),
    ]
    return assemble(
        [evidence],
        heading=plain(title or getattr(study, "study", None) or _title(evidence), 200),
        measured=_measured(evidence),
        claims=simplex_claims(evidence, rows),
        measures=candidates_figure(evidence),
        key_figures=(order_figure(evidence), _accuracy_figure(evidence), missing_figure(rows)),
        sections=[section for section in sections if section is not None],
        facets=evidence.confusion_frame.assign(facet="confusion"),
        about=about,
    )


def _title(evidence: SimplexEvidence) -> str:
    judges = numbered(len(evidence.names), evidence.judge)
    return f"{len(evidence.candidates):,} {plural(evidence.noun)} judged by {judges} of unknown error"


def _measured(evidence: SimplexEvidence) -> str:
    labels = numbered(round(float(evidence.table.weight.sum())), "label")
    sizes = (numbered(len(evidence.candidates), evidence.noun), numbered(len(evidence.names), evidence.judge), labels)
    return f"{', '.join(sizes)}; scale {scale_words(evidence.table.categories)}. The judges' errors are not known."


def _accuracy(evidence: SimplexEvidence) -> pd.DataFrame:
    """How often each judge is right at each level, averaged evenly: level, estimate, se, lower, upper."""
    draws = np.einsum("sjmm->sj", evidence.confusion_draws) / len(evidence.table.categories)
    tail = (1 - evidence.level) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
    frame = pd.DataFrame(
        {"level": list(evidence.names), "estimate": draws.mean(axis=0), "se": draws.std(axis=0, ddof=1)}
    )
    return frame.assign(lower=lower, upper=upper)


def _accuracy_figure(evidence: SimplexEvidence) -> KeyFigure:
    frame = _accuracy(evidence)
    low, high = float(frame["estimate"].min()), float(frame["estimate"].max())
    model = evidence.model
    background = 1 / len(evidence.table.categories) if model.background is None else float(np.mean(model.background))
    prior = model.quality + (1 - model.quality) * background
    text = (
        f"Posterior mean of how often a {evidence.judge} names the true level, all levels alike. The prior puts it at "
        f"{prior:.0%}: without gold the labels say little of it."
    )
    value = f"{low:.0%}" if len(frame) == 1 else f"{low:.0%} to {high:.0%}"
    return KeyFigure("Judges are right", value, text)


def _judges(evidence: SimplexEvidence) -> Section:
    frame = _accuracy(evidence)
    shows = [
        Show("level", evidence.judge, "label"),
        Show("estimate", "right", "share", "Posterior mean of the share right at each true level, all levels alike"),
        Show("lower", f"{evidence.level:.0%} interval", "range", upper="upper", se="se"),
    ]
    caption = f"How often each {evidence.judge} names the true level"
    reading = "Without gold this is what prior and labels agree on, not a test of the judges."
    table = make_table("judges", frame, shows, caption=caption, reading="" if evidence.model.golds else reading)
    blocks = (table, _confusions(evidence, frame), _confusion_table(evidence))
    return Section("judges", f"The {plural(evidence.judge)}", blocks)


def _confusions(evidence: SimplexEvidence, accuracy: pd.DataFrame) -> Figure:
    mean = evidence.confusion_draws.mean(axis=0)
    names = [plain(label, 30) for label in evidence.table.categories]
    right = accuracy["estimate"].tolist()
    panels = [
        ConfusionPanel(plain(name, 60), mean[at], f"{right[at]:.2f} right".removeprefix("0"))
        for at, name in enumerate(evidence.names[:_PANELS])
    ]
    cut = f" The first {_PANELS} of {len(evidence.names):,} are shown." if len(evidence.names) > _PANELS else ""
    return draw(
        lambda width: draw_confusions(panels, names, width=width),
        name="confusion",
        title=f"Posterior mean confusion of {numbered(len(panels), evidence.judge)}",
        reading=f"Posterior means. Rows are the true level, columns the label.{cut}",
    )


def _confusion_table(evidence: SimplexEvidence) -> Table:
    shows = [
        Show("level", evidence.judge, "label"),
        Show("truth", "true level", "label"),
        Show("label", "label", "label"),
        Show("estimate", "probability", "probability"),
        Show("lower", f"{evidence.level:.0%} interval", "range", upper="upper"),
    ]
    caption = "How often each says what at which true level"
    return make_table("confusion", evidence.confusion_frame, shows, caption=caption, most=24, both_ends=False)
