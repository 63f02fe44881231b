"""What both tables share: checks, hash, selection, frames."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

FRAME = pd.DataFrame(
    {
        "s": ["a", "a", "b", "b", "c"],
        "j": ["x", "y", "x", "y", "y"],
        "r": [1, 2, 3, None, 2],
        "w": [1.0, 2.0, 1.0, 1.0, 1.0],
    }
)


def build(frame: pd.DataFrame = FRAME) -> ResponseTable:
    return ResponseTable.from_frame(frame, response="r", subject="s", facets=("j",), weight="w")


def parts(**changes: Any) -> dict[str, Any]:
    whole = {field.name: getattr(build(), field.name) for field in dataclasses.fields(ResponseTable)}
    return {**whole, **changes}


def test_arrays_are_read_only() -> None:
    table = build()
    for array in (*table.codes.values(), table.response, table.weight):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_arrays_of_the_caller_stay_writable() -> None:
    weight = np.ones(4)
    table = ResponseTable(**parts(weight=weight))
    weight[0] = 7
    assert table.weight[0] == 1


def test_the_hash_is_hexadecimal_and_stable() -> None:
    # A changed constant means that saved fits no longer recognise their tables: raise the version in `CodedTable.hash`.
    assert build().hash == build().hash
    assert len(build().hash) == 64
    assert int(build().hash, 16) > 0


def test_the_hash_ignores_column_order_names_and_index() -> None:
    other = FRAME[["w", "r", "j", "s"]].set_axis([9, 8, 7, 6, 5])
    assert build(other).hash == build().hash
    renamed = ResponseTable.from_frame(
        FRAME.rename(columns={"s": "text", "r": "stars", "w": "n"}),
        response="stars",
        subject="text",
        facets="j",
        weight="n",
    )
    assert renamed.hash == build().hash


def test_the_hash_ignores_the_order_of_facets() -> None:
    frame = FRAME.assign(k=[1, 2, 1, 2, 1])
    one, two = (
        ResponseTable.from_frame(frame, response="r", subject="s", facets=facets) for facets in (("j", "k"), ("k", "j"))
    )
    assert one.hash == two.hash


@pytest.mark.parametrize(
    "other",
    [
        FRAME.assign(r=[1, 2, 3, None, 1]),
        FRAME.assign(w=[1.0, 2.5, 1.0, 1.0, 1.0]),
        FRAME.assign(s=["a", "a", "b", "b", "d"]),
        FRAME.assign(j=["x", "y", "x", "x", "y"]),
        FRAME.iloc[:4],
        FRAME.iloc[::-1],
        FRAME.drop(index=3),
    ],
    ids=["response", "weight", "label", "missing row", "fewer rows", "row order", "no missing row"],
)
def test_the_hash_depends_on_content(other: pd.DataFrame) -> None:
    assert build(other).hash != build().hash


def test_labels_one_and_text_one_hash_apart() -> None:
    frame = FRAME.assign(j=[1, 2, 1, 2, 2])
    assert build(frame).hash != build(frame.astype({"j": str})).hash


def test_a_table_survives_pickling_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(build())).hash == build().hash


def test_select_keeps_rows_and_drops_levels() -> None:
    chosen = build().select("subject", ["a", "c"])
    assert chosen.levels == {"subject": ("a", "c"), "j": ("x", "y")}
    assert chosen.response.tolist() == [0, 1, 1]
    assert (chosen.categories, len(chosen.missing)) == ((1, 2, 3), 0)
    assert chosen.notes[0] == "The rows with subject among ['a', 'c']: 3 of 4 rows with a response."


def test_select_takes_non_responses_along() -> None:
    assert build().select("j", "y").missing.to_dict("list") == {"subject": ["b"], "j": ["y"], "reason": ["missing"]}


def test_select_of_an_unknown_level_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no level 'X' in 'j'; did you mean 'x'\?"):
        build().select("j", ["X"])


def test_select_of_an_unknown_facet_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no facet 'subjct'; did you mean 'subject'\?"):
        build().select("subjct", ["a"])


def test_select_that_leaves_no_response_is_refused() -> None:
    table = build(FRAME.assign(r=[1, 2, None, None, 2]))
    with pytest.raises(DataError, match=r"no row with a response has subject among \['b'\]"):
        table.select("subject", ["b"])


def test_split_equals_select_for_every_level() -> None:
    table = build()
    found = table.split("j")
    assert list(found) == ["x", "y"]
    for label, part in found.items():
        assert part.hash == table.select("j", [label]).hash
    assert len(found["y"].missing) == 1


def test_split_keeps_the_order_of_rows() -> None:
    # Long enough that an unstable sort would move rows.
    frame = pd.DataFrame({"s": range(1000), "j": [k % 3 for k in range(1000)], "r": [k % 5 for k in range(1000)]})
    table = ResponseTable.from_frame(frame, response="r", subject="s", facets="j")
    assert all(part.hash == table.select("j", [label]).hash for label, part in table.split("j").items())


def test_split_keeps_every_row_once() -> None:
    assert sum(part.n_rows for part in build().split("subject").values()) == build().n_rows


def test_to_frame_has_labels() -> None:
    assert build().to_frame().to_dict("list") == {
        "subject": ["a", "a", "b", "c"],
        "j": ["x", "y", "x", "y"],
        "response": [1, 2, 3, 2],
        "weight": [1.0, 2.0, 1.0, 1.0],
    }


def test_to_frame_with_names_and_missing_rows_of_the_source() -> None:
    frame = build().to_frame(original_names=True, missing=True)
    assert list(frame.columns) == ["s", "j", "r", "w", "reason"]
    assert frame["r"].tolist()[:4] == [1, 2, 3, 2]
    assert frame["r"].isna().tolist() == [False, False, False, False, True]
    assert frame["reason"].tolist()[4] == "missing"


def test_a_source_column_called_like_an_added_one_is_refused() -> None:
    table = ResponseTable.from_frame(FRAME.rename(columns={"s": "weight"}), response="r", subject="weight")
    assert table.to_frame()["weight"].tolist() == [1.0] * 4
    with pytest.raises(DataError, match=r"column \['weight'\] collides with one that to_frame adds"):
        table.to_frame(original_names=True)


def test_the_frame_of_a_table_gives_the_table_back() -> None:
    frame = build().to_frame(missing=True)
    again = ResponseTable.from_frame(
        frame, response="response", subject="subject", facets=("j",), weight="weight", reason="reason"
    )
    assert again.hash == build().hash


def test_html_escapes_labels() -> None:
    page = build(FRAME.assign(j=["<script>", "y", "x", "y", "y"]))._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes": {"j": np.zeros(4, np.int32)}}, "no codes for 'subject'"),
        ({"levels": {"subject": ("a", "b", "c")}}, r"codes \['subject', 'j'\] and levels \['subject'\] do not match"),
        (
            {"levels": {"subject": ("a", "b"), "j": ("x", "y")}},
            r"codes of 'subject' lie outside \[0, 2\) \(1 of 4 rows",
        ),
        ({"levels": {"subject": ("a", "b", "b"), "j": ("x", "y")}}, "levels of 'subject' repeat or mix types"),
        ({"levels": {"subject": ("a", "b", 3), "j": ("x", "y")}}, "levels of 'subject' repeat or mix types"),
        (
            {"response": np.array([0, 1, 3, 1])},
            r"responses lie outside \[0, 3\) \(1 of 4 rows, first at row 2.*got \[3\]",
        ),
        ({"response": np.array([0, -1, 2, 1])}, r"responses lie outside \[0, 3\) \(1 of 4 rows, first at row 1"),
        ({"response": np.array([0.5, 1, 1, 1])}, "expected numbers of type int32, got float64"),
        ({"response": np.array([], np.int32)}, "no rows with a response"),
        ({"weight": np.ones(3)}, r"weight has shape \(3,\), the table 4 rows"),
        ({"weight": np.array([1, np.nan, 1, 1])}, "weights must be finite and 0 or more"),
        ({"dimension": "trait"}, "dimension 'trait' has no codes"),
        ({"missing": pd.DataFrame({"subject": ["a"]})}, r"missing has columns \['subject'\]; it needs .*'reason'"),
        (
            {"missing": pd.DataFrame({"subject": ["a"], "j": ["x"], "reason": ["lazy"]})},
            r"missing holds unknown reasons \['lazy'\]; use one of \['refusal'",
        ),
    ],
)
def test_parts_that_contradict_one_another_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ResponseTable(**parts(**changes))
