"""Confusion matrices by accelerated EM: sparse products of labels with tables of log-probabilities.

All parameters are rows of probabilities over K categories: first the prevalence of each group over the truths, then
what each judge says under each truth. A table of their logs has one line for each group, and one for each judge and
category, with a column for each truth, so that a subject's joint log-probabilities are one sparse product, and expected
counts the product with the transposed matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from psymetric.estimation.truth import TruthData, truth_data
from psymetric.models.base import Table
from psymetric.models.dawid_skene import CONFUSION, DawidSkene
from psymetric.models.truth import PREVALENCE

__all__ = [
    "TINY",
    "ConfusionSums",
    "Expected",
    "accelerated_em",
    "confusion_sums",
    "maximised",
    "random_rows",
    "voted_rows",
]

Array = NDArray[np.float64]

TINY = 1e-12
"""Probability that stands for zero: its log is a number."""
_LONGEST_STEP = 4.0
"""Factor by which the longest extrapolation grows where it was reached, and shrinks where it lost density."""


@final
@dataclass(frozen=True)
class ConfusionSums:
    """What the likelihood of confusion matrices reads; G groups, J judges, K categories.

    Attributes:
        design: Groups and labels of each pattern, shape (patterns, G + J × K).
        clamped: Patterns whose truth is known, and that truth, each of shape (clamped,).
        multiplicity: Subjects of each pattern, shape (patterns,).
        prior: Parameters of the Dirichlet priors, of the rows' shape; zeros without them.
        n_groups: G.
    """

    design: csr_array
    clamped: tuple[NDArray[np.int64], NDArray[np.int32]]
    multiplicity: Array
    prior: Array
    n_groups: int

    def log_table(self, rows: Array) -> Array:
        """Logs of the probabilities by column of the design and truth, shape (G + J × K, K)."""
        logs, n_categories = np.log(rows), rows.shape[1]
        judges = logs[self.n_groups :].reshape(-1, n_categories, n_categories).swapaxes(1, 2)
        return np.concatenate([logs[: self.n_groups], judges.reshape(-1, n_categories)])

    def as_rows(self, table: Array) -> Array:
        """The inverse arrangement of `log_table`, without the logs."""
        n_categories = table.shape[1]
        judges = table[self.n_groups :].reshape(-1, n_categories, n_categories).swapaxes(1, 2)
        return np.concatenate([table[: self.n_groups], judges.reshape(-1, n_categories)])

    def posterior(self, rows: Array) -> tuple[Array, float]:
        """Probabilities of the truths of each pattern, shape (patterns, K), and the log-likelihood."""
        joint: Array = self.design @ self.log_table(rows)
        at, known = self.clamped
        if len(at):
            kept = joint[at, known]
            joint[at] = -np.inf
            joint[at, known] = kept
        # Column by column: reductions along a short last axis are several times slower.
        columns = joint.T
        top = columns[0].copy()
        for column in columns[1:]:
            np.maximum(top, column, out=top)
        joint -= top[:, None]
        np.exp(joint, out=joint)
        total = joint @ np.ones(joint.shape[1])
        joint /= total[:, None]
        return joint, float(self.multiplicity @ (np.log(total) + top))

    def expect(self, rows: Array) -> Expected:
        """E-step."""
        posterior, log_likelihood = self.posterior(rows)
        return Expected(rows, self.counts(posterior), log_likelihood + float((self.prior * np.log(rows)).sum()))

    def counts(self, posterior: Array) -> Array:
        """Expected number of subjects and labels behind every probability, prior included, of the rows' shape."""
        return self.as_rows(self.design.T @ (posterior * self.multiplicity[:, None])) + self.prior


@final
@dataclass(frozen=True)
class Expected:
    """A point with what an E-step finds there: expected counts of the rows' shape, and the log density."""

    rows: Array
    counts: Array
    value: float


