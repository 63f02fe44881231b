"""The measurement models that contract tests run over, each with a table it can be tried on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from _pytest.mark.structures import ParameterSet

from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.best_worst import BestWorst
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.choice import AbstractChoiceModel
from psymetric.models.discovery import available_models
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.models.multidimensional import Multidimensional
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.one_coin import OneCoin
from psymetric.models.ordinal_probit import OrdinalProbit
from psymetric.models.plackett_luce import PlackettLuce
from psymetric.models.space import has_dimensions
from psymetric.models.testlet import RaschTestlet
from psymetric.models.truth import AbstractTruthModel

# Settings beyond the defaults that deserve the same checks; every model found on disk is checked with its defaults.
_VARIANTS: tuple[AbstractMeasurementModel, ...] = (
    OneCoin(accuracy="truth"),
    OrdinalProbit(criteria="judge"),
    ManyFacetRasch(steps="item"),
    ManyFacetRasch(slopes=("item", "judge")),
    BradleyTerry(ties="davidson", position=True),
    BradleyTerry(ties="davidson", position="judge", slopes=("judge",), contest=("length",)),
    PlackettLuce(ties="davidson-luce"),
)
# These too, where there is more time: each has its own tests besides.
_FURTHER: tuple[AbstractMeasurementModel, ...] = (
    ManyFacetRasch(steps="judge"),
    ManyFacetRasch(facets=("item",)),
    ManyFacetRasch(interactions=(("judge", "item"),)),
    ManyFacetRasch(random=("judge",)),
    ManyFacetRasch(anchors={"judge": {"j1": 0.4}}),
    Multidimensional(key={"A": ("i1", "i2"), "B": ("i2", "i3")}, facets=("item", "judge"), steps="common"),
    Multidimensional(key={"A": ("i1", "i2"), "B": ("i2", "i3")}, discrimination="free"),
    ManyFacetRasch(drift={"judge:item": "linear"}),
    RaschTestlet(ManyFacetRasch(facets=("item",), steps="item", slopes=("item",)), within="judge"),
    BradleyTerry(ties="davidson"),
    BradleyTerry(position=True),
    BradleyTerry(ties="rao_kupper", position="judge", tie_owner="judge"),
    BradleyTerry(ties="rao_kupper", link="probit"),
    BradleyTerry(covariates=("size", "kind"), contest=("length",), drift={"item:occasion": "linear"}),
    BradleyTerry(covariates=("size",), family="kind", drift={"item:occasion": "walk"}),
    JudgeMixture(BradleyTerry(ties="davidson", position=True, contest=("length",))),
    PlackettLuce(ties="davidson-luce", slopes="judge"),
    BestWorst(worst_scale="free"),
    BestWorst(process="sequential", worst_scale="free"),
)


@dataclass(frozen=True)
class Case:
    """A model and a table drawn at random, unrelated to any parameters."""

    model: AbstractMeasurementModel
    table: ResponseTable | PairTable | RankingTable

    def __str__(self) -> str:
        settings = repr(self.model).split("(", 1)[1].rstrip(")")
        return f"{type(self.model).__name__}({settings})"


def response_frame(n_categories: int, *, seed: int = 1) -> pd.DataFrame:
    """Twelve subjects × three items × three judges, every category used by every level."""
    rng = np.random.default_rng(seed)
    frame = pd.MultiIndex.from_product(
        [[f"s{i}" for i in range(12)], ["i1", "i2", "i3"], ["j1", "j2", "j3"]], names=["subject", "item", "judge"]
    ).to_frame(index=False)
    frame["trait"] = frame["item"].map({"i1": "A", "i2": "A", "i3": "B"})
    return frame.assign(rating=rng.permutation(np.arange(len(frame)) % n_categories))


def pair_frame(outcomes: tuple[str, ...], *, seed: int = 1) -> pd.DataFrame:
    """Five items, each pair shown four times each way."""
    rng = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(5)]
    frame = pd.DataFrame([(a, b) for a in names for b in names if a != b for _ in range(4)], columns=["left", "right"])
    frame["winner"] = rng.permutation(np.resize(outcomes, len(frame)))
    frame["judge"] = rng.permutation(np.resize(["j1", "j2", "j3"], len(frame)))
    frame["length"] = rng.permutation(np.resize([-1.5, 0, 0.5, 2], len(frame)))
    return frame.assign(occasion=rng.permutation(np.resize([1, 2, 4], len(frame))))


# What is known of the items of `pair_frame`.
ITEMS = pd.DataFrame({"size": [1.0, 2.0, 2.5, 4.0, 0.5], "kind": list("aabba")}, index=[f"m{i}" for i in range(5)])


def ranking_frame(ranks: tuple[object, ...], *, seed: int = 1) -> pd.DataFrame:
    """Twelve rankings of four out of five items by three judges, with these ranks in some order."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"t{task:02}", f"j{task % 3}", f"m{item}", rank)
        for task in range(12)
        for item, rank in zip(rng.permutation(5)[:4], rng.permutation(np.array(ranks, dtype=object)), strict=True)
    ]
    return pd.DataFrame(rows, columns=["task", "judge", "item", "rank"])


