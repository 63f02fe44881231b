"""Bootstrap replicates of a table as weights on its rows, so that all replicates share shapes and compiled programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, final

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.poisson_draws import PoissonTable
from psymetric.data.coding import drop_unused
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.cells import distinct_rows
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.population import background
from psymetric.models.space import has_ability, subject_moments

__all__ = [
    "COMPARISON",
    "Resampler",
    "Weights",
    "has_items_inside",
    "present_rows",
    "resampler",
    "row_counts",
    "with_copies",
]

Vector = NDArray[np.float64]
AnyTable = TypeVar("AnyTable", ResponseTable, PairTable, RankingTable)
OneTable = ResponseTable | PairTable | RankingTable

COMPARISON = "comparison"
"""The unit of pairs that are drawn one by one."""
_MANY = 10_000
"""Comparisons that may be Poisson counts: their total, on which no estimate without a prior depends, varies by 1%."""
_WHOLE = 1e-9
"""Weights this close to a whole number are counts."""


@final
@dataclass(frozen=True)
class Weights:
    """One replicate.

    Attributes:
        rows: Weight of every row, shape (rows,); zero where nothing of it was drawn.
        subjects: How often every subject was drawn, shape (subjects,), where whole subjects are resampled and their
            ability is integrated out: two copies of a subject are two subjects, not one with twice the responses.
    """

    rows: Vector
    subjects: Vector | None

    def total(self, owner: NDArray[np.int32] | None) -> Vector:
        """Weight of every row, copies of its subject included; `owner` is the rows' subject."""
        return self.rows if self.subjects is None or owner is None else self.rows * self.subjects[owner]


@final
@dataclass(frozen=True)
class Resampler:
    """Where replicates come from.

    Attributes:
        table: The table whose rows are weighted; for a parametric bootstrap one row per response and category.
        unit: What is drawn, for messages. draw: One replicate from random numbers.
    """

    table: OneTable
    unit: str
    draw: Callable[[np.random.Generator], Weights]


def resampler(fit: Fit, table: OneTable, resample: str | None) -> Resampler:
    """How to draw replicates: `resample` as in `bootstrap`.

    Raises:
        DataError: Not a column of the table, a single unit, or weights that are no counts where counts are needed.
    """
    if resample == "parametric":
        return _parametric(fit, table)
    if isinstance(table, RankingTable) and resample in (None, "ranking"):
        return _whole_rankings(table)
    unit = resample or ("subject" if has_ability(fit.model) else COMPARISON)
    if unit == COMPARISON and unit not in table.codes and isinstance(table, PairTable):
        row_counts(table, "resample='comparison'")
        table = _merged(fit, table)
        counts = np.rint(table.weight).astype(np.int64)
        share, n_drawn = counts / counts.sum(), int(counts.sum())
        if n_drawn >= _MANY and not fit.penalised:
            chances = PoissonTable.build(counts.astype(np.float64))
            return Resampler(table, unit, lambda rng: Weights(chances.draw(rng), None))
        return Resampler(table, unit, lambda rng: Weights(rng.multinomial(n_drawn, share).astype(np.float64), None))
    known = [name for name in table.codes if name in table.levels and not (name == "item" and has_items_inside(table))]
    if unit not in known:
        raise DataError(f"bootstrap(resample={resample!r}) is neither 'parametric' nor a column of the table: {known}")
    owner = table.codes[unit]
    present = np.unique(owner[table.weight > 0])
    if len(present) < 2:
        raise DataError(f"bootstrap(resample={unit!r}): one level of {unit!r} cannot be resampled")
    share = np.bincount(present, minlength=len(table.levels[unit])) / len(present)
    whole = _subject_units(fit, table, unit)

    def draw(rng: np.random.Generator) -> Weights:
        drawn = rng.multinomial(len(present), share).astype(np.float64)
        return Weights(table.weight * drawn[owner], None) if whole is None else Weights(table.weight, drawn[whole])

    return Resampler(table, unit, draw)


def has_items_inside(table: object) -> bool:
    """Whether an observation is of several items, none of which can be drawn or clustered by itself."""
    return not isinstance(table, ResponseTable)


def _whole_rankings(table: RankingTable) -> Resampler:
    counts = row_counts(table, "resample='ranking'")[table.rankings.row]
    share, n_drawn, owner = counts / counts.sum(), int(counts.sum()), table.ranking

    def draw(rng: np.random.Generator) -> Weights:
        return Weights(rng.multinomial(n_drawn, share)[owner].astype(np.float64), None)

    return Resampler(table, "ranking", draw)


