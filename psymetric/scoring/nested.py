"""Posteriors of subjects whose responses share a second latent variable, at abilities of each subject's own.

Responses of one owner (a subject under one level of a facet) are independent given the ability and the owner's
variable; the variable is summed over, and the owners of a subject are independent given the ability.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import logsumexp

from psymetric.core.precision import double_precision
from psymetric.estimation.nested import LATENT_HALF_WIDTH, LatentGrid, latent_grid_for
from psymetric.models.base import ABILITY
from psymetric.models.nested import AbstractNestedModel
from psymetric.scoring.abilities import Extremes, Points, find_extremes, find_roots, posterior_mode
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import Piece, check_possible, model_log_probs, pieces
from psymetric.scoring.posterior import Posterior, subject_posterior

__all__ = ["NestedRows", "check_rows", "extremes_of", "mode_of", "nested_posterior", "posterior_of"]

Array = NDArray[np.float64]

_BLOCK = 1 << 22
"""Numbers (owners × abilities × nodes) held at once."""


@final
@dataclass(frozen=True)
class NestedRows:
    """Rows of a table, who owns them, and where the owners' variable is evaluated; S subjects, O owners, M nodes.

    Attributes:
        rows: The rows, sorted by subject.
        model: Their model.
        owner: Owner of each row, shape (R,), sorted by subject.
        subject, level: Subject and level of each owner, shape (O,).
        grid: Nodes or states of the variable.
    """

    rows: AlignedRows
    model: AbstractNestedModel
    owner: NDArray[np.int64]
    subject: NDArray[np.int64]
    level: NDArray[np.int64]
    grid: LatentGrid

    @classmethod
    def build(cls, rows: AlignedRows, model: AbstractNestedModel, grid: LatentGrid | None = None) -> NestedRows:
        """Sort the rows; by default on as many nodes as typical responses need."""
        rows = rows.take(np.argsort(rows.subject, kind="stable"))
        level = rows.codes[model.within].astype(np.int64)
        n_levels, n_categories = int(level.max(initial=0)) + 1, len(rows.categories)
        keys, owner = np.unique(rows.subject * n_levels + level, return_inverse=True)
        if grid is None and (n_states := model.n_states(n_categories)) is not None:
            grid = LatentGrid.states(n_states)
        if grid is None:
            most = float(np.bincount(owner, rows.weight).max(initial=1.0))
            information = most * float(rows.params[f"{model.latent}_sd"]) ** 2 * (n_categories**2 - 1) / 12
            wanted = latent_grid_for(2 * LATENT_HALF_WIDTH * np.sqrt(1 + information))
            grid = LatentGrid.normal(wanted, LATENT_HALF_WIDTH)
        return cls(rows, model, owner.reshape(-1), *np.divmod(keys, n_levels), grid)

    @cached_property
    def _params(self) -> dict[str, Any]:
        return jax.device_put(dict(self.rows.params))

    def log_likelihoods(self, _: AlignedRows, theta: Array) -> Array:
        """Log-likelihood of every subject at its own abilities, shape (S, N), from theta of that shape."""
        total = np.zeros_like(theta)
        for owners, joint in self.log_joint(theta):
            np.add.at(total, self.subject[owners], logsumexp(joint, axis=2))
        return total

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First and second derivative of every subject's log-likelihood at its ability, shape (S,) each."""
        first, second = np.zeros_like(theta), np.zeros_like(theta)
        for owners, joint in self._log_joint(theta[:, None], 2):
            value, slope, bend = joint[:, :, 0]
            mass = np.exp(value - logsumexp(value, axis=1, keepdims=True))
            mean = np.sum(mass * slope, axis=1)
            curved = np.sum(mass * (bend + slope**2), axis=1) - mean**2
            np.add.at(first, self.subject[owners], mean)
            np.add.at(second, self.subject[owners], curved)
        return first, second

    def inner(self, posterior: Posterior) -> tuple[Array, Array]:
        """Probabilities of the variable's nodes, shape (O, M), and its sd given the ability, in nodes' units, (O,).

        Both are averaged over the posterior of the subject's ability.
        """
        nodes = np.asarray(self.grid.nodes, np.float64)
        mass, sd = np.empty((len(self.subject), len(nodes))), np.empty(len(self.subject))
        for owners, joint in self.log_joint(posterior.theta):
            own = np.exp(joint - np.asarray(logsumexp(joint, axis=2, keepdims=True)))
            weight = posterior.weight[self.subject[owners]]
            variance = own @ nodes**2 - (own @ nodes) ** 2
            mass[owners] = np.einsum("on,onm->om", weight, own)
            sd[owners] = np.sqrt(np.maximum(np.sum(weight * variance, axis=1), 0.0))
        return mass, sd

    def owners_of(self, rows: AlignedRows) -> NDArray[np.int64]:
        """Owner of each of the rows that these were sorted from, shape (R,)."""
        found = np.empty_like(self.owner)
        found[np.argsort(rows.subject, kind="stable")] = self.owner
        return found

    @property
    def values(self) -> Array:
        """The variable at its nodes, shape (M,)."""
        with double_precision():
            return np.asarray(self.grid.values(self.model, self._params), np.float64)

    def drawn(self, theta: Array, rng: np.random.Generator) -> Array:
        """The owners' variable drawn given the responses and the subjects' abilities, shape (O, N) from (S, N)."""
        found = np.empty((len(self.subject), theta.shape[1]))
        for owners, joint in self.log_joint(theta):
            chosen = np.argmax(joint + rng.gumbel(size=joint.shape), axis=2)
            found[owners] = self.values[chosen]
        return found

    def log_joint(self, theta: Array) -> Iterator[tuple[slice, Array]]:
        """Blocks of owners with their log of likelihood times mass at abilities (S, N), shape (owners, N, M)."""
        return ((owners, joint[0]) for owners, joint in self._log_joint(theta, 0))

    def _log_joint(self, theta: Array, order: int) -> Iterator[tuple[slice, Array]]:
        """Blocks of owners with their log of likelihood times mass, shape (order + 1, owners, N, M)."""
        n_nodes, start = len(self.grid.nodes), 0
        most = max(_BLOCK // (theta.shape[1] * n_nodes * (order + 1)), 1)
        while start < len(self.subject):
            stop = min(start + most, len(self.subject))
            yield slice(start, stop), self._block(theta, start, stop, order)
            start = stop

    def _block(self, theta: Array, start: int, stop: int, order: int) -> Array:
        with double_precision():
            at = theta[self.subject[start:stop]]
            found = np.array(_log_masses(self.model, self._params, self.grid, self.level[start:stop], at,
                                         len(self.rows.categories), order))  # fmt: skip
            first, last = np.searchsorted(self.owner, [start, stop])
            if first == last:
                return found
            rows = self.rows.take(np.arange(first, last))
            for piece in pieces(rows, theta.shape[1] * len(self.grid.nodes) * (order + 1)):
                found += self._piece(rows, piece, self.owner[first:last][piece.where] - start, theta, found.shape)
        return found

    def _piece(self, rows: AlignedRows, piece: Piece, owner: Any, theta: Array, shape: tuple[int, ...]) -> Array:
        at = piece.pad(theta[rows.subject[piece.where]])
        values = _log_probs(
            self.model, self._params, self.grid, piece.codes, piece.response, at, len(rows.categories), shape[0] - 1
        )
        pick = csr_array((rows.weight[piece.where], (owner, np.arange(piece.count))), shape=(shape[1], piece.count))
        return np.stack([(pick @ piece.trim(part).reshape(piece.count, -1)).reshape(shape[1:]) for part in values])


def _taylor(function: Any, theta: JaxArray, order: int) -> JaxArray:
    """A function of abilities and its derivatives up to `order`, element by element, stacked first."""
    found = [function]
    for _ in range(order):
        below = found[-1]
        found.append(lambda at, below=below: jax.jvp(below, (at,), (jnp.ones_like(at),))[1])
    return jnp.stack([part(theta) for part in found])


@partial(jax.jit, static_argnames=("model", "n_categories", "order"))
def _log_probs(
    model: AbstractNestedModel,
    params: Any,
    grid: LatentGrid,
    codes: Any,
    response: JaxArray,
    theta: JaxArray,
    n_categories: int,
    order: int,
) -> JaxArray:
    """Log-probabilities of the responses, shape (order + 1, rows, abilities, nodes)."""
    codes = codes | {model.owner: jnp.zeros_like(response)}

    def chosen(at: JaxArray) -> JaxArray:
        def given(value: JaxArray) -> JaxArray:
            log_probs = model_log_probs(model, params | {model.latent: value[None]}, codes, at, n_categories)
            return jnp.take_along_axis(log_probs, response[:, None, None], axis=2)[:, :, 0]

        return jax.vmap(given, out_axes=2)(grid.values(model, params))

    return _taylor(chosen, theta, order)


@partial(jax.jit, static_argnames=("model", "n_categories", "order"))
def _log_masses(
    model: AbstractNestedModel,
    params: Any,
    grid: LatentGrid,
    level: JaxArray,
    theta: JaxArray,
    n_categories: int,
    order: int,
) -> JaxArray:
    """Log masses of the nodes for owners under these levels, shape (order + 1, owners, abilities, nodes)."""
    codes = {"subject": jnp.arange(theta.size), model.within: jnp.repeat(level, theta.shape[1])}

    def masses(at: JaxArray) -> JaxArray:
        found = grid.log_masses(model, params | {ABILITY: at.ravel()}, codes, n_categories)
        return found.reshape(*at.shape, -1)

    return _taylor(masses, theta, order)


def posterior_of(rows: AlignedRows, mean: float | Array, sd: float | Array) -> Posterior:
    """Posterior of every subject under its normal population, whatever its responses share; as `subject_posterior`."""
    if isinstance(rows.model, AbstractNestedModel):
        return nested_posterior(rows, rows.model, *_by_subject(rows, mean, sd))[0]
    return subject_posterior(rows, mean, sd)


def mode_of(rows: AlignedRows, mean: float | Array, sd: float | Array) -> Points:
    """Posterior modes, and standard errors from the curvature there; the highest mode where there are several."""
    if not isinstance(rows.model, AbstractNestedModel):
        return posterior_mode(rows, mean, sd)
    mean, sd = _by_subject(rows, mean, sd)
    posterior, nested = nested_posterior(rows, rows.model, mean, sd)
    best = np.clip(posterior.weight.argmax(axis=1), 1, posterior.theta.shape[1] - 2)[:, None]
    lower, start, upper = (np.take_along_axis(posterior.theta, best + step, axis=1)[:, 0] for step in (-1, 0, 1))

    def equation(theta: Array) -> tuple[Array, Array]:
        first, second = nested.derivatives(theta)
        return first - (theta - mean) / sd**2, second - 1 / sd**2

    mode = find_roots(equation, start, lower=lower, upper=upper)
    return Points(mode, 1 / np.sqrt(np.maximum(-equation(mode)[1], 1e-300)))


def _by_subject(rows: AlignedRows, mean: float | Array, sd: float | Array) -> tuple[Array, Array]:
    mean, sd = (np.broadcast_to(np.asarray(value, np.float64), len(rows.subjects)) for value in (mean, sd))
    return mean, sd


def extremes_of(rows: AlignedRows) -> Extremes:
    """Extreme subjects: all responses at an end of what the ability can reach, the second variable being at zero.

    Through states of a few, every category can be reached.
    """
    model, n_categories = rows.model, len(rows.categories)
    if not isinstance(model, AbstractNestedModel) or model.n_states(n_categories) is None:
        return find_extremes(_at_zero(rows))
    n = rows.by_subject(np.ones(len(rows.response)))
    high = n * (n_categories - 1)
    total = rows.by_subject(rows.response.astype(np.float64))
    return Extremes(np.zeros_like(n), high, (n > 0) & (total == 0), (n > 0) & (total == high))


def check_rows(rows: AlignedRows, *, who: str) -> None:
    """As `check_possible`, whatever the responses share."""
    check_possible(_at_zero(rows), who=who)


def _at_zero(rows: AlignedRows) -> AlignedRows:
    """The rows with a second variable that is zero everywhere, if the model has one."""
    model = rows.model
    if not isinstance(model, AbstractNestedModel):
        return rows
    return replace(
        rows,
        params={**rows.params, model.latent: np.zeros(1)},
        codes={**rows.codes, model.owner: np.zeros(len(rows.response), np.int32)},
    )


def nested_posterior(
    rows: AlignedRows, model: AbstractNestedModel, mean: Array, sd: Array
) -> tuple[Posterior, NestedRows]:
    """Posterior of every subject, and its rows on nodes that resolve the second variable.

    Args:
        rows: The responses.
        model: Their model.
        mean: Of each subject's population, shape (S,), logits.
        sd: Of the same shape.
    """
    nested = NestedRows.build(rows, model)
    while True:
        posterior = subject_posterior(
            nested.rows, mean, sd, log_likelihood=nested.log_likelihoods, start=Points(mean, sd)
        )
        if not nested.grid.is_normal:
            return posterior, nested
        nodes = np.asarray(nested.grid.nodes)
        spacing, narrowest = nodes[1] - nodes[0], float(nested.inner(posterior)[1].min(initial=1.0))
        wanted = latent_grid_for(1 + 2 * LATENT_HALF_WIDTH / max(narrowest, spacing / 4))
        if narrowest >= spacing or wanted <= len(nodes):
            return posterior, nested
        # A posterior narrower than the spacing hides in one node, and its sd reads as nearly zero: step by step.
        nested = NestedRows.build(rows, model, LatentGrid.normal(wanted, LATENT_HALF_WIDTH))
