"""The range of every target over all worlds: exact, certified, or from inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from psymetric.errors import IdentificationError
from psymetric.sensitivity.identified_branch import Reach, certified_reach
from psymetric.sensitivity.identified_climb import Climber
from psymetric.sensitivity.identified_problem import World, WorldProblem
from psymetric.sensitivity.identified_relaxation import Relaxation
from psymetric.sensitivity.identified_two_levels import exact_worlds

__all__ = ["Effort", "Method", "Ranges", "find_ranges", "reached_points"]

Numbers = NDArray[np.float64]
Method = Literal["exact", "certified", "inner"]

_PRODUCTS = 2_500
"""Products of a world's halves up to which a linear programme of all of them takes some hundredths of a second."""
_CLIMBED = 60
"""Targets up to which each has climbs of its own."""
_BRIEF = 6
"""Linear programmes of a climb that starts from a world."""


@dataclass(frozen=True)
class Effort:
    """How long to search.

    Attributes:
        gap: Distance of attained and certified ends at which the search for one stops, targets of range one.
        boxes: Linear programmes of branch and bound for each end at most; 0 leaves ends as attained.
        starts: Local searches from random worlds.
        steps: Linear programmes of each.
        seed: Of the random worlds.
    """

    gap: float
    boxes: int
    starts: int
    steps: int = 40
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Ranges:
    """Ends of targets.

    Attributes:
        method: `"exact"`, `"certified"` or `"inner"`.
        attained: What worlds reach, shape (targets, 2): lower and upper.
        bound: What no world exceeds, same shape.
        worlds: The world at each end, lower and upper, per target.
        boxes: Linear programmes of branch and bound.
    """

    method: Method
    attained: Numbers
    bound: Numbers
    worlds: tuple[tuple[World, World], ...]
    boxes: int


def find_ranges(
    problem: WorldProblem, targets: Numbers, effort: Effort, *, exact_margins: bool, refusal: str
) -> Ranges:
    """Least and greatest Σ target · π over all worlds that reproduce the margins.

    Args:
        problem: What a world must satisfy.
        targets: Shape (targets, candidates, levels), of the order of one.
        effort: How long to search.
        exact_margins: Whether margins are exact and complete.
        refusal: Message where no world is found.

    Raises:
        IdentificationError: No world reproduces the margins, or none was found.
    """
    if exact_margins and problem.shape[1] == 2:
        worlds = exact_worlds(problem.lower, problem.limits)
        if worlds is not None and not worlds:
            raise IdentificationError(refusal)
        if worlds:
            attained, chosen = _pooled(targets, worlds)
            return Ranges("exact", attained, attained, chosen, 0)
    n_candidates, n_levels, n_judges, n_labels = problem.shape
    certify = effort.boxes > 0 and n_candidates * n_levels**2 * n_judges * n_labels <= _PRODUCTS
    climber = Climber(problem)
    worlds = _found_worlds(problem, climber, targets, effort)
    if not worlds and not certify:
        raise IdentificationError(refusal)
    if not certify:
        attained, chosen = _pooled(targets, worlds)
        widest = np.stack([targets.min(axis=2).sum(axis=1), targets.max(axis=2).sum(axis=1)], axis=1)
        return Ranges("inner", attained, widest, chosen, 0)
    return _certified(problem, climber, targets, effort, worlds, refusal)


def _certified(
    problem: WorldProblem, climber: Climber, targets: Numbers, effort: Effort, worlds: list[World], refusal: str
) -> Ranges:
    relaxation = Relaxation(problem)
    reached: list[list[Reach]] = []
    for target in targets:
        ends: list[Reach] = []
        for sign in (-1.0, 1.0):
            best = max(worlds, key=lambda world: float((sign * target * world.truth).sum()), default=None)
            found = certified_reach(
                problem,
                sign * target,
                relaxation=relaxation,
                climber=climber,
                best=best,
                gap=effort.gap,
                boxes=effort.boxes,
            )
            if found.world is None:
                raise IdentificationError(refusal)
            worlds.append(found.world)
            ends.append(found)
        reached.append(ends)
    # A later search may have passed by a better end of an earlier target.
    attained, chosen = _pooled(targets, worlds)
    bound = np.array([[-ends[0].bound, ends[1].bound] for ends in reached])
    return Ranges("certified", attained, bound, chosen, sum(end.boxes for ends in reached for end in ends))


