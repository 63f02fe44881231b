"""Full, fractional and linked designs are what they say, and balanced."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from psymetric.design.allocation import asking_order, fractional, full, linked, walk

facet_sizes = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(lambda n: {f"f{i}": s for i, s in enumerate(n)})


def cells(codes: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in codes.values()), strict=True))


def spread(counts: np.ndarray) -> int:
    return int(counts.max() - counts.min())


def two_way(first: np.ndarray, second: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(first * shape[1] + second, minlength=prod(shape))


def drawn(units: int, sizes: dict[str, int], calls: int, seed: int = 0) -> dict[str, np.ndarray]:
    return fractional(units, sizes, calls, np.arange(units), np.random.default_rng(seed))


@given(st.integers(1, 4), facet_sizes)
def test_a_full_design_holds_every_cell_once(units: int, sizes: dict[str, int]) -> None:
    found = cells(full(units, sizes))
    assert len(found) == len(set(found)) == units * prod(sizes.values())


@settings(deadline=None)
@given(facet_sizes)
def test_a_walk_visits_every_cell_once(sizes: dict[str, int]) -> None:
    total = prod(sizes.values())
    assert len(set(cells(walk(total, sizes)))) == total


@pytest.mark.parametrize("sizes", [{"a": 7, "b": 11, "c": 13, "d": 3}, {"a": 800, "b": 5, "c": 2}])
def test_a_walk_longer_than_a_block_visits_every_cell_once(sizes: dict[str, int]) -> None:
    total = prod(sizes.values())
    assert len(set(cells(walk(total, sizes)))) == total


def test_any_beginning_of_a_walk_is_balanced() -> None:
    rng = np.random.default_rng(0)
    worst: list[int] = []
    for _ in range(300):
        sizes = {f"f{i}": int(size) for i, size in enumerate(rng.integers(1, 7, size=rng.integers(1, 6)))}
        codes = walk(int(rng.integers(1, min(300, prod(sizes.values())) + 1)), sizes)
        worst.append(max(spread(np.bincount(codes[name], minlength=size)) for name, size in sizes.items()))
    # More than one only where a level is no longer free at its place of the period.
    assert np.mean(np.array(worst) <= 1) > 0.9
    assert max(worst) <= 4


def test_the_first_two_facets_form_latin_squares() -> None:
    codes = walk(9, {"template": 3, "order": 3, "item": 3})
    square = codes["order"].reshape(3, 3)
    assert all(sorted(row) == [0, 1, 2] for row in square.tolist())
    assert all(sorted(column) == [0, 1, 2] for column in square.T.tolist())


SIZES = {"template": 3, "order": 3, "item": 3, "judge": 4, "label": 2, "occasion": 2}


@pytest.mark.parametrize("calls", [240, 500, 1000, 3001])
def test_a_fractional_design_is_balanced(calls: int) -> None:
    units = 24
    codes = drawn(units, SIZES, calls)
    assert len(codes["unit"]) == len(set(cells(codes))) == calls
    assert spread(np.bincount(codes["unit"], minlength=units)) <= 1
    for name, size in SIZES.items():
        assert spread(np.bincount(codes[name], minlength=size)) <= 4
        within = two_way(codes["unit"], codes[name], (units, size)).reshape(units, size)
        assert (within.max(axis=1) - within.min(axis=1)).max() <= 2
    for first, second in combinations(SIZES, 2):
        shape = (SIZES[first], SIZES[second])
        counts = two_way(codes[first], codes[second], shape)
        # Cells drawn at random would give about the root of the mean count on average, and more in the worst pair.
        assert counts.std() < 0.95 * np.sqrt(calls / prod(shape))


@pytest.mark.parametrize("seed", range(5))
def test_more_calls_keep_the_earlier_ones(seed: int) -> None:
    assert set(cells(drawn(24, SIZES, 300, seed))) < set(cells(drawn(24, SIZES, 1100, seed)))


def test_all_calls_make_the_full_design() -> None:
    sizes = {"a": 3, "b": 2, "c": 2}
    assert set(cells(drawn(5, sizes, 60))) == set(cells(full(5, sizes)))


def test_the_rank_says_who_gets_the_rows_left_over() -> None:
    rank = np.array([2, 0, 1])
    codes = fractional(3, {"a": 6}, 5, rank, np.random.default_rng(0))
    assert np.bincount(codes["unit"]).tolist() == [1, 2, 2]


def test_seeds_differ_and_repeat() -> None:
    assert cells(drawn(24, SIZES, 300, 1)) == cells(drawn(24, SIZES, 300, 1))
    assert cells(drawn(24, SIZES, 300, 1)) != cells(drawn(24, SIZES, 300, 2))


@given(st.integers(4, 20), st.integers(2, 4), st.integers(0, 9))
def test_a_linked_design_chains_all_judges(units: int, judges: int, seed: int) -> None:
    codes = linked(units, {"item": 2, "judge": judges}, 2, np.random.default_rng(seed))
    found = cells(codes)
    assert len(found) == len(set(found)) == units * 2 * 2
    met = [set(codes["judge"][codes["unit"] == unit].tolist()) for unit in range(units)]
    assert {len(panel) for panel in met} == {2}
    # Union of overlapping panels reaches every judge.
    reached = met[0]
    for _ in range(judges):
        reached = reached.union(*(panel for panel in met if panel & reached))
    assert len(reached) == judges
    assert spread(np.bincount(codes["judge"], minlength=judges)) <= 2 * 2 * 2


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 9))
def test_any_beginning_of_the_asking_order_has_units_alike(units: list[int], seed: int) -> None:
    unit = np.unique(units, return_inverse=True)[1].astype(np.int64)
    order = asking_order(unit, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(unit.size))
    turn = np.zeros(unit.max() + 1, dtype=int)
    turns = []
    for u in unit[order]:
        turns.append(turn[u])
        turn[u] += 1
    assert all(a <= b for a, b in pairwise(turns))
