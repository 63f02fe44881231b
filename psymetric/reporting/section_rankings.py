"""Rankings: who is preferred to whom, what was ranked, and how the judges agree with the common order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.rankings import RankingTable
from psymetric.diagnostics.ranking_judges import ranking_judges
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.rounding import percent, plain, rounded
from psymetric.reporting.section_pairs import preference_figure
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Section, Table
from psymetric.reporting.wording import JUDGES, noun_of, numbered, plural
from psymetric.scoring.preference import preference_of

__all__ = ["ranking_lengths", "rankings_section"]

_MOST = 60
_TWO = 0.02
"""A standard error whose digits are two decimals."""


def rankings_section(evidence: Evidence) -> Section | None:
    """The matrix of preference, the raw record, the lists, ties and slopes, and the judges; None for other tables."""
    part = evidence.first
    table = part.table
    if not isinstance(table, RankingTable):
        return None
    blocks: list[Block] = [preference_figure(part, _preference), _record(part, table), _lengths(table)]
    effects = _effects(part)
    if effects is not None:
        blocks.append(effects)
    blocks += [_judges(part, table, facet) for facet in table.codes if facet in JUDGES]
    return Section("rankings", "Who is preferred to whom", tuple(blocks))


def _preference(part: Part, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Probability that the row's item is preferred to the column's where these two are ranked alone, ties half."""
    found = preference_of(part.fit.model, "half", who="report")
    order = [part.fit.levels["item"].index(part.measures["level"].iloc[place]) for place in chosen]
    arrays = {name: np.asarray(part.fit.parameters[name])[None] for name in found.names}
    arrays["worth"] = arrays["worth"][:, order]
    chances = found.chances(found.average_judge(arrays), np.zeros((0, 1, 1))).value[0]
    np.fill_diagonal(chances, np.nan)
    return chances


def _record(part: Part, table: RankingTable) -> Table:
    frame = table.counts("item").set_index("level").reindex(part.measures["level"]).reset_index()
    frame = frame.drop(columns=[name for name in ("unranked", "missing") if name in frame and not frame[name].any()])
    shows = [
        Show("level", noun_of(table, "item"), "label"),
        Show("weight", "choices" if table.is_best_worst else "rankings", "count", "In which it was shown"),
        Show("first", "first", "count", "Ranked first, alone or in a tie"),
        Show("unranked", "unranked", "count", "Shown and not ranked"),
        Show("best", "best", "count", "Chosen as the best"),
        Show("worst", "worst", "count", "Chosen as the worst"),
        Show("score", "best less worst", "number", "Per set in which it was shown"),
        Show("missing", "missing", "count"),
    ]
    caption = "Raw record; it depends on who was met, the measures do not"
    return make_table("record", frame, shows, caption=caption, most=120)


def ranking_lengths(table: RankingTable) -> pd.DataFrame:
    """Rankings by how many items were shown: items, rankings (weight), whole and tied shares, mean number ranked.

    A whole ranking puts all items but at most one in a place; a tied one has two items in one place.
    """
    category, weight = table.rankings.category, table.rankings.weight
    shown = category >= 0
    ranked = shown & (category != 1 if table.is_best_worst else category < len(table.categories) - 1)
    frame = pd.DataFrame(
        {
            "items": shown.sum(axis=1),
            "rankings": weight,
            "whole": weight * (ranked.sum(axis=1) >= shown.sum(axis=1) - 1),
            "tied": weight * table.tied,
            "ranked": weight * ranked.sum(axis=1),
        }
    )
    found = frame.groupby("items", as_index=False).sum()
    found = found[found["rankings"] > 0].reset_index(drop=True)
    share = ["whole", "tied", "ranked"]
    return found.assign(**{name: found[name] / found["rankings"] for name in share})


