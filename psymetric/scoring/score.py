"""Measures of subjects from a fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.core.provenance import Provenance
from psymetric.data.responses import ResponseTable
from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.space import has_ability, has_dimensions
from psymetric.scoring.abilities import (
    Extremes,
    Points,
    find_extremes,
    maximum_likelihood,
    posterior_mode,
    weighted_likelihood,
)
from psymetric.scoring.alignment import AlignedRows, align, aligned_rows
from psymetric.scoring.dimensions import score_dimensions
from psymetric.scoring.likelihood import check_possible
from psymetric.scoring.population import keeps_subjects, population, population_of
from psymetric.scoring.posterior import subject_posterior
from psymetric.scoring.sum_scores import sum_score_posterior

__all__ = ["Method", "score"]

Array = NDArray[np.float64]
Method = Literal["eap", "sum_eap", "map", "ml", "wle", "plausible"]

_WHO = "score"
_HELD = "The spread of each subject's responses; items, judges, steps and population are taken as known."
_CARRIED = "The spread of each subject's responses and the uncertainty of items, judges, steps and population (draws)."
_JOINT = "The spread of each subject's responses and the uncertainty of items, judges and steps (joint information)."


@final
@dataclass(frozen=True)
class _Columns:
    """Shape (S,) each, in logits; `extra` holds further columns."""

    estimate: Array
    se: Array
    lower: Array
    upper: Array
    carries: str = _HELD
    notes: tuple[str, ...] = ()
    extra: dict[str, Array] = field(default_factory=dict[str, Array])


def score(
    fit: Fit,
    table: ResponseTable,
    *,
    method: Method = "eap",
    level: float = 0.95,
    draws: int = 10,
    seed: int = 0,
    adjustment: float = 0.3,
) -> Scores:
    r"""Measures of subjects, in logits on the scale of the fit.

    | method | estimate | standard error | interval |
    |---|---|---|---|
    | `eap` | posterior mean | posterior sd | posterior quantiles |
    | `sum_eap` | posterior mean given the sum of the responses only | posterior sd | posterior quantiles |
    | `map` | posterior mode | curvature at the mode | normal |
    | `ml` | maximum likelihood; extreme scores moved inwards by `adjustment` | $1/\sqrt{I}$ | normal |
    | `wle` | Warm's weighted likelihood, finite for extreme scores | $1/\sqrt{I}$ | normal |
    | `plausible` | as `eap`; draws from each posterior in `pv1`, `pv2`, … | posterior sd | posterior quantiles |

    `sum_eap` gives one measure per sum score of the same cells. Where the sum is all that counts (the Rasch family) it
    is `eap`; where items differ in discrimination it forgoes a little precision for a table that anyone can read. A
    sum over different cells is judged by its own cells, and a missing response is no zero.

    EAP and MAP are drawn towards the population mean, more so the fewer the responses; ML and WLE are not. Plausible
    values are for group statistics: compute the statistic once per `pv` column and pool.

    The table need not be the fitted one: levels and categories are matched by label, and subjects may be new. Items,
    judges and steps then count as known, and so they do for every fit that holds no draws; `Scores.carries` says so.
    On the fitted table, `eap` and `plausible` of a `Laplace` or `NUTS` fit come from its draws, and `ml` of a
    `JointML` fit is its own measures, each with the uncertainty of everything else in it. Missing responses are left
    out (ignorable), never scored.

    Args:
        fit: A fit of a model with subjects.
        table: Responses of the subjects to score.
        method: Which estimate.
        level: Coverage of the intervals, in (0, 1).
        draws: Plausible values per subject.
        seed: Seed of the plausible values.
        adjustment: Score points by which `ml` moves an extreme score inwards, in (0, 0.5). The own measures of a
            `JointML` fit keep the adjustment they were fitted with.

    Returns:
        One row per subject of the table: subject, estimate, se, lower, upper, n (sum of weights), extreme (all
        responses the lowest, or all the highest, in reach), and `pv1`… for plausible values. NaN only where `notes`
        says why. A model of several dimensions gives one row per subject and `dimension` (`eap`, `map` and
        `plausible` only); each rests on the responses to all dimensions, through their correlations.

    Raises:
        DataError: A model without subjects, an unknown level, category, method or facet, a population that cannot be
            estimated (JointML), or a sum score of responses whose weights are not whole numbers.

    Source: Bock & Mislevy (1982), Applied Psychological Measurement 6, 431-444 (EAP); Warm (1989), Psychometrika 54,
    427-450 (WLE); Thissen, Pommerich, Billeaud & Williams (1995), Applied Psychological Measurement 19, 39-49 (sum
    scores); Mislevy (1991), Psychometrika 56, 177-196 (plausible values).
    """
    _check(fit, method, level, draws, adjustment)
    if has_dimensions(fit.model):
        return _on_dimensions(fit, table, method, level, draws, seed)
    rows = align(fit, table, who=_WHO)
    own = table.hash == fit.table_hash and tuple(table.levels["subject"]) == tuple(fit.levels.get("subject", ()))
    if not (own and method == "ml" and keeps_subjects(fit)):
        check_possible(rows, who=_WHO)
    extremes = find_extremes(rows)
    if own and method in ("eap", "plausible") and fit.draws is not None and ABILITY in fit.draws:
        found = _from_draws(fit, method, level, draws, seed)
    elif method in ("eap", "sum_eap", "plausible"):
        found = _from_posterior(fit, table, rows, method, level, draws, seed)
    else:
        found = _from_points(fit, table, rows, extremes, method, level, adjustment, own=own)
    n = rows.by_subject(np.ones(table.n_rows))
    frame = pd.DataFrame(
        {
            "subject": list(rows.subjects),
            "estimate": found.estimate,
            "se": found.se,
            "lower": found.lower,
            "upper": found.upper,
            "n": n,
            "extreme": extremes.either & (n > 0),
            **found.extra,
        }
    )
    settings = {"method": method, "level": level, "adjustment": adjustment, "fit": fit.table_hash, "engine": fit.engine}
    return Scores(
        frame,
        method=method,
        level=level,
        carries=found.carries,
        notes=(*found.notes, *_notes(frame, method, adjustment, own_measures=found.carries == _JOINT)),
        provenance=Provenance(table.hash, settings, seed if method == "plausible" else None),
    )


def _on_dimensions(fit: Fit, table: ResponseTable, method: str, level: float, draws: int, seed: int) -> Scores:
    rows = aligned_rows(fit, table, who=_WHO)
    found = score_dimensions(fit, table, rows, method=method, level=level, draws=draws, seed=seed)
    settings = {"method": method, "level": level, "fit": fit.table_hash, "engine": fit.engine}
    n_extreme = int(found.frame["extreme"].sum())
    extreme = f"{n_extreme} of {len(found.frame)} measures rest on responses that are all lowest or all highest"
    return Scores(
        found.frame,
        method=method,
        level=level,
        carries=_CARRIED if found.from_draws else _HELD,
        notes=(extreme,) if n_extreme else (),
        provenance=Provenance(table.hash, settings, seed if method == "plausible" else None),
    )


def _check(fit: Fit, method: str, level: float, draws: int, adjustment: float) -> None:
    if not has_ability(fit.model):
        raise DataError(
            f"{_WHO}: {type(fit.model).__name__} has no subjects to score: "
            'use fit.estimates("item") and rank_intervals(fit)'
        )
    if method not in get_args(Method):
        raise DataError(f"{_WHO}: method={method!r} is not known: use one of {list(get_args(Method))}")
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if draws < 1:
        raise DataError(f"{_WHO}: draws={draws} plausible values; ask for at least 1")
    if not 0 < adjustment < 0.5:
        raise DataError(f"{_WHO}: adjustment={adjustment} must lie between 0 and 0.5 score points, such as 0.3")


def _from_points(
    fit: Fit,
    table: ResponseTable,
    rows: AlignedRows,
    extremes: Extremes,
    method: str,
    level: float,
    adjustment: float,
    *,
    own: bool,
) -> _Columns:
    carries, notes = _HELD, ()
    if method == "map":
        mean, sd, note = population_of(fit, table, who=_WHO)
        points = posterior_mode(rows, mean, sd)
        notes = (note,) if note else ()
    elif method == "wle":
        points = weighted_likelihood(rows, extremes)
    elif own and keeps_subjects(fit):
        points, carries = Points(fit.parameters[ABILITY], fit.standard_errors[ABILITY]), _JOINT
    else:
        points = maximum_likelihood(rows, extremes, adjustment=adjustment)
    half = float(ndtri((1 + level) / 2)) * points.se
    return _Columns(points.estimate, points.se, points.estimate - half, points.estimate + half, carries, notes)


def _from_posterior(
    fit: Fit, table: ResponseTable, rows: AlignedRows, method: str, level: float, draws: int, seed: int
) -> _Columns:
    if method == "sum_eap":
        normal = population(fit, who=_WHO)
        posterior, note = sum_score_posterior(rows, normal.mean, normal.sd, who=_WHO), normal.note
    else:
        mean, sd, note = population_of(fit, table, who=_WHO)
        posterior = subject_posterior(rows, mean, sd)
    tail = (1 - level) / 2
    ends = posterior.quantile(np.tile([tail, 1 - tail], (len(rows.subjects), 1)))
    values: dict[str, Array] = {}
    if method == "plausible":
        uniform = np.random.default_rng(seed).random((len(rows.subjects), draws))
        values = _named(posterior.quantile(uniform))
    notes = (note,) if note else ()
    return _Columns(posterior.mean, posterior.sd, ends[:, 0], ends[:, 1], _HELD, notes, values)


def _from_draws(fit: Fit, method: str, level: float, draws: int, seed: int) -> _Columns:
    stored = fit.draws[ABILITY] if fit.draws is not None else np.empty((0, 0, 0))
    flat = stored.reshape(-1, stored.shape[-1])
    tail = (1 - level) / 2
    lower, upper = np.quantile(flat, [tail, 1 - tail], axis=0)
    values: dict[str, Array] = {}
    if method == "plausible":
        if draws > len(flat):
            raise DataError(f"{_WHO}: draws={draws} plausible values asked of a fit that holds {len(flat)} draws")
        chosen = np.random.default_rng(seed).choice(len(flat), size=draws, replace=False)
        values = _named(flat[chosen].T)
    return _Columns(flat.mean(axis=0), flat.std(axis=0, ddof=1), lower, upper, _CARRIED, (), values)


def _named(values: Array) -> dict[str, Array]:
    """Columns pv1, pv2, … of an array (S, draws)."""
    return {f"pv{place + 1}": values[:, place] for place in range(values.shape[1])}


def _notes(frame: pd.DataFrame, method: str, adjustment: float, *, own_measures: bool) -> tuple[str, ...]:
    notes: list[str] = []
    n_extreme, n_unknown = int(frame["extreme"].sum()), int(frame["estimate"].isna().sum())
    if n_extreme and method == "ml" and not own_measures:
        notes.append(
            f"{n_extreme} of {len(frame)} subjects have an extreme score; their estimates rest on a score "
            f"moved inwards by {adjustment:g} points"
        )
    elif n_extreme:
        notes.append(f"{n_extreme} of {len(frame)} subjects have an extreme score (all lowest or all highest)")
    if n_unknown:
        notes.append(
            f"{n_unknown} of {len(frame)} subjects have no response that could differ and therefore no {method} "
            'estimate; method="eap" gives them the population'
        )
    return tuple(notes)
