"""Candidates by a simplex judge: their mean levels, their ranks, and who is above whom."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.plots.pairwise_probabilities import draw_pairwise_probabilities
from psymetric.plots.rank_probabilities import draw_rank_probabilities
from psymetric.reporting.rounding import percent, plain, rounded, typical_se
from psymetric.reporting.section_leaderboard import rank_interval
from psymetric.reporting.simplex_evidence import SimplexEvidence
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, KeyFigure, Section, Table, draw
from psymetric.reporting.wording import numbered, plural
from psymetric.scoring.ranks import rank_probabilities

__all__ = ["candidates_figure", "candidates_section", "order_figure"]

_DOTS: Final = 24
_MATRIX: Final = 20


def candidates_figure(evidence: SimplexEvidence) -> Figure:
    """Mean level of each candidate with its interval."""
    frame = evidence.candidates
    kept = frame if len(frame) <= _DOTS else pd.concat([frame.head(_DOTS // 2), frame.tail(_DOTS // 2)])
    se = typical_se(frame["se"])
    open_pairs = evidence.open_pairs
    unsettled = {*open_pairs["first"], *open_pairs["second"]}
    rows = [
        IntervalRow(
            plain(row["level"], 60),
            row["estimate"],
            row["lower"],
            row["upper"],
            rounded(row["estimate"], se),
            marked=row["level"] in unsettled,
        )
        for row in kept.to_dict("records")
    ]
    ends = f"{evidence.values[0]:g} to {evidence.values[-1]:g}"
    text = f"Posterior mean level with {evidence.level:.0%} intervals, under the prior of this fit; from {ends}."
    if any(row.marked for row in rows):
        text += " Open dots: the labels do not identify the order with some other, and intervals do not show that."
    return draw(
        lambda width: draw_intervals(rows, width=width, axis="mean true level", skipped=len(frame) - len(kept)),
        name="measures",
        title=f"Mean levels of {numbered(len(frame), evidence.noun)}",
        reading=text,
        description=f"{text} {'; '.join(f'{row.label} {row.value}' for row in rows[:10])}",
        wide=560,
    )


def order_figure(evidence: SimplexEvidence) -> KeyFigure:
    """How many pairs have an order that stands."""
    pairs = evidence.pairs
    total = numbered(len(pairs), "pair")
    if evidence.sensitivity is not None:
        count = int((pairs["label"] == "robust").sum())
        cells = evidence.sensitivity.cells
        text = (
            f"{count:,} of {total} keep one order under every one of {numbered(int(cells['usable'].sum()), 'prior')}."
        )
        return KeyFigure("Robust pairs", percent(count / len(pairs)), text)
    count = int((pairs["p_above"] >= 0.95).sum())
    text = f"{count:,} of {total} have an order of probability .95 or more under the prior of this fit."
    if not evidence.rests_on_margins:
        return KeyFigure("Ordered pairs", percent(count / len(pairs)), text)
    text += " Other priors were not tried."
    if evidence.identified is None:
        return KeyFigure("Pairs of known order", "–", f"What the labels identify was not computed. {text}")
    value = f"{len(evidence.open_pairs):,} of {len(pairs):,}"
    return KeyFigure("Pairs not identified", value, f"The labels leave their order open, whatever their number. {text}")


def candidates_section(evidence: SimplexEvidence) -> Section:
    """The table, who is above whom, and ranks."""
    blocks: list[Block] = [_table(evidence)]
    if len(evidence.candidates) > 1:
        blocks += [_above(evidence), _ranks(evidence)]
    return Section("scores", f"The {plural(evidence.noun)}", tuple(blocks))


def _table(evidence: SimplexEvidence) -> Table:
    frame = evidence.candidates
    frame = frame.assign(rank_interval=rank_interval(frame))
    shows = [
        Show("level", evidence.noun, "label"),
        Show("estimate", "mean level", "se", "Posterior mean of the true levels", se="se"),
        Show("se", "SD", "se", "Posterior standard deviation", se="se"),
        Show("lower", f"{evidence.level:.0%} interval", "range", upper="upper", se="se"),
        Show("labels", "mean label", "se", "Plain mean of its labels, as they were given", se="se"),
        Show("rank", "rank", "count"),
        Show("rank_interval", "rank interval", "text"),
        Show("p_best", "P(best)", "probability", "Probability of being the highest of all"),
        Show("n", "labels", "count"),
    ]
    caption = f"{plural(evidence.noun).capitalize()}, from high to low"
    reading = "Everything here is under the prior of this fit; what other priors say stands below where it was tried."
    return make_table("scores", frame, shows, caption=caption, reading=reading)


def _above(evidence: SimplexEvidence) -> Figure:
    above = evidence.above.to_numpy(np.float64, copy=True)[:_MATRIX, :_MATRIX]
    np.fill_diagonal(above, np.nan)
    names = [plain(name, 60) for name in evidence.above.index[:_MATRIX]]
    text = (
        f"How sure it is that the row's mean level lies above the column's, under the prior of this fit: {names[0]} "
        f"above {names[1]} with {above[0, 1]:.2f}."
    )
    return draw(
        lambda width: draw_pairwise_probabilities(above, names, width=width, total=len(evidence.above)),
        name="above",
        title="Probability that the row is above the column",
        reading=text,
    )


def _ranks(evidence: SimplexEvidence) -> Figure:
    frame = rank_probabilities(evidence.scores)
    chances = frame.to_numpy(np.float64)[:_MATRIX, :_MATRIX]
    names = [plain(name, 60) for name in frame.index[:_MATRIX]]
    return draw(
        lambda width: draw_rank_probabilities(chances, names, width=width, total=len(frame)),
        name="ranks",
        title="Probability of every rank",
        reading="How likely every rank is, under the prior of this fit.",
    )
