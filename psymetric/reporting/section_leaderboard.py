"""The leaderboard of compared items: where each stands, how often it wins, and how sure the order is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.plots.pairwise_probabilities import draw_pairwise_probabilities
from psymetric.plots.rank_probabilities import draw_rank_probabilities
from psymetric.reporting.evidence import Part
from psymetric.reporting.rounding import percent, plain, probability, two_digits
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Figure, Table, draw
from psymetric.reporting.wording import noun_of, plural
from psymetric.scoring.elo import elo_scale
from psymetric.scoring.ranks import p_best, rank_probabilities
from psymetric.scoring.win_rates import win_rates

__all__ = ["above_figure", "leaderboard_tables", "rank_interval", "ranks_figure"]

_MATRIX = 20
_ELO = 1000.0


def leaderboard_tables(part: Part, *, key: str = "scores") -> list[Table]:
    """Every item with its worth, its rating and the ranks it may have; then how often it wins, where that is known.

    The file behind the first has the columns of both.
    """
    noun = noun_of(part.table, "item")
    frame = _leaderboard(part).rename(columns={"level": noun})
    shows = [
        Show(noun, noun, "label"),
        Show("rank", "rank", "count"),
        Show("rank_interval", "rank interval", "text"),
        Show("estimate", "worth", "estimate", "Estimate in logits; the mean of all is 0", se="se"),
        Show("se", "SE", "se", "Standard error in logits", se="se"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se"),
        Show("elo", "Elo", "se", f"Worth in Elo points; the mean of all is {_ELO:,.0f}", se="elo_se"),
        Show("p_best", "P(best)", "probability", "Probability of being the highest of all"),
        Show("tier", "tier", "count"),
        Show("infit", "infit", "number", "Mean square of residuals weighted by information; 1 is expected"),
        Show("outfit", "outfit", "number", "Mean square of standardised residuals; 1 is expected"),
        Show("remark", "remark", "flag"),
    ]
    caption = f"Leaderboard of the {plural(noun)}, from high to low"
    board = make_table(key, frame, shows, caption=caption)
    return [board, _wins(part, frame, noun)] if "win_rate" in frame.columns else [board]


def _wins(part: Part, frame: pd.DataFrame, noun: str) -> Table:
    """Win rates by the model beside those observed."""
    controlled = [name.replace("_", " ") for name in getattr(part.fit.model, "contest", ())]
    equal = f"; at equal {' and '.join(controlled)}" if controlled else ""
    shows = [
        Show(noun, noun, "label"),
        Show(
            "win_rate",
            "win rate",
            "share",
            f"Against every other once in each order, ties half{equal}; by the model",
        ),
        Show("win_range", f"{part.level:.0%} interval", "text"),
        Show("uncontrolled", "uncontrolled", "percent", "The same at the differences that the items usually have"),
        Show("observed", "observed", "percent", "Of its own comparisons, ties half; it depends on who was met"),
        Show("n", "comparisons" if part.is_pairs else "rankings", "count"),
    ]
    kept = [noun, "win_rate", "win_se", "win_lower", "win_upper", "win_range", "uncontrolled", "observed", "n"]
    return make_table(
        "win-rates",
        frame[[name for name in kept if name in frame.columns]],
        shows,
        caption=f"How often each {noun} is preferred to another",
        reading=_reading(part, frame, noun, controlled),
    )


def _leaderboard(part: Part) -> pd.DataFrame:
    """The measures with what belongs beside them; columns that the fit cannot give are left out."""
    frame = part.measures.drop(columns=["note"], errors="ignore")
    elo = elo_scale(part.fit, at=_ELO, level=part.level).frame.set_index("level")
    frame = frame.join(elo[["rating", "se"]].set_axis(["elo", "elo_se"], axis=1), on="level")
    if "rank" in frame.columns:
        frame = frame.join(p_best(part.source).set_index("level")["p_best"], on="level")
        frame["rank_interval"] = rank_interval(frame)
    frame = _with_win_rates(part, frame)
    flags = frame["flag"].fillna("").astype(str) if "flag" in frame.columns else pd.Series("", index=frame.index)
    extreme = ["extreme score" if mark else "" for mark in frame.pop("extreme")]
    frame["remark"] = [", ".join(filter(None, pair)) for pair in zip(flags, extreme, strict=True)]
    return frame


def _with_win_rates(part: Part, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with win rates, where the model has them and its uncertainty is known."""
    table = part.table if isinstance(part.table, PairTable) else None
    try:
        rates = win_rates(part.fit, level=part.level, table=table).set_index("level").drop(columns="n", errors="ignore")
    except DataError:
        return frame
    rates = rates.rename(columns={"se": "win_se", "lower": "win_lower", "upper": "win_upper"})
    frame = frame.join(rates, on="level")
    ends = zip(frame["win_lower"], frame["win_upper"], strict=True)
    return frame.assign(win_range=[f"{percent(low)} to {percent(high)}" for low, high in ends])


