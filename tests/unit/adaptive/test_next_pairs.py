"""Which pairs are chosen, of whom, in what order, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from given_fits import given_fit
from scipy.special import expit

import psymetric as ps
from psymetric.adaptive.answers import Answerers, answer_information
from psymetric.adaptive.gains import Target, difference_variance, fall, observe, order_weights
from psymetric.errors import DataError

ITEMS = ("a", "b", "c", "d", "e")
WORTH = np.array([0.2, 1.0, 0.15, -1.5, 0.15])
JUDGES = ("blunt", "fair", "sharp")


def covariance(scale: float = 0.1) -> np.ndarray:
    root = np.random.default_rng(6).normal(0, 1, (5, 9))
    centre = np.eye(5) - 1 / 5
    return scale * centre @ root @ root.T @ centre / 9


def fitted(model: ps.BradleyTerry | None = None, **more: Any) -> ps.Fit:
    fit = given_fit(
        model or ps.BradleyTerry(), {"item": ITEMS, "judge": JUDGES}, ("left", "right", "tie"), worth=WORTH, **more
    )
    return replace(fit, covariances={"worth": covariance()})


def judged() -> ps.Fit:
    model = ps.BradleyTerry(slopes=("judge",), position="judge", ties="davidson")
    return fitted(model, judge_slope=np.array([0.5, 1.0, 2.0]), position=np.array([0.4, 0.0, 0.1]), tie=-0.7)


@pytest.mark.parametrize("target", ["ranking", "top_k", "worths", "information"])
def test_first_pair_is_the_best_of_all(target: Target) -> None:
    k = 2 if target == "top_k" else None
    found = ps.next_pairs(fitted(), n=10, target=target, k=k)
    one = Answerers(np.ones(1), np.zeros(1), np.zeros(1), None, "logit")
    now, left_over = covariance(), {frozenset(pair) for pair in combinations(range(5), 2)}
    information = answer_information(one).expected(WORTH[:, None] - WORTH, difference_variance(now), 0)
    for row in found.itertuples():
        weights = None if target == "information" else order_weights(WORTH, now, target, k or 0)
        gain = fall(now, information, weights)
        best = max(left_over, key=lambda pair: gain[min(pair), max(pair)])
        i, j = ITEMS.index(row.left), ITEMS.index(row.right)
        assert frozenset((i, j)) == best
        left_over.remove(best)
        now = observe(now[None], np.array([i]), np.array([j]), information[[i], [j]])[0]
    assert not left_over, "each pair once"


def test_numbers_of_a_row() -> None:
    (row,) = ps.next_pairs(fitted(), n=1).itertuples()
    i, j = ITEMS.index(row.left), ITEMS.index(row.right)
    variance = difference_variance(covariance())[i, j]
    draws = np.random.default_rng(0).normal(WORTH[i] - WORTH[j], np.sqrt(variance), 400_000)
    assert row.p_left == pytest.approx(expit(draws).mean(), abs=5 * expit(draws).std() / np.sqrt(len(draws)))
    assert row.gain_per_cost == row.gain > 0
    assert row.why.startswith(f"P({row.left} above {row.right}) = 0.")


def test_gain_of_worths_is_what_a_refit_would_find() -> None:
    """Votes with their expected outcome leave the worths where they are and add p(1 - p): the fit is the update."""
    rng = np.random.default_rng(1)
    rows = [
        (*rng.choice(list("abcd"), 2, replace=False), str(rng.choice(["left", "right"], p=[0.6, 0.4])), 1.0)
        for _ in range(120)
    ]
    frame = pd.DataFrame(rows, columns=["left", "right", "o", "w"])

    def fit(votes: pd.DataFrame) -> ps.Fit:
        return ps.fit(
            ps.BradleyTerry(),
            ps.PairTable.from_frame(votes, left="left", right="right", outcome="o", weight="w"),
            engine=ps.JointML(tolerance=1e-10),
        )

    before = fit(frame)
    worth = before.parameters["worth"]
    for i, j in combinations(range(4), 2):
        p = float(expit(worth[i] - worth[j]))
        more = pd.DataFrame([("abcd"[i], "abcd"[j], "left", p), ("abcd"[i], "abcd"[j], "right", 1 - p)])
        after = fit(pd.concat([frame, more.set_axis(frame.columns, axis=1)]))
        np.testing.assert_allclose(after.parameters["worth"], worth, atol=1e-8)
        updated = observe(before.covariances["worth"][None], np.array([i]), np.array([j]), np.array([p * (1 - p)]))[0]
        np.testing.assert_allclose(updated, after.covariances["worth"], atol=1e-8)


def test_top_k_asks_across_the_edge() -> None:
    (row,) = ps.next_pairs(fitted(), n=1, target="top_k", k=1).itertuples()
    assert "b" in (row.left, row.right)
    assert "across the edge of the top 1" in row.why


def test_judges_are_chosen_by_what_they_tell_for_the_price() -> None:
    assert set(ps.next_pairs(judged(), n=4)["judge"]) == {"sharp"}
    dear = ps.next_pairs(judged(), n=4, cost={"blunt": 1.0, "fair": 1.0, "sharp": 9.0})
    assert set(dear["judge"]) == {"fair"}
    assert set(ps.next_pairs(judged(), n=4, judges=["blunt"])["judge"]) == {"blunt"}
    np.testing.assert_allclose(dear["gain_per_cost"], dear["gain"] / dear["cost"])
    rest = 1 - dear["p_left"] - dear["p_tie"]
    assert ((rest > 0) & (dear["p_tie"] > 0)).all()


def test_judges_who_do_not_differ_take_turns() -> None:
    found = ps.next_pairs(fitted(), n=6, judges=["new", "old"])
    assert found["judge"].value_counts().to_dict() == {"new": 3, "old": 3}
    cheap = ps.next_pairs(fitted(), n=6, judges=["new", "old"], cost={"new": 2.0, "old": 1.0})
    assert set(cheap["judge"]) == {"old"}
    assert "judge" not in ps.next_pairs(fitted(), n=2)


def test_sides_are_balanced_over_what_was_asked() -> None:
    fit = fitted()
    every = ps.next_pairs(fit, n=10)
    lead = every["left"].value_counts().reindex(ITEMS, fill_value=0)
    assert (2 * lead - 4).abs().max() <= 2
    swapped = ps.next_pairs(
        fit, n=10, asked=ps.PairTable.from_frame(every.assign(o="tie"), left="left", right="right", outcome="o")
    )
    assert swapped[["right", "left"]].to_numpy().tolist() == every[["left", "right"]].to_numpy().tolist()


def test_candidates_can_be_few() -> None:
    few = pd.DataFrame({"left": ["a", "d", "c"], "right": ["b", "e", "d"]})
    found = ps.next_pairs(fitted(), n=3, candidates=few)
    assert {frozenset(row) for row in found[["left", "right"]].to_numpy()} == {frozenset(row) for row in few.to_numpy()}


def test_draws_serve_in_place_of_a_covariance() -> None:
    draws = np.random.default_rng(4).multivariate_normal(WORTH, covariance(), (2, 4000))
    drawn = replace(fitted(), covariances={}, draws={"worth": draws})
    exact = replace(fitted(), covariances={"worth": np.cov(draws.reshape(-1, 5), rowvar=False)})
    pd.testing.assert_frame_equal(ps.next_pairs(drawn, n=3), ps.next_pairs(exact, n=3))


def test_seed_decides_between_equals() -> None:
    alike = replace(fitted(), covariances={"worth": np.eye(5) - 0.2}, parameters={"worth": np.zeros(5)})
    firsts = {frozenset(ps.next_pairs(alike, n=1, seed=s)[["left", "right"]].iloc[0]) for s in range(12)}
    assert len(firsts) > 3
    pd.testing.assert_frame_equal(ps.next_pairs(alike, n=4, seed=3), ps.next_pairs(alike, n=4, seed=3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 11}, "n=11 of 10 candidate pairs; each is asked once at most"),
        ({"n": 0}, "n=0 of 10 candidate pairs"),
        ({"target": "best"}, "target='best' is not known"),
        ({"target": "top_k"}, "k=None of 5 items"),
        ({"target": "top_k", "k": 5}, "k=5 of 5 items; the best k leave somebody out: give 1 to 4"),
        ({"k": 2}, 'k=2 belongs to target="top_k"'),
        ({"cost": 0.0}, "the cost is 0; costs are numbers above zero"),
        ({"cost": {"x": 1.0}}, "cost= has no judges named"),
        ({"judges": ["x", "y"], "cost": {"x": 1.0}}, "cost= has 1 judge without one, first 'y'"),
        ({"judges": ["x", "y"], "cost": {"x": 1.0, "y": float("nan")}}, "the cost of 'y' is nan"),
        ({"judges": []}, r"judges=\[\]; give a list"),
        ({"judges": ["x", "x"]}, "names one twice"),
        ({"candidates": pd.DataFrame({"left": ["a"]})}, "it needs 'left' and 'right'"),
        ({"candidates": pd.DataFrame({"left": ["a"], "right": ["z"]})}, r"items that the fit does not have.*'z'"),
        ({"candidates": pd.DataFrame({"left": ["a"], "right": ["a"]})}, "pairs items with themselves"),
    ],
)
def test_what_cannot_be_asked_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ps.next_pairs(fitted(), **({"n": 1} | change))


def test_fits_that_cannot_be_continued_are_refused() -> None:
    with pytest.raises(DataError, match="has no covariance of the worths; fit with JointML, MAP"):
        ps.next_pairs(replace(fitted(), covariances={}), n=1)
    unknown = covariance()
    unknown[1, 1] = np.nan
    with pytest.raises(DataError, match="1 item without a standard error, first 'b'; fit with MAP"):
        ps.next_pairs(replace(fitted(), covariances={"worth": unknown}), n=1)
    with pytest.raises(DataError, match="1 judge not in the fit, first 'shrap'; did you mean 'sharp'"):
        ps.next_pairs(judged(), n=1, judges=["shrap"])
    ranked = replace(fitted(), model=ps.PlackettLuce())
    with pytest.raises(DataError, match=r"a fit of PlackettLuce; .*for sets of a ranking use best_worst_sets"):
        ps.next_pairs(ranked, n=1)
    rated = replace(fitted(), model=ps.Rasch())
    with pytest.raises(DataError, match=r"a fit of Rasch; .*fit comparisons"):
        ps.next_pairs(rated, n=1)
    moving = replace(fitted(), model=ps.BradleyTerry(drift={"item:month": "walk"}))
    with pytest.raises(DataError, match="worths that move"):
        ps.next_pairs(moving, n=1)
    alone = replace(fitted(), levels={"item": ("a",)})
    with pytest.raises(DataError, match="the fit has 1 item; comparing needs at least two"):
        ps.next_pairs(alone, n=1)
