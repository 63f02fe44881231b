"""Recovered truth: whether the intervals of a simulated study hold its true values as often as they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from scipy.stats import binom

from psymetric.errors import DataError
from psymetric.models.base import Label
from psymetric.plots.recovery import RecoveryPanel, draw_recovery
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.latent_variables import left_out
from psymetric.reporting.rounding import joined, plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Text, draw
from psymetric.reporting.wording import noun_of, plural

__all__ = ["Coverage", "check_truth", "coverage_sentence", "recovered", "truth_section"]

_COLUMNS = ("facet", "level", "true")
_BAND = 0.95


@final
@dataclass(frozen=True)
class Coverage:
    """How many of n intervals hold the true value, and the central 95% of that count when they are right."""

    facet: str
    held: int
    n: int
    low: int
    high: int

    @property
    def nominal(self) -> bool:
        """Whether the count is inside its band."""
        return self.low <= self.held <= self.high


def check_truth(truth: pd.DataFrame | None) -> pd.DataFrame | None:
    """The frame of true values, when it has its columns.

    Raises:
        DataError: A column is missing, or a level has two true values.
    """
    if truth is None:
        return None
    absent = [name for name in _COLUMNS if name not in truth.columns]
    if absent:
        raise DataError(f"report: truth has no columns {absent}, only {list(truth.columns)}; it needs {list(_COLUMNS)}")
    keys = [*_COLUMNS[:2], *[name for name in truth.columns if name not in _COLUMNS]]
    twice = truth.duplicated(keys)
    if twice.any():
        first = truth[twice].iloc[0]
        raise DataError(
            f"report: truth gives {int(twice.sum())} levels twice, first {first['facet']} {first['level']!r}; give "
            "each once"
        )
    return truth


def recovered(part: Part, truth: pd.DataFrame) -> pd.DataFrame:
    """Estimates beside true values: facet, level, true, estimate, se, lower, upper, held.

    A model fixes its origin by centring each facet, so the true values are put on the same origin first: those of a
    facet are centred over the levels that the fit has, and the subjects' lowered by what that takes off. For pairs the
    items are centred. Levels without a true value, and facets without any, are left out.
    """
    values = {name: _values(truth, name) for name in {part.noun, *part.facets} & set(truth["facet"])}
    frames: list[pd.DataFrame] = []
    shift = 0.0
    for facet in part.facets:
        if facet not in values or part.fit.spec(facet).anchors or part.fit.spec(facet).random:
            continue
        frame = part.facet_frames[facet]
        if facet == "item" and part.dimension is not None:
            # Items are centred within each dimension.
            frame = frame[frame["level"].map(part.slopes != 0)]
        if part.unit_of(facet) == "categories":
            frames.append(_beside(facet, frame, _true(frame["level"], values[facet])))
            continue
        true = _true(frame["level"], values[facet])
        mean = float(true.mean())
        shift += mean
        frames.append(_beside(facet, frame, true - mean))
    if part.noun in values:
        true = _true(part.measures["level"], values[part.noun])
        centre = float(true.mean()) if part.is_of_items else shift
        frames.insert(0, _beside(part.noun, part.measures, true - centre))
    return (
        pd.concat(frames, ignore_index=True)
        if frames
        else pd.DataFrame(columns=[*_COLUMNS, "estimate", "se", "lower", "upper", "held"])
    )


def _truth_of(part: Part, evidence: Evidence) -> pd.DataFrame:
    """The true values that belong to a part: its own and those of no part in particular."""
    truth, by = evidence.truth, evidence.by
    if truth is None or by is None or by not in truth.columns:
        return pd.DataFrame(columns=list(_COLUMNS)) if truth is None else truth
    return truth[truth[by].isna() | (truth[by].astype(str) == str(part.label))]


def _values(truth: pd.DataFrame, facet: str) -> Mapping[Label, float]:
    """True values by level.

    Raises:
        DataError: A level has several, which one fit cannot tell apart.
    """
    frame = truth[truth["facet"] == facet]
    if frame["level"].duplicated().any():
        level = frame["level"][frame["level"].duplicated()].iloc[0]
        raise DataError(
            f"report: {facet} {level!r} has several true values and one estimate; fit each trait by itself (fit_each), "
            "or keep the rows of truth that belong to this fit"
        )
    return dict(zip(frame["level"], frame["true"].astype(float), strict=True))


def _true(levels: pd.Series, values: Mapping[Label, float]) -> pd.Series:
    """The true value of each level, NaN without one; a truth that names numbers by their text is understood."""
    return pd.Series([values.get(level, values.get(str(level), np.nan)) for level in levels], dtype=float)


def _beside(facet: str, frame: pd.DataFrame, true: pd.Series) -> pd.DataFrame:
    found = frame[["level", "estimate", "se", "lower", "upper"]].assign(facet=facet, true=true.to_numpy())
    found = found[np.isfinite(found["true"]) & np.isfinite(found["lower"]) & (found["se"] > 0)]
    held = (found["lower"] <= found["true"]) & (found["true"] <= found["upper"])
    return found.assign(held=held)[["facet", "level", "true", "estimate", "se", "lower", "upper", "held"]]


def _coverage(frame: pd.DataFrame, level: float) -> list[Coverage]:
    found: list[Coverage] = []
    for facet, mine in frame.groupby("facet", sort=False):
        low, high = binom.interval(_BAND, len(mine), level)
        found.append(Coverage(str(facet), int(mine["held"].sum()), len(mine), int(low), int(high)))
    return found


def coverage_sentence(found: Coverage, noun: str, level: float) -> str:
    """What the count says about one facet."""
    verdict = "as" if found.nominal else "less often than" if found.held < found.low else "more often than"
    return (
        f"{plural(noun).capitalize()}: {found.held:,} of {found.n:,} intervals hold the true value, {verdict} their "
        f"{level:.0%} says ({found.low:,} to {found.high:,} were to be expected)."
    )


def truth_section(evidence: Evidence) -> Section | None:
    """Coverage per facet, a figure and the table."""
    if evidence.truth is None:
        return None
    blocks: list[Block] = []
    for number, part in enumerate(evidence.parts):
        if part.dimension is not None and part.fit.model.scale == "subjects":
            blocks.append(left_out("True values of subjects are", part))
            continue
        frame = recovered(part, _truth_of(part, evidence))
        if frame.empty:
            continue
        if len(evidence.parts) > 1:
            blocks.append(Heading(plain(part.label, 60)))
        blocks += _one(part, frame, number)
    if not blocks:
        return None
    lead = (
        "The answers on this page were simulated, so the true values are known. They are put on the origin of the "
        "fit before "
        "comparison; the range expected is the central 95% of a binomial count. Levels of one facet share errors, "
        "so the range is somewhat too narrow."
    )
    return Section("truth", "Recovered truth", tuple(blocks), lead)


def _one(part: Part, frame: pd.DataFrame, number: int) -> list[Block]:
    found = _coverage(frame, part.level)
    sentences = tuple(coverage_sentence(each, noun_of(part.table, each.facet), part.level) for each in found)
    panels = [
        RecoveryPanel(
            noun_of(part.table, str(facet)),
            *(mine[name].to_numpy(dtype=float) for name in ("true", "estimate", "lower", "upper")),
        )
        for facet, mine in frame.groupby("facet", sort=False)
    ]
    text = (
        f"Estimates with {part.level:.0%} intervals against true values of "
        f"{joined(panel.heading for panel in panels)}; on the line both agree."
    )
    figure = draw(
        lambda width: draw_recovery(panels, width=width),
        name=f"truth-{number}",
        title="Estimates against true values",
        reading=text,
    )
    shows = [
        Show("facet", "facet", "label"),
        Show("level", "level", "label"),
        Show("true", "true", "estimate", se="se"),
        Show("estimate", "estimate", "estimate", se="se"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se"),
        Show("miss", "", "flag"),
    ]
    frame = frame.assign(miss=["" if held else "missed" for held in frame["held"]])
    suffix = "" if part.label is None else f"-{number}"
    return [
        Text(sentences, listed=True),
        figure,
        make_table(f"truth{suffix}", frame, shows, caption="True values and estimates", most=60),
    ]
