"""Conditional maximum likelihood: subjects eliminated by conditioning on their sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.bijectors import Free, Positive
from psymetric.core.optimizers import Maximum, polish
from psymetric.core.parameters import Block, ParameterSpace, constrain
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.assemble import Uncertainty, build_fit, constrained_uncertainty, uncertainty
from psymetric.estimation.conditional import ConditionalProblem, answer_patterns, cell_weights, structural_space
from psymetric.estimation.curvature import Information
from psymetric.estimation.empirical_bayes import LEAST_SD
from psymetric.estimation.extremes import Rows, find_extremes
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.identification import check_curvature, check_extremes, require_one_population
from psymetric.estimation.population_ml import fit_population, item_share, sum_groups
from psymetric.estimation.suitability import use_instead
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.nested import require_independence
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD, has_ability

__all__ = ["ConditionalML"]

Vector = NDArray[np.float64]

_WHO = "ConditionalML"


@final
@dataclass(frozen=True)
class ConditionalML:
    """Conditional maximum likelihood, as eRm and psychotools fit.

    Given a subject's sum over what it answered, the probability of its responses does not depend on the subject.
    Items, judges and steps are therefore estimated without anything said about the population, and consistently for
    any number of responses per subject. Every combination of levels acts as an item whose category weights are sums of
    the facets' parameters and steps; missing responses leave a subject with fewer of them. Intervals come from the
    information of the conditional likelihood.

    For `Rasch` and `ManyFacetRasch` with fixed facets. Subjects with an extreme sum carry no information; a note counts
    them. `log_likelihood` is the conditional one, not to be compared with that of another engine. A normal population
    is fitted afterwards to the sums, items and judges at their estimates, for `score` and the fit statistics.

    Args:
        tolerance: Convergence: largest last Newton step, in logits.
        max_iterations: Cap on Newton steps.

    Source: Andersen (1972), JRSS B 34, 42-54; Fischer & Molenaar (1995), Rasch Models, ch. 3 and 15.
    """

    tolerance: float = 1e-6
    max_iterations: int = 100

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        require_one_population(model, _WHO)
        require_independence(model, _WHO, instead=use_instead(model).removeprefix("use "))
        _check_model(model)
        if np.bincount(table.codes["subject"], table.weight).max() < 2:
            raise DataError(
                f"{_WHO}: no subject has two responses, and the sum of one is the response itself; use MarginalML()"
            )
        keep, sides = find_extremes(model, table, ("subject",))
        if not keep.any():
            raise DataError(
                f"{_WHO}: every subject has an extreme sum (all lowest or all highest), so that there is nothing to "
                "compare; use MarginalML() or MAP(), or a finer rating scale"
            )
        kept = table if keep.all() else Rows.of(table, keep)
        _check_levels(model, table, kept)
        check_extremes(model, kept)
        with double_precision():
            space = structural_space(model, kept)
            # Of all subjects: those with an extreme sum add exactly nothing here, and inform the population.
            problem = _problem(model, table, space)
            found = self._climb(problem, np.zeros(space.size))
            check_curvature(model, found, space, np.ones(space.size, bool), kept)
            parameters = {name: np.asarray(value) for name, value in constrain(space, found.point).items()}
            parameters, known, population_notes = _with_population(problem, space, found, parameters)
        return build_fit(
            model,
            table,
            self,
            status=FitStatus.of_maximum(found),
            log_likelihood=found.value,
            n_parameters=space.size,
            parameters=parameters,
            uncertainty=known,
            penalised=False,
            notes=_notes(sides["subject"]) + population_notes,
        )

    def _climb(self, problem: ConditionalProblem, start: Vector) -> Maximum[Information]:
        def curvature(point: Vector) -> Information:
            return Information(np.zeros(0), np.zeros((len(point), 0)), problem.information(point))

        return polish(
            problem.value_and_gradient,
            curvature,
            start,
            tolerance=self.tolerance,
            evaluations=1,
            max_steps=self.max_iterations,
        )


def _problem(model: AbstractMeasurementModel, table: Table, space: ParameterSpace) -> ConditionalProblem:
    blocks, codes, observed = answer_patterns(model, table, _WHO)
    if not space.size:
        raise DataError(
            f"{_WHO}: nothing to estimate: the table has {len(observed)} combination(s) of {list(model.facets)}, and "
            "what could differ between them is anchored or absent"
        )
    return ConditionalProblem(blocks, cell_weights(model, space, codes, len(table.categories), _WHO), observed)


def _with_population(
    problem: ConditionalProblem, space: ParameterSpace, found: Maximum[Information], parameters: dict[str, Vector]
) -> tuple[dict[str, Vector], Uncertainty, tuple[str, ...]]:
    """The estimates with mean and sd of the subjects, what they vary by with the items' own carried, and notes."""
    weights = problem.weights.at(found.point)
    groups = sum_groups(problem.blocks, weights)
    normal, n_nodes = fit_population(groups, weights)
    parameters = parameters | {POPULATION_MEAN: np.array(normal.mean), POPULATION_SD: np.array(normal.sd)}
    known = uncertainty(space, found, parameters)
    if found.converged:
        share = item_share(groups, weights, problem.weights.design, normal, n_nodes)
        free = 1 if normal.held else 2
        own = normal.covariance[:free, :free]
        moved = -own @ share[:free]
        items = found.curvature.covariance()
        # Errors of the sums are independent of those of the items, which move the population through `moved`.
        joint = np.block([[items, items @ moved.T], [moved @ items, own + moved @ items @ moved.T]])
        blocks = Block(POPULATION_MEAN, Free(()), 1.0), Block(POPULATION_SD, Positive(()), 1.0)
        point = np.append(found.point, [normal.mean, normal.log_sd])
        known = constrained_uncertainty(ParameterSpace((*space.blocks, *blocks)), point, joint, np.arange(len(joint)))
    notes: list[str] = []
    if normal.held:
        known.standard_errors[POPULATION_SD] = np.full((), np.nan)
        notes.append(
            f"{POPULATION_SD} is at its lower bound of {LEAST_SD} logits: its levels differ no more than chance lets "
            "them, and it has no standard error"
        )
    if groups.n_impossible:
        notes.append(
            f"{groups.n_impossible} subject(s) with an extreme sum are left out of the population: they alone used "
            "some category, which has no estimate"
        )
    return parameters, known, tuple(notes)


