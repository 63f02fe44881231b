"""Rankings made of ratings of whole lists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

import psymetric as ps
from psymetric.errors import DataError

ROWS = pd.DataFrame(
    {
        "reply": ["r1", "r2", "r3", "r1", "r2", "r3", "r1"],
        "judge": ["a", "a", "a", "b", "b", "b", "c"],
        "rating": [1, 3, 3, 5, 4, None, 2],
    }
)


def ratings(rows: pd.DataFrame = ROWS) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(rows, response="rating", subject="reply", facets="judge", categories=range(1, 6))


def test_the_order_of_a_list_and_nothing_else() -> None:
    """What was not rated is not ranked, and one rating alone is no list."""
    found = ps.rankings_from_ratings(ratings(), by="judge")
    rows = found.to_frame().sort_values(["judge", "item"])[["judge", "item", "response"]]
    assert rows.to_numpy().tolist() == [
        ["a", "r1", "2"],
        ["a", "r2", "1"],
        ["a", "r3", "1"],
        ["b", "r1", "1"],
        ["b", "r2", "2"],
    ]
    assert found.notes[0] == (
        "2 rankings made of lists of ratings: their order is kept and the scale is lost (1 item of 5 tied with another "
        "before it). Where a judge gave several lists, cluster the errors by it (robust_errors, bootstrap), or they "
        "are too small. 1 list of one rating left out."
    )


def test_plackett_luce_maximises_the_listwise_log_sum_exp() -> None:
    """ListMLE (Xia et al., 2008, eq. 6) of the lists of scores, maximised by itself."""
    rng = np.random.default_rng(4)
    scores = np.argsort(np.argsort(rng.gumbel(np.array([0.0, 0.5, 1.0, 1.5]), size=(60, 4)), axis=1), axis=1) + 1
    rows = pd.DataFrame({"reply": np.tile(list("wxyz"), 60), "judge": np.repeat(np.arange(60), 4)})
    fit = ps.fit(ps.PlackettLuce(), ps.rankings_from_ratings(ratings(rows.assign(rating=scores.ravel())), by="judge"))

    def loss(free: np.ndarray) -> float:
        worth = np.append(free, -free.sum())[np.argsort(-scores, axis=1)]
        return float(sum(np.sum(logsumexp(worth[:, place:], axis=1) - worth[:, place]) for place in range(4)))

    best = minimize(loss, np.zeros(3), tol=1e-12)
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-8)
    np.testing.assert_allclose(fit.parameters["worth"][:3], best.x, atol=1e-4)


def test_facets_whose_names_rankings_use() -> None:
    frame = pd.DataFrame({"s": list("xyxy"), "i": ["q1", "q1", "q2", "q2"], "r": [1, 2, 3, 3]})
    table = ps.ResponseTable.from_frame(frame, response="r", subject="s", item="i")
    assert ps.rankings_from_ratings(table, by="item").levels["item_facet"] == ("q1", "q2")
    assert ps.rankings_from_ratings(table, by="subject", of="item").levels["item"] == ("q1", "q2")


def test_what_cannot_be_ranked() -> None:
    with pytest.raises(DataError, match="rankings_from_ratings: no facet 'jugde'; did you mean 'judge'"):
        ps.rankings_from_ratings(ratings(), by="jugde")
    with pytest.raises(DataError, match="must name facets other than 'judge'"):
        ps.rankings_from_ratings(ratings(), by="judge", of="judge")
    frame = pd.DataFrame({"s": list("xxyy"), "j": list("abab"), "t": list("ppqq"), "r": [1, 2, 3, 3]})
    table = ps.ResponseTable.from_frame(frame, response="r", subject="s", facets=("j", "t"))
    with pytest.raises(DataError, match=r"subject 'x' has several ratings in one list .t 'p'; 2 such rows"):
        ps.rankings_from_ratings(table, by="t")
    with pytest.raises(DataError, match="holds two ratings; leave a facet out"):
        ps.rankings_from_ratings(table, by=("j", "t"))
    weighted = ps.ResponseTable.from_frame(
        frame.assign(n=[1, 2, 3, 4]), response="r", subject="s", facets="j", weight="n"
    )
    with pytest.raises(DataError, match="weights differ within one ranking"):
        ps.rankings_from_ratings(weighted, by="j")
