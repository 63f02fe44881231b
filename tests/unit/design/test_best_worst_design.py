"""Sets for best-worst choices: counts of items, pairs and places."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.design.best_worst_design import _dealt, _together  # pyright: ignore[reportPrivateUsage]
from psymetric.errors import DesignError


@pytest.mark.parametrize(("n_items", "size", "sets"), [(7, 3, 14), (20, 4, None), (13, 4, 20), (50, 5, 75)])
def test_items_pairs_and_places_are_balanced(n_items: int, size: int, sets: int | None) -> None:
    design = ps.best_worst_sets([f"i{k}" for k in range(n_items)], size=size, sets=sets, seed=1)
    n_sets = sets or 2 * n_items
    groups = design.frame.groupby("task")["item"].agg(list)
    assert len(groups) == n_sets
    assert all(len(set(group)) == size for group in groups)
    shown = design.frame["item"].value_counts()
    assert shown.max() - shown.min() == (0 if n_sets * size % n_items == 0 else 1)
    assert design.items.set_index("item")["sets"].to_dict() == shown.to_dict()
    met = pd.Series([frozenset(pair) for group in groups for pair in combinations(group, 2)]).value_counts()
    pairs = n_items * (n_items - 1) // 2
    counts = {0: pairs - len(met)} | met.value_counts().to_dict()
    found = design.together.set_index("meetings")["pairs"].to_dict()
    assert found == {number: often for number, often in counts.items() if often}
    even, more = divmod(int(met.sum()), pairs)
    least = (pairs - more) * even**2 + more * (even + 1) ** 2
    assert design.pair_balance == pytest.approx(least / (met**2).sum())
    assert design.pair_balance > 0.97
    places = design.frame.groupby(["item", "place"]).size().unstack(fill_value=0)
    assert (places.max(axis=1) - places.min(axis=1)).max() <= 2


def test_a_block_design_is_found_where_there_is_one() -> None:
    """Seven items in triples, every pair twice: two Fano planes."""
    assert ps.best_worst_sets(range(7), size=3, sets=14).together.to_numpy().tolist() == [[2, 21]]


def test_random_sets_are_worse() -> None:
    """What the exchanges are for: sets dealt at random have pairs that meet as often as chance has it."""

    met = _together(_dealt(20, 4, 40, np.random.default_rng(0)), 20)[np.triu_indices(20, 1)]
    improved = ps.best_worst_sets(range(20), size=4, sets=40).together
    assert (improved["meetings"] ** 2 * improved["pairs"]).sum() < 0.9 * (met**2).sum()


def test_answers_to_the_sets_can_be_read() -> None:
    design = ps.best_worst_sets(list("abcdefgh"), judges=["x", "y"], seed=2)
    assert design.judges["comparisons"].tolist() == [8, 8]
    choice = design.frame["place"].map({1: "best", 2: "neither", 3: "neither", 4: "worst"})
    table = ps.RankingTable.from_frame(design.frame.assign(rank=choice), judge="judge")
    assert table.is_best_worst
    assert len(table.levels["task"]) == 16
    assert str(design).startswith("16 sets of 4 of 8 items, 2 sets per item")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ps.best_worst_sets(["a", "b"]), "2 items; a design needs at least 3"),
        (lambda: ps.best_worst_sets(list("abc")), "size=4; a set holds 3 or more, and at most the 3 items"),
        (lambda: ps.best_worst_sets(list("abcd"), size=2), "size=2; a set holds 3 or more"),
        (lambda: ps.best_worst_sets(range(20), sets=6), "sets=6 of 4 cannot link 20 items; give 7 or more"),
        (lambda: ps.best_worst_sets(list("aabc")), "more than once"),
    ],
)
def test_sets_that_cannot_be_are_refused(call: Any, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        call()
