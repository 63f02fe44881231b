"""Comparisons made of ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError


def ratings() -> ps.ResponseTable:
    frame = pd.DataFrame(
        {
            "reply": ["r1", "r2", "r3", "r1", "r2", "r3"],
            "judge": ["a", "a", "a", "b", "b", "b"],
            "rating": [1, 3, 3, 5, 4, None],
        }
    )
    return ps.ResponseTable.from_frame(
        frame, response="rating", subject="reply", facets="judge", categories=range(1, 6)
    )


def test_the_higher_of_two_wins() -> None:
    pairs = ps.pairs_from_ratings(ratings(), by="judge")
    assert pairs.to_frame().to_numpy().tolist() == [
        ["r1", "r2", "b", 1, "left", 1.0],
        ["r1", "r2", "a", 0, "right", 1.0],
        ["r1", "r3", "a", 0, "right", 1.0],
        ["r2", "r3", "a", 0, "tie", 1.0],
    ]
    assert pairs.notes[0] == (
        "4 comparisons made of 2 lists of ratings, of which at most 3 are independent: cluster the errors by 'list' "
        "(robust_errors, bootstrap), or they are too small."
    )


def test_list_weights_count_what_is_news() -> None:
    pairs = ps.pairs_from_ratings(ratings(), by="judge", weights="list")
    assert pairs.weight.tolist() == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3])
    assert "weighted to count as many" in pairs.notes[0]


def test_items_keep_their_place_under_another_name() -> None:
    frame = pd.DataFrame({"s": list("xyxy"), "i": ["q1", "q1", "q2", "q2"], "r": [1, 2, 3, 3]})
    table = ps.ResponseTable.from_frame(frame, response="r", subject="s", item="i")
    pairs = ps.pairs_from_ratings(table, by="item")
    assert pairs.levels["item_facet"] == ("q1", "q2")
    assert pairs.to_frame()["response"].tolist() == ["right", "tie"]


def test_errors_clustered_by_list_are_larger() -> None:
    """Six ratings make fifteen comparisons, which share their errors."""
    rng = np.random.default_rng(5)
    rows = [
        (f"r{reply}", f"j{judge:02}", int(np.clip(np.round(4 + 0.4 * reply + noise), 1, 9)))
        for judge in range(80)
        for reply, noise in enumerate(rng.normal(0, 1.5, 6))
    ]
    frame = pd.DataFrame(rows, columns=["reply", "judge", "rating"])
    table = ps.ResponseTable.from_frame(frame, response="rating", subject="reply", facets="judge")
    pairs = ps.pairs_from_ratings(table, by="judge")
    fit = ps.fit(ps.BradleyTerry(ties="davidson"), pairs)
    clustered = ps.robust_errors(fit, pairs, cluster="list")
    assert np.all(clustered.standard_errors["worth"] > fit.standard_errors["worth"])
    assert fit.estimates("item")["estimate"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "jugde"}, "no facet 'jugde'; did you mean 'judge'"),
        ({"by": "subject"}, "must name facets other than 'subject'"),
        ({"by": ()}, "must name facets other than"),
        ({"by": "judge", "weights": "all"}, "weights='all' is not known"),
        ({"by": "subject", "of": "judge", "weights": "pair"}, None),
    ],
)
def test_settings(options: dict, message: str | None) -> None:
    if message is None:
        assert ps.pairs_from_ratings(ratings(), **options).levels["item"] == ("a", "b")
        return
    with pytest.raises(DataError, match=message):
        ps.pairs_from_ratings(ratings(), **options)


def test_what_cannot_be_compared() -> None:
    frame = pd.DataFrame({"s": list("xxyy"), "j": list("abab"), "t": list("ppqq"), "r": [1, 2, 3, 3]})
    table = ps.ResponseTable.from_frame(frame, response="r", subject="s", facets=("j", "t"))
    with pytest.raises(DataError, match=r"subject 'x' has several ratings in one list .t 'p'; 2 such pairs"):
        ps.pairs_from_ratings(table, by="t")
    with pytest.raises(DataError, match="holds two ratings; leave a facet out"):
        ps.pairs_from_ratings(table, by=("j", "t"))
