"""The first screen of a calibration to people: its sentences, its figure, and three numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from psymetric.calibration.judged_rows import on_one_scale
from psymetric.plots.calibrated import plot_calibrated
from psymetric.reporting.calibration_evidence import CalibrationEvidence
from psymetric.reporting.claims import Claim
from psymetric.reporting.rounding import joined, percent, plain, signed, typical_se
from psymetric.reporting.views import Figure, KeyFigure, draw
from psymetric.reporting.wording import numbered

__all__ = ["calibration_claims", "calibration_figure", "calibration_numbers"]

_MOST = 4
_UNDECIDED = {
    "difference": (0.0, "Zero is inside the interval: which of the two is better is not settled."),
    "win_rate": (0.5, "One half is inside the interval: whether it wins more than it loses is not settled."),
}


def calibration_claims(evidence: CalibrationEvidence) -> list[Claim]:
    """What the estimates say, in the words of `calibrated_estimate`; then whether the judge may stand in for people."""
    found = evidence.found
    pairs = zip(found.claims, found.frame.to_dict("records"), strict=True)
    claims = [_claim(said, row, found.estimand) for said, row in pairs]
    return [*claims[:_MOST], *_further(claims[_MOST:]), *_replacing(evidence)]


def _further(claims: list[Claim]) -> list[Claim]:
    """How many sentences the first screen has no room for, and how many of them are cautions."""
    if not claims:
        return []
    doubtful = sum(claim.strength == "caution" for claim in claims)
    care = f", {doubtful:,} of them with a caution" if doubtful else ""
    text = f"{numbered(len(claims), 'further estimate')} in the table below{care}."
    return [Claim(text, "caution" if doubtful else "open")]


def _claim(said: tuple[str, str], row: Mapping[Hashable, Any], estimand: str) -> Claim:
    text, detail = (plain(part) for part in said)
    if pd.isna(row["estimate"]) or row["note"]:
        return Claim(text, "caution", detail)
    if estimand in _UNDECIDED:
        middle, words = _UNDECIDED[estimand]
        if row["lower"] <= middle <= row["upper"]:
            return Claim(text, "open", f"{words} {detail}")
    return Claim(text, "firm", detail)


def _replacing(evidence: CalibrationEvidence) -> list[Claim]:
    """The alternative-annotator test over all units, in a sentence for each judge."""
    if evidence.people is None:
        return []
    found: list[Claim] = []
    for row in evidence.people.frame[evidence.people.frame["group"].isna()].to_dict("records"):
        verdict = "may stand in for a person" if row["passes"] else "is not shown to stand in for a person"
        text = (
            f"{plain(row['judge'], 40)} {verdict}: it wins against {percent(row['omega'])} of "
            f"{row['n_people']:,} people ({evidence.people.level:.0%} {percent(row['omega_lower'])} to "
            f"{percent(row['omega_upper'])}; half are needed), spared {evidence.people.epsilon:g} of the units."
        )
        sure = row["passes"] and row["omega_lower"] >= 0.5
        detail = "" if sure or not row["passes"] else "Another sample of units may say otherwise."
        found.append(Claim(text, "firm" if sure else "open", detail))
    return found


def calibration_figure(evidence: CalibrationEvidence) -> Figure:
    """The judge alone, people alone, and both."""
    alarming = evidence.known["bias_lower"].gt(0) | evidence.known["bias_upper"].lt(0)
    colour = " in the warning colour where the labels show it to be off" if alarming.any() else ""
    text = (
        f"The judge alone (open dot{colour}; its interval forgets that it errs), people alone, and both, with "
        f"{evidence.level:.0%} intervals."
    )
    return draw(
        lambda width: plot_calibrated(evidence.found, width=width),
        name="calibrated",
        title="The judge alone, people alone, and both",
        reading=text,
    )


def calibration_numbers(evidence: CalibrationEvidence) -> tuple[KeyFigure, ...]:
    """How far off the judge is, what its verdicts are worth, how many rows have a label."""
    return _bias(evidence), _worth(evidence.known), _labelled(evidence)


def _bias(evidence: CalibrationEvidence) -> KeyFigure:
    known, rows = evidence.known, evidence.rows
    if not on_one_scale(rows.judge, rows.label[rows.known]):
        return KeyFigure("Bias of the judge", "–", "Verdicts and labels are on two scales, so that it has no meaning.")
    se = typical_se(((known["bias_upper"] - known["bias_lower"]) / 4).tolist())
    off = int((known["bias_lower"].gt(0) | known["bias_upper"].lt(0)).sum())
    value = _span([signed(float(bias), se) for bias in (known["bias"].min(), known["bias"].max())])
    if len(known) == 1:
        row = known.iloc[0]
        ends = f"({signed(float(row['bias_lower']), se)} to {signed(float(row['bias_upper']), se)})"
        said = f"The judge alone, less the estimate {ends}"
        return KeyFigure("Bias of the judge", value, f"{said}{'.' if off else ', which may be chance.'}")
    text = f"The judge alone, less the estimate. It is off by more than chance in {off:,} of {len(known):,} estimates."
    return KeyFigure("Bias of the judge", value, text)


def _worth(known: pd.DataFrame) -> KeyFigure:
    gain = (known["effective_labels"] / known["n_labels"]).replace([np.inf], np.nan).dropna()
    heading = "What verdicts are worth"
    if gain.empty:
        return KeyFigure(heading, "–", "The error is zero, so that there is nothing to compare.")
    value = _span([f"{one:.1f} ×" for one in (gain.min(), gain.max())])
    labels, worth = (f"{known.loc[gain.index[0], name]:,.0f}" for name in ("n_labels", "effective_labels"))
    if len(gain) == 1:
        text = f"{labels} labels with the verdicts have the interval that {worth} labels would have alone."
    else:
        text = "So many times the labels would have the same interval without the verdicts."
    return KeyFigure(heading, value, text)


def _labelled(evidence: CalibrationEvidence) -> KeyFigure:
    n, labelled = len(evidence.rows.judge), int(evidence.rows.known.sum())
    finite = evidence.known["more_labels"].replace([np.inf], np.nan).dropna()
    more = [f"{count:,.0f}" for count in (finite.min(), finite.max())] if len(finite) else []
    text = f"{labelled:,} of {n:,} judged rows have a label. "
    if more:
        each = "" if len(evidence.known) == 1 else " of an estimate"
        text += f"{_span(more)} more would halve the interval{each}."
    else:
        text += "Labels alone cannot halve the interval."
    return KeyFigure("Rows with a label", percent(labelled / n), text)


def _span(ends: list[str]) -> str:
    """`a`, or `a to b`."""
    return joined(dict.fromkeys(ends), last="to")
