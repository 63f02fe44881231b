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
from itertools import product
from math import prod
from typing import Any, TypeVar, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.space import CORRELATION, POPULATION_MEAN, POPULATION_SD

__all__ = [
    "COARSE",
    "Accuracy",
    "Integral",
    "ItemGroup",
    "Moments",
    "Subjects",
    "accuracy",
    "all_moments",
    "group_rows",
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
@partial(jax.tree_util.register_dataclass, data_fields=["codes", "picked"], meta_fields=["dims"])
@dataclass(frozen=True)
class ItemGroup:
    """Responses of S subjects to the items that measure the same dimensions.

    Attributes:
        dims: Those dimensions.
        codes: Facet codes of every subject's responses, each of shape (S, slots).
        picked: Weight of every response in its category, zero where a subject has no further response, shape (S, slots,
            categories).
    """

    dims: tuple[int, ...]
    codes: dict[str, Array]
    picked: Array


@final
@partial(jax.tree_util.register_dataclass, data_fields=["groups", "centre", "spacing"], meta_fields=[])
@dataclass(frozen=True)
class Subjects:
    """S subjects: their responses, and the windows under their posteriors, each of shape (S, D) in logits."""

    groups: tuple[ItemGroup, ...]
    centre: Array
    spacing: Array


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
@partial(jax.tree_util.register_dataclass, data_fields=["subjects"], meta_fields=["model", "n_categories", "n_nodes"])
@dataclass(frozen=True)
class Integral:
    """Marginal likelihoods and posteriors of subjects on windows of `n_nodes` along each dimension."""

    model: AbstractMeasurementModel
    subjects: Subjects
    n_categories: int
    n_nodes: int

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
        return self.n_nodes**self.n_dimensions + rows

    def nodes(self, subject: Subjects) -> Array:
        """Nodes of one subject along each dimension, shape (D, nodes)."""
        offset = jnp.arange(self.n_nodes) - (self.n_nodes - 1) / 2
        return subject.centre[:, None] + subject.spacing[:, None] * offset

    def log_joint(self, params: Mapping[str, Array], subject: Subjects) -> Array:
        """Log of likelihood times the population's mass on one subject's window, shape (nodes,) * D."""
        nodes = self.nodes(subject)
        total = log_population(params, nodes) + jnp.sum(jnp.log(subject.spacing))
        # A population that the nodes do not resolve, as its sd nears 0 or a correlation ±1, would have a mass without
        # bound on the few that it meets, and a posterior over such parameters would be improper.
        total = total - jnp.maximum(logsumexp(total), 0.0)
        for group in subject.groups:
            total = total + self._along(params, group, nodes)
        return total

    def _along(self, params: Mapping[str, Array], group: ItemGroup, nodes: Array) -> Array:
        """Log-likelihood of one group's responses on the axes that it measures."""
        n_dims = len(nodes)
        axes = jnp.meshgrid(*(nodes[d] for d in group.dims), indexing="ij")
        points = jnp.zeros((axes[0].size, n_dims))
        points = points.at[:, jnp.array(group.dims)].set(jnp.stack([axis.ravel() for axis in axes], axis=1))
        codes = group.codes | {"subject": jnp.zeros(group.picked.shape[0], jnp.int32)}

        def at(point: Array) -> Array:
            # One subject stands at the node, so that the model's one likelihood serves here too.
            log_probs = self.model.category_log_probs({**params, ABILITY: point[None]}, codes, self.n_categories)
            return jnp.sum(group.picked * log_probs)

        # Mapped over nodes, levels are looked up once per response.
        values = jax.vmap(at)(points)
        return values.reshape([self.n_nodes if d in group.dims else 1 for d in range(n_dims)])

    def log_marginal(self, params: Mapping[str, Array], subject: Subjects) -> Array:
        """Log of one subject's marginal likelihood, a scalar."""
        return logsumexp(self.log_joint(params, subject))

    def moments(self, params: Mapping[str, Array], subject: Subjects) -> Moments:
        """Posterior moments of one subject."""
        log_joint = self.log_joint(params, subject)
        mass = jnp.exp(log_joint - logsumexp(log_joint))
        n_dims, every = self.n_dimensions, range(self.n_dimensions)
        marginal = jnp.stack([jnp.sum(mass, axis=tuple(e for e in every if e != d)) for d in every])
        away = self.nodes(subject) - subject.centre[:, None]
        mean = jnp.sum(marginal * away, axis=1)
        second = [[jnp.zeros(())] * n_dims for _ in every]
        for d in every:
            second[d][d] = jnp.sum(marginal[d] * away[d] ** 2)
            for e in range(d):
                pair = jnp.sum(mass, axis=tuple(f for f in every if f not in (d, e)))
                second[d][e] = second[e][d] = away[e] @ pair @ away[d]
        covariance = jnp.stack([jnp.stack(row) for row in second]) - jnp.outer(mean, mean)
        return Moments(subject.centre + mean, covariance, marginal)

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

    def with_nodes(self, centre: Array, spacing: Array, n_nodes: int) -> Integral:
        """The same integral on other windows."""
        return replace(self, subjects=replace(self.subjects, centre=centre, spacing=spacing), n_nodes=n_nodes)


def log_population(params: Mapping[str, Array], nodes: Array) -> Array:
    """Log density of the normal population on the product of nodes along D dimensions, shape (nodes,) * D."""
    mean, sd, correlation = (params[name] for name in (POPULATION_MEAN, POPULATION_SD, CORRELATION))
    n_dims = len(nodes)
    away = (nodes - mean[:, None]) / sd[:, None]
    precision = jnp.linalg.inv(correlation)
    along = [away[d].reshape([-1 if e == d else 1 for e in range(n_dims)]) for d in range(n_dims)]
    log_det = jnp.linalg.slogdet(correlation)[1] + 2 * jnp.sum(jnp.log(sd)) + n_dims * jnp.log(2 * jnp.pi)
    total = -0.5 * log_det
    for d in range(n_dims):
        total = total - 0.5 * precision[d, d] * along[d] ** 2
        for e in range(d):
            total = total - precision[d, e] * along[d] * along[e]
    return total


@jax.jit
def _all_moments(integral: Integral, params: dict[str, Array]) -> Moments:
    return integral.each(lambda subject: integral.moments(params, subject))


def all_moments(integral: Integral, params: Mapping[str, Any]) -> Moments:
    """Posterior moments of all subjects, at constrained parameters."""
    return _all_moments(integral, {name: jnp.asarray(value) for name, value in params.items()})


def group_rows(
    pattern: NDArray[np.bool_],
    codes: Mapping[str, NDArray[np.int32]],
    subject: NDArray[np.int32],
    response: NDArray[np.int32],
    weight: Vector,
    *,
    n_subjects: int,
    n_categories: int,
) -> tuple[ItemGroup, ...]:
    """Rows dealt to subjects, one group for every set of dimensions that items measure together.

    `pattern` says which items measure which dimensions, shape (items, D); codes ("item" among them), responses and
    weights belong to rows, shape (rows,).
    """
    kinds, kind_of = np.unique(pattern, axis=0, return_inverse=True)
    kind = kind_of.reshape(-1)[codes["item"]]
    groups: list[ItemGroup] = []
    for place in range(len(kinds)):
        rows = np.flatnonzero((kind == place) & (weight > 0))
        if not len(rows):
            continue
        rows = rows[np.argsort(subject[rows], kind="stable")]
        owner = subject[rows]
        count = np.bincount(owner, minlength=n_subjects)
        slot = np.arange(len(rows)) - (np.cumsum(count) - count)[owner]
        shape = (n_subjects, int(count.max()))
        dealt: dict[str, Array] = {}
        for name, code in codes.items():
            table = np.zeros(shape, np.int32)
            table[owner, slot] = code[rows]
            dealt[name] = jnp.asarray(table)
        picked = np.zeros((*shape, n_categories))
        picked[owner, slot, response[rows]] = weight[rows]
        groups.append(ItemGroup(tuple(np.flatnonzero(kinds[place]).tolist()), dealt, jnp.asarray(picked)))
    return tuple(groups)


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
        integral = integral.with_nodes(jnp.asarray(centre), jnp.asarray(2 * wanted.reach * sd / (n_nodes - 1)), n_nodes)
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
