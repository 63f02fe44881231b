"""Which cells of the full crossing are asked: full, fractional and linked designs. Arrays only; labels come later.

A *unit* is what a row measures: a subject, or a pair of texts. The other facets have sizes L_1 … L_F. A fractional
design walks the F facets in one sequence, any beginning of which holds the levels of each facet, and then the pairs of
levels of any two facets, as equally often as can be; the first two facets run against one another like the rows and
columns of a Latin square. Each unit walks from the beginning, but with its own shift of every facet. So levels are
balanced within each unit, over all rows, and between facets. A longer design contains a shorter one of the same seed,
so that raising `calls` asks nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["asking_order", "fractional", "full", "linked", "walk"]

Codes = dict[str, NDArray[np.int64]]

_CANDIDATES: Final = 16
_JUDGED: Final = 2000
_BLOCK: Final = 720  # divisible by most numbers of levels


def full(units: int, sizes: Mapping[str, int]) -> Codes:
    """Every unit with every combination of levels; shape (units * product of sizes,) each."""
    shape = (units, *sizes.values())
    grid = np.unravel_index(np.arange(prod(shape)), shape)
    return {name: codes.astype(np.int64) for name, codes in zip(("unit", *sizes), grid, strict=True)}


def fractional(
    units: int, sizes: Mapping[str, int], calls: int, rank: NDArray[np.int64], rng: np.random.Generator
) -> Codes:
    """`calls` rows, spread evenly over units and levels.

    Args:
        units: Number of units.
        sizes: Levels of each facet; the first two form the Latin square.
        calls: Rows, at most the full crossing.
        rank: Order in which units get the rows that are left over, shape (units,): a permutation.
        rng: Randomness; the draws do not depend on `calls`.

    Returns:
        Codes of "unit" and every facet, shape (calls,).
    """
    shifts = {name: shift[rank] for name, shift in _shifts(units, sizes, rng).items()}
    relabel = {name: rng.permutation(size) for name, size in sizes.items()}
    per_unit = calls // units + (rank < calls % units)
    unit = np.repeat(np.arange(units), per_unit)
    step = np.arange(calls) - np.repeat(np.cumsum(per_unit) - per_unit, per_unit)
    steps = walk(int(per_unit.max()), sizes)
    codes: Codes = {"unit": unit}
    for name, size in sizes.items():
        codes[name] = relabel[name][(steps[name][step] + shifts[name][unit]) % size]
    return codes


def linked(units: int, sizes: Mapping[str, int], per_unit: int, rng: np.random.Generator) -> Codes:
    """Each unit with `per_unit` neighbouring judges on a ring, crossed with every other facet.

    With two or more judges for each unit, and no fewer units than judges, the ring links all judges.

    Args:
        units: Number of units.
        sizes: Levels of each facet, "judge" among them.
        per_unit: Judges of each unit.
        rng: Randomness.
    """
    judges = sizes["judge"]
    start = _spread(units, judges, rng)
    ring = rng.permutation(judges)
    codes = full(units, {**sizes, "judge": per_unit})
    codes["judge"] = ring[(codes["judge"] + start[codes["unit"]]) % judges]
    return codes


def walk(steps: int, sizes: Mapping[str, int]) -> Codes:
    """The first `steps` points of a sequence through all combinations of levels, each once in every full round.

    Any beginning of it holds the levels of a facet equally often, to within one or little more, and the pairs of levels
    of two facets as equally as a greedy choice allows.

    Args:
        steps: Number of points, shape of the result.
        sizes: Levels of each facet.
    """
    codes: Codes = {}
    period = 1
    for name, size in sizes.items():
        codes[name] = _facet_walk(steps, period, size, [(codes[other], sizes[other]) for other in codes])
        period *= size
    return codes


def _facet_walk(steps: int, period: int, size: int, earlier: list[tuple[NDArray[np.int64], int]]) -> NDArray[np.int64]:
    """Levels of one facet beside the earlier ones, whose combinations recur every `period` steps.

    No combination comes twice as long as the levels at each place of the period are all different. A long period is
    filled by one block that slips by a level from block to block; any filling of it will do, if it slips by a level
    from period to period.
    """
    index = np.arange(steps, dtype=np.int64)
    if size == 1:
        return np.zeros(steps, dtype=np.int64)
    if period < _BLOCK:
        return _greedy(min(steps, period * size), period, size, earlier)[index % (period * size)]
    block = _BLOCK - _BLOCK % size if size < _BLOCK else size
    levels = _greedy(min(steps, block), period, size, earlier)
    place = index % period
    return (levels[place % block] + place // block + index // period) % size


def _greedy(length: int, period: int, size: int, earlier: list[tuple[NDArray[np.int64], int]]) -> NDArray[np.int64]:
    """At each step the least used level, and of these the one least used with the other facets' present levels."""
    others = [(levels, n) for levels, n in earlier if n > 1]
    starts = np.cumsum([0, *(n for _, n in others)])
    places = np.array([start + levels[:length] for start, (levels, _) in zip(starts, others, strict=False)]).T
    weight = np.array([float(n) for _, n in others])
    pairs = np.zeros((int(starts[-1]), size))
    single = np.zeros(size)
    used = np.zeros((min(period, length), size), dtype=bool)
    chosen = np.zeros(length, dtype=np.int64)
    # Pair counts are at most `length`; scaled so they never outweigh one more use of a level.
    scale = 1.0 / (1.0 + length * max(1.0, weight.sum()))
    last = size - 1
    for step in range(length):
        rows = places[step] if others else []
        cost = single + scale * (weight @ pairs[rows]) if others else single.copy()
        cost[used[step % period]] = np.inf
        turned = (np.arange(size) + last + 1) % size
        last = int(turned[np.argmin(cost[turned])])
        chosen[step] = last
        single[last] += 1
        used[step % period, last] = True
        if others:
            pairs[rows, last] += 1
    return chosen


