"""Measures of subjects on several dimensions: each borrows strength from the others through their correlation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, final, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.core.precision import double_precision
from psymetric.data.messages import row_error
from psymetric.errors import ConvergenceError, DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.window_draws import draw_from_windows
from psymetric.estimation.window_places import accuracy, place_windows
from psymetric.estimation.window_rows import Subjects, group_rows
from psymetric.estimation.windows import Integral, all_moments
from psymetric.models.base import ABILITY, DIMENSION
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.posterior import Posterior

__all__ = ["DimensionMethod", "masses_of", "score_dimensions", "windows_of"]

Array = NDArray[np.float64]
DimensionMethod = Literal["eap", "map", "plausible"]

_WHO = "score"
_FAR = 1e3
"""Logits at which every category that can be reached is certain."""
_IMPOSSIBLE = -5_000.0
_TOLERANCE, _MAX_STEPS = 1e-9, 100


@final
@dataclass(frozen=True)
class DimensionScores:
    """One row per subject and dimension, what the errors carry, and notes."""

    frame: pd.DataFrame
    from_draws: bool


@final
@dataclass(frozen=True)
class _Measures:
    """Shape (subjects, dimensions) each, in logits; `values` are plausible values, (draws, subjects, dimensions)."""

    estimate: Array
    se: Array
    lower: Array
    upper: Array
    values: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))


def score_dimensions(
    fit: Fit, rows: AlignedRows, *, method: str, level: float, draws: int, seed: int, own: bool
) -> DimensionScores:
    """Measures of every subject on every dimension.

    Args:
        fit: A fit of a model of several dimensions.
        rows: The responses in the coding of the fit.
        method: "eap", "map" or "plausible".
        level: Coverage of the intervals.
        draws: Plausible values per subject.
        seed: Their seed.
        own: Whether these are the fitted responses, whose posteriors the draws of the fit hold.

    Raises:
        DataError: Another method, a category that an item never drew in the fit, or more plausible values than draws.
    """
    if method not in get_args(DimensionMethod):
        raise DataError(
            f"{_WHO}: method={method!r} is for one dimension, and {type(fit.model).__name__} measures several: use one "
            f"of {list(get_args(DimensionMethod))}"
        )
    own = own and fit.draws is not None and ABILITY in fit.draws
    with double_precision():
        ends = _ends(rows)
        if own and method != "map":
            found = _from_draws(fit, method, level, draws, seed)
        else:
            integral = windows_of(rows)
            found = (
                _modes(integral, rows, level)
                if method == "map"
                else _posterior(integral, rows, level, draws if method == "plausible" else 0, seed)
            )
    return DimensionScores(_frame(fit, rows, found, ends), own and method != "map")


def windows_of(rows: AlignedRows) -> Integral:
    """The subjects' posteriors on windows of their own; in double precision."""
    pattern = rows.params["discrimination"] != 0
    n_subjects, n_dims = len(rows.subjects), pattern.shape[1]
    groups = group_rows(
        pattern, rows.codes, rows.subject, rows.response, rows.weight,
        n_subjects=n_subjects, n_categories=len(rows.categories),
    )  # fmt: skip
    subjects = Subjects(groups, jnp.zeros((n_subjects, n_dims)), jnp.ones((n_subjects, n_dims)))
    integral = Integral(rows.model, subjects, len(rows.categories), 1)
    return place_windows(integral, _known(rows), accuracy(n_dims))[0]


@partial(jax.jit, static_argnames="dims")
def _masses(integral: Integral, params: dict[str, JaxArray], dims: tuple[int, ...]) -> JaxArray:
    def of(subject: Subjects) -> JaxArray:
        log_joint = integral.log_joint(params, subject)
        others = tuple(d for d in range(integral.n_dimensions) if d not in dims)
        return jnp.sum(jnp.exp(log_joint - jax.nn.logsumexp(log_joint)), axis=others).ravel()

    return integral.each(of)


def masses_of(integral: Integral, params: Mapping[str, Any], dims: tuple[int, ...]) -> Array:
    """Posterior masses on the product of the nodes of some dimensions, shape (S, nodes ** len(dims))."""
    return np.asarray(_masses(integral, jax.device_put(dict(params)), dims))


def _known(rows: AlignedRows) -> dict[str, Any]:
    return dict(rows.params)


def _posterior(integral: Integral, rows: AlignedRows, level: float, draws: int, seed: int) -> _Measures:
    """Posterior means, sds and quantiles of each dimension, the others integrated out."""
    params = _known(rows)
    found = all_moments(integral, params)
    mean, sd = np.asarray(found.mean), np.asarray(found.sd)
    nodes = np.asarray(jax.vmap(integral.nodes)(integral.subjects))
    n_subjects, n_dims, n_nodes = nodes.shape
    tail = (1 - level) / 2
    marginal = Posterior(nodes.reshape(-1, n_nodes), np.asarray(found.marginal).reshape(-1, n_nodes))
    ends = marginal.quantile(np.tile([tail, 1 - tail], (n_subjects * n_dims, 1))).reshape(n_subjects, n_dims, 2)
    values = draw_from_windows(integral, params, draws, seed=seed) if draws else np.zeros((0, n_subjects, n_dims))
    return _Measures(mean, sd, ends[..., 0], ends[..., 1], values)


