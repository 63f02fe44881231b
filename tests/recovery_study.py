"""A simulated study with known truth, its intervals counted over many replications."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import psymetric as ps

MODEL = ps.ManyFacetRasch(random=())
N_SUBJECTS, LEVEL = 60, 0.95
# Centred, as the model reports them: then truth and estimate have the same origin.
TRUTH = {
    "item": np.array([-0.7, -0.2, 0.3, 0.6]),
    "judge": np.array([-0.9, -0.4, -0.1, 0.2, 0.4, 0.8]),
    "step": np.array([-1.2, 0.1, 1.1]),
}
MEAN, SD = 0.4, 1.1
SUBJECT, SUBJECT_ALONE = "subject", "subject, all else known"
SCORING = {SUBJECT: ("uncertain", 5), SUBJECT_ALONE: ("known", 1)}
"""What `psymetric.score` takes items, judges, steps and population for, in one of how many replications."""
N_DRAWS = 50
SIGNIFICANCE = 3.3
"""Standard errors that a computed band reaches: left by chance once in a thousand checks."""
NEGLIGIBLE = 0.25
"""Bias in standard errors: it then adds 3% to the root mean squared error."""


def simulate(seed: int) -> tuple[ps.ResponseTable, np.ndarray]:
    """Ratings and the true abilities: three of six judges rate each of sixty subjects on four items, 0 to 3.

    The design is the same every time, so that one compiled program serves all replications.
    """
    rng = np.random.default_rng(seed)
    ability = rng.normal(MEAN, SD, N_SUBJECTS)
    rows = [(s, i, (s + j) % 6) for s in range(N_SUBJECTS) for i in range(4) for j in (0, 1, 3)]
    subject, item, judge = np.array(rows).T
    location = ability[subject] - TRUTH["item"][item] - TRUTH["judge"][judge]
    logits = np.column_stack([np.zeros(len(rows)), np.cumsum(location[:, None] - TRUTH["step"], axis=1)])
    below = np.cumsum(np.exp(logits), axis=1)
    rating = (rng.random((len(rows), 1)) * below[:, -1:] > below).sum(axis=1)
    frame = pd.DataFrame({"subject": subject, "item": item, "judge": judge, "rating": rating})
    table = ps.ResponseTable.from_frame(frame, response="rating", subject="subject", item="item", facets=("judge",))
    return table, ability


@dataclass
class Tally:
    """Estimates, standard errors and hits of one parameter array, one row per replication.

    Attributes:
        pooled: Whether levels have no truth of their own (subjects are drawn anew), so that bias is that of their mean.
    """

    estimate: list[np.ndarray] = field(default_factory=list)
    error: list[np.ndarray] = field(default_factory=list)
    hit: list[np.ndarray] = field(default_factory=list)
    departure: list[np.ndarray] = field(default_factory=list)
    pooled: bool = False

    def add(self, frame: pd.DataFrame, truth: np.ndarray) -> None:
        """Count one replication's intervals."""
        self.estimate.append(frame["estimate"].to_numpy())
        self.error.append(frame["se"].to_numpy())
        self.hit.append(((frame["lower"] <= truth) & (truth <= frame["upper"])).to_numpy())
        self.departure.append(frame["estimate"].to_numpy() - truth)

    @property
    def coverage(self) -> float:
        """Share of intervals that hold the truth."""
        return float(np.mean(self.hit))

    @property
    def coverage_error(self) -> float:
        """Standard error of the coverage at the nominal rate.

        Binomial over all intervals, inflated where those of one replication succeed or fail together.
        """
        hits = np.array(self.hit, float)
        binomial = LEVEL * (1 - LEVEL) / hits.size
        between = hits.mean(axis=1).var(ddof=1) / len(hits)
        return float(np.sqrt(max(binomial, between)))

    @property
    def _by_level(self) -> np.ndarray:
        departure = np.array(self.departure)
        return departure.mean(axis=1, keepdims=True) if self.pooled else departure

    @property
    def bias(self) -> np.ndarray:
        """Mean departure from the truth, by level or pooled."""
        return self._by_level.mean(axis=0)

    @property
    def bias_error(self) -> np.ndarray:
        """Its standard error."""
        return self._by_level.std(axis=0, ddof=1) / np.sqrt(len(self.departure))

    @property
    def mean_error(self) -> np.ndarray:
        """Root mean squared standard error, by level or pooled."""
        errors = np.sqrt(np.mean(np.square(self.error), axis=0))
        return np.sqrt(np.mean(errors**2, keepdims=True)) if self.pooled else errors

    @property
    def error_ratio(self) -> float:
        """Root mean squared standard error over the standard deviation of the departures, all levels together."""
        return float(np.sqrt(np.mean(np.square(self.error)) / np.var(self.departure, axis=0, ddof=1).mean()))

    @property
    def error_ratio_error(self) -> float:
        """Its standard error: a standard deviation from n departures has a relative error of 1/√(2n)."""
        n_replications, n_levels = np.shape(self.departure)
        # Levels share their replications; counting the replications alone is on the safe side.
        return float(1 / np.sqrt(2 * (n_replications - 1) * max(1, min(n_levels - 1, 3))))

    def row(self, engine: str, name: str) -> dict[str, object]:
        """The line of a validation table."""
        reach = SIGNIFICANCE * self.coverage_error
        return {
            "engine": engine,
            "parameter": name,
            "replications": len(self.hit),
            "intervals": int(np.size(self.hit)),
            "coverage": f"{self.coverage:.4f}",
            "band": f"{LEVEL - reach:.4f} to {min(LEVEL + reach, 1):.4f}",
            "largest bias, logits": f"{np.abs(self.bias).max():.4f}",
            "its standard error": f"{self.bias_error[np.abs(self.bias).argmax()]:.4f}",
            "largest bias / SE": f"{np.max(np.abs(self.bias) / self.mean_error):.3f}",
            "SE / SD": f"{self.error_ratio:.3f}",
        }


