"""Courses of comparisons, many at once: choose a batch of pairs, draw the answers, fit again, and so on.

Arrays throughout, the first axis of each the replicates. The worths of a replicate are refitted from its counts of wins
and ties, with the readiness to tie known and worths from N(0, prior_sd²), as `MAP` would.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.adaptive.answers import Answerers, AnswerInformation, answer_information
from psymetric.adaptive.gains import Target, difference_variance, fall, observe, order_weights
from psymetric.data.messages import counted
from psymetric.design.pair_graphs import rounds
from psymetric.errors import ConvergenceError, DataError

__all__ = ["AbstractSupply", "ModelSupply", "RecordedSupply", "Strategy", "follow", "refit"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Strategy = Literal["random", "round_robin"] | Target

_STEPS: Final = 50
_LONGEST: Final = 2.0
"""Longest step of a worth, in logits: nearly separated items would have Newton's method overshoot."""
_TOLERANCE: Final = 1e-6


class AbstractSupply(ABC):
    """Where answers come from."""

    @abstractmethod
    def is_open(self) -> NDArray[np.bool_]:
        """Pairs that can still be asked, shape (replicates, items, items), symmetric."""

    @abstractmethod
    def draw(self, left: Codes, right: Codes, rng: np.random.Generator) -> Codes:
        """Outcomes of one comparison in each replicate: 0 = left wins, 1 = right wins, 2 = tie; shape (replicates,)."""


@final
@dataclass(frozen=True)
class ModelSupply(AbstractSupply):
    """Answers from the model at known worths, shape (replicates, items); `tie` as in `refit`."""

    worth: Array
    tie: float

    @override
    def is_open(self) -> NDArray[np.bool_]:
        replicates, n_items = self.worth.shape
        return np.broadcast_to(~np.eye(n_items, dtype=bool), (replicates, n_items, n_items))

    @override
    def draw(self, left: Codes, right: Codes, rng: np.random.Generator) -> Codes:
        each = np.arange(len(left))
        gap = self.worth[each, left] - self.worth[each, right]
        odds = np.exp(np.stack([gap / 2, -gap / 2, np.full_like(gap, self.tie)], axis=1))
        return _drawn(odds, rng)


@final
@dataclass(frozen=True)
class RecordedSupply(AbstractSupply):
    """Answers from those recorded of a pair, each at most once; pairs without answers left are not asked.

    Attributes:
        left_over: Wins of the row's item, of the column's, and ties, shape (replicates, items, items, 3); drawn from in
            place.
    """

    left_over: Array

    @override
    def is_open(self) -> NDArray[np.bool_]:
        return self.left_over.sum(axis=-1) > 0

    @override
    def draw(self, left: Codes, right: Codes, rng: np.random.Generator) -> Codes:
        each = np.arange(len(left))
        outcome = _drawn(self.left_over[each, left, right], rng)
        self.left_over[each, left, right, outcome] -= 1
        self.left_over[each, right, left, np.array([1, 0, 2])[outcome]] -= 1
        return outcome


def follow(
    supply: AbstractSupply,
    strategy: Strategy,
    *,
    size: tuple[int, int],
    batches: int,
    batch: int,
    k: int,
    tie: float,
    prior_sd: float,
    rng: np.random.Generator,
) -> Array:
    """Worths after each batch, shape (batches, replicates, items).

    Args:
        supply: Of answers.
        strategy: How pairs are chosen.
        size: Replicates and items.
        batches: How many.
        batch: Comparisons in each, no pair twice.
        k: For `top_k`.
        tie: As in `refit`.
        prior_sd: As in `refit`.
        rng: Randomness.

    Raises:
        DataError: Fewer pairs that can be asked than a batch holds.
    """
    replicates, n_items = size
    each, turn = np.arange(replicates), _turns(replicates, n_items, rng)
    wins, ties = np.zeros((replicates, n_items, n_items)), np.zeros((replicates, n_items, n_items))
    worth, covariance = np.zeros((replicates, n_items)), np.tile(prior_sd**2 * np.eye(n_items), (replicates, 1, 1))
    one = Answerers(np.ones(1), np.zeros(1), np.full(1, tie), "davidson" if np.isfinite(tie) else None, "logit")
    curves = answer_information(one)
    found = np.empty((batches, replicates, n_items))
    for step in range(batches):
        is_open = supply.is_open()
        left = int(is_open.sum(axis=(1, 2)).min()) // 2
        if left < batch:
            raise DataError(
                f"pair_savings: after {step * batch:,} comparisons by {strategy!r} only {counted(left, 'pair')} can "
                f"be asked, fewer than a batch of {batch:,}; ask for fewer comparisons or smaller batches"
            )
        if strategy == "random":
            pairs = _least(rng.random(turn.shape), is_open, batch)
        elif strategy == "round_robin":
            pairs = _least((wins + wins.swapaxes(1, 2) + ties) * n_items**2 + turn, is_open, batch)
        else:
            pairs = _most_telling(worth, covariance, curves, is_open, strategy, k, batch, rng)
        for left, right in pairs:
            outcome = supply.draw(left, right, rng)
            wins[each, left, right] += outcome == 0
            wins[each, right, left] += outcome == 1
            ties[each, left, right] += outcome == 2
            ties[each, right, left] += outcome == 2
        worth, covariance = refit(wins, ties, worth, tie=tie, prior_sd=prior_sd)
        found[step] = worth
    return found


