"""A second latent variable inside the marginal likelihood, for ratings that hang together within a subject.

Given the subject's ability, the likelihood of what an owner (a subject under one level of a facet) responded is a sum
over the nodes or states of the owner's variable, and the subject's likelihood is the product over its owners. Owners
of equal responses under one level have equal likelihoods, which are computed once. The work goes from ability to
ability, so that memory holds owners × nodes of the inner variable and not the grid of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.distinct import factorized
from psymetric.core.gather_sum import GatherSum
from psymetric.core.quadrature import normal_grid
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.nested import AbstractNestedModel

__all__ = ["LATENT_HALF_WIDTH", "LatentGrid", "NestedPlan", "latent_grid_for", "nested_plan"]

LATENT_HALF_WIDTH = 6.0
_GRIDS = (13, 17, 23, 31, 41, 55, 73, 97, 129, 171, 227, 301, 401)
_TYPICAL_VARIANCE = 0.5
"""Of the variable in squared logits, behind the first guess at the nodes it takes."""
_COLUMNS = 64
"""Numbers to a row of the table that is gathered: rows much shorter waste the processor's lanes."""


@final
@partial(jax.tree_util.register_dataclass, data_fields=["nodes", "log_weights"], meta_fields=["is_normal"])
@dataclass(frozen=True)
class LatentGrid:
    """Where the inner variable is evaluated: nodes of N(0, 1) with their log weights, or the numbered states.

    Attributes:
        nodes: Shape (nodes,).
        log_weights: Shape (nodes,); of states, whose probabilities the model knows, zero.
        is_normal: Whether these are nodes and not states.
    """

    nodes: Array
    log_weights: Array
    is_normal: bool

    @classmethod
    def normal(cls, n_nodes: int, half_width: float) -> LatentGrid:
        """Nodes of a standard normal variable."""
        nodes, log_weights = normal_grid(n_nodes, half_width)
        return cls(jax.device_put(nodes), jax.device_put(log_weights), True)

    @classmethod
    def states(cls, n_states: int) -> LatentGrid:
        """The states of a discrete variable."""
        return cls(jnp.arange(n_states), jnp.zeros(n_states), False)

    def values(self, model: AbstractNestedModel, params: Mapping[str, Array]) -> Array:
        """The variable at the nodes, shape (nodes,)."""
        return params[f"{model.latent}_sd"] * self.nodes if self.is_normal else self.nodes

    def log_masses(
        self, model: AbstractNestedModel, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int
    ) -> Array:
        """Log-probabilities of the nodes for pairs with these codes, shape (pairs, nodes)."""
        if self.is_normal:
            return jnp.broadcast_to(self.log_weights, (codes["subject"].shape[0], self.nodes.shape[0]))
        return model.state_log_probs(params, codes, n_categories)


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["cells", "patterns", "subjects", "grid"],
    meta_fields=["model", "n_levels", "n_categories"],
)
@dataclass(frozen=True)
class NestedPlan:
    """How rows of the table make owners, and owners subjects.

    Attributes:
        cells: Codes of the distinct facet-level combinations, each of shape (cells,).
        patterns: Sums rows of the table (cells × categories, then levels of the facet) by distinct responses of an
            owner; the row of its level holds the log masses of the nodes.
        subjects: Sums patterns by subject.
        grid: Where the inner variable is evaluated.
        n_levels: Number of levels of the facet.
    """

    model: AbstractNestedModel
    cells: dict[str, Array]
    patterns: GatherSum
    subjects: GatherSum
    grid: LatentGrid
    n_levels: int
    n_categories: int

    def log_joint(self, params: Mapping[str, Array], abilities: Array) -> Array:
        """Log of likelihood times mass of the nodes, shape (patterns, abilities, nodes)."""
        model, zeros = self.model, jnp.zeros_like(next(iter(self.cells.values())))
        codes = {**self.cells, "subject": zeros, model.owner: zeros}
        levels = {model.within: jnp.arange(self.n_levels), "subject": jnp.zeros(self.n_levels, zeros.dtype)}
        values = self.grid.values(model, params)

        def at(ability: Array) -> Array:
            known = {**params, ABILITY: ability[None]}

            def given(value: Array) -> Array:
                # One subject with one owner stands at the nodes, so that the model's one likelihood serves here too.
                return model.category_log_probs({**known, model.latent: value[None]}, codes, self.n_categories)

            rows = jax.vmap(given, out_axes=2)(values).reshape(-1, values.shape[0])
            return jnp.concatenate([rows, self.grid.log_masses(model, known, levels, self.n_categories)])

        table = jax.vmap(at, out_axes=1)(abilities)
        return self.patterns(table.reshape(table.shape[0], -1)).reshape(-1, *table.shape[1:])

    def by_subject(self, params: Mapping[str, Array], abilities: Array) -> Array:
        """Log-likelihood of every subject's responses at some abilities, shape (subjects, abilities)."""

        @jax.checkpoint
        def block(some: Array) -> Array:
            return logsumexp(self.log_joint(params, some), axis=2)

        found = jax.lax.map(block, self._blocks(abilities)).transpose(1, 0, 2)
        return self.subjects(found.reshape(found.shape[0], -1)[:, : abilities.shape[0]])

    def spread(self, params: Mapping[str, Array], abilities: Array, posterior: Array) -> tuple[Array, Array, Array]:
        """Where the inner variable's posteriors lie, averaged over the posterior of the subjects' abilities.

        Args:
            params: Constrained arrays by name.
            abilities: Nodes in logits, shape (nodes,).
            posterior: Of the subjects on them, shape (subjects, nodes).

        Returns:
            Means, in sds of the variable, and sds given the ability, of each pattern, shape (patterns,), and the
            largest mass at an end of the grid.
        """
        mass = jax.vjp(self.subjects, jnp.zeros((self.subjects.shape[1], abilities.shape[0])))[1](posterior)[0]
        mass = mass / jnp.sum(mass, axis=1, keepdims=True)
        nodes = self.grid.nodes

        def block(some: Array) -> tuple[Array, Array, Array]:
            log_joint = self.log_joint(params, some)
            inner = jnp.exp(log_joint - logsumexp(log_joint, axis=2, keepdims=True))
            mean = inner @ nodes
            return mean, inner @ nodes**2 - mean**2, jnp.maximum(inner[..., 0], inner[..., -1])

        found = jax.lax.map(block, self._blocks(abilities))
        mean, variance, end = (
            jnp.sum(mass * part.transpose(1, 0, 2).reshape(mass.shape[0], -1)[:, : mass.shape[1]], axis=1)
            for part in found
        )
        return mean, jnp.sqrt(jnp.maximum(variance, 0.0)), jnp.max(end)

    def _blocks(self, abilities: Array) -> Array:
        """Abilities in rows that are worked on together, the last one repeated where they do not fill them."""
        width = max(1, _COLUMNS // self.grid.nodes.shape[0])
        return jnp.pad(abilities, (0, -abilities.shape[0] % width), mode="edge").reshape(-1, width)

    def with_grid(self, n_nodes: int, half_width: float) -> NestedPlan:
        """The same plan with other nodes of a normal variable."""
        return replace(self, grid=LatentGrid.normal(n_nodes, half_width))

    def finer(self, factor: float) -> NestedPlan:
        """The same plan with that many times the nodes, where the variable has nodes and not states."""
        n_nodes = int(factor * self.grid.nodes.shape[0])
        return self.with_grid(n_nodes, float(np.asarray(self.grid.nodes)[-1])) if self.grid.is_normal else self


def latent_grid_for(n_nodes: float) -> int:
    """The next of a few node counts, so that compiled programs are shared."""
    return next((grid for grid in _GRIDS if grid >= n_nodes), _GRIDS[-1])


def nested_plan(
    model: AbstractMeasurementModel, table: Table, cells: dict[str, Array], cell: NDArray[np.int64]
) -> NestedPlan | None:
    """The plan of a model with a second latent variable, or None.

    Args:
        model: Any model.
        table: Responses.
        cells: Codes of the distinct facet-level combinations.
        cell: The combination of every row, shape (rows,).
    """
    if not isinstance(model, AbstractNestedModel):
        return None
    n_categories, n_cells = len(table.categories), len(next(iter(cells.values())))
    n_subjects, n_levels = len(table.levels["subject"]), len(table.levels[model.within])
    pair = table.codes["subject"].astype(np.int64) * n_levels + table.codes[model.within]
    keys, owner = factorized(pair, n_subjects * n_levels)
    subject, level = np.divmod(keys, n_levels)
    n_owners, n_rows = len(keys), n_cells * n_categories + n_levels
    rows = np.concatenate([cell * n_categories + table.response, n_cells * n_categories + level])
    owners = np.concatenate([owner, np.arange(n_owners)])
    weight = np.concatenate([table.weight, np.ones(n_owners)])
    # The conversion to compressed rows sums the weights of equal responses.
    counts = csr_array((weight, (owners, rows)), shape=(n_owners, n_rows))
    first, pattern = _distinct_rows(counts)
    if not np.all(table.weight):
        # Replicates of a table differ in which weights are zero: they share a program where they keep all owners.
        first = pattern = np.arange(n_owners)
    of_subject = csr_array((np.ones(n_owners), (subject, pattern)), shape=(n_subjects, len(first)))
    n_states = model.n_states(n_categories)
    grid = LatentGrid.normal(_first_grid(counts, n_categories), LATENT_HALF_WIDTH)
    return NestedPlan(
        model=model,
        cells=cells,
        patterns=GatherSum.build(csr_array(counts[first])),
        subjects=GatherSum.build(of_subject),
        grid=grid if n_states is None else LatentGrid.states(n_states),
        n_levels=n_levels,
        n_categories=n_categories,
    )


def _first_grid(counts: csr_array, n_categories: int) -> int:
    """Nodes that resolve the owner of most responses, by the rule of the subjects' grid."""
    most = float(counts.sum(axis=1).max()) - 1
    information = _TYPICAL_VARIANCE * most * (n_categories**2 - 1) / 24
    return latent_grid_for(2 * LATENT_HALF_WIDTH * np.sqrt(1 + information))


def _distinct_rows(counts: csr_array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First of each kind of equal rows of a matrix in canonical form, and the kind of every row."""
    counts.sum_duplicates()
    kinds: dict[bytes, int] = {}
    kind, first = np.empty(counts.shape[0], np.int64), list[int]()
    for row, (start, stop) in enumerate(zip(counts.indptr[:-1], counts.indptr[1:], strict=True)):
        key = counts.indices[start:stop].tobytes() + counts.data[start:stop].tobytes()
        kind[row] = kinds.setdefault(key, len(kinds))
        if kind[row] == len(first):
            first.append(row)
    return np.array(first, np.int64), kind
