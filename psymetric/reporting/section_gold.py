"""Gold: how the judges agree with the labels that are the truth."""

from __future__ import annotations

from psymetric.reporting.rounding import counted_share
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.truth_evidence import TruthEvidence
from psymetric.reporting.views import Section, Text
from psymetric.reporting.wording import plural

__all__ = ["gold_section"]


def gold_section(evidence: TruthEvidence) -> Section | None:
    """Labels of subjects with gold beside it; None without gold."""
    known = int((evidence.labels.known >= 0).sum())
    if not known:
        return None
    frame = evidence.gold
    nouns = plural(evidence.noun)
    lead = f"Gold gives the truth of {counted_share(known, len(evidence.labels.known))} {nouns}."
    if frame.empty:
        text = "None of them has a label of another judge, so that gold tells nothing of their errors."
        return Section("gold", "Gold", (Text((text,)),), lead)
    frame = frame.sort_values("share", ascending=False, kind="stable", ignore_index=True)
    lead += f" {counted_share(float(frame['agreed'].sum()), float(frame['n'].sum()))} labels of these agree with it."
    shows = [
        Show("level", evidence.judge, "label"),
        Show("n", f"labels of {nouns} with gold", "count"),
        Show("agreed", "agree", "count"),
        Show("share", "share", "share"),
        Show("lower", f"{evidence.level:.0%} interval", "range", "Wilson's", upper="upper"),
    ]
    caption = f"How each {evidence.judge} agrees with gold"
    return Section("gold", "Gold", (make_table("gold", frame, shows, caption=caption),), lead)