def refit(wins: Array, ties: Array, start: Array, *, tie: float, prior_sd: float) -> tuple[Array, Array]:
    """Modes of the worths and their covariances, by Newton's method.

    Args:
        wins: How often the row's item beat the column's, shape (replicates, items, items).
        ties: How often they tied, symmetric, the same shape.
        start: Worths to begin from, shape (replicates, items).
        tie: Davidson's log ν; minus infinity without ties.
        prior_sd: Of the worths, in logits.

    Returns:
        Worths, shape (replicates, items), and covariances, shape (replicates, items, items). Their common level has the
        prior alone; differences do not feel it.

    Raises:
        ConvergenceError: No mode was reached.
    """
    met, score = wins + wins.swapaxes(1, 2) + ties, wins.sum(axis=2) + ties.sum(axis=2) / 2
    worth, items, moved = start, np.arange(start.shape[1]), np.inf
    for _ in range(_STEPS):
        gap = worth[:, :, None] - worth[:, None, :]
        ahead, tied = np.exp(gap / 2), np.exp(tie)
        total = ahead + 1 / ahead + tied
        expected = (ahead + tied / 2) / total
        # Variance of the score 1, ½ or 0.
        each = met * ((ahead + tied / 4) / total - expected**2)
        information = -each
        information[:, items, items] += each.sum(axis=2) + prior_sd**-2
        slope = score - np.sum(met * expected, axis=2) - worth * prior_sd**-2
        step = np.linalg.solve(information, slope[:, :, None])[:, :, 0]
        length = np.max(np.abs(step), axis=1, keepdims=True)
        worth, moved = worth + step * np.minimum(1.0, _LONGEST / np.maximum(length, _LONGEST)), float(length.max())
        if moved < _TOLERANCE:
            return worth, np.linalg.inv(information)
    raise ConvergenceError(f"pair_savings: a refit still moved by {moved:.2g} logits after {_STEPS} steps")


def _most_telling(
    worth: Array,
    covariance: Array,
    curves: AnswerInformation,
    is_open: NDArray[np.bool_],
    target: Target,
    k: int,
    batch: int,
    rng: np.random.Generator,
) -> list[tuple[Codes, Codes]]:
    """The pairs that `next_pairs` would choose, one after the other."""
    replicates, n_items = worth.shape
    each, (first, second) = np.arange(replicates), np.triu_indices(n_items, 1)
    information = curves.expected(worth[:, :, None] - worth[:, None, :], difference_variance(covariance), 0)
    # A lot much smaller than any difference that matters, for the beginning, when all are alike.
    lots, is_free = 1 + 1e-9 * rng.random((replicates, len(first))), is_open[:, first, second]
    chosen: list[tuple[Codes, Codes]] = []
    for _ in range(batch):
        weights = None if target == "information" else order_weights(worth, covariance, target, k)
        gain = fall(covariance, information, weights)
        at = np.argmax(np.where(is_free, gain[:, first, second] * lots, -1.0), axis=1)
        left, right = first[at], second[at]
        chosen.append((left, right))
        is_free[each, at] = False
        covariance = observe(covariance, left, right, information[each, left, right])
    return chosen


def _least(key: Array, is_open: NDArray[np.bool_], batch: int) -> list[tuple[Codes, Codes]]:
    """The open pairs of smallest keys, in their order."""
    first, second = np.triu_indices(key.shape[1], 1)
    flat = np.where(is_open, key, np.inf)[:, first, second]
    order = np.argsort(flat, axis=1)[:, :batch]
    return [(first[at], second[at]) for at in order.T]


def _turns(replicates: int, n_items: int, rng: np.random.Generator) -> Array:
    """Place of each pair in a round robin of its replicate, shape (replicates, items, items), symmetric."""
    turn = np.zeros((replicates, n_items, n_items))
    for own in turn:
        left, right = rounds(n_items, rng).T
        own[left, right] = own[right, left] = np.arange(len(left))
    return turn


def _drawn(odds: Array, rng: np.random.Generator) -> Codes:
    """One outcome per row, with probabilities proportional to `odds`, shape (rows, outcomes)."""
    up_to = np.cumsum(odds, axis=1)
    return np.sum(rng.random(len(odds))[:, None] * up_to[:, -1:] >= up_to[:, :-1], axis=1)