def ranking_table(frame: pd.DataFrame, weight: str | None = None) -> RankingTable:
    return RankingTable.from_frame(frame, judge="judge", weight=weight)


def every_outcome(table: RankingTable) -> list[tuple[object, ...]]:
    """All that could be said of a set of four: ranks with ties as large as the table's, or the best and the worst."""
    if table.is_best_worst:
        words = set(permutations(("best", "neither", "neither", "worst")))
        return sorted(words)
    rankings = table.rankings
    largest = max(
        np.unique(row[row < len(table.categories) - 1], return_counts=True)[1].max() for row in rankings.category
    )
    weak = [ranks for ranks in product(range(4), repeat=4) if set(ranks) == set(range(max(ranks) + 1))]
    return [ranks for ranks in weak if max(Counter(ranks).values()) <= largest]


def as_places(outcomes: list[tuple[object, ...]]) -> list[tuple[int, ...]]:
    """Categories of the items, the best 0."""
    words = {"best": 0, "neither": 1, "worst": 2}
    return [tuple(words.get(rank, rank) for rank in ranks) for ranks in outcomes]


def observation(frame: pd.DataFrame) -> pd.Series:
    """Which rows of a frame are one observation."""
    return frame["task"] if "task" in frame else pd.Series(np.arange(len(frame)), index=frame.index)


def first_again(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its first observation once more."""
    again = frame[observation(frame) == observation(frame).iloc[0]]
    again = again.assign(task="again") if "task" in frame else again
    return pd.concat([frame, again], ignore_index=True)


def first_weighted(frame: pd.DataFrame, weight: float) -> pd.DataFrame:
    """The frame with a column `w` of ones, and this weight on its first observation."""
    return frame.assign(w=np.where(observation(frame) == observation(frame).iloc[0], weight, 1.0))


def response_table(frame: pd.DataFrame, weight: str | None = None) -> ResponseTable:
    dimension = "trait" if "trait" in frame.columns else None
    facets = tuple(name for name in ("judge", "family") if name in frame.columns)
    return ResponseTable.from_frame(
        frame, response="rating", subject="subject", item="item", facets=facets, weight=weight, dimension=dimension
    )


def pair_table(frame: pd.DataFrame, weight: str | None = None) -> PairTable:
    return PairTable.from_frame(
        frame,
        left="left",
        right="right",
        outcome="winner",
        facets=("judge", "length", "occasion"),
        weight=weight,
        items=ITEMS,
    )


# Ties of two and places for all but one; an order of all; the best and the worst of a set.
_RANKS = ((1, 1, 2, None), (1, 2, 3, 4), ("best", "neither", "neither", "worst"))


def frame_for(model: AbstractMeasurementModel) -> pd.DataFrame:
    """A frame the model accepts: most categories, or ties, first."""
    frames = {
        "pairs": lambda: [pair_frame(("left", "right", "tie")), pair_frame(("left", "right"))],
        "responses": lambda: [response_frame(4), response_frame(2)],
        "rankings": lambda: [ranking_frame(ranks) for ranks in _RANKS],
    }
    for frame in frames[model.table_kind]():
        if "family" in model.facets and model.table_kind == "responses":
            frame["family"] = frame["judge"].map({"j1": "f1", "j2": "f1", "j3": "f2"})
        try:
            model.check(as_table(model, frame))
        except DataError:
            continue
        return frame
    raise AssertionError(f"{model} accepts none of the contract tables")


def as_table(
    model: AbstractMeasurementModel, frame: pd.DataFrame, weight: str | None = None
) -> ResponseTable | PairTable | RankingTable:
    """The frame as the table that the model reads."""
    build = {"pairs": pair_table, "responses": response_table, "rankings": ranking_table}
    return build[model.table_kind](frame, weight)


@cache
def cases() -> tuple[Case, ...]:
    """Every discovered model with its defaults, and the variants."""
    models = [*(model() for model in available_models().values()), *_VARIANTS, *_FURTHER]
    return tuple(Case(model, as_table(model, frame_for(model))) for model in models)


def parameters(found: Iterable[Case]) -> list[ParameterSet]:
    """Cases as pytest's parameters; the further variants are checked by `make thorough`."""
    mark = pytest.mark.thorough
    return [pytest.param(case, id=str(case), marks=[mark] if case.model in _FURTHER else []) for case in found]


def independent_cases() -> list[Case]:
    """Those whose responses are independent given one ability of their subject, or the items compared."""
    whole = (AbstractNestedModel, AbstractChoiceModel, JudgeMixture, AbstractTruthModel)
    return [case for case in cases() if not isinstance(case.model, whole) and not has_dimensions(case.model)]
