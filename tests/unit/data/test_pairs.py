"""PairTable: from frames to codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from psymetric.data.pairs import PairTable
from psymetric.errors import DataError


def battles() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model_a": ["m10", "m2", "m10", "m1"],
            "model_b": ["m2", "m1", "m1", "m2"],
            "winner": ["left", "right", "tie", None],
            "who": ["p", "q", "p", "p"],
            "n": [1.0, 3.0, 2.0, 1.0],
        }
    )


def build(frame: pd.DataFrame | None = None, **options: Any) -> PairTable:
    settings: dict[str, Any] = {"judge": "who", "weight": "n", **options}
    return PairTable.from_frame(
        battles() if frame is None else frame, left="model_a", right="model_b", outcome="winner", **settings
    )


def test_comparisons_are_coded() -> None:
    table = build()
    assert {name: code.tolist() for name, code in table.codes.items()} == {
        "left": [2, 1, 2],
        "right": [1, 0, 0],
        "judge": [0, 1, 0],
    }
    assert table.levels == {"item": ("m1", "m2", "m10"), "judge": ("p", "q")}
    assert (table.response.tolist(), table.categories) == ([0, 1, 2], ("left", "right", "tie"))
    assert table.weight.tolist() == [1.0, 3.0, 2.0]
    assert table.facets == ("item", "judge")
    assert table.columns["judge"] == "who"


def test_comparisons_without_outcome_are_kept_apart() -> None:
    assert build().missing.to_dict("list") == {"left": ["m1"], "right": ["m2"], "judge": ["p"], "reason": ["missing"]}


def test_reasons_are_read() -> None:
    table = build(battles().assign(why=[None, None, None, "refusal"]), reason="why")
    assert table.missing["reason"].tolist() == ["refusal"]


def test_an_item_only_in_missing_rows_is_no_level() -> None:
    table = build(battles().assign(model_a=["m10", "m2", "m10", "m7"]))
    assert "m7" not in table.levels["item"]
    assert "1 item level has no response at all and cannot be measured: ['m7']." in table.notes


def test_items_keep_numeric_labels() -> None:
    table = build(battles().assign(model_a=[10, 2, 10, 1], model_b=[2, 1, 1, 2]))
    assert table.levels["item"] == (1, 2, 10)


def test_items_of_two_types_are_refused() -> None:
    with pytest.raises(DataError, match=r"'model_a' holds text and 'model_b' holds number labels.*one type"):
        build(battles().assign(model_b=[2, 1, 1, 2]))


def test_a_comparison_with_itself_is_refused() -> None:
    message = r"items are compared with themselves \(1 of 4 rows, first at row 1.*got \['m1'\]; drop these rows"
    with pytest.raises(DataError, match=message):
        build(battles().assign(model_a=["m10", "m1", "m10", "m1"]))


def test_a_comparison_with_itself_is_refused_in_the_constructor_too() -> None:
    table = build()
    with pytest.raises(DataError, match="items are compared with themselves"):
        PairTable(
            codes={**table.codes, "left": table.codes["right"]},
            levels=table.levels,
            response=table.response,
            categories=table.categories,
            weight=table.weight,
            missing=table.missing,
        )


def test_other_categories_are_refused() -> None:
    table = build()
    with pytest.raises(DataError, match=r"categories are \('a', 'b', 'c'\); they must be \('left', 'right', 'tie'\)"):
        PairTable(table.codes, table.levels, table.response, ("a", "b", "c"), table.weight, table.missing)


def test_judge_twice_is_refused() -> None:
    frame = battles().assign(judge=["p", "q", "p", "p"])
    with pytest.raises(DataError, match="'judge' is given by judge= and again in facets="):
        build(frame, facets=("judge",))
    assert build(frame, judge=None, facets=("judge",)).levels["judge"] == ("p", "q")


def test_further_facets_keep_their_names() -> None:
    table = build(battles().assign(template=["v2", "v1", "v2", "v10"]), facets="template")
    assert table.levels["template"] == ("v1", "v2")


def test_counts_of_items_are_wins_losses_and_ties() -> None:
    assert build().counts("item").to_dict("list") == {
        "level": ["m1", "m2", "m10"],
        "n": [2, 2, 2],
        "weight": [5.0, 4.0, 3.0],
        "missing": [1, 1, 0],
        "wins": [3.0, 0.0, 1.0],
        "losses": [0.0, 4.0, 0.0],
        "ties": [2.0, 0.0, 2.0],
    }


def test_counts_of_judges_are_outcomes() -> None:
    assert build().counts("judge").to_dict("list") == {
        "level": ["p", "q"],
        "n": [2, 1],
        "weight": [3.0, 3.0],
        "missing": [1, 0],
        "left": [1.0, 0.0],
        "right": [0.0, 3.0],
        "tie": [2.0, 0.0],
    }


def test_a_position_that_always_wins_is_noted() -> None:
    notes = build(battles().assign(winner="left")).notes
    assert "The left item won every comparison, so an effect of position cannot be told from the items." in notes


def test_nothing_but_ties_is_noted() -> None:
    assert "Every comparison is a tie; no item can be told from another." in build(battles().assign(winner="tie")).notes


def test_select_keeps_comparisons_among_the_chosen() -> None:
    chosen = build().select("item", ["m1", "m10"])
    assert (chosen.n_rows, chosen.levels["item"]) == (1, ("m1", "m10"))
    assert chosen.missing.empty


def test_split_by_judge_and_not_by_item() -> None:
    assert {label: part.n_rows for label, part in build().split("judge").items()} == {"p": 2, "q": 1}
    with pytest.raises(DataError, match=r"a row has two of 'item' and cannot be split by it; use select\(\)"):
        build().split("item")


def test_to_frame_has_the_labels_of_both_sides() -> None:
    frame = build().to_frame(original_names=True)
    assert list(frame.columns) == ["model_a", "model_b", "who", "winner", "n"]
    assert frame["winner"].tolist() == ["left", "right", "tie"]


def test_the_hash_sees_the_sides() -> None:
    swapped = battles().rename(columns={"model_a": "model_b", "model_b": "model_a"})
    assert build(swapped).hash != build().hash


@pytest.mark.parametrize("suffix", [".csv", ".jsonl.gz", ".parquet"])
def test_files_give_the_table_back(tmp_path: Path, suffix: str) -> None:
    table = build()
    path = table.write(tmp_path / f"pairs{suffix}")
    if suffix == ".parquet":
        again = PairTable.read(path)
        assert (again.notes, again.columns) == (table.notes, table.columns)
    else:
        again = PairTable.read(
            path, left="left", right="right", outcome="response", judge="judge", weight="weight", reason="reason"
        )
    assert again.hash == table.hash


def test_reading_needs_all_three_columns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    battles().to_csv(path, index=False)
    with pytest.raises(DataError, match="only some of left=, right= and outcome=; name all three"):
        PairTable.read(path, left="model_a", right="model_b")
    with pytest.raises(DataError, match="name them with left=, right= and outcome="):
        PairTable.read(path)


def test_weights_of_rows_without_outcome_are_not_read() -> None:
    table = build(battles().assign(n=[1, 1, 1, np.nan]))
    assert table.weight.tolist() == [1, 1, 1]


@pytest.mark.shared_data
def test_llmfao_battles_are_read(shared_data: Path) -> None:
    path = shared_data / "llmfao" / "crowd-comparisons.csv"
    frame = pd.read_csv(path)
    table = PairTable.read(path, left="left", right="right", outcome="winner", judge="worker", facets="prompt")
    # Counted from the file: no row is lost, no label invented.
    assert table.n_rows == len(frame)
    assert set(table.levels["item"]) == set(frame["left"]) | set(frame["right"])
    assert np.bincount(table.response).tolist() == [int((frame["winner"] == side).sum()) for side in table.categories]
