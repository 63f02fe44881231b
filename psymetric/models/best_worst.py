"""Best-worst scaling: which of a set is best, which is worst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.data.rankings import RankingTable
from psymetric.errors import DataError
from psymetric.models.base import ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.choice import AbstractChoiceModel, Choices, padded_worths, require_rankings

__all__ = ["BestWorst"]

_Process = Literal["maxdiff", "sequential"]
_WorstScale = Literal["equal", "free"]
_BEST, _WORST = 0, 2


@final
@dataclass(frozen=True)
class BestWorst(AbstractChoiceModel):
    r"""Best-worst scaling, with worst choices on a scale of their own.

    Both choices from a set S, as the pair furthest apart (maxdiff), or the best first and the worst from the rest
    (sequential):

    $$P(i, j) = \frac{e^{\lambda_i - s\lambda_j}}{\sum_{k \ne l \in S} e^{\lambda_k - s\lambda_l}},\qquad
      P(i, j) = \frac{e^{\lambda_i}}{\sum_{k \in S} e^{\lambda_k}}
      \frac{e^{-s\lambda_j}}{\sum_{l \in S \setminus i} e^{-s\lambda_l}}$$

    A set with one choice has $e^{\lambda_i} / \sum_S e^{\lambda_k}$ for the best and
    $e^{-s\lambda_j} / \sum_S e^{-s\lambda_l}$ for the worst. Parameters: `worth` λ in logits, shape (items,), centred;
    `worst_scale` s, a scalar above zero: under 1 where worst choices are made less clearly than best ones. The counting
    score of `RankingTable.counts("item")` is a check that needs no fit.

    Args:
        process: "maxdiff" or "sequential".
        worst_scale: "equal" holds s at 1; "free" estimates it, which takes both kinds of choices.
        prior_sd: Scale in logits of the normal prior on the worths under MAP, Laplace and NUTS.
        scale_prior_sd: Scale of the normal prior on log s, centred at 0.

    Source: Marley & Louviere (2005), J. Mathematical Psychology 49, 464-480, eq. 7 (maxdiff); Flynn & Marley (2014), in
    Hess & Daly, Handbook of Choice Modelling, ch. 8 (scale of worst choices, sequential choices).
    """

    process: _Process = "maxdiff"
    worst_scale: _WorstScale = "equal"
    prior_sd: float = 2.0
    scale_prior_sd: float = 0.5

    def __post_init__(self) -> None:
        check_prior_sd(self, self.prior_sd)
        check_prior_sd(self, self.scale_prior_sd, name="scale_prior_sd")
        if self.process not in get_args(_Process):
            raise DataError(f"BestWorst(process={self.process!r}) is not known: use {list(get_args(_Process))}")
        if self.worst_scale not in get_args(_WorstScale):
            raise DataError(
                f"BestWorst(worst_scale={self.worst_scale!r}) is not known: use {list(get_args(_WorstScale))}"
            )

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return ("item",)

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        worth = ParamSpec("worth", ("item",), identification="sum_to_zero", prior_sd=self.prior_sd)
        scale = ParamSpec("worst_scale", (), support="positive", prior_sd=self.scale_prior_sd, unit="slope")
        return (worth, scale) if self.worst_scale == "free" else (worth,)

    @override
    def check(self, table: Table) -> None:
        rankings = require_rankings(self, table, best_worst=True, instead="PlackettLuce()")
        for word, code in (("best", _BEST), ("worst", _WORST)):
            if self.worst_scale == "free" and not np.any(rankings.response == code):
                raise DataError(
                    f'BestWorst(worst_scale="free"): no item was chosen as {word}, so that the two kinds of choices '
                    'cannot be compared: use worst_scale="equal"'
                )

    @override
    def choices(self, table: RankingTable) -> Choices:
        found = table.rankings
        return Choices({"item": found.item}, found.category, found.weight)

    @override
    def response_log_probs(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], response: Array, n_categories: int
    ) -> Array:
        """`response` is 0 for the best item, 2 for the worst, 1 for the others."""
        best, worst = self._utilities(params, codes["item"], response)
        is_best, is_worst = response == _BEST, response == _WORST
        has_best, has_worst = is_best.any(axis=1), is_worst.any(axis=1)
        chosen = jnp.sum(jnp.where(is_best, best, 0.0) + jnp.where(is_worst, worst, 0.0), axis=1)
        every_best, every_worst = (jax.nn.logsumexp(utility, axis=1) for utility in (best, worst))
        if self.process == "maxdiff":
            every = jnp.where(has_worst, jnp.where(has_best, _pairs(best, worst), every_worst), every_best)
        else:
            rest = jax.nn.logsumexp(jnp.where(is_best, -jnp.inf, worst), axis=1)
            every = jnp.where(has_best, every_best, 0.0) + jnp.where(has_worst, rest, 0.0)
        return chosen - every

    def _utilities(self, params: Mapping[str, Array], item: Array, response: Array) -> tuple[Array, Array]:
        """Log-weights of every item as best and as worst, each of shape (R, A)."""
        scale = params["worst_scale"] if self.worst_scale == "free" else 1.0
        slope = jnp.broadcast_to(-scale, item.shape[:1])
        return padded_worths(params["worth"], item, response), padded_worths(params["worth"], item, response, slope)

    @override
    def simulate(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> NDArray[np.int32]:
        shown = jnp.asarray(codes["shown"], bool)
        first, second = jax.random.split(jax.random.key(seed))
        best, worst = self._utilities(params, codes["item"], jnp.where(shown, 0, -1))
        # The best by its chance over all worst ones, then the worst among the others.
        other = jnp.where(jnp.eye(best.shape[1], dtype=bool), -jnp.inf, worst[:, None, :])
        weight = best + jax.nn.logsumexp(other, axis=2) if self.process == "maxdiff" else best
        row, winner = np.arange(len(best)), np.asarray(jax.random.categorical(first, weight, axis=1))
        loser = np.asarray(jax.random.categorical(second, other[row, winner], axis=1))
        drawn = np.where(np.asarray(shown), 1, -1).astype(np.int32)
        drawn[row, winner], drawn[row, loser] = _BEST, _WORST
        return drawn


def _pairs(best: Array, worst: Array) -> Array:
    """Log of the summed weights of all pairs of two different items, shape (R,)."""
    pairs = best[:, :, None] + worst[:, None, :]
    pairs = jnp.where(jnp.eye(best.shape[1], dtype=bool), -jnp.inf, pairs)
    return jax.nn.logsumexp(pairs, axis=(1, 2))
