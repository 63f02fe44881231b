"""Posterior predictive checks: would data drawn from the fit look like the data?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.parameter_draws import moved_estimates, parameter_draws
from psymetric.estimation.window_draws import draw_from_windows
from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import POPULATION_SD, has_ability, has_dimensions
from psymetric.scoring.alignment import AlignedRows, match
from psymetric.scoring.dimensions import windows_of
from psymetric.scoring.likelihood import check_possible
from psymetric.scoring.nested import NestedRows, nested_posterior, posterior_of
from psymetric.scoring.population import population_of
from psymetric.scoring.positions import at_position

__all__ = ["posterior_predictive", "require_own_table"]

Array = NDArray[np.float64]
Scores = NDArray[np.int32]
Codes = NDArray[np.int32]

_WHO = "posterior_predictive"


def posterior_predictive(
    fit: Fit, table: ResponseTable, *, replicates: int = 500, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    r"""Compare features of the data with those of data replicated from the fit, same subjects, items and judges.

    Parameters of a replicate are a posterior draw (`NUTS`, `SVI`, `Laplace`), subjects included. Fits without draws
    give normal draws around their estimates, on the scale without bounds that intervals use, and subjects from their
    posteriors at the estimates. Where a fit keeps no joint uncertainty (robust errors, over 2,000 parameters), these
    draws are array by array, without the covariances between arrays. What ratings of a subject share (a halo, an ideal
    category) is drawn given the responses too: the replicates are of the same subjects under the same judges. Features
    that the model fits by construction, such as each judge's mean, cannot fail; how often a judge uses each category
    under common steps, or how much subjects differ, can. With m lines about m (1 − `level`) are flagged by chance,
    fewer since the data are used twice.

    Args:
        fit: A fit of a model with subjects, by any engine with a population.
        table: The table that was fitted. Missing responses are missing in the replicates too; a row of weight w
            counts as w rows, and weights must be whole numbers.
        replicates: How many data sets to draw.
        level: Probability of the intervals.
        seed: Seed of the random numbers.

    Returns:
        statistic ("category_share": share of the responses; "subject_variance": variance of the subjects' mean scores
        0…K−1; "subjects_lowest", "subjects_highest": share of subjects whose every response is the lowest or highest),
        facet and level ("all" or a level of a facet), category (label or None), observed, expected (mean of the
        replicates), lower, upper (`level` of the replicates), p (share of replicates above the observed value, ties
        by half), flag (in words; empty when nothing is to be said).

    Raises:
        DataError: Another table, fractional weights, a model without subjects, a JointML fit, too few replicates.

    Source: Gelman, Meng & Stern (1996), Statistica Sinica 6, 733-807; Sinharay, Johnson & Stern (2006), Applied
    Psychological Measurement 30, 298-321.
    """
    if replicates < 20 or not 0 < level < 1:
        raise DataError(f"{_WHO}: replicates={replicates}, level={level} need replicates >= 20 and 0 < level < 1")
    require_own_table(fit, table, who=_WHO)
    rows = match(fit, table, who=_WHO)
    if np.any(rows.weight != np.round(rows.weight)):
        raise DataError(
            f"{_WHO}: weights are not whole numbers, so that rows cannot be replicated; aggregate to counts"
        )
    rows = rows.take(np.repeat(np.arange(len(rows.weight)), rows.weight.astype(np.int64)))
    owners = {"all": np.zeros(len(rows.response), np.int32), **rows.codes}
    sizes = {"all": 1, **{facet: len(fit.levels[facet]) for facet in rows.codes}}
    frame = _labels(fit, owners)
    observed = _features(rows, rows.response, owners, sizes)
    draws = _replicated(fit, table, rows, replicates, np.random.default_rng(seed))
    replicated = np.stack([_features(rows, scores, owners, sizes) for scores in draws])
    return _compare(frame, observed, replicated, level)


def require_own_table(fit: Fit, table: ResponseTable, *, who: str) -> None:
    """Refuse what has no replicates: models and engines without a population, and tables that were not fitted."""
    if not has_ability(fit.model):
        raise DataError(f"{who}: {type(fit.model).__name__} has no subjects to draw")
    if POPULATION_SD not in fit.parameters:
        raise DataError(f"{who}: {fit.engine} has no population of subjects: fit with MarginalML() or NUTS()")
    if table.hash != fit.table_hash or tuple(table.levels["subject"]) != tuple(fit.levels["subject"]):
        raise DataError(f"{who}: the table is not the one that was fitted: pass that one, or fit this one")


def _replicated(
    fit: Fit, table: ResponseTable, rows: AlignedRows, replicates: int, rng: np.random.Generator
) -> Iterator[Scores]:
    """Scores of every row, shape (R,), once per replicate."""
    with double_precision():
        for params, codes in _parameters(fit, table, rows, replicates, rng):
            uniform = rng.random(len(rows.response))
            yield np.asarray(_draw(rows.model, params, codes, uniform, len(rows.categories)))


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _draw(model: AbstractMeasurementModel, params: Any, codes: Any, uniform: Any, n_categories: int) -> JaxArray:
    """The category in whose stretch of the cumulated probabilities each uniform number falls."""
    below = jnp.cumsum(jnp.exp(model.category_log_probs(params, codes, n_categories)), axis=1)
    return jnp.sum(uniform[:, None] >= below[:, :-1], axis=1, dtype=jnp.int32)


def _parameters(
    fit: Fit, table: ResponseTable, rows: AlignedRows, replicates: int, rng: np.random.Generator
) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Codes]]]:
    """The model's arrays, all latent variables among them, and the rows' codes, once per replicate."""
    model, codes = fit.model, {**rows.codes, "subject": rows.subject}
    drawn = _without_latent(fit, table, rows, replicates, rng)
    if not isinstance(model, AbstractNestedModel):
        yield from ((params, codes) for params in drawn)
        return
    mean, sd, _ = population_of(fit, table, who=_WHO)
    _, nested = nested_posterior(rows, model, mean, sd)
    codes[model.owner] = nested.owners_of(rows).astype(np.int32)
    for params in drawn:
        known = {name: value for name, value in params.items() if name != ABILITY}
        nested = NestedRows.build(replace(rows, params=known), model, nested.grid)
        yield {**params, model.latent: nested.drawn(params[ABILITY][:, None], rng)[:, 0]}, codes


def _without_latent(
    fit: Fit, table: ResponseTable, rows: AlignedRows, replicates: int, rng: np.random.Generator
) -> Iterator[Mapping[str, Array]]:
    """The model's arrays, subjects among them, once per replicate."""
    names = tuple(spec.name for spec in fit.model.parameters)
    if fit.draws is not None:
        flat = {name: fit.draws[name].reshape(-1, *fit.draws[name].shape[2:]) for name in names}
        for place in rng.permutation(_spread(len(flat[ABILITY]), replicates)):
            yield {name: value[place] for name, value in flat.items()}
        return
    abilities = _abilities(fit, table, rows, replicates, rng)
    others = _normal(fit, tuple(name for name in names if name != ABILITY), replicates, rng)
    for place in range(replicates):
        yield {name: value[place] for name, value in others.items()} | {ABILITY: abilities[:, place]}


