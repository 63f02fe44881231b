"""The three figures of the first screen: how reliable, what else moves an answer, what is missing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from psymetric.models.base import ABILITY
from psymetric.plots.shares import Share, draw_shares
from psymetric.reporting.chances import first_share
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.fitted import Fitted
from psymetric.reporting.missing import missing_totals
from psymetric.reporting.rounding import joined, percent, plain, two_digits
from psymetric.reporting.views import KeyFigure, draw
from psymetric.reporting.wording import noun_of, numbered, plural

__all__ = ["facet_words", "key_figures", "missing_figure"]


def key_figures(evidence: Evidence, rows: pd.DataFrame) -> tuple[KeyFigure, ...]:
    """Reliability, variance shares (pairs: position and ties), missing answers."""
    part = evidence.first
    second = _pairs(part) if part.is_pairs else _rankings(part) if part.is_of_items else _variance(evidence)
    return (_reliability(evidence), *([second] if second else []), missing_figure(rows))


def _reliability(evidence: Evidence) -> KeyFigure:
    values = [part.reliability for part in evidence.parts]
    part = evidence.first
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return KeyFigure("Reliability", "–", f"It takes two {plural(part.noun)} to tell how well they are separated.")
    if len(values) > 1:
        low, high = min(known), max(known)
        named = joined(f"{plain(p.label, 24)} {two_digits(v)}" for p, v in zip(evidence.parts, values, strict=True))
        return KeyFigure("Reliability", f"{two_digits(low)} to {two_digits(high)}", f"By {evidence.by}: {named}.")
    value = known[0]
    separation = math.sqrt(value / (1 - value)) if value < 1 else math.inf
    strata = (4 * separation + 1) / 3
    noun = plural(noun_of(part.table, part.noun))
    text = f"{percent(value)} of the variance of the {noun}' measures is not error (separation {separation:.1f}). "
    if strata < 2:
        text += f"That is too little to tell groups of {noun} apart."
    elif strata < len(part.comparisons.known):
        text += f"That is enough to tell about {math.floor(strata):,} levels of {noun} apart."
    else:
        text += f"Errors are small beside the differences between the {noun}."
    return KeyFigure("Reliability", two_digits(value), text)


def facet_words(part: Fitted, facet: str) -> str:
    """A facet, or an interaction, in the user's words."""
    names = ["subject" if name == ABILITY else name for name in facet.split(":")]
    return " × ".join(noun_of(part.table, name) for name in names)


def _variance(evidence: Evidence) -> KeyFigure | None:
    frames = [part.shares for part in evidence.wholes]
    if any(frame is None for frame in frames):
        return None
    part = evidence.first
    whole = pd.concat([frame for frame in frames if frame is not None])
    mean = whole.groupby("facet", sort=False)["share"].mean()
    mean = mean[np.isfinite(mean)]
    if mean.empty or len(mean) < 2:
        return None
    mean = mean / mean.sum()
    own = float(mean.get("subject", 0.0))
    others = mean.drop("subject", errors="ignore").sort_values(ascending=False)
    named = joined(f"{facet_words(part, str(facet))} {percent(share)}" for facet, share in others.items())
    shares = [
        Share(facet_words(part, "subject"), own),
        *(Share(facet_words(part, str(f)), s) for f, s in others.items()),
    ]
    title = "Shares of variance"
    text = f"Of the spread behind an answer, {percent(own)} is the {facet_words(part, 'subject')}; the rest: {named}."
    if len(evidence.wholes) > 1:
        text += f" Means over {numbered(len(evidence.parts), str(evidence.by))}."
    figure = draw(
        lambda width: draw_shares(shares, width=width),
        name="key-shares",
        title=title,
        description=text,
        reading="",
        wide=330,
    )
    return KeyFigure("Due to what is measured", percent(own), text, figure)


def _pairs(part: Part) -> KeyFigure | None:
    response, weight = part.table.response, part.table.weight
    total = float(weight.sum())
    ties = float(weight[response == 2].sum())
    if np.ndim(part.fit.parameters.get("position", ())) == 0:
        share, low, high = (first_share(part, value) for value in part.scalar("position"))
        text = (
            f"So often the item shown first wins against an equal one ({percent(low)} to {percent(high)}); 50% would "
            "be fair."
        )
        return KeyFigure(
            "Shown first",
            percent(share),
            text + (f" {percent(ties / total)} of all comparisons are ties." if ties else ""),
        )
    if ties:
        return KeyFigure("Ties", percent(ties / total), f"{ties:,.0f} of {total:,.0f} comparisons were ties.")
    return None


def _rankings(part: Part) -> KeyFigure | None:
    """How sharply the first is told from the last where these two meet."""
    frame, known = part.measures, part.comparisons.known
    if len(known) < 2:
        return None
    first, last = (frame.iloc[int(known[place])] for place in (0, -1))
    rate = 1 / (1 + math.exp(float(last["estimate"] - first["estimate"])))
    text = (
        f"So often {plain(first['level'], 24)}, the first, would be preferred to {plain(last['level'], 24)}, the last, "
        "in a choice between these two that is no tie."
    )
    return KeyFigure("First before last", percent(rate), text)


def missing_figure(rows: pd.DataFrame) -> KeyFigure:
    """How many of the rows asked for have no answer, and why."""
    totals = missing_totals(rows)
    lost = int(totals["n"].sum())
    if not lost:
        return KeyFigure("Missing answers", "0", f"All {len(rows):,} answers are there.")
    named = joined(f"{row.meaning} ({row.n:,})" for row in totals.head(3).itertuples())
    more = f", and {len(totals) - 3} further reasons" if len(totals) > 3 else ""
    return KeyFigure(
        "Missing answers", percent(lost / len(rows)), f"{lost:,} of {len(rows):,}. Why: {named}{more}. None was scored."
    )
