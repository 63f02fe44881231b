"""How far any world can reach: branch and bound, which ends with a certified bound.

The box of all worlds is cut in two where the relaxation's products depart most from being products (spatial branch and
bound: Horst & Tuy, 1996, Global Optimization, chapter 10). A box whose bound is no better than what a known world
reaches, within the gap asked for, is closed. Whenever the search stops, no world lies beyond the largest bound left.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from psymetric.sensitivity.identified_climb import Climber
from psymetric.sensitivity.identified_problem import World, WorldProblem
from psymetric.sensitivity.identified_relaxation import Box, Relaxation, Relaxed

__all__ = ["Reach", "certified_reach", "tightened"]

Numbers = NDArray[np.float64]

_SLACK = 1e-9
"""Room left around every bound that is tightened, so that rounding never cuts a world off."""
_ROUNDS = 3
_CLIMBS = 30
"""Boxes from one local search to the next, fewer at first."""
_STEPS = 15
_EDGE = 0.15
"""A cut stays at least this share of the width away from both ends."""
_EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class Reach:
    """How far one objective can be raised.

    Attributes:
        attained: What the best world found reaches; minus infinity without one.
        bound: What no world exceeds; minus infinity where it is proved that there is none.
        world: The best world found, or None.
        boxes: Linear programmes solved.
    """

    attained: float
    bound: float
    world: World | None
    boxes: int


def certified_reach(
    problem: WorldProblem,
    objective: Numbers,
    *,
    relaxation: Relaxation,
    climber: Climber,
    best: World | None,
    gap: float,
    boxes: int,
) -> Reach:
    """The most that Σ objective · π can be over all worlds that reproduce the margins, between two numbers.

    Args:
        problem: What a world must satisfy.
        objective: Shape (candidates, levels).
        relaxation: That of the problem.
        climber: That of the problem.
        best: A world that satisfies it, or None.
        gap: Distance of the two numbers at which to stop.
        boxes: Linear programmes at most.
    """
    attained = -np.inf if best is None else float((objective * best.truth).sum())
    closed, ranks = -np.inf, count()
    solved, climbed = 0, 0
    floor, ceiling = problem.limits.floor, problem.limits.ceiling
    n_candidates, n_levels, _, _ = problem.shape
    whole = Box(
        np.stack([np.zeros((n_candidates, n_levels)), np.ones((n_candidates, n_levels))]), np.stack([floor, ceiling])
    )
    queue: list[tuple[float, int, Box, Relaxed]] = []
    fresh, above = [whole], np.inf
    while True:
        for each in fresh:
            box = tightened(problem, each)
            relaxed = None if box is None else relaxation.bound(objective, box)
            solved += box is not None
            if box is None or relaxed is None:
                continue
            if relaxed.judge_gap.max() < _EXACT:
                best, attained = _better(objective, climber.repair(relaxed.world), best, attained)
            if relaxed.bound <= attained + gap:
                closed = max(closed, min(relaxed.bound, above))
            else:
                heapq.heappush(queue, (-min(relaxed.bound, above), next(ranks), box, relaxed))
        if not queue or solved >= boxes or -queue[0][0] <= attained + gap:
            break
        above, _, box, relaxed = heapq.heappop(queue)
        above = -above
        if solved >= climbed:
            climbed = solved + min(2 * solved, _CLIMBS)
            found = climber.climb(objective, relaxed.world, steps=_STEPS)
            best, attained = _better(objective, found, best, attained)
        fresh = _halves(box, relaxed)
    bound = max([closed, attained, *(-each[0] for each in queue)])
    return Reach(attained, bound, best, solved)


def _better(objective: Numbers, found: World | None, best: World | None, attained: float) -> tuple[World | None, float]:
    value = -np.inf if found is None else float((objective * found.truth).sum())
    return (found, value) if value > attained else (best, attained)


def _halves(box: Box, relaxed: Relaxed) -> list[Box]:
    """The box cut at the place whose products depart most, between the relaxation's own value and the middle."""
    of_truth = np.where(box.truth[1] - box.truth[0] > _EXACT, relaxed.truth_gap, 0)
    of_judge = np.where(box.judges[1] - box.judges[0] > _EXACT, relaxed.judge_gap, 0)
    # A product counts in both halves; one row of the truth meets all judges, whose sum would always win.
    if of_judge.max() >= of_truth.max() / 2:
        place = np.unravel_index(int(of_judge.argmax()), of_judge.shape)
        return [Box(box.truth, part) for part in _cut(box.judges, place, relaxed.world.judges[place])]
    place = np.unravel_index(int(of_truth.argmax()), of_truth.shape)
    return [Box(part, box.judges) for part in _cut(box.truth, place, relaxed.world.truth[place])]


def _cut(ends: Numbers, place: tuple[np.intp, ...], value: float) -> tuple[Numbers, Numbers]:
    low, high = ends[0][place], ends[1][place]
    margin = _EDGE * (high - low)
    at = min(max((value + (low + high) / 2) / 2, low + margin), high - margin)
    below, above = ends.copy(), ends.copy()
    below[1][place] = above[0][place] = at
    return below, above


def tightened(problem: WorldProblem, box: Box) -> Box | None:
    """The box less what margins and sums of one rule out by interval arithmetic; None where that is all of it."""
    (low, high), (least, most) = box.truth, box.judges
    under, over = problem.lower[:, :, None, :], problem.upper[:, :, None, :]
    for _ in range(_ROUNDS):
        low, high = _within_one(low, high)
        least, most = _within_one(least, most)
        # What a product (judge, candidate, level, label) may be once the others are as small or large as they can.
        small = low[None, :, :, None] * least[:, None]
        large = high[None, :, :, None] * most[:, None]
        top = over - (small.sum(axis=2, keepdims=True) - small)
        bottom = under - (large.sum(axis=2, keepdims=True) - large)
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.minimum(high, _ratio(top, least[:, None], np.inf).min(axis=(0, 3)) + _SLACK)
            low = np.maximum(low, _ratio(bottom, most[:, None], -np.inf).max(axis=(0, 3)) - _SLACK)
            most = np.minimum(most, _ratio(top, low[None, :, :, None], np.inf).min(axis=1) + _SLACK)
            least = np.maximum(least, _ratio(bottom, high[None, :, :, None], -np.inf).max(axis=1) - _SLACK)
        if (low > high).any() or (least > most).any():
            return None
    return Box(np.stack([low, high]), np.stack([least, most]))


def _within_one(low: Numbers, high: Numbers) -> tuple[Numbers, Numbers]:
    """Bounds of probabilities that sum to one along the last axis, given each other."""
    above = 1 - (low.sum(axis=-1, keepdims=True) - low) + _SLACK
    below = 1 - (high.sum(axis=-1, keepdims=True) - high) - _SLACK
    return np.maximum(low, below), np.minimum(high, above)


def _ratio(value: Numbers, by: Numbers, otherwise: float) -> Numbers:
    """Quotients, and `otherwise` where the divisor is zero."""
    value, by = np.broadcast_arrays(value, by)
    return np.where(by > 1e-6, value / np.where(by > 0, by, 1), otherwise)
