"""Person fit: how plausible each subject's responses are, given where the fit puts the subject."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, final, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.moments import measure
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.space import has_ability
from psymetric.scoring.abilities import find_extremes, maximum_likelihood, posterior_mode, weighted_likelihood
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import derivatives, model_log_probs, pieces
from psymetric.scoring.population import population_of

__all__ = ["person_fit"]

Array = NDArray[np.float64]
Method = Literal["wle", "ml", "map"]

_WHO = "person_fit"
_NOTHING = 1e-10
"""Variance left, as a share of that before the ability was estimated, which is rounding."""


def person_fit(fit: Fit, table: ResponseTable, *, method: Method = "wle", alpha: float = 0.05) -> pd.DataFrame:
    r"""Standardised log-likelihood of every subject's responses: l_z, and l_z* that knows the ability is estimated.

    With $w = \log P_x$ of a response, $l_z = \sum (w - E w) / \sqrt{\sum \mathrm{Var}\, w}$. It is standard normal at
    the true ability and too narrow at an estimated one. Snijders' correction takes from w its regression on the score
    $s = \partial \log P_x / \partial\theta$: with $c = \sum \mathrm{Cov}(w, s) / \sum \mathrm{Var}\, s$ and an estimate
    that solves $r_0(\theta) + \sum s = 0$,

    $$l_z^* = \frac{\sum (w - E w) + c\, r_0}{\sqrt{\sum \mathrm{Var}(w - c s)}}.$$

    Low values are responses at odds with the rest (guessing, another language, a judge's slip); high ones are more
    regular than chance. Both are approximate with few responses: their distribution has a long lower tail, and
    a test at .05 rejects a little too often. Items, judges and steps count as known. Missing responses are left out. A
    row of weight w counts as w rows.

    Args:
        fit: A fit of a model with subjects.
        table: The responses: the fitted table, or other subjects.
        method: Ability: "wle" (weighted likelihood, finite for all), "ml", or "map" (normal population of the fit).
        alpha: Level of the one-sided test behind the flag, in (0, 1).

    Returns:
        One row per subject of the table: subject (label), n (sum of weights), ability (logits), log_likelihood (at the
        ability), lz, lz_star, p (lower tail of lz_star), p_holm (for all subjects together), flag (why to look, or why
        there is no number). NaN with a flag: extreme scores under "ml" or after JointML; responses that the ability
        explains entirely, such as a single one.

    Raises:
        DataError: A model without subjects, an unknown method, alpha outside (0, 1), or a mismatch of fit and table.

    Source: Drasgow, Levine & Williams (1985), British Journal of Mathematical and Statistical Psychology 38, 67-86;
    Snijders (2001), Psychometrika 66, 331-342, eq. 12; several categories: Sinharay (2016), Psychometrika 81, 992-1013.
    """
    _check(fit, method, alpha)
    measured = measure(fit, table, who=_WHO)
    rows = replace(measured.rows, weight=np.where(measured.extreme, 0.0, measured.rows.weight))
    ability, pull, known = _abilities(fit, table, rows, method)
    found = _standardised(rows, ability, pull)
    usable = known & found.determined
    lz, star = (np.where(usable, values, np.nan) for values in (found.lz, found.lz_star))
    p = norm.cdf(star)
    count = rows.by_subject(np.ones(len(rows.response)))
    frame = pd.DataFrame(
        {
            "subject": pd.Series(list(rows.subjects), dtype=object),
            "n": np.bincount(rows.subject, measured.rows.weight, len(rows.subjects)),
            "ability": np.where(known, ability, np.nan),
            "log_likelihood": np.where(known, found.log_likelihood, np.nan),
            "lz": lz,
            "lz_star": star,
            "p": p,
            "p_holm": _holm(p),
        }
    )
    frame["flag"] = np.select(
        [count <= 0, ~known, ~found.determined, p < alpha],
        [
            "extreme scores only, or no responses: nothing can misfit",
            "extreme score: no maximum of the likelihood",
            "the ability explains these responses entirely: too few or too alike",
            f"at odds with the model: less likely than all but {alpha:.3g} of such responses",
        ],
        "",
    )
    return frame


def _check(fit: Fit, method: str, alpha: float) -> None:
    if not has_ability(fit.model):
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no subjects: use fit_statistics for items of pairs")
    if method not in get_args(Method):
        raise DataError(f"{_WHO}: method={method!r} is not one of {list(get_args(Method))}")
    if not 0 < alpha < 1:
        raise DataError(f"{_WHO}: alpha={alpha} is not a level between 0 and 1, such as 0.05")


def _abilities(
    fit: Fit, table: ResponseTable, rows: AlignedRows, method: Method
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Estimates, their r0 (what the estimating equation adds to the likelihood's score), and which are finite."""
    if method == "map":
        mean, sd, _ = population_of(fit, table, who=_WHO)
        estimate = posterior_mode(rows, mean, sd).estimate
        answered = rows.by_subject(np.ones(len(rows.response))) > 0
        return estimate, (mean - estimate) / sd**2, answered
    extremes = find_extremes(rows)
    if method == "ml":
        estimate = maximum_likelihood(rows, extremes, adjustment=0.3).estimate
        return np.nan_to_num(estimate), np.zeros(len(estimate)), np.isfinite(estimate) & ~extremes.either
    estimate = weighted_likelihood(rows, extremes).estimate
    at = np.nan_to_num(estimate)
    _, _, information, bias, _, _ = derivatives(rows, at[rows.subject])
    pull = rows.by_subject(bias) / (2 * np.maximum(rows.by_subject(information), 1e-300))
    return at, pull, np.isfinite(estimate)


@final
@dataclass(frozen=True)
class _Standardised:
    """Per subject, each of shape (S,); `determined` is whether anything is left once the ability is estimated."""

    log_likelihood: Array
    lz: Array
    lz_star: Array
    determined: NDArray[np.bool_]


def _standardised(rows: AlignedRows, ability: Array, pull: Array) -> _Standardised:
    """l_z and l_z* at given abilities, `pull` being r0 of the estimating equation."""
    chosen, expected, variance, covariance, information = (rows.by_subject(part) for part in _row_terms(rows, ability))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = covariance / information
        left = variance - slope * covariance
        determined = left > _NOTHING * variance
        lz = (chosen - expected) / np.sqrt(variance)
        lz_star = (chosen - expected + slope * pull) / np.sqrt(np.where(determined, left, np.nan))
    return _Standardised(chosen, lz, lz_star, determined)


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _terms(
    model: AbstractMeasurementModel, params: Any, codes: Any, response: JaxArray, theta: JaxArray, n_categories: int
) -> JaxArray:
    def log_probs(at: JaxArray) -> JaxArray:
        return model_log_probs(model, params, codes, at[:, None], n_categories)[:, 0]

    value, score = jax.jvp(log_probs, (theta,), (jnp.ones_like(theta),))
    probability = jnp.exp(value)
    # p log p is 0 at p = 0, also for categories that the fit puts out of reach.
    expected = jnp.sum(probability * value, axis=1)
    apart = value - expected[:, None]
    return jnp.stack(
        [
            jnp.take_along_axis(value, response[:, None], axis=1)[:, 0],
            expected,
            jnp.sum(probability * apart**2, axis=1),
            jnp.sum(probability * apart * score, axis=1),
            jnp.sum(probability * score**2, axis=1),
        ]
    )


def _row_terms(rows: AlignedRows, ability: Array) -> Array:
    """Log P_x, its expectation, its variance, its covariance with the score, and the score's variance; shape (5, R)."""
    found = np.empty((5, len(rows.response)))
    with double_precision():
        for piece in pieces(rows, 1):
            at = piece.pad(ability[rows.subject[piece.where]])
            stacked = _terms(rows.model, dict(rows.params), piece.codes, piece.response, at, len(rows.categories))
            found[:, piece.where] = np.asarray(stacked)[:, : piece.count]
    return found


def _holm(p: Array) -> Array:
    adjusted, known = np.full(len(p), np.nan), np.isfinite(p)
    if known.any():
        adjusted[known] = multipletests(p[known], method="holm")[1]
    return adjusted