def _check_model(model: AbstractMeasurementModel) -> None:
    name = type(model).__name__
    if not has_ability(model):
        raise DesignError(f"{_WHO} conditions on the sums of subjects, and {name} has none: {use_instead(model)}")
    if random := [spec.name for spec in model.parameters if spec.random and spec.name != ABILITY]:
        raise DesignError(f"{_WHO} cannot estimate the sd of random facet {random[0]!r}: {use_instead(model)}")


def _check_levels(model: AbstractMeasurementModel, table: Table, kept: Table) -> None:
    """Raise where only extreme subjects met some level: nothing then says where it lies."""
    for facet in model.facets:
        if lost := [label for label in table.levels[facet] if label not in set(kept.levels[facet])]:
            raise IdentificationError(
                f"{_WHO}: {len(lost)} of {len(table.levels[facet])} levels of {facet!r} were met only by subjects with "
                f"an extreme sum, the first {lost[0]!r}; such subjects carry no information. Leave these levels out, "
                "or use MarginalML() or MAP()"
            )


def _notes(sides: tuple[str, ...]) -> tuple[str, ...]:
    n_extreme = sum(map(bool, sides))
    if not n_extreme:
        return ()
    low = sum(side == "minimum" for side in sides)
    return (
        f"{n_extreme} of {len(sides)} subjects have an extreme sum ({low} lowest, {n_extreme - low} highest) and carry "
        "no information about items and judges",
    )
