"""What must hold for any table: coding loses nothing, order and names of things do not matter."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import assume, given, settings, strategies as st
from scipy.sparse.csgraph import connected_components

from psymetric.data.coding import code_labels, label_array, natural_key
from psymetric.data.connectivity import connectivity
from psymetric.data.files import read_frame, write_frame
from psymetric.data.nonresponse import NonResponse
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable

# The same examples in every run, and no verdict that depends on how busy the machine is.
repeatable = settings(derandomize=True, deadline=None, max_examples=60)

# A surrogate is no character and cannot be written as UTF-8; NUL is refused by CSV readers.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, min_size=1, max_size=5).filter(lambda text: bool(text.strip()))
NUMBERS = st.integers(-(2**53), 2**53)
LABELS = st.one_of(
    st.lists(TEXTS, min_size=1, max_size=30),
    st.lists(NUMBERS, min_size=1, max_size=30),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.lists(st.booleans(), min_size=1, max_size=30),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Long frames of 2 to 30 rows with two facets, weights and non-responses, in which two categories occur."""
    n = draw(st.integers(2, 30))
    column = lambda values: draw(st.lists(values, min_size=n, max_size=n))  # noqa: E731
    response: list[int | None] = column(st.one_of(st.none(), st.integers(0, 4)))
    response[:2] = [0, draw(st.integers(1, 4))]
    labels = draw(st.sampled_from([TEXTS, NUMBERS]))
    few = draw(st.lists(labels, min_size=1, max_size=5))
    reasons = column(st.sampled_from([None, *NonResponse]))
    return pd.DataFrame(
        {
            "s": column(st.sampled_from(few)),
            "j": column(TEXTS),
            "r": pd.array(response, dtype="Int64"),
            "w": [1.0, *column(st.floats(0, 1e6))[1:]],
            "why": [reason if value is None else None for reason, value in zip(reasons, response, strict=True)],
        }
    )


def build(frame: pd.DataFrame) -> ResponseTable:
    return ResponseTable.from_frame(frame, response="r", subject="s", facets="j", weight="w", reason="why")


@st.composite
def battles(draw: st.DrawFn) -> pd.DataFrame:
    """Comparisons of up to 6 items."""
    sides = st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda pair: pair[0] != pair[1])
    rows = draw(st.lists(st.tuples(sides, st.sampled_from(["left", "right", "tie", None])), min_size=1, max_size=30))
    assume(any(outcome for _, outcome in rows))
    return pd.DataFrame({"a": [r[0][0] for r in rows], "b": [r[0][1] for r in rows], "o": [r[1] for r in rows]})


def pairs(frame: pd.DataFrame) -> PairTable:
    return PairTable.from_frame(frame, left="a", right="b", outcome="o")


@repeatable
@given(LABELS)
def test_coding_gives_the_labels_back(labels: list[Any]) -> None:
    codes, levels = code_labels(pd.Series(labels), who="Table", column="c")
    assert label_array(levels, codes).tolist() == labels
    assert len(set(levels)) == len(levels)


@repeatable
@given(LABELS, st.randoms(use_true_random=False))
def test_levels_do_not_depend_on_the_order_of_rows(labels: list[Any], random: Any) -> None:
    shuffled = random.sample(labels, len(labels))
    one, two = (code_labels(pd.Series(values), who="Table", column="c")[1] for values in (labels, shuffled))
    assert one == two


@repeatable
@given(st.lists(TEXTS, unique=True, min_size=2, max_size=2))
def test_natural_order_is_strict(labels: list[str]) -> None:
    one, two = map(natural_key, labels)
    assert (one < two) != (two < one)


@repeatable
@given(frames())
def test_every_row_is_kept_once(frame: pd.DataFrame) -> None:
    table = build(frame)
    assert table.n_rows + len(table.missing) == len(frame)
    answered = frame[frame["r"].notna()]
    assert table.to_frame()["response"].tolist() == answered["r"].tolist()
    assert table.to_frame()["subject"].tolist() == answered["s"].tolist()
    assert table.to_frame()["j"].tolist() == answered["j"].tolist()
    assert table.weight.tolist() == answered["w"].tolist()


