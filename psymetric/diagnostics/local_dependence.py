"""Local dependence: whether levels of a facet share more than the measured ability explains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array, triu

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.moments import Measured, measure, owners, response_moments
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.space import has_ability
from psymetric.scoring.posterior import Posterior

__all__ = [
    "CellResiduals",
    "at_estimates",
    "cell_residuals",
    "check_facet",
    "pair_correlations",
    "residual_correlations",
]

Array = NDArray[np.float64]

_WHO = "residual_correlations"
_FEWEST = 4
"""Shared subjects under which a correlation has no standard error worth printing."""
_CERTAIN = 2.0
"""Standard errors by which a corrected correlation must clear zero before it is flagged."""


@final
@dataclass(frozen=True)
class CellResiduals:
    """Residuals of subjects × levels of a facet where there are responses, as sparse matrices of shape (S, L).

    Attributes:
        raw: Mean of x − E over the cell's responses.
        standardised: Σ(x − E) / √ΣV.
        present: One where the subject met the level.
    """

    raw: csr_array
    standardised: csr_array
    present: csr_array


def residual_correlations(
    fit: Fit, table: ResponseTable, *, facet: str = "item", threshold: float = 0.2
) -> pd.DataFrame:
    r"""Yen's Q3: correlations over subjects between the residuals of two levels of a facet.

    Residuals are $x - E$ at each subject's estimate: its own measure after `JointML`, the mean of its posterior after
    every other engine. Of several latent variables it is the mean of what a response depends on (`fit_statistics`), so
    that dependence which the model has, through dimensions or a halo, is not found again. Where a subject has several
    responses to a level (an item rated by five judges) they are averaged. Responses that the model calls independent
    correlate slightly below zero, by about $-1/(L-1)$ for L levels, because the estimate is made of the same residuals;
    the corrected value takes the mean of all pairs away. No one critical value holds for all designs: .2 above the mean
    is the convention.

    Missing responses are left out: a pair rests on the subjects that met both levels. Rows of an extreme score
    (JointML) are left out. Uncertainty of items and judges is not carried.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.
        facet: Whose levels to compare: "item", or "judge" for judges that share an error.
        threshold: Distance from the mean correlation that is flagged, in (0, 1).

    Returns:
        One row per pair of levels with a common subject, the highest correlation first: first, second (labels),
        subjects (shared), q3, se ((1 − q3²)/√(n − 1), as for a correlation of normal variables), q3_corrected (q3
        minus its mean over the pairs), flag (why to look, in words; empty within bounds). A pair of fewer than four
        subjects, or of constant residuals, has NaN and a flag, and no part in the mean.

    Raises:
        DataError: A model without subjects, an unknown facet or one of a single level, no two levels with a common
            subject, or a mismatch of fit and table.

    Source: Yen (1984), Applied Psychological Measurement 8, 125-145; Christensen, Makransky & Horton (2017), Applied
    Psychological Measurement 41, 178-194.
    """
    if not 0 < threshold < 1:
        raise DataError(f"{_WHO}: threshold={threshold} is not a distance between correlations, such as 0.2")
    check_facet(fit, table, facet, who=_WHO)
    measured = at_estimates(measure(fit, table, who=_WHO))
    found = cell_residuals(measured, table.codes[facet], len(table.levels[facet]))
    first, second, shared, q3 = pair_correlations(found.raw, found.present)
    if not len(first):
        raise DataError(
            f"{_WHO}: no subject met two levels of {facet!r}, so that nothing can be compared: "
            "name a facet that is crossed with the subjects"
        )
    enough = shared >= _FEWEST
    q3 = np.where(enough, q3, np.nan)
    se = (1 - q3**2) / np.sqrt(np.maximum(shared - 1, 1))
    known = np.isfinite(q3)
    corrected = q3 - (q3[known].mean() if known.any() else np.nan)
    labels = np.array(table.levels[facet], object)
    frame = pd.DataFrame(
        {
            "first": labels[first],
            "second": labels[second],
            "subjects": shared.astype(np.int64),
            "q3": q3,
            "se": se,
            "q3_corrected": corrected,
        }
    )
    frame["flag"] = [
        _flag(*values, threshold) for values in zip(shared.tolist(), corrected.tolist(), se.tolist(), strict=True)
    ]
    return frame.sort_values("q3_corrected", ascending=False, kind="stable", ignore_index=True)


def _flag(shared: float, corrected: float, se: float, threshold: float) -> str:
    if shared < _FEWEST:
        return f"only {shared:g} shared subjects: too few to compare"
    if not np.isfinite(corrected):
        return "residuals do not vary: no correlation"
    if abs(corrected) <= threshold:
        return ""
    way = "above" if corrected > 0 else "below"
    text = f"{abs(corrected):.2f} {way} the mean correlation, past the conventional {threshold:g}"
    if abs(corrected) <= _CERTAIN * se:
        return f"within chance of {shared:g} subjects: {text}"
    return f"{'dependent' if corrected > 0 else 'opposed'}: {text}"


def check_facet(fit: Fit, table: ResponseTable, facet: str, *, who: str) -> None:
    """Refuse what has no residuals of subjects × levels.

    Raises:
        DataError: A model without subjects, an unknown facet, the subjects themselves, or a single level.
    """
    if not has_ability(fit.model):
        raise DataError(f"{who}: {type(fit.model).__name__} has no subjects whose residuals could be compared")
    if facet == "subject":
        raise DataError(f"{who}: facet='subject' cannot be compared over subjects: name 'item', 'judge' or another")
    owners(table, facet, who=who)
    if len(table.levels[facet]) < 2:
        raise DataError(f"{who}: facet {facet!r} has the single level {table.levels[facet][0]!r}: nothing to compare")


def at_estimates(measured: Measured) -> Measured:
    """The same rows with every subject at the mean of its posterior; states of a few stay averaged over."""
    if measured.unit == "category":
        return measured
    mean = measured.abilities.mean[:, None]
    return replace(measured, abilities=Posterior(mean, np.ones_like(mean)), at_estimates=True)


def cell_residuals(measured: Measured, level: NDArray[np.int32], n_levels: int) -> CellResiduals:
    """Residuals by subject and level, `level` of shape (R,); rows of weight zero and extreme scores take no part."""
    rows, moments = measured.matched, response_moments(measured)
    chosen = np.flatnonzero((rows.weight > 0) & ~measured.extreme)
    weight = rows.weight[chosen]
    # Residuals are those of the score, which is what every model's expectation is stated in.
    residual = (rows.response - moments.expected)[chosen]
    place = (rows.subject[chosen], level[chosen])
    shape = (len(rows.subjects), n_levels)

    def total(values: Array) -> csr_array:
        found = csr_array((values, place), shape=shape)
        found.sum_duplicates()
        return found

    count, residuals, variance = total(weight), total(weight * residual), total(weight * moments.variance[chosen])
    # The three share one sparsity pattern, so that cells line up by position.
    return CellResiduals(
        raw=_with_data(count, residuals.data / count.data),
        standardised=_with_data(count, residuals.data / np.sqrt(variance.data)),
        present=_with_data(count, np.ones_like(count.data)),
    )


def _with_data(pattern: csr_array, data: Any) -> csr_array:
    return csr_array((data, pattern.indices, pattern.indptr), shape=pattern.shape)


def pair_correlations(
    values: csr_array, present: csr_array
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Correlations of columns over the rows that both have.

    Args:
        values: Shape (S, L).
        present: Ones in the same places.

    Returns:
        First and second column, n of rows in common and correlation (NaN where a column is constant) of every pair
        with a row in common, each of shape (pairs,), by first and second column.
    """
    squares = _with_data(values, values.data**2)
    shared = triu(csr_array(present.T) @ present, k=1).tocoo()
    first, second = shared.coords[0].astype(np.int64), shared.coords[1].astype(np.int64)
    order = np.lexsort((second, first))
    first, second, n = first[order], second[order], np.asarray(shared.data, np.float64)[order]
    if not len(first):
        return first, second, n, n

    def picked(left: csr_array, right: csr_array) -> tuple[Array, Array]:
        product = csr_array(csr_array(left.T) @ right)
        return np.asarray(product[first, second]), np.asarray(product[second, first])

    sum_x, sum_y = picked(values, present)
    sum_xx, sum_yy = picked(squares, present)
    sum_xy, _ = picked(values, values)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (sum_xx - sum_x**2 / n) * (sum_yy - sum_y**2 / n)
        # Below rounding a column is constant.
        spread = np.where(spread > 1e-20 * sum_xx * sum_yy, spread, np.nan)
        return first, second, n, (sum_xy - sum_x * sum_y / n) / np.sqrt(spread)
