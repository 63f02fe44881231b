"""Joint maximum likelihood: every parameter, subjects included, at its maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError
from psymetric.estimation.assemble import build_fit, constrain, constrained_uncertainty
from psymetric.estimation.curvature import Information
from psymetric.estimation.extremes import Rows, adjusted_estimates, find_extremes
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature, check_extremes, require_one_population
from psymetric.estimation.marginal import climb
from psymetric.estimation.problems import joint_problem
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import has_ability

__all__ = ["JointML"]

Vector = NDArray[np.float64]


@final
@dataclass(frozen=True)
class JointML:
    """Joint maximum likelihood, as FACETS and Winsteps fit; plain maximum likelihood for models without subjects.

    Newton steps on all parameters at once, the subjects' diagonal block eliminated. Elements with an extreme score
    are set aside and get an estimate from an adjusted score afterwards, flagged in the results. Estimates of short
    tests are biased outwards (by about L/(L−1) for L responses per subject); `MarginalML` is not.

    Args:
        tolerance: Convergence: largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations.
        adjustment: Score points by which an extreme score is moved inwards.

    Source: Wright & Masters (1982), Rating Scale Analysis, ch. 4; Linacre (1989); extreme scores: Wright (1998), Rasch
    Measurement Transactions 12:2, 632.
    """

    tolerance: float = 1e-6
    max_iterations: int = 2_000
    adjustment: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.adjustment < 0.5:
            raise DataError(f"JointML(adjustment={self.adjustment}) must lie between 0 and 0.5 score points")

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        if random := [spec.name for spec in model.parameters if spec.random and spec.name != ABILITY]:
            raise DesignError(
                f"JointML cannot estimate the sd of random facet {random[0]!r}: use MarginalML() or NUTS()"
            )
        require_one_population(model, "JointML")
        if model.scale == "subjects":
            raise DesignError(
                f"JointML has no population of subjects to fix the scale of {type(model).__name__} with: use "
                "MarginalML(), MAP(), Laplace() or NUTS()"
            )
        with double_precision():
            if not has_ability(model):
                return self._fit(model, table, table, {})
            keep, sides = find_extremes(model, table, ("subject", *model.facets))
            if not keep.any():
                raise DataError(
                    "JointML: every response belongs to a subject or level with an extreme score (all lowest or all "
                    "highest), so that there is nothing to compare; use MarginalML() or MAP(), or a finer rating scale"
                )
            kept = table if keep.all() else Rows.of(table, keep)
            check_extremes(model, kept)
            return self._fit(model, table, kept, sides)

    def _fit(
        self, model: AbstractMeasurementModel, table: Table, kept: Table, sides: dict[str, tuple[str, ...]]
    ) -> Fit:
        problem = joint_problem(model, kept, prior=False)
        start = problem.space.start()
        active = np.ones(len(start), bool)
        found = climb(problem, start, tolerance=self.tolerance, max_iterations=self.max_iterations)
        check_curvature(found, problem.space, active, kept.levels)
        params, errors, covariances = _estimates(problem.space, found)
        notes: tuple[str, ...] = ()
        if len(kept.response) < len(table.response):
            params, errors = _expand(model, table, kept, params, errors, sides, self.adjustment)
            covariances = {name: value for name, value in covariances.items() if name not in sides}
            notes = _extreme_notes(sides)
        message = f"last Newton step {found.last_step:.1e} logits"
        return build_fit(
            model,
            table,
            self,
            status=FitStatus(found.converged, message, found.iterations, {"last_step": found.last_step}),
            log_likelihood=found.value,
            n_parameters=problem.space.size,
            parameters=params,
            standard_errors=errors,
            covariances=covariances,
            penalised=False,
            extremes=sides,
            notes=notes,
        )


def _estimates(
    space: ParameterSpace, found: Maximum[Information]
) -> tuple[dict[str, Vector], dict[str, Vector], dict[str, Vector]]:
    params = {name: np.asarray(value) for name, value in constrain(space, jnp.asarray(found.point)).items()}
    if not found.converged:
        return params, {name: np.full(value.shape, np.nan) for name, value in params.items()}, {}
    covariance = found.curvature.covariance()
    n_incidental = len(found.curvature.diagonal)
    structural = ParameterSpace(tuple(block for block in space.blocks if block.name != ABILITY))
    errors, covariances = constrained_uncertainty(
        structural, found.point[n_incidental:], covariance, np.arange(structural.size)
    )
    if n_incidental:
        errors[ABILITY] = np.sqrt(found.curvature.incidental_variance(covariance))
    return params, errors, covariances


def _expand(
    model: AbstractMeasurementModel,
    table: Table,
    kept: Table,
    params: dict[str, Vector],
    errors: dict[str, Vector],
    sides: dict[str, tuple[str, ...]],
    adjustment: float,
) -> tuple[dict[str, Vector], dict[str, Vector]]:
    """Spread estimates over the whole table's levels and add those of the extreme elements."""
    params, errors = dict(params), dict(errors)
    for spec in model.parameters:
        if not spec.axes:
            continue
        index = np.ix_(*(_positions(table, kept, axis) for axis in spec.axes if axis != "step"))
        sizes = tuple(len(table.levels[axis]) for axis in spec.axes if axis != "step")
        if not sizes:
            continue
        shape = sizes + params[spec.name].shape[len(sizes) :]
        for arrays, fill in ((params, 0.0 if "step" in spec.axes or ":" in spec.name else np.nan), (errors, np.nan)):
            whole = np.full(shape, fill)
            whole[index] = arrays[spec.name]
            arrays[spec.name] = whole
    # Facets before subjects: an extreme judge's estimate may then serve an extreme subject it rated.
    for facet in sorted(sides, key=lambda name: name == "subject"):
        if any(sides[facet]):
            name = ABILITY if facet == "subject" else facet
            rows = _usable_rows(model, table, params, facet)
            value, se = adjusted_estimates(model, table, params, facet, sides[facet], rows, adjustment=adjustment)
            extreme = np.array(sides[facet]) != ""
            seen = np.bincount(table.codes[facet][rows], minlength=len(extreme)) > 0
            params[name] = np.where(extreme & seen, value, params[name])
            errors[name] = np.where(extreme & seen, se, errors[name])
    return params, errors


def _positions(table: Table, kept: Table, axis: str) -> NDArray[np.int64]:
    place = {label: code for code, label in enumerate(table.levels[axis])}
    return np.array([place[label] for label in kept.levels[axis]], np.int64)


def _usable_rows(
    model: AbstractMeasurementModel, table: Table, params: dict[str, Vector], facet: str
) -> NDArray[np.bool_]:
    """Rows whose elements other than `facet` all have estimates."""
    usable = table.weight > 0
    for other in ("subject", *model.facets):
        if other != facet:
            value = params[ABILITY if other == "subject" else other]
            usable = usable & np.isfinite(value[table.codes[other]])
    return usable


def _extreme_notes(sides: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(
        f"{sum(map(bool, side))} of {len(side)} levels of {facet!r} have an extreme score; their estimates rest on an "
        "adjusted score and they do not inform the others"
        for facet, side in sides.items()
        if any(side)
    )
