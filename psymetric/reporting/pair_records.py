"""The judges of comparisons: how each judges, whom it agrees with, and what it says when the items change places."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psymetric.data.pairs import PairTable
from psymetric.diagnostics.pair_judges import PairJudges, pair_judges
from psymetric.diagnostics.swap_consistency import swap_consistency
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.reporting.evidence import Part
from psymetric.reporting.rounding import joined, percent
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Table, Text
from psymetric.reporting.wording import JUDGES, noun_of, numbered, plural

__all__ = ["has_outcomes", "judge_blocks"]

_MOST = 40


def has_outcomes(part: Part) -> bool:
    """Whether the fit gives every row a probability: ties that count as half wins have none."""
    return isinstance(part.fit.model, BradleyTerry) and "comparison" not in part.table.codes


def judge_blocks(part: Part) -> list[Block]:
    """Tables for each facet of judges; a sentence where ties count as half wins."""
    table = part.table
    facets = [facet for facet in table.codes if facet in JUDGES]
    if not isinstance(table, PairTable) or not facets:
        return []
    if not has_outcomes(part):
        nouns = joined(plural(noun_of(table, facet)) for facet in facets)
        return [
            Text((f"Ties count as half wins, which have no probability under a model: nothing is said of {nouns}.",))
        ]
    blocks: list[Block] = []
    for facet in facets:
        found = pair_judges(part.fit, table, judge=facet, level=part.level)
        blocks += _tables(part, found)
        if found.frame["n_swapped"].any():
            blocks.append(_swaps(part, table, found))
    return blocks


def _tables(part: Part, found: PairJudges) -> list[Table]:
    """How the judges judge; then, where questions are shared or asked twice, how far their answers agree."""
    facet, noun = found.facet, noun_of(part.table, found.facet)
    frame = found.frame.rename(columns={facet: "level"})
    if not frame["ties"].any():
        frame = frame.drop(columns="ties")
    frame["passed"] = frame["flag"] == ""
    frame = frame.sort_values(["passed", "consensus", "n"], ascending=[True, True, False], ignore_index=True)
    frame = frame.drop(columns="passed")
    caption = f"{plural(noun).capitalize()}, those flagged first, then the least agreeing with the measures"
    judging = make_table(
        f"{facet}s",
        frame,
        _judging(noun),
        caption=caption,
        reading=_reading(frame, noun),
        most=_MOST,
        both_ends=False,
    )
    if not frame[["agreement", "swap_strict"]].notna().any(axis=None):
        return [judging]
    answers = frame[["level", "n", "n_shared", "agreement", "kappa", "n_swapped", "swap_strict", "swap_expected"]]
    answers = answers.sort_values(["agreement", "swap_strict"], ignore_index=True)
    whom = f"How far the answers of each {noun} agree, the least first"
    return [judging, make_table(f"{facet}-agreement", answers, _agreeing(noun), caption=whom, most=_MOST)]


def _judging(noun: str) -> list[Show]:
    return [
        Show("level", noun, "label"),
        Show("n", "comparisons", "count"),
        Show("flag", "flag", "flag"),
        Show("ties", "tied", "percent"),
        Show("slope", "discrimination", "number", "How strongly its choices follow the measures; 1 on average"),
        Show("position", "first helps", "estimate", "Logits for the item shown first", se="position_se"),
        Show("first", "chose the first", "percent", "Of the decided comparisons"),
        Show("consensus", "with the measures", "percent", "Decided for the item with the higher measure; its own "
             "answers are part of these"),
        Show("consensus_expected", "expected", "percent", "The same by the model, given what it compared"),
        Show("infit", "infit", "number", "Mean square weighted by information; 1 is expected, above 1 noisier"),
    ]  # fmt: skip


def _agreeing(noun: str) -> list[Show]:
    return [
        Show("level", noun, "label"),
        Show("n_shared", "shared", "count", f"Questions that another {noun} answered too"),
        Show("agreement", "agrees with others", "share", f"With each other {noun} on the same question"),
        Show("kappa", "beyond chance", "number", "The same less what coin tossing at these rates of ties would give, "
             "over the most there could be"),
        Show("n_swapped", "in both orders", "count", "Questions asked in both orders"),
        Show("swap_strict", "same answer", "share", "Of the questions asked in both orders"),
        Show("swap_expected", "by the model", "percent", "The same, were the two answers independent"),
    ]  # fmt: skip


def _reading(frame: pd.DataFrame, noun: str) -> str:
    known = frame["consensus"].dropna()
    words: list[str] = []
    if len(known) > 1:
        middle = percent(float(np.median(known)))
        words.append(
            f"Half of the {plural(noun)} decide for the higher measure in at least {middle} of what they decide."
        )
    flagged = int((frame["flag"] != "").sum())
    if flagged:
        words.append(f"{flagged:,} of {numbered(len(frame), noun)} {'is' if flagged == 1 else 'are'} flagged.")
        words.append("A flag says where to look, not why.")
    else:
        words.append(f"None of {numbered(len(frame), noun)} is flagged.")
    return " ".join(words)


def _swaps(part: Part, table: PairTable, found: PairJudges) -> Text:
    """Consistency under swap of all questions together."""
    row = swap_consistency(table, unit=found.unit, by=found.facet, level=part.level).iloc[0]
    noun, asked = noun_of(table, found.facet), found.frame[found.frame["n_swapped"] > 0]
    expected = float(np.average(asked["swap_expected"], weights=asked["n_swapped"]))
    text = (
        f"{row['n']:,.0f} questions were put in both orders to the same {noun}: the answer was the same in "
        f"{percent(row['strict'])} ({part.level:.0%} interval {percent(row['strict_lower'])} to "
        f"{percent(row['strict_upper'])}); two independent answers would be the same in {percent(expected)} under the "
        f"fit. The first shown won both times in {percent(row['first'])}, the second in "
        f"{percent(row['second'])}"
    )
    text += f", and a tie stood beside a win in {percent(row['mixed'])}." if row["mixed"] else "."
    return Text((f"{text} The interval takes questions for independent.",))
