"""The conditional likelihood of responses given each subject's sum, for models whose weights are log-linear.

A cell is one combination of the levels that a model reads, and acts as an item. Subjects who answered the same cells
and reached the same sum say the same about the parameters, so that they are counted and not listed: work grows with
the distinct sets of cells, not with subjects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray

from psymetric.core.distinct import factorized
from psymetric.core.parameters import ParameterSpace
from psymetric.core.symmetric import expected_counts, information, sum_chain
from psymetric.errors import DesignError
from psymetric.estimation.suitability import use_instead
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import parameter_space

__all__ = ["CellWeights", "ConditionalProblem", "PatternBlock", "answer_patterns", "cell_weights", "structural_space"]

Vector = NDArray[np.float64]
Codes = NDArray[np.int64]

_BLOCK = 1 << 18
"""Numbers that one step of a recursion may hold at once: about what a core's cache does."""
_WHOLE = 1e-9
_EXACT = 1e-6
"""Logits by which a model may miss its own linear form; weights of unused categories are 1e4, and round accordingly."""


@final
@dataclass(frozen=True)
class PatternBlock:
    """Patterns of equal length: which cells were answered, and how many subjects reached each sum.

    Attributes:
        cells: Shape (P, I); a cell answered twice stands there twice.
        counts: Subjects by sum, shape (P, I (K − 1) + 1).
    """

    cells: Codes
    counts: Vector

    def pieces(self, size: int) -> Iterator[PatternBlock]:
        """The same patterns, at most `size` at a time."""
        for start in range(0, len(self.cells), size):
            yield PatternBlock(self.cells[start : start + size], self.counts[start : start + size])


@final
@dataclass(frozen=True)
class CellWeights:
    """Log weights of the categories of every cell as an affine function of the free vector.

    Attributes:
        offset: Shape (cells, K).
        design: Shape (cells, K, D).
    """

    offset: Vector
    design: Vector

    def at(self, free: Vector) -> Vector:
        """Log weights, the largest of each cell zero, shape (cells, K)."""
        weights = self.offset + self.design @ free
        return weights - weights.max(axis=1, keepdims=True)


