"""What estimated parameters add to the uncertainty of scores: posteriors averaged over draws, and the delta method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, prod
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import logsumexp

from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD
from psymetric.scoring.abilities import Extremes
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import derivatives, log_likelihoods, pieces, row_derivatives
from psymetric.scoring.posterior import LogLikelihood, Posterior, subject_posterior

__all__ = ["DrawnParameters", "carried_variance", "check_carried", "drawn_values", "mixed_posterior"]

Array = NDArray[np.float64]
_Key = tuple[str, int | None]

_REACH, _PER_SD = 8.0, 2
"""Nodes reach this many sds of the widest mixture, at half the sd of the posterior at the estimates."""
_WIDENINGS = (1.5, 3.0, 6.0, 12.0, 24.0)
"""How much wider than the posterior at the estimates a mixture may be: few, so that compiled programs are shared."""
_CHUNK = 4_000_000
"""Numbers in memory at a time: subjects × directions."""


@final
@dataclass(frozen=True)
class DrawnParameters:
    """M joint draws of the parameters and of the population.

    Attributes:
        values: The model's arrays without the subjects', shape (M, ...) each.
        mean: Population means, logits, shape (M,).
        sd: Population sds, logits, shape (M,).
    """

    values: Mapping[str, Array]
    mean: Array
    sd: Array

    @property
    def n(self) -> int:
        """Number of draws."""
        return len(self.mean)


def mixed_posterior(
    rows: AlignedRows,
    drawn: DrawnParameters,
    mean: float | Array,
    sd: float | Array,
    *,
    log_likelihood: LogLikelihood = log_likelihoods,
) -> Posterior:
    """Every subject's posterior averaged over draws of the parameters.

    Its mean is the mean of the posterior means, its variance the mean of their variances plus the variance of their
    means, its quantiles those of the mixture.

    Args:
        rows: The responses, at the estimates.
        drawn: What the parameters might have been.
        mean: Population mean at the estimates, logits.
        sd: Population sd at the estimates, logits.
        log_likelihood: From rows and abilities, shape (S, M), to each subject's log-likelihood there.
    """
    held = subject_posterior(rows, mean, sd, log_likelihood=log_likelihood)
    centre, scale = held.mean[:, None], held.sd[:, None]
    found = held
    for wider in _WIDENINGS:
        nodes = np.linspace(-_REACH * wider, _REACH * wider, 2 * ceil(_PER_SD * _REACH * wider) + 1)
        theta = centre + scale * nodes
        weight = np.zeros_like(theta)
        for place in range(drawn.n):
            weight += _weight(rows, drawn, place, theta, log_likelihood) / drawn.n
        found = Posterior(theta, weight)
        if np.max(found.sd[:, None] / scale + np.abs(found.mean[:, None] - centre) / (_REACH * scale)) <= wider:
            break
    return found


def drawn_values(rows: AlignedRows, drawn: DrawnParameters, mixed: Posterior, uniform: Array) -> Array:
    """Draws of abilities, each column from the posteriors under one draw of the parameters, shape (S, D).

    Args:
        rows: The responses.
        drawn: What the parameters might have been, at least D draws.
        mixed: Their mixture, for its nodes.
        uniform: Random numbers in (0, 1), shape (S, D).
    """
    found = np.empty_like(uniform)
    for place in range(uniform.shape[1]):
        one = Posterior(mixed.theta, _weight(rows, drawn, place, mixed.theta, log_likelihoods))
        found[:, place] = one.quantile(uniform[:, [place]])[:, 0]
    return found


def _weight(
    rows: AlignedRows, drawn: DrawnParameters, place: int, theta: Array, log_likelihood: LogLikelihood
) -> Array:
    """Posterior probabilities of the nodes under one draw of the parameters."""
    at = replace(rows, params={name: value[place] for name, value in drawn.values.items()})
    log_joint = log_likelihood(at, theta) - 0.5 * ((theta - drawn.mean[place]) / drawn.sd[place]) ** 2
    return np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))


def check_carried(rows: AlignedRows, factors: Mapping[str, Array], *, who: str) -> None:
    """Raise where a response meets a level whose estimate rests on an adjusted score and has no joint uncertainty.

    Args:
        rows: The responses.
        factors: As `Fit.factors`, of the model's arrays.
        who: The public function, for messages.

    Raises:
        DataError: Names the parameter and counts the responses.
    """
    for name in rows.params:
        level, n_levels = _level(rows, name)
        unknown = np.any(np.isnan(factors[name]).reshape(n_levels, -1), axis=1)[level]
        if unknown.any():
            raise DataError(
                f"{who}: {np.count_nonzero(unknown)} of {len(level)} responses meet a level of {name!r} with an "
                'extreme score, whose estimate has no joint uncertainty: use parameters="known", or fit with '
                "MarginalML()"
            )


def carried_variance(
    rows: AlignedRows,
    estimate: Array,
    extremes: Extremes,
    method: str,
    factors: Mapping[str, Array],
    *,
    mean: float | Array,
    sd: float | Array,
) -> Array:
    r"""Variance of point estimates from that of the parameters, by the delta method, shape (S,).

    An estimate solves g(θ, ξ) = 0, so that $d\\theta/d\\xi = -g_\\xi / g_\\theta$; both are exact derivatives of the
    equation of the method. A response sees one level of every array, which makes the work one pass per array and step
    whatever the number of parameters.

    Args:
        rows: The responses.
        estimate: The estimates, logits, shape (S,); NaN where there is none.
        extremes: As the estimates were made.
        method: Which equation they solve: `ml`, `wle` or `map`.
        factors: As `Fit.factors`: of the model's arrays, and for `map` of a population that was estimated.
        mean: Population mean, logits.
        sd: Population sd, logits.
    """
    theta = np.nan_to_num(estimate)
    keys = _keys(rows)
    weights = _coefficients(rows, theta, extremes, method, keys)
    by_ability = rows.by_subject(weights[-1])
    if method == "map":
        by_ability = by_ability - 1 / sd**2
    n_subjects, rank = len(theta), next(iter(factors.values())).shape[-1]
    total, width = np.zeros(n_subjects), max(_CHUNK // max(n_subjects, 1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, rank, width):
            part = slice(start, start + width)
            moved = _moved(rows, weights, keys, factors, part)
            if POPULATION_SD in factors:
                away = (theta - mean)[:, None]
                moved = moved + factors[POPULATION_MEAN][part] / sd**2
                moved = moved + 2 * away / sd**3 * factors[POPULATION_SD][part]
            total += np.sum((moved / by_ability[:, None]) ** 2, axis=1)
    return np.where(np.isfinite(estimate), total, np.nan)


def _keys(rows: AlignedRows) -> tuple[_Key, ...]:
    """Every array the rows see, step by step."""
    found: list[_Key] = []
    for spec in rows.model.parameters:
        if spec.name != ABILITY:
            steps = range(rows.params[spec.name].shape[-1]) if "step" in spec.axes else (None,)
            found += [(spec.name, step) for step in steps]
    return tuple(found)


def _coefficients(rows: AlignedRows, theta: Array, extremes: Extremes, method: str, keys: tuple[_Key, ...]) -> Array:
    """What each row adds to the derivative of its subject's equation by each key and by θ, shape (keys + 1, R)."""
    at = theta[rows.subject]
    slopes = np.empty((len(keys) + 1, 6, len(rows.response)))
    with double_precision():
        for piece in pieces(rows, len(keys) + 1):
            values = _slopes(
                rows.model,
                dict(rows.params),
                piece.codes,
                piece.response,
                piece.pad(at[piece.where]),
                len(rows.categories),
                keys,
            )
            slopes[:, :, piece.where] = np.asarray(values)[:, :, : piece.count]
    score, information, bias, expected = slopes[:, 0], slopes[:, 2], slopes[:, 3], slopes[:, 4]
    if method == "ml":
        return np.where(extremes.either[rows.subject], -expected, score)
    if method == "map":
        return score
    values = derivatives(rows, at)
    total, tilt = (np.maximum(rows.by_subject(values[2]), 1e-300), rows.by_subject(values[3]))
    return score + bias / (2 * total)[rows.subject] - information * (tilt / total / (2 * total))[rows.subject]


