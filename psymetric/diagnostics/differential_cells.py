"""Every cell's difference between a focal group and the reference: its size, its error and the test of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.differential_effects import cell_discriminations, class_probabilities, score_effects
from psymetric.diagnostics.differential_model import (
    IMPACT_LOG_SD,
    IMPACT_MEAN,
    SHIFT,
    SLOPE,
    Cells,
    DifferentialModel,
)
from psymetric.diagnostics.differential_search import Freed, Search, Solution, wald_statistic
from psymetric.diagnostics.differential_steps import step_shifts
from psymetric.estimation.assemble import constrain
from psymetric.estimation.fit import Fit
from psymetric.estimation.problems import MarginalProblem, marginal_problem
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD

__all__ = ["RELATIVE", "Kind", "drawn_cells", "drawn_populations", "searched_populations", "tested_cells"]

Array = NDArray[np.float64]
Kind = Literal["uniform", "nonuniform", "both", "steps", "thresholds"]
RELATIVE = ("nonuniform", "steps")
"""Kinds that test slopes or steps with the locations free in both models."""


@final
@dataclass(frozen=True)
class _Contrast:
    """Which of a cell's parameters are tested, and the models with and without them."""

    places: NDArray[np.int64]
    larger: Freed
    smaller: Freed


def _contrast(search: Search, freed: Freed, cell: int, kind: Kind) -> _Contrast:
    own = search.places(cell)
    larger = freed.plus(cell, shape=kind != "uniform")
    if kind in RELATIVE:
        return _Contrast(own[1:], larger, larger.minus(cell, shift=False))
    return _Contrast(own, larger, larger.minus(cell))


def tested_cells(
    search: Search, freed: Freed, alone: set[int], *, kind: Kind, method: Literal["lr", "wald"], level: float
) -> pd.DataFrame:
    """One row per cell: estimates where the cell is free, and the test of what `kind` names against zero.

    Cells in `freed` are free in both models, so that no comparison rests on them; all others are anchors but for the
    cell under test. Those in `alone` are their groups' only anchors and have no test.
    """
    counts = _combination_counts(search.problem)
    rows = [
        _untested(search, cell, "the only anchor: others differ relative to it")
        if cell in alone
        else _tested(search, freed, cell, kind, method, counts)
        for cell in range(search.n_cells)
    ]
    frame = pd.DataFrame(rows)
    z = float(norm.ppf((1 + level) / 2))
    for name in _names(search):
        frame[f"{name}_lower"], frame[f"{name}_upper"] = (
            frame[name] + side * z * frame[f"{name}_se"] for side in (-1, 1)
        )
    return frame


def _tested(
    search: Search, freed: Freed, cell: int, kind: Kind, method: Literal["lr", "wald"], counts: Array
) -> dict[str, object]:
    contrast = _contrast(search, freed, cell, kind)
    found = search.solve(contrast.larger, near=freed)
    own, df = search.places(cell), len(contrast.places)
    row: dict[str, object] = {"anchor": cell not in freed.shifts, "statistic": np.nan, "df": df, "p": np.nan}
    if not found.is_determined:
        return row | _untested(search, cell, "the likelihood has no single maximum") | {"anchor": row["anchor"]}
    values, covariance = found.maximum.point[own], found.covariance(own)
    for name, value, error in zip(_names(search), values, np.sqrt(np.diag(covariance)), strict=False):
        row |= {name: value, f"{name}_se": error}
    row |= step_shifts(search.model, values, covariance)
    effect = score_effects(search.problem, search.model, counts, found.maximum.point, cell)
    params = {
        name: np.asarray(value)
        for name, value in constrain(search.problem.space, jnp.asarray(found.maximum.point)).items()
    }
    slope = cell_discriminations(search.model, search.problem, counts, params)[cell]
    row |= {"discrimination": slope, "sids": effect.signed, "uids": effect.unsigned, "essd": effect.standardised}
    if method == "wald":
        statistic = wald_statistic(search, contrast.larger, contrast.places)
    else:
        without = search.solve(contrast.smaller, near=contrast.larger)
        statistic = 2 * (found.maximum.value - without.maximum.value) if without.is_determined else np.nan
    statistic = float(np.maximum(statistic, 0.0))
    return row | {"statistic": statistic, "p": float(chi2.sf(statistic, df)), "note": ""}


