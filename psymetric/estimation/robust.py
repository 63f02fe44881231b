"""Sandwich standard errors: what the estimates' spread is when responses depend on one another beyond the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.precision import double_precision
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import ConvergenceError, DataError, DesignError
from psymetric.estimation.assemble import constrained_uncertainty
from psymetric.estimation.casewise import (
    choice_scores,
    joint_scores,
    marginal_scores,
    structural_space,
    subject_scores,
)
from psymetric.estimation.curvature import information
from psymetric.estimation.extremes import Rows, find_extremes
from psymetric.estimation.fit import Fit
from psymetric.estimation.marginal import resolved_problem
from psymetric.estimation.problems import joint_problem
from psymetric.estimation.resampling import has_items_inside
from psymetric.estimation.sandwich import TakenApart, check_definite, gradient_covariance
from psymetric.models.base import ABILITY, Table
from psymetric.models.choice import AbstractChoiceModel
from psymetric.models.nested import require_independence
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD, has_ability, require_one_dimension

__all__ = ["robust_errors"]

Matrix = NDArray[np.float64]

_FEW = 40
"""Clusters below which sandwich errors come out too small by more than a few per cent (Cameron & Miller, 2015)."""


def robust_errors(fit: Fit, table: ResponseTable | PairTable | RankingTable, *, cluster: str | None = None) -> Fit:
    r"""Huber-White or cluster-robust standard errors of a fit: the same estimates with another covariance.

    $$V = H^{-1} \Big(\tfrac{C}{C-1} \sum_c g_c g_c^\top\Big) H^{-1}$$

    with H the observed information (of the posterior under MAP) and g the gradients of the log-likelihood, summed over
    each of C clusters. Right where the model holds for single responses but those of one cluster move together, and
    for the parameters that come closest to the truth where it does not hold at all; estimates are not mended.

    * **Subjects integrated out** (MarginalML, MAP): the independent unit is the subject, whose gradient is the
      posterior mean of its complete-data gradient. A cluster that holds whole subjects sums them. A cluster that
      crosses subjects (a template, a day) does not split the likelihood into independent factors, and its sums alone
      would leave out that responses share a subject; errors are then two-way, by subject plus by cluster less by both
      (Cameron, Gelbach & Miller, 2011, eq. 2.3), from each response's posterior-mean gradient. Its noise grows
      with the responses per subject, so that this takes many clusters and short tests: a difference that is no
      covariance is refused. So is a cluster that is a facet of the model: at the maximum the gradients of a level with
      a location of its own sum to zero, so that such clusters say nothing about locations. With several populations
      (`Population(groups=, covariates=)`) gradients are those of whole subjects, and clusters must hold them whole.
    * **JointML of responses**: gradients have the subjects' own parameters profiled out; a subject's own error stays
      model-based, with the robust uncertainty of everything else carried. The bias of short tests is not removed.
    * **Pairs and rankings** (JointML, MAP): the unit is one comparison or ranking, or the cluster.

    Parameters that belong to the levels of the cluster facet itself have NaN: a cluster of its own says nothing.

    Args:
        fit: From MarginalML, JointML or MAP, converged, without random facets.
        table: The table it was fitted to.
        cluster: "subject", "judge" or any other column of the table; by default the subject, the comparison or the
            ranking. A row
            of weight w counts as w rows, all of one cluster; without clusters as w comparisons.

    Returns:
        The fit with new `standard_errors`, `covariances` and `factors`, a note, and the setting in `provenance`.
        Missing responses are left out of the likelihood, as in the fit.

    Raises:
        DataError: Another table, a fit of draws, an unknown cluster, fewer than two clusters, or too few for two ways.
        DesignError: Random facets, or a cluster that crosses subjects and is a facet of the model, or crosses those of
            several populations.
        ConvergenceError: The fit did not converge.

    Source: Huber (1967), Proc. 5th Berkeley Symposium 1, 221-233; White (1982), Econometrica 50, 1-25; Liang & Zeger
    (1986), Biometrika 73, 13-22; Cameron, Gelbach & Miller (2011), J. Bus. Econ. Stat. 29, 238-249; Yuan, Cheng &
    Patton (2014), Psychometrika 79, 232-254 (item response models).
    """
    # The halves of a tie that counts as half a win for each side are one comparison.
    cluster = "comparison" if cluster is None and "comparison" in table.codes else cluster
    _check(fit, table, cluster)
    with double_precision():
        mode = _joint(fit, table) if ABILITY in fit.parameters or not has_ability(fit.model) else _marginal(fit, table)
        bread = mode.curvature.covariance()
        meat, sizes, is_two_way = gradient_covariance(fit, mode, cluster)
        covariance = bread @ meat @ bread
        if is_two_way:
            check_definite(covariance, sizes)
        found = constrained_uncertainty(mode.space, mode.free, covariance, mode.active)
        errors, covariances, factors = found.standard_errors, found.covariances, found.factors
        if mode.ability is not None:
            errors[ABILITY] = np.sqrt(mode.curvature.incidental_variance(covariance))
    for name in _own(fit, cluster, errors):
        errors[name] = np.full_like(errors[name], np.nan)
        covariances.pop(name, None)
        factors.pop(name, None)
    if mode.ability is None and (known := fit.standard_errors.get(POPULATION_SD)) is not None:
        errors[POPULATION_SD] = np.where(np.isnan(known), np.nan, errors[POPULATION_SD])
    provenance = replace(fit.provenance, settings=fit.provenance.settings | {"robust_errors": {"cluster": cluster}})
    return replace(
        fit,
        standard_errors=_expanded(fit, mode.table, errors),
        covariances={name: value for name, value in covariances.items() if name in fit.covariances},
        factors=_whole_factors(fit, mode.table, factors),
        notes=(*fit.notes, *_notes(sizes, len(mode.active))),
        provenance=provenance,
    )


def _check(fit: Fit, table: ResponseTable | PairTable | RankingTable, cluster: str | None) -> None:
    if fit.draws is not None:
        raise DataError(
            f"robust_errors needs a maximum and {fit.engine} gives draws: fit with MarginalML() or JointML()"
        )
    if fit.table_hash != str(table.hash):
        raise DataError("robust_errors(fit, table): the fit is of another table; pass the one it was fitted to")
    if not fit.status.converged:
        raise ConvergenceError(f"robust_errors: {fit.engine} did not converge: {fit.status.message}", fit)
    if fit.provenance.settings.get("engine", {}).get("correction", "none") != "none":
        raise DesignError("robust_errors: bias-corrected estimates are no maximum: fit with JointML() or MarginalML()")
    if random := [spec.name for spec in fit.model.parameters if spec.random and spec.name != ABILITY]:
        raise DesignError(
            f"robust_errors: random facet {random[0]!r} ties all subjects together, so that no cluster is independent "
            "of the others: declare it fixed, or use bootstrap()"
        )
    require_one_dimension(fit.model, "robust_errors")
    require_independence(fit.model, "robust_errors", instead="bootstrap()")
    known = [name for name in table.codes if name in table.levels and not (name == "item" and has_items_inside(table))]
    if cluster is not None and cluster not in known:
        raise DataError(f"robust_errors(cluster={cluster!r}) is not a column of the table: it has {known}")


def _marginal(fit: Fit, table: Table) -> TakenApart:
    problem, free = resolved_problem(fit.model, table, fit.parameters, prior=fit.penalised)
    active = np.ones(len(free), bool)
    # An sd held at its lower bound has no standard error and was not estimated; one that is known has an error of zero.
    errors = np.ravel(fit.standard_errors[POPULATION_SD])
    active[problem.space.slices()[POPULATION_SD]] = np.isfinite(errors[errors != 0])
    curvature = information(problem, free, None if active.all() else active)
    places = np.flatnonzero(active)
    if problem.background is not None:
        subjects = subject_scores(problem, free)[:, places]
        return TakenApart(table, problem.space, free, places, curvature, csr_array((0, 0)), None, subjects)
    return TakenApart(table, problem.space, free, places, curvature, marginal_scores(problem, table, free), None)


def _joint(fit: Fit, table: Table) -> TakenApart:
    kept, parameters = table, dict(fit.parameters)
    if isinstance(table, RankingTable) and isinstance(fit.model, AbstractChoiceModel):
        return _of_rankings(fit, fit.model, table)
    if any(map(any, fit.extremes.values())):
        rows, _ = find_extremes(fit.model, table, ("subject", *fit.model.facets))
        kept = Rows.of(table, rows)
        for spec in fit.model.parameters:
            parameters[spec.name] = parameters[spec.name][_places(fit, kept, spec.axes)]
    problem = joint_problem(fit.model, kept, prior=fit.penalised)
    free = problem.space.unconstrain(parameters)
    curvature = information(problem, free)
    scores, ability = joint_scores(problem, kept, free)
    space, n_own = structural_space(problem.space), len(curvature.diagonal)
    active = np.arange(space.size)
    return TakenApart(kept, space, free[n_own:], active, curvature, scores, ability if n_own else None)


def _of_rankings(fit: Fit, model: AbstractChoiceModel, table: RankingTable) -> TakenApart:
    problem = joint_problem(model, table, prior=fit.penalised)
    free, found = problem.space.unconstrain(fit.parameters), table.rankings
    rows = Rows(
        found.codes, table.levels, found.category[:, 0], found.weight, table.categories, table.notes, table.hash
    )
    scores = choice_scores(problem, model.choices(table), free)
    active = np.arange(problem.space.size)
    return TakenApart(rows, problem.space, free, active, information(problem, free), scores, None)


def _places(fit: Fit, kept: Table, axes: tuple[str, ...]) -> tuple[Any, ...]:
    """Index of the kept levels in an array over all of them."""
    facets = [axis for axis in axes if axis != "step"]
    if not facets:
        return (...,)
    place = {axis: {label: code for code, label in enumerate(fit.levels[axis])} for axis in facets}
    return np.ix_(*([place[axis][label] for label in kept.levels[axis]] for axis in facets))


def _expanded(fit: Fit, kept: Table, errors: dict[str, Matrix]) -> dict[str, Matrix]:
    """Errors over all levels; those of extreme elements, which inform nothing else, stay as they are."""
    axes = {spec.name: spec.axes for spec in fit.model.parameters}
    whole = {name: np.array(value, np.float64) for name, value in fit.standard_errors.items()}
    for name, value in errors.items():
        if whole[name].shape == value.shape:
            whole[name] = value
        else:
            whole[name][_places(fit, kept, axes[name])] = value
    return whole


def _whole_factors(fit: Fit, kept: Table, factors: dict[str, Matrix]) -> dict[str, Matrix]:
    """Factors over all levels; none for extreme elements, whose estimates have no joint uncertainty."""
    axes = {spec.name: spec.axes for spec in fit.model.parameters}
    whole: dict[str, Matrix] = {}
    for name, value in factors.items():
        shape = np.shape(fit.parameters[name])
        whole[name] = np.full((*shape, value.shape[-1]), np.nan)
        whole[name][_places(fit, kept, axes[name]) if value.shape[:-1] != shape else ...] = value
    return whole


def _own(fit: Fit, cluster: str | None, errors: dict[str, Matrix]) -> list[str]:
    """Parameters that belong to the clusters themselves; a subject's ability has a model-based error instead."""
    if cluster is None:
        return []
    own = [
        spec.name
        for spec in fit.model.parameters
        if cluster in spec.axes and spec.name in errors and spec.name != ABILITY and not spec.anchors
    ]
    return own + [POPULATION_MEAN, POPULATION_SD] * (cluster == fit.model.population.groups)


def _notes(sizes: dict[str, int], n_parameters: int) -> list[str]:
    way = " and ".join(f"{size:,} clusters of {name!r}" for name, size in sizes.items())
    notes = [f"standard errors are robust (sandwich), from {way}"]
    least = min(sizes.values())
    if least < _FEW:
        notes.append(f"{least} clusters are few: robust standard errors are then too small more often than too large")
    if least <= n_parameters:
        notes.append(
            f"{least} clusters do not determine the covariance of {n_parameters} parameters: use it one by one"
        )
    return notes
