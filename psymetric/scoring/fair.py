"""Fair averages: measures in rating units, as a judge and item of mean severity and difficulty would have rated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, ParamSpec
from psymetric.models.nested import require_independence
from psymetric.models.space import POPULATION_MEAN, has_ability, require_one_dimension
from psymetric.scoring.alignment import KNOWS_DEPENDENCE
from psymetric.scoring.likelihood import probabilities_at

__all__ = ["category_values", "fair_averages", "mean_parameters"]

Array = NDArray[np.float64]

_WHO = "fair_averages"


def category_values(categories: tuple[Any, ...]) -> Array:
    """Numeric category labels, or the codes 0…K−1 where the labels are not all numbers; shape (K,)."""
    numeric = all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in categories)
    return np.array(categories if numeric else range(len(categories)), np.float64)


def fair_averages(fit: Fit, facet: str, *, scores: Scores | None = None, level: float = 0.95) -> pd.DataFrame:
    """Expected rating of each level with every other facet at its mean.

    What a subject would have been given by judges and items of mean severity and difficulty, or a judge would have
    given a subject of mean ability: the measure put through the model, back in the units of the ratings. Where steps
    belong to another facet the expectation is averaged over its levels. Interactions count as zero.

    Args:
        fit: A fit of a model with subjects.
        facet: "subject" or one of the model's facets.
        scores: Measures of the subjects; needed for `facet="subject"` where the fit integrated them out (MarginalML,
            MAP).
        level: Coverage of the intervals, in (0, 1); those of `scores` keep their own.

    Returns:
        Columns level, average, lower, upper (in category labels where these are numbers, else in scores 0…K−1) and
        estimate (logits). The interval is the estimate's, put through the model; it carries what the estimate's
        interval carries.

    Raises:
        DataError: An unknown facet, a model without subjects, or subjects of a fit that integrated them out without
        `scores`.

    Source: Linacre (1989), Many-Facet Rasch Measurement; FACETS' "Fair(M) Average".
    """
    if not has_ability(fit.model):
        raise DataError(f"{_WHO}: {type(fit.model).__name__} rates nothing on a scale: it has no expected rating")
    require_one_dimension(fit.model, _WHO)
    require_independence(fit.model, _WHO, instead=KNOWS_DEPENDENCE)
    labels, measures, estimated = _measures(fit, facet, scores, level)
    params = mean_parameters(fit)
    averages = np.column_stack([_expected(fit, facet, params, column) for column in measures.T])
    # More severe means lower: the ends of a facet's interval change places.
    low, high = np.fmin(averages[:, 1], averages[:, 2]), np.fmax(averages[:, 1], averages[:, 2])
    return pd.DataFrame(
        {"level": labels, "average": averages[:, 0], "lower": low, "upper": high, "estimate": estimated}
    )


def _measures(fit: Fit, facet: str, scores: Scores | None, level: float) -> tuple[list[Any], Array, Array]:
    """Labels, and measures with both ends of their intervals, shape (levels, 3)."""
    if facet == "subject" and scores is not None:
        frame = scores.frame.rename(columns={"subject": "level"})
    elif facet == "subject" and ABILITY not in fit.parameters:
        raise DataError(
            f'{_WHO}: {fit.engine} integrates subjects out: pass their measures, fair_averages(fit, "subject", '
            "scores=score(fit, table))"
        )
    elif facet not in ("subject", *fit.model.facets):
        known = ["subject", *fit.model.facets]
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no facet {facet!r}: it has {known}")
    else:
        frame = fit.estimates(facet, level=level)
    values = frame[["estimate", "lower", "upper"]].to_numpy(np.float64)
    return frame["level"].tolist(), values, values[:, 0]


def _location_specs(fit: Fit) -> list[ParamSpec]:
    return [spec for spec in fit.model.parameters if spec.axes and "step" not in spec.axes and spec.name != ABILITY]


def mean_parameters(fit: Fit) -> dict[str, Array]:
    """Every level at its facet's mean (geometric for scales), interactions at zero, steps as they are."""
    params = {spec.name: fit.parameters[spec.name] for spec in fit.model.parameters if spec.name in fit.parameters}
    for spec in _location_specs(fit):
        value = fit.parameters[spec.name]
        if spec.support == "positive":
            params[spec.name] = np.full_like(value, np.exp(np.nanmean(np.log(value))))
        else:
            params[spec.name] = np.full_like(value, np.nanmean(value) if len(spec.axes) == 1 else 0.0)
    params.pop(ABILITY, None)
    return params


def _mean_ability(fit: Fit) -> float:
    if POPULATION_MEAN in fit.parameters:
        return float(np.mean(fit.parameters[POPULATION_MEAN]))
    return float(np.nanmean(fit.parameters[ABILITY]))


def _expected(fit: Fit, facet: str, params: dict[str, Array], measures: Array) -> Array:
    """Expected rating of each level at a measure, averaged over the other facet's step groups, shape (levels,)."""
    owner = next(
        (spec.axes[0] for spec in fit.model.parameters if len(spec.axes) == 2 and spec.axes[1] == "step"), None
    )
    n_levels = len(measures)
    crossed = owner is not None and owner != facet
    n_groups = len(fit.levels[owner]) if owner is not None and crossed else 1
    level, group = np.repeat(np.arange(n_levels), n_groups), np.tile(np.arange(n_groups), n_levels)
    codes = {name: np.zeros(len(level), np.int32) for name in fit.model.facets}
    if owner is not None and crossed:
        codes[owner] = group.astype(np.int32)
    theta = np.full(len(level), _mean_ability(fit))
    if facet == "subject":
        theta = measures[level]
    else:
        params = params | {facet: measures}
        codes[facet] = level.astype(np.int32)
    probability = probabilities_at(fit.model, params, codes, theta, len(fit.categories))
    return (probability @ category_values(fit.categories)).reshape(n_levels, n_groups).mean(axis=1)