def _names(search: Search) -> tuple[str, ...]:
    return ("estimate", "log_slope") if search.model.with_slopes else ("estimate",)


def _untested(search: Search, cell: int, note: str) -> dict[str, object]:
    names = _names(search)
    empty = [*names, *(f"{name}_se" for name in names), "statistic", "p", "discrimination", "sids", "uids", "essd"]
    known: dict[str, object] = {"anchor": True, "df": len(search.places(cell)), "note": note}
    return known | dict.fromkeys(empty, np.nan)


def _combination_counts(problem: MarginalProblem) -> Array:
    """Responses behind each distinct combination of levels, shape (combinations,)."""
    by_row = np.asarray(problem.responses.matrix().sum(axis=0)).ravel()
    return by_row.reshape(-1, problem.n_categories).sum(axis=1)


def drawn_cells(
    fit: Fit, model: DifferentialModel, table: ResponseTable, cells: Cells, *, level: float
) -> pd.DataFrame:
    """One row per cell, from the posterior draws of a fit of the model to the marked table."""
    problem = marginal_problem(model, table, prior=True, n_nodes=61, half_width=6.0)
    counts = _combination_counts(problem)
    slopes = cell_discriminations(model, problem, counts, dict(fit.parameters))
    shifts = _flat(fit, SHIFT)[:, 1:]
    tail = (1 - level) / 2
    frame = pd.DataFrame({"anchor": np.zeros(len(cells.labels), bool), "note": "", "discrimination": slopes})
    for name, draws in (
        ("estimate", shifts),
        *((("log_slope", _flat(fit, SLOPE)[:, 1:]),) if model.with_slopes else ()),
    ):
        frame[name], frame[f"{name}_se"] = draws.mean(axis=0), draws.std(axis=0, ddof=1)
        frame[f"{name}_lower"], frame[f"{name}_upper"] = np.quantile(draws, [tail, 1 - tail], axis=0)
    frame[["p_a", "p_b", "p_c"]] = class_probabilities(shifts * slopes).T
    free = problem.space.unconstrain({name: np.asarray(value) for name, value in fit.parameters.items()})
    effects = [score_effects(problem, model, counts, free, cell) for cell in range(len(cells.labels))]
    frame["sids"], frame["uids"], frame["essd"] = np.array(
        [(effect.signed, effect.unsigned, effect.standardised) for effect in effects]
    ).T
    return frame


def _flat(fit: Fit, name: str) -> Array:
    draws = (fit.draws or {})[name]
    return draws.reshape(-1, *draws.shape[2:])


def _populations(params: dict[str, JaxArray]) -> JaxArray:
    """Mean and sd of every group, shape (2, groups)."""
    scale = jnp.exp(params[IMPACT_LOG_SD])
    return jnp.stack([params[IMPACT_MEAN] + scale * params[POPULATION_MEAN], scale * params[POPULATION_SD]])


def searched_populations(search: Search, found: Solution) -> tuple[Array, Array]:
    """Means and sds of the groups at a solution and their standard errors, shape (2, groups) each."""
    space, point = search.problem.space, jnp.asarray(found.maximum.point)

    def at(free: JaxArray) -> JaxArray:
        return _populations(space.constrain(free))

    jacobian = np.asarray(jax.jacfwd(at)(point))[:, :, found.active]
    covariance = found.maximum.curvature.covariance()
    return np.asarray(at(point)), np.sqrt(np.einsum("agi,ij,agj->ag", jacobian, covariance, jacobian))


def drawn_populations(fit: Fit) -> tuple[Array, Array]:
    """Posterior means and sds of the groups' means and sds, shape (2, groups) each."""
    names = (IMPACT_MEAN, IMPACT_LOG_SD, POPULATION_MEAN, POPULATION_SD)
    draws = {name: jnp.asarray(_flat(fit, name)) for name in names}
    values = np.asarray(jax.vmap(_populations)(draws))
    return values.mean(axis=0), values.std(axis=0, ddof=1)
