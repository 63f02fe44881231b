"""A report: one self-contained page about a fit, with its numbers as files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast, final

import pandas as pd

from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import FitSet
from psymetric.models.base import Label
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.models.truth import AbstractTruthModel
from psymetric.reporting.compose import compose
from psymetric.reporting.composed import Composed
from psymetric.reporting.evidence import Evidence, Part, read_parts
from psymetric.reporting.files import save_all
from psymetric.reporting.fitted import Table
from psymetric.reporting.missing import response_rows
from psymetric.reporting.page import in_short, render
from psymetric.reporting.section_truth import check_truth
from psymetric.reporting.simplex_evidence import read_simplex
from psymetric.reporting.simplex_page import compose_simplex
from psymetric.reporting.tables import csv_text, json_text
from psymetric.reporting.truth_evidence import TruthEvidence, refuse_scale
from psymetric.reporting.truth_page import compose_truth
from psymetric.sensitivity.identified import IdentifiedSet
from psymetric.sensitivity.prior_grid import PriorSensitivity

__all__ = ["Report", "report"]

_KINDS = {ResponseTable: "responses", PairTable: "pairs", RankingTable: "rankings"}


@final
@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A finished report.

    Attributes:
        title: Heading of the page.
        html: The whole page; it asks for nothing else.
        scores: Every measure, one row each.
        facets: Every level of every other facet, one row each.
        record: Every number of the page as JSON-able values.
        claims: The sentences of the first screen.
    """

    title: str
    html: str
    scores: pd.DataFrame
    facets: pd.DataFrame
    record: Mapping[str, Any]
    claims: tuple[str, ...]

    def save(self, path: str | Path) -> Path:
        """Write the page, and beside it `scores.csv`, `facets.csv` and `fit.json`.

        Args:
            path: Of the page, ending in `.html`; or a folder, in which it is called `report.html`. Folders are made.

        Returns:
            Path of the page.

        Raises:
            DataError: A file cannot be written.
        """
        beside = {"scores.csv": csv_text(self.scores), "facets.csv": csv_text(self.facets)}
        return save_all(self.html, beside | {"fit.json": json_text(self.record, indent=1)}, Path(path))

    def __repr__(self) -> str:
        return f"Report({self.title!r}, {len(self.html) / 1e6:.1f} MB)"

    def _repr_html_(self) -> str:
        return in_short(self.title, self.claims)


def report(
    fit: Fit | FitSet,
    table: Table,
    *,
    title: str | None = None,
    scores: Scores | Mapping[Label, Scores] | None = None,
    frame: pd.DataFrame | None = None,
    study: object = None,
    plan: object = None,
    truth: pd.DataFrame | None = None,
    sensitivity: PriorSensitivity | None = None,
    identified: IdentifiedSet | None = None,
    level: float = 0.95,
    extra: Mapping[str, pd.DataFrame | str] | None = None,
) -> Report:
    """A page on what was measured, how sure that is, what moved it, and how to repeat it.

    Args:
        fit: A fit of ratings, answers, labels of a latent truth, comparisons or rankings; or several of them, one per
            trait, from `fit_each`, but for a latent truth.
        table: What was fitted: responses, comparisons or rankings.
        title: Heading; by default made from what was measured.
        scores: Measures of the subjects, for a `FitSet` one per label; by default EAP scores. Not for items. Of a
            fit of several dimensions the report shows each.
        frame: Responses with their non-responses (column `reason`) as asked; by default the table's own missing rows.
        study: The study, for its name, instrument and hash.
        plan: The plan, for the number of requests.
        truth: Simulated studies: columns facet, level, true (logits) and, for a `FitSet`, its `by`.
        sensitivity: Of a `SimplexJudge`: what `prior_sensitivity` made of the table.
        identified: Of a `SimplexJudge`: what `identified_set` made of it; by default a quick search, which can show
            that an order is not identified and, of three levels or more, not that it is.
        level: Coverage of the intervals, in (0, 1).
        extra: Further blocks at the end, heading -> frame or text.

    Returns:
        The report; `save` writes it.

    Raises:
        DataError: The table is not the fitted one, `level` is no coverage, or `scores`, `frame` or `truth` do not fit.
    """
    if not 0 < level < 1:
        raise DataError(f"report: level={level} is not a coverage between 0 and 1, such as 0.95")
    rows = response_rows(table, frame)
    given: _Given = {"title": title, "study": study, "plan": plan, "extra": extra or {}}
    if isinstance(fit, Fit) and isinstance(fit.model, AbstractTruthModel):
        _check_table(fit, table, "")
        refuse_scale(fit.model, scores=scores, truth=truth)
        if isinstance(fit.model, SimplexJudge):
            simplex = read_simplex(fit, table, level=level, sensitivity=sensitivity, identified=identified)
            return _finished(compose_simplex(simplex, rows, **given))
        _refuse_simplex(fit, sensitivity=sensitivity, identified=identified)
        return _finished(compose_truth(TruthEvidence(fit, cast(ResponseTable, table), level), rows, **given))
    _refuse_simplex(fit, sensitivity=sensitivity, identified=identified)
    parts = _parts(fit, table, scores, level)
    by = fit.by if isinstance(fit, FitSet) else "dimension" if parts[0].dimension is not None else None
    evidence = Evidence(parts, by, level, frame, check_truth(truth))
    return _finished(compose(evidence, rows, **given))