def _abilities(fit: Fit, table: ResponseTable, rows: AlignedRows, replicates: int, rng: np.random.Generator) -> Array:
    """Draws of the subjects at the estimates, shape (S, replicates), or (S, replicates, D)."""
    check_possible(replace(rows, model=at_position(rows.model)), who=_WHO)
    if has_dimensions(fit.model):
        seed = int(rng.integers(1 << 31))
        return draw_from_windows(windows_of(rows), rows.params, replicates, seed=seed).transpose(1, 0, 2)
    mean, sd, _ = population_of(fit, table, who=_WHO)
    return posterior_of(rows, mean, sd).quantile(rng.random((len(rows.subjects), replicates)))


def _spread(n_draws: int, wanted: int) -> NDArray[np.int64]:
    """Positions of `wanted` draws evenly over all; all of them in turn where there are fewer."""
    if wanted <= n_draws:
        return np.linspace(0, n_draws - 1, wanted).astype(np.int64)
    return np.arange(wanted) % n_draws


def _normal(fit: Fit, names: tuple[str, ...], replicates: int, rng: np.random.Generator) -> Mapping[str, Array]:
    """Draws of some arrays around their estimates, shape (replicates, ...) each."""
    if all(name in fit.factors for name in names):
        n, seed = replicates + replicates % 2, int(rng.integers(2**32))
        return parameter_draws(fit, names, n=n, seed=seed, who=_WHO)
    return {name: moved_estimates(fit, name, _noise(fit, name, replicates, rng)) for name in names}


