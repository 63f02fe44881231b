"""The first screen's sentences, generated from the numbers and never stronger than they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import pandas as pd

from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.reporting.chances import first_share
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.missing import missing_totals
from psymetric.reporting.rounding import counted_share, joined, percent, plain, probability, typical_se, worded
from psymetric.reporting.wording import JUDGES, noun_of, numbered, plural, scale_words

__all__ = ["Claim", "claims_of", "directions"]

_NAME = 40


@final
@dataclass(frozen=True)
class Claim:
    """One sentence; whether it is firm, open (the data do not settle it) or a caution; and what bears on it."""

    text: str
    strength: Literal["firm", "open", "caution"]
    detail: str = ""

    @property
    def whole(self) -> str:
        """The sentence and what bears on it."""
        return f"{self.text} {self.detail}".strip()


def claims_of(evidence: Evidence, rows: pd.DataFrame) -> list[Claim]:
    """The main claims: what came out, what cannot be told, what to be careful with.

    Args:
        evidence: All parts.
        rows: Every row asked for, with `reason`.
    """
    found: list[Claim] = []
    for part in evidence.parts:
        lead = "" if part.label is None else f"{plain(part.label, _NAME)}: "
        mine = [_top(part), *(_apart(part) if len(evidence.parts) == 1 else [])]
        if not part.fit.status.converged:
            mine.insert(0, Claim("The estimation did not converge; no number below can be relied on.", "caution"))
        found += [replace(claim, text=lead + claim.text) for claim in mine]
    if len(evidence.wholes) == 1:
        found += _effects(evidence.wholes[0])
        found += _position(evidence.first)
    found += _care(evidence, rows)
    return found


def _top(part: Part) -> Claim:
    frame, compared = part.measures, part.comparisons
    known = compared.known
    noun = noun_of(part.table, part.noun)
    if not len(known):
        return Claim(f"No {noun} could be measured.", "caution")
    name = plain(frame["level"].iloc[known[0]], _NAME)
    if len(known) == 1:
        return Claim(f"Only one {noun}, {name}, was measured, so there is nothing to compare it with.", "open")
    p = float(compared.above(int(known[0]), known[1:2])[0])
    second = plain(frame["level"].iloc[known[1]], _NAME)
    if p >= compared.threshold:
        text = f"{name} comes first: it measures above {second}, the next, with probability {probability(p)}."
        return Claim(text, "firm", f"{directions(part, 0, 1)} {_doubt(part)}".strip())
    tied = [plain(label, _NAME) for label in frame["level"][frame["tier"] == 1]][1:]
    if len(tied) == 1:
        text = (
            f"{name} and {second} cannot be ranked: {name} measures above {second} with probability {probability(p)} "
            "only."
        )
    elif len(tied) <= 4:
        text = f"The top cannot be settled: {name} comes first, but {joined(tied)} cannot be separated from it."
    else:
        text = (
            f"The top cannot be settled: {name} comes first, but {len(tied):,} other {plural(noun)} cannot be "
            "separated from it."
        )
    return Claim(text, "open")


def _doubt(part: Part) -> str:
    """A caution where the leader's own answers do not fit."""
    flags = part.measures["flag"] if "flag" in part.measures.columns else pd.Series([""])
    noisy = "infit" in part.measures.columns and bool(part.measures["infit"].iloc[0] > 1)
    if not noisy or not isinstance(flags.iloc[0], str) or not flags.iloc[0]:
        return ""
    return "Its answers fit the model poorly, so this is less sure than the number says."


def directions(part: Part, first: int, second: int) -> str:
    """With how many levels of each facet the first subject's mean rating is higher, in words; or nothing."""
    if not isinstance(part.table, ResponseTable):
        return ""
    table, frame = part.table, part.measures
    where = {label: code for code, label in enumerate(table.levels["subject"])}
    codes = [where.get(frame["level"].iloc[place]) for place in (first, second)]
    words: list[str] = []
    for facet in part.facets:
        levels = table.levels[facet]
        if facet == "item" or len(levels) < 2:
            continue
        means = [_means(table, facet, code) for code in codes if code is not None]
        if len(means) < 2:
            continue
        both = np.isfinite(means[0]) & np.isfinite(means[1])
        if both.sum() >= 2:
            higher = int(np.sum(means[0][both] > means[1][both]))
            words.append(f"{higher} of {numbered(int(both.sum()), noun_of(table, facet))}")
    return f"Its mean rating is the higher one with {joined(words)}." if words else ""


