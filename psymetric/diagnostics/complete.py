"""Complete responses: every subject once at every combination of the model's facets, as tests of model fit need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.data.messages import listing
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.cells import distinct_cells
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.space import has_ability
from psymetric.scoring.alignment import align
from psymetric.scoring.population import population

__all__ = ["CompleteResponses", "complete_responses"]


@final
@dataclass(frozen=True)
class CompleteResponses:
    """Responses of S subjects to V variables: the items, or the judge × item combinations of a crossed design.

    Attributes:
        codes: Levels of the model's facets by variable, each of shape (V,).
        labels: Names of the variables; levels of several facets joined by " × ".
        response: Categories, shape (S, V).
        n_categories: K.
    """

    codes: Mapping[str, NDArray[np.int32]]
    labels: tuple[str, ...]
    response: NDArray[np.int32]
    n_categories: int


def complete_responses(fit: Fit, table: ResponseTable, *, who: str) -> CompleteResponses:
    """The fitted table as subjects × variables.

    Raises:
        DataError: A fit that is not by MarginalML or has random facets, another table than the fitted one, weights,
            a subject that met a variable several times or not at all.
    """
    if not has_ability(fit.model):
        raise DataError(f"{who}: {type(fit.model).__name__} has no subjects: this test is for response models")
    align(fit, table, who=who)
    _check_fit(fit, table, who)
    codes, cell = distinct_cells(fit.model, table)
    n_variables, n_subjects = len(next(iter(codes.values()))), len(table.levels["subject"])
    place = table.codes["subject"].astype(np.int64) * n_variables + cell
    count = np.bincount(place, minlength=n_subjects * n_variables).reshape(n_subjects, n_variables)
    _check_complete(fit, table, count, who)
    response = np.empty(n_subjects * n_variables, np.int32)
    response[place] = table.response
    names = [[str(table.levels[facet][code]) for code in codes[facet].tolist()] for facet in fit.model.facets]
    labels = tuple(" × ".join(parts) for parts in zip(*names, strict=True))
    return CompleteResponses(codes, labels, response.reshape(n_subjects, n_variables), len(table.categories))


def _check_fit(fit: Fit, table: ResponseTable, who: str) -> None:
    if fit.engine != "MarginalML":
        raise DataError(f"{who}: the test needs maximum likelihood with subjects integrated out: fit with MarginalML()")
    population(fit, who=who)  # there must be one
    if random := [spec.name for spec in fit.model.parameters if spec.random and spec.name != ABILITY]:
        raise DataError(f"{who}: {random[0]!r} is random, and the test has no distribution then: fit it as fixed")
    if fit.table_hash != table.hash:
        raise DataError(
            f"{who}: its degrees of freedom count the parameters estimated from the same responses: "
            "pass the table that was fitted"
        )
    if np.any(table.weight != 1):
        raise DataError(f"{who}: the table has weights, and subjects are counted one by one: repeat the rows instead")


def _check_complete(fit: Fit, table: ResponseTable, count: NDArray[np.int64], who: str) -> None:
    what = " × ".join(fit.model.facets)
    several, gaps = np.max(count, axis=1) > 1, np.min(count, axis=1) == 0
    if several.any():
        outside = [facet for facet in table.facets if facet not in ("subject", *fit.model.facets)]
        left_out = f" (the model leaves out {listing(outside)})" if outside else ""
        raise DataError(
            f"{who}: {np.count_nonzero(several)} of {len(count)} subjects have several responses to one {what}"
            f"{left_out}, first {table.levels['subject'][int(np.argmax(several))]!r}: the test exists for one response "
            f"of every subject to every {what}; add what tells the responses apart to the model's facets, or select "
            "one of them"
        )
    if gaps.any():
        raise DataError(
            f"{who}: {np.count_nonzero(gaps)} of {len(count)} subjects lack a response to some {what}, first "
            f"{table.levels['subject'][int(np.argmax(gaps))]!r}: keep subjects that answered everything, and fit again"
        )
