"""Which cells function differently: models that free some of them, tests of one more, and the search for anchors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import chi2

from psymetric.core.optimizers import Maximum
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.differential_model import SHIFT, Cells, DifferentialModel
from psymetric.estimation.curvature import Information, information, value_and_gradient
from psymetric.estimation.fit import Fit
from psymetric.estimation.marginal import Climb, resolved_problem
from psymetric.estimation.problems import MarginalProblem

__all__ = [
    "Freed",
    "Purified",
    "Search",
    "Solution",
    "lone_anchors",
    "purify",
    "score_tests",
    "start_search",
    "wald_statistic",
]

Vector = NDArray[np.float64]

_TOLERANCE, _MAX_ITERATIONS = 1e-6, 2_000
_SOUND = 2.0
"""Alphas beyond which a freed cell is held again: more than one, as borderline cells would come and go for ever."""


@final
@dataclass(frozen=True)
class Freed:
    """Cells whose shifts, and cells whose slopes or steps, are estimated; the others are at zero."""

    shifts: frozenset[int] = frozenset()
    shapes: frozenset[int] = frozenset()

    def plus(self, *cells: int, shape: bool = False) -> Freed:
        """With more cells."""
        return Freed(self.shifts | {*cells}, self.shapes | ({*cells} if shape else set()))

    def minus(self, *cells: int, shift: bool = True) -> Freed:
        """Without some cells, or without their slopes and steps alone."""
        return Freed(self.shifts - ({*cells} if shift else set()), self.shapes - {*cells})


@final
@dataclass(frozen=True)
class Solution:
    """The maximum of the likelihood over what is free.

    Attributes:
        maximum: Point (of the whole free vector), value and curvature (over the active parameters).
        active: Which parameters were free, shape (parameters,).
    """

    maximum: Maximum[Information]
    active: NDArray[np.bool_]

    @property
    def is_determined(self) -> bool:
        """Whether the maximum was found, and is one in every direction."""
        return self.maximum.converged and not self.maximum.curvature.null_directions().size

    def covariance(self, places: NDArray[np.int64]) -> Vector:
        """Covariance of some active parameters, by their places in the whole free vector."""
        index = np.cumsum(self.active)[places] - 1
        return self.maximum.curvature.covariance()[np.ix_(index, index)]


@final
@dataclass(frozen=True)
class Search:
    """One likelihood for all the models: cells that a model holds alike are parameters held at zero.

    Attributes:
        problem: The marginal problem with every cell's parameters.
        model: The model behind it.
        start: Free vector with every cell at zero and everything else at its maximum.
        n_cells: How many cells there are.
        solved: Maxima found so far.
    """

    problem: MarginalProblem
    model: DifferentialModel
    start: Vector
    n_cells: int
    solved: dict[Freed, Solution] = field(default_factory=dict[Freed, Solution])

    def places(self, cell: int) -> NDArray[np.int64]:
        """Where a cell's shift, and its slope or steps where it has them, are in the free vector."""
        where = self.problem.space.slices()
        return np.array([where[name].start + cell for name in (SHIFT, *self.model.shapes)])

    def active(self, freed: Freed) -> NDArray[np.bool_]:
        """Which parameters a model estimates, shape (parameters,)."""
        found, where = np.ones(len(self.start), bool), self.problem.space.slices()
        for name, cells in ((SHIFT, freed.shifts), *((shape, freed.shapes) for shape in self.model.shapes)):
            found[where[name]] = False
            found[where[name].start + np.array(sorted(cells), np.int64)] = True
        return found

    def solve(self, freed: Freed, near: Freed | None = None) -> Solution:
        """The maximum with some cells free, from that of another model."""
        if freed not in self.solved:
            active = self.active(freed)
            start = self.start if near is None else self.solve(near).maximum.point
            climb = Climb(self.problem, np.where(active | self.active(Freed()), start, 0.0), active)
            found = climb.polish(_TOLERANCE, 0, _MAX_ITERATIONS)
            if not found.converged:
                point, evaluations = climb.ascend(_MAX_ITERATIONS)
                climb = Climb(self.problem, point, active)
                found = climb.polish(_TOLERANCE, evaluations, _MAX_ITERATIONS)
            self.solved[freed] = Solution(found, active)
        return self.solved[freed]


