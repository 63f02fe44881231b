"""The door: frames of every make, and the columns that have a role."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from psymetric.data.columns import RESERVED, code_weights, facet_names, pick_columns
from psymetric.errors import DataError

FRAME = pd.DataFrame({"rating": [1, 2], "model": ["a", "b"], "note": ["", ""]})
ROLES = {"response": "rating", "subject": "model"}


def test_columns_come_out_under_their_canonical_names() -> None:
    picked = pick_columns(FRAME, ROLES, who="Table")
    assert picked.to_dict("list") == {"response": [1, 2], "subject": ["a", "b"]}


def test_arrow_tables_are_read() -> None:
    picked = pick_columns(pa.table({"rating": [1, 2], "model": ["a", "b"]}), ROLES, who="Table")
    assert picked["subject"].tolist() == ["a", "b"]


def test_polars_frames_are_read_eager_and_lazy() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"rating": [1, 2], "model": ["a", "b"]})
    for native in (frame, frame.lazy()):
        assert pick_columns(native, ROLES, who="Table")["response"].tolist() == [1, 2]


def test_the_index_of_the_source_does_not_matter() -> None:
    picked = pick_columns(FRAME.set_axis([7, 7]), ROLES, who="Table")
    assert picked.index.tolist() == [0, 1]


@pytest.mark.parametrize("frame", [[1, 2], {"rating": [1]}, None, "frame.csv"])
def test_what_is_no_frame_is_refused(frame: object) -> None:
    with pytest.raises(
        DataError, match=r"Table: expected a pandas, Polars or Arrow table, got (list|dict|NoneType|str)"
    ):
        pick_columns(frame, ROLES, who="Table")


def test_an_unknown_column_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no column 'Ratng' \(named as response\); did you mean 'rating'\?"):
        pick_columns(FRAME, {"response": "Ratng"}, who="Table")


def test_an_unknown_column_without_a_near_one_lists_all() -> None:
    with pytest.raises(
        DataError, match=r"no column 'zzz' \(named as subject\); there are \['rating', 'model', 'note'\]"
    ):
        pick_columns(FRAME, {"subject": "zzz"}, who="Table")


def test_an_index_named_as_column_says_reset_index() -> None:
    with pytest.raises(DataError, match=r"subject is 'model', the index of the frame; call df.reset_index\(\)"):
        pick_columns(FRAME.set_index("model"), ROLES, who="Table")


def test_one_column_in_two_roles_is_refused() -> None:
    with pytest.raises(DataError, match="column 'model' is used twice, as subject and as item"):
        pick_columns(FRAME, {"subject": "model", "item": "model"}, who="Table")


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match=r"two columns of one name, \['rating'\]"):
        pick_columns(FRAME.set_axis(["rating", "model", "rating"], axis=1), ROLES, who="Table")


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(DataError, match=r"has columns .*'rating'.* and no rows"):
        pick_columns(FRAME.iloc[:0], ROLES, who="Table")


def test_cells_that_hold_lists_are_refused() -> None:
    frame = FRAME.assign(model=["a", ["b", "c"]])
    with pytest.raises(DataError, match=r"column 'model' holds lists or objects \(1 of 2 rows, first at row 1"):
        pick_columns(frame, ROLES, who="Table")


def test_one_facet_may_be_given_as_text() -> None:
    assert facet_names("judge", who="Table") == ("judge",)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_facet_names_are_refused(name: str) -> None:
    with pytest.raises(
        DataError, match=f"facet '{name}' carries a name that tables and results use .*rename the column"
    ):
        facet_names(("judge", name), who="Table")


def test_the_brief_list_of_reserved_names_is_kept() -> None:
    assert {"step", "ability", "left", "right", "response", "weight", "estimate"} <= RESERVED


def test_a_colon_in_a_facet_name_is_refused() -> None:
    with pytest.raises(DataError, match="facet 'a:b' holds ':', which names interactions"):
        facet_names("a:b", who="Table")


def test_a_facet_named_twice_is_refused() -> None:
    with pytest.raises(DataError, match="facet 'judge' is named twice"):
        facet_names(("judge", "judge"), who="Table")


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_facet_that_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(DataError, match="name each facet by its column"):
        facet_names((name,), who="Table")  # type: ignore[arg-type]


def weights(values: object, rows: list[bool]) -> list[float]:
    return code_weights(pd.Series(values), np.array(rows), who="Table", column="n").tolist()


def test_weights_of_unobserved_rows_are_not_read() -> None:
    assert weights([2.5, np.nan, 0], [True, False, True]) == [2.5, 0.0]


def test_without_a_column_every_weight_is_one() -> None:
    assert code_weights(None, np.array([True, False, True]), who="Table", column="n").tolist() == [1.0, 1.0]


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, "many"])
def test_bad_weights_are_refused(bad: object) -> None:
    message = r"weights in column 'n' are missing, negative, infinite or text \(1 of 3 rows, first at row 1.*0 or more"
    with pytest.raises(DataError, match=message):
        weights([1, bad, 2], [True, True, True])


def test_all_zero_weights_are_refused() -> None:
    with pytest.raises(DataError, match="every weight in column 'n' is 0"):
        weights([0, 0], [True, True])
