"""Sums over the states that labels of one subject share, given its truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.gather_sum import GatherSum
from psymetric.models.shared_state import AbstractSharedStateModel

__all__ = ["SharedStates"]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["labels", "codes", "owners"], meta_fields=["least"])
@dataclass(frozen=True)
class SharedStates:
    """Pairs of a pattern of labels and a level of what shares a state.

    Attributes:
        labels: Sums rows of the (cells × categories, truths × states) table by pair.
        codes: Level of each pair, shape (pairs,), by the name of the facet; empty where there is none.
        owners: Sums pairs by pattern.
        least: Log-probability that stands for none.
    """

    labels: GatherSum
    codes: dict[str, Array]
    owners: GatherSum
    least: float

    @classmethod
    def build(
        cls,
        model: AbstractSharedStateModel,
        cells: Mapping[str, NDArray[np.int32]],
        counts: csr_array,
        n_categories: int,
        least: float,
    ) -> SharedStates:
        """From the codes of the cells and the labels of each pattern by cell and category."""
        facet, n_patterns = model.shared_by, counts.shape[0]
        entries = counts.tocoo()
        pattern, column = (np.asarray(code, np.int64) for code in entries.coords)
        level = np.zeros(len(column), np.int64) if facet is None else cells[facet][column // n_categories]
        n_levels = int(level.max(initial=0)) + 1
        pairs, pair = np.unique(pattern * n_levels + level, return_inverse=True)
        labels = csr_array((entries.data, (pair.reshape(-1), column)), shape=(len(pairs), counts.shape[1]))
        owners = csr_array((np.ones(len(pairs)), (pairs // n_levels, np.arange(len(pairs)))), (n_patterns, len(pairs)))
        codes = {} if facet is None else {facet: jax.device_put((pairs % n_levels).astype(np.int32))}
        return cls(GatherSum.build(labels), codes, GatherSum.build(owners), least)

    def log_joint(
        self,
        model: AbstractSharedStateModel,
        params: Mapping[str, Array],
        cells: Mapping[str, Array],
        n_categories: int,
    ) -> Array:
        """Log-probability of each pair's labels and states given truths, shape (pairs, truths, states)."""
        by_cell = model.label_state_log_probs(params, cells, n_categories)
        truths, states = by_cell.shape[1:3]
        rows = jnp.moveaxis(by_cell, 3, 1).reshape(-1, truths * states)
        sums = self.labels(jnp.maximum(rows, self.least)).reshape(-1, truths, states)
        return sums + jnp.maximum(model.state_log_probs(params, self.codes, n_categories), self.least)

    def log_probs(
        self,
        model: AbstractSharedStateModel,
        params: Mapping[str, Array],
        cells: Mapping[str, Array],
        n_categories: int,
    ) -> Array:
        """Log-probability of each pattern's labels given truths, states summed out, shape (patterns, truths)."""
        return self.owners(logsumexp(self.log_joint(model, params, cells, n_categories), axis=2))
