"""Worths as Elo ratings: another unit and origin for display, chosen after the fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.data.coding import Label
from psymetric.data.messages import nearest
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit

__all__ = ["EloRatings", "elo_scale"]

Array = NDArray[np.float64]

_POINTS = {"logit": 400 / log(10), "probit": 200 * sqrt(2)}
"""Elo points of one unit of worth: 400 points are odds of ten to one; 200 are Elo's sd of one player's performance."""


@final
@dataclass(frozen=True)
class EloRatings:
    """Worths in Elo points.

    Attributes:
        frame: level, rating, se, lower, upper, n; the highest first. All but n are in points.
        points: Points of one unit of worth.
        anchor: What the origin is, in words.
        draws: Posterior draws in points, shape (chains, draws, items), items in the order of the fit; None without.
    """

    frame: pd.DataFrame
    points: float
    anchor: str
    draws: Array | None


def elo_scale(fit: Fit, *, reference: Label | None = None, at: float = 1000.0, level: float = 0.95) -> EloRatings:
    r"""Worths of a fit of comparisons or rankings in Elo points.

    $$r_i = a + \frac{400}{\ln 10}\,(\lambda_i - \lambda_0)$$

    where λ₀ is the mean of all worths, or that of a reference item. Inference is done before, on the worths: this turns
    estimates, errors, intervals and draws alike. With a reference, errors are those of the difference from it, with the
    covariance of both, so that the reference itself is exactly at its value; differences of two items are the same with
    every anchor.

    400 points stand for odds of ten to one, ties aside. With the probit link a unit of worth is 200√2 points: in Elo's
    own normal model each performance has a standard deviation of 200 points. The two scales agree to a few points in
    the middle and part in the tails.

    Args:
        fit: A fit of pairs or rankings.
        reference: Item whose rating is `at`; by default the mean of all items is.
        at: Rating of the anchor, such as 1000 or 1500.
        level: Coverage of the intervals, in (0, 1).

    Raises:
        DataError: A fit without worths, an unknown item, a fit without the covariance that a reference needs, or `at`
            or `level` out of range.

    Source: Elo (1978), The Rating of Chessplayers, Past and Present, chapters 1 (points) and 8 (normal and logistic).
    """
    if not 0 < level < 1:
        raise DataError(f"elo_scale: level={level} is not a coverage between 0 and 1, such as 0.95")
    if not np.isfinite(at):
        raise DataError(f"elo_scale: at={at} is no rating; give a number such as 1000")
    if fit.model.table_kind == "responses" or np.ndim(fit.parameters.get("worth", 0.0)) != 1:
        raise DataError(
            f"elo_scale: {type(fit.model).__name__} has no worths of items; pass a fit of pairs or rankings"
        )
    points = _POINTS[fit.spec("item").unit]
    place = _place(fit, reference)
    origin = 0.0 if place is None else fit.parameters["worth"][place]
    draws = None
    if fit.draws is not None and "worth" in fit.draws:
        stored = fit.draws["worth"]
        draws = at + points * (stored if place is None else stored - stored[..., [place]])
    rating = at + points * (fit.parameters["worth"] - origin)
    se = points * _errors(fit, place)
    tail = (1 - level) / 2
    if draws is None:
        ends = rating - float(ndtri(1 - tail)) * se, rating + float(ndtri(1 - tail)) * se
    else:
        ends = np.quantile(draws.reshape(-1, len(rating)), [tail, 1 - tail], axis=0)
    frame = pd.DataFrame(
        {
            "level": pd.Series(fit.levels["item"], dtype=object).infer_objects(),
            "rating": rating,
            "se": se,
            "lower": ends[0],
            "upper": ends[1],
            "n": fit.counts.get("worth", fit.n_responses),
        }
    ).sort_values("rating", ascending=False, kind="stable", ignore_index=True)
    named = "the mean of all items" if place is None else str(reference)
    return EloRatings(frame, points, f"{named} is at {at:g}", draws)


def _place(fit: Fit, reference: Label | None) -> int | None:
    if reference is None:
        return None
    items = fit.levels["item"]
    if reference not in items:
        raise DataError(f"elo_scale: reference={reference!r} is no item; {nearest(reference, items)}")
    return items.index(reference)


def _errors(fit: Fit, place: int | None) -> Array:
    """Standard errors of the worths, or of their differences from one of them."""
    if place is None:
        return np.asarray(fit.standard_errors["worth"], np.float64)
    covariance = fit.covariances.get("worth")
    if covariance is None:
        raise DataError(
            f"elo_scale: {fit.engine} keeps no covariances of these worths (it did not converge, or there are over "
            "2,000), so that differences from a reference have no standard error; use the mean as the anchor"
        )
    own = np.diag(covariance)
    variance = own + own[place] - 2 * covariance[place]
    variance[place] = 0.0
    return np.sqrt(np.maximum(variance, 0.0))
