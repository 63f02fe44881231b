"""What the true categories are: how common each is, how sure each subject's is, and which are least certain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.plots.shares import Share, draw_shares
from psymetric.reporting.rounding import counted_share, percent, plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.truth_evidence import DECIDED, DECIDED_WORDS, TruthEvidence
from psymetric.reporting.views import Block, Figure, KeyFigure, Section, Table, draw
from psymetric.reporting.wording import plural

__all__ = ["decided_figure", "true_categories_section"]

_ROWS: Final = 40
_BARS: Final = 40
_FEWEST: Final = 6
"""Categories up to which the table shows the probability of each."""
_BANDS: Final = (
    ("under .5", 0.0, 0.5),
    (".5 to .8", 0.5, DECIDED),
    (".8 to .99", DECIDED, 0.99),
    ("over .99", 0.99, 1.01),
)


def true_categories_section(evidence: TruthEvidence) -> Section:
    """Prevalence, certainty, and the subjects from the least certain on."""
    blocks: list[Block] = [_prevalence_figure(evidence), _prevalence_table(evidence)]
    if len(evidence.open_subjects):
        blocks.append(_certainty(evidence))
    blocks.append(_subjects(evidence))
    return Section("scores", "The true categories", tuple(blocks))


def _prevalence_figure(evidence: TruthEvidence) -> Figure:
    frame = evidence.prevalence
    kept = frame.head(_BARS)
    rows = [
        IntervalRow(
            plain(row["category"], 60),
            row["estimate"],
            row["lower"],
            row["upper"],
            percent(row["estimate"]),
            plain(row.get("group", ""), 24),
        )
        for row in kept.to_dict("records")
    ]
    cut = f" The first {len(kept)} of {len(frame):,} are shown." if len(kept) < len(frame) else ""
    by = " in each group" if "group" in frame.columns else ""
    text = f"How common each true category is{by}, with {evidence.level:.0%} intervals.{cut}"
    return draw(
        lambda width: draw_intervals(rows, width=width, axis=f"share of {plural(evidence.noun)}"),
        name="prevalence",
        title="Prevalence of the true categories",
        reading=text,
        description=f"{text} {'; '.join(f'{row.group} {row.label} {row.value}'.strip() for row in rows[:12])}.",
    )


def _prevalence_table(evidence: TruthEvidence) -> Table:
    frame = evidence.prevalence
    counts = evidence.votes.sum(axis=0)
    if "group" not in frame.columns:
        frame = frame.assign(labels=counts / counts.sum())
    shows = [
        *([Show("group", "group", "label")] if "group" in frame.columns else []),
        Show("category", "true category", "label"),
        Show("estimate", "share", "share", f"Of all {plural(evidence.noun)}, by the model"),
        Show("lower", f"{evidence.level:.0%} interval", "range", upper="upper", se="se"),
        Show("labels", "of the labels", "percent", "Share of the labels as they were given"),
    ]
    reading = "Where the share and that of the labels differ, errors do not cancel: judges favour a category."
    reading = reading if "labels" in frame.columns else ""
    return make_table("prevalence", frame, shows, caption="How common each category is", reading=reading, most=_BARS)


def _bands(evidence: TruthEvidence) -> pd.DataFrame:
    """Columns probability (of the likeliest category, in words), n, share."""
    values = evidence.open_subjects["probability"]
    counts = [int(((values >= low) & (values < high)).sum()) for _, low, high in _BANDS]
    frame = pd.DataFrame({"probability": [name for name, _, _ in _BANDS], "n": counts})
    frame = frame[frame["n"] > 0].reset_index(drop=True)
    return frame.assign(share=frame["n"] / len(values))


def _certainty(evidence: TruthEvidence) -> Table:
    shows = [
        Show("probability", "probability of the likeliest category", "label"),
        Show("n", plural(evidence.noun), "count"),
        Show("share", "of all", "share"),
    ]
    gold = int(evidence.subjects["gold"].sum())
    reading = f"{gold:,} with gold are left out." if gold else ""
    return make_table("certainty", _bands(evidence), shows, caption="How sure the categories are", reading=reading)


def _subjects(evidence: TruthEvidence) -> Table:
    frame = evidence.subjects
    shown = frame.assign(remark=[_remark(row) for row in frame.to_dict("records")])
    categories = evidence.fit.categories
    shows = [
        Show("subject", evidence.noun, "label"),
        Show("category", "likeliest category", "label"),
        Show(
            "probability",
            "probability",
            "probability",
            "That the likeliest category is the true one, if the model holds",
        ),
        *(
            Show(f"P({label})", f"P({plain(label, 16)})", "probability")
            for label in categories
            if 2 < len(categories) <= _FEWEST
        ),
        Show("agreeing", "labels that say so", "percent", "Share of its labels that are the likeliest category"),
        Show("n", "labels", "count"),
        Show("remark", "remark", "flag"),
    ]
    caption = f"{plural(evidence.noun).capitalize()}, the least certain first"
    reading = "Here a further label, or a look by a person, tells most. The CSV has all, with every probability."
    return make_table("scores", shown, shows, caption=caption, reading=reading, most=_ROWS, both_ends=False)


def _remark(row: Mapping[Any, Any]) -> str:
    if row["gold"]:
        return "gold"
    if pd.isna(row["majority"]):
        return "labels tied"
    return "" if row["majority"] == row["category"] else "not the most frequent label"


def decided_figure(evidence: TruthEvidence) -> KeyFigure:
    """How many subjects have a likely category."""
    frame = evidence.open_subjects
    if frame.empty:
        return KeyFigure("Decided", "all", f"The truth of every {evidence.noun} was given.")
    decided = int((frame["probability"] >= DECIDED).sum())
    bands = _bands(evidence).iloc[::-1]
    shares = [Share(str(name), float(share)) for name, share in zip(bands["probability"], bands["share"], strict=True)]
    nouns = plural(evidence.noun)
    text = (
        f"{counted_share(decided, len(frame))} {nouns} have a category of probability {DECIDED_WORDS} or more. "
        f"The bar shows how many have a likeliest category of which probability."
    )
    figure = draw(
        lambda width: draw_shares(shares, width=width),
        name="key-decided",
        title=f"{plural(evidence.noun).capitalize()} by the probability of their likeliest category",
        description="; ".join(f"{part.label}: {percent(part.share)}" for part in shares),
        reading="",
        wide=330,
    )
    return KeyFigure("Decided", percent(decided / len(frame)), text, figure)