def asking_order(unit: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of rows in which every unit is asked once before any is asked twice, and so on.

    A run that is interrupted has then asked about all units almost equally often.
    """
    shuffled = rng.permutation(unit.size)
    by_unit = shuffled[np.argsort(unit[shuffled], kind="stable")]
    counts = np.bincount(unit)
    turn = np.empty(unit.size, dtype=np.int64)
    turn[by_unit] = np.arange(unit.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return shuffled[np.argsort(turn[shuffled], kind="stable")]


def _spread(units: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Levels 0..size-1 in random order, again and again, so that any beginning holds them equally often."""
    rounds = [rng.permutation(size) for _ in range(-(-units // size))]
    return np.concatenate(rounds)[:units].astype(np.int64)


def _shifts(units: int, sizes: Mapping[str, int], rng: np.random.Generator) -> Codes:
    """Where units start, by rank: of several draws the one whose beginnings of walks are most evenly crossed.

    Half of the draws follow a walk themselves, which crosses many units best; the other half are random, which keeps
    few units from following the pattern of the walk that they start.
    """
    judged = min(units, _JUDGED)
    steps = walk(min(max(sizes.values()), prod(sizes.values())), sizes)
    length = len(next(iter(steps.values())))
    pattern = walk(units, sizes)
    best: Codes = {}
    least = np.inf
    for draw in range(_CANDIDATES):
        shifts: Codes = {}
        for name, size in sizes.items():
            shifts[name] = rng.permutation(size)[pattern[name]] if draw % 2 else _spread(units, size, rng)
        rows = {
            name: ((steps[name] + shifts[name][:judged, None]) % size).reshape(judged * length)
            for name, size in sizes.items()
        }
        imbalance = _imbalance(rows, sizes)
        if imbalance < least:
            best, least = shifts, imbalance
    return best


def _imbalance(codes: Codes, sizes: Mapping[str, int]) -> float:
    """Sum over pairs of facets of the variance of their two-way counts, relative to the mean count."""
    names = [name for name, size in sizes.items() if size > 1]
    total = 0.0
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            cells = sizes[first] * sizes[second]
            counts = np.bincount(codes[first] * sizes[second] + codes[second], minlength=cells)
            total += float(counts.var() / counts.mean())
    return total
