"""Integrals over several correlated abilities, on a product grid of nodes that follows each subject.

The rectangle rule on equally spaced nodes is spectrally accurate for smooth, quickly decaying integrands, in any number
of dimensions: its relative error is about Σ exp(-2π² (k/h)' V (k/h)) over the integer vectors k ≠ 0, for a posterior of
covariance V and spacings h. A fixed grid that resolves and covers every subject's posterior takes thousands of nodes in
two dimensions and millions in four; a window under one subject's posterior takes a dozen along each. Items that measure
one dimension are evaluated along its axis only, and the axes meet in sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from math import prod
from typing import Any, TypeVar, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from psymetric.estimation.window_rows import ItemGroup, Subjects
from psymetric.estimation.window_sums import Factors, population_factors, population_terms, steepest_rise
from psymetric.models.base import ABILITY, AbstractMeasurementModel

__all__ = ["Integral", "Moments", "all_moments"]

Vector = NDArray[np.float64]
T = TypeVar("T")

_AT_ONCE = 1 << 20
"""Numbers in memory at a time."""
_STEEPEST = 200.0
"""How far the log of a factor of one axis may rise towards the end of a window; numbers end at 700."""


@final
@partial(jax.tree_util.register_dataclass, data_fields=["mean", "covariance", "marginal"], meta_fields=[])
@dataclass(frozen=True)
class Moments:
    """Posterior means, shape (S, D), covariances, (S, D, D), and masses along each dimension, (S, D, nodes)."""

    mean: Array
    covariance: Array
    marginal: Array

    @property
    def sd(self) -> Array:
        """Posterior standard deviations, shape (S, D)."""
        return jnp.sqrt(jnp.maximum(jnp.diagonal(self.covariance, axis1=-2, axis2=-1), 0.0))


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["subjects"],
    meta_fields=["model", "n_categories", "n_nodes", "in_factors"],
)
@dataclass(frozen=True)
class Integral:
    """Marginal likelihoods and posteriors of subjects on windows of `n_nodes` along each dimension.

    `in_factors`: whether no product of its factors can leave the range of numbers, so that they are summed as such.
    """

    model: AbstractMeasurementModel
    subjects: Subjects
    n_categories: int
    n_nodes: int
    in_factors: bool = False

    @property
    def n_dimensions(self) -> int:
        """Number of dimensions D."""
        return self.subjects.centre.shape[1]

    @property
    def n_subjects(self) -> int:
        """Number of subjects S."""
        return self.subjects.centre.shape[0]

    @property
    def size(self) -> int:
        """Numbers that the integral of one subject takes."""
        rows = sum(prod(g.picked.shape[1:]) * self.n_nodes ** len(g.dims) for g in self.subjects.groups)
        n_dims = self.n_dimensions
        return rows + (n_dims * self.n_nodes ** max(n_dims - 1, 2) if self.in_factors else self.n_nodes**n_dims)

    @property
    def steps(self) -> Array:
        """Steps of the nodes from the centre of a window, shape (nodes,)."""
        return jnp.arange(self.n_nodes) - (self.n_nodes - 1) / 2

    def nodes(self, subject: Subjects) -> Array:
        """Nodes of one subject along each dimension, shape (D, nodes)."""
        return subject.centre[:, None] + subject.spacing[:, None] * self.steps

    def log_joint(self, params: Mapping[str, Array], subject: Subjects) -> Array:
        """Log of likelihood times the population's mass on one subject's window, shape (nodes,) * D."""
        return self.factors(params, subject).log_joint

    def factors(self, params: Mapping[str, Array], subject: Subjects) -> Factors:
        """The factors of likelihood and population on one subject's window."""
        nodes = self.nodes(subject)
        found = population_factors(population_terms(params, subject.centre, subject.spacing), self.steps)
        # A population that the nodes do not resolve, as its sd nears 0 or a correlation ±1, would have a mass without
        # bound on the few that it meets, and a posterior over such parameters would be improper.
        excess = jnp.maximum(self._log_sum(found), 0.0)
        found = replace(found, along=found.along.at[0].add(-excess))
        for group in subject.groups:
            values = jnp.sum(self.by_response(params, group, nodes), axis=1)
            found = found.times(group.dims, values.reshape((self.n_nodes,) * len(group.dims)))
        return found

    def by_response(self, params: Mapping[str, Array], group: ItemGroup, nodes: Array) -> Array:
        """Log-likelihood of each response of one subject on the axes that it measures, shape (nodes ** axes, slots)."""
        axes = jnp.meshgrid(*(nodes[d] for d in group.dims), indexing="ij")
        points = jnp.zeros((axes[0].size, len(nodes)))
        points = points.at[:, jnp.array(group.dims)].set(jnp.stack([axis.ravel() for axis in axes], axis=1))
        codes = group.codes | {"subject": jnp.zeros(group.picked.shape[0], jnp.int32)}

        def at(point: Array) -> Array:
            # One subject stands at the node, so that the model's one likelihood serves here too.
            log_probs = self.model.category_log_probs({**params, ABILITY: point[None]}, codes, self.n_categories)
            return jnp.sum(group.picked * log_probs, axis=1)

        # Mapped over nodes, levels are looked up once per response.
        return jax.vmap(at)(points)

    def log_marginal(self, params: Mapping[str, Array], subject: Subjects) -> Array:
        """Log of one subject's marginal likelihood, a scalar."""
        return self._log_sum(self.factors(params, subject))

    def _log_sum(self, factors: Factors) -> Array:
        return factors.log_sum if self.in_factors else logsumexp(factors.log_joint)

    def moments(self, params: Mapping[str, Array], subject: Subjects) -> Moments:
        """Posterior moments of one subject."""
        factors, steps, unit = self.factors(params, subject), self.steps, subject.spacing
        pairs = tuple(combinations(range(self.n_dimensions), 2))

        def moved(along: Array, tilts: Array) -> Array:
            tilted = {
                dims: factors.pairs[dims] + tilt * jnp.outer(steps, steps)
                for dims, tilt in zip(pairs, tilts, strict=True)
            }
            return self._log_sum(replace(factors, along=factors.along + along, pairs=tilted))

        # Derivatives of the log of an integral are posterior means of what its integrand's log is moved along.
        marginal, products = jax.grad(moved, argnums=(0, 1))(jnp.zeros_like(factors.along), jnp.zeros(len(pairs)))
        mean, second = marginal @ steps, jnp.diag(marginal @ steps**2)
        for (d, e), average in zip(pairs, products, strict=True):
            second = second.at[d, e].set(average).at[e, d].set(average)
        covariance = (second - jnp.outer(mean, mean)) * jnp.outer(unit, unit)
        return Moments(subject.centre + unit * mean, covariance, marginal)

    @property
    def at_once(self) -> int:
        """How many subjects fit the memory bound."""
        return max(1, min(self.n_subjects, _AT_ONCE // self.size))

    def each(self, function: Callable[[Subjects], T]) -> T:
        """`function` of every subject, stacked, in pieces of bounded memory."""
        n = self.n_subjects
        # Pieces of one length, the last one filled with subjects that are cut off again: one program, not two.
        order = jnp.arange(-(-n // self.at_once) * self.at_once) % n
        pieces = jax.tree.map(lambda leaf: leaf[order].reshape(-1, self.at_once, *leaf.shape[1:]), self.subjects)
        found = jax.lax.map(jax.vmap(jax.checkpoint(function)), pieces)  # pyright: ignore[reportPrivateImportUsage]
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:n], found)

    def with_windows(self, params: Mapping[str, Any], centre: Vector, spacing: Vector, n_nodes: int) -> Integral:
        """The same integral on other windows, for parameters about these."""
        subjects = replace(self.subjects, centre=jax.device_put(centre), spacing=jax.device_put(spacing))
        steepest = steepest_rise(params, spacing) * ((n_nodes - 1) / 2) ** 2
        is_plain = self.n_dimensions > 1 and all(len(group.dims) <= 2 for group in subjects.groups)
        return replace(self, subjects=subjects, n_nodes=n_nodes, in_factors=is_plain and steepest < _STEEPEST)


@jax.jit
def _all_moments(integral: Integral, params: dict[str, Array]) -> Moments:
    return integral.each(lambda subject: integral.moments(params, subject))


def all_moments(integral: Integral, params: Mapping[str, Any]) -> Moments:
    """Posterior moments of all subjects, at constrained parameters."""
    return _all_moments(integral, jax.device_put(dict(params)))
