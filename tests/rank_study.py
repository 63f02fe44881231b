"""How often the ranges that ranks may be in hold the true ranks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from comparison_world import World
from recovery_study import LEVEL, SIGNIFICANCE

import psymetric as ps
from psymetric.errors import ConvergenceError, IdentificationError
from psymetric.scoring.rank_sets import rank_sets

QUANTILES, MARGINAL, SIMULTANEOUS = "quantiles of draws", "marginal sets", "simultaneous sets"
DRAWS = 1_000


@dataclass
class RankTally:
    """Hits and widths of one method.

    Attributes:
        hit: Whether each item's true rank was inside, one array per data set.
        width: Mean number of ranks that an interval rules in, one per data set.
    """

    hit: list[np.ndarray] = field(default_factory=list)
    width: list[float] = field(default_factory=list)

    def add(self, lower: np.ndarray, upper: np.ndarray, rank: np.ndarray) -> None:
        """Count one data set's intervals."""
        self.hit.append((lower <= rank) & (rank <= upper))
        self.width.append(float(np.mean(upper - lower + 1)))

    @property
    def each(self) -> float:
        """Share of intervals that hold their item's rank."""
        return float(np.mean(self.hit))

    @property
    def every(self) -> float:
        """Share of data sets in which all intervals do."""
        return float(np.all(self.hit, axis=1).mean())

    @property
    def worst(self) -> float:
        """The share of the item that is held least often."""
        return float(np.mean(self.hit, axis=0).min())

    @property
    def each_error(self) -> float:
        """Standard error of `each`: data sets are independent, and the intervals of one are not."""
        nominal = LEVEL * (1 - LEVEL) / np.size(self.hit)
        return float(np.sqrt(max(nominal, np.mean(self.hit, axis=1).var(ddof=1) / len(self.hit))))

    @property
    def every_error(self) -> float:
        """Standard error of `every` at the nominal rate."""
        return float(np.sqrt(LEVEL * (1 - LEVEL) / len(self.hit)))


def replicate(world: World, engine: object, n: int, seed: int) -> tuple[dict[str, RankTally], int]:
    """Draw, fit and rank; and how many data sets could not be fitted."""
    rng, refused = np.random.default_rng(seed), 0
    tallies = {name: RankTally() for name in (QUANTILES, MARGINAL, SIMULTANEOUS)}
    truth = (-world.truth["item"]).argsort().argsort() + 1
    for _ in range(n):
        table = world.table(rng)
        own = int(rng.integers(2**31))
        try:
            fit = ps.fit(world.model, table, engine=engine)
        except (ConvergenceError, IdentificationError):
            refused += 1
            continue
        frame = ps.rank_intervals(fit, level=LEVEL, draws=DRAWS, seed=own).set_index("level").loc[[*range(len(truth))]]
        tallies[QUANTILES].add(frame["rank_lower"].to_numpy(), frame["rank_upper"].to_numpy(), truth)
        estimate, covariance = fit.parameters["worth"], fit.covariances["worth"]
        for name, coverage in ((MARGINAL, "marginal"), (SIMULTANEOUS, "simultaneous")):
            sets = rank_sets(estimate, covariance, coverage=coverage, level=LEVEL, draws=DRAWS, seed=own)
            tallies[name].add(*sets, truth)
    return tallies, refused


def check(tallies: dict[str, RankTally], methods: tuple[str, ...] = (MARGINAL, SIMULTANEOUS)) -> None:
    """Sets hold the ranks as often as they promise, or more often: each of them, or all at once."""
    for name in methods:
        tally = tallies[name]
        found, error = (tally.every, tally.every_error) if name == SIMULTANEOUS else (tally.each, tally.each_error)
        assert found > LEVEL - SIGNIFICANCE * error, name
