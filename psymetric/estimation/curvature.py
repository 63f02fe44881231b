"""Exact observed information of a problem, dense or with the subjects' diagonal block eliminated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.casewise import joint_hessian
from psymetric.estimation.fisher import marginal_value_and_gradient
from psymetric.estimation.louis import marginal_hessian
from psymetric.estimation.louis_dimensions import dimensions_hessian
from psymetric.estimation.mixtures import MixtureProblem
from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.problems import JointProblem, MarginalProblem, Problem
from psymetric.estimation.truth import TruthProblem
from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.space import has_dimensions

__all__ = ["Information", "information", "penalty", "value_and_gradient"]

Vector = NDArray[np.float64]

_FLAT = 1e-4
"""Information, per squared logit, behind a standard error of 100 logits."""
_SINGULAR = 1e-10
"""An eigenvalue this small relative to the largest is zero but for rounding."""


def value_and_gradient(problem: Problem, free: ArrayLike) -> tuple[Array, Array]:
    """Log density and gradient."""
    if isinstance(problem, MarginalProblem):
        return marginal_value_and_gradient(problem, free)
    return _value_and_gradient(problem, free)


@jax.jit
def _value_and_gradient(problem: Problem, free: ArrayLike) -> tuple[Array, Array]:
    """Log density and gradient, compiled once per model and shape."""
    return jax.value_and_grad(lambda x: problem.log_density(x))(jnp.asarray(free))


def penalty(problem: Problem, free: ArrayLike) -> float:
    """What the log density has beyond the log-likelihood, a model's own prior included."""
    return float(_penalty(problem.space, problem.model, free, problem.prior))


@partial(jax.jit, static_argnames=("model", "prior"))
def _penalty(space: ParameterSpace, model: AbstractMeasurementModel, free: ArrayLike, prior: bool) -> Array:
    point = jnp.asarray(free)
    found = space.penalty(point, prior=prior)
    return found + model.log_prior(space.constrain(point)) if prior else found


@partial(jax.jit, static_argnames="n_incidental")
def _products(problem: JointProblem, free: Array, n_incidental: int) -> tuple[Array, Array]:
    """Hessian rows of the structural parameters, and the diagonal of the incidental block."""
    _, product = jax.linearize(jax.grad(lambda x: problem.log_density(x)), free)
    n_structural = free.shape[0] - n_incidental

    def row(index: Array) -> Array:
        return product(jnp.zeros_like(free).at[n_incidental + index].set(1.0))

    rows = jax.lax.map(row, jnp.arange(n_structural))
    # The incidental block is diagonal, so that one product with its ones reads it off.
    diagonal = product(jnp.zeros_like(free).at[:n_incidental].set(1.0))[:n_incidental] if n_incidental else free[:0]
    return rows, diagonal


@jax.jit
def _hessian(problem: Problem, free: ArrayLike) -> Array:
    """Hessian of the log density, a column at a time; for problems without a quicker way."""
    point = jnp.asarray(free)
    _, product = jax.linearize(jax.grad(lambda x: problem.log_density(x)), point)
    return jax.lax.map(product, jnp.eye(point.shape[0]))


