"""Identified sets: the published counter-example, closed forms, brute force, and what must follow from what."""

from __future__ import annotations

from itertools import pairwise, permutations, product

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import psymetric as ps
from psymetric.errors import DataError, IdentificationError

# MODELS.md, section 5: two judges and two pairs of candidates with the same margins.
JUDGE_1 = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.0, 0.0, 1.0]])
JUDGE_2 = np.array([[0.8, 0.2, 0.0], [0.3, 0.4, 0.3], [0.3, 0.2, 0.5]])
TRUTH_1 = np.array([[0.1, 0.9, 0.0], [0.7, 0.1, 0.2]])
TRUTH_2 = np.array([[0.04, 0.95, 0.01], [0.16, 0.25, 0.59]])
SHARES = np.array([[0.32, 0.39, 0.29], [0.38, 0.25, 0.37]])

ASSUMED = ps.JudgeAssumptions(order="stochastic", diagonal="likeliest", accuracy=0.4)
CLOSE = 1e-6
"""Tolerance of linear programming."""


def margins(shares: NDArray[np.float64], *names: str) -> ps.JudgeMargins:
    return ps.JudgeMargins.from_shares({"judge": shares}, candidates=names or None)


@pytest.fixture(scope="module")
def counter_example() -> ps.IdentifiedSet:
    return ps.identified_set(margins(SHARES, "A", "B"), assumptions=ASSUMED, starts=2, boxes=100)


def test_both_published_worlds_give_the_same_margins() -> None:
    for truth, judge in ((TRUTH_1, JUDGE_1), (TRUTH_2, JUDGE_2)):
        assert truth @ judge == pytest.approx(SHARES, abs=1e-12)
    values = np.array([1.0, 2.0, 3.0])
    assert (TRUTH_1[0] - TRUTH_1[1]) @ values == pytest.approx(0.40)
    assert (TRUTH_2[0] - TRUTH_2[1]) @ values == pytest.approx(-0.46)


def test_counter_example_holds_both_worlds_and_is_not_identified(counter_example: ps.IdentifiedSet) -> None:
    row = counter_example.differences.iloc[0]
    assert row["lower"] <= -0.46
    assert row["upper"] >= 0.40
    assert row["lower_outer"] <= row["lower"]
    assert row["upper_outer"] >= row["upper"]
    assert (row["identified"], row["order"], counter_example.method) == ("no", "either", "certified")
    # Attained and certified ends differ by the gap asked for, a hundredth of the range of values.
    assert max(row["lower"] - row["lower_outer"], row["upper_outer"] - row["upper"]) <= 0.02 + CLOSE
    (sentence,) = counter_example.summary()
    assert sentence == (
        "A and B are not identified: with what is observed the mean difference can be as low as -0.80 and as high as "
        "+0.76."
    )


@pytest.mark.parametrize("end", ["lower", "upper"])
def test_extreme_worlds_reproduce_the_margins_and_what_is_assumed(counter_example: ps.IdentifiedSet, end: str) -> None:
    world = counter_example.world("A", "B", end=end)  # pyright: ignore[reportArgumentType]
    judge = world.judges["judge"].to_numpy()
    assert world.truth.to_numpy() @ judge == pytest.approx(SHARES, abs=CLOSE)
    assert world.means["A"] - world.means["B"] == pytest.approx(counter_example.differences.iloc[0][end])
    assert (np.diff(judge.cumsum(axis=1), axis=0) <= CLOSE).all()
    assert np.diag(judge) == pytest.approx(judge.max(axis=1), abs=CLOSE)
    assert np.diag(judge).min() >= 0.4 - CLOSE
    turned = counter_example.world("B", "A", end="upper" if end == "lower" else "lower")
    pd.testing.assert_frame_equal(turned.truth, world.truth)


def grid(step: int) -> NDArray[np.float64]:
    """All points of the triangle whose coordinates are multiples of 1 / step."""
    return np.array([(a, b, step - a - b) for a in range(step + 1) for b in range(step + 1 - a)]) / step


