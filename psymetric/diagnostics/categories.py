"""How the rating scale works: use of the categories, measures that should advance with them, thresholds, curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.steps import UNUSED
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.moments import measure, response_moments
from psymetric.diagnostics.residuals import locations
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, ParamSpec
from psymetric.models.space import has_ability
from psymetric.scoring.fair import category_values, mean_parameters
from psymetric.scoring.likelihood import probabilities, probabilities_at
from psymetric.scoring.positions import at_position, unit_of

__all__ = ["category_curves", "category_statistics"]

Array = NDArray[np.float64]

_MISFIT, _FEW = 2.0, 10
"""Linacre's guidelines: outfit of a category under 2, at least ten observations."""


def category_statistics(fit: Fit, table: ResponseTable) -> pd.DataFrame:
    """Use and order of the categories, per group of steps.

    A scale works when every category is used, when those who use a higher category have higher measures (the average
    measure advances), when thresholds advance too, and when no category is used erratically.

    Of several dimensions the measure is the sum of abilities that an item measures. After `HierarchicalRater`
    everything is in categories: the measure is the mean ideal category less the judge's severity, and thresholds are
    the judge's criteria around its severity.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.

    Returns:
        group (label of the facet that owns the steps, or "all"), category (label), n (sum of weights), share (of the
        group), average_measure (mean over its responses of ability minus the facets' locations, logits),
        expected_measure (what the fit expects of it), outfit (mean square over its responses), threshold and
        threshold_se (logits: step into the category; NaN for the lowest, for unused categories and where the model has
        no steps), disordered (threshold not above the previous one), flag (in words; empty when nothing is to be said).

    Raises:
        DataError: A model without ordered categories, or a mismatch of fit and table.

    Source: Linacre (2002), Journal of Applied Measurement 3, 85-106.
    """
    who = "category_statistics"
    _require_scale(fit, who)
    measured = measure(fit, table, who=who)
    rows, moments = measured.rows, response_moments(measured)
    owner = _step_owner(fit, measured.unit)
    labels: tuple[Any, ...] = ("all",) if owner is None else tuple(fit.levels[owner])
    group = np.zeros(len(rows.response), np.int64) if owner is None else rows.codes[owner].astype(np.int64)
    n_categories = len(fit.categories)
    weight = np.where(measured.extreme, 0.0, rows.weight)
    cell, size = group * n_categories + rows.response, len(labels) * n_categories
    place = np.nan_to_num(locations(fit, measured))
    counts, used = (np.bincount(cell, values, size) for values in (rows.weight, weight))
    foreseen = weight[:, None] * probabilities(rows, measured.abilities.theta, measured.abilities.weight)
    cells = group[:, None] * n_categories + np.arange(n_categories)
    with np.errstate(divide="ignore", invalid="ignore"):
        average = np.bincount(cell, weight * place, size) / used
        outfit = np.bincount(cell, weight * moments.outfit, size) / used
        expected = np.bincount(cells.ravel(), (foreseen * place[:, None]).ravel(), size) / np.bincount(
            cells.ravel(), foreseen.ravel(), size
        )
        total = counts.reshape(len(labels), -1).sum(axis=1)
        share = counts / np.repeat(total, n_categories)
    threshold, threshold_se = _thresholds(fit, len(labels), measured.unit)
    frame = pd.DataFrame(
        {
            "group": pd.Series([label for label in labels for _ in fit.categories], dtype=object),
            "category": list(fit.categories) * len(labels),
            "n": counts,
            "share": share,
            "average_measure": average,
            "expected_measure": np.where(counts > 0, expected, np.nan),
            "outfit": outfit,
            "threshold": threshold.ravel(),
            "threshold_se": threshold_se.ravel(),
        }
    )
    frame["disordered"] = _falls(frame, "threshold")
    frame["flag"] = _flags(frame)
    return frame


def _require_scale(fit: Fit, who: str) -> None:
    if not has_ability(fit.model):
        raise DataError(f"{who}: {type(fit.model).__name__} has outcomes, not ordered categories")


def _step_spec(fit: Fit, unit: str) -> ParamSpec | None:
    return next((spec for spec in fit.model.parameters if "step" in spec.axes and spec.unit == unit), None)


