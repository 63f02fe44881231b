"""Which comparisons to ask next, and of whom: the most expected from their answers, for their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from psymetric.adaptive.answers import answer_information, outcome_moments
from psymetric.adaptive.gains import (
    Target,
    concerned,
    difference_variance,
    expected_uncertainty,
    fall,
    observe,
    order_weights,
    uncertainty,
)
from psymetric.adaptive.standing import Standing, standing
from psymetric.data.coding import Label
from psymetric.data.messages import counted, row_error
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit

__all__ = ["next_pairs"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_WHO: Final = "next_pairs"
_LIKE: Final = 1e-9
"""Gains this much apart, as a share, are alike: one of them is drawn."""


def next_pairs(
    fit: Fit,
    *,
    n: int = 10,
    target: Target = "ranking",
    k: int | None = None,
    judges: Sequence[Label] | None = None,
    facet: str = "judge",
    cost: Mapping[Label, float] | float = 1.0,
    candidates: pd.DataFrame | None = None,
    asked: PairTable | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The comparisons whose answers are expected to tell most, for their cost.

    | target | what an answer is to lower | unit of `gain` |
    |---|---|---|
    | `ranking` | uncertainty of the whole order | pairs of items that two draws of the worths order differently |
    | `top_k` | uncertainty of who is among the best k | the same, among pairs across the boundary as it stands |
    | `worths` | summed variance of the centred worths (A-optimality) | logits² |
    | `information` | entropy of the worths (D-optimality) | nats |

    One pair after the other is chosen by the gain per cost of its best judge, by a closed form of first order in what
    an answer moves (`psymetric.adaptive.gains`); after each choice the covariance is taken as if it had been answered,
    so that a batch spreads, and holds no pair twice. The gain in the result is computed in full, outcome by outcome,
    given that those chosen before it are answered.

    Worths count as normal with the fit's covariance, also where the fit has draws; discriminations, positions and ties
    of judges count as known. What facets other than `facet` own is at its mean, differences of contest covariates at
    zero.

    Args:
        fit: Of `BradleyTerry`, with a covariance of the worths. A prior (`MAP`) lets it begin from few answers.
        n: How many comparisons, each of another pair.
        target: What they are for.
        k: How many are best, for `top_k`.
        judges: Who can be asked; by default those of the fit, where its model tells them apart.
        facet: The facet whose levels they are.
        cost: Of an answer: one number, or one per judge.
        candidates: Pairs that may be asked, columns `left` and `right` in either order; by default all.
        asked: What was asked so far: pairs and items then come out on both sides equally often over all of it.
        seed: Which of equally good comparisons, and which side first where nothing decides it.

    Returns:
        One row per comparison in order of choice: `left` (to be shown first), `right`, `judge` (where judges are
        named), `gain`, `cost`, `gain_per_cost`, `p_left`, `p_tie` (where the model has ties; the rest is `right`), and
        `why`, in words.

    Raises:
        DataError: A fit of something else, without covariance or with fewer than two items, more comparisons than
            candidates, a k that leaves nobody out, unknown labels, or a cost that is missing or not above zero.

    Source: Chaloner & Verdinelli (1995), Statistical Science 10, 273-304 (designs by expected utility);
    Glickman & Jensen (2005), Journal of Statistical Planning and Inference 127, 279-293 (comparisons by expected gain).
    """
    if target not in get_args(Target):
        raise DataError(f"{_WHO}: target={target!r} is not known; use one of {[*get_args(Target)]}")
    here = standing(fit, judges=judges, facet=facet, cost=cost, who=_WHO)
    best = _checked_k(k, target, len(here.items))
    pairs = _candidates(candidates, here.items)
    if not 1 <= n <= len(pairs):
        raise DataError(f"{_WHO}: n={n} of {counted(len(pairs), 'candidate pair')}; each is asked once at most")
    rng = np.random.default_rng(seed)
    chosen = _choose(here, rng.permutation(pairs), n, target, best)
    return _labelled(here, _on_sides(chosen, here, asked, rng), target, best)