@final
@dataclass(frozen=True)
class Information:
    """Negative Hessian in arrow form: a diagonal incidental block, a dense structural block, and what joins them.

    Attributes:
        diagonal: Incidental block, shape (incidental,); empty when nothing is incidental.
        border: Shape (structural, incidental).
        schur: Structural information with the incidental parameters profiled out, shape (structural, structural).
    """

    diagonal: Vector
    border: NDArray[np.float64]
    schur: NDArray[np.float64]

    def solve(self, gradient: Vector) -> Vector:
        """Newton step (−H)⁻¹ gradient; directions without curvature are left alone."""
        if not np.isfinite(self.schur).all():
            return np.full(len(gradient), np.nan)
        n = len(self.diagonal)
        incidental = gradient[:n] / self.diagonal
        right = gradient[n:] - self.border @ incidental
        try:
            structural = cho_solve(cho_factor(self.schur), right) if len(right) else right
        except np.linalg.LinAlgError:
            values, vectors = eigh(self.schur)
            keep = values > _SINGULAR * values[-1]
            structural = vectors[:, keep] @ ((vectors[:, keep].T @ right) / values[keep])
        return np.concatenate([incidental - (self.border.T @ structural) / self.diagonal, structural])

    @property
    def is_definite(self) -> bool:
        """Whether the structural information is that of a maximum: finite, and positive in every direction."""
        return bool(np.isfinite(self.schur).all()) and _definite(self.schur)

    def null_directions(self) -> NDArray[np.float64]:
        """Structural directions that the data do not determine, unit columns, shape (structural, directions).

        Flat to rounding, or with less information than a standard error of 100 logits needs: a level on its way to
        infinity still has some curvature where the optimiser gave up. Nothing is said of a point that is no maximum.
        """
        n = len(self.schur)
        if not np.isfinite(self.schur).all():
            return np.zeros((n, 0))
        if _definite(self.schur - _FLAT * np.eye(n)) and _definite(
            self.schur / self._outer() - _SINGULAR * n * np.eye(n)
        ):
            return np.zeros((n, 0))
        values, vectors = eigh(self.schur)
        if values[0] < -_FLAT:
            return np.zeros((len(values), 0))
        flat = vectors[:, values < _FLAT]
        if flat.size:
            return flat
        values, vectors = eigh(self.schur / self._outer())
        flat = vectors[:, values < _SINGULAR * values[-1]] / np.sqrt(np.diag(self.schur))[:, None]
        return flat / np.linalg.norm(flat, axis=0)

    def _outer(self) -> NDArray[np.float64]:
        scale = np.sqrt(np.diag(self.schur))
        return np.outer(scale, scale)

    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the structural parameters, shape (structural, structural)."""
        return cho_solve(cho_factor(self.schur), np.eye(len(self.schur))) if self.schur.size else self.schur

    def incidental_variance(self, covariance: NDArray[np.float64]) -> Vector:
        """Variances of the incidental parameters, the structural uncertainty carried."""
        reach = self.border / self.diagonal
        return 1.0 / self.diagonal + np.einsum("ps,pq,qs->s", reach, covariance, reach, optimize=True)


def _definite(matrix: NDArray[np.float64]) -> bool:
    """Whether a symmetric matrix is positive definite; many times cheaper than its eigenvalues."""
    if not matrix.size:
        return True
    try:
        cho_factor(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _marginal(
    problem: MarginalProblem | MultidimensionalProblem | MixtureProblem | TruthProblem, free: Vector
) -> NDArray[np.float64]:
    """Exact Hessian of a marginal log density, by the quickest way that covers the problem."""
    if isinstance(problem, MultidimensionalProblem):
        return dimensions_hessian(problem, free)
    if isinstance(problem, (MixtureProblem, TruthProblem)):
        return np.asarray(_hessian(problem, free))
    is_plain = problem.background is None and problem.nested is None
    return marginal_hessian(problem, free) if is_plain else np.asarray(_hessian(problem, free))


def information(problem: Problem, free: Vector, active: NDArray[np.bool_] | None = None) -> Information:
    """Observed information at `free`; `active` restricts it to a subset of the structural parameters."""
    if not isinstance(problem, JointProblem):
        block = -_marginal(problem, free)
        if active is not None:
            block = block[np.ix_(active, active)]
        return Information(np.zeros(0), np.zeros((len(block), 0)), (block + block.T) / 2)
    if problem.model.table_kind == "pairs":
        block = -joint_hessian(problem, free)
        if active is not None:
            block = block[np.ix_(active, active)]
        return Information(np.zeros(0), np.zeros((len(block), 0)), (block + block.T) / 2)
    where = problem.space.slices()
    # Several abilities of one subject have curvature across, which the diagonal does not hold.
    n_incidental = where[ABILITY].stop if ABILITY in where and not has_dimensions(problem.model) else 0
    rows, diagonal = _products(problem, free, n_incidental)
    rows, diagonal = -np.asarray(rows), -np.asarray(diagonal)
    if active is not None:
        keep = np.flatnonzero(active[n_incidental:])
        rows = rows[keep][:, np.concatenate([np.arange(n_incidental), n_incidental + keep])]
    border, block = rows[:, :n_incidental], rows[:, n_incidental:]
    block = (block + block.T) / 2
    return Information(diagonal, border, block - (border / np.maximum(diagonal, 1e-300)) @ border.T)