def replicate(engine: object, seeds: Iterable[int]) -> dict[str, Tally]:
    """Simulate, fit, score and count."""
    names = (SUBJECT, SUBJECT_ALONE, "item", "judge", "population_mean", "population_sd")
    tallies = {name: Tally(pooled=name in SCORING) for name in names}
    for seed in seeds:
        table, ability = simulate(seed)
        fit = ps.fit(MODEL, table, engine=engine, throw=False)
        for facet in ("item", "judge"):
            tallies[facet].add(fit.estimates(facet, level=LEVEL), TRUTH[facet])
        population = fit.estimates("population", level=LEVEL).set_index("level")
        for name, truth in (("population_mean", MEAN), ("population_sd", SD)):
            if name not in population.index:  # a joint fit has none
                tallies.pop(name, None)
                continue
            tallies[name].add(population.loc[[name]], np.array([truth]))
        for name, (parameters, every) in SCORING.items():
            if seed % every:
                continue
            scores = ps.score(fit, table, level=LEVEL, parameters=parameters, parameter_draws=N_DRAWS).frame
            tallies[name].add(scores.set_index("subject").loc[list(range(N_SUBJECTS))], ability)
    return tallies


def check(tallies: dict[str, Tally], facets: tuple[str, ...], *, unbiased: bool = True) -> None:
    """Coverage, standard errors and, of estimators that promise it, bias lie in their computed bands."""
    for name in facets:
        tally = tallies[name]
        assert abs(tally.coverage - LEVEL) < SIGNIFICANCE * tally.coverage_error, name
        assert abs(tally.error_ratio - 1) < SIGNIFICANCE * tally.error_ratio_error, name
        reach = NEGLIGIBLE * tally.mean_error + SIGNIFICANCE * tally.bias_error
        assert not unbiased or np.all(np.abs(tally.bias) < reach), name