def brute_force(shares: NDArray[np.float64], assumed: ps.JudgeAssumptions, step: int) -> NDArray[np.float64]:
    """Least and greatest differences of the first two means over all judges on a grid, solved for the candidates."""
    points = grid(step)
    rows = [[p for p in points if p[m] >= assumed.accuracy - 1e-12] for m in range(3)]
    if assumed.diagonal == "likeliest":
        rows = [[p for p in each if p[m] >= p.max() - 1e-12] for m, each in enumerate(rows)]
    judges = np.array(list(product(*rows)))
    judges = judges[np.abs(np.linalg.det(judges)) > 1e-9]
    if assumed.order == "stochastic":
        judges = judges[(np.diff(judges.cumsum(axis=2), axis=1) <= 1e-12).all(axis=(1, 2))]
    truth = np.linalg.solve(judges.transpose(0, 2, 1), np.broadcast_to(shares.T, (len(judges), 3, len(shares))))
    possible = truth[(truth >= -1e-12).all(axis=(1, 2))]
    differences = (possible[:, :, 0] - possible[:, :, 1]) @ np.array([1.0, 2.0, 3.0])
    return np.array([differences.min(), differences.max()])


@pytest.mark.parametrize(
    "assumed",
    [ASSUMED, pytest.param(ps.JudgeAssumptions(accuracy=0.6), marks=pytest.mark.thorough)],
    ids=["ordered", "accurate"],
)
def test_range_reaches_every_world_on_a_grid(assumed: ps.JudgeAssumptions) -> None:
    found = ps.identified_set(margins(SHARES), assumptions=assumed, starts=4, boxes=300).differences.iloc[0]
    low, high = brute_force(SHARES, assumed, step=20)
    assert found["lower_outer"] <= low
    assert found["upper_outer"] >= high
    # The attained end is a world (tested above), the other end a bound: what lies between them is all that is unknown.
    assert found["lower"] - found["lower_outer"] <= 0.02 + CLOSE
    assert found["upper_outer"] - found["upper"] <= 0.02 + CLOSE


def test_every_random_world_lies_within_the_certified_range() -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        judge = (rng.dirichlet(np.ones(3), 3) + 1.5 * np.eye(3)) / 2.5
        truth = rng.dirichlet(np.ones(3), 2)
        assumed = ps.JudgeAssumptions(diagonal="likeliest")
        row = ps.identified_set(margins(truth @ judge), assumptions=assumed, starts=1, boxes=10).differences.iloc[0]
        difference = (truth[0] - truth[1]) @ [1.0, 2.0, 3.0]
        assert row["lower_outer"] <= difference <= row["upper_outer"]
        assert row["lower_outer"] <= row["lower"] <= row["upper"] <= row["upper_outer"]


def test_known_judge_fixes_everything() -> None:
    assumed = ps.JudgeAssumptions(known=JUDGE_1)
    found = ps.identified_set(margins(SHARES, "A", "B"), assumptions=assumed, starts=1, boxes=20)
    row = found.differences.iloc[0]
    assert (row["lower_outer"], row["upper_outer"]) == pytest.approx((0.40, 0.40), abs=CLOSE)
    assert (row["identified"], row["order"]) == ("point", "first above")
    assert found.means["identified"].tolist() == ["point", "point"]
    assert found.dimension.fibre == 0
    assert found.dimension.differences


def test_nothing_assumed_says_nothing() -> None:
    found = ps.identified_set(margins(SHARES), starts=1, boxes=10).differences.iloc[0]
    assert (found["lower"], found["upper"]) == pytest.approx((-2, 2), abs=CLOSE)


def test_more_assumptions_never_widen_and_more_judges_neither() -> None:
    ladder = [ps.JudgeAssumptions(), ps.JudgeAssumptions(order="stochastic"), ASSUMED]
    rows = [ps.identified_set(margins(SHARES), assumptions=a, starts=1, boxes=10).differences.iloc[0] for a in ladder]
    other = TRUTH_1 @ np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    both = ps.JudgeMargins.from_shares({"one": SHARES, "two": other})
    rows.append(ps.identified_set(both, assumptions=ASSUMED, starts=1, boxes=10).differences.iloc[0])
    for wide, narrow in pairwise(rows):
        assert wide["lower_outer"] <= narrow["lower"] + CLOSE
        assert wide["upper_outer"] >= narrow["upper"] - CLOSE