@final
@dataclass(frozen=True)
class _Choice:
    """A pair, left one first, who answers, and the covariance of the worths before."""

    pair: tuple[int, int]
    judge: int
    covariance: Array


def _choose(here: Standing, pairs: Codes, n: int, target: Target, k: int) -> list[_Choice]:
    """Greedily the best pair and judge, as if each had been answered before the next."""
    curves = answer_information(here.answerers)
    n_judges, covariance = len(here.cost), here.covariance
    first, second = pairs.T
    difference, variance = here.worth[first] - here.worth[second], difference_variance(covariance)[first, second]
    each = np.stack([curves.expected(difference, variance, judge) for judge in range(n_judges)])
    # The judge who lowers a difference's variance most for the price at first is taken to do so later.
    per_cost = each / (1 + each * variance) / here.cost[:, None]
    judge = np.argmax(per_cost, axis=0)
    information, cost = np.take_along_axis(each, judge[None], axis=0)[0], here.cost[judge]
    square, often = np.zeros_like(covariance), np.zeros(n_judges)
    square[first, second] = square[second, first] = information
    is_open = np.ones(len(pairs), bool)
    chosen: list[_Choice] = []
    for _ in range(n):
        weights = None if target == "information" else order_weights(here.worth, covariance, target, k)
        gain = np.where(is_open, fall(covariance, square, weights)[first, second] / cost, -np.inf)
        at = int(np.argmax(gain >= gain.max() * (1 - _LIKE)))
        alike = np.flatnonzero(per_cost[:, at] >= per_cost[:, at].max() * (1 - _LIKE))
        who = int(alike[np.argmin(often[alike])])
        chosen.append(_Choice((int(first[at]), int(second[at])), who, covariance))
        is_open[at] = False
        often[who] += 1
        covariance = observe(covariance[None], pairs[[at], 0], pairs[[at], 1], information[[at]])[0]
    return chosen


def _on_sides(
    chosen: list[_Choice], here: Standing, asked: PairTable | None, rng: np.random.Generator
) -> list[_Choice]:
    """Each pair in the order it was asked in less often, else with the item first that was first less often."""
    n_items = len(here.items)
    met = np.zeros((n_items, n_items))
    if asked is not None:
        place = {label: at for at, label in enumerate(here.items)}
        code = np.array([place.get(label, n_items) for label in asked.levels["item"]])
        left, right = code[asked.codes["left"]], code[asked.codes["right"]]
        known = (left < n_items) & (right < n_items)
        np.add.at(met, (left[known], right[known]), asked.weight[known])
    shown: list[_Choice] = []
    for choice in chosen:
        i, j = choice.pair
        ahead = met.sum(axis=1) - met.sum(axis=0)
        lot = float(rng.random()) - 0.5
        excess = next((by for by in (met[i, j] - met[j, i], ahead[i] - ahead[j]) if by), lot)
        left, right = (j, i) if excess > 0 else (i, j)
        met[left, right] += 1
        shown.append(replace(choice, pair=(left, right)))
    return shown


def _labelled(here: Standing, chosen: list[_Choice], target: Target, k: int) -> pd.DataFrame:
    left, right = np.array([choice.pair for choice in chosen]).T
    judge = np.array([choice.judge for choice in chosen])
    variance = np.array([difference_variance(choice.covariance)[choice.pair] for choice in chosen])
    probability, mean, spread = outcome_moments(here.answerers, judge, here.worth[left] - here.worth[right], variance)
    gain = np.array(
        [
            _gain(here.worth, choice, probability[row], mean[row], spread[row], target, k)
            for row, choice in enumerate(chosen)
        ]
    )
    items = np.array(here.items, dtype=object)
    columns: dict[str, object] = {"left": items[left], "right": items[right]}
    if here.judges:
        columns["judge"] = np.array(here.judges, dtype=object)[judge]
    columns |= {"gain": gain, "cost": here.cost[judge], "gain_per_cost": gain / here.cost[judge]}
    columns["p_left"] = probability[:, 0]
    if here.answerers.ties:
        columns["p_tie"] = probability[:, 2]
    return pd.DataFrame(columns | {"why": [_why(here, choice, target, k) for choice in chosen]}).infer_objects()


