"""Consistency under swap: by hand, by a loop over questions, and on LLMBar's judgements in both orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

import psymetric as ps
from psymetric.errors import DataError


def table(rows: list[tuple[object, ...]], **more: object) -> ps.PairTable:
    frame = pd.DataFrame(rows, columns=["a", "b", "winner", "judge", "prompt", "n"][: len(rows[0])])
    given = {name: name for name in ("judge",) if name in frame} | ({"weight": "n"} if "n" in frame else {})
    facets = ("prompt",) if "prompt" in frame else ()
    return ps.PairTable.from_frame(frame, left="a", right="b", outcome="winner", facets=facets, **given, **more)


HAND = [
    ("x", "y", "x", "j", 1),  # the same winner both times
    ("y", "x", "x", "j", 1),
    ("x", "y", "left", "j", 2),  # the first shown both times
    ("y", "x", "left", "j", 2),
    ("x", "y", "right", "j", 3),  # the second shown both times
    ("y", "x", "right", "j", 3),
    ("x", "y", "tie", "j", 4),  # a tie both times
    ("y", "x", "tie", "j", 4),
    ("x", "y", "tie", "j", 5),  # a win beside a tie
    ("y", "x", "y", "j", 5),
    ("x", "y", "x", "j", 6),  # one order only
    ("x", "y", "x", "k", 1),  # another judge
    ("y", "x", "x", "k", 1),
    ("y", "z", "y", "l", 1),
]


def test_by_hand() -> None:
    found = ps.swap_consistency(table(HAND)).set_index("group")
    one = found.loc["j"]
    assert (one["n"], one["n_one_order"]) == (5, 1)
    assert one[["strict", "direction", "mixed", "first", "second"]].tolist() == pytest.approx([0.4, 0.6, 0.2, 0.2, 0.2])
    assert tuple(one[["strict_lower", "strict_upper"]]) == pytest.approx(proportion_confint(2, 5, method="wilson"))
    whole = found.loc[[None]].iloc[0]
    assert (whole["n"], whole["n_one_order"], whole["strict"]) == (6, 2, 0.5)
    assert np.isnan(found.loc["l", "strict"])
    assert found.loc["l", "note"] == "no question has outcomes in both orders"


def test_repeats_and_weights_are_shares_of_a_question() -> None:
    # In one order x wins 2 of 3, in the other 1 of 4, one of these a tie: strict 2/3·1/4 + 1/3·2/4.
    rows = [("x", "y", "x", "j", 1, 2.0), ("x", "y", "y", "j", 1, 1.0)]
    rows += [("y", "x", "x", "j", 1, 1.0), ("y", "x", "y", "j", 1, 2.0), ("y", "x", "tie", "j", 1, 1.0)]
    rows += [("x", "y", "x", "j", 2, 1.0), ("y", "x", "x", "j", 2, 1.0), ("x", "z", "x", "j", 1, 0.0)]
    one = ps.swap_consistency(table(rows), by=None).iloc[0]
    assert one["n"] == 2
    assert one["n_one_order"] == 0  # a row of no weight asks nothing
    assert one["strict"] == pytest.approx((1 + 2 / 12 + 2 / 12) / 2)
    assert one["first"] == pytest.approx(2 / 3 * 2 / 4 / 2)
    assert one["second"] == pytest.approx(1 / 3 * 1 / 4 / 2)
    assert one["direction"] == pytest.approx(one["strict"] + one["mixed"])


def test_a_loop_over_questions_agrees() -> None:
    rng = np.random.default_rng(5)
    rows = [
        (*rng.permutation(list("uvwx"))[:2], rng.choice(["left", "right", "tie"]), f"j{rng.integers(3)}", int(q))
        for q in rng.integers(0, 6, 900)
    ]
    found = ps.swap_consistency(table(rows), unit="prompt").set_index("group")
    for judge in ("j0", "j1", "j2"):
        asked: dict[tuple[object, ...], dict[bool, list[str]]] = {}
        for a, b, outcome, who, prompt in rows:
            if who == judge:
                winner = {"left": a, "right": b, "tie": "tie"}[outcome]
                asked.setdefault((min(a, b), max(a, b), prompt), {}).setdefault(a < b, []).append(winner)
        both = [orders for orders in asked.values() if len(orders) == 2]
        strict = [np.mean([one == other for one in q[True] for other in q[False]]) for q in both]
        turned = [
            np.mean([one != other and "tie" not in (one, other) for one in q[True] for other in q[False]]) for q in both
        ]
        assert found.loc[judge, "n"] == len(both) > 20
        assert found.loc[judge, "strict"] == pytest.approx(np.mean(strict))
        assert found.loc[judge, "direction"] == pytest.approx(1 - np.mean(turned))


def test_unit_decides_what_is_the_same_question() -> None:
    rows = [("x", "y", "x", "j", 1), ("y", "x", "x", "j", 2)]
    assert ps.swap_consistency(table(rows), unit=()).iloc[0]["strict"] == 1
    with pytest.raises(
        DataError, match=r"none of 2 questions \(two items and 'judge', 'prompt'\) has outcomes in both"
    ):
        ps.swap_consistency(table(rows))


def test_an_order_without_an_outcome_leaves_the_question_out() -> None:
    rows = [*HAND[:2], ("x", "y", None, "j", 9), ("y", "x", "x", "j", 9)]
    one = ps.swap_consistency(table(rows)).iloc[0]
    assert (one["n"], one["n_one_order"]) == (1, 1)


def test_bad_input_is_named() -> None:
    pairs = table(HAND)
    with pytest.raises(DataError, match="swap_consistency: unit='promt' is no facet of the comparisons; did you mean"):
        ps.swap_consistency(pairs, unit="promt")
    with pytest.raises(DataError, match="swap_consistency: by='item' is no facet of the comparisons; there are"):
        ps.swap_consistency(pairs, by="item")
    with pytest.raises(DataError, match=r"swap_consistency: level=1 is not a coverage"):
        ps.swap_consistency(pairs, level=1)
    with pytest.raises(DataError, match="swap_consistency: the ties of this table count as half wins"):
        ps.swap_consistency(pairs.ties_as_half_wins())
    with pytest.raises(DataError, match="swap_consistency: reads comparisons, a PairTable; got DataFrame"):
        ps.swap_consistency(pairs.to_frame())


@pytest.mark.shared_data
def test_llmbar_as_published(shared_data: Path) -> None:
    """GPT-4 with the vanilla prompt without rules; Zeng et al. (2024) print 97.0, 90.2 and 87.2% for these subsets."""
    found = pd.read_csv(shared_data / "llmbar" / "llmbar_judgments.csv.gz")
    last = found.groupby(["subset", "item", "evaluator", "method"])["stage"].transform("max")
    mine = found[(found["stage"] == last) & (found["evaluator"] == "GPT-4") & (found["method"] == "Vanilla_NoRules")]
    first = mine["key"].map({"swap = False": "1", "swap = True": "2"})
    votes = pd.DataFrame({"a": first, "b": first.map({"1": "2", "2": "1"}), "subset": mine["subset"]})
    votes = votes.assign(winner=mine["value"].map("{:.0f}".format), question=mine["subset"] + mine["item"].astype(str))
    pairs = ps.PairTable.from_frame(votes, left="a", right="b", outcome="winner", facets=("subset", "question"))
    frame = ps.swap_consistency(pairs, by="subset").set_index("group")
    printed = {"Natural": 97.0, "Adversarial/GPTInst": 90.2, "Adversarial/GPTOut": 87.2}
    assert (100 * frame["strict"].loc[list(printed)]).round(1).to_dict() == printed
    assert frame["direction"].equals(frame["strict"])  # no ties
