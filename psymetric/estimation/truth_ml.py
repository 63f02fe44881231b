"""Latent-truth models by maximum likelihood, and confusion matrices by their mode, truths summed out."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psymetric.core.parameters import constrain
from psymetric.core.precision import double_precision
from psymetric.errors import IdentificationError
from psymetric.estimation.assemble import Uncertainty, build_fit, propagated, uncertainty
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature
from psymetric.estimation.truth_checks import MEND, check_identified
from psymetric.estimation.truth_em import TINY
from psymetric.estimation.truth_newton import log_moves
from psymetric.estimation.truth_search import MOST_FREE, THERE, ConfusionMode, confusion_mode, truth_mode
from psymetric.models.base import Table
from psymetric.models.dawid_skene import DawidSkene
from psymetric.models.truth import TRUTH, AbstractTruthModel

__all__ = ["fit_truth"]

Array = NDArray[np.float64]

_SHARE, _SHOWN = 0.3, 6
"""Probabilities that move less than this share of the largest move, or come after so many, go unnamed."""


class Climber(Protocol):
    """Settings of the engines that look for a mode."""

    @property
    def tolerance(self) -> float: ...
    @property
    def max_iterations(self) -> int: ...
    @property
    def starts(self) -> int: ...
    @property
    def seed(self) -> int: ...


def fit_truth(model: AbstractTruthModel, table: Table, engine: Climber, *, prior: bool) -> Fit:
    """Fit a latent-truth model by the mode of its likelihood, or with its priors.

    Standard errors are from the exact observed information; probabilities at 0 have none and are held there, those of
    rows that no subject bears on have none either, and beyond 2,000 free parameters none is computed. Notes say so.

    Raises:
        IdentificationError: The likelihood has no maximum, or is flat in some direction, named.
    """
    if not prior:
        check_identified(model, table)
    if isinstance(model, DawidSkene):
        found = confusion_mode(
            model,
            table,
            prior=prior,
            tolerance=engine.tolerance,
            max_iterations=engine.max_iterations,
            starts=engine.starts,
            seed=engine.seed,
        )
        return _label(model, table, engine, found, prior=prior)
    with double_precision():
        return _climbed(model, table, engine)


def _climbed(model: AbstractTruthModel, table: Table, engine: Climber) -> Fit:
    climbed = truth_mode(
        model,
        table,
        prior=False,
        tolerance=engine.tolerance,
        max_iterations=engine.max_iterations,
        starts=engine.starts,
        seed=engine.seed,
    )
    space, maximum = climbed.best.problem.space, climbed.best.maximum
    check_curvature(model, maximum, space, np.ones(space.size, bool), table)
    parameters = {name: np.asarray(value) for name, value in constrain(space, maximum.point).items()}
    return build_fit(
        model,
        table,
        engine,
        status=FitStatus.of_maximum(maximum, details=climbed.details),
        log_likelihood=maximum.value,
        n_parameters=space.size,
        parameters=parameters,
        uncertainty=uncertainty(space, maximum, parameters),
        penalised=False,
        notes=climbed.notes,
    )


def _label(model: DawidSkene, table: Table, engine: Any, found: ConfusionMode, *, prior: bool) -> Fit:
    rows = np.where(found.here.rows <= 2 * TINY, 0.0, found.here.rows)
    parameters = _arrays(model, table, rows / rows.sum(axis=1, keepdims=True))
    known, notes = _uncertainty(model, table, found, parameters)
    return build_fit(
        model,
        table,
        engine,
        status=_status(found, prior=prior),
        log_likelihood=found.log_likelihood,
        n_parameters=rows.size - len(rows),
        parameters=parameters,
        uncertainty=known,
        penalised=prior,
        notes=(*_start_notes(found), *notes),
    )


def _arrays(model: DawidSkene, table: Table, rows: Array) -> dict[str, Array]:
    """The rows of all parameters, shape (rows, K, ...), as the arrays of the model."""
    levels, first, arrays = model.levels(table), 0, dict[str, Array]()
    for spec in model.parameters:
        shape = tuple(len(levels[axis]) for axis in spec.axes)
        own = rows[first : first + prod(shape[:-1])]
        arrays[spec.name] = own.reshape(*shape, *rows.shape[2:])
        first += len(own)
    return arrays


def _status(found: ConfusionMode, *, prior: bool) -> FitStatus:
    which = "the posterior mode" if prior else "the maximum"
    details = found.details | {"em_steps": float(found.steps), "em_moved": found.moved}
    if found.maximum is not None:
        return FitStatus.of_maximum(found.maximum, f" to {which}, after {found.steps} steps of EM", details)
    message = f"the last of {found.steps} steps of EM to {which} moved no probability by more than {found.moved:.1e}"
    return FitStatus(found.moved <= THERE, message, found.steps, details)


def _start_notes(found: ConfusionMode) -> tuple[str, ...]:
    starts, reached = found.details.get("starts", 1.0), found.details.get("starts_at_best", 1.0)
    if reached >= starts:
        return ()
    return (
        f"the surface has several maxima: {reached:.0f} of {starts:.0f} starts reached the best, the lowest ended "
        f"{found.details['spread_of_maxima']:.2f} below it in log density; more starts might find a better one still",
    )


def _uncertainty(
    model: DawidSkene, table: Table, found: ConfusionMode, parameters: dict[str, Array]
) -> tuple[Uncertainty, tuple[str, ...]]:
    """Uncertainty at the mode, and what has none."""
    maximum, rows = found.maximum, found.here.rows
    if maximum is None or not maximum.converged:
        nothing = Uncertainty({name: np.full(value.shape, np.nan) for name, value in parameters.items()})
        left_out = (
            f"{found.free.size:,} free parameters: standard errors, which need the information of all of "
            f"them together, are computed for up to {MOST_FREE:,} and left out here",
        )
        return nothing, left_out if maximum is None else ()
    flat = maximum.curvature.null_directions()
    if flat.size or not maximum.curvature.is_definite:
        raise IdentificationError(_undetermined(model, table, found, flat))
    derivatives = rows.ravel()[:, None] * log_moves(rows, found.free).toarray()
    moved = _arrays(model, table, derivatives.reshape(*rows.shape, -1))
    known = propagated(moved, maximum.curvature.covariance())
    for name, inside in _arrays(model, table, found.free.inside.astype(np.float64)).items():
        known.standard_errors[name][inside == 0] = np.nan
    return known, tuple(_edge_notes(model, table, found))


def _edge_notes(model: DawidSkene, table: Table, found: ConfusionMode) -> Iterator[str]:
    free, rows = found.free, found.here.rows
    at_zero = free.determined[:, None] & (rows <= 2 * TINY)
    if at_zero.any():
        yield (
            f"{int(at_zero.sum())} of {rows.size} probabilities are at 0, the edge of what they can be: they have no "
            "standard error, nor has a 1 they leave in their row, and those of all others take them as known; MAP() "
            "and NUTS() know no edge"
        )
    if (lost := np.flatnonzero(~free.determined)).size:
        named = ", ".join(_row_name(model, table, row) for row in lost[:_SHOWN].tolist())
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        yield (
            f"nothing determines {len(lost)} of {len(rows)} rows of probabilities, to which no label belongs: {named}"
            f"{more}. Their values mean nothing and have no standard error; MAP() and NUTS() take them from the prior"
        )


def _undetermined(model: DawidSkene, table: Table, found: ConfusionMode, flat: Array) -> str:
    """What the flat directions of the free vector move most, in words."""
    if not flat.size:
        return "EM and Newton's method ended on a saddle of the likelihood: use more starts, or MAP()"
    rows, categories = found.here.rows, table.categories
    moves = np.abs(rows.ravel()[:, None] * (log_moves(rows, found.free) @ flat)).max(axis=1)
    most = np.argsort(-moves, kind="stable")[:_SHOWN]
    named = [
        f"{_row_name(model, table, place // len(categories))} as {categories[place % len(categories)]!r}"
        for place in most[moves[most] > _SHARE * moves.max()].tolist()
    ]
    return (
        f"the labels do not determine {flat.shape[1]} direction(s) of the parameters, which move {', '.join(named)} "
        f"and leave the likelihood as it is. {MEND}"
    )


def _row_name(model: DawidSkene, table: Table, row: int) -> str:
    levels = model.levels(table)
    groups = ("",) if model.groups is None else levels[model.groups]
    if row < len(groups):
        return "the prevalence" if model.groups is None else f"the prevalence of {model.groups} {groups[row]!r}"
    judge, truth = divmod(row - len(groups), len(levels[TRUTH]))
    return f"{model.over} {levels[model.over][judge]!r} on true {levels[TRUTH][truth]!r}"
