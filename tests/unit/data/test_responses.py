"""ResponseTable: from frames and files to codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError


def ratings() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "text": ["t10", "t2", "t10", "t2", "t1"],
            "criterion": ["warm", "warm", "clear", "clear", "clear"],
            "rater": [2, 1, 2, 1, 1],
            "stars": [5, 1, 4, None, None],
            "n": [1.0, 2.0, 0.5, None, 1.0],
            "why": [None, None, None, "refusal", None],
        }
    )


def build(frame: pd.DataFrame | None = None) -> ResponseTable:
    return ResponseTable.from_frame(
        ratings() if frame is None else frame,
        response="stars",
        subject="text",
        item="criterion",
        facets=("rater",),
        weight="n",
        reason="why",
    )


def test_observed_rows_are_coded() -> None:
    table = build()
    assert {name: code.tolist() for name, code in table.codes.items()} == {
        "subject": [1, 0, 1],
        "item": [1, 1, 0],
        "rater": [1, 0, 1],
    }
    assert table.levels == {"subject": ("t2", "t10"), "item": ("clear", "warm"), "rater": (1, 2)}
    assert (table.response.tolist(), table.categories) == ([4, 0, 3], (1, 2, 3, 4, 5))
    assert table.weight.tolist() == [1.0, 2.0, 0.5]
    assert {array.dtype for array in table.codes.values()} == {np.dtype(np.int32)}


def test_non_responses_keep_labels_and_reasons() -> None:
    assert build().missing.to_dict("list") == {
        "subject": ["t2", "t1"],
        "item": ["clear", "clear"],
        "rater": [1, 1],
        "reason": ["refusal", "missing"],
    }


def test_notes_say_what_a_reader_should_know() -> None:
    assert build().notes == (
        "Categories [2, 3] were never used; they keep their places.",
        "2 rows of 5 (40.0%) have no response: 1 refusal, 1 missing.",
        "1 subject level has no response at all and cannot be measured: ['t1'].",
    )


def test_columns_remember_the_names_of_the_source() -> None:
    assert build().columns == {
        "subject": "text",
        "item": "criterion",
        "rater": "rater",
        "response": "stars",
        "weight": "n",
        "reason": "why",
    }


def test_sizes_and_facets() -> None:
    table = build()
    assert (table.n_rows, table.n_categories, table.facets) == (3, 5, ("subject", "item", "rater"))
    assert repr(table) == "ResponseTable(3 rows; subject 2 × item 2 × rater 2; 5 categories, 2 without response)"


def test_a_table_without_items_has_no_item_codes() -> None:
    table = ResponseTable.from_frame(ratings(), response="stars", subject="text")
    assert (table.facets, list(table.codes)) == (("subject",), ["subject"])
    assert table.weight.tolist() == [1.0, 1.0, 1.0]


def test_repeated_cells_are_kept_and_counted() -> None:
    frame = ratings().iloc[[0, 1, 1, 1]]
    assert build(frame).n_rows == 4
    assert "2 rows repeat the subject × item × rater of an earlier row; each counts as an observation of its own." in (
        build(frame).notes
    )


def test_rows_of_another_judge_are_no_repetition() -> None:
    assert not any("repeat" in note for note in build().notes)


def test_a_facet_of_one_level_is_noted() -> None:
    notes = build(ratings().assign(rater="solo")).notes
    assert "Facet 'rater' has one level, 'solo'; its effect cannot be told from the overall level." in notes


def test_labels_that_differ_in_case_are_noted() -> None:
    notes = build(ratings().assign(rater=["gpt", "GPT ", "b", "b", "b"])).notes
    assert "Labels of 'rater' differ only in case or spaces and were kept apart: ['gpt', 'GPT ']." in notes


def test_rows_without_weight_are_kept_and_noted() -> None:
    table = build(ratings().assign(n=[1, 0, 1, 1, 1]))
    assert table.weight.tolist() == [1, 0, 1]
    assert "1 row has weight 0 and counts for nothing." in table.notes


def test_a_dimension_splits_but_is_no_facet() -> None:
    frame = ratings().assign(trait=["O", "O", "C", "C", "C"])
    table = ResponseTable.from_frame(frame, response="stars", subject="text", item="criterion", dimension="trait")
    assert (table.dimension, table.facets) == ("trait", ("subject", "item"))
    parts = table.split("trait")
    assert {label: part.n_rows for label, part in parts.items()} == {"C": 1, "O": 2}
    assert parts["O"].levels["item"] == ("warm",)
    assert parts["O"].categories == table.categories


def test_a_dimension_that_is_a_facet_too_is_refused() -> None:
    with pytest.raises(DataError, match="'rater' is a facet and the dimension; name it once"):
        ResponseTable.from_frame(ratings(), response="stars", subject="text", facets="rater", dimension="rater")


def test_a_missing_facet_is_refused() -> None:
    with pytest.raises(DataError, match=r"ResponseTable: column 'rater' has no label \(1 of 5 rows, first at row 2"):
        build(ratings().assign(rater=[1, 1, None, 2, 2]))


def test_a_required_column_left_out_is_refused() -> None:
    with pytest.raises(DataError, match=r"no column None \(named as response\)"):
        ResponseTable.from_frame(ratings(), response=None, subject="text")  # type: ignore[arg-type]


def test_counts_by_level_include_silent_ones() -> None:
    assert build().counts("subject").to_dict("list") == {
        "level": ["t2", "t10", "t1"],
        "n": [1, 2, 0],
        "weight": [2.0, 1.5, 0.0],
        "missing": [1, 0, 1],
    }


def test_counts_of_an_unknown_facet_are_refused() -> None:
    with pytest.raises(DataError, match="no facet 'ratr'; did you mean 'rater'"):
        build().counts("ratr")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".jsonl", ".jsonl.gz", ".parquet"])
def test_files_are_read_with_the_same_keywords(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ratings{suffix}"
    frame = ratings()
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif "jsonl" in suffix:
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in suffix else ",")
    table = ResponseTable.read(
        path, response="stars", subject="text", item="criterion", facets=("rater",), weight="n", reason="why"
    )
    assert table.hash == build().hash


def test_a_foreign_file_needs_its_columns_named(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    ratings().to_csv(path, index=False)
    with pytest.raises(DataError, match=r"ratings\.csv does not say what its columns mean; name them with response="):
        ResponseTable.read(path)
    with pytest.raises(DataError, match="was given without subject=; name that column"):
        ResponseTable.read(path, response="stars")


@pytest.mark.slow
def test_a_million_rows_take_seconds() -> None:
    import time

    rng = np.random.default_rng(0)
    n = 1_000_000
    frame = pd.DataFrame(
        {
            "s": np.char.add("subject", rng.integers(0, 10_000, n).astype(str)),
            "i": np.char.add("item", rng.integers(0, 20, n).astype(str)),
            "j": rng.integers(0, 100, n),
            "r": rng.integers(1, 6, n),
        }
    )
    start = time.perf_counter()
    table = ResponseTable.from_frame(frame, response="r", subject="s", item="i", facets="j")
    assert table.hash
    # It takes about half a second; a loop over rows would take minutes.
    assert time.perf_counter() - start < 10
