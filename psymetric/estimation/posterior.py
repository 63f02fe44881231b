"""What MAP, Laplace and NUTS share: the posterior's mode, and draws turned into a labelled fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.abilities import draw_abilities
from psymetric.estimation.assemble import build_fit
from psymetric.estimation.curvature import Information
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.estimation.integrated import solve_integrated
from psymetric.estimation.marginal import climb
from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.problems import MarginalProblem, Problem, joint_problem
from psymetric.estimation.window_draws import draw_dimensions
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import has_ability

__all__ = ["Mode", "fit_from_draws", "posterior_mode", "whitening"]

Vector = NDArray[np.float64]

_LARGEST_COVARIANCE = 2_000


@final
@dataclass(frozen=True)
class Mode:
    """Mode of the posterior: subjects integrated out where the model has them (Mislevy, 1986)."""

    problem: Problem
    maximum: Maximum[Information]


def posterior_mode(model: AbstractMeasurementModel, table: Table, *, tolerance: float, max_iterations: int) -> Mode:
    """Climb to the mode of the free vector's posterior density."""
    if has_ability(model):
        found = solve_integrated(model, table, prior=True, tolerance=tolerance, max_iterations=max_iterations)
        return Mode(found.problem, found.maximum)
    problem = joint_problem(model, table, prior=True)
    start = problem.space.start()
    maximum = climb(problem, start, tolerance=tolerance, max_iterations=max_iterations)
    return Mode(problem, maximum)


def whitening(information: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix R with R Rᵀ = information⁻¹, directions without curvature at unit scale."""
    values, vectors = np.linalg.eigh(information)
    return vectors / np.sqrt(np.where(values > 1e-6, values, 1.0))


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
    values = {name: np.asarray(value) for name, value in _constrain_draws(problem.space, jnp.asarray(flat)).items()}
    if isinstance(problem, MarginalProblem):
        values[ABILITY] = draw_abilities(problem, flat, seed=seed)
    elif isinstance(problem, MultidimensionalProblem):
        values[ABILITY] = draw_dimensions(problem, flat, seed=seed)
    covariances = {
        name: np.atleast_2d(np.cov(value.reshape(len(flat), -1), rowvar=False))
        for name, value in values.items()
        if 1 < value[0].size <= _LARGEST_COVARIANCE
    }
    return build_fit(
        model,
        table,
        engine,
        status=status,
        log_likelihood=None,
        n_parameters=size,
        parameters={name: value.mean(axis=0) for name, value in values.items()},
        standard_errors={name: value.std(axis=0, ddof=1) for name, value in values.items()},
        covariances=covariances,
        penalised=True,
        draws={name: value.reshape(chains, n_draws, *value.shape[1:]) for name, value in values.items()},
        notes=notes,
        seed=seed,
    )
