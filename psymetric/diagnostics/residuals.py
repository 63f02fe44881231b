"""Fit of subjects, items, judges and every other facet: mean squared residuals, and the responses behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.moments import Measured, Moments, measure, owners, response_moments, share_values
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.space import has_ability

__all__ = ["fit_statistics", "locations", "mean_squares", "sum_by", "unexpected_responses", "wilson_hilferty"]

Array = NDArray[np.float64]

_LOW, _HIGH, _DEGRADING = 0.5, 1.5, 2.0
"""Linacre's conventional bounds: productive for measurement inside [.5, 1.5]; above 2 the measures suffer."""


def wilson_hilferty(mean_square: Array, variance: Array) -> Array:
    """Mean squares as approximate standard normal deviates.

    Args:
        mean_square: Any shape.
        variance: The model's variance q² of the mean square, same shape.

    Source: Wright & Masters (1982), Rating Scale Analysis, p. 101: z = (MS^(1/3) − 1)(3/q) + q/3.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.sqrt(variance)
        return np.where(q > 0, (np.cbrt(mean_square) - 1) * (3 / q) + q / 3, np.nan)


def mean_squares(moments: Moments, weight: Array, owner: Sequence[NDArray[Any]], n_levels: int) -> dict[str, Array]:
    """Infit and outfit by level.

    Args:
        moments: Of R rows.
        weight: Shape (R,); a row of weight 2 counts as two rows.
        owner: Level of each row, arrays of shape (R,); rows of pairs have two.
        n_levels: L.

    Returns:
        n, infit, infit_z, outfit, outfit_z, variance (sum of the model's variances), each of shape (L,); NaN without
        rows.
    """

    def total(values: Array) -> Array:
        return sum_by(owner, weight * values, n_levels)

    n, variance = total(np.ones(len(weight))), total(moments.variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        outfit, infit = total(moments.outfit) / n, total(moments.squared) / variance
        outfit_variance = total(moments.outfit_variance) / n**2
        infit_variance = total(moments.infit_variance) / variance**2
    return {
        "n": n,
        "infit": infit,
        "infit_z": wilson_hilferty(infit, infit_variance),
        "outfit": outfit,
        "outfit_z": wilson_hilferty(outfit, outfit_variance),
        "variance": variance,
    }


def sum_by(owner: Sequence[NDArray[Any]], values: Array, n_levels: int) -> Array:
    """Sums by level, shape (L,)."""
    return np.sum([np.bincount(code, weights=values, minlength=n_levels) for code in owner], axis=0)


def fit_statistics(
    fit: Fit,
    table: ResponseTable | PairTable,
    *,
    facets: Sequence[str] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
) -> pd.DataFrame:
    r"""Infit, outfit and point-measure correlation of every level of every facet.

    With x the score of a response, E its expectation and V its variance under the model, outfit is the mean of
    $(x-E)^2/V$ and infit is $\sum (x-E)^2 / \sum V$; 1 is expected, more is noise, less is more regularity than the
    model has. `JointML` fits: at the estimates. All others: averaged over the posterior of each subject, since
    residuals at estimates bias mean squares down when subjects have few responses; their z is then somewhat
    conservative. Uncertainty of items and judges is not carried. Missing responses are left out. Facets that the model
    leaves out can be asked for too: a template that moves ratings shows there.

    Models of several latent variables: E and V are conditional on all of them, and averaged over their joint posterior
    given the subject's responses. A draw from the posterior is to the data what the truth is, so that mean squares
    centre at 1, and what the model has of dependence is no misfit. Several dimensions: at the weighted sum of abilities
    that an item measures (Adams & Wu, 2007). `RaschTestlet`: at the ability plus the halo; a judge whose halo is wider
    than the others' shows little, its halo being taken as found. `HierarchicalRater`: at the ideal category; statistics
    of judges say whether their criteria and precision hold, those of items and subjects how their judges agreed, and
    nothing here tests what the ideal categories follow. Measures are then the sum of abilities, the ability, and the
    mean ideal category; `model_se` is NaN where the level does not move the responses by itself.

    Rows of an extreme score (JointML) say nothing about fit and are left out; their own levels have NaN and a flag.

    Args:
        fit: The fit.
        table: The responses: the fitted table, or another whose levels the fit knows.
        facets: Which facets; by default all of the table's.
        pairs: Pairs of facets whose combinations get statistics too, such as ("judge", "item").

    Returns:
        facet, level (label; "a:b" pairs joined by " × "), n (sum of weights), infit, infit_z, outfit, outfit_z
        (Wilson-Hilferty), point_measure (correlation of responses with the sum of their measures, as FACETS' PtMea),
        point_measure_expected, model_se (logits, of judges after `HierarchicalRater`
        categories: 1/√information with everything else known, FACETS' model S.E.), flag
        (why to look, in words; empty when within bounds).

    Raises:
        DataError: The table does not match the fit, or a facet is unknown.

    Source: Wright & Masters (1982), Rating Scale Analysis, ch. 5; bounds: Linacre (2002), Rasch Measurement
    Transactions 16:2, 878; several latent variables: Adams & Wu (2007), in von Davier & Carstensen (eds.), Multivariate
    and Mixture Distribution Rasch Models, 57-75.
    """
    who = "fit_statistics"
    chosen = tuple(table.facets) if facets is None else (facets,) if isinstance(facets, str) else tuple(facets)
    for facet in (*chosen, *(name for pair in pairs for name in pair)):
        owners(table, facet, who=who)
    measured = measure(fit, table, who=who)
    moments = response_moments(measured)
    location = locations(fit, measured)
    frames = [
        _frame(measured, moments, location, facet, owners(table, facet, who=who), list(table.levels[facet]))
        for facet in chosen
    ]
    for first, second in pairs:
        name, code, labels = _crossed(table, first, second)
        frames.append(_frame(measured, moments, location, name, [code], labels))
    return pd.concat(frames, ignore_index=True)


def _crossed(table: ResponseTable | PairTable, first: str, second: str) -> tuple[str, NDArray[np.int64], list[str]]:
    if first == second or any(facet not in table.codes for facet in (first, second)):
        raise DataError(
            f"fit_statistics: pairs=({first!r}, {second!r}) needs two different facets of {list(table.codes)}"
        )
    size = len(table.levels[second])
    cells, code = np.unique(table.codes[first].astype(np.int64) * size + table.codes[second], return_inverse=True)
    labels = [f"{table.levels[first][cell // size]} × {table.levels[second][cell % size]}" for cell in cells.tolist()]
    return f"{first}:{second}", code.reshape(-1), labels


def locations(fit: Fit, measured: Measured) -> Array:
    """The measures behind each row summed, shape (R,): measure minus every facet's location; NaN for pair models."""
    rows = measured.rows
    if not has_ability(fit.model):
        return np.full(len(rows.response), np.nan)
    location = measured.measure[rows.subject]
    for spec in fit.model.parameters:
        if spec.stands_on(measured.unit):
            location = location - rows.params[spec.name][tuple(rows.codes[axis] for axis in spec.axes)]
    return location


def _frame(
    measured: Measured,
    moments: Moments,
    location: Array,
    facet: str,
    owner: list[NDArray[Any]],
    labels: list[Any],
) -> pd.DataFrame:
    weight = np.where(measured.extreme, 0.0, measured.rows.weight)
    found = mean_squares(moments, weight, owner, len(labels))
    observed, expected = _point_measure(measured, moments, location, weight, owner, len(labels))
    with np.errstate(divide="ignore"):
        information = moments.information if _has_error(measured, facet) else np.full(len(weight), np.nan)
        model_se = 1 / np.sqrt(sum_by(owner, weight * information, len(labels)))
    n = sum_by(owner, measured.rows.weight, len(labels))
    frame = pd.DataFrame(
        {
            "facet": facet,
            "level": pd.Series(labels, dtype=object),
            "n": n,
            **{name: found[name] for name in ("infit", "infit_z", "outfit", "outfit_z")},
            "point_measure": observed,
            "point_measure_expected": expected,
            "model_se": np.where(np.isfinite(model_se), model_se, np.nan),
        }
    )
    frame["flag"] = [
        _flag(*values) for values in zip(found["n"], n, found["infit"], found["outfit"], observed, strict=True)
    ]
    return frame


def _has_error(measured: Measured, facet: str) -> bool:
    """Whether information on the positions is information on a level: not on subjects who stand at several."""
    specs = {spec.name: spec for spec in measured.rows.model.parameters}
    own = measured.rows.model.facets
    return not measured.is_composite or (
        facet != "subject" and (facet not in own or (facet in specs and specs[facet].stands_on(measured.unit)))
    )


def _point_measure(
    measured: Measured, moments: Moments, location: Array, weight: Array, owner: list[NDArray[Any]], n_levels: int
) -> tuple[Array, Array]:
    """Observed and expected correlations of scores with locations, by level."""
    if measured.rows.model.table_kind == "pairs":
        return np.full(n_levels, np.nan), np.full(n_levels, np.nan)
    score = measured.rows.response.astype(np.float64)
    known = np.where(weight > 0, np.nan_to_num(location), 0.0)
    n = sum_by(owner, weight, n_levels)
    with np.errstate(divide="ignore", invalid="ignore"):

        def mean(values: Array) -> Array:
            return sum_by(owner, weight * values, n_levels) / n

        score_mean, place, centre = mean(score), mean(known), mean(moments.expected)
        spread = mean(known**2) - place**2
        # Below rounding, a level whose rows share one location has no correlation to speak of.
        spread = np.where(spread > 1e-12 * np.maximum(place**2, 1.0), spread, np.nan)
        variance = mean(score**2) - score_mean**2
        observed = (mean(score * known) - score_mean * place) / np.sqrt(
            spread * np.where(variance > 0, variance, np.nan)
        )
        foreseen = mean(moments.between + moments.variance) - centre**2
        expected = (mean(moments.expected * known) - centre * place) / np.sqrt(spread * foreseen)
    return observed, expected


def _flag(n_used: float, n: float, infit: float, outfit: float, point_measure: float) -> str:
    if n > 0 and n_used == 0:
        return "extreme score: no residual to judge"
    if not np.isfinite(infit):
        return "no responses"
    name, worst = ("infit", infit) if infit >= outfit else ("outfit", outfit)
    reasons: list[str] = []
    if worst > _DEGRADING:
        reasons.append(f"erratic: {name} {worst:.2f} exceeds {_DEGRADING:g}, more noise than information")
    elif worst > _HIGH:
        reasons.append(f"noisy: {name} {worst:.2f} exceeds {_HIGH:g}")
    name, least = ("infit", infit) if infit <= outfit else ("outfit", outfit)
    if least < _LOW:
        reasons.append(f"too regular: {name} {least:.2f} is under {_LOW:g}, responses vary less than the model expects")
    if point_measure < 0:
        reasons.append(f"runs against the measures: correlation {point_measure:.2f}")
    return "; ".join(reasons)


def unexpected_responses(
    fit: Fit, table: ResponseTable | PairTable, *, threshold: float = 2.0, limit: int | None = None
) -> pd.DataFrame:
    """Responses far from their expectation, the furthest first.

    Args:
        fit: The fit.
        table: The responses.
        threshold: Smallest |z| to list.
        limit: List at most this many.

    Returns:
        row (position in the table, from 0), one column per facet with its label, response (label), expected (score
        0…K−1; for pairs the left item's share), residual (score − expected), z (standardised by the model's sd,
        averaged over the subject's posterior).

    Raises:
        DataError: The table does not match the fit, or the threshold is not positive.
    """
    if not threshold > 0:
        raise DataError(f"unexpected_responses: threshold={threshold} must be positive, such as 2")
    measured = measure(fit, table, who="unexpected_responses")
    moments = response_moments(measured)
    far = (np.abs(moments.standardised) >= threshold) & (measured.rows.weight > 0) & ~measured.extreme
    chosen = np.flatnonzero(far)
    chosen = chosen[np.argsort(-np.abs(moments.standardised[chosen]), kind="stable")][:limit]
    frame = table.to_frame().drop(columns="weight").iloc[chosen].reset_index(drop=True)
    frame.insert(0, "row", chosen)
    observed = share_values(measured)[measured.rows.response[chosen]]
    return frame.assign(
        expected=moments.expected[chosen],
        residual=observed - moments.expected[chosen],
        z=moments.standardised[chosen],
    )
