"""The estimates of subjects by each method, with everything else known or as uncertain as the fit says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.parameter_draws import parameter_draws, parameter_factors
from psymetric.models.base import ABILITY, Table
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD
from psymetric.scoring.abilities import (
    Extremes,
    Points,
    maximum_likelihood,
    weighted_likelihood,
)
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.carried import (
    DrawnParameters,
    carried_variance,
    check_carried,
    drawn_values,
    mixed_posterior,
)
from psymetric.scoring.likelihood import log_likelihoods
from psymetric.scoring.nested import mode_of, posterior_of
from psymetric.scoring.population import population, population_of
from psymetric.scoring.posterior import LogLikelihood, Posterior, subject_posterior
from psymetric.scoring.sum_scores import sum_score_posterior

__all__ = [
    "CARRIED",
    "HELD",
    "Columns",
    "Method",
    "Parameters",
    "Request",
    "from_draws",
    "from_points",
    "from_posterior",
    "own_measures",
]

Array = NDArray[np.float64]
Method = Literal["eap", "sum_eap", "map", "ml", "wle", "plausible"]
Parameters = Literal["as_fitted", "known", "uncertain"]

_WHO = "score"
HELD = "The spread of each subject's responses; items, judges, steps and population are taken as known."
CARRIED = "The spread of each subject's responses and the uncertainty of items, judges, steps and population (draws)."
_JOINT = "The spread of each subject's responses and the uncertainty of items, judges and steps (joint information)."


@final
@dataclass(frozen=True)
class Request:
    """What was asked of `score`; the attributes are its arguments."""

    method: Method
    level: float
    draws: int
    seed: int
    adjustment: float
    parameters: Parameters
    parameter_draws: int

    @property
    def is_uncertain(self) -> bool:
        """Whether the uncertainty of the parameters is to be carried."""
        return self.parameters == "uncertain"

    @property
    def n_drawn(self) -> int:
        """Draws of the parameters: even, and twice the plausible values, whose draws must not mirror one another."""
        return max(self.parameter_draws + self.parameter_draws % 2, 2 * self.draws if self.method == "plausible" else 0)

    @property
    def tail(self) -> float:
        """Probability beyond either end of an interval."""
        return (1 - self.level) / 2


@final
@dataclass(frozen=True)
class Columns:
    """What a method found, shape (S,) each, in logits.

    Attributes:
        estimate, se, lower, upper: As in `Scores`.
        carries: What the errors hold, in words.
        notes: What to say besides.
        is_random: Whether random numbers were used.
        extra: Further columns.
    """

    estimate: Array
    se: Array
    lower: Array
    upper: Array
    carries: str = HELD
    notes: tuple[str, ...] = ()
    is_random: bool = False
    extra: dict[str, Array] = field(default_factory=dict[str, Array])


def from_draws(fit: Fit, asked: Request) -> Columns:
    """The fit's own draws of the subjects."""
    stored = fit.draws[ABILITY] if fit.draws is not None else np.empty((0, 0, 0))
    flat = stored.reshape(-1, stored.shape[-1])
    lower, upper = np.quantile(flat, [asked.tail, 1 - asked.tail], axis=0)
    values: dict[str, Array] = {}
    is_random = asked.method == "plausible"
    if is_random:
        if asked.draws > len(flat):
            raise DataError(f"{_WHO}: draws={asked.draws} plausible values asked of a fit that holds {len(flat)} draws")
        chosen = np.random.default_rng(asked.seed).choice(len(flat), size=asked.draws, replace=False)
        values = _named(flat[chosen].T)
    return Columns(flat.mean(axis=0), flat.std(axis=0, ddof=1), lower, upper, CARRIED, (), is_random, values)


def own_measures(fit: Fit, asked: Request) -> Columns:
    """The measures that a JointML fit has of its subjects."""
    points = Points(fit.parameters[ABILITY], fit.standard_errors[ABILITY])
    return _normal(points, asked, _JOINT, ())


def _populations(fit: Fit, table: Table, asked: Request) -> tuple[float | Array, float | Array, str]:
    """Mean and sd of each subject's population, shape (S,), or of the one that all come from, and a note."""
    if fit.model.population.columns and not asked.is_uncertain and asked.method != "sum_eap":
        return population_of(fit, table, who=_WHO)
    if asked.is_uncertain and isinstance(fit.model, AbstractNestedModel):
        raise DataError(
            f"{_WHO}: parameters='uncertain' supposes responses independent given the subject, and those of "
            f"{type(fit.model).__name__} are not: fit with NUTS() or Laplace(), whose draws carry it"
        )
    normal = population(fit, who=_WHO)
    return normal.mean, normal.sd, normal.note


