"""Every number of the page, computed once: the sections only arrange and word them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.data.scores import Scores
from psymetric.diagnostics.facets import FacetSummary, facet_summary
from psymetric.diagnostics.residuals import fit_statistics
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, DIMENSION, Label
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import has_dimensions
from psymetric.reporting.fitted import Table
from psymetric.reporting.variance import variance_shares
from psymetric.scoring.comparisons import Comparisons
from psymetric.scoring.fair import fair_averages
from psymetric.scoring.positions import at_position, unit_of
from psymetric.scoring.ranked import read_comparisons
from psymetric.scoring.ranks import rank_intervals
from psymetric.scoring.score import score

__all__ = ["Evidence", "Part", "read_part", "read_parts"]


@final
@dataclass(frozen=True)
class Part:
    """One fit with its table and what follows from both.

    Attributes:
        label: The trait, the dimension or both; None where there is one measure only.
        fit: The fit.
        table: What it was fitted to.
        scores: Measures of the subjects; None for pairs and rankings, whose items the fit measures itself.
        source: Whose uncertainty it is: the fit's for items and posterior draws, else that of the scores.
        measures: What is ranked, from high to low: level, estimate, se, lower, upper, n, extreme, tier, rank,
            rank_lower, rank_upper, and where they exist fair_average, infit, outfit, flag.
        comparisons: The same measures in the same order, pair by pair.
        level: Coverage of the intervals.
        trait: Which of several fits, or None.
        dimension: Which of the fit's dimensions is measured, or None where it has one.
    """

    label: Label | None
    fit: Fit
    table: Table
    scores: Scores | None
    source: Fit | Scores
    measures: pd.DataFrame
    comparisons: Comparisons
    level: float
    trait: Label | None = None
    dimension: Label | None = None

    @property
    def is_pairs(self) -> bool:
        """Whether the table holds comparisons."""
        return isinstance(self.table, PairTable)

    @property
    def is_of_items(self) -> bool:
        """Whether items are measured, against each other: in comparisons or in rankings."""
        return not isinstance(self.table, ResponseTable)

    @property
    def noun(self) -> str:
        """What is measured."""
        return "item" if self.is_of_items else "subject"

    @property
    def is_composite(self) -> bool:
        """Whether responses depend on more of a subject than one ability: on several, or on what they share."""
        return at_position(self.fit.model) is not self.fit.model

    @property
    def hangs_together(self) -> str:
        """The facet under whose levels responses of a subject hang together, or nothing."""
        return self.fit.model.within if isinstance(self.fit.model, AbstractNestedModel) else ""

    @property
    def has_ideal(self) -> bool:
        """Whether responses follow an ideal category and not the measure itself."""
        return unit_of(self.fit.model, len(self.fit.categories)) == "category"

    def unit_of(self, facet: str) -> str:
        """Unit of a facet's levels in words."""
        return "categories" if self.fit.spec(facet).unit == "category" else "logits"

    @cached_property
    def slopes(self) -> pd.Series:
        """Slope of every item on the part's dimension, zero where it does not measure it; one without dimensions."""
        items = pd.Index(self.fit.levels["item"], dtype=object)
        if self.dimension is None:
            return pd.Series(1.0, index=items)
        place = self.fit.levels[DIMENSION].index(self.dimension)
        return pd.Series(self.fit.parameters["discrimination"][:, place], index=items)

    def scalar(self, name: str) -> tuple[float, float, float]:
        """Estimate and interval of a parameter that is one number."""
        lower, upper = self.fit.interval(name, self.level)
        return float(self.fit.parameters[name]), float(lower), float(upper)

    @cached_property
    def facets(self) -> tuple[str, ...]:
        """Facets with estimates beside the measured one."""
        return () if self.is_of_items else tuple(name for name in self.fit.model.facets if name in self.fit.parameters)

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """Fit statistics of every level of every facet; no rows for rankings, which have no residuals."""
        if isinstance(self.table, RankingTable):
            return pd.DataFrame(columns=["facet", "level"])
        return fit_statistics(self.fit, self.table)

    def statistics_of(self, facet: str) -> pd.DataFrame:
        """Fit statistics of one facet, indexed by level."""
        frame = self.statistics
        return frame[frame["facet"] == facet].set_index("level").drop(columns=["facet"])

    @cached_property
    def facet_frames(self) -> Mapping[str, pd.DataFrame]:
        """By facet: estimates, note, fit statistics and fair_average, from severe to lenient."""
        return {facet: self._facet_frame(facet) for facet in self.facets}

    def _facet_frame(self, facet: str) -> pd.DataFrame:
        frame = self.fit.estimates(facet, level=self.level)
        fit_columns = self.statistics_of(facet).drop(columns=["n"], errors="ignore")
        frame = frame.join(fit_columns, on="level").sort_values("estimate", ascending=False, ignore_index=True)
        if self.is_composite:
            return frame.assign(fair_average=np.nan, fair_se=np.nan)
        return frame.join(_fair(self.fit, facet, None), on="level")

    @cached_property
    def summaries(self) -> Mapping[str, FacetSummary]:
        """Separation and its kin, by facet with at least two levels."""
        table = self.table
        if not isinstance(table, ResponseTable):
            return {}
        several = [facet for facet in self.facets if len(self.fit.levels[facet]) > 1]
        return {facet: facet_summary(self.fit, facet, table) for facet in several}

    @cached_property
    def shares(self) -> pd.DataFrame | None:
        """Variance shares; None for items, and where judges stand on another scale than subjects."""
        return None if self.is_of_items or self.has_ideal else variance_shares(self.fit, level=self.level)

    @cached_property
    def reliability(self) -> float:
        """Share of the measures' variance that is not error, in [0, 1]; NaN below two measures.

        For subjects that of `facet_summary`, which takes unshrunken measures; of models that have none, the variance of
        the posterior means over itself plus the mean posterior variance (`score_reliability`). For items the variance
        of the worths less their mean error variance, over the variance.
        """
        if self.subjects is not None:
            return float(self.subjects.sample.reliability)
        frame = self.measures[np.isfinite(self.measures["estimate"]) & np.isfinite(self.measures["se"])]
        spread = (
            float(frame["estimate"].var(ddof=1)) if len(frame) > 1 and (self.is_of_items or self.is_composite) else 0.0
        )
        if self.is_composite:
            return spread / (spread + float((frame["se"] ** 2).mean())) if spread else float("nan")
        return max(1 - float((frame["se"] ** 2).mean()) / spread, 0.0) if spread else float("nan")

    @cached_property
    def subjects(self) -> FacetSummary | None:
        """Separation of the subjects; None for items and where fewer than two can be measured."""
        if self.is_composite or not isinstance(self.table, ResponseTable):
            return None
        unshrunken = self.scores if self.scores is not None and self.scores.method in ("ml", "wle") else None
        try:
            return facet_summary(self.fit, "subject", self.table, scores=unshrunken)
        except DataError:
            return None


