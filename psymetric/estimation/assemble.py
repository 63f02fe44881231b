"""From a free vector and its covariance to a labelled `Fit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace
from psymetric.core.provenance import Provenance
from psymetric.data.rankings import RankingTable
from psymetric.estimation.boundaries import boundary_notes
from psymetric.estimation.curvature import Information
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.models.base import ABILITY, DIMENSION, AbstractMeasurementModel, Table
from psymetric.models.covariates import level_terms
from psymetric.models.space import COVARIATE_WEIGHT, weight_name

__all__ = [
    "LARGEST_COVARIANCE",
    "Uncertainty",
    "build_fit",
    "constrain",
    "constrained_uncertainty",
    "level_counts",
    "uncertainty",
]

Array = NDArray[np.float64]

LARGEST_COVARIANCE = 2_000
_MOST_JOINT = 2_000
"""Free parameters up to which the joint uncertainty of all arrays is kept."""


@final
@dataclass(frozen=True)
class Uncertainty:
    """Standard errors, covariances and joint factors of the constrained arrays, as `Fit` describes them."""

    standard_errors: dict[str, Array]
    covariances: dict[str, Array] = field(default_factory=dict[str, Array])
    factors: dict[str, Array] = field(default_factory=dict[str, Array])


def constrained_uncertainty(
    space: ParameterSpace, free: Array, covariance: Array, kept: NDArray[np.int64]
) -> Uncertainty:
    """Uncertainty of the constrained arrays by the delta method.

    Args:
        space: The parameter space.
        free: Free vector, shape (size,).
        covariance: Of the free parameters in `kept`, shape (kept, kept); the others count as known.
        kept: Their positions in the free vector.
    """
    errors: dict[str, Array] = {}
    covariances: dict[str, Array] = {}
    factors: dict[str, Array] = {}
    root = _root(covariance) if 0 < len(kept) <= _MOST_JOINT else None
    for name, derivative in _jacobian(space, jnp.asarray(free)).items():
        shape = derivative.shape[:-1]
        jacobian = np.asarray(derivative).reshape(prod(shape), space.size)[:, kept]
        # Blocks are small next to the whole: only the columns that move this one enter.
        columns = np.flatnonzero(jacobian.any(axis=0))
        jacobian, own = jacobian[:, columns], covariance[np.ix_(columns, columns)]
        variance = np.einsum("ip,pq,iq->i", jacobian, own, jacobian, optimize=True)
        errors[name] = np.sqrt(np.maximum(variance, 0.0)).reshape(shape)
        if len(columns) and len(variance) <= LARGEST_COVARIANCE:
            covariances[name] = jacobian @ own @ jacobian.T
        if root is not None:
            factors[name] = (jacobian @ root[columns]).reshape(*shape, root.shape[1])
    return Uncertainty(errors, covariances, factors)


def _root(covariance: Array) -> Array:
    """R with R Rᵀ = covariance; of a sandwich from few clusters, which is singular, too."""
    try:
        return np.asarray(np.linalg.cholesky(covariance), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return vectors * np.sqrt(np.maximum(values, 0.0))


def uncertainty(
    space: ParameterSpace,
    found: Maximum[Information],
    parameters: Mapping[str, Array],
    active: NDArray[np.bool_] | None = None,
) -> Uncertainty:
    """Uncertainty at a mode over the active parameters; NaN where the mode was not reached."""
    if not found.converged:
        return Uncertainty({name: np.full(value.shape, np.nan) for name, value in parameters.items()})
    kept = np.arange(space.size) if active is None else np.flatnonzero(active)
    return constrained_uncertainty(space, found.point, found.curvature.covariance(), kept)


@jax.jit
def _jacobian(space: ParameterSpace, free: jax.Array) -> dict[str, jax.Array]:
    return jax.jacfwd(space.constrain)(free)


@jax.jit
def constrain(space: ParameterSpace, free: jax.Array) -> dict[str, jax.Array]:
    """`ParameterSpace.constrain`, compiled once per layout."""
    return space.constrain(free)


def level_counts(model: AbstractMeasurementModel, table: Table) -> dict[str, Array]:
    """Weighted number of responses behind every value of every facet parameter."""
    counts: dict[str, Array] = {}
    for spec in model.parameters:
        if not spec.axes or "step" in spec.axes or spec.axes[0] not in table.levels:
            continue
        if DIMENSION in spec.axes:
            # All responses of a subject bear on each of its abilities, all those to an item on each of its slopes.
            owner, levels = spec.axes[0], model.levels(table)
            total = np.bincount(table.codes[owner], weights=table.weight, minlength=len(levels[owner]))
            counts[spec.name] = np.repeat(total[:, None], len(levels[DIMENSION]), axis=1).astype(np.float64)
            continue
        if isinstance(table, RankingTable) and "item" not in spec.axes:
            rankings, n_levels = table.rankings, len(table.levels[spec.axes[0]])
            counts[spec.name] = np.bincount(rankings.codes[spec.axes[0]], rankings.weight, n_levels).astype(np.float64)
            continue
        columns = _columns(model, spec.axes)
        sizes = tuple(len(table.levels[axis]) for axis in spec.axes)
        total = np.zeros(int(np.prod(sizes)))
        for group in columns:
            flat = np.ravel_multi_index(tuple(table.codes[column] for column in group), sizes)
            total += np.bincount(flat, weights=table.weight, minlength=len(total))
        counts[spec.name] = total.reshape(sizes)
    return counts


def _columns(model: AbstractMeasurementModel, axes: tuple[str, ...]) -> list[tuple[str, ...]]:
    if model.table_kind == "pairs" and axes == ("item",):
        return [("left",), ("right",)]
    return [axes]


def build_fit(
    model: AbstractMeasurementModel,
    table: Table,
    engine: Any,
    *,
    status: FitStatus,
    log_likelihood: float | None,
    n_parameters: int,
    parameters: Mapping[str, Any],
    uncertainty: Uncertainty,
    penalised: bool,
    draws: Mapping[str, Array] | None = None,
    extremes: Mapping[str, tuple[str, ...]] | None = None,
    notes: tuple[str, ...] = (),
    seed: int | None = None,
) -> Fit:
    """Label what an engine found."""
    arrays = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
    edges = boundary_notes(model, table, arrays, uncertainty.standard_errors, penalised=penalised)
    facets = {"subject" if spec.name == ABILITY else spec.axes[0] for spec in model.parameters if spec.axes}
    facets |= {axis for spec in model.parameters for axis in spec.axes} | set(model.population.columns)
    levels = {facet: tuple(labels) for facet, labels in model.levels(table).items() if facet in facets}
    # The terms that covariates make go by the name of the parameter that holds their weights.
    owners = {COVARIATE_WEIGHT: ("subject", model.population.covariates)}
    owners |= {weight_name(spec.name): (spec.axes[0], spec.covariates) for spec in model.parameters if spec.covariates}
    levels |= {name: level_terms(table, *owner)[0] for name, owner in owners.items() if owner[1]}
    return Fit(
        model=model,
        engine=type(engine).__name__,
        status=status,
        log_likelihood=log_likelihood,
        n_parameters=n_parameters,
        n_responses=float((table.rankings if isinstance(table, RankingTable) else table).weight.sum()),
        parameters=arrays,
        standard_errors=uncertainty.standard_errors,
        covariances=uncertainty.covariances,
        factors=uncertainty.factors,
        draws=draws,
        levels=levels,
        categories=tuple(table.categories),
        counts=level_counts(model, table),
        extremes=extremes or {},
        penalised=penalised,
        notes=(*table.notes, *single_level_notes(model, table), *notes, *edges, *_unfinished(status)),
        provenance=Provenance(str(table.hash), {"model": repr(model), "engine": asdict(engine)}, seed),
    )


def single_level_notes(model: AbstractMeasurementModel, table: Table) -> tuple[str, ...]:
    """What cannot be estimated because a facet has one level."""
    return tuple(
        f"facet {spec.name!r} has one level ({table.levels[spec.axes[0]][0]}): its location is not identified apart "
        "from the subjects' and is fixed at zero"
        for spec in model.parameters
        if len(spec.axes) == 1
        and spec.axes[0] in table.levels
        and len(table.levels[spec.axes[0]]) == 1
        and spec.name != ABILITY
        and not spec.anchors
    )


def _unfinished(status: FitStatus) -> tuple[str, ...]:
    return () if status.converged else ("not converged: standard errors of an unfinished fit mean nothing",)
