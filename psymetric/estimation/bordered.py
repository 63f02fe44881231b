"""Information about thousands of levels that few subjects share: a sparse block, a narrow border, one constraint.

Two judges hold something in common only where a subject met both, so that their block is sparse; items, steps and the
population touch everything and make the border. Newton steps come from conjugate gradients on the sparse block, which
converge in a dozen iterations because a level's own information outweighs what it shares. Standard errors need the
diagonal of the inverse, and get it from one dense Cholesky factor, inverted in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotrf, dtrtri
from scipy.sparse import csr_array

__all__ = ["BorderedInformation", "Inverse", "centred_contract", "centred_extend"]

Vector = NDArray[np.float64]

_CLOSE = 1e-11
"""Share of a right side that conjugate gradients leave."""
_ROUNDS = 500
_FLAT = 1e-4
"""Information, per squared logit, behind a standard error of 100 logits."""
_POWER_STEPS = 12
_CHUNK = 512


def centred_extend(free: Vector) -> Vector:
    """The map of `bijectors.Centred` with one axis: shape (n − 1,) to (n,), sum zero."""
    root = np.sqrt(len(free) + 1)
    total = free.sum()
    return np.append(free - total / (root + root**2), -total / root)


def centred_contract(value: Vector) -> Vector:
    """Inverse and transpose of `centred_extend` for values that sum to zero: shape (n,) to (n − 1,)."""
    root = np.sqrt(len(value))
    return value[:-1] - value[-1] * root / (root + root**2)


@final
@dataclass(frozen=True)
class BorderedInformation:
    """Negative Hessian with the levels of one facet, which sum to zero, in a sparse block.

    Attributes:
        many: Block of the levels themselves, shape (levels, levels).
        border: Shape (levels, others); the others are free parameters.
        few: Block of the others, shape (others, others).
        place: Where the free vector holds the levels, which are one less there; the others are the rest, in order.
    """

    many: csr_array
    border: Vector
    few: Vector
    place: slice

    @cached_property
    def _reach(self) -> Vector:
        """Answer of the levels to the others: inverse of the sparse block times the border."""
        return self._conjugate(self.border)

    @cached_property
    def _remaining(self) -> Vector:
        """Covariance of the others."""
        schur = self.few - self.border.T @ self._reach
        return cho_solve(cho_factor((schur + schur.T) / 2), np.eye(len(schur)))

    def solve(self, gradient: Vector) -> Vector:
        """Newton step (−H)⁻¹ gradient, in the free vector."""
        levels = centred_extend(gradient[self.place])
        others = np.delete(gradient, np.arange(self.place.start, self.place.stop))
        few = self._remaining @ (others - self._reach.T @ levels)
        many = self._conjugate(levels[:, None])[:, 0] - self._reach @ few
        return np.concatenate([few[: self.place.start], centred_contract(many), few[self.place.start :]])

    def _conjugate(self, right: Vector) -> Vector:
        """Conjugate gradients for every column at once, among vectors that sum to zero.

        Raises:
            numpy.linalg.LinAlgError: The block is not positive definite.
        """
        diagonal = self.many.diagonal()[:, None]
        if (diagonal <= 0).any():
            raise np.linalg.LinAlgError("a level without information")
        rest = right - right.mean(axis=0)
        goal = _CLOSE * np.linalg.norm(rest, axis=0)
        found, scaled = np.zeros_like(rest), rest / diagonal
        along = scaled = scaled - scaled.mean(axis=0)
        size = np.sum(rest * scaled, axis=0)
        for _ in range(_ROUNDS):
            if (np.linalg.norm(rest, axis=0) <= goal).all():
                return found
            product = self.many @ along
            product -= product.mean(axis=0)
            curvature = np.sum(along * product, axis=0)
            if (curvature < 0).any():
                raise np.linalg.LinAlgError("not positive definite")
            step = np.divide(size, curvature, out=np.zeros_like(size), where=curvature > 0)
            found += step * along
            rest = rest - step * product
            scaled = rest / diagonal
            scaled = scaled - scaled.mean(axis=0)
            before, size = size, np.sum(rest * scaled, axis=0)
            along = scaled + np.divide(size, before, out=np.zeros_like(size), where=before > 0) * along
        raise np.linalg.LinAlgError("conjugate gradients did not converge")

    @property
    def is_definite(self) -> bool:
        """Whether it is the information of a maximum."""
        try:
            return bool(np.isfinite(self._remaining).all())
        except np.linalg.LinAlgError:
            return False

    def null_directions(self) -> Vector:
        """A free direction that the data do not determine, shape (parameters, 1), or none, shape (parameters, 0).

        The flattest direction is found by repeated solving; it counts where its information is behind a standard error
        of 100 logits.
        """
        n = len(self.few) + self.many.shape[0] - 1
        flattest = np.random.default_rng(0).normal(size=n)
        flattest /= np.linalg.norm(flattest)
        length = 1.0
        for _ in range(_POWER_STEPS):
            moved = self.solve(flattest)
            length = float(np.linalg.norm(moved))
            flattest = moved / length
        return flattest[:, None] if 1 / length < _FLAT else np.zeros((n, 0))

    def inverse(self) -> Inverse:
        """The inverse of the whole, ready for variances; overwrites one dense matrix of the levels.

        Raises:
            numpy.linalg.LinAlgError: The block is not positive definite.
        """
        n_levels = self.many.shape[0]
        dense = np.asfortranarray(self.many.toarray().T)
        own = dense.mean(axis=0)
        # Projected on vectors that sum to zero, and given curvature along the one that does not.
        ridge = float(self.many.diagonal().mean())
        dense -= own
        dense -= own[:, None]
        dense += own.mean() + ridge / n_levels
        factor, failed = dpotrf(dense, lower=1, overwrite_a=1, clean=1)
        if failed:
            raise np.linalg.LinAlgError("not positive definite")
        root, _ = dtrtri(factor, lower=1, overwrite_c=1)
        return Inverse(root, ridge, self._reach, self._remaining)


@final
@dataclass(frozen=True)
class Inverse:
    """Covariance of levels and others.

    Attributes:
        root: Inverse Cholesky factor of the levels' projected block, shape (levels, levels).
        ridge: Curvature that it has along the vector of ones.
        reach: Answer of the levels to the others, shape (levels, others).
        few: Covariance of the others, shape (others, others).
    """

    root: Vector
    ridge: float
    reach: Vector
    few: Vector

    def level_variances(self) -> Vector:
        """Variances of the levels, shape (levels,)."""
        n_levels = len(self.root)
        own = np.einsum("ij,ij->j", self.root, self.root) - 1 / (self.ridge * n_levels)
        return own + np.einsum("ip,pq,iq->i", self.reach, self.few, self.reach, optimize=True)

    def level_covariance(self) -> Vector:
        """Covariance of the levels, shape (levels, levels)."""
        own = self.root.T @ self.root - 1 / (self.ridge * len(self.root))
        return own + self.reach @ self.few @ self.reach.T

    def variances(self, levels: csr_array, others: Vector) -> Vector:
        """Variances of linear combinations, `levels` of shape (n, levels) and `others` of shape (n, others)."""
        found = np.empty(levels.shape[0])
        carried = others - levels @ self.reach
        sums, scale = np.asarray(levels.sum(axis=1)).ravel(), self.ridge * len(self.root)
        for start in range(0, len(found), _CHUNK):
            rows = slice(start, start + _CHUNK)
            spread = levels[rows] @ self.root.T
            found[rows] = np.einsum("ij,ij->i", spread, spread)
        return found - sums**2 / scale + np.einsum("ip,pq,iq->i", carried, self.few, carried, optimize=True)
