"""Which answers are missing, why, and where."""

from __future__ import annotations

import pandas as pd

from psymetric.data.nonresponse import NonResponse
from psymetric.data.table import CodedTable
from psymetric.errors import DataError

__all__ = ["REASONS", "missing_by", "missing_totals", "response_rows"]

REASONS = {
    NonResponse.refusal: "refused",
    NonResponse.provider_filter: "blocked by the provider",
    NonResponse.empty: "empty reply",
    NonResponse.truncated: "cut off before an answer",
    NonResponse.unparsable: "no single answer found in the reply",
    NonResponse.off_scale: "answer not on the scale",
    NonResponse.no_logprobs: "no probabilities returned",
    NonResponse.transport: "request failed",
    NonResponse.budget: "not asked: budget",
    NonResponse.missing: "no value, no reason given",
}
"""Reasons in words."""


def response_rows(table: CodedTable, frame: pd.DataFrame | None) -> pd.DataFrame:
    """Every row asked for, with its facets and `reason`, which is empty where there is an answer.

    Raises:
        DataError: The frame has no column `reason`.
    """
    if frame is None:
        rows = table.to_frame(missing=True)
        return rows.assign(reason=rows["reason"].astype(object).where(rows["reason"].notna(), ""))
    if "reason" not in frame.columns:
        raise DataError(
            f"report: frame has no column 'reason', only {list(frame.columns)[:12]}; pass responses together with "
            "their "
            "non-responses, as psymetric.administration returns them"
        )
    reason = frame["reason"].astype(object)
    return frame.assign(reason=reason.where(reason.notna(), "").map(str))


def missing_totals(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns reason, meaning, n, share (of all rows), from frequent to rare; no row where nothing is missing."""
    counts = rows.loc[rows["reason"] != "", "reason"].value_counts()
    words = {str(reason): text for reason, text in REASONS.items()}
    return pd.DataFrame(
        {
            "reason": [str(reason) for reason in counts.index],
            "meaning": [words.get(str(reason), str(reason)) for reason in counts.index],
            "n": counts.to_numpy(),
            "share": counts.to_numpy() / max(len(rows), 1),
        }
    )


def missing_by(rows: pd.DataFrame, facet: str) -> pd.DataFrame:
    """Per level of a facet: level, asked, missing, share, and `reason_…` for every reason; highest share first."""
    asked = rows.groupby(facet, sort=False, observed=True).size()
    lost = rows[rows["reason"] != ""]
    by_reason = pd.crosstab(lost[facet], lost["reason"]) if len(lost) else pd.DataFrame()
    frame = by_reason.reindex(asked.index, fill_value=0).add_prefix("reason_")
    total = frame.sum(axis=1)
    frame.insert(0, "share", total / asked)
    frame.insert(0, "missing", total)
    frame.insert(0, "asked", asked)
    frame.columns.name = None
    frame = frame.rename_axis("level").reset_index()
    return frame.sort_values(["share", "missing"], ascending=False, ignore_index=True)