def _lengths(table: RankingTable) -> Table:
    frame = ranking_lengths(table)
    nouns = plural(noun_of(table, "item"))
    total = float(frame["rankings"].sum())
    if table.is_best_worst:
        shows = [Show("items", f"{nouns} shown", "count"), Show("rankings", "choices", "count")]
        text = f"{total:,.0f} choices of the best and the worst of a set."
        return make_table("lists", frame, shows, caption="Choices by the size of the set", reading=text)
    whole, tied = (float((frame[name] * frame["rankings"]).sum()) / total for name in ("whole", "tied"))
    shows = [
        Show("items", f"{nouns} shown", "count"),
        Show("rankings", "rankings", "count"),
        Show("ranked", "ranked on average", "number", f"{nouns.capitalize()} with a place"),
        Show("whole", "whole", "share", "All but at most one have a place"),
        Show("tied", "with ties", "share", "Two or more in one place"),
    ]
    text = f"{percent(whole)} of {total:,.0f} rankings are whole; {percent(tied)} have ties."
    return make_table("lists", frame, shows, caption=f"Rankings by how many {nouns} were shown", reading=text)


def _effects(part: Part) -> Table | None:
    """Readiness to tie by the size of the tie, and the scale of worst choices."""
    names = {spec.name for spec in part.fit.model.parameters}
    frames: list[pd.DataFrame] = []
    if "tie" in names:
        frame = part.fit.estimates("tie", level=part.level)
        frames.append(frame.assign(effect=[f"a tie of {size}" for size in frame["level"]], unit="log δ"))
    if "worst_scale" in names:
        frame = part.fit.estimates("population", level=part.level)
        frame = frame[frame["level"] == "worst_scale"]
        frames.append(frame.assign(effect="clarity of worst choices", unit="times that of best ones"))
    if not frames:
        return None
    shows = [
        Show("effect", "effect", "label"),
        Show("estimate", "estimate", "estimate", se="se"),
        Show("se", "SE", "se", se="se"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se"),
        Show("unit", "unit", "text"),
    ]
    reading = "At log δ = 0 so many equals tie as readily as one of them comes first." if "tie" in names else ""
    caption = "Ties" if "tie" in names else "Worst choices"
    return make_table("effects", pd.concat(frames, ignore_index=True), shows, caption=caption, reading=reading)


def _judges(part: Part, table: RankingTable, facet: str) -> Table:
    noun = noun_of(table, facet)
    frame = ranking_judges(part.fit, table, judge=facet).rename(columns={facet: "level"})
    if "judge_slope" in part.fit.parameters and facet == "judge":
        slopes = part.fit.estimates("judge_slope", level=part.level).set_index("level")["estimate"]
        frame = frame.join(slopes.rename("slope"), on="level")
    if table.is_best_worst or not frame["ties"].any():
        frame = frame.drop(columns="ties")
    frame = frame.sort_values(["tau_b", "n"], ascending=[True, False], ignore_index=True)
    shows = [
        Show("level", noun, "label"),
        Show("n", "choices" if table.is_best_worst else "rankings", "count"),
        Show("flag", "flag", "flag"),
        Show("tau_b", "agrees with the measures", "number", "Mean of Kendall's tau-b: 1 throughout, 0 at random; its "
             "own rankings are part of the measures"),
        Show("tau_expected", "expected", "number", "The same in rankings drawn from the fit"),
        Show("slope", "discrimination", "number", "How strongly its choices follow the measures; 1 on average"),
        Show("ties", "tied", "share", "Of the pairs in its rankings"),
    ]  # fmt: skip
    caption = f"{plural(noun).capitalize()}, the least agreeing with the measures first"
    return make_table(f"{facet}s", frame, shows, caption=caption, reading=_reading(frame, noun), most=_MOST)


def _reading(frame: pd.DataFrame, noun: str) -> str:
    known = frame[np.isfinite(frame["tau_b"])]
    if known.empty:
        return ""
    middle, least = (rounded(float(value), _TWO) for value in (known["tau_b"].median(), known["tau_b"].iloc[0]))
    flagged = int((frame["flag"] != "").sum())
    text = f"Kendall's tau-b with the measures is {middle}"
    if len(known) > 1:
        text += f" for the {noun} in the middle and {least} for {plain(known['level'].iloc[0], 40)}"
    return f"{text}. {flagged:,} of {numbered(len(frame), noun)} {'is' if flagged == 1 else 'are'} flagged."
