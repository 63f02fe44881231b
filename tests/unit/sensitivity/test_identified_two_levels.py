"""Two true levels: the exact ranges against hand calculation, random worlds and the general search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import psymetric as ps
from psymetric.errors import IdentificationError

BETTER = ps.JudgeAssumptions(diagonal="chance")
CLOSE = 1e-9


def binary(*high: float) -> ps.JudgeMargins:
    """One judge's shares of the higher of two labels."""
    shares = np.array(high)
    return ps.JudgeMargins.from_shares({"judge": np.stack([1 - shares, shares], axis=1)}, labels=[0, 1])


def test_better_than_chance_identifies_the_order() -> None:
    found = ps.identified_set(binary(0.3, 0.4, 0.8), assumptions=BETTER)
    # θ[1, 1] - θ[0, 1] lies between .8 - .3, the spread of the candidates, and 1.
    expected = {(0, 1): (-0.1 / 0.5, -0.1), (0, 2): (-1.0, -0.5), (1, 2): (-0.8, -0.4)}
    assert found.method == "exact"
    assert list(zip(found.differences["lower"], found.differences["upper"], strict=True)) == [
        pytest.approx(each, abs=CLOSE) for each in expected.values()
    ]
    assert set(found.differences["identified"]) == {"sign"}
    assert set(found.differences["order"]) == {"second above"}
    assert found.summary()[0] == (
        "candidate 2 is above candidate 1 whatever the judges are: the mean difference is between -0.20 and -0.10."
    )


def test_nothing_assumed_leaves_the_order_open() -> None:
    found = ps.identified_set(binary(0.3, 0.4, 0.8))
    assert found.differences.iloc[0][["lower", "upper"]].tolist() == pytest.approx([-0.2, 0.2], abs=CLOSE)
    assert set(found.differences["identified"]) == {"no"}


def test_accuracy_narrows_as_by_hand() -> None:
    found = ps.identified_set(binary(0.3, 0.4, 0.8), assumptions=ps.JudgeAssumptions(accuracy=0.9))
    # θ[0, 1] is at most .1 and θ[1, 1] at least .9: their distance is between .8 and 1.
    assert found.differences.iloc[1][["lower", "upper"]].tolist() == pytest.approx([-0.5 / 0.8, -0.5], abs=CLOSE)
    # The mean of the first is (.3 - a) / (b - a): least at a = .1 and b = 1, greatest at a = 0 and b = .9.
    assert found.means.iloc[0][["lower", "upper"]].tolist() == pytest.approx([0.2 / 0.9, 0.3 / 0.9], abs=CLOSE)


def test_known_judge_is_the_estimator_of_rogan_and_gladen() -> None:
    sensitivity, specificity = 0.9, 0.8
    judge = [[specificity, 1 - specificity], [1 - sensitivity, sensitivity]]
    found = ps.identified_set(binary(0.3, 0.55), assumptions=ps.JudgeAssumptions(known=judge))
    # Rogan & Gladen (1978), American Journal of Epidemiology 107, 71-76.
    expected = [(share + specificity - 1) / (sensitivity + specificity - 1) for share in (0.3, 0.55)]
    assert found.means["lower"].tolist() == pytest.approx(expected, abs=CLOSE)
    assert found.means["upper"].tolist() == pytest.approx(expected, abs=CLOSE)


def test_equal_margins_are_equal_unless_the_judge_may_be_uninformative() -> None:
    informative = ps.JudgeAssumptions(accuracy=0.7)
    row = ps.identified_set(binary(0.5, 0.5), assumptions=informative, boxes=10, starts=1).differences.iloc[0]
    assert (row["lower"], row["upper"]) == pytest.approx((0, 0), abs=1e-6)
    row = ps.identified_set(binary(0.5, 0.5), assumptions=BETTER, boxes=4, starts=2).differences.iloc[0]
    assert (row["lower"], row["upper"]) == pytest.approx((-1, 1), abs=1e-6)