def rank_interval(frame: pd.DataFrame) -> list[str]:
    """The range of ranks of each row, in words; nothing where there is none."""
    ends = zip(frame["rank_lower"], frame["rank_upper"], strict=True)
    return [
        "" if pd.isna(low) or pd.isna(high) else f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
        for low, high in ends
    ]


def _reading(part: Part, frame: pd.DataFrame, noun: str, controlled: list[str]) -> str:
    if not len(part.comparisons.known):
        return ""
    first = frame.iloc[int(part.comparisons.known[0])]
    name = plain(first[noun], 40)
    text = f"{name} would win {percent(first['win_rate'])} ({first['win_range']}) of comparisons with every other"
    if controlled:
        text += f" at equal {' and '.join(controlled)}, {percent(first['uncontrolled'])} without that control"
    if len(frame) > 1 and np.isfinite(first.get("observed", np.nan)):
        text += f"; it won {percent(first['observed'])} of those it had"
    return f"{text}, ties counted half."


def ranks_figure(part: Part, name: str) -> Figure:
    """Probability of every rank, for the first."""
    known = part.comparisons.rankable
    labels = part.measures["level"].iloc[known[:_MATRIX]].tolist()
    chances = rank_probabilities(part.source).loc[labels].to_numpy(dtype=float)[:, :_MATRIX]
    noun = plural(noun_of(part.table, part.noun))
    text = (
        f"How likely each rank is: strong cells on the diagonal mean a settled order. {plain(labels[0], 40)} is first "
        f"with probability {two_digits(float(chances[0, 0]))}.{_cut(part)}"
    )
    return draw(
        lambda width: draw_rank_probabilities(chances, [plain(label, 60) for label in labels], width=width),
        name=name,
        title=f"Probability of each rank for {len(labels)} {noun}",
        reading=text,
    )


def above_figure(part: Part, name: str) -> Figure:
    """Probability that one measures above another, for the first."""
    chosen = part.comparisons.rankable[:_MATRIX]
    above = part.comparisons.matrix(chosen)
    labels = [plain(label, 60) for label in part.measures["level"].iloc[chosen]]
    noun = plural(noun_of(part.table, part.noun))
    text = (
        f"How sure the order of two is, by all data: {labels[0]} measures above {labels[1]} with probability "
        f"{probability(float(above[0, 1]))}. Pale cells right of the diagonal are open.{_cut(part)}"
    )
    return draw(
        lambda width: draw_pairwise_probabilities(above, labels, width=width),
        name=name,
        title=f"Probability that one measures above the other, for {len(labels)} {noun}",
        reading=text,
    )


def _cut(part: Part) -> str:
    count = len(part.comparisons.rankable)
    return "" if count <= _MATRIX else f" The first {_MATRIX} of {count:,} are shown."