def _noise(fit: Fit, name: str, replicates: int, rng: np.random.Generator) -> Array:
    """Normal draws with the covariance of one array, or its standard errors where it has none."""
    value, covariance = fit.parameters[name], fit.covariances.get(name)
    if covariance is None:
        return np.nan_to_num(fit.standard_errors[name]) * rng.standard_normal((replicates, *value.shape))
    values, vectors = np.linalg.eigh(np.nan_to_num(covariance))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return (rng.standard_normal((replicates, value.size)) @ root.T).reshape(replicates, *value.shape)


def _features(
    rows: AlignedRows, scores: Scores, owners: Mapping[str, NDArray[np.int32]], sizes: Mapping[str, int]
) -> Array:
    """Every feature of one data set, in the order of `_labels`."""
    found: list[Array] = []
    for facet, owner in owners.items():
        n_categories = len(rows.categories)
        counts = np.bincount(owner * n_categories + scores, minlength=sizes[facet] * n_categories)
        counts = counts.reshape(sizes[facet], n_categories).astype(np.float64)
        with np.errstate(invalid="ignore"):
            found.append((counts / counts.sum(axis=1, keepdims=True)).ravel())
    n = np.bincount(rows.subject, minlength=len(rows.subjects))
    present = n > 0
    mean = np.bincount(rows.subject, scores, len(n))[present] / n[present]
    spread = float(np.var(mean, ddof=1)) if len(mean) > 1 else float("nan")
    ends = [np.mean(mean == 0), np.mean(mean == len(rows.categories) - 1)]
    return np.concatenate([*found, [spread, *ends]])


def _labels(fit: Fit, owners: Mapping[str, Any]) -> pd.DataFrame:
    lines = [
        ("category_share", facet, level, category)
        for facet in owners
        for level in (("all",) if facet == "all" else fit.levels[facet])
        for category in fit.categories
    ]
    lines += [(name, "all", "all", None) for name in ("subject_variance", "subjects_lowest", "subjects_highest")]
    return pd.DataFrame(lines, columns=["statistic", "facet", "level", "category"], dtype=object)


def _compare(frame: pd.DataFrame, observed: Array, replicated: Array, level: float) -> pd.DataFrame:
    """Observed values beside the replicates, shape (replicates, features)."""
    tail = (1 - level) / 2
    # Sums of the same shares in another order are equal, whatever their last digit.
    slack = 1e-9 * np.maximum(np.abs(observed), 1.0)
    above, below = (replicated > observed + slack).mean(axis=0), (replicated < observed - slack).mean(axis=0)
    known = np.isfinite(observed)
    p = np.where(known, above + (1 - above - below) / 2, np.nan)
    lower, upper = np.quantile(replicated, [tail, 1 - tail], axis=0)
    flag = np.where(p < tail, "more than the fit expects", np.where(p > 1 - tail, "less than the fit expects", ""))
    flag = np.where(known, flag, "no responses")
    return frame.assign(
        observed=observed, expected=replicated.mean(axis=0), lower=lower, upper=upper, p=p, flag=flag.astype(object)
    )
