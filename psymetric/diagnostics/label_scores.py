"""Derivatives of a latent-truth model's log-likelihood, and how they vary with agreements in labels drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import softmax

from psymetric.core.distinct import distinct_places
from psymetric.diagnostics.label_pairs import LabelPairs, label_pairs
from psymetric.estimation.truth import TruthData, TruthProblem
from psymetric.models.truth import AbstractTruthModel

__all__ = ["DrawnScores", "LabelTerms", "drawn_scores", "label_terms"]

Array = NDArray[np.float64]

_DRAWN, _PER_PARAMETER = 20_000, 40
"""Subjects whose labels are drawn, at the least, in all and for each parameter of the model."""
_LEAST = -1e4


@final
@dataclass(frozen=True)
class LabelTerms:
    """Terms of the log-likelihood of a subject given its truth, and their derivatives by P free parameters.

    Attributes:
        label: Log-probabilities of labels by cell and category, shape (cells × categories, truths).
        of_label: Their derivatives, shape (cells × categories, truths, P).
        prior: Log-probabilities of truths by group of subjects, shape (groups, truths).
        of_prior: Their derivatives, shape (groups, truths, P).
        group: Group of each pattern, shape (patterns,).
    """

    label: Array
    of_label: Array
    prior: Array
    of_prior: Array
    group: NDArray[np.int64]

    def posterior(self, data: TruthData) -> Array:
        """Probabilities of the truths of each pattern, shape (patterns, truths)."""
        joint = data.counts @ np.maximum(self.label, _LEAST) + self.prior[self.group]
        known = data.known[:, None]
        return softmax(np.where((known >= 0) & (known != np.arange(joint.shape[1])), -np.inf, joint), axis=1)

    def total_score(self, data: TruthData, truth: Array) -> Array:
        """Derivative of the log-likelihood of all subjects, shape (P,).

        By Fisher's identity that of a sum over truths is the mean of those of its terms under their posterior.
        """
        weight = data.multiplicity[:, None] * truth
        groups = np.zeros((len(self.prior), truth.shape[1]))
        np.add.at(groups, self.group, weight)
        by_label = np.einsum("rt,rtp->p", data.counts.T @ weight, self.of_label)
        return by_label + np.einsum("gt,gtp->p", groups, self.of_prior)

    def scores(self, data: TruthData, truth: Array) -> Array:
        """The same of each pattern, shape (patterns, P)."""
        found = np.einsum("st,stp->sp", truth, self.of_prior[self.group])
        for place, own in enumerate(truth.T):
            found += own[:, None] * (data.counts @ self.of_label[:, place])
        return found


def label_terms(problem: TruthProblem, data: TruthData, point: Array) -> LabelTerms:
    """The terms at a free vector."""
    columns = [code for name, code in data.subjects.items() if name != "subject"] or [np.zeros_like(data.known)]
    first, group = distinct_places(columns)
    subjects = jax.device_put({name: code[first] for name, code in data.subjects.items()})
    values, slopes = _terms(problem, subjects, jax.device_put(point))
    label, prior, of_label, of_prior = (np.asarray(value) for value in (*values, *slopes))
    return LabelTerms(label, of_label, prior, of_prior, group)


@jax.jit
def _terms(
    problem: TruthProblem, subjects: Mapping[str, jax.Array], point: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    model, cells, n_categories = problem.model, problem.sums.cells, problem.n_categories

    def terms(free: jax.Array) -> tuple[jax.Array, jax.Array]:
        params = problem.space.constrain(free)
        by_cell = model.label_log_probs(params, cells, n_categories)
        rows = jnp.swapaxes(by_cell, 1, 2).reshape(-1, by_cell.shape[1])
        return rows, model.truth_log_probs(params, subjects, n_categories)

    return terms(point), jax.jacfwd(terms)(point)


@final
@dataclass(frozen=True)
class DrawnScores:
    """Second moments, summed over subjects, of agreements beyond expectation (u) and scores (s) in drawn labels.

    Attributes:
        pairs: Of u, shape (pairs, pairs), sparse. across: Of s and u, shape (P, pairs). scores: Of s, shape (P, P).
    """

    pairs: csr_array
    across: Array
    scores: Array

    def left(self, seen: Array, score: Array, chosen: Array | None) -> tuple[Array, Array]:
        """What the scores do not explain of the sums of u that were seen, and its variance.

        Args:
            seen: Sum of u by pair, shape (pairs,).
            score: Sum of s, shape (P,).
            chosen: Weights of the pairs in sums of them, shape (pairs, sums), or None for every pair.
        """
        across = self.across if chosen is None else self.across @ chosen
        total = seen if chosen is None else seen @ chosen
        whole = self.pairs.diagonal() if chosen is None else np.sum(chosen * (self.pairs @ chosen), axis=0)
        weights = np.linalg.lstsq(self.scores, across, rcond=1e-10)[0]
        variance = whole - np.sum(across * weights, axis=0)
        # What the scores reproduce but for the error of the draws has no test.
        return total - score @ weights, np.where(variance > 0.02 * whole, variance, np.nan)


def drawn_scores(
    model: AbstractTruthModel, data: TruthData, terms: LabelTerms, pairs: LabelPairs, confusion: Array, *, seed: int
) -> DrawnScores:
    """Moments under the model for the subjects at hand, from labels drawn for their judges over and over."""
    rng, n_subjects = np.random.default_rng(seed), data.multiplicity.sum()
    n_drawn = int(max(_DRAWN, _PER_PARAMETER * terms.of_label.shape[2]))
    # Every pattern in proportion to its subjects, as evenly as whole numbers go.
    ends = np.floor(np.cumsum(data.multiplicity) / n_subjects * n_drawn + rng.random())
    drawn = _drawn(data, terms, np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0.0).astype(int)), rng)
    own = label_pairs(model, drawn[0], terms.label.shape[0] // len(next(iter(data.cells.values()))))
    truth = drawn[1].posterior(drawn[0])
    residual = own.same - own.expected(truth, confusion)
    # Pairs of judges are the same as in the labels that were seen, but for some that the draws may miss.
    n_judges = len(confusion)
    place = np.searchsorted(pairs.first * n_judges + pairs.second, own.first * n_judges + own.second)
    u = csr_array((residual, (own.pattern, place[own.pair])), shape=(len(truth), len(pairs.first)))
    s = drawn[1].scores(drawn[0], truth)
    scale = n_subjects / len(truth)
    return DrawnScores(csr_array(u.T @ u) * scale, np.asarray(s.T @ u) * scale, s.T @ s * scale)


def _drawn(
    data: TruthData, terms: LabelTerms, pattern: NDArray[np.int64], rng: np.random.Generator
) -> tuple[TruthData, LabelTerms]:
    """Labels of subjects whose judges are those of the given patterns, each subject a pattern of its own."""
    prior = np.exp(terms.prior)[terms.group[pattern]]
    truth = np.where(data.known[pattern] >= 0, data.known[pattern], _categorical(prior, rng))
    n_cells = len(next(iter(data.cells.values())))
    n_categories = data.counts.shape[1] // n_cells
    # One label of each judge that labelled the subject, however often it did.
    rows = csr_array(data.counts[pattern]).tocoo()
    subject, cell = (np.asarray(code, np.int64) for code in rows.coords)
    first = distinct_places([subject, cell // n_categories])[0]
    subject, cell = subject[first], cell[first] // n_categories
    by_label = np.exp(terms.label).reshape(n_cells, n_categories, -1)[cell, :, truth[subject]]
    place = cell * n_categories + _categorical(by_label, rng)
    counts = csr_array((np.ones(len(place)), (subject, place)), shape=(len(pattern), data.counts.shape[1]))
    subjects = {name: code[pattern] for name, code in data.subjects.items()}
    everyone = np.arange(len(pattern))
    own = TruthData(data.cells, counts, subjects, data.known[pattern], np.ones(len(pattern)), everyone)
    return own, LabelTerms(terms.label, terms.of_label, terms.prior, terms.of_prior, terms.group[pattern])


def _categorical(chances: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """A category for every row of probabilities."""
    below = chances.cumsum(axis=1)
    return (rng.random((len(below), 1)) * below[:, -1:] > below[:, :-1]).sum(axis=1)
