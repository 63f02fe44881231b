"""The likelihood of a latent-truth model, truths summed out."""

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
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from psymetric.core.bijectors import Bijector
from psymetric.core.distinct import distinct_places
from psymetric.core.gather_sum import GatherSum
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.shared_states import SharedStates
from psymetric.models.base import Table
from psymetric.models.shared_state import AbstractSharedStateModel
from psymetric.models.space import parameter_space
from psymetric.models.truth import CATEGORY, TRUTH, AbstractTruthModel

__all__ = ["TruthData", "TruthProblem", "TruthSums", "renamed_notes", "truth_data", "truth_problem", "truth_sums"]

Codes = NDArray[np.int32]

_LEAST = -1e4
"""Log-probability that stands for none: sums of it are numbers still, and no truth that has it is ever likely."""
_SOME = 0.7
"""Share of the subjects that their distinct patterns may be for counting them to pay."""


@final
@dataclass(frozen=True)
class TruthData:
    """A table as the likelihood reads it: subjects with equal labels are one pattern, counted.

    Attributes:
        cells: Codes of the distinct combinations that labels depend on, each of shape (cells,).
        counts: Weight of the labels of each pattern by cell and category, shape (patterns, cells × categories).
        subjects: Codes of each pattern by column, each of shape (patterns,); "subject" is that of its first subject.
        known: True category of each pattern, or -1, shape (patterns,).
        multiplicity: Subjects of each pattern, shape (patterns,).
        pattern: Pattern of each subject, shape (subjects,).
    """

    cells: dict[str, Codes]
    counts: csr_array
    subjects: dict[str, Codes]
    known: Codes
    multiplicity: NDArray[np.float64]
    pattern: NDArray[np.int64]


def truth_data(model: AbstractTruthModel, table: Table) -> TruthData:
    """Count the labels of a table."""
    labels, n_categories = model.labels(table), len(table.categories)
    first, cell = distinct_places([labels.codes[name] for name in model.cell_columns])
    cells = {name: labels.codes[name][first] for name in model.cell_columns}
    n_subjects, n_cells = len(labels.known), len(first)
    entries = (labels.codes["subject"], cell * n_categories + labels.response)
    # The conversion to compressed rows sums the weights of equal labels.
    counts = csr_array((labels.weight, entries), shape=(n_subjects, n_cells * n_categories))
    if "subject" in model.cell_columns:
        alone = np.ones(n_subjects)
        return TruthData(cells, counts, labels.subjects, labels.known, alone, np.arange(n_subjects))
    apart = [code for name, code in labels.subjects.items() if name != "subject"]
    place, pattern = distinct_places([*apart, labels.known + 1, _row_numbers(counts)])
    subjects = {name: code[place] for name, code in labels.subjects.items()}
    multiplicity = np.bincount(pattern, minlength=len(place)).astype(np.float64)
    return TruthData(cells, counts[place], subjects, labels.known[place], multiplicity, pattern)


def _row_numbers(counts: csr_array) -> NDArray[np.int64]:
    """The same number for equal rows of a sparse matrix, another for others, shape (rows,)."""
    # Equal rows have equal sums of random numbers, taken in one order; others hardly ever, which is looked at.
    draws = np.random.default_rng(0).standard_normal(counts.shape[1])
    _, first, number = np.unique(counts @ draws, return_index=True, return_inverse=True)
    number = number.reshape(-1).astype(np.int64)
    alone = np.arange(len(number))
    if len(first) > _SOME * len(number):
        return alone
    difference = csr_array(counts - counts[first[number]])
    return alone if difference.count_nonzero() else number


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["cells", "labels", "subjects", "clamp", "multiplicity", "shared"],
    meta_fields=["model", "n_categories"],
)
@dataclass(frozen=True)
class TruthSums:
    """What the likelihood of a latent-truth model reads.

    Attributes:
        cells: As in `TruthData`.
        labels: Sums rows of the (cells × categories, truths) table by pattern.
        subjects: As in `TruthData`.
        clamp: Zero for truths that a pattern may have, minus infinity for those that gold excludes, shape
            (patterns, truths).
        multiplicity: As in `TruthData`.
        shared: What sums labels by pattern in place of `labels` where those of one subject share states.
    """

    model: AbstractTruthModel
    cells: dict[str, Array]
    labels: GatherSum
    subjects: dict[str, Array]
    clamp: Array
    multiplicity: Array
    n_categories: int
    shared: SharedStates | None

    def log_joint(self, params: Mapping[str, Array]) -> Array:
        """Log of likelihood times prevalence, shape (patterns, truths)."""
        prior = self.model.truth_log_probs(params, self.subjects, self.n_categories)
        return self.given_truths(params) + jnp.maximum(prior, _LEAST) + self.clamp

    def given_truths(self, params: Mapping[str, Array]) -> Array:
        """Log-probability of the labels of each pattern under every truth, shape (patterns, truths)."""
        if self.shared is not None and isinstance(self.model, AbstractSharedStateModel):
            return self.shared.log_probs(self.model, params, self.cells, self.n_categories)
        by_cell = self.model.label_log_probs(params, self.cells, self.n_categories)
        rows = jnp.swapaxes(by_cell, 1, 2).reshape(-1, by_cell.shape[1])
        return self.labels(jnp.maximum(rows, _LEAST))

    def log_likelihood(self, params: Mapping[str, Array]) -> Array:
        """Log-likelihood from constrained arrays, a scalar."""
        return jnp.sum(self.multiplicity * logsumexp(self.log_joint(params), axis=1))


