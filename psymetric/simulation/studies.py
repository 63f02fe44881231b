"""Whole studies with known truth: the chain over real HTTP, and tables drawn straight from a model.

`simulate` rehearses a study: its judges answer from a loopback server through the same provider, runner and store as
real ones. `simulate_responses` draws a table from a model's own likelihood, without HTTP, for recovery studies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, final

import jax
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from psymetric.administration.administer import Responses, administer
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.design.plan import Plan, plan
from psymetric.design.settings import TextSource
from psymetric.design.study import Study
from psymetric.errors import DesignError
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Label, ParamSpec
from psymetric.models.judge_mixture import CLASS
from psymetric.models.truth import CATEGORY, TRUTH, AbstractTruthModel
from psymetric.simulation.drawing import Spread, world_for
from psymetric.simulation.server import Faults, serve
from psymetric.simulation.truth import SHIFTING_FACETS, World
from psymetric.simulation.truth_table import truth_frame

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Simulation", "crossed_design", "draw_parameters", "simulate", "simulate_responses"]

_OUTCOMES: Final = ("left", "right", "tie")
_BETTER_THAN_CHANCE: Final = 2.0
"""Log-odds by which drawn judges of a latent truth are likelier to say it than anything else."""

Levels = Mapping[str, Sequence[Label]]


@final
@dataclass(frozen=True)
class Simulation:
    """A rehearsed study.

    Attributes:
        plan: What was asked, of the simulated judges.
        responses: What they answered.
        world: Their true parameters.
    """

    plan: Plan
    responses: Responses
    world: World

    @property
    def frame(self) -> pd.DataFrame:
        """The plan's rows with their answers."""
        return self.responses.frame

    def truth(self) -> pd.DataFrame:
        """True values of everything that was asked about, see `truth_frame`."""
        return truth_frame(self.world, levels=_levels_asked(self.plan.frame))


def simulate(
    study: Study,
    *,
    seed: int = 0,
    world: World | None = None,
    spread: Spread | None = None,
    store: str | Path | None = None,
    latency_s: float = 0.0,
    faults: Faults | None = None,
    port: int = 0,
    progress: bool | Console = False,
) -> Simulation:
    """Rehearse a study: plan it, ask simulated judges over HTTP, and return answers and truth.

    The study's endpoints keep their names, prices and token caps, but are asked at a loopback address without a key.

    Args:
        study: Whose judges and subjects are simulated.
        seed: Of the design, of the truth, and of the answers.
        world: The truth; None draws one for the study.
        spread: How far the parts of a drawn world differ.
        store: Where answers are kept, as for `administer`; None keeps none. A later run continues a store only at the
            same `port`.
        latency_s: Seconds before every reply.
        faults: Failures in place of answers.
        port: Port of the server; 0 takes a free one.
        progress: As for `administer`.

    Raises:
        StudyError: The study is not consistent, or its texts cannot be read.
        DesignError: The world does not fit the study.
        StoreError: The store cannot be written.
    """
    known = world if world is not None else world_for(study, spread=spread, seed=seed)
    with ExitStack() as stack:
        base_url = stack.enter_context(serve(known, latency_s=latency_s, faults=faults, port=port))
        asked = plan(_addressed(study, base_url), seed=seed)
        kept = store or Path(stack.enter_context(TemporaryDirectory())) / "simulation.db"
        responses = administer(asked, store=kept, progress=progress, seed=seed)
    return Simulation(asked, responses, known)