@final
@dataclass(frozen=True)
class Evidence:
    """All parts of a report and what belongs to the whole.

    Attributes:
        parts: One per fit and dimension.
        by: What tells the parts apart, such as "trait" or "dimension"; None where there is one.
        level: Coverage of the intervals.
        frame: Responses with their non-responses, or None.
        truth: True values of a simulated study: facet, level, true.
    """

    parts: tuple[Part, ...]
    by: str | None
    level: float
    frame: pd.DataFrame | None
    truth: pd.DataFrame | None

    @cached_property
    def wholes(self) -> tuple[Part, ...]:
        """One part for every fit, for what its dimensions have in common: its facets, steps and convergence."""
        first = {id(part.fit): part for part in reversed(self.parts)}
        return tuple(
            part if part.dimension is None else replace(part, label=part.trait)
            for part in self.parts
            if first[id(part.fit)] is part
        )

    def dimensions_of(self, whole: Part) -> tuple[Part, ...]:
        """The parts that one fit measures."""
        return tuple(part for part in self.parts if part.fit is whole.fit)

    @property
    def first(self) -> Part:
        """The first part."""
        return self.parts[0]


def read_parts(
    fit: Fit, table: Table, *, trait: Label | None = None, scores: Scores | None = None, level: float = 0.95
) -> tuple[Part, ...]:
    """Compute the measures of one fit, dimension by dimension.

    Args:
        fit: The fit.
        table: What it was fitted to.
        trait: Where there are several fits, which this is.
        scores: Measures of the subjects; by default expected a posteriori ones.
        level: Coverage of the intervals.

    Raises:
        DataError: Scores without the dimensions of the fit.
    """
    if not has_dimensions(fit.model) or not isinstance(table, ResponseTable):
        return (replace(read_part(fit, table, label=trait, scores=scores, level=level), trait=trait),)
    scores = score(fit, table, method="eap", level=level) if scores is None else scores
    names = fit.levels[DIMENSION]
    if "dimension" not in scores.frame.columns or set(scores.frame["dimension"]) != set(names):
        raise DataError(f"report: the fit measures {list(names)}, and the scores do not: pass score(fit, table)")
    found: list[Part] = []
    for name in names:
        mine = scores.frame[scores.frame["dimension"] == name].drop(columns="dimension")
        label = name if trait is None else f"{trait}: {name}"
        part = read_part(fit, table, label=label, scores=replace(scores, frame=mine), level=level)
        found.append(replace(part, trait=trait, dimension=name))
    return tuple(found)


