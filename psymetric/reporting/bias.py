"""Where a judge treats one item unlike the others: joint departures, screened after the fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.bias import bias_analysis
from psymetric.plots.bias_map import draw_bias_map, lay_out
from psymetric.reporting.evidence import Part
from psymetric.reporting.rounding import plain, signed
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Heading, Text, draw
from psymetric.reporting.wording import noun_of

__all__ = ["bias_blocks", "bias_figure"]

_CELLS = 2_000
_ROWS = 12
_ALPHA = 0.05


def bias_blocks(part: Part, facet: str, number: int) -> list[Block]:
    """Departures of a facet with the items, the most certain first; nothing where they were fitted, or are too many."""
    levels = part.fit.levels
    if not isinstance(part.table, ResponseTable) or "item" not in part.facets:
        return []
    pair = {f"{facet}:item", f"item:{facet}"} & set(part.fit.parameters)
    sizes = len(levels[facet]), len(levels["item"])
    if pair or min(sizes) < 2 or sizes[0] * sizes[1] > _CELLS:
        return []
    if part.has_ideal:
        text = (
            "Departures of single combinations are left out: answers follow the ideal category of each "
            f"{noun_of(part.table, 'item')}, which takes in what its judges have in common."
        )
        return [Text((text,), quiet=True)]
    frame = bias_analysis(part.fit, part.table, facet, "item")
    frame = frame.sort_values("t", key=lambda t: -t.abs(), ignore_index=True, na_position="last")
    sure = int((frame["p_holm"] < _ALPHA).sum())
    judge, item = noun_of(part.table, facet), noun_of(part.table, "item")
    if sure:
        first = frame.iloc[0]
        way = "more severe" if first["estimate"] > 0 else "more lenient"
        text = (
            f"{sure} of {len(frame):,} combinations depart by more than chance allows (Holm-adjusted p below .05); "
            "the surest: "
            f"{plain(first[facet], 40)} is {way} on {plain(first['item'], 40)} than both alone say."
        )
    else:
        text = f"None of {len(frame):,} combinations departs by more than chance allows (Holm-adjusted p below .05)."
    shows = [
        Show(facet, judge, "label"),
        Show("item", item, "label"),
        Show("n", "answers", "count"),
        Show("estimate", "departure", "estimate", "Logits; positive: more severe than both alone say", se="se"),
        Show("se", "SE", "se", se="se"),
        Show("t", "t", "number", digits=1),
        Show("p_holm", "adjusted p", "p", "Two-sided, adjusted for the number of combinations after Holm"),
        Show("note", "note", "text"),
    ]
    suffix = "" if part.label is None else f"-{number}"
    table = make_table(
        f"bias-{facet}{suffix}",
        frame,
        shows,
        caption="Departures from what both alone say, the surest first",
        most=_ROWS,
        both_ends=False,
    )
    sure_cells = (frame["p_holm"] < _ALPHA).to_numpy(bool)
    figure = bias_figure(frame, (facet, "item"), sure_cells, name=f"bias-{number}-{facet}", reading=text)
    return [Heading(f"{judge.capitalize()} by {item}"), figure, table]


def bias_figure(
    frame: pd.DataFrame,
    facets: tuple[str, str],
    sure: NDArray[np.bool_],
    *,
    name: str,
    reading: str,
    strength: str = "t",
) -> Figure:
    """The departures of two facets as a map.

    Args:
        frame: One row per cell: both facets' labels, estimate, and the column `strength`.
        facets: The two.
        sure: Rows to frame.
        name: Unique within the page.
        reading: What to see.
        strength: Estimates over their errors.
    """
    first = frame.iloc[0]
    pair = " with ".join(plain(first[facet], 40) for facet in facets)
    text = (
        f"{reading} Framed cells are beyond chance; warm ones are more severe or harder than both alone say, cool ones "
        "more lenient or easier."
    )
    return draw(
        lambda width: draw_bias_map(lay_out(frame, *facets, sure=sure, strength=strength, width=width), width=width),
        name=name,
        title=f"Joint departures of {facets[0]} and {facets[1]}",
        reading=text,
        description=f"{text} The surest is {pair}: {signed(first['estimate'], 0.1)}.",
    )