def from_points(fit: Fit, table: Table, rows: AlignedRows, extremes: Extremes, asked: Request) -> Columns:
    """`map`, `ml` and `wle`: roots of estimating equations."""
    mean, sd, note = _populations(fit, table, asked) if asked.method == "map" else (0.0, 1.0, "")
    if asked.method == "map":
        points = mode_of(rows, mean, sd)
    elif asked.method == "wle":
        points = weighted_likelihood(rows, extremes)
    else:
        points = maximum_likelihood(rows, extremes, adjustment=asked.adjustment)
    notes = (note,) if note else ()
    if not asked.is_uncertain:
        return _normal(points, asked, HELD, notes)
    with_population = asked.method == "map" and POPULATION_SD in fit.parameters
    names = (*rows.params, *((POPULATION_MEAN, POPULATION_SD) if with_population else ()))
    factors = parameter_factors(fit, names, n=asked.n_drawn, seed=asked.seed, who=_WHO)
    check_carried(rows, factors, who=_WHO)
    added = carried_variance(rows, points.estimate, extremes, asked.method, factors, mean=mean, sd=sd)
    carried = Points(points.estimate, np.sqrt(points.se**2 + added))
    return _normal(carried, asked, _carries("delta method", with_population=with_population), notes)


def _normal(points: Points, asked: Request, carries: str, notes: tuple[str, ...]) -> Columns:
    half = float(ndtri(1 - asked.tail)) * points.se
    return Columns(points.estimate, points.se, points.estimate - half, points.estimate + half, carries, notes)


def from_posterior(fit: Fit, table: Table, rows: AlignedRows, asked: Request) -> Columns:
    """`eap`, `sum_eap` and `plausible`: posteriors under the population, at the estimates or over joint draws."""
    mean, sd, note = _populations(fit, table, asked)
    drawn = _drawn(fit, rows, mean, sd, asked) if asked.is_uncertain else None

    def averaged(some: AlignedRows, log_likelihood: LogLikelihood) -> Posterior:
        if drawn is None:
            return subject_posterior(some, mean, sd, log_likelihood=log_likelihood)
        return mixed_posterior(some, drawn, mean, sd, log_likelihood=log_likelihood)

    if asked.method == "sum_eap":
        posterior = sum_score_posterior(rows, averaged, who=_WHO)
    elif drawn is None:
        posterior = posterior_of(rows, mean, sd)
    else:
        posterior = averaged(rows, log_likelihoods)
    ends = posterior.quantile(np.tile([asked.tail, 1 - asked.tail], (len(rows.subjects), 1)))
    values: dict[str, Array] = {}
    if asked.method == "plausible":
        uniform = np.random.default_rng(asked.seed).random((len(rows.subjects), asked.draws))
        found = posterior.quantile(uniform) if drawn is None else drawn_values(rows, drawn, posterior, uniform)
        values = _named(found)
    carries = HELD
    if drawn is not None:
        carries = _carries(f"{drawn.n} joint draws", with_population=POPULATION_SD in fit.parameters)
    notes = (note,) if note else ()
    is_random = drawn is not None or asked.method == "plausible"
    return Columns(posterior.mean, posterior.sd, ends[:, 0], ends[:, 1], carries, notes, is_random, values)


def _drawn(fit: Fit, rows: AlignedRows, mean: float | Array, sd: float | Array, asked: Request) -> DrawnParameters:
    has_population = POPULATION_SD in fit.parameters
    names = (*rows.params, *((POPULATION_MEAN, POPULATION_SD) if has_population else ()))
    n, seed = asked.n_drawn, asked.seed
    check_carried(rows, parameter_factors(fit, names, n=n, seed=seed, who=_WHO), who=_WHO)
    values = parameter_draws(fit, names, n=n, seed=seed, who=_WHO)
    means, sds = values.pop(POPULATION_MEAN, np.full(n, mean)), values.pop(POPULATION_SD, np.full(n, sd))
    return DrawnParameters(values, means, sds)


def _carries(how: str, *, with_population: bool) -> str:
    what = "items, judges, steps and population" if with_population else "items, judges and steps"
    return f"The spread of each subject's responses and the uncertainty of {what} ({how})."


def _named(values: Array) -> dict[str, Array]:
    """Columns pv1, pv2, … of an array (S, draws)."""
    return {f"pv{place + 1}": values[:, place] for place in range(values.shape[1])}