def _subject_units(fit: Fit, table: OneTable, unit: str) -> NDArray[np.int32] | None:
    """The unit of every subject, where subjects are integrated out and each lies within one unit; else None."""
    if ABILITY in fit.parameters or not has_ability(fit.model):
        return None
    of_subject = np.zeros(len(table.levels["subject"]), np.int32)
    of_subject[table.codes["subject"]] = table.codes[unit]
    return of_subject if np.array_equal(of_subject[table.codes["subject"]], table.codes[unit]) else None


def row_counts(table: OneTable, what: str) -> NDArray[np.int64]:
    """Weights as whole numbers of rows, shape (rows,).

    Raises:
        DataError: Some are no whole numbers; `what` names what needs them.
    """
    counts = np.rint(table.weight)
    wrong = np.flatnonzero(np.abs(counts - table.weight) > _WHOLE)
    if len(wrong):
        raise DataError(
            f"bootstrap({what}): weights must be whole numbers of rows, {len(wrong)} of {len(counts)} are not, first "
            f"{table.weight[wrong[0]]:g} at row {wrong[0]}; resample a column instead"
        )
    return counts.astype(np.int64)


def _merged(fit: Fit, table: PairTable) -> PairTable:
    """The comparisons as the model sees them, equal ones merged: a multinomial over fewer cells is the same one."""
    codes, response, weight = distinct_rows({name: table.codes[name] for name in sorted(fit.model.facets)}, table)
    return replace(
        table,
        codes=codes,
        levels={name: table.levels[name] for name in dict.fromkeys(map(table.level_of, codes))},
        response=response,
        weight=weight,
        missing=table.missing.iloc[:0][[*codes, "reason"]],
    )


def _parametric(fit: Fit, table: OneTable) -> Resampler:
    """New responses from the fitted model, as counts of every category in every row's place."""
    counts, model = row_counts(table, "resample='parametric'"), fit.model
    n_outcomes = model.n_outcomes(len(table.categories))
    if bad := [name for name, value in fit.parameters.items() if not np.all(np.isfinite(value))]:
        raise DataError(
            f"bootstrap(resample='parametric'): {bad[0]!r} of the fit is not finite: there is no model to draw from"
        )
    fixed = jax.device_put(dict(fit.parameters))
    codes = jax.device_put(dict(table.codes))
    known = background(model.population, table) if has_ability(model) else None

    def draw(rng: np.random.Generator) -> Weights:
        params = dict(fixed)
        if has_ability(model) and ABILITY not in params:
            standard = rng.standard_normal(len(table.levels["subject"]))
            mean, sd = subject_moments(params, known)
            params[ABILITY] = mean + sd * standard
        seen = params, codes
        if isinstance(model, AbstractNestedModel):
            seen = model.with_latent(params, codes, n_outcomes, seed=int(rng.integers(2**31)))
        chances = np.exp(np.asarray(model.category_log_probs(*seen, n_outcomes), np.float64))
        drawn = rng.multinomial(counts, chances / chances.sum(axis=1, keepdims=True))
        return Weights(drawn.ravel().astype(np.float64), None)

    every = replace(
        table,
        codes={name: np.repeat(code, n_outcomes) for name, code in table.codes.items()},
        response=np.tile(np.arange(n_outcomes, dtype=np.int32), len(table.response)),
        weight=np.repeat(table.weight, n_outcomes),
    )
    return Resampler(every, "parametric", draw)


def present_rows(table: AnyTable, weight: Vector) -> AnyTable:
    """The rows of positive weight under that weight, coded without the levels that have none."""
    keep = weight > 0
    codes, levels = drop_unused({name: code[keep] for name, code in table.codes.items()}, table.levels, table.level_of)
    return replace(table, codes=codes, levels=levels, response=table.response[keep], weight=weight[keep])


def with_copies(table: ResponseTable, weights: Weights) -> ResponseTable:
    """The replicate as a table of its own, in which every copy of a subject is a subject."""
    if weights.subjects is None:
        return present_rows(table, weights.rows)
    subject = table.codes["subject"]
    times = weights.subjects[subject].astype(np.int64)
    row = np.repeat(np.arange(len(subject)), times)
    copy = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    _, code = np.unique(subject[row] * (int(times.max()) + 1) + copy, return_inverse=True)
    codes = {name: values[row] for name, values in table.codes.items()} | {"subject": code.reshape(-1).astype(np.int32)}
    levels = {**table.levels, "subject": tuple(range(int(code.max()) + 1))}
    copied = replace(table, codes=codes, levels=levels, response=table.response[row], weight=weights.rows[row])
    return present_rows(copied, copied.weight)
