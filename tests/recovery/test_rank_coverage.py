"""Coverage of the ranges that ranks may be in, for worths that lie far apart and close together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import rank_study
from comparison_world import World, circle, every_set, neighbours, pairs_world, rankings_world, worths
from rank_study import MARGINAL, QUANTILES, SIMULTANEOUS, RankTally, check
from recovery_study import LEVEL, SIGNIFICANCE

import psymetric as ps

DATA_SETS = {8: 300, 30: 120}
"""By number of items."""
METHOD = f"""The share of items whose true rank lies in its range, over {DATA_SETS[8]} data sets of 8 items and
{DATA_SETS[30]} of 30. Worths are evenly spaced normal quantiles of the sd that is printed, in logits, so that ranks
are defined and, where the sd is small, hard to tell. *Questions*: how many pairs or sets an item is in; few of 30
items are compared with neighbours on a circle alone, where worths stand in no order. *Quantiles of draws*:
`rank_intervals`, which ranks draws around the estimates. *Marginal sets* and *simultaneous sets*: ranks that no
significant difference rules out (`psymetric.scoring.rank_sets`; Mogstad, Romano, Shaikh & Wilhelm, 2024), which
promise {LEVEL:g} for each item, or for all at once. *All*: share of data sets in which every range holds; *worst*:
the item held least often; *width*: mean number of ranks in a range. *Not fitted*: data sets that are refused, as
some items won, or lost, all their comparisons with the others, or in which the search for the sd of random worths
did not converge.

The rule: marginal sets hold {LEVEL:g} of all ranks, and simultaneous ones all ranks in {LEVEL:g} of the data sets, or
more, less {SIGNIFICANCE} standard errors. Quantiles of draws are printed, not checked: they fall short where worths are
close, since the draws spread the items a second time around estimates that are spread already (Xie, Singh & Zhang,
2009, JASA 104, 775-788). Sets err on the other side: they are as wide as the worst case asks, in which one false
difference puts an item outside its set."""


@dataclass(frozen=True)
class Scenario:
    """A world to rank, with the engine that fits it."""

    label: str
    design: str
    sd: float
    engine: object
    world: World

    @property
    def n(self) -> int:
        """Data sets."""
        return DATA_SETS[len(self.world.truth["item"])]


SPREADS = (0.05, 0.3, 1.0)
PAIRS = {
    "8 items, few": (circle(8, 4), 3),
    "8 items, many": (circle(8, 4), 40),
    "30 items, few": (circle(30, 4), 4),
    "30 items, many": (circle(30, 15), 5),
}
_TIES = ps.BradleyTerry(ties="davidson", position=True)


def shuffled(n_items: int, sd: float) -> np.ndarray:
    """Worths in no order: items that are compared are not those that are alike."""
    return np.random.default_rng(n_items).permutation(worths(n_items, sd))


def scenarios() -> list[Scenario]:
    """Plain pairs in all designs; other models and engines in those with few comparisons."""
    found = []
    for design, (pairs, times) in PAIRS.items():
        n_items = pairs.max() + 1
        plain = {sd: pairs_world(ps.BradleyTerry(), shuffled(n_items, sd), pairs, times=times) for sd in SPREADS}
        found += [Scenario("Bradley-Terry, JointML", design, sd, ps.JointML(), world) for sd, world in plain.items()]
        if design.endswith("few"):
            found += [Scenario("Bradley-Terry, MAP", design, sd, ps.MAP(), world) for sd, world in plain.items()]
            found += [
                Scenario(
                    "Bradley-Terry, position and ties, JointML", design, sd, ps.JointML(),
                    pairs_world(_TIES, shuffled(n_items, sd), pairs, times=times, position=0.3, tie=-0.3),
                )
                for sd in SPREADS
            ]  # fmt: skip
    random = ps.BradleyTerry(random=("item",))
    pairs, times = PAIRS["30 items, few"]
    found += [
        Scenario(
            "Bradley-Terry, random worths, JointML", "30 items, few", sd, ps.JointML(),
            pairs_world(random, shuffled(30, sd), pairs, times=times),
        )
        for sd in SPREADS
    ]  # fmt: skip
    sets = {"8 items, few": every_set(8, 3), "30 items, few": neighbours(30, 3, (1, 5, 7))}
    found += [
        Scenario("Plackett-Luce, JointML", design, sd, ps.JointML(), rankings_world(shuffled(n, sd), of_three, times=2))
        for (design, of_three), n in zip(sets.items(), (8, 30), strict=True)
        for sd in SPREADS
    ]
    return found


def row(scenario: Scenario, tallies: dict[str, RankTally], refused: int) -> dict[str, object]:
    """The line of a validation table."""
    quantiles, marginal, simultaneous = (tallies[name] for name in (QUANTILES, MARGINAL, SIMULTANEOUS))
    return {
        "model, engine": scenario.label,
        "design": scenario.design,
        "questions": f"{scenario.world.per_item:.0f}",
        "sd of worths": f"{scenario.sd:g}",
        "data sets": scenario.n,
        "not fitted": refused,
        f"{QUANTILES}: coverage": f"{quantiles.each:.3f}",
        "SE": f"{quantiles.each_error:.3f}",
        "worst": f"{quantiles.worst:.3f}",
        "all": f"{quantiles.every:.3f}",
        "width": f"{np.mean(quantiles.width):.1f}",
        f"{MARGINAL}: coverage": f"{marginal.each:.3f}",
        "worst ": f"{marginal.worst:.3f}",
        "width ": f"{np.mean(marginal.width):.1f}",
        f"{SIMULTANEOUS}: all": f"{simultaneous.every:.3f}",
        "width  ": f"{np.mean(simultaneous.width):.1f}",
    }


@pytest.mark.slow
def test_sets_hold_where_quantiles_of_draws_do_not():
    """A small version of the study below, which also shows that its check can fail."""
    pairs, times = PAIRS["8 items, few"]
    world = pairs_world(ps.BradleyTerry(), worths(8, 0.05), pairs, times=times)
    tallies, _ = rank_study.replicate(world, ps.JointML(), 200, seed=1)
    check(tallies)
    with pytest.raises(AssertionError, match=QUANTILES):
        check(tallies, (QUANTILES,))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_coverage_of_ranks(record_validation):
    rows, found = [], []
    for seed, scenario in enumerate(scenarios()):
        tallies, refused = rank_study.replicate(scenario.world, scenario.engine, scenario.n, seed)
        rows.append(row(scenario, tallies, refused))
        found.append(tallies)
    record_validation("Coverage of rank intervals", METHOD, rows)
    for tallies in found:
        check(tallies)