def truth_sums(model: AbstractTruthModel, data: TruthData, n_categories: int) -> TruthSums:
    """The sums of a table on the device."""
    clamp = np.zeros((len(data.known), n_categories))
    clamped = np.flatnonzero(data.known >= 0)
    clamp[clamped] = -np.inf
    clamp[clamped, data.known[clamped]] = 0.0
    shared = None
    if isinstance(model, AbstractSharedStateModel):
        shared = SharedStates.build(model, data.cells, data.counts, n_categories, _LEAST)
    return TruthSums(
        model=model,
        cells=jax.device_put(data.cells),
        labels=GatherSum.build(data.counts),
        subjects=jax.device_put(data.subjects),
        clamp=jax.device_put(clamp),
        multiplicity=jax.device_put(data.multiplicity),
        n_categories=n_categories,
        shared=shared,
    )


@final
@partial(jax.tree_util.register_dataclass, data_fields=["space", "sums"], meta_fields=["prior"])
@dataclass(frozen=True)
class TruthProblem:
    """Labels of subjects whose truths are summed out.

    Attributes:
        prior: Whether the priors are part of the density.
    """

    space: ParameterSpace
    sums: TruthSums
    prior: bool

    @property
    def model(self) -> AbstractTruthModel:
        """The model."""
        return self.sums.model

    @property
    def n_categories(self) -> int:
        """Number of categories."""
        return self.sums.n_categories

    def log_likelihood(self, free: Array) -> Array:
        """Log-likelihood, a scalar."""
        return self.sums.log_likelihood(self.space.constrain(free))

    def penalty(self, free: Array) -> Array:
        """What the density has beyond the likelihood: the priors, or the distribution of the random facets."""
        penalty = self.space.penalty(free, prior=self.prior)
        return penalty + self.model.log_prior(self.space.constrain(free)) if self.prior else penalty

    def log_density(self, free: Array) -> Array:
        """What the engine maximises or samples."""
        return self.log_likelihood(free) + self.penalty(free)


def truth_problem(model: AbstractTruthModel, table: Table, *, prior: bool) -> TruthProblem:
    """Set up the likelihood of a latent-truth model, subjects of equal labels counted."""
    sums = truth_sums(model, truth_data(model, table), len(table.categories))
    return TruthProblem(parameter_space(model, table, ability="integrated"), sums, prior)


def renamed_notes(problem: TruthProblem, free: NDArray[np.float64]) -> tuple[str, ...]:
    """How many draws, shape (chains, draws, size), have their truths under other names than those labels agree with."""
    where = problem.space.slices()
    spec = next((spec for spec in problem.model.parameters if spec.axes[-2:] == (TRUTH, CATEGORY)), None)
    if spec is None or np.isfinite(np.asarray(problem.sums.clamp)).sum() < problem.sums.clamp.size:
        return ()
    bijector = next(block.bijector for block in problem.space.blocks if block.name == spec.name)
    flat = jax.device_put(free.reshape(-1, problem.space.size)[:, where[spec.name]])
    said = np.asarray(_mean_rows(bijector, flat))
    order = np.arange(said.shape[-1])
    renamed = float(np.mean([not np.array_equal(linear_sum_assignment(-one)[1], order) for one in said]))
    if not renamed:
        return ()
    return (
        f"in {100 * renamed:.1f}% of the draws judges agree better with the truths under other names: labels and "
        "priors together do not settle which truth is which. Use gold labels, or priors that say more of the judges",
    )


@jax.jit
def _mean_rows(bijector: Bijector, free: Array) -> Array:
    """Mean over judges of each draw's log-probabilities of the categories, shape (draws, truths, categories)."""
    logs = jnp.log(jax.vmap(bijector.forward)(free))
    return jnp.mean(logs.reshape(logs.shape[0], -1, *logs.shape[-2:]), axis=1)