@repeatable
@given(frames(), st.randoms(use_true_random=False))
def test_shuffled_rows_give_the_same_levels_and_the_same_multiset(frame: pd.DataFrame, random: Any) -> None:
    one, two = build(frame), build(frame.iloc[random.sample(range(len(frame)), len(frame))])
    assert (one.levels, one.categories) == (two.levels, two.categories)
    keys = ["subject", "j", "response", "weight"]
    assert sorted(one.to_frame()[keys].itertuples(index=False)) == sorted(two.to_frame()[keys].itertuples(index=False))


@repeatable
@given(frames())
def test_relabelling_permutes_codes_and_nothing_else(frame: pd.DataFrame) -> None:
    names = {label: f"new{-place}" for place, label in enumerate(frame["j"].unique())}
    one, two = build(frame), build(frame.assign(j=frame["j"].map(names)))
    assert [names[one.levels["j"][c]] for c in one.codes["j"]] == [two.levels["j"][c] for c in two.codes["j"]]
    assert (one.response.tolist(), one.codes["subject"].tolist()) == (
        two.response.tolist(),
        two.codes["subject"].tolist(),
    )


@repeatable
@given(frames())
def test_json_gives_the_table_back(frame: pd.DataFrame) -> None:
    table = build(frame)
    again = ResponseTable.from_dict(json.loads(json.dumps(table.to_dict(), allow_nan=False)))
    assert (again.hash, again.notes, again.levels) == (table.hash, table.notes, table.levels)


@repeatable
@given(frames())
def test_parquet_gives_the_table_back(frame: pd.DataFrame) -> None:
    table = build(frame)
    with tempfile.TemporaryDirectory() as folder:
        again = ResponseTable.read(table.write(Path(folder) / "t.parquet"))
    assert (again.hash, again.notes, again.levels) == (table.hash, table.notes, table.levels)


@repeatable
@given(battles())
def test_parquet_gives_pairs_back(frame: pd.DataFrame) -> None:
    table = pairs(frame)
    with tempfile.TemporaryDirectory() as folder:
        again = PairTable.read(table.write(Path(folder) / "t.parquet"))
    assert (again.hash, again.levels) == (table.hash, table.levels)


@repeatable
@given(st.lists(TEXTS, min_size=1, max_size=10), st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.csv.gz"]))
def test_text_files_give_texts_back(texts: list[str], name: str) -> None:
    # Digits and words for missing values change type in CSV; a leading letter keeps every other character in play.
    frame = pd.DataFrame({"label": [f"x{text}" for text in texts], "formula": [f"={text}" for text in texts]})
    with tempfile.TemporaryDirectory() as folder:
        path = write_frame(frame, Path(folder) / name, metadata=None, who="Table")
        found = read_frame(path, answers=(), who="Table").frame
    assert found.to_dict("list") == frame.to_dict("list")


@repeatable
@given(frames())
def test_splits_partition_the_table(frame: pd.DataFrame) -> None:
    table = build(frame)
    parts = table.split("subject")
    assert sum(part.n_rows for part in parts.values()) == table.n_rows
    for label, part in parts.items():
        assert part.levels["subject"] == (label,)
        assert part.hash == table.select("subject", [label]).hash


@repeatable
@given(frames())
def test_subsets_are_the_components_of_the_design(frame: pd.DataFrame) -> None:
    table = build(frame.assign(w=1.0))
    found = connectivity(table)
    # Two facets: the rank of the design says how many subsets there are.
    blocks = [np.eye(len(table.levels[name]))[code] for name, code in table.codes.items()]
    design = np.hstack(blocks)
    assert found.n_subsets == design.shape[1] - np.linalg.matrix_rank(design)
    assert found.connected == (found.n_subsets == 1)


@repeatable
@given(battles())
def test_strong_groups_are_mutual_reachability(frame: pd.DataFrame) -> None:
    table = pairs(frame)
    size = len(table.levels["item"])
    reach = np.eye(size, dtype=bool)
    for left, right, outcome in zip(table.codes["left"], table.codes["right"], table.response, strict=True):
        reach[left, right] |= outcome != 1
        reach[right, left] |= outcome != 0
    for via in range(size):
        reach |= reach[:, [via]] & reach[[via], :]
    found = connectivity(table)
    assert found.n_strong == len({tuple(row) for row in (reach & reach.T).tolist()})
    n_weak, _ = connected_components(reach | reach.T, directed=False)
    assert found.n_subsets == n_weak