@jax.jit
def _derivatives(integral: Integral, params: dict[str, JaxArray]) -> tuple[JaxArray, JaxArray, JaxArray]:
    """Log posterior at the windows' centres up to a constant, its gradient and its Hessian, by subject."""

    def of(subject: Subjects) -> tuple[JaxArray, JaxArray, JaxArray]:
        def value(centre: JaxArray) -> JaxArray:
            return integral.log_joint(params, replace(subject, centre=centre)).sum()

        at = subject.centre
        return value(at), jax.grad(value)(at), jax.hessian(value)(at)

    return integral.each(of)


def _modes(integral: Integral, rows: AlignedRows, level: float) -> _Measures:
    """Posterior modes by damped Newton steps from the posterior means, errors from the curvature there."""
    params = {name: jax.device_put(value) for name, value in _known(rows).items()}
    mode: Array = np.asarray(all_moments(integral, params).mean)

    def at(point: Array) -> tuple[Array, Array, Array]:
        one = integral.with_windows(rows.params, point, np.ones(point.shape), 1)
        value, gradient, hessian = (np.asarray(array) for array in _derivatives(one, params))
        return value, gradient, -hessian

    value, gradient, information = at(mode)
    scale = np.ones(len(mode))
    for _ in range(_MAX_STEPS):
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            break
        moved = at(mode + scale[:, None] * step)
        better = moved[0] >= value - 1e-12 * (1 + np.abs(value))
        mode = np.where(better[:, None], mode + scale[:, None] * step, mode)
        value = np.where(better, moved[0], value)
        gradient = np.where(better[:, None], moved[1], gradient)
        information = np.where(better[:, None, None], moved[2], information)
        scale = np.where(better, np.minimum(2 * scale, 1.0), scale / 2)
    else:
        raise ConvergenceError(f"{_WHO}: posterior modes not found in {_MAX_STEPS} Newton steps; use method='eap'")
    se = np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2))
    half = float(ndtri((1 + level) / 2)) * se
    return _Measures(mode, se, mode - half, mode + half)


def _from_draws(fit: Fit, method: str, level: float, draws: int, seed: int) -> _Measures:
    stored = fit.draws[ABILITY] if fit.draws is not None else np.empty((0, 0, 0, 0))
    flat = stored.reshape(-1, *stored.shape[2:])
    tail = (1 - level) / 2
    lower, upper = np.quantile(flat, [tail, 1 - tail], axis=0)
    values = flat[:0]
    if method == "plausible":
        if draws > len(flat):
            raise DataError(f"{_WHO}: draws={draws} plausible values asked of a fit that holds {len(flat)} draws")
        values = flat[np.random.default_rng(seed).choice(len(flat), size=draws, replace=False)]
    return _Measures(flat.mean(axis=0), flat.std(axis=0, ddof=1), lower, upper, values)


def _ends(rows: AlignedRows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which responses are the lowest, and which the highest, in reach.

    Raises:
        DataError: A response in a category that its steps never saw in the fit.
    """
    n_dims = rows.params["discrimination"].shape[1]
    params = jax.device_put(dict(rows.params))
    codes = jax.device_put(dict(rows.codes))
    codes["subject"] = jnp.zeros(len(rows.response), jnp.int32)

    def at(logits: float) -> Array:
        ability = jnp.full((1, n_dims), logits)
        return np.asarray(rows.model.category_log_probs({**params, ABILITY: ability}, codes, len(rows.categories)))

    middle = np.take_along_axis(at(0.0), rows.response[:, None].astype(np.int64), axis=1)[:, 0]
    if np.any(bad := (rows.weight > 0) & (middle < _IMPOSSIBLE)):
        got = [rows.categories[code] for code in rows.response[bad]]
        fix = "leave them out, or fit with a table that uses the category"
        raise row_error(_WHO, "categories that were never used under these steps in the fit", bad, got, fix)
    low, high = (at(end).argmax(axis=1) for end in (-_FAR, _FAR))
    return rows.response == low, rows.response == high


def _frame(
    fit: Fit, rows: AlignedRows, found: _Measures, ends: tuple[NDArray[np.bool_], NDArray[np.bool_]]
) -> pd.DataFrame:
    """Subjects × dimensions as rows, a subject's together."""
    names = fit.levels[DIMENSION]
    measures = rows.params["discrimination"][rows.codes["item"]] != 0
    n, low, high = (
        np.stack([rows.by_subject(measures[:, d] * which) for d in range(len(names))], axis=1)
        for which in (np.ones(len(rows.response)), *ends)
    )
    return pd.DataFrame(
        {
            "subject": [label for label in rows.subjects for _ in names],
            "dimension": [name for _ in rows.subjects for name in names],
            "estimate": found.estimate.ravel(),
            "se": found.se.ravel(),
            "lower": found.lower.ravel(),
            "upper": found.upper.ravel(),
            "n": n.ravel(),
            "extreme": ((n > 0) & ((low == n) | (high == n))).ravel(),
            **{f"pv{place + 1}": value.ravel() for place, value in enumerate(found.values)},
        }
    )