def confusion_sums(model: DawidSkene, table: Table, *, prior: bool) -> tuple[ConfusionSums, TruthData]:
    """Arrange a table for EM; the second result says which subject has which pattern."""
    data, n_categories = truth_data(model, table), len(table.categories)
    levels = model.levels(table)
    n_judges, n_groups = len(levels[model.over]), 1 if model.groups is None else len(levels[model.groups])
    cell, category = np.divmod(data.counts.indices, n_categories)
    column = data.cells[model.over][cell].astype(np.int32) * n_categories + category
    n_patterns = data.counts.shape[0]
    labels = csr_array((data.counts.data, column, data.counts.indptr), shape=(n_patterns, n_judges * n_categories))
    group = np.zeros(n_patterns, np.int32) if model.groups is None else data.subjects[model.groups]
    groups = csr_array((np.ones(n_patterns), group, np.arange(n_patterns + 1)), shape=(n_patterns, n_groups))
    at = np.flatnonzero(data.known >= 0)
    priors = [model.prior_counts(name, n_categories) for name in (PREVALENCE, CONFUSION)]
    rows = np.concatenate([np.tile(priors[0], (n_groups, 1)), np.tile(priors[1], (n_judges, 1))])
    sums = ConfusionSums(
        design=csr_array(hstack([groups, labels], format="csr")),
        clamped=(at, data.known[at]),
        multiplicity=data.multiplicity,
        prior=rows * prior,
        n_groups=n_groups,
    )
    return sums, data


def voted_rows(sums: ConfusionSums, n_categories: int) -> Array:
    """Where EM starts: the truth of each subject spread over the labels it was given, gold ones known."""
    return _rows_of(sums, _votes(sums, n_categories))


def random_rows(sums: ConfusionSums, n_categories: int, rng: np.random.Generator) -> Array:
    """A further start: votes and chance in equal parts."""
    votes = _votes(sums, n_categories)
    return _rows_of(sums, (votes + rng.dirichlet(np.ones(n_categories), len(votes))) / 2)


def _votes(sums: ConfusionSums, n_categories: int) -> Array:
    """Shares of the labels of each pattern, shape (patterns, K)."""
    labels = sums.design[:, sums.n_groups :]
    votes = labels @ np.tile(np.eye(n_categories), (labels.shape[1] // n_categories, 1))
    total = votes.sum(axis=1, keepdims=True)
    return np.divide(votes, total, out=np.full_like(votes, 1 / n_categories), where=total > 0)


def _rows_of(sums: ConfusionSums, truths: Array) -> Array:
    """The M-step from chances of the truths, gold ones known."""
    at, known = sums.clamped
    truths[at] = np.eye(truths.shape[1])[known]
    return maximised(sums.counts(truths), np.full(sums.prior.shape, 1 / truths.shape[1]))


def maximised(counts: Array, before: Array) -> Array:
    """M-step: shares of expected counts; rows of no count stay as they are."""
    total = counts.sum(axis=1, keepdims=True)
    rows = np.where(total > 0, counts / np.where(total > 0, total, 1.0), before)
    return np.maximum(rows, TINY)


def accelerated_em(
    sums: ConfusionSums, start: Array, *, tolerance: float, max_iterations: int
) -> tuple[Expected, int, float]:
    """EM with squared extrapolation (SQUAREM), which never takes a step that loses density.

    Args:
        sums: The data.
        start: Rows to start from.
        tolerance: Largest change of a probability in an extrapolated step.
        max_iterations: Cap on E-steps.

    Returns:
        The last point, E-steps made, and the largest change of a probability in the last step.

    Source: Varadhan & Roland (2008), Scandinavian Journal of Statistics 35, 335-353, scheme S3.
    """
    here, made, longest, moved = sums.expect(start), 1, 1.0, np.inf
    while made < max_iterations and moved > tolerance:
        once = sums.expect(maximised(here.counts, here.rows))
        twice = maximised(once.counts, once.rows)
        first, bend = once.rows - here.rows, (twice - once.rows) - (once.rows - here.rows)
        size = float(np.linalg.norm(bend))
        length = min(max(float(np.linalg.norm(first)) / size, 1.0), longest) if size > 0 else 1.0
        ahead = np.maximum(here.rows + 2 * length * first + length**2 * bend, TINY)
        there = sums.expect(ahead / ahead.sum(axis=1, keepdims=True))
        made += 2
        if there.value < once.value:
            there, longest = sums.expect(twice), max(longest / _LONGEST_STEP, 1.0)
            made += 1
        elif length == longest:
            longest *= _LONGEST_STEP
        moved = float(np.abs(there.rows - here.rows).max())
        here = there
    return here, made, moved
