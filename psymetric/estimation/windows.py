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
from itertools import combinations, product
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
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD

__all__ = [
    "COARSE",
    "Accuracy",
    "Integral",
    "Moments",
    "accuracy",
    "all_moments",
    "place_windows",
    "still_placed",
]

Vector = NDArray[np.float64]
T = TypeVar("T")

_ROUNDS = 12
_SHIFT, _RATIO = 0.4, 1.2
"""A window is moved when the posterior mean lies this many sds from its centre, or the sd differs by this factor."""
_AT_ONCE = 1 << 20
"""Numbers in memory at a time."""
_STEEPEST = 200.0
"""How far the log of a factor of one axis may rise towards the end of a window; numbers end at 700."""
_NODES = (7, 9, 11, 13, 15, 17, 21, 25, 31, 41, 57, 81, 121, 161)
"""Numbers of nodes along a dimension to choose from: few, so that compiled programs are shared."""
_MOST_NODES = {1: 161, 2: 161, 3: 41, 4: 17}
"""Most nodes along a dimension; eleven beyond four dimensions."""


@final
@dataclass(frozen=True)
class Accuracy:
    """How far windows reach, and how far their nodes may lie apart, in posterior sds."""

    reach: float
    spacing: float

    @property
    def n_nodes(self) -> int:
        """Nodes along a dimension that this takes."""
        return 1 + 2 * int(np.ceil(self.reach / self.spacing))


COARSE = Accuracy(4.0, 1.4)
"""Good enough to climb on: errors of about 1e-4."""


def accuracy(n_dimensions: int) -> Accuracy:
    """What can be afforded: errors of about 1e-9 for one and two dimensions, 1e-8 for three, 1e-5 from four on."""
    known = {1: Accuracy(8.0, 0.8), 2: Accuracy(7.5, 0.75), 3: Accuracy(6.0, 1.0), 4: Accuracy(5.0, 1.1)}
    return known.get(n_dimensions, Accuracy(4.5, 1.2))


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


def place_windows(integral: Integral, params: Mapping[str, Any], wanted: Accuracy) -> tuple[Integral, float]:
    """Windows under every subject's posterior, and the largest spacing of their nodes in its sds.

    Found by reading the posterior's mean and sd on a window and moving it there, from the population's on. Strong
    posterior correlation takes more nodes: along the difference of two dimensions the posterior is then narrow.
    """
    n_dims, n = integral.n_dimensions, integral.n_subjects
    n_nodes = max(integral.n_nodes, _nodes_for(wanted, 1.0, n_dims))
    centre = np.tile(np.asarray(params[POPULATION_MEAN], np.float64), (n, 1))
    sd, narrow = np.tile(np.asarray(params[POPULATION_SD], np.float64), (n, 1)), 1.0
    for _ in range(_ROUNDS):
        integral = integral.with_windows(params, centre, 2 * wanted.reach * sd / (n_nodes - 1), n_nodes)
        found = all_moments(integral, params)
        mean, spread = np.asarray(found.mean), np.asarray(found.sd)
        # A posterior narrower than the spacing hides in one node, and its sd reads as nearly zero.
        spread = np.maximum(spread, np.asarray(integral.subjects.spacing) / 4)
        is_there = _fits(mean, spread, centre, sd)
        narrow = narrowest(np.asarray(found.covariance)) if is_there else 1.0
        needed = _nodes_for(wanted, narrow, n_dims)
        if is_there and needed <= n_nodes:
            break
        centre, sd, n_nodes = mean, spread, max(n_nodes, needed)
    return integral, 2 * wanted.reach / (n_nodes - 1) / min(narrow, 1.0)


def _nodes_for(wanted: Accuracy, narrow: float, n_dims: int) -> int:
    """Nodes along a dimension whose spacing resolves a posterior that is `narrow` along some direction."""
    needed = min(1 + 2 * wanted.reach / (wanted.spacing * min(narrow, 1.0)), _MOST_NODES.get(n_dims, 11))
    return next(n for n in _NODES if n >= needed)


def still_placed(integral: Integral, params: Mapping[str, Any], reach: float) -> bool:
    """Whether the windows still lie under the posteriors at other parameters."""
    found = all_moments(integral, params)
    sd = np.asarray(integral.subjects.spacing) * (integral.n_nodes - 1) / (2 * reach)
    return _fits(np.asarray(found.mean), np.asarray(found.sd), np.asarray(integral.subjects.centre), sd)


def _fits(mean: Vector, spread: Vector, centre: Vector, sd: Vector) -> bool:
    shift, ratio = np.abs(mean - centre) / sd, spread / sd
    return bool(shift.max() < _SHIFT and ratio.max() < _RATIO and ratio.min() > 1 / _RATIO)


def narrowest(covariance: Vector) -> float:
    """Smallest sd, over subjects, of an integer combination of the standardised dimensions; one if uncorrelated."""
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (sd[:, :, None] * sd[:, None, :])
    n_dims = sd.shape[1]
    whole = np.array([k for k in product((-1, 0, 1), repeat=n_dims) if any(k)], np.float64)
    return float(np.sqrt(np.maximum(np.einsum("ki,sij,kj->sk", whole, correlation, whole), 1e-6).min()))
