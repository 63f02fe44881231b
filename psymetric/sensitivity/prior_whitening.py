"""Posterior modes of a simplex judge, and the map that makes the posterior round there.

Given the judges, candidates are independent, so that the curvature is blocks of the candidates' own numbers with a
border for what they share. The map is as sparse: its cost grows with the candidates, not with their square.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.optimize import minimize

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.truth import TruthProblem
from psymetric.models.simplex_judge import PREFERENCE
from psymetric.models.truth import PREVALENCE
from psymetric.sensitivity.prior_density import MarginProblem

__all__ = ["Whitening", "whitening"]

Matrix = NDArray[np.float64]
_TOLERANCE = 1e-3
_FLATTEST = 0.05
"""Least curvature that whitens a direction: the free numbers have a prior sd of some units."""
_ASIDE = 1e-4
"""By how much numbers are moved to see what that does to the slope."""
_OF_CANDIDATES = (PREVALENCE, PREFERENCE)


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["mode", "own", "own_inverse", "shift", "shared", "shared_inverse"],
    meta_fields=["blocks"],
)
@dataclass(frozen=True)
class Whitening:
    """From numbers with unit curvature at the mode, those of the candidates first, to a free vector and back.

    Attributes:
        mode: Shape (size,).
        own: Roots of the covariance of each candidate's numbers given the shared ones, shape (candidates, own, own).
        own_inverse: Their inverses.
        shift: By how much a candidate's numbers fall as the shared ones rise, shape (candidates, own, shared).
        shared: Root of the covariance of the shared numbers, shape (shared, shared).
        shared_inverse: Its inverse.
        blocks: Name and size of each block of the free vector.
    """

    mode: Array
    own: Array
    own_inverse: Array
    shift: Array
    shared: Array
    shared_inverse: Array
    blocks: tuple[tuple[str, int], ...]

    def free(self, white: Array) -> Array:
        """The free vector, shape (size,)."""
        n_candidates, n_own, _ = self.own.shape
        shared = self.shared @ white[n_candidates * n_own :]
        apart = white[: n_candidates * n_own].reshape(n_candidates, n_own)
        own = jnp.einsum("cab,cb->ca", self.own, apart) - self.shift @ shared
        parts: list[Array] = []
        ends = {True: 0, False: 0}
        for name, size in self.blocks:
            of_own = name in _OF_CANDIDATES
            width = size // n_candidates if of_own else size
            first, ends[of_own] = ends[of_own], ends[of_own] + width
            parts.append(own[:, first : first + width].ravel() if of_own else shared[first : first + width])
        return self.mode + jnp.concatenate(parts)

    def white(self, free: Array) -> Array:
        """Inverse of `free`."""
        own, shared = _split(free - self.mode, self.blocks, self.own.shape[0])
        apart = jnp.einsum("cab,cb->ca", self.own_inverse, own + self.shift @ shared)
        return jnp.concatenate([apart.ravel(), self.shared_inverse @ shared])


def _split(free: Array, blocks: tuple[tuple[str, int], ...], n_candidates: int) -> tuple[Array, Array]:
    """Numbers of the candidates, shape (candidates, own), and shared ones."""
    own, shared, first = list[Array](), list[Array](), 0
    for name, size in blocks:
        part, first = free[first : first + size], first + size
        if name in _OF_CANDIDATES:
            own.append(part.reshape(n_candidates, -1))
        else:
            shared.append(part)
    return jnp.concatenate(own, axis=1), jnp.concatenate(shared)


@jax.jit
def _slope(problem: MarginProblem | TruthProblem, free: Array) -> tuple[Array, Array]:
    return jax.value_and_grad(lambda at: -problem.log_density(at))(free)


def whitening(problem: MarginProblem | TruthProblem) -> Whitening:
    """Climb to the mode and take the curvature there."""

    def falling(free: Matrix) -> tuple[float, Matrix]:
        value, slope = _slope(problem, jax.device_put(free))
        return float(value), np.asarray(slope)

    options: Any = {"maxiter": 2_000, "maxfun": 3_000, "maxcor": 30, "ftol": 1e-12, "gtol": _TOLERANCE}
    mode = minimize(falling, problem.space.start(), jac=True, method="L-BFGS-B", options=options).x
    blocks = tuple((block.name, block.bijector.size) for block in problem.space.blocks)
    own, shared = _places(problem.space)

    def bend(moved: NDArray[np.int64]) -> Matrix:
        aside = np.zeros(len(mode))
        aside[moved] = _ASIDE
        return (falling(mode + aside)[1] - falling(mode - aside)[1]) / (2 * _ASIDE)

    # Numbers of different candidates do not bend each other: one difference serves them all.
    of_own = np.stack([bend(own[:, at])[own] for at in range(own.shape[1])], axis=-1)
    of_shared = np.stack([bend(shared[at : at + 1]) for at in range(len(shared))], axis=-1)
    root, inverse = _roots(of_own)
    half = np.swapaxes(root, 1, 2) @ of_shared[own]
    left = of_shared[shared] - np.einsum("cas,cat->st", half, half, optimize=True)
    wide, narrow = _roots(left)
    mode, root, inverse, shift, wide, narrow = jax.device_put((mode, root, inverse, root @ half, wide, narrow))
    return Whitening(mode, root, inverse, shift, wide, narrow, blocks)


def _places(space: ParameterSpace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the numbers of each candidate are, shape (candidates, own), and the shared ones."""
    truth: Any = next(block.bijector for block in space.blocks if block.name == PREVALENCE)
    every, where = np.arange(space.size), space.slices()
    own = [
        every[where[block.name]].reshape(truth.shape[0], -1) for block in space.blocks if block.name in _OF_CANDIDATES
    ]
    shared = [every[where[block.name]] for block in space.blocks if block.name not in _OF_CANDIDATES]
    return np.concatenate(own, axis=1), np.concatenate(shared)


def _roots(curvature: Matrix) -> tuple[Matrix, Matrix]:
    """A root of the covariance with this inverse, and the inverse of the root; shape (..., n, n)."""
    values, vectors = np.linalg.eigh((curvature + np.swapaxes(curvature, -1, -2)) / 2)
    scale = np.sqrt(np.maximum(values, _FLATTEST))
    return vectors / scale[..., None, :], np.swapaxes(vectors * scale[..., None, :], -1, -2)
