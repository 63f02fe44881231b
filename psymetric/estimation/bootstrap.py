"""The bootstrap: a fit's uncertainty from fitting again what could have been seen instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from psymetric.core.steps import UNUSED
from psymetric.core.threads import single_threaded_blas
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import ConvergenceError, DataError, DesignError
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import Engine, fit as fit_table, recommended_engine
from psymetric.estimation.joint_ml import JointML
from psymetric.estimation.map_laplace import MAP
from psymetric.estimation.marginal_ml import MarginalML
from psymetric.estimation.pair_replicates import refit_drawn_rankings, refit_pairs
from psymetric.estimation.replicates import Replicate, refit
from psymetric.estimation.resampling import resampler
from psymetric.models.base import ABILITY, AbstractMeasurementModel

__all__ = ["Bootstrap", "bootstrap"]

Array = NDArray[np.float64]

_FEWEST = 2
"""Draws that a standard error needs."""


@final
@dataclass(frozen=True)
class Bootstrap:
    """Bootstrap replicates of a fit.

    Attributes:
        fit: The fit to the table itself.
        resample: What was drawn: "subject", "comparison", another column, or "parametric".
        n: Number of replicates, failed ones included. seed: Of the draws.
        draws: Constrained estimates by parameter, shape (n, ...): NaN where a replicate failed, or where a level, or a
            category of a step, has no data in it.
        failures: One row per failed replicate: `replicate` and `error`.
        notes: What a reader of the numbers must know, as sentences.
    """

    fit: Fit
    resample: str
    n: int
    seed: int
    draws: Mapping[str, Array]
    failures: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def standard_errors(self) -> dict[str, Array]:
        """Standard deviations of the draws, of the parameters' shapes; NaN with fewer than two draws."""
        return {name: _spread(value)[1] for name, value in self.draws.items()}

    def estimates(self, facet: str, *, level: float = 0.95) -> pd.DataFrame:
        """Estimates of one facet with bootstrap errors and intervals.

        Args:
            facet: As in `Fit.estimates`.
            level: Coverage of the intervals, in (0, 1).

        Returns:
            The columns of `Fit.estimates` that name the parameter, then estimate (of the fit), se (sd of the draws),
            bias (mean of the draws less the estimate), lower and upper (percentiles), bc_lower and bc_upper
            (bias-corrected percentiles), all in logits, and n_draws: replicates with a value.
            A level without data in some replicates has its numbers from the others, and a note.

        Raises:
            DataError: Unknown facet, a level outside (0, 1), or subjects of a fit that integrated them out.

        Source: Efron (1981), Canadian J. Statistics 9, 139-172 (BC); Efron & Tibshirani (1993), ch. 13-14.
        """
        frame = self.fit.estimates(facet, level=level)
        if facet == "population":
            found = [self.draws[name] for name in frame["level"]]
            flat = np.stack(found, axis=1)
        else:
            flat = self.draws[self.fit.spec(facet).name].reshape(self.n, -1)
        estimate = frame["estimate"].to_numpy(np.float64)
        names = list(frame.columns[: list(frame.columns).index("estimate")])
        mean, se, n_draws = _spread(flat)
        percentile, corrected = percentile_intervals(flat, level), corrected_intervals(flat, estimate, level)
        notes = np.where(
            n_draws < self.n, [f"no value in {self.n - int(k)} of {self.n} replicates" for k in n_draws], ""
        )
        own = frame["note"] if "note" in frame else pd.Series([""] * len(frame))
        return frame[[*names, "estimate"]].assign(
            se=se,
            bias=mean - estimate,
            lower=percentile[0],
            upper=percentile[1],
            bc_lower=corrected[0],
            bc_upper=corrected[1],
            n_draws=n_draws.astype(np.int64),
            note=[": ".join(filter(None, pair)) for pair in zip(own, notes, strict=True)],
        )

    def to_fit(self) -> Fit:
        """The fit with standard errors, covariances and joint factors from the draws in place of its own.

        Its `provenance` and `notes` say so. Joint factors are of the replicates that have a value of everything, and
        absent with fewer than two; a standard error that fewer than two replicates know is NaN.
        """
        names = [name for name in self.draws if name != ABILITY]
        settled = {name: np.abs(self.fit.parameters[name]) < UNUSED / 2 for name in names}
        whole = np.logical_and.reduce(
            [np.isfinite(self.draws[name][:, settled[name]]).all(axis=1) for name in names] or [np.ones(self.n, bool)]
        )
        n_whole = int(whole.sum())
        factors: dict[str, Array] = {}
        covariances: dict[str, Array] = {}
        for name in names if n_whole >= _FEWEST else ():
            value = np.where(settled[name], self.draws[name][whole], 0.0)
            factors[name] = np.moveaxis(value - value.mean(axis=0), 0, -1) / np.sqrt(n_whole - 1)
            if name in self.fit.covariances:
                flat = factors[name].reshape(-1, n_whole)
                covariances[name] = flat @ flat.T
        note = f"standard errors are from {self.n} bootstrap replicates ({self.resample})"
        settings = {"bootstrap": {"resample": self.resample, "n": self.n, "seed": self.seed}}
        return replace(
            self.fit,
            standard_errors={name: self.standard_errors[name] for name in self.fit.standard_errors},
            covariances=covariances,
            factors=factors,
            notes=(*self.fit.notes, note, *self.notes),
            provenance=replace(self.fit.provenance, settings=self.fit.provenance.settings | settings),
        )