@final
@dataclass(frozen=True)
class ConditionalProblem:
    """Log-likelihood given the sums, its gradient and information.

    Attributes:
        blocks: The patterns.
        weights: Of their cells.
        observed: Responses in every category of every cell, shape (cells, K).
    """

    blocks: tuple[PatternBlock, ...]
    weights: CellWeights
    observed: Vector

    def value_and_gradient(self, free: Vector) -> tuple[float, Vector]:
        """Conditional log-likelihood and its gradient: observed minus expected sufficient statistics."""
        weights = self.weights.at(free)
        value, excess = float(np.sum(self.observed * weights)), self.observed.copy()
        n_cells, n_categories = weights.shape
        for block in self._pieces(1):
            chain = sum_chain(weights[block.cells])
            value -= float(np.sum(block.counts * chain.log_gamma))
            expected = expected_counts(chain, block.counts)
            flat = (block.cells[:, :, None] * n_categories + np.arange(n_categories)).ravel()
            excess -= np.bincount(flat, expected.ravel(), n_cells * n_categories).reshape(weights.shape)
        return value, np.einsum("ck,ckd->d", excess, self.weights.design, optimize=True)

    def information(self, free: Vector) -> Vector:
        """Observed information, which given the sums is also the expected one, shape (D, D)."""
        weights, design = self.weights.at(free), self.weights.design
        found = np.zeros((len(free), len(free)))
        for block in self._pieces(len(free)):
            found += information(sum_chain(weights[block.cells]), block.counts, design, block.cells)
        return found

    def _pieces(self, depth: int) -> Iterator[PatternBlock]:
        n_categories = self.observed.shape[1]
        for block in self.blocks:
            # Value and gradient keep every step of the chain; information keeps one, but for every parameter.
            each = n_categories * block.counts.shape[1] * max(depth, block.cells.shape[1])
            yield from block.pieces(max(1, _BLOCK // each))


def structural_space(model: AbstractMeasurementModel, table: Table) -> ParameterSpace:
    """The parameter space without the subjects, nor a population of them."""
    space = parameter_space(model, table, ability="free")
    return ParameterSpace(tuple(block for block in space.blocks if block.name != ABILITY))


def answer_patterns(
    model: AbstractMeasurementModel, table: Table, engine: str
) -> tuple[tuple[PatternBlock, ...], dict[str, Codes], Vector]:
    """Patterns of answered cells, the facet codes of every cell, and observed responses per cell and category.

    Raises:
        DesignError: A weight is not a whole number, so that no sum of responses goes with it.
    """
    rows, subject = _repeated(table, engine), table.codes["subject"].astype(np.int64)
    key, bound = np.zeros(len(subject), np.int64), 1
    for facet in model.facets:
        size = len(table.levels[facet])
        key, bound = key * size + table.codes[facet], bound * size
    found, cell = factorized(key[rows], bound)
    codes: dict[str, Codes] = {}
    for facet in reversed(model.facets):
        found, codes[facet] = np.divmod(found, len(table.levels[facet]))
    n_cells, n_categories = len(next(iter(codes.values()))), len(table.categories)
    response = table.response[rows].astype(np.int64)
    observed = np.bincount(cell * n_categories + response, minlength=n_cells * n_categories).astype(np.float64)
    blocks = tuple(_blocks(subject[rows], cell, response, n_categories))
    return blocks, codes, observed.reshape(n_cells, n_categories)


def _repeated(table: Table, engine: str) -> Codes:
    """Row numbers, each as often as its weight says."""
    times = np.rint(table.weight).astype(np.int64)
    if (wrong := np.abs(table.weight - times) > _WHOLE).any():
        first = int(np.flatnonzero(wrong)[0])
        raise DesignError(
            f"{engine} conditions on sums of responses, so that weights must be whole numbers: {int(wrong.sum())} rows "
            f"have others, the first row {first} with {table.weight[first]:g}. Use MarginalML(), or leave weights out"
        )
    return np.repeat(np.arange(len(times)), times)


def _blocks(subject: Codes, cell: Codes, response: Codes, n_categories: int) -> Iterator[PatternBlock]:
    order = np.lexsort((cell, subject))
    subject, cell, response = subject[order], cell[order], response[order]
    starts = np.flatnonzero(np.diff(subject, prepend=-1))
    lengths = np.diff(starts, append=len(subject))
    sums = np.add.reduceat(response, starts) if len(starts) else starts
    for length in np.unique(lengths).tolist():
        chosen = lengths == length
        answered = cell[starts[chosen, None] + np.arange(length)]
        patterns, which = np.unique(answered, axis=0, return_inverse=True)
        n_sums = length * (n_categories - 1) + 1
        counts = np.bincount(which.reshape(-1) * n_sums + sums[chosen], minlength=len(patterns) * n_sums)
        yield PatternBlock(patterns, counts.reshape(len(patterns), n_sums).astype(np.float64))


def cell_weights(
    model: AbstractMeasurementModel, space: ParameterSpace, codes: dict[str, Codes], n_categories: int, engine: str
) -> CellWeights:
    """Log weights of the cells from the model's own probabilities.

    Raises:
        DesignError: The sum of the categories is not sufficient for the subject, or weights are not log-linear.
    """
    given = {facet: jax.device_put(code.astype(np.int32)) for facet, code in codes.items()}
    given["subject"] = jnp.zeros_like(next(iter(given.values())))
    trial = np.random.default_rng(0).normal(0.0, 0.5, space.size)
    values = _log_odds(model, space, given, jax.device_put(trial), n_categories)
    offset, design, moved, shifted = (np.asarray(value) for value in values)
    linear = np.allclose(moved, offset + design @ trial, rtol=0, atol=_EXACT)
    if not linear or not np.allclose(shifted - moved, np.arange(n_categories), rtol=0, atol=_EXACT):
        raise DesignError(
            f"{engine} needs a model in which the sum of a subject's responses says all about the subject, and in "
            f"{type(model).__name__} it does not: {use_instead(model)}"
        )
    return CellWeights(offset, design)


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _log_odds(
    model: AbstractMeasurementModel, space: ParameterSpace, codes: Any, trial: JaxArray, n_categories: int
) -> tuple[JaxArray, JaxArray, JaxArray, JaxArray]:
    """Log-odds against the lowest category: at zero, their derivative, at `trial`, and there for an ability of one."""

    def at(free: JaxArray, ability: float = 0.0) -> JaxArray:
        params = space.constrain(free) | {ABILITY: jnp.full(1, ability)}
        log_probs = model.category_log_probs(params, codes, n_categories)
        return log_probs - log_probs[:, :1]

    zero = jnp.zeros_like(trial)
    return at(zero), jax.jacfwd(at)(zero), at(trial), at(trial, 1.0)
