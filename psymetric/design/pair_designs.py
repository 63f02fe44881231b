"""Designs of paired comparisons: all pairs, or a few for each item that link them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted
from psymetric.design.allocation import asking_order
from psymetric.design.balance import checked_labels, judge_balance, share_judges
from psymetric.design.pair_graphs import meetings, regular_graph, rounds, sides, spectrum, worth_covariance
from psymetric.errors import DesignError

__all__ = ["Orders", "PairDesign", "linked_pairs", "round_robin"]

Orders = Literal["balanced", "both"]
Codes = NDArray[np.int64]


@final
@dataclass(frozen=True)
class PairDesign:
    """Comparisons to ask, and what they can be expected to tell.

    Attributes:
        frame: One row per comparison in asking order: `left`, `right`, and `judge` where judges were named.
        items: One row per item: `item`, `comparisons`, `left` and `right` (how often on each side), `opponents`
            (different ones) and `se`, the standard error in logits of the worth, centred, where all worths are equal.
        difference_se: Root of the mean variance of a difference of two worths, in logits, where all are equal.
        algebraic_connectivity: Smallest eigenvalue of the design's Laplacian but the zero, in comparisons: the larger,
            the better the design holds together.
        a_efficiency: Mean variance of a difference if as many comparisons were spread evenly over all pairs, divided by
            that of this design: 1 at best.
        d_efficiency: The same of generalised variances, per worth: the ratio of geometric means of eigenvalues.
        judges: One row per judge: `judge`, `comparisons`, and the fewest and most of one item, `item_min`, `item_max`;
            empty where no judges were named.
    """

    frame: pd.DataFrame
    items: pd.DataFrame
    difference_se: float
    algebraic_connectivity: float
    a_efficiency: float
    d_efficiency: float
    judges: pd.DataFrame

    def __str__(self) -> str:
        each = self.items["comparisons"]
        often = f"{each.min():,}" if each.min() == each.max() else f"{each.min():,} to {each.max():,}"
        lines = [
            f"{counted(len(self.frame), 'comparison')} of {counted(len(self.items), 'item')}, {often} of each",
            f"expected SE of a difference {self.difference_se:.3g} logits at equal worths; efficiency beside all pairs "
            f"A {self.a_efficiency:.3f}, D {self.d_efficiency:.3f}; algebraic connectivity "
            f"{self.algebraic_connectivity:.3g}",
        ]
        if len(self.judges):
            asked = self.judges["comparisons"]
            lines.append(f"{counted(len(asked), 'judge')} with {asked.min():,} to {asked.max():,} comparisons each")
        return "\n".join(lines)


def round_robin(
    items: Sequence[Label],
    *,
    repeats: int = 1,
    orders: Orders = "balanced",
    judges: Sequence[Label] = (),
    judges_per_pair: int = 1,
    tie_share: float = 0.0,
    seed: int = 0,
) -> PairDesign:
    """Every item with every other, equally often, in a random order of which any beginning is balanced.

    Args:
        items: What is compared.
        repeats: How often each pair is asked, for each of its judges and orders.
        orders: "balanced" shows each item first as often as second, to within one; "both" asks each pair in both
            orders of the same judge, which doubles the comparisons and shows consistency under swap.
        judges: Who is asked; none leaves the column out.
        judges_per_pair: How many of them compare a pair.
        tie_share: Share of ties expected between equal items, in [0, 1): ties of Davidson's model leave a comparison
            (1 - tie_share)/4 of information.
        seed: Seed of the random numbers.

    Raises:
        DesignError: Fewer than two items, labels that occur twice, or settings out of range.

    Source: David (1988), The Method of Paired Comparisons, 2nd ed., ch. 5 (balanced designs).
    """
    who = "round_robin"
    labels = checked_labels(items, who=who, noun="item", least=2)
    if repeats < 1:
        raise DesignError(f"{who}: repeats={repeats}; ask each pair at least once")
    rng = np.random.default_rng(seed)
    edges = np.concatenate([rounds(len(labels), rng) for _ in range(repeats)])
    return _designed(who, labels, edges, orders, judges, judges_per_pair, tie_share, rng)


def linked_pairs(
    items: Sequence[Label],
    *,
    per_item: int,
    orders: Orders = "balanced",
    judges: Sequence[Label] = (),
    judges_per_pair: int = 1,
    tie_share: float = 0.0,
    seed: int = 0,
) -> PairDesign:
    """Each item with as many others as asked for, in a design that links all of them well.

    A random regular graph: with d opponents for each of n items a difference has about (d - 1)/(d - 2) of the variance
    that the same number of comparisons over all pairs would leave it with. The best of several graphs is taken, and its
    connection is computed, not hoped for. `per_item` beyond all others is whole rounds of all pairs, and the rest so.

    Args:
        items: What is compared.
        per_item: Pairs of each item, 2 or more (for two items 1); even where the items are odd in number. Comparisons
            of an item are that times `judges_per_pair`, doubled by `orders="both"`.
        orders: As in `round_robin`.
        judges: As in `round_robin`.
        judges_per_pair: As in `round_robin`.
        tie_share: As in `round_robin`.
        seed: Seed of the random numbers.

    Raises:
        DesignError: As in `round_robin`, or a number of pairs that cannot link the items or cannot be dealt evenly.

    Source: David (1988), ch. 5, on incomplete designs; Fiedler (1973), Czechoslovak Mathematical Journal 23, 298-305.
    """
    who = "linked_pairs"
    labels = checked_labels(items, who=who, noun="item", least=2)
    n_items = len(labels)
    if per_item < min(2, n_items - 1):
        raise DesignError(f"{who}: per_item={per_item} cannot link {n_items:,} items; give 2 or more")
    if per_item * n_items % 2:
        raise DesignError(
            f"{who}: per_item={per_item} of {n_items:,} items makes half a pair, since both are odd; "
            f"use {per_item - 1} or {per_item + 1}"
        )
    rng = np.random.default_rng(seed)
    whole, rest = divmod(per_item, n_items - 1)
    parts = [rounds(n_items, rng) for _ in range(whole)]
    if rest == 1:
        parts.append(rng.permutation(n_items).reshape(-1, 2))
    elif rest:
        parts.append(regular_graph(n_items, rest, rng))
    return _designed(who, labels, np.concatenate(parts), orders, judges, judges_per_pair, tie_share, rng)


def _designed(
    who: str,
    labels: tuple[Label, ...],
    edges: Codes,
    orders: Orders,
    judges: Sequence[Label],
    judges_per_pair: int,
    tie_share: float,
    rng: np.random.Generator,
) -> PairDesign:
    """The pairs with their sides and judges, in asking order, and what can be said of them."""
    names = checked_labels(judges, who=who, noun="judge", least=0)
    if orders not in get_args(Orders):
        raise DesignError(f"{who}: orders={orders!r} is not known; use one of {[*get_args(Orders)]}")
    if not 0 <= tie_share < 1:
        raise DesignError(f"{who}: tie_share={tie_share} is not a share of ties in [0, 1)")
    if judges_per_pair != 1 and not 1 <= judges_per_pair <= len(names):
        raise DesignError(f"{who}: judges_per_pair={judges_per_pair} of {counted(len(names), 'judge')}")
    n_items = len(labels)
    shown = sides(edges, n_items, rng)
    asked = np.repeat(np.arange(len(edges)), judges_per_pair)
    judge = share_judges(edges, len(names), judges_per_pair, n_items, rng).ravel() if names else None
    is_turned = np.tile(np.arange(judges_per_pair) % 2 == 1, len(edges))
    if orders == "both":
        asked, is_turned = np.repeat(asked, 2), np.tile([False, True], len(asked))
        judge = None if judge is None else np.repeat(judge, 2)
    # Rounds keep their own order, of which any beginning is balanced.
    place = asking_order(asked, rng) if len(asked) > len(edges) else np.arange(len(asked))
    left, right = np.where(is_turned[:, None], shown[asked][:, ::-1], shown[asked])[place].T
    items = np.array(labels, dtype=object)
    columns: dict[str, object] = {"left": items[left], "right": items[right]}
    if judge is not None:
        columns["judge"] = np.array(names, dtype=object)[judge[place]]
    met = meetings(left, right, n_items)
    covariance = worth_covariance(met, (1 - tie_share) / 4)
    values = spectrum(met)
    even = 2 * len(left) / (n_items - 1)
    return PairDesign(
        frame=pd.DataFrame(columns).infer_objects(),
        items=pd.DataFrame(
            {
                "item": list(labels),
                "comparisons": met.sum(axis=1).astype(np.int64),
                "left": np.bincount(left, minlength=n_items),
                "right": np.bincount(right, minlength=n_items),
                "opponents": np.count_nonzero(met, axis=1),
                "se": np.sqrt(np.diag(covariance)),
            }
        ),
        difference_se=float(np.sqrt(2 * np.trace(covariance) / (n_items - 1))),
        algebraic_connectivity=float(values[0]),
        a_efficiency=float(1 / np.mean(1 / values) / even),
        d_efficiency=float(np.exp(np.mean(np.log(values))) / even),
        judges=judge_balance(names, judge[place], np.stack([left, right], axis=1), n_items)
        if judge is not None
        else judge_balance((), np.zeros(0, np.int64), np.zeros((0, 2), np.int64), n_items),
    )