def _step_owner(fit: Fit, unit: str = "logit") -> str | None:
    spec = _step_spec(fit, unit)
    return None if spec is None or len(spec.axes) == 1 else spec.axes[0]


def _thresholds(fit: Fit, n_groups: int, unit: str = "logit") -> tuple[Array, Array]:
    """Steps and their errors with a leading NaN for the lowest category, shape (groups, K)."""
    spec, shape = _step_spec(fit, unit), (n_groups, len(fit.categories))
    value, error = np.full(shape, np.nan), np.full(shape, np.nan)
    if spec is not None:
        steps = fit.parameters[spec.name].reshape(n_groups, -1)
        out_of_reach = np.abs(steps) > UNUSED / 2
        value[:, 1:] = np.where(out_of_reach, np.nan, steps)
        error[:, 1:] = np.where(out_of_reach, np.nan, fit.standard_errors[spec.name].reshape(n_groups, -1))
    return value, error


def _falls(frame: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Whether a value is not above the last known one of its group."""
    before = frame.groupby("group", sort=False)[column].transform(lambda values: values.ffill().shift())
    return (frame[column] <= before).to_numpy(bool)


def _flags(frame: pd.DataFrame) -> list[str]:
    retreats = _falls(frame, "average_measure")
    flags: list[str] = []
    for n, outfit, disordered, back in zip(frame["n"], frame["outfit"], frame["disordered"], retreats, strict=True):
        reasons: list[str] = []
        if n == 0:
            reasons.append("never used")
        elif n < _FEW:
            reasons.append(f"used {n:g} times: its threshold is uncertain")
        if back:
            reasons.append("average measure does not advance")
        if disordered:
            reasons.append("threshold disordered: never the most likely category, or hardly")
        if outfit > _MISFIT:
            reasons.append(f"used erratically: outfit {outfit:.2f} exceeds {_MISFIT:g}")
        flags.append("; ".join(reasons))
    return flags


def category_curves(fit: Fit, group: Any = None, *, reach: float | None = None, points: int = 121) -> pd.DataFrame:
    """Probability of every category along the scale, for the plot of category curves.

    Args:
        fit: A fit of a model with subjects.
        group: Level of the facet that owns the steps; None where steps are common.
        reach: Half-width of the scale shown, in logits; by default 2 beyond the outermost threshold and at least 4.
        points: Number of abilities.

    Returns:
        Long frame: theta (ability relative to the item and judge, logits), category (label), probability, expected
        (rating at that theta, in category labels where these are numbers, else in scores 0…K−1).

    Raises:
        DataError: A model without ordered categories, or a group that does not own steps.
    """
    who = "category_curves"
    _require_scale(fit, who)
    if unit_of(fit.model, len(fit.categories)) == "category":
        raise DataError(
            f"{who}: the answers of {type(fit.model).__name__} follow the ideal category and not the measure: use "
            'fit.estimates("criterion") and category_statistics(fit, table)'
        )
    owner = _step_owner(fit)
    codes = {name: np.zeros(points, np.int32) for name in fit.model.facets}
    if owner is None and group not in (None, "all"):
        raise DataError(f"{who}: group={group!r}, but the steps of this fit are common: leave group out")
    if owner is not None:
        if group not in fit.levels[owner]:
            raise DataError(
                f"{who}: group={group!r} is no level of {owner!r}, which owns the steps: {list(fit.levels[owner])}"
            )
        codes[owner][:] = fit.levels[owner].index(group)
    # Everything at zero but the steps: the scale is read relative to the item and judge.
    params = {
        name: value if name == "step" else np.zeros_like(value)
        for name, value in mean_parameters(fit).items()
        if name != ABILITY
    }
    if reach is None:
        steps = _thresholds(fit, 1 if owner is None else len(fit.levels[owner]))[0]
        reach = max(4.0, 2.0 + float(np.nanmax(np.abs(steps), initial=0.0)))
    theta = np.linspace(-reach, reach, points)
    probability = probabilities_at(at_position(fit.model), params, codes, theta, len(fit.categories))
    expected = probability @ category_values(fit.categories)
    n_categories = len(fit.categories)
    return pd.DataFrame(
        {
            "theta": np.repeat(theta, n_categories),
            "category": list(fit.categories) * points,
            "probability": probability.ravel(),
            "expected": np.repeat(expected, n_categories),
        }
    )