@pytest.mark.thorough
def test_permuting_candidates_permutes_ranges() -> None:
    shares = np.vstack([SHARES, [0.3, 0.3, 0.4]])
    names = np.array(["A", "B", "C"])
    seen: dict[frozenset[str], list[NDArray[np.float64]]] = {}
    for order in list(permutations(range(3)))[::2]:
        places = list(order)
        found = ps.identified_set(
            margins(shares[places], *names[places]), assumptions=ASSUMED, starts=1, boxes=4, gap=0.05
        )
        for row in found.differences.to_dict("records"):
            ends = np.array([row["lower"], row["upper"], row["lower_outer"], row["upper_outer"]])
            ends = ends if row["first"] < row["second"] else -ends[[1, 0, 3, 2]]
            seen.setdefault(frozenset((row["first"], row["second"])), []).append(ends)
    for each in seen.values():
        for one, other in product(each, each):
            assert one[0] >= other[2] - CLOSE
            assert one[1] <= other[3] + CLOSE


def test_bands_hold_the_exact_margins_of_the_same_counts() -> None:
    counts = ps.JudgeMargins.from_counts({"judge": SHARES * 100})
    exact = ps.identified_set(counts, assumptions=ASSUMED, margins="exact", starts=1, boxes=10).differences.iloc[0]
    bands = ps.identified_set(counts, assumptions=ASSUMED, starts=1, boxes=10)
    row = bands.differences.iloc[0]
    assert bands.level == 0.95
    assert row["lower_outer"] <= exact["lower"]
    assert row["upper_outer"] >= exact["upper"]
    assert "bands that hold at once with 95%" in bands.describe()


def test_large_tables_have_inner_ends_alone() -> None:
    found = ps.identified_set(margins(SHARES, "A", "B"), assumptions=ASSUMED, boxes=0, starts=2)
    row = found.differences.iloc[0]
    assert found.method == "inner"
    assert (row["lower_outer"], row["upper_outer"]) == (-2, 2)
    assert row["identified"] == "no"
    assert "or beyond" in found.summary()[0]


def test_region_is_made_of_possible_points() -> None:
    found = ps.identified_set(margins(SHARES, "A", "B"), assumptions=ASSUMED, boxes=0, starts=1)
    region = found.region("A", directions=6)
    assert region.shape == (6, 3)
    assert region.sum(axis=1) == pytest.approx(np.ones(6), abs=CLOSE)
    assert region.min() >= 0
    with pytest.raises(DataError, match="no candidate 'C'"):
        found.region("C")


def test_margins_no_judge_could_give_are_refused() -> None:
    two = ps.JudgeMargins.from_shares({"a": np.eye(3), "b": np.eye(3)[[1, 2, 0]]}, candidates=list("XYZ"))
    assumed = ps.JudgeAssumptions(accuracy=0.9)
    with pytest.raises(IdentificationError, match=r"no candidates and judges were found .* probability 0\.9"):
        ps.identified_set(two, assumptions=assumed, starts=1, boxes=20)
    rng = np.random.default_rng(0)
    many = {name: rng.dirichlet(np.ones(3), 5) for name in "ab"}
    with pytest.raises(IdentificationError, match=r"rank 5, and 3 true levels .* margins=\"bands\""):
        ps.identified_set(ps.JudgeMargins.from_shares(many))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"values": [1, 3, 2]}, "not two or more numbers that ascend"),
        ({"values": [1, 2], "assumptions": ASSUMED}, "3 labels and 2 levels"),
        ({"margins": "bands"}, "takes counts"),
        ({"margins": "about"}, "neither"),
        ({"level": 1.5}, "level=1.5"),
        ({"assumptions": ps.JudgeAssumptions(known={"jude": JUDGE_1})}, "did you mean 'judge'"),
        ({"assumptions": ps.JudgeAssumptions(known=JUDGE_1[:2])}, r"shape \(2, 3\); it takes \(3, 3\)"),
        ({"assumptions": ps.JudgeAssumptions(known=JUDGE_1, accuracy=0.9)}, "breaks the other assumptions"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        ps.identified_set(margins(SHARES), **options)  # pyright: ignore[reportArgumentType]


def test_unknown_candidates_and_ends_of_worlds_are_refused(counter_example: ps.IdentifiedSet) -> None:
    with pytest.raises(DataError, match="no candidate 'C'"):
        counter_example.world("A", "C", end="lower")
    with pytest.raises(DataError, match="name two, and lower or upper"):
        counter_example.world("A", "A", end="lower")
