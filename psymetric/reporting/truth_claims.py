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
    shared = _dependent(evidence)
    return [
        *found,
        *shared,
        _right(evidence, doubted=bool(shared)),
        *_beside_gold(evidence),
        *_decided(evidence, doubted=bool(shared)),
        *_common(evidence),
        *_worse(evidence),
        *_named_by(evidence),
        *lost_labels(rows),
    ]


def between(lower: float, upper: float) -> str:
    """An interval in brackets, or nothing where it is not known."""
    return f" ({_digits(lower)} to {_digits(upper)})" if np.isfinite(lower) and np.isfinite(upper) else ""


def _digits(value: float) -> str:
    return "1" if value >= 0.995 else f"{value:.2f}".removeprefix("0") if value >= 0.005 else "0"


def _right(evidence: TruthEvidence, *, doubted: bool) -> Claim:
    estimate, lower, upper = evidence.accuracy
    chance = float(evidence.truths.probability.drop(columns="subject").mean().max())
    text = f"a label is right with probability {_digits(estimate)}{between(lower, upper)}, averaged over all labels."
    text = f"If the model holds, {text}" if evidence.gold.empty else f"{text[0].upper()}{text[1:]}"
    always = f"Always naming the commonest category would be right with probability {_digits(chance)}."
    firm = np.isfinite(lower) and lower > chance and not doubted
    return Claim(text, "firm" if firm else "open", always)


def _beside_gold(evidence: TruthEvidence) -> list[Claim]:
    """How labels agree with gold, and whether the model says the same."""
    if evidence.gold.empty:
        return []
    agreed, n, low, high = evidence.gold_share
    found = [Claim(f"{counted_share(agreed, n)} labels of {plural(evidence.noun)} with gold agree with it.", "firm")]
    estimate, lower, upper = evidence.accuracy
    if lower > high or upper < low:
        word = "better" if lower > high else "worse"
        text = f"The model takes labels to be {word} ({_digits(estimate)}) than gold shows ({_digits(agreed / n)})."
        found.append(Claim(text, "caution", "What it assumes does not hold, or gold is not a random part."))
    return found


def _decided(evidence: TruthEvidence, *, doubted: bool) -> list[Claim]:
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
    found = [Claim(text, "firm" if undecided <= 0.1 * len(frame) and not doubted else "open", detail)]
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
    pooled, pairs = evidence.dependence.pooled.iloc[0], evidence.dependence.frame
    mine = pairs[pairs["flag"] == "dependent"].head(1)
    count = int((pairs["flag"] == "dependent").sum())
    if pooled["flag"] == "dependent":
        same, expected = (percent(float(pooled[name])) for name in ("agreement", "expected"))
        text = (
            f"{plural(evidence.judge).capitalize()} agree with each other more often than the truth explains ({same} "
            f"of pairs of labels; {expected} expected)."
        )
    elif count:
        first, second = (plain(mine[name].tolist()[0], _NAME) for name in ("first", "second"))
        more = f", and {numbered(count - 1, 'further pair')}," if count > 1 else ""
        text = f"{first} and {second}{more} agree with each other more often than the truth explains."
    else:
        return []
    return [Claim(text, "caution", "They share errors: categories are less sure than their probabilities say.")]


def lost_labels(rows: pd.DataFrame) -> list[Claim]:
    """A caution where one label in twenty or more is missing."""
    totals = missing_totals(rows)
    lost = int(totals["n"].sum())
    if not lost or lost / len(rows) < _LOST:
        return []
    text = f"{counted_share(lost, len(rows))} labels are missing, most often: {totals['meaning'].iloc[0]}."
    return [Claim(text, "caution", "Were they missing because of the truth, categories and shares would be off.")]