def _spread(draws: Array) -> tuple[Array, Array, Array]:
    """Mean, sd and number of the draws that are numbers, over the first axis."""
    here = np.isfinite(draws)
    count = here.sum(axis=0).astype(np.float64)
    mean = np.where(here, draws, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    squares = np.where(here, draws - mean, 0.0) ** 2
    return mean, np.sqrt(squares.sum(axis=0) / np.where(count >= _FEWEST, count - 1, np.nan)), count


def _quantiles(draws: Array, at: Array) -> Array:
    """Quantiles of every column of draws, shape (draws, columns), at its own probabilities, shape (ends, columns)."""
    ordered, count = np.sort(draws, axis=0), np.isfinite(draws).sum(axis=0)
    # NaN sort last, so that the first `count` are the numbers.
    place = np.where(count > 0, at * np.maximum(count - 1, 0), 0.0)
    low = np.floor(np.nan_to_num(place)).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    share, columns = np.nan_to_num(place) - low, np.arange(draws.shape[1])
    found = ordered[low, columns] * (1 - share) + ordered[high, columns] * share
    return np.where(np.isfinite(at) & (count >= _FEWEST), found, np.nan)


def percentile_intervals(draws: Array, level: float) -> Array:
    """Percentile intervals of the columns of draws, NaN left out, shape (2, columns)."""
    tail = np.array([(1 - level) / 2, (1 + level) / 2])
    return _quantiles(draws, np.repeat(tail[:, None], draws.shape[1], axis=1))


def corrected_intervals(draws: Array, estimate: Array, level: float) -> Array:
    """Bias-corrected percentile intervals, shape (2, columns); NaN where all draws lie on one side of the estimate.

    The percentiles are taken at Φ(2 z₀ ± z), z₀ the normal quantile of the share of draws below the estimate.

    Source: Efron (1981), eq. 7.10.
    """
    here = np.isfinite(draws)
    count = np.maximum(here.sum(axis=0), 1)
    below = ((here & (draws < estimate)).sum(axis=0) + (here & (draws == estimate)).sum(axis=0) / 2) / count
    inside = (below > 0) & (below < 1)
    shift = 2 * ndtri(np.where(inside, below, 0.5))
    tail = ndtri((1 + level) / 2)
    at = np.where(inside, ndtr(np.stack([shift - tail, shift + tail])), np.nan)
    return _quantiles(draws, at)


def bootstrap(
    model: AbstractMeasurementModel,
    table: ResponseTable | PairTable | RankingTable,
    *,
    engine: Engine | None = None,
    resample: str | None = None,
    n: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Bootstrap:
    """Fit a model again to many replicates of a table.

    Nonparametric: units are drawn with replacement, as weights on the rows. Two copies of a subject are two subjects;
    two copies of a judge are one judge who rated twice, which is how a judge's own location can be estimated. Drawing
    one of two facets that cross, such as judges who rate the same subjects, shows the spread over that facet's levels
    with the other's held (Owen, 2007, Annals of Applied Statistics 1, 386-411). With
    `resample="parametric"` responses are drawn from the fitted model in the table's design, the abilities of a marginal
    fit anew from their population.

    Replicates of marginal fits start from the fit's estimates and share its compiled programs, as those of pair models
    do; joint fits of responses, random facets and replicates that lack a level are fitted from scratch, in seconds.
    A level without data in a replicate is NaN there, and the others are centred on those that have some.

    Args:
        model: What to fit.
        table: Responses, comparisons or rankings. Missing responses are left out, in every replicate.
        engine: MarginalML, JointML or MAP; by default the one recommended for the model. Priors are held as they are.
        resample: "subject" (the default where the model has subjects), "comparison" (the default for pairs), "ranking"
            (the default for rankings), any other column of the table, or "parametric". A row of
            weight w is w rows, except where it is drawn with its unit.
            Comparisons under worths alone, and ten thousand and more under any model without a prior, are Poisson
            counts of each kind, whose total is free to vary and bears on no estimate.
        n: Number of replicates: 200 for standard errors, 2,000 for intervals.
        seed: Of the draws; replicate k is the same whatever `n` is.
        progress: Called with the number of replicates done and `n`.

    Returns:
        The draws, with standard errors and intervals by `Bootstrap.estimates`. Replicates that could not be fitted are
        in its `failures` and counted in its notes.

    Raises:
        DataError: An engine of draws, an unknown unit, a single unit, or weights that are no counts.
        DesignError: A parametric bootstrap of a model with random facets.
        ConvergenceError: Fewer than two replicates could be fitted.

    Source: Efron (1979), Annals of Statistics 7, 1-26; Efron & Tibshirani (1993), An Introduction to the Bootstrap.
    """
    engine = recommended_engine(model) if engine is None else engine
    _check(model, engine, resample, n)
    found = fit_table(model, table, engine=engine)
    generators = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
    draws = {name: np.full((n, *value.shape), np.nan) for name, value in found.parameters.items()}
    failed: list[tuple[int, str]] = []
    unit, replicates = _replicates(found, table, engine, resample, generators)
    with single_threaded_blas():
        for k, replicate in enumerate(replicates):
            if replicate.values is None:
                failed.append((k, replicate.failure))
            else:
                for name, value in replicate.values.items():
                    draws[name][k] = value
            if progress is not None:
                progress(k + 1, n)
    if n - len(failed) < _FEWEST:
        raise ConvergenceError(
            f"bootstrap: {len(failed)} of {n} replicates could not be fitted, the first: {failed[0][1]}"
        )
    failures = pd.DataFrame(failed, columns=["replicate", "error"])
    return Bootstrap(found, unit, n, seed, draws, failures, _notes(found.parameters, draws, failures, n))


def _replicates(
    fit: Fit,
    table: ResponseTable | PairTable | RankingTable,
    engine: Engine,
    resample: str | None,
    generators: list[np.random.Generator],
) -> tuple[str, Iterator[Replicate]]:
    """What is drawn, and the fits of what was."""
    if isinstance(table, RankingTable) and resample == "parametric":
        return resample, refit_drawn_rankings(fit, engine, table, generators)
    source = resampler(fit, table, resample)
    if isinstance(table, ResponseTable):
        return source.unit, refit(fit, table, engine, source, generators)
    return source.unit, refit_pairs(fit, engine, source, generators)


def _check(model: AbstractMeasurementModel, engine: Engine, resample: str | None, n: int) -> None:
    if not isinstance(engine, (MarginalML, JointML, MAP)):
        raise DataError(
            f"bootstrap(engine={type(engine).__name__}()) would draw from draws: use MarginalML(), JointML() or MAP()"
        )
    if n < _FEWEST:
        raise DataError(f"bootstrap(n={n}) needs at least {_FEWEST} replicates")
    random = [spec.name for spec in model.parameters if spec.random and spec.name != ABILITY]
    if random and resample == "parametric":
        raise DesignError(
            f"bootstrap(resample='parametric'): levels of random facet {random[0]!r} would have to be drawn anew, and "
            "then have no errors of their own: use resample='subject', or resample the facet"
        )


def _notes(
    parameters: Mapping[str, Array], draws: Mapping[str, Array], failures: pd.DataFrame, n: int
) -> tuple[str, ...]:
    notes: list[str] = []
    if len(failures):
        notes.append(
            f"{len(failures)} of {n} replicates could not be fitted and are left out, which makes errors too small: "
            f"the first, replicate {failures['replicate'].iloc[0]}, {failures['error'].iloc[0]}"
        )
    fitted = ~np.isin(np.arange(n), failures["replicate"])
    for name, value in draws.items():
        # Steps that no response of the table itself joins have no value anywhere.
        lacks = np.isnan(value[fitted]) & (np.abs(parameters[name]) < UNUSED / 2)
        lacking = int(lacks.reshape(int(fitted.sum()), -1).any(axis=1).sum())
        if lacking:
            notes.append(f"{lacking} of {n} replicates lack a value of {name!r}: levels without data there are NaN")
    return tuple(notes)
