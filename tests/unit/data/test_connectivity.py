"""Which levels can be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from psymetric.data.connectivity import connectivity
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError


def ratings(rows: list[tuple[str, str, str]], weight: list[float] | None = None) -> ResponseTable:
    """A table of subject, item and judge labels with alternating responses."""
    frame = pd.DataFrame(rows, columns=["s", "i", "judge"])
    frame["r"] = np.arange(len(frame)) % 2
    frame["w"] = 1.0 if weight is None else weight
    return ResponseTable.from_frame(frame, response="r", subject="s", item="i", facets="judge", weight="w")


def battles(rows: list[tuple[str, str, str]], weight: list[float] | None = None) -> PairTable:
    frame = pd.DataFrame(rows, columns=["a", "b", "w"])
    frame["n"] = 1.0 if weight is None else weight
    return PairTable.from_frame(frame, left="a", right="b", outcome="w", weight="n")


CROSSED = [(s, i, j) for s in "ab" for i in "uv" for j in "xy"]


def test_a_crossed_design_is_connected() -> None:
    found = connectivity(ratings(CROSSED))
    assert found.connected
    assert (found.n_subsets, found.nested, found.nested_subjects, found.n_strong) == (1, (), (), 0)
    assert found.describe() == (
        "2 subject levels and 2 item levels and 2 judge levels are connected: each can be compared with every other."
    )
    assert list(found.subsets.columns) == ["facet", "level", "subset"]
    assert found.subsets["subset"].tolist() == [1] * 6


def test_disconnected_judges_are_named_with_their_mend() -> None:
    rows = [("a", "u", "x"), ("b", "u", "x"), ("b", "v", "x"), ("c", "k", "y"), ("c", "l", "y")]
    found = connectivity(ratings(rows))
    assert (found.connected, found.n_subsets) == (False, 2)
    frame = found.subsets.set_index("level")["subset"]
    assert {level for level, subset in frame.items() if subset == 1} == {"a", "b", "u", "v", "x"}
    text = found.describe()
    assert "fall into 2 disconnected subsets" in text
    assert "subset 1 (subject ['a', 'b'], item ['u', 'v'], judge ['x'])" in text
    assert "subset 2 (subject ['c'], item ['k', 'l'], judge ['y'])" in text
    assert "Let one judge rate in several subsets or repeat some subjects" in text


def test_long_lists_are_cut() -> None:
    rows = [(f"s{k}", f"i{k}", f"j{k}") for k in range(10) for _ in range(2)]
    text = connectivity(ratings(rows)).describe()
    assert "subset 4" in text
    assert "subset 5" not in text
    assert "… 6 more" in text
    many = connectivity(ratings([(f"s{k}", "u", "x") for k in range(9)] + [("t", "v", "y")])).describe()
    assert "subject ['s0', 's1', 's2', 's3', … 5 more]" in many


def test_judges_nested_in_items_are_confounded_though_subjects_join_them() -> None:
    rows = [(s, i, j) for s in "abc" for i, j in (("u", "x"), ("v", "y"))]
    found = connectivity(ratings(rows))
    assert (found.n_subsets, found.connected) == (1, False)
    assert [nesting.facets for nesting in found.nested] == [("item", "judge")]
    assert found.nested[0].n_subsets == 2
    assert found.nested_subjects == ()
    assert "'item' and 'judge' are nested: their levels meet only inside 2 groups" in found.describe()
    assert "subset 1 (item ['u'], judge ['x'])" in found.describe()
    assert "Let each group share some item or some judge level with another." in found.describe()


def test_nesting_is_a_rank_deficiency() -> None:
    # The claim behind `nested`: beyond one origin per facet, the design matrix loses one rank per extra group.
    rows = [(s, i, j) for s in "abc" for i, j in (("u", "x"), ("v", "y"))]
    table = ratings(rows)
    columns = [np.eye(len(table.levels[f]))[table.codes[f]] for f in table.facets]
    design = np.hstack(columns)
    free = design.shape[1] - (len(columns) - 1)
    extra = connectivity(table).nested[0].n_subsets - 1
    assert np.linalg.matrix_rank(design) == free - extra


def test_subjects_nested_in_judges_are_reported_apart() -> None:
    rows = [(s, i, "x" if s in "ab" else "y") for s in "abcd" for i in "uv"]
    found = connectivity(ratings(rows))
    assert found.connected
    assert [nesting.facets for nesting in found.nested_subjects] == [("subject", "judge")]
    assert "'subject' and 'judge' are nested" in found.describe()


def test_disconnected_facets_are_not_reported_twice() -> None:
    rows = [("a", "u", "x"), ("b", "u", "x"), ("c", "v", "y"), ("d", "v", "y")]
    assert connectivity(ratings(rows)).nested == ()


def test_rows_without_weight_join_nothing() -> None:
    rows = [("a", "u", "x"), ("b", "u", "x"), ("c", "v", "y"), ("d", "v", "y"), ("a", "v", "y")]
    assert connectivity(ratings(rows)).n_subsets == 1
    assert connectivity(ratings(rows, weight=[1, 1, 1, 1, 0])).n_subsets == 2


def test_only_the_named_facets_count() -> None:
    rows = [("a", "u", "x"), ("a", "v", "x"), ("b", "u", "y"), ("b", "v", "y")]
    assert connectivity(ratings(rows), facets=("subject", "judge")).n_subsets == 2
    assert connectivity(ratings(rows), facets=("subject", "item")).n_subsets == 1
    assert connectivity(ratings(rows), facets="item").n_subsets == 1


def test_an_unknown_facet_is_refused() -> None:
    with pytest.raises(DataError, match=r"connectivity: no facet 'jugde' in the ResponseTable; did you mean 'judge'\?"):
        connectivity(ratings(CROSSED), facets=("subject", "jugde"))
    with pytest.raises(DataError, match="connectivity: facets is empty"):
        connectivity(ratings(CROSSED), facets=())


def test_a_cycle_of_wins_is_one_group() -> None:
    found = connectivity(battles([("a", "b", "left"), ("b", "c", "left"), ("a", "c", "right")]))
    assert (found.n_subsets, found.n_strong, found.connected) == (1, 1, True)
    assert found.describe() == "3 item levels are connected: each can be compared with every other."


def test_a_tie_joins_in_both_directions() -> None:
    assert connectivity(battles([("a", "b", "tie"), ("b", "c", "tie")])).n_strong == 1
    assert connectivity(battles([("a", "b", "tie"), ("b", "c", "left")])).n_strong == 2


def test_an_item_that_always_won_is_named() -> None:
    rows = [("top", "a", "left"), ("top", "b", "left"), ("a", "b", "left"), ("b", "a", "left")]
    found = connectivity(battles(rows))
    assert (found.n_subsets, found.n_strong) == (1, 2)
    assert found.strong is not None
    assert found.strong.to_dict("list") == {
        "level": ["a", "b", "top"],
        "group": [1, 1, 2],
        "wins": [0.0, 0.0, 2.0],
        "losses": [2.0, 2.0, 0.0],
    }
    assert "['a', 'b'] always lost; ['top'] always won" in found.describe()
    assert "maximum likelihood worths are infinite" in found.describe()


def test_the_middle_of_a_chain_did_both() -> None:
    text = connectivity(battles([("a", "b", "left"), ("b", "c", "left")])).describe()
    assert "['a'] always won; ['b'] did both; ['c'] always lost" in text


def test_separate_tournaments_are_named() -> None:
    found = connectivity(battles([("a", "b", "tie"), ("c", "d", "tie"), ("d", "e", "tie")]))
    assert found.n_subsets == 2
    assert "The comparisons fall into 2 disconnected subsets" in found.describe()
    assert "subset 1 (item ['c', 'd', 'e']); subset 2 (item ['a', 'b'])" in found.describe()


def test_wins_without_weight_do_not_count() -> None:
    rows = [("a", "b", "left"), ("a", "b", "right")]
    assert connectivity(battles(rows)).n_strong == 1
    assert connectivity(battles(rows, weight=[1, 0])).n_strong == 2
