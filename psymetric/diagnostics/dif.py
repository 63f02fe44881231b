"""Differential functioning: whether items, judges or other levels treat equally able subjects of two groups alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.core.threads import single_threaded_blas
from psymetric.data.coding import Label
from psymetric.data.messages import listing
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.differential_cells import (
    Kind,
    drawn_cells,
    drawn_populations,
    searched_populations,
    tested_cells,
)
from psymetric.diagnostics.differential_design import Comparison, check_model, check_steps, compare
from psymetric.diagnostics.differential_model import SLOPE, Cells, DifferentialModel, step_names
from psymetric.diagnostics.differential_omnibus import OMNIBUS_COLUMNS, omnibus_rows
from psymetric.diagnostics.differential_report import Correction, labelled
from psymetric.diagnostics.differential_search import Freed, lone_anchors, purify, start_search
from psymetric.diagnostics.differential_steps import step_rows
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import fit as fit_model
from psymetric.estimation.map_laplace import Laplace
from psymetric.estimation.marginal_ml import MarginalML
from psymetric.estimation.nuts import NUTS
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.population import Population

__all__ = ["DifferentialFunctioning", "differential_functioning"]

Array = NDArray[np.float64]
Method = Literal["lr", "wald", "posterior"]

_WHO = "differential_functioning"


@final
@dataclass(frozen=True)
class DifferentialFunctioning:
    """Differences between groups in how levels function, beside the difference between the groups' subjects.

    Attributes:
        method: How differences were tested.
        kind: What was tested: location, slope or both, steps or both of these.
        facet: Whose levels were compared.
        group: The facet of the groups.
        reference: The group that the others are compared with.
        frame: One row per level and focal group, see `differential_functioning`.
        populations: One row per group: group, subjects, mean, mean_se, sd, sd_se of its abilities, in logits. The
            difference of the means (impact) is no differential functioning.
        notes: What a reader of the numbers must know, as sentences.
        omnibus: With three groups or more ("lr" and "wald") one row per level, whether any two of the groups differ:
            level, groups (compared), anchor, easiest, hardest (groups furthest apart), range and se (logits between
            them), statistic, df, p, p_holm, p_bh, delta, effect_class (by the range), flag, note. Else empty.
        steps: With kind "steps" or "thresholds" one row per level, focal group and step: level, focal, step (from 1),
            category (that it leads into), estimate, se, lower, upper (its whole shift, logits; positive is harder),
            p (by normal approximation, unadjusted) and effect_class (the ETS bounds; Penfield, 2008). Else empty.
    """

    method: Method
    kind: Kind
    facet: str
    group: str
    reference: Label
    frame: pd.DataFrame
    populations: pd.DataFrame
    notes: tuple[str, ...] = ()
    omnibus: pd.DataFrame = field(default_factory=pd.DataFrame)
    steps: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def flagged(self) -> pd.DataFrame:
        """The rows of `frame` with a flag."""
        return self.frame[self.frame["flag"] != ""].reset_index(drop=True)

    def __str__(self) -> str:
        first = f"{self.kind} differential functioning of {self.facet!r} by {self.group!r} ({self.method}), reference "
        lines = [f"{first}{self.reference!r}: {len(self.flagged)} of {len(self.frame)} flagged"]
        lines += [f"  {row.level} in {row.focal}: {row.flag}" for row in self.flagged.itertuples()]
        lines += [f"  {row.level}: {row.flag}" for row in self.omnibus.itertuples() if row.flag]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        from html import escape

        frames = [frame for frame in (self.frame, self.omnibus, self.steps, self.populations) if len(frame)]
        tables = [frame.to_html(index=False, escape=True) for frame in frames]
        return "".join(tables) + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


def differential_functioning(
    model: AbstractMeasurementModel | Fit,
    table: ResponseTable,
    *,
    group: str,
    facet: str = "item",
    reference: Label | None = None,
    method: Method = "lr",
    kind: Kind = "uniform",
    anchors: Literal["purified", "others"] | Sequence[Label] = "purified",
    alpha: float = 0.05,
    correction: Correction = "holm",
    level: float = 0.95,
    prior_sd: float = 0.5,
    engine: Laplace | NUTS | None = None,
) -> DifferentialFunctioning:
    r"""Whether levels of a facet are harder, or more severe, for some subjects than for equally able others.

    Groups are compared on one scale, each with a normal population of its own, so that a group that is abler, or more
    spread, is not taken for a difference of the levels. A level's difference is its location in a focal group minus
    that in the reference group, in logits of the reference group's scale: **positive is harder, or more severe, for
    the focal group**.

    | `method` | what it is |
    |---|---|
    | `"lr"` | likelihood ratio of the model with and without this difference (Thissen, Steinberg & Wainer, 1993) |
    | `"wald"` | squared estimate over its variance, Lord's chi-square with a common scale |
    | `"posterior"` | all differences at once under a normal prior, which takes the place of anchors; draws |

    Differences are relative: some levels must be taken for equal. `anchors="others"` takes all but the one under test.
    With `"purified"` levels that differ leave the anchors first, the worst at a time (score tests at unadjusted
    `alpha`) until none is left that does, and come back when they turn out sound. Labels name the anchors outright;
    all other levels are then free together. If more than half of all levels differ in one direction, no method knows.

    Args:
        model: A response model, or a fit of one (of which only the model is used).
        table: The responses, with the groups as a facet that the model does not use, constant within each subject.
        group: That facet: language, persona, model family.
        facet: Whose levels may differ: "item", or "judge" for judges that are severer on some subjects.
        reference: The group to compare with; by default the largest.
        method: See above.
        kind: "uniform" tests locations, "nonuniform" slopes (locations free in both models), "both" together. Of three
            categories or more "steps" tests whether steps are shifted unequally (locations free in both models), and
            "thresholds" locations and steps together.
        anchors: See above.
        alpha: Level of the tests, of purification and of classes; for "posterior", the probability of a negligible
            difference below which a row is flagged.
        correction: What flags are judged by: "holm", "fdr_bh" (Benjamini & Hochberg) over all rows, or "none".
        level: Coverage of the intervals.
        prior_sd: "posterior": scale in logits of the prior on differences (half of it on log ratios of slopes).
        engine: "posterior": `Laplace()` (the default) or `NUTS()`.

    Returns:
        `frame` has one row per level and focal group:

        * level, focal, n_reference, n_focal (sums of weights), anchor (whether other tests rest on it);
        * estimate, se, lower, upper (logits); with slopes slope_ratio, slope_lower, slope_upper (focal over reference);
        * statistic, df, p, p_holm, p_bh; for "posterior" p_a, p_b, p_c (probabilities of the classes) instead;
        * delta (ETS units, −2.35 × slope × estimate) and effect_class: A negligible, B moderate, C large (bounds .43
          and .64 logits, see `ets_class`; most probable class for "posterior"), slopes counted as known;
        * sids, uids, essd (Meade, 2010: difference in expected score over the focal group's abilities: signed and
          unsigned in points, standardised) and essd_size in Cohen's words;
        * flag (why to look, in words; empty where the test or the size is within bounds) and note (why a row is empty).

        `omnibus` compares several groups at once, level by level; `steps` has the shift of every step.

        Missing responses are left out of the likelihood (ignorable), never scored.

    Raises:
        DataError: Groups that are unknown, vary within a subject, are fewer than two or have fewer than five subjects;
            a facet that the model lacks or of one level; unknown anchors; settings out of range.
        DesignError: A model without locations, with random facets, or which needs a prior (the last two: "posterior"),
            or without steps between neighbouring categories where these are to be tested.

    Source: Thissen, Steinberg & Wainer (1993), in Holland & Wainer, Differential Item Functioning, 67-113; Lord
    (1980), Applications of Item Response Theory, ch. 14; Kopf, Zeileis & Strobl (2015), Applied Psychological
    Measurement 39, 83-103 (choice of anchors); Penfield (2007), Journal of Educational Measurement 44, 187-210
    (steps); Muthén & Asparouhov (2012), Psychological Methods 17, 313-335 (small priors in place of anchors); Holm
    (1979), Scandinavian Journal of Statistics 6, 65-70; Benjamini & Hochberg (1995), JRSS B 57, 289-300.
    """
    base = model.model if isinstance(model, Fit) else model
    _check_settings(method, kind, alpha, level, prior_sd, correction)
    check_model(base, facet, group, method, who=_WHO)
    by_step = kind in ("steps", "thresholds")
    if by_step:
        check_steps(base, table, method, who=_WHO)
    comparison = compare(base, table, facet, group, reference, anchors, by_step=by_step, who=_WHO)
    table = replace(table, weight=comparison.weight)
    shapes = step_names(len(table.categories)) if by_step else () if kind == "uniform" else (SLOPE,)
    found = DifferentialModel(_without_population(base), group, comparison.reference, shapes, prior_sd, prior_sd / 2)
    if method == "posterior":
        tested = _posterior(found, table, comparison, engine or Laplace(), level)
    elif engine is not None:
        raise DataError(f'{_WHO}: engine= is for method="posterior"; {method!r} is by MarginalML')
    else:
        settings = _Settings(method, kind, alpha, level, correction)
        tested = _tested(found, table, comparison, anchors, settings)
    return DifferentialFunctioning(
        method,
        kind,
        facet,
        group,
        comparison.reference,
        labelled(comparison, tested.cells, correction=correction, alpha=alpha),
        _groups(comparison, tested.populations),
        comparison.notes + tested.notes,
        tested.omnibus,
        step_rows(comparison, tested.cells, alpha=alpha, level=level),
    )


@final
@dataclass(frozen=True)
class _Settings:
    """How differences are tested."""

    method: Literal["lr", "wald"]
    kind: Kind
    alpha: float
    level: float
    correction: Correction


@final
@dataclass(frozen=True)
class _Tested:
    """What was found in the cells, before labels; the groups' means and sds with their errors; levels as a whole."""

    cells: pd.DataFrame
    populations: tuple[Array, Array]
    notes: tuple[str, ...] = ()
    omnibus: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=OMNIBUS_COLUMNS))


