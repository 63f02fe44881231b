"""Designs of comparisons: exact counts, and errors that the fit confirms."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DesignError


def met_by(design: ps.PairDesign) -> dict[frozenset[Any], int]:
    rows = zip(design.frame["left"], design.frame["right"], strict=True)
    return pd.Series([frozenset(row) for row in rows]).value_counts().to_dict()


@pytest.mark.parametrize("n_items", [2, 7, 10])
def test_round_robin_asks_every_pair_equally_often(n_items: int) -> None:
    design = ps.round_robin(range(n_items), repeats=3, seed=1)
    assert met_by(design) == {frozenset(pair): 3 for pair in combinations(range(n_items), 2)}
    assert (design.items["comparisons"] == 3 * (n_items - 1)).all()
    assert (design.items["left"] - design.items["right"]).abs().max() <= 1
    # Closed form: the information is 3/4 (n I - 1 1'), its pseudo-inverse (I - 1 1'/n) 4/(3 n).
    expected = np.sqrt((n_items - 1) / n_items * 4 / (3 * n_items))
    np.testing.assert_allclose(design.items["se"], expected, rtol=1e-12)
    assert design.difference_se == pytest.approx(np.sqrt(2 * 4 / (3 * n_items)))
    assert design.a_efficiency == pytest.approx(1)
    assert design.d_efficiency == pytest.approx(1)
    assert design.algebraic_connectivity == pytest.approx(3 * n_items)


@pytest.mark.parametrize("n_items", [9, 12])
def test_any_beginning_of_a_round_robin_is_balanced(n_items: int) -> None:
    frame = ps.round_robin(range(n_items), seed=4).frame
    for rows in range(1, len(frame)):
        often = frame.iloc[:rows].stack().value_counts().reindex(range(n_items), fill_value=0)
        # Within a round some have had their turn; items odd in number miss one round in their turn.
        assert often.max() - often.min() <= 1 + n_items % 2


@pytest.mark.parametrize(("n_items", "per_item"), [(8, 3), (9, 4), (30, 5), (6, 2), (2, 1), (20, 17)])
def test_linked_pairs_are_regular_connected_and_different(n_items: int, per_item: int) -> None:
    design = ps.linked_pairs([f"m{k}" for k in range(n_items)], per_item=per_item, seed=2)
    often = met_by(design)
    assert len(design.frame) == n_items * per_item // 2
    assert set(often.values()) == {1}
    assert (design.items[["comparisons", "opponents"]] == per_item).all(axis=None)
    assert (design.items["left"] - design.items["right"]).abs().max() <= 1
    assert design.algebraic_connectivity > 0.1
    pairs = ps.PairTable.from_frame(design.frame.assign(o="tie"), left="left", right="right", outcome="o")
    assert ps.connectivity(pairs).n_subsets == 1


def test_more_pairs_than_others_are_whole_rounds_and_the_rest() -> None:
    often = met_by(ps.linked_pairs(range(6), per_item=8))
    assert len(often) == 15
    assert sorted(often.values()) == [1] * 6 + [2] * 9
    assert sorted(met_by(ps.linked_pairs(range(6), per_item=6)).values()) == [1] * 12 + [2] * 3


@pytest.mark.parametrize("per_item", [3, 4, 6])
def test_efficiency_is_that_of_a_random_regular_graph(per_item: int) -> None:
    """The mean inverse eigenvalue of a large one, by the law of Kesten and McKay, is (d - 1) / (d (d - 2))."""
    design = ps.linked_pairs(range(300), per_item=per_item)
    limit = (per_item - 2) / (per_item - 1)
    # A finite graph has fewer walks back to where they began, and the best of several graphs is taken.
    assert limit < design.a_efficiency < limit + 0.02
    assert design.d_efficiency > design.a_efficiency


@pytest.mark.parametrize("make", ["round_robin", "linked_pairs"])
def test_expected_errors_are_those_of_a_fit_at_equal_worths(make: str) -> None:
    labels = [f"m{k}" for k in range(9)]
    design = ps.round_robin(labels, repeats=2) if make == "round_robin" else ps.linked_pairs(labels, per_item=4)
    # Half of every comparison won by each side: all worths are zero, and each comparison tells 1/4.
    both = pd.concat([design.frame.assign(o=side, w=0.5) for side in ("left", "right")])
    pairs = ps.PairTable.from_frame(both, left="left", right="right", outcome="o", weight="w")
    found = ps.fit(ps.BradleyTerry(), pairs).estimates("item")
    np.testing.assert_allclose(found["estimate"], 0, atol=1e-9)
    np.testing.assert_allclose(found["se"], design.items["se"], rtol=1e-7)


def test_ties_leave_less_information() -> None:
    few, many = (ps.round_robin(list("abcd"), tie_share=share) for share in (0.0, 0.5))
    np.testing.assert_allclose(many.items["se"], few.items["se"] * np.sqrt(2))


def test_both_orders_come_from_the_same_judge() -> None:
    design = ps.round_robin(list("abcde"), orders="both", judges=["x", "y"], judges_per_pair=2)
    assert len(design.frame) == 10 * 2 * 2
    assert not design.frame.duplicated().any()
    swapped = design.frame.rename(columns={"left": "right", "right": "left"})[["left", "right", "judge"]]
    assert {*design.frame.itertuples(index=False, name=None)} == {*swapped.itertuples(index=False, name=None)}
    assert (design.items["left"] == design.items["right"]).all()


def test_judges_share_the_pairs_evenly() -> None:
    design = ps.linked_pairs(range(40), per_item=12, judges=["x", "y", "z"], seed=3)
    assert design.judges["comparisons"].tolist() == [80, 80, 80]
    assert design.judges["item_min"].min() >= 3
    assert design.judges["item_max"].max() <= 5
    counted = design.frame.melt(id_vars="judge").groupby(["judge", "value"]).size().unstack()
    assert counted.min(axis=1).tolist() == design.judges["item_min"].tolist()
    twice = ps.round_robin(range(6), judges=["x", "y", "z"], judges_per_pair=2)
    assert (
        not twice.frame.assign(pair=[frozenset(r) for r in twice.frame[["left", "right"]].to_numpy()])
        .duplicated(["pair", "judge"])
        .any()
    )


def test_seed_decides() -> None:
    one, again, other = (ps.linked_pairs(range(12), per_item=4, judges=["x", "y"], seed=s).frame for s in (5, 5, 6))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


def test_design_says_what_it_is() -> None:
    text = str(ps.linked_pairs(range(10), per_item=4, judges=["x", "y"]))
    assert text.startswith("20 comparisons of 10 items, 4 of each")
    assert "2 judges with 10 to 10 comparisons each" in text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ps.round_robin(["a"]), "round_robin: 1 item; a design needs at least 2"),
        (lambda: ps.round_robin("abc"), "items='abc' is one text"),
        (lambda: ps.round_robin(["a", "b", "a"]), r"items hold \['a'\] more than once"),
        (lambda: ps.round_robin(["a", None]), "1 item label neither text nor number, first None"),
        (lambda: ps.round_robin(["a", "b"], repeats=0), "repeats=0; ask each pair at least once"),
        (lambda: ps.round_robin(["a", "b"], tie_share=1.0), "tie_share=1.0 is not a share"),
        (lambda: ps.round_robin(["a", "b"], orders="none"), "orders='none' is not known"),  # type: ignore[arg-type]
        (lambda: ps.round_robin(["a", "b"], judges_per_pair=2), "judges_per_pair=2 of 0 judges"),
        (lambda: ps.linked_pairs(range(8), per_item=1), "per_item=1 cannot link 8 items; give 2 or more"),
        (lambda: ps.linked_pairs(range(7), per_item=3), "makes half a pair, since both are odd; use 2 or 4"),
    ],
)
def test_what_cannot_be_designed_is_refused(call: Any, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        call()
