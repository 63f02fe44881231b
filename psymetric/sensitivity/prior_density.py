"""The posterior of a simplex judge under many priors at once: one likelihood, and a parameter space for each prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.truth import TruthProblem, truth_problem
from psymetric.models.base import Table
from psymetric.models.dawid_skene import CONFUSION
from psymetric.models.simplex_judge import PREFERENCE, SELF_PREFERENCE, SimplexJudge
from psymetric.models.space import parameter_space
from psymetric.models.truth import PREVALENCE

__all__ = ["MarginProblem", "grid_problem", "level_means", "margins", "stacked_spaces"]

_LEAST = 1e-300


def margins(prevalence: Array, confusion: Array, tilt: Array | None) -> Array:
    """What each judge is expected to say of each candidate, shape (candidates, judges, strata, categories).

    Args:
        prevalence: Shape (candidates, strata, truths).
        confusion: Shape (judges, strata, truths, categories).
        tilt: Logits by which a candidate's labels are favoured, shape (candidates, judges, categories), or None.
    """
    if tilt is None:
        return jnp.einsum("csm,jsmk->cjsk", prevalence, confusion)
    odds = jnp.exp(tilt)
    # Every row is made to sum to one again, which weighs truths anew.
    total = jnp.einsum("jsmk,cjk->cjsm", confusion, odds)
    return odds[:, :, None] * jnp.einsum("cjsm,jsmk->cjsk", prevalence[:, None] / total, confusion)


@final
@partial(jax.tree_util.register_dataclass, data_fields=["space", "counts", "own"], meta_fields=["has_strata"])
@dataclass(frozen=True)
class MarginProblem:
    """Counts of labels, each of another answer: all candidates by all judges at once.

    The density is that of `TruthProblem`, of which it is the fast path: products of small arrays in place of gathers.

    Attributes:
        counts: Labels by candidate, judge, stratum and category.
        own: One where judge and candidate are of one family, shape (candidates, judges).
    """

    space: ParameterSpace
    counts: Array
    own: Array
    has_strata: bool

    def log_likelihood(self, params: Mapping[str, Array]) -> Array:
        """Log-likelihood from constrained arrays, a scalar."""
        prevalence, confusion = params[PREVALENCE], params[CONFUSION]
        if not self.has_strata:
            prevalence, confusion = prevalence[:, None], confusion[:, None]
        expected = margins(prevalence, confusion, self._tilt(params))
        return jnp.sum(self.counts * jnp.log(expected + _LEAST))

    def _tilt(self, params: Mapping[str, Array]) -> Array | None:
        tilt = params.get(PREFERENCE)
        if SELF_PREFERENCE in params:
            ladder = jnp.linspace(-0.5, 0.5, self.counts.shape[-1])
            own = (self.own * params[SELF_PREFERENCE])[:, :, None] * ladder
            tilt = own if tilt is None else tilt + own
        return tilt

    def log_density(self, free: Array) -> Array:
        """What is sampled."""
        return self.log_likelihood(self.space.constrain(free)) + self.space.log_prior(free)


def grid_problem(model: SimplexJudge, table: Table) -> MarginProblem | TruthProblem:
    """The posterior density of the model on the table."""
    if not model.of_counts:
        return truth_problem(model, table, prior=True)
    levels, strata = model.levels(table), () if model.strata is None else (model.strata,)
    columns = ("subject", model.over, *strata)
    shape = [*(len(levels[name]) for name in columns), len(table.categories)]
    cells = np.ravel_multi_index([*(table.codes[name] for name in columns), table.response], shape)
    counts = np.bincount(cells, table.weight, int(np.prod(shape))).reshape(shape)
    own = np.zeros(shape[:2])
    if model.self_preference is not None:
        own[table.codes["subject"], table.codes[model.over]] = table.codes[model.self_preference]
    if not strata:
        counts = counts[:, :, None]
    space = parameter_space(model, table, ability="integrated")
    return MarginProblem(space, jax.device_put(counts), jax.device_put(own), bool(strata))


def stacked_spaces(models: Sequence[SimplexJudge], table: Table) -> ParameterSpace:
    """The parameter spaces of models that differ in their priors, with a first axis for the models in every array."""
    spaces = [parameter_space(model, table, ability="integrated") for model in models]
    # The sd of a prior that is no array has to be one for all: the tilts carry theirs in an array.
    return jax.tree.map(_stack, *spaces)


def _stack(*leaves: Any) -> NDArray[np.float64]:
    return np.stack([np.asarray(leaf, np.float64) for leaf in leaves])


def level_means(prevalence: Array, values: Array, shares: Array) -> Array:
    """Mean level of each candidate, strata weighted by their shares, shape (candidates,).

    Args:
        prevalence: Shape (candidates, truths) or (candidates, strata, truths).
        values: Score of each level, shape (truths,).
        shares: Share of each stratum, shape (strata,); one of 1.0 without strata.
    """
    means = prevalence @ values
    return means @ shares if means.ndim > 1 else means


def with_space(problem: MarginProblem | TruthProblem, space: ParameterSpace) -> MarginProblem | TruthProblem:
    """The same likelihood under other priors."""
    return replace(problem, space=space)
