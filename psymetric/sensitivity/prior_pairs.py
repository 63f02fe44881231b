"""What a grid of priors says of a pair: where its order stands, where it tips, and a label for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Robustness", "order_probabilities", "rank_frame", "robustness", "tipping_value"]

Array = NDArray[np.float64]
Robustness = Literal["robust", "sensitive", "not identified", "undecided", "unknown"]


def order_probabilities(means: Array) -> Array:
    """Probability that the row's candidate is above the column's, ties half, shape (candidates, candidates).

    Args:
        means: Draws, shape (draws, candidates).
    """
    above = np.stack([(one[:, None] > means).mean(axis=0) for one in means.T])
    return (above + 1 - above.T) / 2


def robustness(
    above: Array, usable: NDArray[np.bool_], reference: int, threshold: float, identified: str | None
) -> Robustness:
    """A label for one pair.

    "unknown" where the chains of a cell disagree, so that what the grid says is not known; "robust": one order has
    the threshold probability under every prior; "not identified": it does not, and judges and candidates of either
    order reproduce the labels; "sensitive": it has it under the reference alone or under some priors; "undecided":
    under none.

    Args:
        above: Probability that the first is above the second under each prior, shape (cells,).
        usable: Whether the chains of a cell agree, shape (cells,).
        reference: The cell of the model's own prior.
        threshold: Probability from which an order counts as stated.
        identified: What the identified set says of the order, if it was computed: "point", "sign", "no", "undecided".
    """
    seen = above[usable]
    if not usable[reference]:
        return "unknown"
    if np.all(seen >= threshold) or np.all(seen <= 1 - threshold):
        return "robust" if usable.all() else "unknown"
    if identified == "no":
        return "not identified"
    stated = np.maximum(seen, 1 - seen) >= threshold
    return "sensitive" if stated.any() else "undecided"


def tipping_value(
    settings: Sequence[object], stated: Array, usable: NDArray[np.bool_], start: int, threshold: float
) -> object:
    """The setting nearest to the reference at which a stated order falls under the threshold, or None.

    Numbers are interpolated between the two settings where it happens; of several, the one fewest steps away is
    returned, and a cell whose chains disagree ends the search on its side.

    Args:
        settings: Values of one setting, sorted where they are numbers; all others are those of the reference.
        stated: Probability of the stated order at each, shape (settings,).
        usable: Whether the chains agree there, shape (settings,).
        start: Place of the reference.
        threshold: Probability under which an order is no longer stated.
    """
    if not (usable[start] and stated[start] >= threshold):
        return None
    found: list[tuple[int, object]] = []
    numeric = all(isinstance(value, (int, float)) for value in settings)
    # Settings that are no numbers have no neighbours: each is one step away.
    places = range(len(settings))
    ways = (places[start + 1 :], places[:start][::-1]) if numeric else tuple([at] for at in places)
    for way in ways:
        before = start
        for steps, at in enumerate(way, start=1):
            if not usable[at]:
                break
            if stated[at] < threshold:
                found.append((steps, _between(settings, stated, before, at, threshold) if numeric else settings[at]))
                break
            before = at
    return min(found, key=lambda one: one[0])[1] if found else None


def _between(settings: Sequence[object], stated: Array, inside: int, outside: int, threshold: float) -> float:
    first, last = (float(settings[at]) for at in (inside, outside))  # pyright: ignore[reportArgumentType]
    part = (stated[inside] - threshold) / (stated[inside] - stated[outside])
    return first + float(part) * (last - first)


def rank_frame(means: Array, labels: Sequence[object], level: float) -> pd.DataFrame:
    """Mean level and rank of each candidate with intervals, in the order of `labels`.

    Args:
        means: Draws, shape (draws, candidates).
        labels: Of the candidates.
        level: Coverage of the intervals.
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    ranks = 1 + np.argsort(np.argsort(-means, axis=1, kind="stable"), axis=1)
    lower, upper = np.quantile(means, tails, axis=0)
    rank_lower, rank_upper = np.quantile(ranks, tails, axis=0, method="inverted_cdf")
    estimate = means.mean(axis=0)
    return pd.DataFrame(
        {
            "candidate": list(labels),
            "estimate": estimate,
            "se": means.std(axis=0, ddof=1),
            "lower": lower,
            "upper": upper,
            "rank": 1 + np.argsort(np.argsort(-estimate, kind="stable")),
            "rank_lower": rank_lower.astype(np.int64),
            "rank_upper": rank_upper.astype(np.int64),
        }
    )
