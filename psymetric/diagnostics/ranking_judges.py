"""One row per judge of rankings: how well its order agrees with the common one, and how well it should."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from psymetric.data.messages import nearest
from psymetric.data.rankings import RankingTable
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.redrawn_rankings import has_full_choices, redrawn_categories

__all__ = ["kendall_tau_b", "ranking_judges"]

Array = NDArray[np.float64]

_WHO = "ranking_judges"
_TOGETHER = 1 << 20
"""Items in drawn rankings at a time."""
_BELOW = 0.10
"""Coefficients nearer to their expectation are left alone, however sure the difference."""


def ranking_judges(
    fit: Fit, rankings: RankingTable, *, judge: str = "judge", n: int = 200, seed: int = 1, alpha: float = 0.05
) -> pd.DataFrame:
    """How well each judge's rankings agree with the common order of the items.

    A judge's coefficient is the mean over its rankings of Kendall's tau-b between the ranking and the worths of its
    items: 1 where it follows them throughout, 0 for rankings at random, -1 for reversed ones. Unranked items are tied
    with each other, and so are the items of a best-worst choice that are neither. What the model expects is the mean of
    the same over `n` draws of all rankings from the fit, which has the judges as alike as the model has them.

    A judge's own rankings are part of the worths: with few judges tau-b flatters, and so does its expectation, which
    takes the worths as known.

    Args:
        fit: A fit of rankings.
        rankings: What was fitted, or other rankings of the same items and judges.
        judge: Facet of the judges.
        n: Number of draws.
        seed: Of the draws.
        alpha: Level of the tests behind the flags, for all judges together (Holm).

    Returns:
        One row per judge: the facet, n (rankings; the sum of weights), ties (share of the pairs of items in its
        rankings that are tied), tau_b, tau_expected, p (of so low a mean: normal, with the mean and sd of the draws),
        flag. tau_b is NaN where every ranking of the judge is one tie; expectations where best-worst sets have one
        choice alone. A flag "against the order" is an adjusted p below alpha and a coefficient .1 or more under its
        expectation.

    Raises:
        DataError: A fit or table that is not of rankings, an unknown facet, levels that the fit does not know.

    Source: Kendall (1945), Biometrika 33, 239-251 (tau-b).
    """
    _check(fit, rankings, judge, n)
    found, levels = rankings.rankings, rankings.levels[judge]
    owner, weight = found.codes[judge], found.weight
    worth = fit.parameters["worth"][_places(fit, rankings)][found.item]
    tau, tied = kendall_tau_b(found.category, worth)
    observed = _means(tau, weight, owner, len(levels))
    frame = pd.DataFrame({judge: pd.Series(levels, dtype=object).infer_objects()})
    frame["n"] = np.bincount(owner, weight, len(levels))
    frame["ties"] = _means(tied, weight, owner, len(levels))
    frame["tau_b"] = observed
    expected, spread = np.full((2, len(levels)), np.nan)
    if has_full_choices(rankings) and all(rankings.levels[name] == fit.levels[name] for name in fit.model.facets):
        drawn = _drawn_means(fit, rankings, worth, owner, n, seed)
        expected, spread = drawn.mean(axis=0), drawn.std(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = norm.cdf((observed - expected) / spread)
    strays = (adjusted(p) < alpha) & (observed <= expected - _BELOW)
    frame["tau_expected"], frame["p"] = expected, p
    frame["flag"] = [
        f"against the order: tau-b {mine:.2f}, {usual:.2f} expected" if mark else ""
        for mark, mine, usual in zip(strays, observed, expected, strict=True)
    ]
    return frame


def kendall_tau_b(category: NDArray[np.int32], value: Array) -> tuple[Array, Array]:
    """Kendall's tau-b of rankings, low categories first, with values, high ones first; and the share of tied pairs.

    Args:
        category: Places, shape (R, A); negative past the end.
        value: Values without ties, shape (R, A).

    Returns:
        Coefficients, NaN where all is one tie, and shares of tied pairs; each of shape (R,).
    """
    agree, decided, pairs = (np.zeros(len(category)) for _ in range(3))
    for first in range(category.shape[1]):
        shown = (category[:, first, None] >= 0) & (category[:, first + 1 :] >= 0)
        ahead = np.sign(category[:, first + 1 :] - category[:, first, None])
        agree += np.sum(np.where(shown, ahead * np.sign(value[:, first, None] - value[:, first + 1 :]), 0), axis=1)
        decided += np.sum(shown & (ahead != 0), axis=1)
        pairs += np.sum(shown, axis=1)
    with np.errstate(invalid="ignore"):
        return agree / np.sqrt(decided * pairs), 1 - decided / pairs


def _drawn_means(fit: Fit, rankings: RankingTable, worth: Array, owner: NDArray[np.int32], n: int, seed: int) -> Array:
    """Mean coefficients of every judge in draws of all rankings from the fit, shape (n, judges)."""
    n_rankings, n_shown = worth.shape
    n_judges, weight = int(owner.max()) + 1, rankings.rankings.weight
    together = min(max(_TOGETHER // (n_rankings * n_shown), 1), n)
    means: list[Array] = []
    for part in range(-(-n // together)):
        every = np.tile(np.arange(n_rankings), together)
        drawn = redrawn_categories(fit, rankings, every, seed=seed + part)
        tau, _ = kendall_tau_b(drawn, worth[every])
        replicate = np.repeat(np.arange(together), n_rankings) * n_judges
        means.append(
            _means(tau, weight[every], replicate + owner[every], together * n_judges).reshape(together, n_judges)
        )
    return np.concatenate(means)[:n]


def _means(value: Array, weight: Array, owner: NDArray[np.int64] | NDArray[np.int32], n_owners: int) -> Array:
    """Weighted means of what is known, by owner; NaN where nothing is."""
    known = np.isfinite(value)
    total = np.bincount(owner[known], weight[known] * value[known], n_owners)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(owner[known], weight[known], n_owners)


def _places(fit: Fit, rankings: RankingTable) -> NDArray[np.int64]:
    """Places in the fit of the table's items."""
    known = {label: place for place, label in enumerate(fit.levels["item"])}
    if unknown := [label for label in rankings.levels["item"] if label not in known]:
        raise DataError(
            f"{_WHO}: the fit has no worth of {len(unknown)} items of the table, first {unknown[0]!r}; pass the "
            "rankings that were fitted"
        )
    return np.array([known[label] for label in rankings.levels["item"]], np.int64)


def _check(fit: Fit, rankings: RankingTable, judge: str, n: int) -> None:
    if fit.model.table_kind != "rankings" or not isinstance(rankings, RankingTable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(
            f"{_WHO}: got a fit of {type(fit.model).__name__} and a {type(rankings).__name__}; pass a fit of "
            "PlackettLuce or BestWorst with its RankingTable"
        )
    facets = [name for name in rankings.codes if name != "item"]
    if judge not in facets:
        raise DataError(f"{_WHO}: judge={judge!r} is no facet of the rankings; {nearest(judge, facets)}")
    if n < 2:
        raise DataError(f"{_WHO}: n={n}; ask for at least two draws")
