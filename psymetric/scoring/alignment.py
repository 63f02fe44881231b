"""A table in the coding of a fit: levels and categories matched by label, so that any table can be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from psymetric.data.messages import listing, row_error
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError, DesignError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Label
from psymetric.models.nested import require_independence
from psymetric.models.space import (
    CORRELATION,
    POPULATION_MEAN,
    POPULATION_SD,
    has_ability,
    has_dimensions,
    require_one_dimension,
)

__all__ = ["KNOWS_DEPENDENCE", "AlignedRows", "align", "match", "recode"]

KNOWS_DEPENDENCE = 'score(fit, table) with method="eap", "map" or "plausible", or information_criteria(fit, table)'
"""What to use where responses of a subject hang together."""

Array = NDArray[np.float64]
Codes = NDArray[np.int32]


@final
@dataclass(frozen=True)
class AlignedRows:
    """Observed rows with what the likelihood of a fitted model needs; R rows, S subjects, K categories.

    Attributes:
        model: The fitted model.
        params: The fit's constrained arrays without the subjects', in its own coding.
        codes: The model's facets in the fit's coding, each of shape (R,).
        subject: Subject of each row, in the table's coding, shape (R,); zeros for a model without subjects.
        subjects: The S subject labels of the table; a single placeholder for a model without subjects.
        response: Category in the fit's coding, shape (R,).
        weight: How often a row counts, shape (R,).
        categories: The fit's K category labels.
    """

    model: AbstractMeasurementModel
    params: Mapping[str, Array]
    codes: Mapping[str, Codes]
    subject: Codes
    subjects: tuple[Label, ...]
    response: Codes
    weight: Array
    categories: tuple[Label, ...]

    @property
    def n_outcomes(self) -> int:
        """Categories the model gives probability to."""
        return self.model.n_outcomes(len(self.categories))

    def by_subject(self, values: Array) -> Array:
        """Weighted sums of row values by subject, shape (S,)."""
        return np.bincount(self.subject, self.weight * values, len(self.subjects)).astype(np.float64)

    def take(self, chosen: NDArray[Any]) -> AlignedRows:
        """Some of the rows, by positions or by mask; subjects keep their codes."""
        return replace(
            self,
            codes={name: code[chosen] for name, code in self.codes.items()},
            subject=self.subject[chosen],
            response=self.response[chosen],
            weight=self.weight[chosen],
        )


def align(fit: Fit, table: ResponseTable | PairTable, *, who: str) -> AlignedRows:
    """Match a table to a fit by labels, for statistics of responses that are independent given the subject.

    Raises:
        DataError: As `match`.
        DesignError: A model of several dimensions, or one that lets responses of a subject hang together.
    """
    require_one_dimension(fit.model, who)
    require_independence(fit.model, who, instead=KNOWS_DEPENDENCE)
    return match(fit, table, who=who)


def match(fit: Fit, table: ResponseTable | PairTable, *, who: str) -> AlignedRows:
    """Match a table to a fit by labels.

    Args:
        fit: The fit.
        table: Any table of the fit's kind: the one that was fitted, or other subjects under the same judges and items.
        who: The public function, for messages.

    Raises:
        DataError: The wrong kind of table, a facet the table lacks, a level or category that the fit does not know.
        DesignError: A fit of rankings.
    """
    if fit.model.table_kind == "rankings":
        raise DesignError(
            f"{who} is for responses and comparisons, and {type(fit.model).__name__} gives probability to whole "
            "rankings: use fit.estimates, rank_intervals, p_best or bootstrap"
        )
    wanted, got = PairTable if fit.model.table_kind == "pairs" else ResponseTable, type(table)
    if got is not wanted:
        model = type(fit.model).__name__
        raise DataError(f"{who}: the fit is of {model}, which reads a {wanted.__name__}; got a {got.__name__}")
    if missing := [facet for facet in fit.model.facets if facet not in table.codes]:
        raise DataError(
            f"{who}: the fit reads facet {missing[0]!r}, which the table does not have, only {listing(table.codes)}"
        )
    _check_outcomes(fit, table, who)
    codes: dict[str, Codes] = {}
    for facet in fit.model.facets:
        labels, known = table.levels[table.level_of(facet)], fit.levels[table.level_of(facet)]
        codes[facet] = recode(table.codes[facet], labels, known, who=who, facet=facet)
    subjects = has_ability(fit.model)
    names = {spec.name for spec in fit.model.parameters} - {ABILITY}
    if has_dimensions(fit.model):
        names |= {POPULATION_MEAN, POPULATION_SD, CORRELATION}
    return AlignedRows(
        model=fit.model,
        params={name: value for name, value in fit.parameters.items() if name in names},
        codes=codes,
        subject=table.codes["subject"] if subjects else np.zeros(table.n_rows, np.int32),
        subjects=tuple(table.levels["subject"]) if subjects else ("",),
        response=recode(table.response, table.categories, fit.categories, who=who, facet="response category"),
        weight=table.weight,
        categories=fit.categories,
    )


def _check_outcomes(fit: Fit, table: ResponseTable | PairTable, who: str) -> None:
    """Refuse outcomes that the model gives no probability to: ties where it has none."""
    unknown = table.response >= fit.model.n_outcomes(len(table.categories))
    if isinstance(table, PairTable) and unknown.any():
        what = f"ties, to which a fit of {type(fit.model).__name__} without a rule for them gives no probability"
        fix = 'fit BradleyTerry(ties="davidson") to the table with its ties, or leave them out of both'
        raise row_error(who, what, unknown, [], fix)


def recode(codes: Codes, labels: Sequence[Any], known: Sequence[Any], *, who: str, facet: str) -> Codes:
    """Codes by position in `known` instead of in `labels`.

    Raises:
        DataError: A label in use is not in `known`.
    """
    place = {label: position for position, label in enumerate(known)}
    mapped = np.array([place.get(label, -1) for label in labels], np.int32)
    found = mapped[codes]
    if np.any(found < 0):
        unknown = [label for label, position in zip(labels, mapped.tolist(), strict=True) if position < 0]
        what = f"{facet} not in the fit, which knows {listing(known)}"
        raise row_error(who, what, found < 0, unknown, "leave these rows out, or fit with them")
    return found
