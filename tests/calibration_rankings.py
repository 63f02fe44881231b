"""Every ranking that small sets of items can be given, each with the number of times that it was.

Rankings of weight zero stand in the table too, so that all data sets of a design have one shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations, product

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from calibration_cases import Design, Observed
from calibration_truth import Values

import psymetric as ps

_LARGEST_TIE = 3


def orders(size: int, observed: Observed) -> Iterator[tuple[object, ...]]:
    """What can be observed of a set: the rank of each of its items, None where it was not ranked."""
    if observed == "order with ties":
        for ranks in product(range(size), repeat=size):
            if len(set(ranks)) == max(ranks) + 1:
                yield ranks
        return
    words: dict[Observed, tuple[object, ...]] = {
        "order": tuple(range(size)),
        "best two": (1, 2, *[None] * (size - 2)),
        "best and worst": ("best", "worst", *["neither"] * (size - 2)),
    }
    yield from dict.fromkeys(permutations(words[observed]))


@cache
def every_ranking(design: Design) -> tuple[pd.DataFrame, np.ndarray]:
    """One row per item of each possible ranking, and the set and judge that each ranking is of, shape (rankings,)."""
    sets = combinations(range(design.sizes["item"]), design.set_size)
    asked = [*product(sets, range(design.sizes.get("judge", 1)))]
    rows, owner = [], []
    for number, (items, judge) in enumerate(asked):
        for ranks in orders(design.set_size, design.observed):
            rows += [(len(owner), judge, item, rank) for item, rank in zip(items, ranks, strict=True)]
            owner.append(number)
    frame = pd.DataFrame(rows, columns=["task", "judge", "item", "rank"])
    return frame.drop(columns=[] if "judge" in design.sizes else ["judge"]), np.array(owner)


def ranking_table(design: Design, given: np.ndarray) -> ps.RankingTable:
    """All rankings, each with the number of times it was given, shape (rankings,)."""
    frame, _ = every_ranking(design)
    frame = frame.assign(given=np.repeat(given, design.set_size).astype(float))
    return ps.RankingTable.from_frame(frame, judge="judge" if "judge" in frame else None, weight="given")


@cache
def ranking_log_probs(design: Design) -> object:
    """The model's log-probability of every ranking given its set, which other tests hold to second implementations."""
    model, table = design.model, ranking_table(design, np.ones(len(every_ranking(design)[1])))
    seen = model.choices(table)
    codes = {name: jnp.asarray(code) for name, code in seen.codes.items()}
    return jax.jit(lambda params: model.response_log_probs(params, codes, jnp.asarray(seen.response), 0))


def draw_rankings(design: Design, truth: Values, rng: np.random.Generator) -> np.ndarray:
    """How often each ranking was given, shape (rankings,)."""
    owner = every_ranking(design)[1]
    params = {name: jnp.asarray(value) for name, value in truth.items()}
    chance = np.exp(np.asarray(ranking_log_probs(design)(params)))
    assert np.allclose(np.bincount(owner, chance), 1.0)
    drawn = [rng.multinomial(design.times, chance[owner == k] / chance[owner == k].sum()) for k in range(owner[-1] + 1)]
    return np.concatenate(drawn)


def shows_all_ties(design: Design, given: np.ndarray) -> bool:
    """Whether ties of all sizes were seen, where the model has them: those never seen have no parameter."""
    if design.observed != "order with ties":
        return True
    frame = every_ranking(design)[0]
    seen = frame[np.repeat(given, design.set_size) > 0]
    return {2, _LARGEST_TIE} <= set(seen.groupby(["task", "rank"]).size())
