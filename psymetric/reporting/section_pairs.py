"""Paired comparisons: who is preferred to whom, what the position does, and how the judges use it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from psymetric.data.pairs import PairTable
from psymetric.plots.matrix import draw_matrix
from psymetric.reporting.chances import between_equals, chances_of, first_share
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.pair_departures import departure_blocks
from psymetric.reporting.pair_records import judge_blocks
from psymetric.reporting.rounding import percent, plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Section, Table, draw
from psymetric.reporting.wording import noun_of, plural

__all__ = ["pairs_section", "preference", "preference_figure"]

_MATRIX = 15


def pairs_section(evidence: Evidence) -> Section | None:
    """The matrix of preference, the scalar effects, the judges, and what one order does not account for."""
    part = evidence.first
    if not isinstance(part.table, PairTable):
        return None
    blocks: list[Block] = [preference_figure(part, preference), _record(part)]
    effects = _effects(part)
    if effects:
        blocks.append(effects)
    blocks += [*judge_blocks(part), *departure_blocks(part)]
    return Section("pairs", "Who is preferred to whom", tuple(blocks))


def preference(part: Part, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Probability that the row's item is preferred to the column's once, half of a tie counted, in neutral order."""
    worth = part.measures["estimate"].to_numpy(dtype=float)[chosen]
    chances = chances_of(part, (worth[:, None] - worth[None]).ravel(), 0.0).reshape(len(worth), len(worth), -1)
    table = chances[..., 0] + chances[..., 2:].sum(axis=2) / 2
    np.fill_diagonal(table, np.nan)
    return table


def preference_figure(part: Part, chances: Callable[[Part, NDArray[np.intp]], NDArray[np.float64]]) -> Figure:
    """The matrix of preferences of the first to the last, from the chances of those chosen."""
    known = part.comparisons.known
    kept = known if len(known) <= _MATRIX else known[np.linspace(0, len(known) - 1, _MATRIX).round().astype(int)]
    table = chances(part, kept)
    names = [plain(part.measures["level"].iloc[index], 60) for index in kept]
    noun = plural(noun_of(part.table, "item"))
    cut = (
        ""
        if len(kept) == len(known)
        else f" {len(kept)} of {len(known):,} {noun} are shown, evenly from the first to the last."
    )
    text = (
        f"How often the row is preferred to the column in one comparison, ties counted half: {names[0]} to {names[-1]} "
        f"{percent(float(table[0, -1]))} of the time.{cut}"
    )
    return draw(
        lambda width: draw_matrix(
            table,
            rows=[f"{index + 1}  {label}" for index, label in enumerate(names)],
            columns=[str(index + 1) for index in range(len(names))],
            width=width,
            heading="preferred to number",
        ),
        name="preference",
        title="Probability that the row is preferred to the column",
        reading=text,
    )


def _record(part: Part) -> Table:
    frame = part.table.counts("item").set_index("level").reindex(part.measures["level"]).reset_index()
    frame["score"] = (frame["wins"] + frame["ties"] / 2) / frame["weight"].where(frame["weight"] > 0)
    frame = frame.drop(columns=[name for name in ("ties", "missing") if not frame[name].any()])
    shows = [
        Show("level", noun_of(part.table, "item"), "label"),
        Show("weight", "comparisons", "count"),
        Show("wins", "won", "count"),
        Show("losses", "lost", "count"),
        Show("ties", "tied", "count"),
        Show("score", "won, ties half" if "ties" in frame.columns else "share won", "share"),
        Show("missing", "missing", "count"),
    ]
    return make_table(
        "record", frame, shows, caption="Raw record; it depends on who was met, the measures do not", most=120
    )


def _effects(part: Part) -> Table | None:
    frame = part.fit.estimates("population", level=part.level)
    frame = frame[frame["level"].isin(["position", "tie"])].reset_index(drop=True)
    if frame.empty:
        return None
    words = {"position": "being shown first", "tie": "readiness to tie"}
    meaning: list[str] = []
    for row in frame.to_dict("records"):
        if row["level"] == "position":
            share = first_share(part, row["estimate"])
            meaning.append(f"against an equal, the first wins {percent(share)} of decided comparisons")
        else:
            meaning.append(f"equals tie in {percent(between_equals(part, 0.0)[-1])} of comparisons")
    frame = frame.assign(effect=[words[name] for name in frame["level"]], meaning=meaning)
    shows = [
        Show("effect", "effect", "label"),
        Show("estimate", "estimate", "estimate", "Logits", se="se"),
        Show("se", "SE", "se", se="se"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se"),
        Show("meaning", "that is", "text"),
    ]
    reading = (
        ""
        if "position" in set(frame["level"])
        else "The model has no effect of position: were the first shown favoured, the measures would carry it where "
        "the order was not balanced."
    )
    return make_table("effects", frame, shows, caption="Position and ties", reading=reading)
