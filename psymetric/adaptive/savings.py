"""What choosing pairs saves: the accuracy of an order against the number of comparisons, by strategy, in simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from psymetric.adaptive.pair_courses import Strategy, follow
from psymetric.adaptive.pair_truth import Answers, read_truth
from psymetric.data.messages import counted
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError

__all__ = ["Measure", "PairSavings", "pair_savings"]

Array = NDArray[np.float64]
Measure = Literal["kendall", "top_k"]

_WHO: Final = "pair_savings"
_STRATEGIES: Final[tuple[Strategy, ...]] = ("random", "round_robin", "ranking", "top_k", "worths", "information")


@final
@dataclass(frozen=True)
class PairSavings:
    """Accuracy by number of comparisons, for each strategy.

    Attributes:
        comparisons: After each batch, shape (batches,).
        kendall: By strategy, Kendall's tau of the estimated with the true worths, over pairs whose true worths differ;
            shape (replicates, batches).
        top_k: By strategy, the share of the true best k among the estimated best k; empty without k.
        items: How many.
        k: How many are best, or None.
        notes: What the numbers rest on.
    """

    comparisons: NDArray[np.int64]
    kendall: Mapping[str, Array]
    top_k: Mapping[str, Array]
    items: int
    k: int | None
    notes: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """One row per strategy, measure and batch.

        `strategy`, `measure`, `comparisons`, `accuracy` (mean over replicates) and `se`, its Monte Carlo error.
        """
        parts = [
            pd.DataFrame(
                {
                    "strategy": strategy,
                    "measure": measure,
                    "comparisons": self.comparisons,
                    "accuracy": values.mean(axis=0),
                    "se": values.std(axis=0, ddof=1) / np.sqrt(len(values)),
                }
            )
            for measure, courses in (("kendall", self.kendall), ("top_k", self.top_k))
            for strategy, values in courses.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def needed(
        self,
        accuracy: float,
        *,
        measure: Measure = "kendall",
        than: Strategy = "random",
        level: float = 0.95,
        draws: int = 1_000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """How many comparisons each strategy needs for a mean accuracy, and what share of another's that is.

        Read off the mean curve, made to rise by isotonic regression, between batches by a straight line. Intervals are
        percentiles of a bootstrap over replicates, which have the same truth in all strategies and are drawn together.

        Args:
            accuracy: To be reached.
            measure: Of accuracy.
            than: The strategy to compare with.
            level: Coverage of the intervals.
            draws: Of the bootstrap.
            seed: Of its random numbers.

        Returns:
            One row per strategy: `strategy`, `comparisons`, `lower`, `upper`, and `share` of the comparisons of `than`
            with `share_lower`, `share_upper`. Infinite where the simulation ended before; where that happens to `than`
            in a draw of the bootstrap, it counts as having needed all, which overstates the share.

        Raises:
            DataError: An accuracy that `than` does not reach, a measure or strategy that was not simulated.
        """
        courses = {"kendall": self.kendall, "top_k": self.top_k}.get(measure, {})
        if than not in courses:
            raise DataError(f"{_WHO}: {measure!r} by {than!r} was not simulated; there are {[*self.kendall]}")
        if not 0 < level < 1:
            raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
        base = self._crossing(courses[than].mean(axis=0), accuracy)
        if not np.isfinite(base):
            reached = courses[than].mean(axis=0).max()
            raise DataError(
                f"{_WHO}: {than!r} reaches {reached:.3f} in {self.comparisons[-1]:,} comparisons, and not "
                f"{accuracy:g}; ask for less, or simulate more comparisons"
            )
        replicates, tail = len(courses[than]), (1 - level) / 2
        chances = np.full(replicates, 1 / replicates)
        again = np.random.default_rng(seed).multinomial(replicates, chances, draws) / replicates
        # Where `than` does not get there, it would need more than were simulated: the share is at most this.
        most = np.minimum(self._crossings(again @ courses[than], accuracy), self.comparisons[-1])
        rows: list[dict[str, object]] = []
        for name, values in courses.items():
            number, drawn = self._crossing(values.mean(axis=0), accuracy), self._crossings(again @ values, accuracy)
            share = np.ones(draws) if name == than else drawn / most
            ends, shares = (np.quantile(part, [tail, 1 - tail], method="inverted_cdf") for part in (drawn, share))
            row: dict[str, object] = {"strategy": name, "comparisons": number, "lower": ends[0], "upper": ends[1]}
            rows.append(row | {"share": number / base, "share_lower": shares[0], "share_upper": shares[1]})
        return pd.DataFrame(rows)

    def _crossings(self, curves: Array, accuracy: float) -> Array:
        return np.array([self._crossing(curve, accuracy) for curve in curves])

    def _crossing(self, curve: Array, accuracy: float) -> float:
        """Where the rising curve passes the accuracy, in comparisons; infinite where it does not."""
        rising = isotonic_regression(curve).x
        if rising[-1] < accuracy:
            return float("inf")
        after = int(np.argmax(rising >= accuracy))
        if after == 0:
            return float(self.comparisons[0])
        part = (accuracy - rising[after - 1]) / (rising[after] - rising[after - 1])
        return float(self.comparisons[after - 1] + part * (self.comparisons[after] - self.comparisons[after - 1]))


def pair_savings(
    truth: ArrayLike | PairTable,
    *,
    comparisons: int,
    strategies: Sequence[Strategy] = ("ranking", "round_robin", "random"),
    batch: int | None = None,
    k: int | None = None,
    replicates: int = 100,
    answers: Answers = "model",
    tie_share: float = 0.0,
    prior_sd: float = 2.0,
    seed: int = 0,
) -> PairSavings:
    """Simulate studies that choose their pairs as `next_pairs` does, or at random, or by round robin.

    Every study begins with no answers and worths from N(0, prior_sd²), asks a batch, fits all its answers anew, and
    goes on; a strategy is a target of `next_pairs`, "random" (pairs at random, none twice in a batch) or "round_robin"
    (all pairs once in a balanced order before any is asked again). All strategies are fitted in the same way: the model
    of the truth, its readiness to tie known, without position or judges.

    Accuracy is measured against the true worths: those given, or those that a fit to the whole table has (the same
    model and prior). With a table and `answers="recorded"` answers are drawn from those recorded of the pair, each at
    most once, and pairs without any are never asked: what the study could have saved. The truth is then of the same
    answers, and all strategies come to it in the end. With "model" they come from the model fitted to the table, and
    any pair can be asked. (Answers recorded of a pair are not drawn again and again: two answers that happen to agree
    would become a law, which contradicts the worths.)

    Args:
        truth: Worths in logits, shape (items,), or (sets, items), of which replicates take turns; or comparisons.
        comparisons: How many each study asks.
        strategies: What to compare.
        batch: Comparisons between fits; by default a quarter of the items.
        k: How many are best: for the strategy "top_k", and measured for all.
        replicates: Simulated studies per strategy.
        answers: Where they come from.
        tie_share: Share of ties between equal items in [0, 1), for worths; a table has its own.
        prior_sd: Of the prior on the worths, in logits.
        seed: Seed of the random numbers.

    Returns:
        The courses of accuracy.

    Raises:
        DataError: Fewer than two items, worths that are not numbers, settings out of range, or comparisons that run
            out.
    """
    found = read_truth(truth, answers=answers, tie_share=tie_share, prior_sd=prior_sd)
    n_items = found.worth.shape[1]
    size = max(n_items // 4, 1) if batch is None else batch
    _check(strategies, comparisons, size, replicates, prior_sd, k, n_items)
    seeds = np.random.SeedSequence(seed).spawn(len(strategies) + 1)
    # Items in another order in each replicate, so that no strategy can lean on it.
    order = np.random.default_rng(seeds[-1]).permuted(np.tile(np.arange(n_items), (replicates, 1)), axis=1)
    true = np.take_along_axis(found.worth[np.arange(replicates) % len(found.worth)], order, axis=1)
    kendall: dict[str, Array] = {}
    best: dict[str, Array] = {}
    for strategy, own in zip(strategies, seeds, strict=False):
        course = follow(
            found.supply(true, order),
            strategy,
            size=(replicates, n_items),
            batches=comparisons // size,
            batch=size,
            k=k or 0,
            tie=found.tie,
            prior_sd=prior_sd,
            rng=np.random.default_rng(own),
        )
        kendall[strategy] = np.stack([_kendall(worth, true) for worth in course], axis=1)
        if k is not None:
            best[strategy] = np.stack([_share_of_best(worth, true, k) for worth in course], axis=1)
    note = f"A fit after every {counted(size, 'comparison')}, with worths from N(0, {prior_sd:g}²)."
    at = size * np.arange(1, comparisons // size + 1)
    return PairSavings(at, kendall, best, n_items, k, (note, *found.notes))


def _check(
    strategies: Sequence[Strategy],
    comparisons: int,
    batch: int,
    replicates: int,
    prior_sd: float,
    k: int | None,
    n_items: int,
) -> None:
    unknown = [name for name in strategies if name not in _STRATEGIES]
    if unknown or not strategies or len(set(strategies)) < len(strategies):
        raise DataError(f"{_WHO}: strategies={[*strategies]}; name each once, from {[*_STRATEGIES]}")
    if "top_k" in strategies and k is None:
        raise DataError(f'{_WHO}: the strategy "top_k" needs k=')
    if k is not None and not 1 <= k < n_items:
        raise DataError(f"{_WHO}: k={k} of {n_items:,} items; the best k leave somebody out: give 1 to {n_items - 1:,}")
    pairs = n_items * (n_items - 1) // 2
    if not 1 <= batch <= min(comparisons, pairs):
        raise DataError(f"{_WHO}: batch={batch} of {comparisons:,} comparisons among {counted(pairs, 'pair')}")
    if replicates < 2:
        raise DataError(f"{_WHO}: replicates={replicates}; an error of the simulation needs at least 2")
    if not (np.isfinite(prior_sd) and prior_sd > 0):
        raise DataError(f"{_WHO}: prior_sd={prior_sd} is not a scale above zero")


def _kendall(worth: Array, true: Array) -> Array:
    """Tau over pairs that differ in truth, shape (replicates,)."""
    first, second = np.triu_indices(true.shape[1], 1)
    sense = np.sign(true[:, first] - true[:, second])
    return np.sum(sense * np.sign(worth[:, first] - worth[:, second]), axis=1) / np.sum(sense != 0, axis=1)


def _share_of_best(worth: Array, true: Array, k: int) -> Array:
    """Share of the true best k among the estimated ones, shape (replicates,)."""
    found, right = (np.argsort(-values, axis=1, kind="stable")[:, :k] for values in (worth, true))
    return np.mean((found[:, :, None] == right[:, None, :]).any(axis=2), axis=1)
