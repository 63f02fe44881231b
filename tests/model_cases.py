"""The measurement models that contract tests run over, each with a table it can be tried on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.discovery import available_models
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.models.multidimensional import Multidimensional
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import has_dimensions
from psymetric.models.testlet import RaschTestlet

# Settings beyond the defaults that deserve the same checks; every model found on disk is checked with its defaults.
_VARIANTS: tuple[AbstractMeasurementModel, ...] = (
    ManyFacetRasch(steps="item"),
    ManyFacetRasch(steps="judge"),
    ManyFacetRasch(facets=("item",)),
    ManyFacetRasch(interactions=(("judge", "item"),)),
    ManyFacetRasch(random=("judge",)),
    ManyFacetRasch(anchors={"judge": {"j1": 0.4}}),
    ManyFacetRasch(slopes=("item", "judge")),
    Multidimensional(key={"A": ("i1", "i2"), "B": ("i2", "i3")}, facets=("item", "judge"), steps="common"),
    Multidimensional(key={"A": ("i1", "i2"), "B": ("i2", "i3")}, discrimination="free"),
    ManyFacetRasch(drift={"judge:item": "linear"}),
    RaschTestlet(ManyFacetRasch(facets=("item",), steps="item", slopes=("item",)), within="judge"),
    BradleyTerry(ties="davidson"),
    BradleyTerry(position=True),
    BradleyTerry(ties="davidson", position=True),
    BradleyTerry(ties="rao_kupper", position="judge", tie_owner="judge"),
    BradleyTerry(ties="rao_kupper", link="probit"),
    BradleyTerry(ties="davidson", position="judge", slopes=("judge",), contest=("length",)),
    BradleyTerry(covariates=("size", "kind"), contest=("length",), drift={"item:occasion": "linear"}),
    BradleyTerry(covariates=("size",), family="kind", drift={"item:occasion": "walk"}),
)


@dataclass(frozen=True)
class Case:
    """A model and a table drawn at random, unrelated to any parameters."""

    model: AbstractMeasurementModel
    table: ResponseTable | PairTable

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


def response_table(frame: pd.DataFrame, weight: str | None = None) -> ResponseTable:
    dimension = "trait" if "trait" in frame.columns else None
    return ResponseTable.from_frame(
        frame, response="rating", subject="subject", item="item", facets=("judge",), weight=weight, dimension=dimension
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


def frame_for(model: AbstractMeasurementModel) -> pd.DataFrame:
    """A frame the model accepts: most categories, or ties, first."""
    frames = (
        [pair_frame(("left", "right", "tie")), pair_frame(("left", "right"))]
        if model.table_kind == "pairs"
        else [response_frame(4), response_frame(2)]
    )
    for frame in frames:
        try:
            model.check(as_table(model, frame))
        except DataError:
            continue
        return frame
    raise AssertionError(f"{model} accepts none of the contract tables")


def as_table(
    model: AbstractMeasurementModel, frame: pd.DataFrame, weight: str | None = None
) -> ResponseTable | PairTable:
    """The frame as the table that the model reads."""
    return pair_table(frame, weight) if model.table_kind == "pairs" else response_table(frame, weight)


def cases() -> list[Case]:
    """Every discovered model with its defaults, and the variants."""
    models = [*(model() for model in available_models().values()), *_VARIANTS]
    return [Case(model, as_table(model, frame_for(model))) for model in models]


def independent_cases() -> list[Case]:
    """Those of one ability, given which the responses of a subject are independent."""
    return [
        case for case in cases() if not isinstance(case.model, AbstractNestedModel) and not has_dimensions(case.model)
    ]