def _gain(
    worth: Array, choice: _Choice, probability: Array, mean: Array, variance: Array, target: Target, k: int
) -> float:
    """Fall of the target's uncertainty, averaged over the outcomes."""
    before = difference_variance(choice.covariance)
    if target == "information":
        return float(np.log(before[choice.pair]) - probability @ np.log(variance)) / 2
    if target == "worths":
        moved = choice.covariance[:, choice.pair[0]] - choice.covariance[:, choice.pair[1]]
        fallen = 1 - probability @ variance / before[choice.pair]
        return float(fallen * np.sum((moved - moved.mean()) ** 2) / before[choice.pair])
    after = expected_uncertainty(worth, choice.covariance, choice.pair, probability, mean, variance)
    now = uncertainty(worth[:, None] - worth, before)
    return float(np.sum((now - after)[concerned(worth, target, k)])) / 2


def _why(here: Standing, choice: _Choice, target: Target, k: int) -> str:
    """What of it is open, and whose."""
    i, j = choice.pair
    left, right = here.items[i], here.items[j]
    variance = difference_variance(choice.covariance)
    if target in ("worths", "information"):
        return f"the difference of {left} and {right} has a standard error of {np.sqrt(variance[i, j]):.2f} logits"
    above = ndtr((here.worth[i] - here.worth[j]) / np.sqrt(variance[i, j]))
    open_order = f"P({left} above {right}) = {above:.2f}"
    weights = order_weights(here.worth, choice.covariance, target, k)
    moved = choice.covariance[:, i] - choice.covariance[:, j]
    share = 2 * weights[i, j] * variance[i, j] ** 2 / np.sum(weights * (moved[:, None] - moved) ** 2)
    across = f" across the edge of the top {k}" if target == "top_k" and weights[i, j] > 0 else ""
    return f"{open_order}{across}; {share:.0%} of the gain is in this order, the rest in those of other items"


def _checked_k(k: int | None, target: Target, n_items: int) -> int:
    if target != "top_k":
        if k is not None:
            raise DataError(f'{_WHO}: k={k} belongs to target="top_k", and target is {target!r}')
        return 0
    if k is None or not 1 <= k < n_items:
        raise DataError(f"{_WHO}: k={k} of {n_items:,} items; the best k leave somebody out: give 1 to {n_items - 1:,}")
    return k


def _candidates(frame: pd.DataFrame | None, items: tuple[Label, ...]) -> Codes:
    """Pairs of items that may be asked, each once, shape (pairs, 2)."""
    if frame is None:
        return np.stack(np.triu_indices(len(items), 1), axis=1).astype(np.int64)
    lacking = [name for name in ("left", "right") if name not in frame]
    if lacking:
        raise DataError(f"{_WHO}: candidates= has columns {[*frame.columns]}; it needs 'left' and 'right'")
    place = {label: at for at, label in enumerate(items)}
    sides = [[place.get(label, -1) for label in frame[side].tolist()] for side in ("left", "right")]
    codes = np.sort(np.array(sides, dtype=np.int64).T.reshape(-1, 2), axis=1)
    unknown, same = codes[:, 0] < 0, codes[:, 0] == codes[:, 1]
    if unknown.any():
        got = [label for side in ("left", "right") for label in frame[side].tolist() if label not in place]
        raise row_error(_WHO, "candidates= names items that the fit does not have", unknown, got, "use its items")
    if same.any():
        raise row_error(
            _WHO, "candidates= pairs items with themselves", same, frame["left"][same].tolist(), "drop them"
        )
    return np.unique(codes, axis=0)
