"""What one order of the items does not account for: pairs, favourites of judges, and circles."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psymetric.data.pairs import PairTable
from psymetric.diagnostics.cyclic_triples import CyclicTriples, cyclic_triples
from psymetric.diagnostics.pair_residuals import pair_residuals
from psymetric.plots.heat_map import draw_heat_map
from psymetric.reporting.evidence import Part
from psymetric.reporting.pair_records import has_outcomes
from psymetric.reporting.rounding import percent, plain, rounded
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Heading, Text, draw
from psymetric.reporting.wording import JUDGES, noun_of, numbered, plural

__all__ = ["departure_blocks"]

_DRAWN = 15
_LISTED, _CIRCLES = 12, 8
_ALPHA = 0.05
_INDEPENDENT = "p takes comparisons for independent, which those of one text or list are not."


def departure_blocks(part: Part) -> list[Block]:
    """Residuals of pairs and of items by judge, and the circular triads; nothing where ties count as half wins."""
    table = part.table
    if not isinstance(table, PairTable) or not has_outcomes(part) or len(table.levels["item"]) < 3:
        return []
    found = pair_residuals(part.fit, table, alpha=_ALPHA)
    blocks: list[Block] = [Heading("What one order does not account for"), *_pairs(part, table, found)]
    judges = [facet for facet in table.codes if facet in JUDGES and len(table.levels[facet]) > 1]
    blocks += [_favourites(part, table, facet) for facet in judges]
    return [*blocks, *_circles(part, cyclic_triples(table, fit=part.fit, by=None, limit=_CIRCLES))]


def _pairs(part: Part, table: PairTable, found: pd.DataFrame) -> list[Block]:
    flagged = int((found["flag"] != "").sum())
    noun = plural(noun_of(table, "item"))
    worst = found.iloc[0]
    names = f"{plain(worst['first'], 40)} against {plain(worst['second'], 40)}"
    score = f"{rounded_score(worst['score'])} of {worst['n']:,.0f}, {worst['expected']:,.1f} expected"
    text = (
        f"{_share(flagged, len(found))} pairs of {noun} that met came out beyond chance, all tested together at "
        f"{_ALPHA:g}; the least expected is {names}: {score}."
    )
    blocks: list[Block] = [Text((text,))]
    if len(table.levels["item"]) <= _DRAWN:
        blocks.append(_map(part, found, text))
    shows = [
        Show("first", "first", "label"),
        Show("second", "second", "label"),
        *_SHOWS,
    ]
    reading = f"Scores count wins and half the ties. {_INDEPENDENT} z says little where comparisons are few."
    blocks.append(
        make_table(
            "pair-residuals", found, shows, caption="Pairs, the least expected first", reading=reading, most=_LISTED,
            both_ends=False,
        )
    )  # fmt: skip
    return blocks


_SHOWS = (
    Show("n", "comparisons", "count"),
    Show("score", "score", "number", "Wins of the item and half its ties", digits=1),
    Show("expected", "expected", "number", "The same by the model", digits=1),
    Show("z", "z", "number", "Difference over its standard deviation"),
    Show("p", "p", "p", "Of one pair by itself"),
    Show("p_holm", "p of all", "p", "Adjusted for how many there are"),
    Show("flag", "flag", "flag"),
)


def rounded_score(score: float) -> str:
    """Wins with half ties: a decimal only where there is a half."""
    return f"{score:,.0f}" if float(score).is_integer() else f"{score:,.1f}"


def _share(flagged: int, whole: int) -> str:
    return f"None of {whole:,}" if not flagged else f"{flagged:,} of {whole:,}"


def _map(part: Part, found: pd.DataFrame, text: str) -> Figure:
    """Residuals as a matrix in the order of the measures."""
    labels = list(part.measures["level"])
    place = {label: index for index, label in enumerate(labels)}
    values, marked = np.full((len(labels), len(labels)), np.nan), np.zeros((len(labels), len(labels)), bool)
    for first, second, z, flag in found[["first", "second", "z", "flag"]].itertuples(index=False):
        i, j = place[first], place[second]
        values[i, j], values[j, i] = z, -z
        marked[i, j] = marked[j, i] = flag != ""
    return draw(
        lambda width: draw_heat_map(
            values,
            rows=[f"{index + 1}  {plain(label, 60)}" for index, label in enumerate(labels)],
            columns=[str(index + 1) for index in range(len(labels))],
            width=width,
            heading="z of the row against number",
            marked=marked,
            darkest=4.0,
        ),
        name="pair-residuals",
        title="Residuals of pairs",
        reading="Above zero the row won more than the fit expects. Framed: beyond chance, all tested together.",
        description=text,
    )


def _favourites(part: Part, table: PairTable, facet: str) -> Block:
    """Items that a judge prefers or rejects beyond the model."""
    found = pair_residuals(part.fit, table, by=facet, alpha=_ALPHA)
    flagged = found[found["flag"] != ""].reset_index(drop=True)
    noun, item = noun_of(table, facet), noun_of(table, "item")
    tested = f"combinations of {noun} and {item}, all tested together at {_ALPHA:g}"
    if flagged.empty:
        return Text((f"No {noun} prefers or rejects an {item} beyond chance: none of {len(found):,} {tested}.",))
    shows = [Show(facet, noun, "label"), Show("item", item, "label"), *_SHOWS]
    return make_table(
        f"{facet}-favourites",
        flagged,
        shows,
        caption=f"What a {noun} prefers or rejects beyond the measures",
        reading=f"{len(flagged):,} of {len(found):,} {tested}. {_INDEPENDENT}",
        most=_LISTED,
        both_ends=False,
    )


def _circles(part: Part, found: CyclicTriples) -> list[Block]:
    noun = plural(noun_of(part.table, "item"))
    if not found.n_triples:
        return [Text((f"No three {noun} have a majority in each of their pairs: transitivity cannot be judged.",))]
    triples = f"{numbered(found.n_triples, 'triple')} of {noun} with three majorities"
    foreseen = f"{found.lower:,.0f} to {found.upper:,.0f} in 95 of 100 simulations"
    if not found.n_cyclic:
        return [Text((f"None of {triples} goes round in a circle ({foreseen} under the fit).",))]
    text = (
        f"{found.n_cyclic:,} of {triples} go round in a circle ({percent(found.n_cyclic / found.n_triples)}). "
        f"{rounded(found.expected, found.sd)} are expected under the fit, {foreseen}. "
    )
    if found.p >= _ALPHA:
        return [Text((text + "That is no more than one order and chance would make.",))]
    text += (
        f"So many come about with probability {max(found.p, 1 / (found.draws + 1)):.3f} under it: one order does not "
        "serve all comparisons, or comparisons of the same texts hang together."
    )
    circles = found.cycles.assign(
        **{
            f"votes_{side}": [
                f"{rounded_score(won)} : {rounded_score(lost)}"
                for won, lost in found.cycles[[f"wins_{side}", f"losses_{side}"]].itertuples(index=False)
            ]
            for side in (1, 2, 3)
        }
    )
    shows = [
        Show("first", "first", "label"),
        Show("votes_1", "beats", "text"),
        Show("second", "second", "label"),
        Show("votes_2", "beats", "text"),
        Show("third", "third", "label"),
        Show("votes_3", "beats the first", "text"),
    ]
    caption = f"Circles whose weakest majority is the strongest; {found.n_cyclic:,} in all"
    return [Text((text,)), make_table("circles", circles, shows, caption=caption)]