def crossed_design(levels: Levels, *, keep: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Every combination of levels, or a random share of them, one row each.

    Args:
        levels: Labels by facet.
        keep: Share of the rows to keep, in (0, 1].
        seed: Which rows are kept.

    Raises:
        DesignError: The share is not in (0, 1].
    """
    if not 0 < keep <= 1:
        raise DesignError(f"crossed_design: keep is a share in (0, 1], got {keep}")
    shape = [len(labels) for labels in levels.values()]
    rows = np.arange(int(np.prod(shape)))
    if keep < 1:
        kept = np.random.default_rng(seed).choice(rows, size=max(1, round(keep * rows.size)), replace=False)
        rows = np.sort(kept)
    codes = np.unravel_index(rows, shape)
    return pd.DataFrame(
        {facet: _labels(labels)[code] for (facet, labels), code in zip(levels.items(), codes, strict=True)}
    )


def draw_parameters(
    model: AbstractMeasurementModel,
    levels: Levels,
    *,
    n_categories: int = 2,
    subject_sd: float = 1.0,
    facet_sd: float = 0.5,
    step_gap: float = 1.4,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Draw true parameters that satisfy the model's own constraints, as named in its results.

    Args:
        model: Whose parameters.
        levels: Labels by facet ("subject", or "item" of a pair model, among them).
        n_categories: Categories of the table to come.
        subject_sd: Of the subjects' measures or the worths, in logits.
        facet_sd: Of all other locations, in logits.
        step_gap: Mean distance of neighbouring steps, in logits.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, NDArray[np.float64]] = {}
    for spec in model.parameters:
        shape = tuple(n_categories - 1 if axis == "step" else len(levels[axis]) for axis in spec.axes)
        if "step" in spec.axes and spec.unit != "slope":
            even = step_gap * (np.arange(shape[-1]) - (shape[-1] - 1) / 2)
            value = even + rng.uniform(-step_gap / 5, step_gap / 5, shape)
            drawn[spec.name] = value - value.mean(axis=-1, keepdims=True)
            continue
        value = rng.normal(0, subject_sd if spec.name in (ABILITY, "worth") else facet_sd, shape)
        drawn[spec.name] = _constrained(spec, value, levels)
    return drawn


def simulate_responses(
    model: AbstractMeasurementModel,
    parameters: Mapping[str, ArrayLike],
    levels: Levels,
    *,
    design: pd.DataFrame | None = None,
    n_categories: int = 2,
    seed: int = 0,
) -> ResponseTable | PairTable:
    """Draw a table from a model with known parameters.

    Args:
        model: Gives the probabilities; nothing else does.
        parameters: Arrays by name, their axes in the order of `levels`; see `draw_parameters`.
        levels: Labels by facet.
        design: One row per response with the labels of every facet ("left" and "right" for a pair model); None crosses
            everything.
        n_categories: Number of categories; pair models know their own.
        seed: Of the draw.

    Raises:
        DesignError: The design lacks a column, or has a label that is not among the levels (with the first row).
    """
    if model.table_kind == "rankings":
        raise DesignError(f"simulate_responses draws responses and comparisons; use {type(model).__name__}.simulate")
    pairs = model.table_kind == "pairs"
    names = model.facets if pairs else ("subject", *model.facets)
    if isinstance(model, AbstractTruthModel):
        names = (*names, *model.population.columns)
        levels = {name: labels for name, labels in levels.items() if name not in (TRUTH, CATEGORY)}
    rows = design if design is not None else _everything(levels, pairs)
    codes = {name: _coded(rows, name, levels["item" if name in ("left", "right") else name]) for name in names}
    # A list is a tree of numbers to JAX, not an array.
    values = jax.device_put({name: np.asarray(value) for name, value in parameters.items()})
    drawn = model.simulate(values, jax.device_put(dict(codes)), n_categories, seed=seed)
    frame = rows[list(names)].assign(response=drawn)
    if pairs:
        named = frame.assign(response=np.array(_OUTCOMES, dtype=object)[drawn])
        return PairTable.from_frame(named, left="left", right="right", outcome="response", facets=model.facets[2:])
    facets = tuple(name for name in names[1:] if name != "item")
    item = "item" if "item" in model.facets else None
    return ResponseTable.from_frame(
        frame, response="response", subject="subject", item=item, facets=facets, categories=tuple(range(n_categories))
    )


def _addressed(study: Study, base_url: str) -> Study:
    """The study with all its endpoints at the simulated server."""
    local = {"provider": "openai_compatible", "base_url": base_url, "key_env": None, "extra_body": {}, "omit": ()}
    endpoints = tuple(endpoint.model_copy(update=local | {"model": endpoint.name}) for endpoint in study.endpoints)
    return study.model_copy(update={"judges" if isinstance(study.subjects, TextSource) else "subjects": endpoints})


def _levels_asked(frame: pd.DataFrame) -> dict[str, list[str]]:
    found = {facet: _unique(frame[facet]) for facet in ("subject", "item", "judge", *SHIFTING_FACETS)}
    found["item"] = found["item"] or _unique(pd.concat([frame["left"], frame["right"]]))
    return {facet: labels for facet, labels in found.items() if labels}


def _unique(column: pd.Series) -> list[str]:
    return sorted(column.dropna().unique().tolist())


def _labels(labels: Sequence[Label]) -> NDArray[np.generic]:
    whole = all(isinstance(label, int) for label in labels)
    return np.array(labels, dtype=np.int64) if whole else np.array(labels, dtype=object)


def _everything(levels: Levels, pairs: bool) -> pd.DataFrame:
    if not pairs:
        return crossed_design(levels)
    both = crossed_design({"left": levels["item"], "right": levels["item"]})
    return both[both["left"] != both["right"]].reset_index(drop=True)


def _coded(rows: pd.DataFrame, name: str, labels: Sequence[Label]) -> NDArray[np.int32]:
    if name not in rows.columns:
        raise DesignError(f"simulate_responses: the design has no column {name!r}; it has {list(rows.columns)}")
    places = {label: code for code, label in enumerate(labels)}
    column = rows[name].tolist()
    unknown = [i for i, label in enumerate(column) if label not in places]
    if unknown:
        raise DesignError(
            f"simulate_responses: column {name!r} has labels that are not among its levels in {len(unknown)} of "
            f"{len(column)} rows, first {column[unknown[0]]!r} in row {unknown[0]}"
        )
    return np.array([places[label] for label in column], dtype=np.int32)


def _constrained(spec: ParamSpec, value: NDArray[np.float64], levels: Levels) -> NDArray[np.float64]:
    if spec.support == "simplex":
        if spec.axes[-2:] == (TRUTH, CATEGORY):
            value = value + _BETTER_THAN_CHANCE * np.eye(value.shape[-1])
        return np.exp(value) / np.exp(value).sum(axis=-1, keepdims=True)
    if spec.support == "unit":
        return 1 / (1 + np.exp(-spec.centre - value))
    if spec.support == "positive":
        centred = value - value.mean() if spec.identification == "sum_to_zero" else spec.centre + value
        return np.exp(centred)
    value = value + spec.centre
    if spec.anchors:
        places = {label: code for code, label in enumerate(levels[spec.axes[0]])}
        for label, anchor in spec.anchors:
            value[places[label]] = anchor
        return value
    if spec.identification == "sum_to_zero":
        for axis in (place for place, name in enumerate(spec.axes) if name != CLASS):
            value = value - value.mean(axis=axis, keepdims=True)
    return value