class _Given(TypedDict):
    """What every page takes."""

    title: str | None
    study: object
    plan: object
    extra: Mapping[str, pd.DataFrame | str]


def _refuse_simplex(fit: Fit | FitSet, **given: object) -> None:
    """Raise DataError for what goes with a simplex judge alone."""
    if named := [name for name, value in given.items() if value is not None]:
        kind = type(fit.model).__name__ if isinstance(fit, Fit) else type(fit).__name__
        raise DataError(f"report: {' and '.join(named)} go with a fit of a SimplexJudge, not of {kind}; leave them out")


def _finished(composed: Composed) -> Report:
    return Report(
        composed.page.title,
        render(composed.page),
        composed.scores,
        composed.facets,
        composed.record,
        tuple(claim.whole for claim in composed.page.claims),
    )


def _parts(
    fit: Fit | FitSet,
    table: Table,
    scores: Scores | Mapping[Label, Scores] | None,
    level: float,
) -> tuple[Part, ...]:
    if isinstance(fit, Fit):
        if isinstance(scores, Mapping):
            raise DataError("report: scores is a mapping, which belongs to a FitSet; pass one Scores")
        _check_table(fit, table, "")
        return read_parts(fit, table, scores=scores, level=level)
    if not isinstance(fit, FitSet):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"report: fit is a {type(fit).__name__}; pass what psymetric.fit or fit_each returned")
    if isinstance(scores, Scores):
        raise DataError(f"report: one Scores for {len(fit)} fits; pass a mapping {fit.by} -> Scores, or none")
    tables = table.split(fit.by) if fit.by in table.levels else {}
    absent = [label for label in fit if label not in tables]
    if absent:
        raise DataError(f"report: the table has no {fit.by!r} {absent[:3]}; pass the table that was split")
    if truths := [label for label in fit if isinstance(fit[label].model, AbstractTruthModel)]:
        raise DataError(
            f"report: a page holds one latent truth, and here are {len(truths)}; report each by itself: "
            f"report(fits[{truths[0]!r}], table.split({fit.by!r})[{truths[0]!r}])"
        )
    for label in fit:
        _check_table(fit[label], tables[label], f" of {fit.by} {label!r}")
    given = scores or {}
    return tuple(
        part
        for label in fit
        for part in read_parts(fit[label], tables[label], trait=label, scores=given.get(label), level=level)
    )


def _check_table(fit: Fit, table: Table, which: str) -> None:
    """A report on other data than were fitted would be wrong in ways that nobody sees."""
    if isinstance(fit.model, JudgeMixture):
        raise DataError(
            "report: a mixture of judges has no one order of the items; use class_membership(fit, table), and "
            "rank_intervals(fit_of_class(fit, 1)), or report on a fit of the judges of one class"
        )
    if _KINDS.get(type(table)) != fit.model.table_kind:
        raise DataError(
            f"report: {type(fit.model).__name__} does not fit a {type(table).__name__}; pass the fitted table"
        )
    if fit.table_hash != table.hash:
        raise DataError(
            f"report: the table{which} has hash {table.hash[:12]}…, the fit was of {fit.table_hash[:12]}…; pass the "
            "table "
            "that was fitted"
        )