def _pooled(targets: Numbers, worlds: list[World]) -> tuple[Numbers, tuple[tuple[World, World], ...]]:
    """The ends of targets among worlds."""
    reached = np.einsum("tcm,wcm->tw", targets, np.stack([world.truth for world in worlds]))
    at = np.stack([reached.argmin(axis=1), reached.argmax(axis=1)], axis=1)
    chosen = tuple((worlds[low], worlds[high]) for low, high in at.tolist())
    return np.take_along_axis(reached, at, axis=1), chosen


def _found_worlds(problem: WorldProblem, climber: Climber, targets: Numbers, effort: Effort) -> list[World]:
    """Worlds found by climbing to both ends of targets: from several starts, or for many targets from the best yet."""
    starts, worlds = list(_starts(problem, effort)), list[World]()
    many = len(targets) > _CLIMBED
    # The first targets are single candidates, the others differences of these.
    for target in targets[: problem.shape[0]] if many else targets:
        for objective in (-target, target):
            known = max(worlds, key=lambda world: float((objective * world.truth).sum()), default=None)
            tried = [*([] if many and known is not None else starts), *([] if known is None else [known])]
            for start in tried:
                found = climber.climb(objective, start, steps=_BRIEF if many and known is not None else effort.steps)
                worlds += [] if found is None else [found]
    return worlds


def reached_points(problem: WorldProblem, worlds: Sequence[World], candidate: int, *, directions: int) -> Numbers:
    """True-level probabilities that worlds give one candidate: the furthest found in evenly spread directions.

    Args:
        problem: What a world must satisfy.
        worlds: Some that do.
        candidate: Its place.
        directions: How many to climb in.

    Returns:
        Shape (directions, levels). Their hull is an inner bound of what the candidate may be.
    """
    climber, pool = Climber(problem), list(worlds)
    n_candidates, n_levels = problem.shape[:2]
    plane = np.linalg.svd(np.ones((1, n_levels)))[2][1:]
    turns = np.random.default_rng(0).normal(size=(directions, n_levels - 1))
    if n_levels == 3:
        angle = 2 * np.pi * np.arange(directions) / directions
        turns = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.zeros((directions, n_levels))
    for place, turn in enumerate(turns @ plane):
        objective = np.zeros((n_candidates, n_levels))
        objective[candidate] = turn / np.abs(turn).max()
        best = max(pool, key=lambda world: float((objective * world.truth).sum()))
        found = climber.climb(objective, best, steps=_BRIEF)
        if found is not None and float((objective * (found.truth - best.truth)).sum()) > 0:
            best = found
            pool.append(found)
        points[place] = best.truth[candidate]
    return points


def _starts(problem: WorldProblem, effort: Effort) -> Iterator[World]:
    """Random candidates before judges that are nearly right, more and more loosely."""
    rng = np.random.default_rng(effort.seed)
    n_candidates, n_levels, n_judges, n_labels = problem.shape
    place = np.linspace(0, n_labels - 1, n_levels)[:, None] - np.arange(n_labels)
    sharp = np.maximum(1 - np.abs(place), 0)
    for each in range(effort.starts):
        loose = each / max(effort.starts, 1)
        noise = rng.dirichlet(np.ones(n_labels), (n_judges, n_levels))
        truth = rng.dirichlet(np.ones(n_levels), n_candidates)
        judges = np.clip((1 - loose) * sharp + loose * noise, problem.limits.floor, problem.limits.ceiling)
        yield World(truth, judges / judges.sum(axis=2, keepdims=True))
