"""What the first screen says of a latent truth, generated from the numbers and never stronger than they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from psymetric.reporting.claims import Claim
from psymetric.reporting.missing import missing_totals
from psymetric.reporting.rounding import counted_share, joined, percent, plain
from psymetric.reporting.truth_evidence import DECIDED, DECIDED_WORDS, TruthEvidence
from psymetric.reporting.wording import numbered, plural

__all__ = ["between", "lost_labels", "truth_claims"]

_NAME, _NAMED = 40, 3
_LOST = 0.05


def truth_claims(evidence: TruthEvidence, rows: pd.DataFrame) -> list[Claim]:
    """The main claims: how good labels are, what is decided, what the answer rests on.

    Args:
        evidence: The fit and what follows from it.
        rows: Every row asked for, with `reason`.
    """
    found: list[Claim] = []
    if not evidence.fit.status.converged:
        found.append(Claim("The estimation did not converge; no number below can be relied on.", "caution"))
    return [
        *found,
        _right(evidence),
        *_decided(evidence),
        *_common(evidence),
        *_worse(evidence),
        *_named_by(evidence),
        *_dependent(evidence),
        *lost_labels(rows),
    ]


def between(lower: float, upper: float) -> str:
    """An interval in brackets, or nothing where it is not known."""
    return f" ({_digits(lower)} to {_digits(upper)})" if np.isfinite(lower) and np.isfinite(upper) else ""


def _digits(value: float) -> str:
    return "1" if value >= 0.995 else f"{value:.2f}".removeprefix("0") if value >= 0.005 else "0"


def _right(evidence: TruthEvidence) -> Claim:
    estimate, lower, upper = evidence.accuracy
    chance = float(evidence.truths.probability.drop(columns="subject").mean().max())
    text = f"A label is right with probability {_digits(estimate)}{between(lower, upper)}, averaged over all labels."
    always = f"Always naming the commonest category would be right with probability {_digits(chance)}."
    if not np.isfinite(lower) or lower <= chance:
        return Claim(text, "open", always)
    return Claim(text, "firm", always)


def _decided(evidence: TruthEvidence) -> list[Claim]:
    frame, nouns = evidence.open_subjects, plural(evidence.noun)
    if frame.empty:
        return [
            Claim(f"The truth of all {len(evidence.subjects):,} {nouns} was given; only judges were estimated.", "firm")
        ]
    undecided = int((frame["probability"] < DECIDED).sum())
    wrong = float(frame["error"].mean())
    text = (
        f"{undecided:,} of {numbered(len(frame), evidence.noun)} {'is' if undecided == 1 else 'are'} undecided "
        f"(no category has probability {DECIDED_WORDS} or more)."
    )
    detail = f"If the model holds, {percent(wrong)} of the likeliest categories are wrong."
    found = [Claim(text, "firm" if undecided <= 0.1 * len(frame) else "open", detail)]
    known = frame[frame["majority"].notna()]
    other = int((known["majority"] != known["category"]).sum())
    if other:
        text = (
            f"For {counted_share(other, len(known))} {nouns} the likeliest category is not the one that most of their "
            f"{plural(evidence.judge)} gave."
        )
        found.append(Claim(text, "open"))
    return found


def _common(evidence: TruthEvidence) -> list[Claim]:
    """The commonest category, where one prevalence holds for all."""
    frame = evidence.prevalence
    if "group" in frame.columns:
        return []
    first, second = (dict(row) for row in frame.nlargest(2, "estimate").to_dict("records"))
    share = f"{percent(float(first['estimate']))}{_share_interval(first)}"
    text = f"The commonest true category is {plain(first['category'], _NAME)}: {share} of {plural(evidence.noun)}."
    apart = bool(first["lower"] > second["upper"])
    return [Claim(text, "firm" if apart else "open", "" if apart else "Its interval overlaps that of the next.")]


def _share_interval(row: Mapping[Any, Any]) -> str:
    lower, upper = row["lower"], row["upper"]
    return f" ({percent(lower)} to {percent(upper)})" if np.isfinite(lower) and np.isfinite(upper) else ""


def _worse(evidence: TruthEvidence) -> list[Claim]:
    flags = evidence.judges["flag"].fillna("")
    found: list[Claim] = []
    for words, text in (
        ("worse than chance", "worse than chance"),
        ("not shown to be better", "not shown to be better than chance"),
        ("same labels as", "the copy of another, and counted twice"),
    ):
        names = evidence.judges["level"][flags.str.contains(words, regex=False)].tolist()
        if 0 < len(names) <= _NAMED:
            noun = plural(evidence.judge) if len(names) > 1 else evidence.judge
            who = f"{noun} {joined(plain(name, _NAME) for name in names)}"
        else:
            who = f"{len(names):,} of {numbered(len(flags), evidence.judge)}"
        if names:
            verb = "is" if len(names) == 1 else "are"
            found.append(Claim(f"{who[0].upper()}{who[1:]} {verb} {text}.", "caution"))
    return found


def _named_by(evidence: TruthEvidence) -> list[Claim]:
    """What says which truth is which, where no gold does."""
    if (evidence.labels.known >= 0).any():
        return []
    if evidence.fit.penalised:
        text = (
            "Which category is which rests on the prior, under which judges are better than chance: no gold was given."
        )
    else:
        text = "Which category is which rests on most labels being right: no gold was given."
    return [Claim(text, "open", "Gold labels of some would show it.")]


def _dependent(evidence: TruthEvidence) -> list[Claim]:
    if evidence.dependence is None:
        return []
    pooled = evidence.dependence.pooled.iloc[0]
    if pooled["flag"] != "dependent":
        return []
    text = (
        f"{plural(evidence.judge).capitalize()} agree with each other more often than the truth explains "
        f"({percent(float(pooled['agreement']))} of pairs of labels; {percent(float(pooled['expected']))} expected)."
    )
    return [Claim(text, "caution", "The categories are less sure than their probabilities say.")]


def lost_labels(rows: pd.DataFrame) -> list[Claim]:
    """A caution where one label in twenty or more is missing."""
    totals = missing_totals(rows)
    lost = int(totals["n"].sum())
    if not lost or lost / len(rows) < _LOST:
        return []
    text = f"{counted_share(lost, len(rows))} labels are missing, most often: {totals['meaning'].iloc[0]}."
    return [Claim(text, "caution", "Were they missing because of the truth, categories and shares would be off.")]
