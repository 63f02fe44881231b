"""From a free vector and its covariance to a labelled `Fit`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace, jacobian
from psymetric.core.provenance import Provenance
from psymetric.data.coding import code_names
from psymetric.data.rankings import RankingTable
from psymetric.estimation.boundaries import boundary_notes
from psymetric.estimation.curvature import Information
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.truth_checks import truth_notes
from psymetric.models.base import ABILITY, DIMENSION, AbstractMeasurementModel, Table
from psymetric.models.judge_mixture import CLASS
from psymetric.models.space import term_names
from psymetric.models.truth import PREVALENCE, AbstractTruthModel

__all__ = [
    "LARGEST_COVARIANCE",
    "Uncertainty",
    "build_fit",
    "constrained_uncertainty",
    "level_counts",
    "propagated",
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
    return propagated({name: np.asarray(d)[..., kept] for name, d in jacobian(space, free).items()}, covariance)


def propagated(derivatives: Mapping[str, Array], covariance: Array) -> Uncertainty:
    """Uncertainty of arrays by the delta method.

    Args:
        derivatives: Of each array in the free parameters, its shape and one more axis for them.
        covariance: Of the free parameters.
    """
    errors: dict[str, Array] = {}
    covariances: dict[str, Array] = {}
    factors: dict[str, Array] = {}
    root = _root(covariance) if 0 < len(covariance) <= _MOST_JOINT else None
    for name, derivative in derivatives.items():
        shape = derivative.shape[:-1]
        moves = derivative.reshape(prod(shape), len(covariance))
        # Blocks are small next to the whole: only the columns that move this one enter.
        columns = np.flatnonzero(moves.any(axis=0))
        moves, own = moves[:, columns], covariance[np.ix_(columns, columns)]
        if len(columns) and len(moves) <= LARGEST_COVARIANCE:
            covariances[name] = moves @ own @ moves.T
            variance = np.diag(covariances[name])
        else:
            variance = np.einsum("ip,pq,iq->i", moves, own, moves, optimize=True)
        errors[name] = np.sqrt(np.maximum(variance, 0.0)).reshape(shape)
        if root is not None:
            factors[name] = (moves @ root[columns]).reshape(*shape, root.shape[1])
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


def level_counts(model: AbstractMeasurementModel, table: Table) -> dict[str, Array]:
    """Weighted number of responses behind every value of every facet parameter."""
    if isinstance(model, AbstractTruthModel):
        return _label_counts(model, table)
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
        axes = tuple(axis for axis in spec.axes if axis != CLASS)
        sizes = tuple(len(table.levels[axis]) for axis in axes)
        total = np.zeros(int(np.prod(sizes)))
        for group in _columns(table, axes):
            own = tuple(table.codes[column] for column in group)
            flat = own[0] if len(own) == 1 else np.ravel_multi_index(own, sizes)
            total += np.bincount(flat, weights=table.weight, minlength=len(total))
        counts[spec.name] = total.reshape(sizes)
        if CLASS in spec.axes:
            # All comparisons of an item bear on its worth in every class their judge may belong to.
            counts[spec.name] = np.repeat(counts[spec.name][..., None], len(model.levels(table)[CLASS]), axis=-1)
    return counts


def _label_counts(model: AbstractTruthModel, table: Table) -> dict[str, Array]:
    """Labels behind every value by its first axis, the judge or the subject; subjects behind a prevalence."""
    labels, levels = model.labels(table), model.levels(table)
    counts: dict[str, Array] = {}
    for spec in model.parameters:
        shape = tuple(len(levels[axis]) for axis in spec.axes)
        owner = spec.axes[0] if spec.axes else ""
        if owner in labels.codes:
            total = np.bincount(labels.codes[owner], labels.weight, shape[0])
        elif owner in labels.subjects:
            total = np.bincount(labels.subjects[owner], minlength=shape[0])
        else:
            total = np.full(shape[:1], len(labels.known) if spec.name == PREVALENCE else labels.weight.sum())
        counts[spec.name] = np.broadcast_to(total.reshape(-1, *[1] * (len(shape) - 1)), shape).astype(np.float64)
    return counts


def _columns(table: Table, axes: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The codes behind the axes of a parameter: once for each side where these belong to the items of a pair."""
    names = [code_names(table.codes, axis) for axis in axes]
    for side in range(max(len(each) for each in names)):
        yield tuple(each[side if len(each) > 1 else 0] for each in names)


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
    # A facet may have no parameter of its own, as that within which ratings of a subject hang together.
    facets |= set(model.facets)
    levels = {facet: tuple(labels) for facet, labels in model.levels(table).items() if facet in facets}
    levels |= term_names(model, table)
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
        notes=(*table.notes, *_model_notes(model, table, arrays, penalised), *notes, *edges, *_unfinished(status)),
        provenance=Provenance(str(table.hash), {"model": repr(model), "engine": asdict(engine)}, seed),
    )


def _model_notes(
    model: AbstractMeasurementModel, table: Table, parameters: Mapping[str, Array], penalised: bool
) -> tuple[str, ...]:
    if isinstance(model, AbstractTruthModel):
        return tuple(truth_notes(model, table, parameters, penalised=penalised))
    return single_level_notes(model, table)


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
