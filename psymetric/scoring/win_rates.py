"""Win rates of a fit of comparisons, with the fit's whole uncertainty: at equal length, in neutral order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from psymetric.data.coding import SIDES, Label
from psymetric.data.messages import listing, nearest
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.scoring.preference import Preference, TieShare, preference_of
from psymetric.scoring.ranked import require_one_order

__all__ = ["win_rates"]

Array = NDArray[np.float64]

_WHO = "win_rates"
_LARGEST = 2_000
_CELLS = 1 << 22
"""Chances that are held at once, of draws times items times items."""


def win_rates(
    fit: Fit,
    *,
    against: Label | None = None,
    at: Mapping[str, float] | None = None,
    ties: TieShare = "half",
    level: float = 0.95,
    table: PairTable | None = None,
) -> pd.DataFrame:
    r"""How often each item is preferred: to a reference item, or to every other on average.

    $$w_i = \frac{1}{n-1} \sum_{j \ne i} \tfrac12
      \left[P(i \succ j \mid i\ \text{first}) + P(i \succ j \mid j\ \text{first})\right]$$

    The chances are those of one comparison by an average judge (slope one; position and readiness to tie at the mean of
    the judges'), in either order as often, at given differences in what else sways a comparison, and of worths that
    move at their mean. With `BradleyTerry(contest=("length",))` and equal lengths, the default, these are
    length-controlled win rates. Every opponent counts the same, however often it was met. From a fit of rankings the
    chance is that of being placed first where only these two are shown.

    Standard errors hold the uncertainty of all parameters together, worths, covariates, position and ties: by the delta
    method with their joint covariance, intervals on the logit scale, or by the draws of the fit. The published error of
    AlpacaEval's length-controlled win rate, that of the mean of its predicted preferences, holds none of it.

    Args:
        fit: A fit of pairs or rankings.
        against: An item, which then has no row of its own; by default each item meets every other.
        at: Differences in contest covariates, the item's value less its opponent's; 0 where not named.
        ties: "half" counts a tie as half a win, "outright" as none, "decided" leaves ties out.
        level: Coverage of the intervals, in (0, 1).
        table: The comparisons that were fitted, to show beside each rate what was observed and, where the model has
            contest covariates, what the same fit says of items that differ as they usually do.

    Returns:
        Columns level, win_rate, se, lower, upper (shares), the highest first. With `table` also uncontrolled (the same
        chances at the usual differences of contest covariates, by least squares of each on the items), observed (share
        won of the item's own comparisons; missing where it has none), n (their weight).

    Raises:
        DataError: A fit of ratings, an unknown item or covariate, a table that was not fitted, a fit without the joint
            uncertainty of its parameters, more than 2,000 items.

    Source: Dubois et al. (2024), Length-Controlled AlpacaEval, arXiv 2404.04475 (equal length as the estimand).
    """
    preference = _checked(fit, at or {}, ties, level, table)
    items, place = fit.levels["item"], None
    if against is not None:
        if against not in items:
            raise DataError(f"{_WHO}: against={against!r} is no item; {nearest(against, items)}")
        place = items.index(against)
    weight = _opponents(len(items), place)
    lead = np.array([float((at or {}).get(name, 0.0)) for name in preference.contest]).reshape(-1, 1, 1)
    found = _from_draws if fit.draws else _by_delta
    rates, se, lower, upper = found(fit, preference, weight, lead, level)
    frame = pd.DataFrame({"win_rate": rates, "se": se, "lower": lower, "upper": upper})
    frame.insert(0, "level", pd.Series(items, dtype=object).infer_objects())
    if table is not None:
        if preference.contest:
            usual = np.stack([_usual_leads(table, name) for name in preference.contest])
            frame["uncontrolled"] = found(fit, preference, weight, usual, level)[0]
        frame["observed"], frame["n"] = _observed(table, place, ties)
    if place is not None:
        frame = frame.drop(index=place)
    return frame.sort_values("win_rate", ascending=False, kind="stable", ignore_index=True)


def _checked(fit: Fit, at: Mapping[str, float], ties: TieShare, level: float, table: PairTable | None) -> Preference:
    """How chances follow from the model, when everything asked makes sense."""
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if ties not in get_args(TieShare):
        raise DataError(f"{_WHO}: ties={ties!r} is not known; use one of {[*get_args(TieShare)]}")
    require_one_order(fit, _WHO)
    preference = preference_of(fit.model, ties, who=_WHO)
    if (n := len(fit.levels["item"])) > _LARGEST:
        raise DataError(f"{_WHO}: {n:,} items make {n * n:,} pairs; compare at most {_LARGEST:,}")
    for name, value in at.items():
        if name not in preference.contest:
            has = listing(preference.contest) if preference.contest else "none"
            raise DataError(f"{_WHO}: at names {name!r}, which is no contest covariate of the model; it has {has}")
        if not np.isfinite(value):
            raise DataError(f"{_WHO}: at={{{name!r}: {value}}} is no number; 0 stands for no difference")
    if not fit.draws and (lacking := [name for name in preference.names if name not in fit.factors]):
        raise DataError(
            f"{_WHO}: this fit keeps no joint uncertainty of {lacking[0]!r}: it did not converge, has over 2,000 free "
            "parameters, or was saved before fits kept it. Fit again, with NUTS() where there are so many parameters"
        )
    if table is not None and table.hash != fit.table_hash:
        raise DataError(
            f"{_WHO}: the table has hash {table.hash[:12]}…, the fit was of {fit.table_hash[:12]}…; pass the table "
            "that was fitted"
        )
    return preference


def _opponents(n: int, place: int | None) -> Array:
    """How much each column counts as an opponent of the row, shape (items, items); rows sum to one."""
    weight = np.full((n, n), 1 / (n - 1)) if place is None else np.zeros((n, n))
    if place is not None:
        weight[:, place] = 1.0
    np.fill_diagonal(weight, 0.0)
    return weight


def _by_delta(fit: Fit, preference: Preference, weight: Array, lead: Array, level: float) -> tuple[Array, ...]:
    """Win rates at the estimates, their standard errors and intervals on the logit scale, shape (items,) each."""
    judge = preference.average_judge({name: np.asarray(fit.parameters[name])[None] for name in preference.names})
    found = preference.chances(judge, lead)
    rates = np.sum(weight * found.value[0], axis=1)
    # The average judge is linear in the parameters, so that it takes their factors as it takes them.
    moves = preference.average_judge({name: np.moveaxis(fit.factors[name], -1, 0) for name in preference.names})
    gap = weight * found.by_gap[0]
    by_weight = np.sum(gap * lead, axis=2) if len(lead) else np.zeros((0, len(rates)))
    moved = (
        moves.worth * gap.sum(axis=1)
        - moves.worth @ gap.T
        + moves.weights @ by_weight
        + np.outer(moves.position, np.sum(weight * found.by_position[0], axis=1))
        + np.outer(moves.tie, np.sum(weight * found.by_tie[0], axis=1))
    )
    se = np.sqrt(np.sum(moved**2, axis=0))
    inside = np.where(weight.any(axis=1), rates, 0.5)
    reach = float(ndtri((1 + level) / 2)) * se / (inside * (1 - inside))
    return rates, se, expit(logit(inside) - reach), expit(logit(inside) + reach)


def _from_draws(fit: Fit, preference: Preference, weight: Array, lead: Array, level: float) -> tuple[Array, ...]:
    """Mean, sd and quantiles of the win rates in the draws of the fit, shape (items,) each."""
    draws = fit.draws or {}
    flat = {name: draws[name].reshape(-1, *draws[name].shape[2:]) for name in preference.names}
    step = max(_CELLS // weight.size, 1)
    found = [
        np.sum(
            weight
            * preference.chances(
                preference.average_judge({name: value[start : start + step] for name, value in flat.items()}), lead
            ).value,
            axis=2,
        )
        for start in range(0, len(flat["worth"]), step)
    ]
    rates = np.concatenate(found)
    ends = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return rates.mean(axis=0), rates.std(axis=0, ddof=1), ends[0], ends[1]


def _usual_leads(table: PairTable, name: str) -> Array:
    """What the row's item usually has more of a contest covariate than the column's, shape (items, items).

    By least squares of the differences on the items: exact where each item has one value.
    """
    left, right = (table.codes[side] for side in SIDES)
    value = np.array(table.levels[name], np.float64)[table.codes[name]]
    n = len(table.levels["item"])
    met = np.bincount(left.astype(np.int64) * n + right, table.weight, n * n).reshape(n, n)
    laplacian = np.diag((met + met.T).sum(axis=1)) - met - met.T
    total = np.bincount(left, table.weight * value, n) - np.bincount(right, table.weight * value, n)
    own = np.linalg.lstsq(laplacian, total, rcond=None)[0]
    return own[:, None] - own[None]


def _observed(table: PairTable, place: int | None, ties: TieShare) -> tuple[Array, Array]:
    """Share of its comparisons that each item won, and their weight: all, or those with one opponent."""
    n = len(table.levels["item"])
    wins, losses, tied = np.zeros(n), np.zeros(n), np.zeros(n)
    for side, other, outcome in (("left", "right", 0), ("right", "left", 1)):
        counted = table.weight if place is None else table.weight * (table.codes[other] == place)
        for total, code in ((wins, outcome), (losses, 1 - outcome), (tied, 2)):
            total += np.bincount(table.codes[side], counted * (table.response == code), n)
    met = wins + losses + (0.0 if ties == "decided" else tied)
    with np.errstate(invalid="ignore"):
        return (wins + (tied / 2 if ties == "half" else 0.0)) / met, met
