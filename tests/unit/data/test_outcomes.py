"""Who won, in the words of the source."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from psymetric.data.outcomes import code_outcomes
from psymetric.errors import DataError

ITEMS = ("gpt", "llama", "tie-bot")


def coded(values: list[Any], outcomes: Any = None, items: tuple[Any, ...] = ITEMS) -> tuple[list[int], tuple[str, ...]]:
    left = np.zeros(len(values), dtype=np.int32)
    right = np.ones(len(values), dtype=np.int32)
    series = pd.Series(values, dtype=object).infer_objects()
    codes, notes = code_outcomes(series, left, right, items, outcomes=outcomes, who="Pairs", column="winner")
    assert codes.dtype == np.int32
    return codes.tolist(), notes


def test_the_three_words() -> None:
    assert coded(["left", "right", "tie", None, ""]) == ([0, 1, 2, -1, -1], ())


def test_the_label_of_the_winner() -> None:
    assert coded(["gpt", "llama", "tie"])[0] == [0, 1, 2]


def test_a_map_for_other_words() -> None:
    words = {"model_a": "left", "model_b": "right", "tie (bothbad)": None}
    codes, notes = coded(["model_a", "model_b", "tie", "tie (bothbad)"], words)
    assert codes == [0, 1, 2, -1]
    assert notes == ("Outcomes ['tie (bothbad)'] were read as no response, as outcomes= says.",)


def test_a_map_of_numbers() -> None:
    assert coded([1, 0, 1, None], {1: "left", 0: "right"})[0] == [0, 1, 0, -1]
    assert coded([1.0, 0.5, 0.0], {1: "left", 0: "right", 0.5: "tie"})[0] == [0, 2, 1]
    assert coded([True, False], {True: "left", False: "right"})[0] == [0, 1]


def test_the_map_comes_before_the_labels_of_items() -> None:
    assert coded(["gpt", "left"], {"gpt": "tie"})[0] == [2, 0]


def test_unknown_labels_are_refused_with_their_counts() -> None:
    message = (
        r"Pairs: unknown outcomes in column 'winner' \(3 of 4 rows, first at row 1 counting from 0\); "
        r"got \['A \(2×\)', 'B \(1×\)'\]; say what they mean, e\.g\. outcomes=\{'A': 'left'"
    )
    with pytest.raises(DataError, match=message):
        coded(["left", "A", "A", "B"])


def test_capitals_are_unknown_labels() -> None:
    with pytest.raises(DataError, match=r"got \['Left \(1×\)'\]"):
        coded(["left", "Left"])


def test_a_winner_that_did_not_play_is_refused() -> None:
    message = r"neither the left nor the right item of their row \(1 of 2 rows, first at row 1.*'tie-bot \(1×\)'"
    with pytest.raises(DataError, match=message):
        coded(["gpt", "tie-bot"])


def test_an_item_called_like_a_result_needs_a_map() -> None:
    items = ("tie", "llama")
    with pytest.raises(DataError, match=r"\['tie'\] in column 'winner' is the name of an item and of a result"):
        coded(["tie", "llama"], items=items)
    assert coded(["tie", "llama"], {"tie": "tie"}, items=items)[0] == [2, 1]
    # Nothing is ambiguous while the word does not occur.
    assert coded(["right", "llama"], items=items)[0] == [1, 1]


def test_a_map_to_anything_else_is_refused() -> None:
    with pytest.raises(
        DataError, match="outcomes maps 'A' to 'first'; map each label to 'left', 'right', 'tie', or None"
    ):
        coded(["A"], {"A": "first"})


@pytest.mark.parametrize("values", [[None, None], ["bad", "bad"]])
def test_no_outcome_at_all_is_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match="no row has an outcome in 'winner'"):
        coded(values, {"bad": None})
