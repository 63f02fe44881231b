"""How the judge errs, and whether the labelled rows look like the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.judge_errors import (
    bin_table,
    categories_of,
    confusion_table,
    groups_of,
    sample_table,
)
from psymetric.calibration.judged_rows import JudgedRows
from psymetric.plots.confusion import ConfusionPanel, draw_confusions
from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.plots.reliability_diagram import plot_reliability_diagram
from psymetric.reporting.calibration_evidence import CalibrationEvidence
from psymetric.reporting.rounding import counted_share, plain, rounded
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Text, draw

__all__ = ["errors_section", "sample_section"]

_MOST_GROUPS: Final = 6
_ALL: Final = "all rows"


def errors_section(evidence: CalibrationEvidence) -> Section:
    """Verdicts by label, or labels by verdict; then calibration of probabilities."""
    categories = categories_of(evidence.rows)
    if categories is None:
        blocks, lead = _binned(evidence), "Mean label of the labelled rows, by verdict."
    else:
        blocks, lead = _confused(evidence, categories), "Verdicts on the labelled rows, given their label."
    if evidence.rows.probability is not None:
        lead += " Rows count by the inverse of their chance of a label."
    blocks += _calibration(evidence)
    return Section("errors", "How the judge errs", tuple(blocks), lead)


def _each(evidence: CalibrationEvidence) -> Iterator[tuple[str, JudgedRows]]:
    """Name and rows of all, and of every group where these are few."""
    groups = list(groups_of(evidence.rows, evidence.role))
    for name, rows in groups if len(groups) <= _MOST_GROUPS + 1 else groups[:1]:
        if rows.known.any():
            yield _ALL if name is None else plain(name, 40), rows


def _confused(evidence: CalibrationEvidence, categories: NDArray[np.float64]) -> list[Block]:
    names = [evidence.value(value) for value in categories.tolist()]
    panels: list[ConfusionPanel] = []
    frames: list[pd.DataFrame] = []
    for name, rows in _each(evidence):
        frame = confusion_table(rows, categories, evidence.level)
        shares = frame["share"].to_numpy().reshape(len(names), len(names))
        agreed = int((rows.judge == rows.label).sum())
        panels.append(ConfusionPanel(name, shares, counted_share(agreed, int(rows.known.sum()))))
        frames.append(frame.assign(rows=name))
    frame = pd.concat(frames, ignore_index=True)
    for column in ("label", "verdict"):
        frame[column] = [names[int(np.searchsorted(categories, value))] for value in frame[column]]
    figure = draw(
        lambda width: draw_confusions(panels, names, width=width),
        name="confusion",
        title="Verdicts given the label",
        reading="Rows are labels, columns verdicts; each row sums to one. Under the name: how many verdicts agree.",
    )
    shows = [
        Show("rows", "rows", "label"),
        Show("label", "label", "text"),
        Show("verdict", "verdict", "text"),
        Show("n", "labelled rows", "count"),
        Show("share", "share of that label", "share"),
        Show("lower", f"{evidence.level:.0%} interval", "range", "Wilson's.", upper="upper"),
    ]
    columns = ["rows", "label", "verdict", "n", "share", "lower", "upper"]
    return [figure, make_table("confusion", frame[columns], shows, caption="Verdicts given the label")]


def _binned(evidence: CalibrationEvidence) -> list[Block]:
    frame = pd.concat(
        [bin_table(rows, evidence.level).assign(rows=name) for name, rows in _each(evidence)], ignore_index=True
    )
    grouped = frame["rows"].nunique() > 1
    step = float(np.ptp(frame["verdict"])) / 10
    drawn = [
        IntervalRow(
            _bin(row["verdict_from"], row["verdict_to"], step),
            *(row["label"], row["lower"], row["upper"]),
            value=f"{row['label']:.2f}",
            group=str(row["rows"]) if grouped else "",
        )
        for row in frame.to_dict("records")
    ]
    figure = draw(
        lambda width: draw_intervals(drawn, width=width, axis="mean label"),
        name="bins",
        title="Mean label by verdict",
        reading="Where dots do not rise with the verdict, the judge does not tell people's labels apart.",
    )
    shows = [
        Show("rows", "rows", "label"),
        Show("verdict_from", "verdict from", "number"),
        Show("verdict_to", "to", "number"),
        Show("verdict", "mean verdict", "number"),
        Show("n", "labelled rows", "count"),
        Show("label", "mean label", "number"),
        Show("lower", f"{evidence.level:.0%} interval", "range", upper="upper"),
    ]
    columns = ["rows", "verdict_from", "verdict_to", "verdict", "n", "label", "lower", "upper"]
    return [figure, make_table("bins", frame[columns], shows, caption="Mean label by verdict")]


def _bin(low: float, high: float, step: float) -> str:
    return f"verdict {low:g}" if low == high else f"verdict {rounded(low, step)} to {rounded(high, step)}"


def _calibration(evidence: CalibrationEvidence) -> list[Block]:
    """Reliability diagrams and the numbers of calibration, each by its name."""
    quality, reliability = evidence.scored
    if not quality and not reliability:
        return []
    blocks: list[Block] = [Heading("Are the probabilities right?")]
    if evidence.rows.probability is not None:
        blocks.append(Text(("Rows count alike here, whatever their chance of a label was.",), quiet=True))
    for place, (name, diagram) in enumerate(reliability.items()):
        reading = (
            f"Probabilities: {plain(name, 60)}. The curve and the dots of calibrated forecasts stay in the band with "
            f"a chance of {diagram.level:.0%} at each place; open dots are outside."
        )
        blocks.append(
            draw(
                lambda width, diagram=diagram: plot_reliability_diagram(diagram, width=width),
                name=f"reliability-{place}",
                title=f"Reliability diagram, {plain(name, 60)}",
                reading=reading,
            )
        )
    if not quality:
        return blocks
    frame = pd.concat([one.frame.assign(forecasts=name) for name, one in quality.items()], ignore_index=True)
    shows = [
        Show("statistic", "statistic", "label"),
        Show("event", "event", "text"),
        Show("forecasts", "probabilities", "text"),
        Show("value", "value", "number", digits=3),
        Show("lower", "interval", "range", "Bootstrap over groups.", upper="upper"),
        Show("if_calibrated", "if calibrated", "number", "Mean in samples of calibrated forecasts.", digits=3),
    ]
    order = ["event", "statistic", "forecasts", "value", "lower", "upper", "if_calibrated", "if_calibrated_upper"]
    frame = frame[order].sort_values(["event", "statistic"], kind="stable", ignore_index=True)
    blocks.append(make_table("calibration", frame, shows, caption="Brier scores, log losses and calibration errors"))
    return blocks


def sample_section(evidence: CalibrationEvidence) -> Section:
    """Verdicts of labelled rows beside those of all."""
    frame = sample_table(evidence.rows, evidence.role, evidence.level)
    frame["level"] = [_ALL if pd.isna(level) else plain(level, 40) for level in frame["level"]]
    whole = frame.iloc[0]
    unlike = "lower" in frame.columns and (whole["lower"] > 0 or whole["upper"] < 0)
    lead = (
        "The labels speak for all rows if the labelled ones are a random sample of them, or their chances are known. "
        "Verdicts are known for both, so that they can be compared. "
    )
    lead += (
        "Labelled rows have other verdicts than all rows, by more than chance explains. The estimate uses the "
        "verdicts and is right for what these explain; for what they do not, nobody can see."
        if unlike
        else "No difference beyond chance is seen, which does not show that there is none in what verdicts do not tell."
    )
    interval = f"{evidence.level:.0%} interval"
    shows = [
        Show("level", plain(evidence.column(evidence.role) or "rows", 40), "label"),
        Show("n", "verdicts", "count"),
        Show("n_labels", "labels", "count"),
        Show("labelled", "mean verdict, labelled", "number", digits=3),
        Show("all", "mean verdict, all", "number", digits=3),
        Show("gap", "difference", "number", digits=3),
        Show("lower", interval, "range", upper="upper"),
    ]
    caption = "Verdicts on labelled rows and on all rows"
    return Section("sample", "Who was labelled", (make_table("sample", frame, shows, caption=caption),), lead)
