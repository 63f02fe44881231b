"""The estimates in numbers, and what to ask next to make them surer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from psymetric.reporting.calibration_evidence import CalibrationEvidence
from psymetric.reporting.rounding import plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Text
from psymetric.reporting.wording import numbered

__all__ = ["estimates_section", "labels_section"]


def estimates_section(evidence: CalibrationEvidence) -> Section:
    """Every estimate beside those of the judge alone and of people alone."""
    interval = f"{evidence.level:.0%} interval"
    frame, names = _named(evidence, evidence.found.frame)
    shows = [
        *names,
        Show("estimate", "both", "number", "The judge put right by the labels.", digits=3),
        Show("se", "SE", "number", digits=3),
        _range("lower", interval, "upper"),
        Show("judge_alone", "judge alone", "number", "Mean verdict.", digits=3),
        Show("bias", "judge less both", "number", "Bias of the judge.", digits=3),
        _range("bias_lower", f"its {interval}", "bias_upper"),
        Show("people_alone", "people alone", "number", "Mean label.", digits=3),
        _range("people_lower", f"its {interval}", "people_upper"),
        Show("n_judged", "verdicts", "count"),
        Show("n_labels", "labels", "count"),
        Show("effective_labels", "worth labels", "number", "Labels alone that would have this error.", digits=0),
        Show("power", "power", "number", "Coefficient of the verdicts; 0 leaves the judge out.", digits=2),
        Show("note", "note", "flag"),
    ]
    table = make_table("estimates", frame, shows, caption="Estimates from verdicts and labels")
    lead = (
        "Both together are as right as the labels and as narrow as the verdicts make them. The interval of the judge "
        "alone is left out of the table, as it forgets that the judge errs."
    )
    if len(frame) > 1:
        lead += " Each interval stands by itself: of many, some miss."
    return Section("scores", "The estimates", (table,), lead)


def labels_section(evidence: CalibrationEvidence) -> Section:
    """Labels that would halve each interval, and the rows to label."""
    columns = [*evidence.groups, "n_labels", "more_labels", "n_judged", "more_judgements"]
    known = evidence.known[columns].assign(advice=[_advice(row) for row in evidence.known.to_dict("records")])
    frame, names = _named(evidence, known.replace([np.inf], np.nan))
    shows = [
        *names,
        Show("n_labels", "labels so far", "count"),
        Show("more_labels", "more labels", "count", "That would halve the interval, at the same verdicts."),
        Show("n_judged", "verdicts so far", "count"),
        Show("more_judgements", "or more verdicts", "count", "That would halve the interval, at the same labels."),
        Show("advice", "", "text"),
    ]
    blocks: list[Block] = [make_table("more", frame, shows, caption="What would halve each interval")]
    if evidence.send is not None:
        blocks += _rows(evidence.send)
    lead = (
        "Labels and verdicts lower different parts of the error. A projection: everything else is taken to stay as "
        "it is, and four times both always halves the interval."
    )
    return Section("next", "What to ask next", tuple(blocks), lead)


def _rows(send: pd.DataFrame) -> list[Block]:
    numeric = {str(name) for name in send.select_dtypes("number").columns}
    shown = send.rename(columns=str)
    shows = [
        Show(name, plain(name, 40), "number" if name in numeric and name == "probability" else "label", digits=3)
        for name in shown.columns
    ]
    text = (
        f"{numbered(len(send), 'row')} to send to a person, more of those where the judge may be wrong. Keep the "
        "chances: with them the estimate stays unbiased."
    )
    table = make_table("next_labels", shown, shows, caption="Rows to label next", most=100, both_ends=False)
    return [Heading("Rows to send to a person"), Text((text,)), table]


def _advice(row: Mapping[Hashable, Any]) -> str:
    if np.isfinite(row["more_labels"]):
        return ""
    if np.isfinite(row["more_judgements"]):
        return "labels alone cannot"
    return "neither alone can"


def _named(evidence: CalibrationEvidence, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Show]]:
    """The frame with a first column that says what each row is of, and how its names are shown."""
    if evidence.groups:
        return frame, [Show(name, plain(name, 40), "label") for name in evidence.groups]
    return frame.assign(estimand=f"{evidence.found.estimand.replace('_', ' ')} of all rows"), [
        Show("estimand", "", "label")
    ]


def _range(lower: str, heading: str, upper: str) -> Show:
    return Show(lower, heading, "range", upper=upper)
