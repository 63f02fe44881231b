"""Latent-truth models whose labels of one subject share more than its truth: a hidden state that is summed out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from typing_extensions import override

from psymetric.models.judge_mixture import MEMBERSHIP
from psymetric.models.truth import AbstractTruthModel

__all__ = ["STATE", "AbstractSharedStateModel"]

STATE = "state"


@dataclass(frozen=True)
class AbstractSharedStateModel(AbstractTruthModel):
    r"""A latent-truth model with one of Q states for each pair p of a subject and a level of `shared_by`.

    $$P(\text{labels of } i) = \sum_m \pi_m \prod_{p \in i} \sum_z P(z \mid m) \prod_{r \in p} P(x_r \mid m, z, j_r)$$

    Labels are independent given truth and state, and given the truth alone those of one pair hang together. Engines
    sum truths and states out.
    """

    @property
    @abstractmethod
    def shared_by(self) -> str | None:
        """The facet, one of `facets`; None where all labels of a subject share one state."""

    @abstractmethod
    def state_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probability of every state under every truth, shape (rows or 1, truths, states).

        Args:
            params: Constrained arrays by name.
            codes: Codes of `shared_by`, shape (rows,), if not None.
            n_categories: Number of categories of the table.
        """

    @abstractmethod
    def label_state_log_probs(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int
    ) -> Array:
        """Log-probability of every label under every truth and state, shape (rows, truths, states, categories)."""

    @override
    @final
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """As for every latent-truth model, of one label by itself, its state averaged over.

        States may be given as `params["state"]`, shape (subjects, levels of `shared_by` or 1).
        """
        by_state = self.label_state_log_probs(params, codes, n_categories)
        if STATE in params:
            level = 0 if self.shared_by is None else codes[self.shared_by]
            drawn = params[STATE][codes["subject"], level]
            return by_state[np.arange(len(drawn)), :, drawn]
        return logsumexp(by_state + self.state_log_probs(params, codes, n_categories)[..., None], axis=2)

    @override
    def with_truths(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> dict[str, Array]:
        """`params` with a truth drawn for every subject in `codes`, and its states."""
        known = AbstractTruthModel.with_truths(self, params, codes, n_categories, seed=seed)
        truth = np.asarray(known[MEMBERSHIP]).argmax(axis=1)
        n_levels = 1 if self.shared_by is None else int(np.max(np.asarray(codes[self.shared_by]), initial=0)) + 1
        level = {} if self.shared_by is None else {self.shared_by: jax.device_put(np.arange(n_levels))}
        by_truth = np.exp(np.asarray(self.state_log_probs(params, level, n_categories), np.float64))
        below = np.broadcast_to(by_truth, (n_levels, *by_truth.shape[1:]))[:, truth].cumsum(axis=2)
        drawn = np.random.default_rng((seed, n_levels, len(truth))).random((n_levels, len(truth), 1)) * below[..., -1:]
        return {**known, STATE: jax.device_put((drawn > below[..., :-1]).sum(axis=2).T)}
