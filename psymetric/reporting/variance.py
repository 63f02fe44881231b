"""How much of the spread behind an answer is the subject, and how much the judge, the item or the prompt."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.nested import AbstractNestedModel

__all__ = ["variance_shares"]

Array = NDArray[np.float64]

_DRAWS = 4_000


def variance_shares(fit: Fit, *, level: float = 0.95) -> pd.DataFrame:
    """Estimated variances in logits² of every facet's levels, and their shares of the sum.

    The variance of a facet with fixed levels is the mean square of its centred estimates less the mean square of their
    standard errors (never below zero), which removes what estimation error adds; of a random facet and of the subjects
    it is the estimated variance. Levels count equally. The sum supposes that facets are crossed; the randomness of an
    answer given all of them is not part of it. Of several dimensions the subjects' variance is the mean. What answers
    of a subject under one level share (`RaschTestlet`) is a line of its own; judges whose severity is in categories
    (`HierarchicalRater`) are not on this scale and have none.

    Args:
        fit: A response model's fit.
        level: Coverage of the intervals, which are from simulation with normal errors and rough.

    Returns:
        Columns facet, variance, share, lower, upper (of the share), levels; subjects first, then from large to small.
    """
    names = [
        spec.name
        for spec in fit.model.parameters
        if (spec.name == ABILITY or spec.is_location) and spec.name in fit.parameters
    ]
    names = [ABILITY, *(name for name in names if name != ABILITY), *_halo(fit)]
    estimates = [_variance(fit, name) for name in names]
    values = np.array([value for value, _ in estimates])
    errors = np.array([error for _, error in estimates])
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((_DRAWS, len(values)))
    # An estimated variance is positive: its error is taken on the log scale. That of fixed levels may be zero.
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = np.where(values > 0, values * np.exp(noise * errors / values), 0.0)
    estimated = np.array([_spread_name(fit, name) in fit.parameters for name in names])
    drawn = np.where(estimated, positive, np.maximum(values + errors * noise, 0))
    total = drawn.sum(axis=1, keepdims=True)
    shares = np.divide(drawn, total, out=np.zeros_like(drawn), where=total > 0)
    lower, upper = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=0)
    whole = values.sum()
    frame = pd.DataFrame(
        {
            "facet": ["subject" if name == ABILITY else name for name in names],
            "variance": values,
            "share": values / whole if whole > 0 else np.nan,
            "lower": lower,
            "upper": upper,
            "levels": [_size(fit, name) for name in names],
        }
    )
    return pd.concat([frame.head(1), frame.iloc[1:].sort_values("share", ascending=False)], ignore_index=True)


def _halo(fit: Fit) -> tuple[str, ...]:
    """What a subject's responses under one level share, as subject × facet, where it has an sd."""
    model = fit.model
    if not isinstance(model, AbstractNestedModel) or model.n_states(len(fit.categories)) is not None:
        return ()
    return (model.owner,)


def _size(fit: Fit, name: str) -> float:
    if name in _halo(fit):
        return float("nan")
    return len(fit.levels["subject"]) if name == ABILITY else int(np.size(fit.parameters[name]))


def _spread_name(fit: Fit, name: str) -> str:
    """The parameter that holds a standard deviation, where it is estimated."""
    if isinstance(fit.model, AbstractNestedModel) and name == fit.model.owner:
        return f"{fit.model.latent}_sd"
    return "population_sd" if name == ABILITY else f"{name}_sd"


def _variance(fit: Fit, name: str) -> tuple[float, float]:
    """A variance and its standard error."""
    spread = _spread_name(fit, name)
    if spread in fit.parameters:
        sd, error = fit.parameters[spread], np.nan_to_num(fit.standard_errors[spread])
        # Groups of subjects, each with an sd of its own, count alike; their estimates are nearly independent.
        return float(np.mean(sd**2)), float(np.sqrt(np.sum((2 * sd * error) ** 2)) / np.size(sd))
    values, errors = np.ravel(fit.parameters[name]), np.nan_to_num(np.ravel(fit.standard_errors[name]))
    centred = values[np.isfinite(values)] - np.mean(values[np.isfinite(values)])
    noise = errors[np.isfinite(values)] ** 2
    count = len(centred)
    if count < 2:
        return 0.0, 0.0
    value = max(float(np.sum(centred**2) / (count - 1) - np.mean(noise)), 0.0)
    # Of a sum of squares of normal estimates around fixed levels.
    error = float(np.sqrt(np.sum(4 * centred**2 * noise + 2 * noise**2)) / (count - 1))
    return value, error