def test_margins_of_two_judges_that_lie_on_no_line_are_refused() -> None:
    shares = {"a": [[0.2, 0.8], [0.5, 0.5], [0.8, 0.2]], "b": [[0.2, 0.8], [0.9, 0.1], [0.7, 0.3]]}
    with pytest.raises(IdentificationError, match="rank 3, and 2 true levels give 2 at most"):
        ps.identified_set(ps.JudgeMargins.from_shares(shares))
    crossing = ps.JudgeMargins.from_shares({"a": [[0.2, 0.5, 0.3], [0.3, 0.3, 0.4]]})
    with pytest.raises(IdentificationError, match="labels rise with the truth"):
        ps.identified_set(crossing, values=[0, 1], assumptions=ps.JudgeAssumptions(order="stochastic"))
    contrary = {"a": [[0.2, 0.8], [0.8, 0.2]], "b": [[0.8, 0.2], [0.2, 0.8]]}
    with pytest.raises(IdentificationError, match="at least as likely under its own true level"):
        ps.identified_set(ps.JudgeMargins.from_shares(contrary), assumptions=BETTER)


def test_closed_form_is_where_the_search_ends() -> None:
    shares = np.array([[0.2, 0.5, 0.3], [0.1, 0.4, 0.5]])
    margins = ps.JudgeMargins.from_shares({"judge": shares})
    assumed = ps.JudgeAssumptions(order="stochastic")
    exact = ps.identified_set(margins, values=[0, 1], assumptions=assumed).differences.iloc[0]
    assert exact["identified"] == "sign"
    # The same candidates and one the judge never met: the closed form does not apply, the search does.
    judge, other = np.vstack([shares, np.full(3, np.nan)]), np.vstack([np.full((2, 3), np.nan), [[0.2, 0.3, 0.5]]])
    with_unmet = ps.JudgeMargins.from_shares({"judge": judge, "other": other})
    found = ps.identified_set(with_unmet, values=[0, 1], assumptions=assumed, starts=1, boxes=25)
    row = found.differences.iloc[0]
    assert found.method == "certified"
    assert row["lower_outer"] <= exact["lower"] + 1e-6
    assert row["upper_outer"] >= exact["upper"] - 1e-6
    assert (row["lower"], row["upper"]) == pytest.approx((exact["lower"], exact["upper"]), abs=0.011)


unit = st.floats(0.0, 1.0)
weights = st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(truth=st.lists(unit, min_size=2, max_size=4), one=st.tuples(weights, weights), two=st.tuples(weights, weights))
def test_true_differences_lie_inside_and_judges_narrow(
    truth: list[float], one: tuple[list[float], list[float]], two: tuple[list[float], list[float]]
) -> None:
    """Random worlds of three labels lie inside; a second judge never widens; turning candidates turns the ranges."""
    true = np.stack([1 - np.array(truth), truth], axis=1)
    judges = [np.array(each) / np.sum(each, axis=1, keepdims=True) for each in (one, two)]
    shares = [true @ judge for judge in judges]
    if np.ptp(truth) < 0.05 or min(np.abs(judge[1] - judge[0]).max() for judge in judges) < 0.05:
        return
    found = ps.identified_set(ps.JudgeMargins.from_shares({"a": shares[0]}), values=[0, 1])
    both = ps.identified_set(ps.JudgeMargins.from_shares({"a": shares[0], "b": shares[1]}), values=[0, 1])
    turned = ps.identified_set(ps.JudgeMargins.from_shares({"a": shares[0][::-1]}), values=[0, 1])
    wide = found.differences[["lower", "upper"]].to_numpy()
    narrow = both.differences[["lower", "upper"]].to_numpy()
    places = [(i, j) for i in range(len(truth)) for j in range(i + 1, len(truth))]
    actual = np.array([truth[i] - truth[j] for i, j in places])
    assert (narrow[:, 0] <= actual + 1e-7).all()
    assert (actual <= narrow[:, 1] + 1e-7).all()
    assert (wide[:, 0] <= narrow[:, 0] + 1e-7).all()
    assert (narrow[:, 1] <= wide[:, 1] + 1e-7).all()
    last = len(truth) - 1
    mirrored = [places.index((last - j, last - i)) for i, j in places]
    assert turned.differences[["lower", "upper"]].to_numpy()[mirrored] == pytest.approx(-wide[:, ::-1], abs=1e-7)