def start_search(model: DifferentialModel, table: ResponseTable, cells: Cells, alike: Fit) -> Search:
    """Set up the search from the fit without differences.

    Args:
        model: With the cells' parameters.
        table: With the cells marked.
        cells: The cells.
        alike: Fit of the model to the table without cells.
    """
    parameters = {**alike.parameters, **dict.fromkeys((SHIFT, *model.shapes), np.zeros(len(cells.labels) + 1))}
    problem, start = resolved_problem(model, table, parameters, prior=False)
    return Search(problem, model, start, len(cells.labels))


def score_tests(search: Search, freed: Freed, candidates: list[int]) -> Vector:
    """Rao's statistics for freeing each candidate where it is held at zero, shape (candidates,); NaN where none exists.

    One gradient and one information matrix serve all of them: $g' (I_{cc} - I_{cA} I_{AA}^{-1} I_{Ac})^{-1} g$ with
    the parameters A that are free already.

    Source: Glas (1998), Statistica Sinica 8, 647-667.
    """
    found = search.solve(freed)
    point, active = found.maximum.point, found.active
    gradient = np.asarray(value_and_gradient(search.problem, jnp.asarray(point))[1])
    whole = information(search.problem, point).schur
    joined = whole[np.ix_(active, ~active)]
    left = whole[np.ix_(~active, ~active)] - joined.T @ cho_solve(cho_factor(whole[np.ix_(active, active)]), joined)
    index = np.cumsum(~active) - 1
    statistics = np.full(len(candidates), np.nan)
    for place, cell in enumerate(candidates):
        own = search.places(cell)
        block = left[np.ix_(index[own], index[own])]
        if np.linalg.eigvalsh(block)[0] > 0:
            statistics[place] = gradient[own] @ np.linalg.solve(block, gradient[own])
    return statistics


def wald_statistic(search: Search, freed: Freed, places: NDArray[np.int64]) -> float:
    """Squared distance from zero of some free parameters in units of their errors (Lord's chi-square)."""
    found = search.solve(freed)
    estimate = found.maximum.point[places]
    return float(estimate @ np.linalg.solve(found.covariance(places), estimate))


@final
@dataclass(frozen=True)
class Purified:
    """Cells that are no anchors, and what stopped the search when it was no lack of differences."""

    cells: tuple[int, ...]
    note: str = ""


def purify(search: Search, cells: Cells, n_levels: NDArray[np.int64], *, alpha: float) -> Purified:
    """Cells that must not be anchors: freed one at a time, the worst first, and held again when they turn out sound.

    A level that functions differently makes the others seem to do the opposite; freeing the worst alone, and looking
    again, keeps these from following it. Alpha is not adjusted for the number of cells: to lose a sound anchor costs
    little precision, to keep an unsound one biases everything.

    Args:
        search: The models.
        cells: The cells.
        n_levels: By group, how many levels could be anchors, shape (groups,).
        alpha: Level of the tests.
    """
    shape = bool(search.model.shapes)
    df, everyone = 1 + len(search.model.shapes), set(range(search.n_cells))
    seen, chosen = set[frozenset[int]](), Freed()
    while chosen.shifts not in seen:
        seen.add(chosen.shifts)
        candidates = sorted(everyone - chosen.shifts - lone_anchors(cells, chosen.shifts, n_levels))
        if not candidates:
            return Purified(tuple(sorted(chosen.shifts)), "no anchor is left to free: what is large is relative")
        statistics = np.nan_to_num(score_tests(search, chosen, candidates), nan=0.0)
        worst = int(np.argmax(statistics))
        if chi2.sf(statistics[worst], df) >= alpha:
            return Purified(tuple(sorted(chosen.shifts)))
        previous, chosen = chosen, chosen.plus(candidates[worst], shape=shape)
        if not search.solve(chosen, near=previous).is_determined:
            return Purified(tuple(sorted(previous.shifts)), f"{cells.labels[candidates[worst]]} could not be freed")
        p = {cell: chi2.sf(wald_statistic(search, chosen, search.places(cell)), df) for cell in chosen.shifts}
        soundest = max(p, key=lambda cell: p[cell])
        if p[soundest] >= _SOUND * alpha:
            chosen = chosen.minus(soundest)
    return Purified(tuple(sorted(chosen.shifts)), "the search for anchors went in a circle and was stopped")


def lone_anchors(cells: Cells, freed: Iterable[int], n_levels: NDArray[np.int64]) -> set[int]:
    """Cells that are all their group has for an anchor, when some are free."""
    others = set(range(len(cells.labels))) - set(freed)
    n_freed = np.bincount(cells.group[sorted(freed)], minlength=len(n_levels))
    return {cell for cell in others if n_levels[cells.group[cell]] - n_freed[cells.group[cell]] <= 1}
