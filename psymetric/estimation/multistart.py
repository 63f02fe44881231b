"""Climbing from several starts, where a surface may have more than one maximum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace
from psymetric.errors import DataError
from psymetric.estimation.problems import Problem

__all__ = ["Climbed", "check_starts", "climb_from_each"]

Vector = NDArray[np.float64]

_ALIKE = 1e-3
"""Log density by which two ends of a climb may differ and still be one maximum, or its mirror image."""


class Ended(Protocol):
    """Where a climb ended."""

    @property
    def problem(self) -> Problem: ...
    @property
    def maximum(self) -> Maximum[Any]: ...


EndedT = TypeVar("EndedT", bound=Ended)


@final
@dataclass(frozen=True)
class Climbed(Generic[EndedT]):
    """The best end of several climbs; the first one's where others do no better.

    Attributes:
        best: Where it ended.
        details: For `FitStatus`: starts, how many reached the best, and the spread of all that converged, in units of
            log density. Empty after a single climb.
        notes: Whether the first climb had missed the best maximum.
    """

    best: EndedT
    details: dict[str, float]
    notes: tuple[str, ...]


def check_starts(engine: object, starts: int) -> None:
    """Raise DataError unless `starts` is a whole number of at least one."""
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"{type(engine).__name__}(starts={starts!r}) must be a whole number of climbs, 1 or more")


def climb_from_each(
    climb: Callable[[Vector | None], EndedT], height: Callable[[EndedT], float], *, starts: int, seed: int
) -> Climbed[EndedT]:
    """Climb from the usual start and from `starts` - 1 draws of the priors, and keep the best that converged.

    Args:
        climb: From a free vector, or from the usual start where None.
        height: What is compared: the log-likelihood, or the log posterior density.
        starts: Climbs in all.
        seed: Seed of the draws.
    """
    ends = [climb(None)]
    rng, space = np.random.default_rng(seed), ends[0].problem.space
    ends += [climb(_dispersed(space, rng)) for _ in range(starts - 1)]
    if starts == 1:
        return Climbed(ends[0], {}, ())
    heights = np.array([height(end) if end.maximum.converged else -np.inf for end in ends])
    top = float(heights.max())
    reached = heights >= top - _ALIKE
    best = ends[int(np.argmax(reached))]
    if not np.isfinite(top):
        return Climbed(best, {"starts": float(starts), "starts_at_best": 0.0}, ())
    details = {
        "starts": float(starts),
        "starts_at_best": float(reached.sum()),
        "spread_of_maxima": top - float(heights[np.isfinite(heights)].min()),
    }
    missed = () if reached[0] else (_missed(top - float(heights[0]), int(reached.sum()), starts),)
    return Climbed(best, details, missed)


def _missed(gain: float, n_reached: int, starts: int) -> str:
    how = (
        f"a maximum {gain:.2f} lower in log density than the best" if np.isfinite(gain) else "no maximum, unlike others"
    )
    return (
        f"the surface has several maxima: the usual start led to {how}; {n_reached} of {starts} starts reached the "
        "best, and more might find a better one still"
    )


def _dispersed(space: ParameterSpace, rng: np.random.Generator) -> Vector:
    """Levels drawn from their priors; the population and the sds of random facets where climbs usually start."""
    parts = [np.zeros(0)]
    for block in space.blocks:
        unit = block.scale is not None or block.dirichlet is not None
        sd = 0.0 if block.is_scale or not block.labels else 1.0 if unit else block.prior_sd
        parts.append(block.start() + sd * rng.standard_normal(block.bijector.size))
    return np.concatenate(parts)
