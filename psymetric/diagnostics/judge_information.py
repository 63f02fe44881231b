"""What labels tell of the truth: of each judge, of the labels it gave, and of one more label by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import entr, logsumexp

from psymetric.core.distinct import distinct_places
from psymetric.estimation.truth import truth_data
from psymetric.models.base import Table
from psymetric.models.shared_state import AbstractSharedStateModel
from psymetric.models.truth import AbstractTruthModel

__all__ = ["JudgeMeasures", "JudgedLabels", "judge_confusion", "judged_labels", "measures"]

_LEAST = -1e4
"""Log-probability that stands for none, so that it can be taken away again."""


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "cells", "judge_cells", "judge_level", "entry", "weight", "entry_pair", "entry_owner", "owner_pair",
        "owner_judge", "pair_pattern", "pair_level", "pair_of", "subjects", "known", "multiplicity",
    ],
    meta_fields=["model", "n_categories"],
)  # fmt: skip
@dataclass(frozen=True)
class JudgedLabels:
    """Labels laid out by pattern (subjects of equal labels), by pair of pattern and level of a shared state, by judge.

    Attributes:
        cells: Codes that labels depend on, each of shape (cells,).
        judge_cells: Share of each judge's labels that each cell has, shape (judges, cells).
        judge_level: Level of the shared state of each judge, zeros where there is none, shape (judges,).
        entry: Place of each entry in the cells × categories, shape (entries,). weight: Its labels.
        entry_pair: Pair of each entry. entry_owner: Its owner, a pattern and a judge.
        owner_pair, owner_judge: Pair and judge of each owner, shape (owners,).
        pair_pattern, pair_level: Pattern and level of each pair, shape (pairs,).
        pair_of: Pair of each pattern and level, or pairs + level where it has no label, shape (patterns, levels).
        subjects: Codes of the patterns by column. known: Truth of each pattern, or -1. multiplicity: Its subjects.
    """

    model: AbstractTruthModel
    n_categories: int
    cells: dict[str, Array]
    judge_cells: Array
    judge_level: Array
    entry: Array
    weight: Array
    entry_pair: Array
    entry_owner: Array
    owner_pair: Array
    owner_judge: Array
    pair_pattern: Array
    pair_level: Array
    pair_of: Array
    subjects: dict[str, Array]
    known: Array
    multiplicity: Array


class JudgeMeasures(NamedTuple):
    """Of every judge, shape (judges,) each.

    Attributes:
        accuracy: Probability that a label is the truth. kappa: The same, corrected for chance (Cohen's, with the
            truth as the other rater). bits: Mutual information of a label and the truth, by the prevalence alone.
        lost: Mean of the bits on the truth of a subject that its labels by this judge bring beyond all others.
        gain: Mean of the bits that one more label by it would bring on a subject of unknown truth.
        gain_accuracy: By how much the probability of the likeliest truth would rise on average.
    """

    accuracy: Array
    kappa: Array
    bits: Array
    lost: Array
    gain: Array
    gain_accuracy: Array


def judged_labels(model: AbstractTruthModel, table: Table, *, most: int, seed: int) -> JudgedLabels:
    """Lay out the labels of a table, or of `most` of its patterns of labels at random where it has more."""
    data, n_categories = truth_data(model, table), len(table.categories)
    n_judges = len(model.levels(table)[model.over])
    kept = np.arange(len(data.known))
    if len(kept) > most:
        kept = np.sort(np.random.default_rng(seed).choice(kept, most, replace=False))
    judge = data.cells[model.over].astype(np.int64)
    facet = model.shared_by if isinstance(model, AbstractSharedStateModel) else None
    level = np.zeros(len(judge), np.int64) if facet is None else data.cells[facet].astype(np.int64)
    n_levels = 1 if facet is None else len(table.levels[facet])
    entries = data.counts[kept].tocoo()
    pattern, place = (np.asarray(code, np.int64) for code in entries.coords)
    cell = place // n_categories
    first, owner = distinct_places([pattern, judge[cell]])
    pair_first, pair = distinct_places([pattern, level[cell]])
    pair_pattern, pair_level = pattern[pair_first], level[cell][pair_first]
    pair_of = np.broadcast_to(len(pair_first) + np.arange(n_levels), (len(kept), n_levels)).copy()
    pair_of[pair_pattern, pair_level] = np.arange(len(pair_first))
    total = np.asarray(data.counts.sum(axis=0)).reshape(len(judge), n_categories).sum(axis=1)
    by_judge = np.zeros((n_judges, len(judge)))
    by_judge[judge, np.arange(len(judge))] = total / np.bincount(judge, total, n_judges)[judge]
    own_level = np.zeros(n_judges, np.int64)
    own_level[judge] = level
    put = jax.device_put
    return JudgedLabels(
        model=model,
        n_categories=n_categories,
        cells=put(data.cells),
        judge_cells=put(by_judge),
        judge_level=put(own_level),
        entry=put(place),
        weight=put(np.asarray(entries.data, np.float64)),
        entry_pair=put(pair),
        entry_owner=put(owner),
        owner_pair=put(pair[first]),
        owner_judge=put(judge[cell][first]),
        pair_pattern=put(pair_pattern),
        pair_level=put(pair_level),
        pair_of=put(pair_of),
        subjects=put({name: code[kept] for name, code in data.subjects.items()}),
        known=put(data.known[kept]),
        multiplicity=put(data.multiplicity[kept]),
    )


@jax.jit
def measures(labels: JudgedLabels, params: Mapping[str, Array]) -> JudgeMeasures:
    """Everything of every judge from constrained arrays."""
    by_cell, state = _label_probs(labels, params)
    posterior = _posterior(labels, params, by_cell, state)
    own = jnp.einsum("jc,ctzx->jtzx", labels.judge_cells, jnp.exp(by_cell))
    prevalence = jnp.average(
        jnp.exp(labels.model.truth_log_probs(params, labels.subjects, labels.n_categories)),
        axis=0,
        weights=labels.multiplicity,
    )
    given = jnp.einsum("jtzx,jtz->jtx", own, jnp.exp(state)[labels.judge_level])
    joint = prevalence[:, None] * given
    said = joint.sum(axis=1)
    accuracy, chance = jnp.trace(joint, axis1=1, axis2=2), said @ prevalence
    unknown = labels.multiplicity * (labels.known < 0)

    def gains(one: tuple[Array, Array]) -> tuple[Array, Array]:
        label, level = one
        after = posterior.truth[:, :, None] * jnp.einsum(
            "ptz,tzx->ptx", posterior.state[labels.pair_of[:, level]], label
        )
        nats = _information(posterior.truth, after)
        right = after.max(axis=1).sum(axis=1) - posterior.truth.max(axis=1)
        return jnp.average(nats, weights=unknown), jnp.average(right, weights=unknown)

    gain, gain_accuracy = jax.lax.map(gains, (own, labels.judge_level))
    times = unknown[labels.pair_pattern[labels.owner_pair]]
    lost, n = (
        jax.ops.segment_sum(value, labels.owner_judge, len(accuracy)) for value in (times * posterior.lost, times)
    )
    bits = _information(prevalence, joint)
    return JudgeMeasures(
        accuracy, (accuracy - chance) / (1 - chance), bits / np.log(2), lost / n / np.log(2), gain / np.log(2),
        gain_accuracy,
    )  # fmt: skip


def judge_confusion(labels: JudgedLabels, params: Mapping[str, Array]) -> Array:
    """Probability of every label given the truth, states averaged over, shape (judges, truths, categories)."""
    by_cell, state = _label_probs(labels, params)
    own = jnp.einsum("jc,ctzx->jtzx", labels.judge_cells, jnp.exp(by_cell))
    return jnp.einsum("jtzx,jtz->jtx", own, jnp.exp(state)[labels.judge_level])


class _Posterior(NamedTuple):
    """What is known of the subjects.

    Attributes:
        truth: Of the patterns, shape (patterns, truths).
        state: Given truths, of pairs and then of levels without labels, shape (pairs + levels, truths, states).
        lost: Nats on the truth that each owner's labels bring, shape (owners,).
    """

    truth: Array
    state: Array
    lost: Array


def _label_probs(labels: JudgedLabels, params: Mapping[str, Array]) -> tuple[Array, Array]:
    """Log-probabilities of labels, (cells, truths, states, categories), and of states, (levels, truths, states)."""
    model, n_categories = labels.model, labels.n_categories
    n_levels = labels.pair_of.shape[1]
    if isinstance(model, AbstractSharedStateModel):
        codes = {} if model.shared_by is None else {model.shared_by: jnp.arange(n_levels)}
        state = model.state_log_probs(params, codes, n_categories)
        by_cell = model.label_state_log_probs(params, labels.cells, n_categories)
        return jnp.maximum(by_cell, _LEAST), jnp.maximum(state, _LEAST)
    by_cell = model.label_log_probs(params, labels.cells, n_categories)[:, :, None]
    return jnp.maximum(by_cell, _LEAST), jnp.zeros((1, by_cell.shape[1], 1))


def _posterior(labels: JudgedLabels, params: Mapping[str, Array], by_cell: Array, state: Array) -> _Posterior:
    n_pairs, n_patterns = len(labels.pair_pattern), len(labels.known)
    rows = jnp.moveaxis(by_cell, 3, 1).reshape(-1, *by_cell.shape[1:3])
    said = labels.weight[:, None, None] * rows[labels.entry]
    joint = state[labels.pair_level] + jax.ops.segment_sum(said, labels.entry_pair, n_pairs)
    of_pair = logsumexp(joint, axis=2)
    prior = labels.model.truth_log_probs(params, labels.subjects, labels.n_categories)
    truths = jnp.arange(prior.shape[1])
    excluded = (labels.known[:, None] >= 0) & (labels.known[:, None] != truths)
    log_truth = jnp.where(excluded, -jnp.inf, prior + jax.ops.segment_sum(of_pair, labels.pair_pattern, n_patterns))
    own = jax.ops.segment_sum(said, labels.entry_owner, len(labels.owner_pair))
    pattern = labels.pair_pattern[labels.owner_pair]
    without = log_truth[pattern] - of_pair[labels.owner_pair] + logsumexp(joint[labels.owner_pair] - own, axis=2)
    truth = jax.nn.softmax(log_truth, axis=1)
    brought = entr(jax.nn.softmax(without, axis=1)).sum(axis=1) - entr(truth).sum(axis=1)[pattern]
    states = jax.nn.softmax(jnp.concatenate([joint, state]), axis=2)
    return _Posterior(truth, states, brought)


def _information(truth: Array, joint: Array) -> Array:
    """Mutual information in nats of a truth, (..., truths), and a label, jointly (..., truths, categories)."""
    return entr(truth).sum(axis=-1) + entr(joint.sum(axis=-2)).sum(axis=-1) - entr(joint).sum(axis=(-2, -1))