@partial(jax.jit, static_argnames=("model", "n_categories", "keys"))
def _slopes(
    model: AbstractMeasurementModel,
    params: Any,
    codes: Any,
    response: JaxArray,
    theta: JaxArray,
    n_categories: int,
    keys: tuple[_Key, ...],
) -> JaxArray:
    """Derivatives of `row_derivatives` by the level each row sees, and by its ability, shape (keys + 1, 6, rows)."""

    def at(params: Any, theta: JaxArray) -> JaxArray:
        return row_derivatives(model, params, codes, response, theta, n_categories)

    # All levels of an array move at once: a row sees its own.
    moves = {name: jnp.zeros((len(keys) + 1, *value.shape)) for name, value in params.items()}
    for place, (name, step) in enumerate(keys):
        index = (place, ...) if step is None else (place, ..., step)
        moves[name] = moves[name].at[index].set(1.0)
    along = jnp.zeros((len(keys) + 1, len(theta))).at[-1].set(1.0)
    _, linear = jax.linearize(at, params, theta)
    return jax.lax.map(lambda move: linear(*move), (moves, along))


def _moved(
    rows: AlignedRows, weights: Array, keys: tuple[_Key, ...], factors: Mapping[str, Array], part: slice
) -> Array:
    """Change of the subjects' equations along some directions of the parameters, shape (S, directions)."""
    n_subjects, total = len(rows.subjects), np.zeros(())
    for (name, step), weight in zip(keys, weights, strict=False):
        level, n_levels = _level(rows, name)
        factor = factors[name][..., part] if step is None else factors[name][..., step, part]
        by_level = csr_array((rows.weight * weight, (rows.subject, level)), shape=(n_subjects, n_levels))
        total = total + by_level @ np.nan_to_num(factor.reshape(n_levels, -1))
    return total


def _level(rows: AlignedRows, name: str) -> tuple[NDArray[np.int64], int]:
    """The flat level of an array that each row sees, shape (R,), and how many there are."""
    axes = next(spec.axes for spec in rows.model.parameters if spec.name == name)
    facets = tuple(axis for axis in axes if axis != "step")
    sizes = rows.params[name].shape[: len(facets)]
    level = np.zeros(len(rows.response), np.int64)
    for facet, size in zip(facets, sizes, strict=True):
        level = level * size + rows.codes[facet]
    return level, prod(sizes)