def read_part(
    fit: Fit, table: Table, *, label: Label | None = None, scores: Scores | None = None, level: float = 0.95
) -> Part:
    """Compute the measures of one fit, or of one of its dimensions.

    Args:
        fit: The fit.
        table: What it was fitted to.
        label: The trait or the dimension, where there are several.
        scores: Measures of the subjects, one each; by default expected a posteriori ones.
        level: Coverage of the intervals.
    """
    if not isinstance(table, ResponseTable):
        frame, scores = fit.estimates("item", level=level), None
        frame["extreme"] = frame["note"].str.startswith("extreme")
    else:
        scores = score(fit, table, method="eap", level=level) if scores is None else scores
        frame = scores.frame.rename(columns={"subject": "level"})
    order = np.argsort(-frame["estimate"].to_numpy(dtype=float), kind="stable")
    frame = frame.iloc[order].reset_index(drop=True)
    source = fit if scores is None or _has_draws_of(fit, scores) else scores
    comparisons = _comparisons(source, frame, order)
    frame["tier"] = comparisons.tiers
    if len(comparisons.rankable) > 1:
        ranks = rank_intervals(source, level=level).set_index("level")
        frame = frame.join(ranks[["rank", "rank_lower", "rank_upper"]], on="level")
    part = Part(label, fit, table, scores, source, frame, comparisons, level)
    return _with_fit(part, scores)


def _with_fit(part: Part, scores: Scores | None) -> Part:
    """The part whose measures also carry fit and, for ratings, fair averages."""
    found = part.statistics_of(part.noun).drop(columns=["n"], errors="ignore")
    frame = part.measures.join(found, on="level")
    if scores is not None and not part.is_composite:
        frame = frame.join(_fair(part.fit, "subject", scores), on="level")
    return replace(part, measures=frame)


def _fair(fit: Fit, facet: str, scores: Scores | None) -> pd.DataFrame:
    """Fair averages with a standard error that serves to round them."""
    frame = fair_averages(fit, facet, scores=scores).set_index("level")
    return pd.DataFrame(
        {"fair_average": frame["average"], "fair_se": (frame["upper"] - frame["lower"]) / (2 * norm.ppf(0.975))}
    )


def _has_draws_of(fit: Fit, scores: Scores) -> bool:
    """Whether the fit holds posterior draws of exactly these measures."""
    return (
        bool(fit.draws)
        and not has_dimensions(fit.model)
        and ABILITY in (fit.draws or {})
        and scores.method == "eap"
        and (fit.levels["subject"] == tuple(scores.frame["subject"]))
    )


def _comparisons(source: Fit | Scores, frame: pd.DataFrame, order: NDArray[np.intp]) -> Comparisons:
    """Joint uncertainty where the source of the measures has it."""
    _, found = read_comparisons(source, None, "report")
    return replace(found.take(order), estimate=frame["estimate"].to_numpy(dtype=float))