def _means(table: ResponseTable, facet: str, subject: int) -> np.ndarray:
    mine = (table.codes["subject"] == subject) & (table.weight > 0)
    codes, weight = table.codes[facet][mine], table.weight[mine]
    total = np.bincount(codes, weights=weight * table.response[mine], minlength=len(table.levels[facet]))
    count = np.bincount(codes, weights=weight, minlength=len(table.levels[facet]))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _apart(part: Part) -> list[Claim]:
    known = part.comparisons.known
    if len(known) < 3:
        return []
    noun = plural(noun_of(part.table, part.noun))
    pairs = len(known) * (len(known) - 1) // 2
    share = part.comparisons.told_apart
    text = (
        f"{round(share * pairs):,} of {pairs:,} pairs of {noun} ({percent(share)}) can be told apart, "
        "each taken by itself with probability .95 or more."
    )
    found = [Claim(text[0].upper() + text[1:], "firm" if share >= 0.5 else "open")]
    frame = part.measures
    if "fair_average" in frame.columns and isinstance(part.table, ResponseTable):
        fair = frame["fair_average"].to_numpy(dtype=float)
        error = typical_se(frame["fair_se"].iloc[known[[0, -1]]])
        high, low = fair[known[0]], fair[known[-1]]
        if np.isfinite(high) and np.isfinite(low):
            found.append(
                Claim(
                    f"Between the first and the last lie {worded(high - low, error)} points on the "
                    f"{scale_words(part.table.categories)} scale: an average judgement gives {worded(high, error)} to "
                    f"{plain(frame['level'].iloc[known[0]], _NAME)} and {worded(low, error)} to "
                    f"{plain(frame['level'].iloc[known[-1]], _NAME)}.",
                    "firm",
                )
            )
    return found


def _effects(part: Part) -> list[Claim]:
    found: list[Claim] = []
    for facet in part.facets:
        frame = part.facet_frames[facet]
        if facet == "item" or len(frame) < 2:
            continue
        top, bottom = frame.iloc[0], frame.iloc[-1]
        gap = float(top["estimate"] - bottom["estimate"])
        se = float(np.hypot(top["se"], bottom["se"]))
        noun = noun_of(part.table, facet)
        if not np.isfinite(se) or gap < 1.96 * se:
            found.append(Claim(f"No difference between {plural(noun)} stands out from the noise.", "open"))
            continue
        words = ("most severe", "most lenient") if facet in JUDGES else ("hardest to score high with", "easiest")
        points = ""
        if np.isfinite(top["fair_average"]) and np.isfinite(bottom["fair_average"]):
            error = typical_se([top["fair_se"], bottom["fair_se"]])
            worth = worded(float(bottom["fair_average"] - top["fair_average"]), error)
            points = f", {worth} points for an average {noun_of(part.table, 'subject')}"
        found.append(
            Claim(
                f"The {noun} matters: {plain(top['level'], _NAME)} is the {words[0]} and "
                f"{plain(bottom['level'], _NAME)} "
                f"the {words[1]}, {worded(gap, se)} {part.unit_of(facet)} apart{points}. "
                "The scores are corrected for it.",
                "firm",
            )
        )
    return found


def _position(part: Part) -> list[Claim]:
    if not isinstance(part.table, PairTable) or np.ndim(part.fit.parameters.get("position", ())):
        return []
    estimate, lower, upper = part.scalar("position")
    share = first_share(part, estimate)
    if lower <= 0 <= upper:
        return [Claim("Being shown first makes no difference that stands out from the noise.", "open")]
    word = "helps" if estimate > 0 else "hurts"
    return [
        Claim(
            f"Being shown first {word}: against an equal it wins {share:.0%} of the decided comparisons. "
            "The scores are corrected for it.",
            "firm",
        )
    ]


def _care(evidence: Evidence, rows: pd.DataFrame) -> list[Claim]:
    found: list[Claim] = []
    totals = missing_totals(rows)
    lost = int(totals["n"].sum())
    if lost and lost / len(rows) >= 0.05:
        text = f"{counted_share(lost, len(rows))} answers are missing, most often: {totals['meaning'].iloc[0]}. "
        found.append(Claim(text + "Were the missing ones unlike the rest, the scores would be off.", "caution"))
    for part in evidence.wholes:
        flagged = [] if part.is_of_items else _misfitting(part)
        if flagged:
            lead = "" if part.label is None else f"{plain(part.label, _NAME)}: "
            verb = "answers" if len(flagged) == 1 and not flagged[0][0].isdigit() else "answer"
            text = f"{lead}{joined(flagged)} {verb} less predictably than the model supposes; see the fit below."
            found.append(Claim(text, "caution"))
    return found


def _misfitting(part: Part) -> list[str]:
    """Names of noisy levels of the judge-like facets, or how many."""
    found: list[str] = []
    for facet in part.facets:
        frame = part.facet_frames[facet]
        if facet == "item" or "infit" not in frame.columns:
            continue
        noisy = frame[(frame["flag"].fillna("") != "") & (frame["infit"] > 1)]
        if 0 < len(noisy) <= 3:
            found += [plain(label, _NAME) for label in noisy["level"]]
        elif len(noisy):
            found.append(numbered(len(noisy), noun_of(part.table, facet)))
    return found
