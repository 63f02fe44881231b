"""Missing answers: how many, why, and whose."""

from __future__ import annotations

import pandas as pd

from psymetric.data.table import CodedTable
from psymetric.reporting.missing import missing_by, missing_totals
from psymetric.reporting.rounding import percent, plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Section, Text
from psymetric.reporting.wording import noun_of, plural

__all__ = ["missing_section"]

_FACETS = (
    "subject",
    "judge",
    "rater",
    "template",
    "order",
    "label",
    "position",
    "language",
    "occasion",
    "item",
    "left",
    "right",
)
_ROWS = 40


def missing_section(table: CodedTable, rows: pd.DataFrame) -> Section:
    """Non-responses in total, then by every facet that the rows have."""
    totals = missing_totals(rows)
    if totals.empty:
        text = f"All {len(rows):,} answers asked for are there."
        return Section("missing", "Missing answers", (Text((text,)),))
    lead = (
        f"{int(totals['n'].sum()):,} of {len(rows):,} answers asked for are missing. They are left out, never scored "
        "as zero or as the "
        "midpoint. That is harmless where the reason has nothing to do with the measure, and biases the scores "
        "where it has."
    )
    shows = [Show("meaning", "reason", "text"), Show("n", "answers", "count"), Show("share", "of all", "share")]
    blocks: list[Block] = [Text((lead,)), make_table("missing", totals, shows, caption="Reasons")]
    known = {*_FACETS, *(name for name in table.codes)}
    for facet in [name for name in dict.fromkeys([*_FACETS, *table.codes]) if name in known and name in rows.columns]:
        if rows[facet].nunique() < 2:
            continue
        frame = missing_by(rows, facet)
        noun = noun_of(table, facet)
        reasons = [str(name) for name in frame.columns if str(name).startswith("reason_")]
        shows = [
            Show("level", noun, "label"),
            Show("asked", "asked", "count"),
            Show("missing", "missing", "count"),
            Show("share", "share", "share"),
            *(Show(reason, reason.removeprefix("reason_").replace("_", " "), "count") for reason in reasons),
        ]
        least, most = (
            f"{percent(float(frame['share'].iloc[at]))} ({plain(frame['level'].iloc[at], 40)})" for at in (-1, 0)
        )
        reading = f"From {least} to {most}."
        blocks.append(
            make_table(f"missing-by-{facet}", frame, shows, caption=f"By {noun}", reading=reading, most=_ROWS)
        )
        if len(frame) > _ROWS:
            blocks.append(
                Text((f"The {plural(noun)} with the most and the fewest missing answers are shown.",), quiet=True)
            )
    return Section("missing", "Missing answers", tuple(blocks))
