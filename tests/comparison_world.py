"""Comparisons and rankings of known worths: outcomes by formulas of their own, in NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, permutations

import numpy as np
import pandas as pd
from scipy.stats import norm

import psymetric as ps
from psymetric.models.base import AbstractMeasurementModel, Table

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class World:
    """What is asked, and how likely every answer is.

    Every answer stands in the table, with the number of times it was given, so that programs are compiled once.

    Attributes:
        model: Fitted to what is observed.
        truth: By facet, as the fit reports it.
        frame: One row per answer and, of rankings, item; `answer` counts them.
        chance: Probability of every answer to each question, shape (questions, answers).
        times: How often each question is asked.
    """

    model: AbstractMeasurementModel
    truth: dict[str, Array]
    frame: pd.DataFrame
    chance: Array
    times: int

    @cached_property
    def _template(self) -> Table:
        frame = self.frame.assign(given=1.0)
        facets = ["judge"] if "judge" in frame else []
        if self.model.table_kind == "pairs":
            return ps.PairTable.from_frame(
                frame, left="left", right="right", outcome="outcome", facets=facets, weight="given"
            )
        return ps.RankingTable.from_frame(frame, weight="given")

    def table(self, rng: np.random.Generator) -> Table:
        """Answers drawn anew."""
        given = rng.multinomial(self.times, self.chance).ravel().astype(float)
        return replace(self._template, weight=given[self.frame["answer"].to_numpy()])

    @property
    def per_item(self) -> float:
        """Questions that an item is in."""
        n_items = len(self.truth["item"])
        shown = 2 if self.model.table_kind == "pairs" else self.frame.groupby("answer").size().iloc[0]
        return len(self.chance) * self.times * shown / n_items


def worths(n_items: int, sd: float) -> Array:
    """Normal quantiles of the wanted sd, rising."""
    quantiles = norm.ppf((np.arange(n_items) + 0.5) / n_items)
    return sd * quantiles / quantiles.std()


def circle(n_items: int, reach: int) -> Array:
    """Pairs of items at most `reach` apart on a circle, in both orders, shape (pairs, 2)."""
    left = np.repeat(np.arange(n_items), reach)
    right = (left + np.tile(np.arange(1, reach + 1), n_items)) % n_items
    pairs = np.stack([left, right], axis=1)
    return np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)


def pairs_world(
    model: ps.BradleyTerry,
    worth: Array,
    pairs: Array,
    *,
    times: int,
    position: float = 0.0,
    tie: float | None = None,
    slope: Array | None = None,
) -> World:
    """Pairs shown to every judge; `tie` is log ν of Davidson's rule, `slope` has a discrimination for every judge."""
    judges = np.ones(1) if slope is None else slope
    left, right = np.repeat(pairs.T, len(judges), axis=1)
    judge = np.tile(np.arange(len(judges)), len(pairs))
    gap = judges[judge] * (worth[left] - worth[right])
    odds = [np.exp(gap / 2 + position), np.exp(-gap / 2)]
    odds += [] if tie is None else [np.full(len(gap), np.exp(tie))]
    chance = np.stack(odds, axis=1) / np.sum(odds, axis=0)[:, None]
    n = chance.shape[1]
    frame = pd.DataFrame({"left": np.repeat(left, n), "right": np.repeat(right, n)})
    frame["outcome"] = np.tile(["left", "right", "tie"][:n], len(gap))
    frame["answer"] = np.arange(len(frame))
    truth: dict[str, Array] = {"item": worth}
    if model.position:
        truth["position"] = np.array([position])
    if tie is not None:
        truth["tie"] = np.array([tie])
    if slope is not None:
        frame["judge"], truth["judge"] = np.repeat(judge, n), slope
    return World(model, truth, frame, chance, times)


def rankings_world(worth: Array, sets: Array, *, times: int) -> World:
    """Full rankings of sets of items, shape (sets, size), by Plackett and Luce."""
    orders = np.array([*permutations(range(sets.shape[1]))])
    strength = np.exp(worth[sets[:, orders]])
    left = np.cumsum(strength[..., ::-1], axis=2)[..., ::-1]
    return _of_sets(
        ps.PlackettLuce(), worth, sets, np.argsort(orders, axis=1) + 1, (strength / left).prod(axis=2), times
    )


def best_worst_world(worth: Array, sets: Array, *, times: int) -> World:
    """The pair furthest apart of each set."""
    size = sets.shape[1]
    best, worst = np.array([*permutations(range(size), 2)]).T
    words = np.full((len(best), size), "neither", object)
    words[np.arange(len(best)), best], words[np.arange(len(best)), worst] = "best", "worst"
    odds = np.exp(worth[sets[:, best]] - worth[sets[:, worst]])
    return _of_sets(ps.BestWorst(), worth, sets, words, odds / odds.sum(axis=1, keepdims=True), times)


def _of_sets(
    model: AbstractMeasurementModel, worth: Array, sets: Array, ranks: Array, chance: Array, times: int
) -> World:
    """Of every set the same answers: what each says of the items by their places in the set, shape (answers, size)."""
    n_sets, size = sets.shape
    answer = np.repeat(np.arange(chance.size), size)
    frame = pd.DataFrame({"task": answer, "item": np.repeat(sets, len(ranks), axis=0).ravel(), "answer": answer})
    frame["rank"] = np.tile(ranks.ravel(), n_sets)
    return World(model, {"item": worth}, frame, chance, times)


def every_set(n_items: int, size: int) -> Array:
    """All sets of a size, shape (sets, size)."""
    return np.array([*combinations(range(n_items), size)])


def neighbours(n_items: int, size: int, steps: tuple[int, ...]) -> Array:
    """Sets of items that lie some steps apart on a circle, one for each item and step, shape (sets, size)."""
    return np.array([(start + step * np.arange(size)) % n_items for step in steps for start in range(n_items)])