def _without_population(model: AbstractMeasurementModel) -> AbstractMeasurementModel:
    """The model itself, or without the groups that it told apart already."""
    plain: Any = model
    return replace(plain, population=Population()) if model.population.columns else model


def _check_settings(method: str, kind: str, alpha: float, level: float, prior_sd: float, correction: str) -> None:
    for name, value, known in (
        ("method", method, ("lr", "wald", "posterior")),
        ("kind", kind, get_args(Kind)),
        ("correction", correction, ("holm", "fdr_bh", "none")),
    ):
        if value not in known:
            raise DataError(f"{_WHO}: {name}={value!r} is not known: use one of {listing(known)}")
    for name, value in (("alpha", alpha), ("level", level)):
        if not 0 < value < 1:
            raise DataError(f"{_WHO}: {name}={value} must lie between 0 and 1")
    if not 0 < prior_sd < np.inf:
        raise DataError(f"{_WHO}: prior_sd={prior_sd} must be a positive number of logits, such as 0.5")


def _tested(
    model: DifferentialModel,
    table: ResponseTable,
    comparison: Comparison,
    anchors: str | Sequence[Label],
    by: _Settings,
) -> _Tested:
    cells, facet = comparison.cells, comparison.facet
    none = Cells(cells.level[:0], cells.group[:0], ())
    alike = fit_model(model, none.mark(table, facet, model.group), engine=MarginalML())
    with double_precision(), single_threaded_blas():
        search = start_search(model, cells.mark(table, facet, model.group), cells, alike)
        chosen: tuple[int, ...] = () if anchors == "others" else tuple(range(search.n_cells))
        notes: tuple[str, ...] = ()
        if anchors == "purified":
            pure = purify(search, cells, comparison.n_possible, alpha=by.alpha)
            chosen, notes = pure.cells, (pure.note,) * bool(pure.note)
        freed = Freed(frozenset(chosen), frozenset(chosen) if model.shapes else frozenset())
        alone = lone_anchors(cells, chosen, comparison.n_possible)
        frame = tested_cells(search, freed, alone, kind=by.kind, method=by.method, level=by.level)
        omnibus = omnibus_rows(
            search,
            freed,
            alone,
            comparison,
            frame["discrimination"].to_numpy(np.float64),
            kind=by.kind,
            method=by.method,
            correction=by.correction,
            alpha=by.alpha,
        )
        return _Tested(frame, searched_populations(search, search.solve(freed)), notes, omnibus)


def _posterior(
    model: DifferentialModel, table: ResponseTable, comparison: Comparison, engine: Laplace | NUTS, level: float
) -> _Tested:
    if not isinstance(engine, (Laplace, NUTS)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"{_WHO}: engine={engine!r} gives no draws: use Laplace() or NUTS()")
    marked = comparison.cells.mark(table, comparison.facet, model.group)
    drawn = fit_model(model, marked, engine=engine)
    with double_precision():
        return _Tested(drawn_cells(drawn, model, marked, comparison.cells, level=level), drawn_populations(drawn))


def _groups(comparison: Comparison, populations: tuple[Array, Array]) -> pd.DataFrame:
    (mean, sd), (mean_se, sd_se) = populations
    return pd.DataFrame(
        {
            "group": list(comparison.groups),
            "subjects": comparison.n_subjects,
            "mean": mean,
            "mean_se": mean_se,
            "sd": sd,
            "sd_se": sd_se,
        }
    )
