"""Plackett-Luce model of rankings, with ties, unranked items and judges who discriminate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.core.bijectors import Anchored
from psymetric.core.parameters import Block
from psymetric.core.steps import UNUSED
from psymetric.data.coding import Label
from psymetric.data.rankings import RankingTable
from psymetric.errors import DataError, DesignError
from psymetric.models.base import ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.choice import AbstractChoiceModel, Choices, padded_worths, require_rankings

__all__ = ["PlackettLuce"]

Places = NDArray[np.int32]


@final
@dataclass(frozen=True)
class PlackettLuce(AbstractChoiceModel):
    r"""Plackett-Luce model of rankings, with the ties of Davidson and Luce.

    A ranking is a row of choices: the best of all items shown, the best of the rest, and so on until one item, or only
    unranked ones, are left. With ties the choice is of a set T out of the set S that is left:

    $$P(T \mid S) = \frac{f(T)}{\sum_{U \subseteq S,\, |U| \le D} f(U)},\qquad
      f(T) = \delta_{|T|} \Big(\prod_{i \in T} e^{a \lambda_i}\Big)^{1/|T|},\qquad \delta_1 = 1$$

    Parameters: `worth` λ in logits, shape (items,), centred; `tie` log δ, shape (D - 1,), for ties of 2 to D items, the
    largest tie seen (an order that never occurs in between has δ = 0); `judge_slope` a, shape (judges,), of geometric
    mean one. Under `JointML` this is plain maximum likelihood, which needs items that beat each other directly or
    through others, in both directions; MAP, Laplace and NUTS use the priors. Sums over sets are elementary symmetric
    functions, from nested cumulative sums of positive terms.

    Args:
        ties: None (a table with ties is then an error) or "davidson-luce".
        slopes: "judge" lets judges tell items apart more or less clearly; None takes all alike.
        prior_sd: Scale in logits of the normal prior on the worths under MAP, Laplace and NUTS.
        tie_prior_sd: Scale of the normal prior on log δ.
        slope_prior_sd: Scale of the normal prior on the logs of the slopes, centred at 0.
        pseudo: A prior of another kind in place of the normal one on the worths: every item wins and loses this many
            comparisons with a ghost item, whose worth is the parameter `ghost`. R's PlackettLuce fits with .5 unless
            told otherwise. MAP is then the recommended engine, and its fit is called penalised.

    Source: Luce (1959); Plackett (1975), Applied Statistics 24, 193-202; Hunter (2004), Annals of Statistics 32,
    384-406; ties and pseudo-comparisons: Turner, van Etten, Firth & Kosmidis (2020), Computational Statistics 35,
    1027-1057, eq. 3-5.
    """

    ties: Literal["davidson-luce"] | None = None
    slopes: Literal["judge"] | None = None
    prior_sd: float = 2.0
    tie_prior_sd: float = 2.0
    slope_prior_sd: float = 0.5
    pseudo: float | None = None

    def __post_init__(self) -> None:
        for name in ("prior_sd", "tie_prior_sd", "slope_prior_sd"):
            check_prior_sd(self, getattr(self, name), name=name)
        if self.ties not in (None, "davidson-luce"):
            raise DataError(f'PlackettLuce(ties={self.ties!r}) is not known: use None or "davidson-luce"')
        if self.slopes not in (None, "judge"):
            raise DataError(f'PlackettLuce(slopes={self.slopes!r}) is not known: use None or "judge"')
        if self.pseudo is not None and not 0 < self.pseudo < float("inf"):
            raise DesignError(f"PlackettLuce(pseudo={self.pseudo!r}) must be a positive number, such as 0.5, or None")

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return ("item", "judge") if self.slopes else ("item",)

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        flat = float("inf")
        worth_sd = self.prior_sd if self.pseudo is None else flat
        worth = ParamSpec("worth", ("item",), identification="sum_to_zero", prior_sd=worth_sd)
        tie = ParamSpec("tie", ("tie_order",), prior_sd=self.tie_prior_sd)
        slope = ParamSpec(
            "judge_slope",
            ("judge",),
            support="positive",
            identification="sum_to_zero",
            prior_sd=self.slope_prior_sd,
            unit="slope",
        )
        ghost = ParamSpec("ghost", (), prior_sd=flat)
        optional = ((tie, self.ties), (slope, self.slopes), (ghost, self.pseudo))
        return (worth, *(spec for spec, setting in optional if setting is not None))

    @property
    @override
    def needs_prior(self) -> bool:
        return self.pseudo is not None

    @override
    def levels(self, table: Table) -> Mapping[str, tuple[Label, ...]]:
        if not self.ties or not isinstance(table, RankingTable):
            return table.levels
        return {**table.levels, "tie_order": tuple(range(2, 2 + len(_orders_seen(table))))}

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.name != "tie" or not isinstance(table, RankingTable):
            return None
        # Orders that never occur are put out of reach, so that the likelihood is one expression for every table.
        held = np.where(_orders_seen(table), np.nan, -UNUSED)
        return [Block("tie", Anchored.build(held), self.tie_prior_sd, None, spec.axes)]

    @override
    def check(self, table: Table) -> None:
        rankings = require_rankings(self, table, best_worst=False, instead="BestWorst()")
        tied = rankings.tied
        if tied.any() and not self.ties:
            task = rankings.levels["task"][rankings.rankings.codes["task"][int(np.argmax(tied))]]
            raise DataError(
                f"PlackettLuce(ties=None): {int(tied.sum())} of {len(tied)} rankings have ties, first task {task!r}: "
                'use PlackettLuce(ties="davidson-luce"), or leave these rankings out'
            )
        if not tied.any() and self.ties:
            raise DataError('PlackettLuce(ties="davidson-luce"): no items are tied, so that δ is zero: use ties=None')

    @override
    def choices(self, table: RankingTable) -> Choices:
        found, size = table.rankings, _tie_sizes(table)
        codes = {"item": found.item, "first": _group_starts(found.category).astype(np.int32)}
        if self.slopes:
            codes["judge"] = found.codes["judge"]
        return Choices(codes, np.where(found.category < 0, -1, size).astype(np.int32), found.weight)

    @override
    def response_log_probs(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], response: Array, n_categories: int
    ) -> Array:
        """`response` is the size of each item's tie where its place was chosen, 0 where nothing was left to choose."""
        slope = params["judge_slope"][codes["judge"]] if self.slopes else None
        worth = padded_worths(params["worth"], codes["item"], response, slope)
        worth = worth - jax.lax.stop_gradient(jnp.max(worth, axis=1, keepdims=True))
        chosen, start = response > 0, (response > 0) & (codes["first"] > 0)
        log_delta = self._log_delta(params)
        total = jnp.where(start, _all_sets(worth, log_delta), 1.0)
        share = jnp.where(chosen, worth, 0.0) / jnp.maximum(response, 1)
        sizes = jnp.where(start, log_delta[jnp.maximum(response - 1, 0)], 0.0) if self.ties else 0.0
        return jnp.sum(share + sizes - jnp.log(total), axis=1)

    def _log_delta(self, params: Mapping[str, Array]) -> Array:
        """Log δ of ties of 1 to D items, shape (D,)."""
        return jnp.concatenate([jnp.zeros(1), params["tie"]]) if self.ties else jnp.zeros(1)

    @override
    def log_prior(self, params: Mapping[str, Array]) -> Array:
        if self.pseudo is None:
            return jnp.zeros(())
        worth, ghost = params["worth"], params["ghost"]
        outcomes = [worth, jnp.broadcast_to(ghost, worth.shape)]
        if self.ties:
            outcomes.append(params["tie"][0] + (worth + ghost) / 2)
        return self.pseudo * jnp.sum(worth + ghost - 2 * jax.nn.logsumexp(jnp.stack(outcomes), axis=0))

    @override
    def simulate(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> NDArray[np.int32]:
        rng, shown = np.random.default_rng(seed), np.asarray(codes["shown"], bool)
        slope = params["judge_slope"][codes["judge"]] if self.slopes else None
        worth = np.asarray(padded_worths(params["worth"], codes["item"], jnp.where(shown, 0, -1), slope))
        log_delta = np.asarray(self._log_delta(params))
        place, left = np.full(shown.shape, -1, np.int32), shown.copy()
        for step in range(shown.shape[1]):
            chosen = _drawn_sets(np.where(left, worth, -np.inf), log_delta, rng)
            place[chosen] = step
            left &= ~chosen
            if not left.any():
                break
        return place


def _group_starts(category: Places) -> NDArray[np.bool_]:
    """Where a place begins in a row of rising categories, shape (R, A)."""
    before = np.pad(category[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    return (category >= 0) & (category != before)


def _tie_sizes(table: RankingTable) -> Places:
    """Number of items that share each item's place, shape (R, A); 0 for those that nothing was chosen from."""
    category = table.rankings.category
    ranked = (category >= 0) & (category < len(table.categories) - 1)
    n_places, row = len(table.categories), np.arange(len(category))[:, None]
    count = np.bincount((row * n_places + category)[ranked], minlength=len(category) * n_places)
    size = np.where(ranked, count[row * n_places + np.maximum(category, 0)], 0)
    # The last item left has nothing to be chosen before.
    n_shown = np.sum(category >= 0, axis=1)
    size[np.arange(len(size)), n_shown - 1] *= size[np.arange(len(size)), n_shown - 1] > 1
    return size.astype(np.int32)


def _orders_seen(table: RankingTable) -> NDArray[np.bool_]:
    """Which ties of 2, 3, … items occur, up to the largest."""
    size = _tie_sizes(table)[table.rankings.weight > 0]
    return np.bincount(size.ravel(), minlength=2)[2:] > 0


def _all_sets(worth: Array, log_delta: Array) -> Array:
    """Sum of f over all sets of at most D items from each place to the end of its row, shape (R, A)."""
    total = jnp.zeros_like(worth)
    for order in range(1, log_delta.shape[0] + 1):
        total = total + jnp.exp(log_delta[order - 1]) * suffix_symmetric(jnp.exp(worth / order), order)[-1]
    return total


def suffix_symmetric(weights: Array, order: int) -> list[Array]:
    """Elementary symmetric functions of degree 1 to `order` of the weights from each place to the end, each (R, A).

    A set that begins at place i is i and a set that lies after it: e_j from k on is the sum over i ≥ k of the weight
    of i times e_(j-1) from i + 1 on.
    """
    # Entry (i, k) is 1 where place i is k or after it: a product with it sums from every place to the end.
    to_the_end = jnp.tril(jnp.ones((weights.shape[1], weights.shape[1])))
    found = [weights @ to_the_end]
    for _ in range(order - 1):
        after = jnp.pad(found[-1][:, 1:], ((0, 0), (0, 1)))
        found.append((weights * after) @ to_the_end)
    return found


def _drawn_sets(
    worth: NDArray[np.float64], log_delta: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """One set out of those of at most D items in each row, by its f, shape (R, A); none where a row is empty."""
    top = worth.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.where(np.isfinite(worth), np.exp(worth - np.where(np.isfinite(top), top, 0.0)), 0.0)
    tables = [_padded(weights ** (1 / order), order) for order in range(1, len(log_delta) + 1)]
    mass = np.stack([np.exp(log) * table[-1][:, 0] for log, table in zip(log_delta, tables, strict=True)], axis=1)
    below = np.cumsum(mass, axis=1)
    size = (rng.random((len(worth), 1)) * below[:, -1:] >= below).sum(axis=1) + 1
    chosen, row = np.zeros(worth.shape, bool), np.arange(len(worth))
    left = np.where(below[:, -1] > 0, size, 0)
    for place in range(worth.shape[1]):
        chance = np.zeros(len(worth))
        for order, table in enumerate(tables, start=1):
            mine = (size == order) & (left > 0)
            need = left[mine]
            with_it = weights[mine, place] ** (1 / order) * table[need - 1, row[mine], place + 1]
            chance[mine] = with_it / table[need, row[mine], place]
        chosen[:, place] = rng.random(len(worth)) < chance
        left = left - chosen[:, place]
    return chosen


def _padded(weights: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Symmetric functions of degree 0 to `order` from each place and from past the end, shape (order + 1, R, A + 1)."""
    found = np.asarray(suffix_symmetric(jnp.asarray(weights), order))
    whole = np.zeros((order + 1, weights.shape[0], weights.shape[1] + 1))
    whole[0], whole[1:, :, :-1] = 1.0, found
    return whole
