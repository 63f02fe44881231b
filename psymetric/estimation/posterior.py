"""What MAP, Laplace and NUTS share: the posterior's mode, and draws turned into a labelled fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.abilities import draw_abilities
from psymetric.estimation.assemble import Uncertainty, build_fit
from psymetric.estimation.curvature import Information
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.integrated import solve_integrated
from psymetric.estimation.marginal import climb
from psymetric.estimation.mixture_search import mixture_mode
from psymetric.estimation.mixtures import MixtureProblem, unswitched
from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.multistart import Climbed, climb_from_each
from psymetric.estimation.problems import MarginalProblem, Problem, joint_problem
from psymetric.estimation.truth import TruthProblem, renamed_notes
from psymetric.estimation.truth_search import truth_mode
from psymetric.estimation.window_draws import draw_dimensions
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.space import has_ability
from psymetric.models.truth import AbstractTruthModel

__all__ = ["Mode", "best_mode", "fit_from_draws", "label_draws", "posterior_mode", "unswitched_draws", "whitening"]

Vector = NDArray[np.float64]

_LARGEST_COVARIANCE = 2_000


@final
@dataclass(frozen=True)
class Mode:
    """Mode of the posterior: subjects integrated out where the model has them (Mislevy, 1986)."""

    problem: Problem
    maximum: Maximum[Information]

    def for_draws(self) -> Mode:
        """The same mode of the problem as draws far from it need it: sums of products of factors leave their range."""
        if not isinstance(self.problem, MultidimensionalProblem):
            return self
        whole = replace(self.problem.integral, in_factors=False)
        return replace(self, problem=replace(self.problem, integral=whole))


def posterior_mode(
    model: AbstractMeasurementModel,
    table: Table,
    *,
    tolerance: float,
    max_iterations: int,
    start: Vector | None = None,
) -> Mode:
    """Climb to the mode of the free vector's posterior density, from `start` or from where the priors are centred."""
    if has_ability(model):
        found = solve_integrated(
            model, table, prior=True, tolerance=tolerance, max_iterations=max_iterations, start=start
        )
        return Mode(found.problem, found.maximum)
    if isinstance(model, JudgeMixture):
        return _best_of_mixture(model, table, tolerance, max_iterations).best
    if isinstance(model, AbstractTruthModel):
        return _best_of_truth(model, table, tolerance, max_iterations, start=start).best
    problem = joint_problem(model, table, prior=True)
    start = problem.space.start() if start is None else start
    maximum = climb(problem, start, tolerance=tolerance, max_iterations=max_iterations)
    return Mode(problem, maximum)


def best_mode(
    model: AbstractMeasurementModel, table: Table, *, tolerance: float, max_iterations: int, starts: int, seed: int
) -> Climbed[Mode]:
    """The highest mode that climbs from several starts lead to."""
    if isinstance(model, JudgeMixture):
        return _best_of_mixture(model, table, tolerance, max_iterations, starts=starts, seed=seed)
    if isinstance(model, AbstractTruthModel):
        return _best_of_truth(model, table, tolerance, max_iterations, starts=starts, seed=seed)

    def from_start(start: Vector | None) -> Mode:
        return posterior_mode(model, table, tolerance=tolerance, max_iterations=max_iterations, start=start)

    return climb_from_each(from_start, lambda mode: mode.maximum.value, starts=starts, seed=seed)


def _best_of_mixture(
    model: JudgeMixture, table: Table, tolerance: float, max_iterations: int, *, starts: int = 1, seed: int = 0
) -> Climbed[Mode]:
    found = mixture_mode(
        model, table, prior=True, tolerance=tolerance, max_iterations=max_iterations, starts=starts, seed=seed
    )
    return Climbed(Mode(found.problem, found.maximum), found.details, found.notes)


def _best_of_truth(
    model: AbstractTruthModel,
    table: Table,
    tolerance: float,
    max_iterations: int,
    *,
    starts: int = 1,
    seed: int = 0,
    start: Vector | None = None,
) -> Climbed[Mode]:
    found = truth_mode(
        model,
        table,
        prior=True,
        tolerance=tolerance,
        max_iterations=max_iterations,
        starts=starts,
        seed=seed,
        start=start,
    )
    return Climbed(Mode(found.best.problem, found.best.maximum), found.details, found.notes)


def whitening(information: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix R with R Rᵀ = information⁻¹, directions without curvature at unit scale."""
    values, vectors = np.linalg.eigh(information)
    return vectors / np.sqrt(np.where(values > 1e-6, values, 1.0))


def unswitched_draws(mode: Mode, free: Vector) -> tuple[Vector, tuple[str, ...]]:
    """Draws, shape (chains, draws, parameters), classes of a mixture in the mode's order, and how many were not."""
    if isinstance(mode.problem, TruthProblem):
        return free, renamed_notes(mode.problem, free)
    if not isinstance(mode.problem, MixtureProblem):
        return free, ()
    ordered, share = unswitched(mode.problem.space, free, mode.maximum.point)
    if not share:
        return ordered, ()
    return ordered, (
        f"{100 * share:.1f}% of the draws had their classes in another order than the mode, and were put into the "
        "order closest to it: where this is frequent the data hardly tell the classes apart",
    )


@jax.jit
def _constrain_draws(space: ParameterSpace, free: jax.Array) -> dict[str, jax.Array]:
    return jax.vmap(space.constrain)(free)


def fit_from_draws(
    model: AbstractMeasurementModel,
    table: Table,
    engine: Any,
    problem: Problem,
    free: Vector,
    *,
    status: FitStatus,
    seed: int,
    notes: tuple[str, ...] = (),
) -> Fit:
    """Label draws of the free vector, shape (chains, draws, parameters); estimates are their means and sds."""
    chains, n_draws, size = free.shape
    flat = free.reshape(-1, size)
    values = {name: np.asarray(value) for name, value in _constrain_draws(problem.space, jax.device_put(flat)).items()}
    if isinstance(problem, MarginalProblem):
        values[ABILITY] = draw_abilities(problem, flat, seed=seed)
    elif isinstance(problem, MultidimensionalProblem):
        values[ABILITY] = draw_dimensions(problem, flat, seed=seed)
    named = {name: value.reshape(chains, n_draws, *value.shape[1:]) for name, value in values.items()}
    return label_draws(model, table, engine, named, n_parameters=size, status=status, seed=seed, notes=notes)


def label_draws(
    model: AbstractMeasurementModel,
    table: Table,
    engine: Any,
    draws: Mapping[str, Vector],
    *,
    n_parameters: int,
    status: FitStatus,
    seed: int,
    notes: tuple[str, ...] = (),
) -> Fit:
    """Label draws of constrained arrays, shape (chains, draws, ...); estimates are their means and sds."""
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in draws.items()}
    covariances = {
        name: np.atleast_2d(np.cov(value.reshape(len(value), -1), rowvar=False))
        for name, value in flat.items()
        if 1 < value[0].size <= _LARGEST_COVARIANCE
    }
    return build_fit(
        model,
        table,
        engine,
        status=status,
        log_likelihood=None,
        n_parameters=n_parameters,
        parameters={name: value.mean(axis=0) for name, value in flat.items()},
        uncertainty=Uncertainty({name: value.std(axis=0, ddof=1) for name, value in flat.items()}, covariances),
        penalised=True,
        draws=draws,
        notes=notes,
        seed=seed,
    )
