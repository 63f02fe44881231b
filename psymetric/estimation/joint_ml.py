"""Joint maximum likelihood: every parameter, subjects included, at its maximum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, final, get_args

import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace, constrain
from psymetric.core.precision import double_precision
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError, DesignError
from psymetric.estimation.assemble import Uncertainty, build_fit, constrained_uncertainty
from psymetric.estimation.curvature import Information, information
from psymetric.estimation.extremes import Rows, adjusted_estimates, find_extremes
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature, check_extremes, require_one_population
from psymetric.estimation.marginal import Climb, climb
from psymetric.estimation.mixture_ml import fit_mixture
from psymetric.estimation.multistart import check_starts
from psymetric.estimation.problems import JointProblem, joint_problem
from psymetric.estimation.random_worths import fit_random_worths
from psymetric.estimation.sparse_joint import SparseJointSolution, joint_uncertainty, solve_joint
from psymetric.estimation.suitability import use_instead
from psymetric.estimation.win_counts import covers, solve_wins
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.nested import require_independence
from psymetric.models.space import has_ability
from psymetric.models.truth import AbstractTruthModel

__all__ = ["JointML"]

Vector = NDArray[np.float64]
_Correction = Literal["none", "wright_douglas"]

_SUBJECT_STEPS = 50


@final
@dataclass(frozen=True)
class JointML:
    """Joint maximum likelihood, as FACETS and Winsteps fit; plain maximum likelihood for models without subjects.

    Random worths, families and walks of models without subjects are integrated out by Laplace's method, their sds by
    empirical Bayes.

    Newton steps on all parameters at once, the subjects' diagonal block eliminated. Elements with an extreme score
    are set aside and get an estimate from an adjusted score afterwards, flagged in the results.

    Estimates of short tests are biased outwards, by about L/(L−1) for L responses per subject; `MarginalML` and
    `ConditionalML` are not. `correction="wright_douglas"` multiplies facets, interactions and steps by (L−1)/L and
    estimates the subjects anew at the result. L is the number of responses of a subject, items times judges in a full
    design and the mean where subjects differ: every one of them shares the one ability whose estimate bends the others.
    It is exact for two right-or-wrong items and removes about nine tenths of the bias of locations otherwise; of the
    bias of steps less, the closer they lie. Standard errors are √((L−1)/L) times those of the maximum, which are too
    small by as much for the maximum itself; plain `JointML()` reports them as other programs do.

    Args:
        tolerance: Convergence: largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations.
        adjustment: Score points by which an extreme score is moved inwards.
        correction: "none", or "wright_douglas" for fixed facets without anchors or slopes.
        starts: For `JudgeMixture`, whose surface has several maxima: EM is run from 20 points for each start.
        seed: Seed of these points.

    Source: Wright & Masters (1982), Rating Scale Analysis, ch. 4; Linacre (1989); extreme scores: Wright (1998), Rasch
    Measurement Transactions 12:2, 632; correction: Wright & Douglas (1977), Applied Psychological Measurement 1,
    281-295; two items: Andersen (1973), British J. Math. Stat. Psychology 26, 31-44.
    """

    tolerance: float = 1e-6
    max_iterations: int = 2_000
    adjustment: float = 0.3
    correction: _Correction = "none"
    starts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.adjustment < 0.5:
            raise DataError(f"JointML(adjustment={self.adjustment}) must lie between 0 and 0.5 score points")
        check_starts(self, self.starts)
        if self.correction not in get_args(_Correction):
            raise DataError(f"JointML(correction={self.correction!r}) is not known: use {list(get_args(_Correction))}")

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        random = [spec.name for spec in model.parameters if spec.random and spec.name != ABILITY]
        if random and has_ability(model):
            raise DesignError(f"JointML cannot estimate the sd of random facet {random[0]!r}: {use_instead(model)}")
        if isinstance(model, AbstractTruthModel):
            raise DesignError(
                f"JointML keeps every parameter, and {type(model).__name__} sums truths out: {use_instead(model)}"
            )
        require_one_population(model, "JointML")
        require_independence(model, "JointML", instead=use_instead(model).removeprefix("use "))
        if model.scale == "subjects":
            raise DesignError(
                f"JointML has no population of subjects to fix the scale of {type(model).__name__} with: "
                f"{use_instead(model)}"
            )
        if not has_ability(model) and model.needs_prior:
            raise DesignError(
                f"JointML maximises the likelihood alone, and {model} asks for a prior: {use_instead(model)}"
            )
        if self.correction != "none":
            _check_correctable(model)
        if self.starts > 1 and not isinstance(model, JudgeMixture):
            raise DesignError(
                f"JointML(starts={self.starts}) is for JudgeMixture(), whose likelihood has several maxima: leave it "
                f"out for {type(model).__name__}"
            )
        with double_precision():
            if isinstance(model, JudgeMixture):
                return fit_mixture(
                    model,
                    table,
                    self,
                    tolerance=self.tolerance,
                    max_iterations=self.max_iterations,
                    starts=self.starts,
                    seed=self.seed,
                )
            if not has_ability(model):
                if random:
                    return fit_random_worths(
                        model, table, self, tolerance=self.tolerance, max_iterations=self.max_iterations
                    )
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
        space, found, params, known, notes = self._climb(model, kept)
        if len(kept.response) < len(table.response):
            params, known = _expand(model, table, kept, params, known, sides, self.adjustment)
            notes += _extreme_notes(sides)
        return build_fit(
            model,
            table,
            self,
            status=FitStatus.of_maximum(found),
            log_likelihood=found.value,
            n_parameters=space.size,
            parameters=params,
            uncertainty=known,
            penalised=False,
            extremes=sides,
            notes=notes,
        )

    def _climb(
        self, model: AbstractMeasurementModel, kept: Table
    ) -> tuple[ParameterSpace, Maximum[Any], dict[str, Vector], Uncertainty, tuple[str, ...]]:
        """Layout, mode, estimates, their uncertainty, and notes."""
        if isinstance(kept, PairTable) and covers(model, kept):
            space, found = solve_wins(model, kept, tolerance=self.tolerance, max_iterations=self.max_iterations)
            check_curvature(model, found, space, np.ones(space.size, bool), kept)
            return space, found, *_estimates(space, found, 1.0), ()
        sparse = None
        if self.correction == "none":
            sparse = solve_joint(model, kept, tolerance=self.tolerance, max_iterations=self.max_iterations)
        if sparse is not None:
            check_curvature(model, sparse.maximum, sparse.space, np.ones(sparse.space.size, bool), kept)
            return sparse.space, sparse.maximum, *_sparse_estimates(sparse), ()
        problem = joint_problem(model, kept, prior=False)
        start = problem.space.start()
        found = climb(problem, start, tolerance=self.tolerance, max_iterations=self.max_iterations)
        check_curvature(model, found, problem.space, np.ones(len(start), bool), kept)
        share, notes = 1.0, tuple[str, ...]()
        if self.correction != "none" and found.converged:
            n_each = float(kept.weight.sum()) / len(kept.levels["subject"])
            share = (n_each - 1) / n_each
            found, notes = _corrected(problem, found, share, self.tolerance), (_correction_note(n_each, kept),)
        return problem.space, found, *_estimates(problem.space, found, share), notes


def _sparse_estimates(found: SparseJointSolution) -> tuple[dict[str, Vector], Uncertainty]:
    values = constrain(found.space, found.maximum.point)
    params = {name: np.asarray(value) for name, value in values.items()}
    if not found.maximum.converged:
        return params, Uncertainty({name: np.full(value.shape, np.nan) for name, value in params.items()})
    return params, joint_uncertainty(found)


def _check_correctable(model: AbstractMeasurementModel) -> None:
    name = type(model).__name__
    if not has_ability(model):
        raise DesignError(
            'JointML(correction="wright_douglas") mends what estimating subjects does to the others, and '
            f"{name} has no subjects: use JointML()"
        )
    if held := [spec.name for spec in model.parameters if spec.anchors or spec.support != "real"]:
        raise DesignError(
            f'JointML(correction="wright_douglas") shrinks all locations towards their mean, which {held[0]!r} of '
            f"{name} (anchored, or a slope) does not allow: use MarginalML()"
        )


def _corrected(
    problem: JointProblem, found: Maximum[Information], share: float, tolerance: float
) -> Maximum[Information]:
    """Everything but the subjects moved to `share` of itself, the subjects at their maximum given that."""
    own = np.arange(len(found.point)) < len(found.curvature.diagonal)
    start = np.where(own, found.point, share * found.point)
    point = Climb(problem, start, own).polish(tolerance, 0, _SUBJECT_STEPS).point
    at = information(problem, point)
    return replace(found, point=point, curvature=replace(at, schur=found.curvature.schur))


def _correction_note(n_each: float, kept: Table) -> str:
    counts = np.bincount(kept.codes["subject"], kept.weight)
    mean = "" if np.ptp(counts) < 1e-9 else f" on average ({counts.min():g} to {counts.max():g})"
    steps = "; steps keep part of their bias" if len(kept.categories) > 2 else ""
    return (
        f"corrected for bias: facets and steps are (n - 1)/n times the maximum-likelihood estimates, n = {n_each:.4g} "
        f"responses per subject{mean}, and subjects are estimated given these{steps}; the log-likelihood is that of "
        "the maximum"
    )


def _estimates(
    space: ParameterSpace, found: Maximum[Information], share: float
) -> tuple[dict[str, Vector], Uncertainty]:
    """Estimates and their uncertainty; `share` is what the estimates are of those that the curvature belongs to.

    The maximum is more uncertain than the curvature of its profile says, as its subjects bend with it: its variance is
    1 / `share` times that, exactly so for two right-or-wrong items, and the variance of `share` of it `share` times.
    """
    params = {name: np.asarray(value) for name, value in constrain(space, found.point).items()}
    if not found.converged:
        return params, Uncertainty({name: np.full(value.shape, np.nan) for name, value in params.items()})
    covariance = share * found.curvature.covariance()
    n_incidental = len(found.curvature.diagonal)
    structural = ParameterSpace(tuple(block for block in space.blocks if block.name != ABILITY))
    known = constrained_uncertainty(structural, found.point[n_incidental:], covariance, np.arange(structural.size))
    if n_incidental:
        known.standard_errors[ABILITY] = np.sqrt(found.curvature.incidental_variance(covariance))
    return params, known


def _expand(
    model: AbstractMeasurementModel,
    table: Table,
    kept: Table,
    params: dict[str, Vector],
    known: Uncertainty,
    sides: dict[str, tuple[str, ...]],
    adjustment: float,
) -> tuple[dict[str, Vector], Uncertainty]:
    """Spread estimates over the whole table's levels and add those of the extreme elements."""
    params, errors, factors = dict(params), dict(known.standard_errors), dict(known.factors)
    for spec in model.parameters:
        if not spec.axes:
            continue
        index = np.ix_(*(_positions(table, kept, axis) for axis in spec.axes if axis != "step"))
        sizes = tuple(len(table.levels[axis]) for axis in spec.axes if axis != "step")
        if not sizes:
            continue
        shape = sizes + params[spec.name].shape[len(sizes) :]
        for arrays, fill in (
            (params, 0.0 if "step" in spec.axes or ":" in spec.name else np.nan),
            (errors, np.nan),
            (factors, np.nan),
        ):
            if spec.name in arrays:
                value = arrays[spec.name]
                whole = np.full((*shape, *value.shape[len(shape) :]), fill)
                whole[index] = value
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
    covariances = {name: value for name, value in known.covariances.items() if name not in sides}
    return params, Uncertainty(errors, covariances, factors)


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
