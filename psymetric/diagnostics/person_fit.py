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

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.moments import measure
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import DIMENSION, AbstractMeasurementModel
from psymetric.models.nested import require_independence
from psymetric.models.space import CORRELATION, POPULATION_MEAN, POPULATION_SD, has_ability, has_dimensions
from psymetric.scoring.abilities import find_extremes, maximum_likelihood, posterior_mode, weighted_likelihood
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.dimensions import score_dimensions
from psymetric.scoring.likelihood import derivatives, model_log_probs, pieces
from psymetric.scoring.population import population_of
from psymetric.scoring.positions import at_position

__all__ = ["person_fit"]

Array = NDArray[np.float64]
Method = Literal["wle", "ml", "map"]

_WHO = "person_fit"
_NOTHING = 1e-10
"""Variance left, as a share of that before the ability was estimated, which is rounding."""


def person_fit(fit: Fit, table: ResponseTable, *, method: Method | None = None, alpha: float = 0.05) -> pd.DataFrame:
    r"""Standardised log-likelihood of every subject's responses: l_z, and l_z* that knows the ability is estimated.

    With $w = \log P_x$ of a response, $l_z = \sum (w - E w) / \sqrt{\sum \mathrm{Var}\, w}$. It is standard normal at
    the true ability and too narrow at an estimated one. Snijders' correction takes from w its regression on the score
    $s = \partial \log P_x / \partial\theta$: with $c = \sum \mathrm{Cov}(w, s) / \sum \mathrm{Var}\, s$ and an estimate
    that solves $r_0(\theta) + \sum s = 0$,

    $$l_z^* = \frac{\sum (w - E w) + c\, r_0}{\sqrt{\sum \mathrm{Var}(w - c s)}}.$$

    Of several dimensions θ, s and r_0 are vectors and c a row, and all responses of a subject are judged together at
    its posterior mode (`method="map"`, the only one there).

    Low values are responses at odds with the rest (guessing, another language, a judge's slip); high ones are more
    regular than chance. Both are approximate with few responses: their distribution has a long lower tail, and
    a test at .05 rejects a little too often. Items, judges and steps count as known. Missing responses are left out. A
    row of weight w counts as w rows.

    Args:
        fit: A fit of a model with subjects.
        table: The responses: the fitted table, or other subjects.
        method: Ability: "wle" (weighted likelihood, finite for all), "ml", or "map" (normal population of the fit).
            By default "wle", and "map" for several dimensions.
        alpha: Level of the one-sided test behind the flag, in (0, 1).

    Returns:
        One row per subject of the table: subject (label), n (sum of weights), ability (logits; of several dimensions
        one column `ability: <dimension>` each), log_likelihood (at the
        ability), lz, lz_star, p (lower tail of lz_star), p_holm (for all subjects together), flag (why to look, or why
        there is no number). NaN with a flag: extreme scores under "ml" or after JointML; responses that the ability
        explains entirely, such as a single one.

    Raises:
        DataError: A model without subjects, an unknown method or one that several dimensions do not have, alpha outside
            (0, 1), or a mismatch of fit and table.
        DesignError: Responses hang together given the ability: the distribution of l_z is then unknown.

    Source: Drasgow, Levine & Williams (1985), British Journal of Mathematical and Statistical Psychology 38, 67-86;
    Snijders (2001), Psychometrika 66, 331-342, eq. 12; several categories: Sinharay (2016), Psychometrika 81, 992-1013;
    several dimensions: Albers, Meijer & Tendeiro (2016), Applied Psychological Measurement 40, 274-288; Hong, Lin &
    Cheng (2021), Psychometrika 86, 464-488.
    """
    several = has_dimensions(fit.model)
    method = method or ("map" if several else "wle")
    _check(fit, method, alpha)
    measured = measure(fit, table, who=_WHO)
    rows = replace(measured.matched, weight=np.where(measured.extreme, 0.0, measured.matched.weight))
    if several:
        ability, pull, known = _modes(fit, rows, alpha)
        slopes = rows.params["discrimination"][rows.codes["item"]]
        names = [f"ability: {name}" for name in fit.levels[DIMENSION]]
    else:
        ability, pull, known = _abilities(fit, table, rows, method)
        ability, pull, slopes, names = ability[:, None], pull[:, None], np.ones((len(rows.response), 1)), ["ability"]
    found = _standardised(rows, slopes, ability, pull)
    usable = known & found.determined
    lz, star = (np.where(usable, values, np.nan) for values in (found.lz, found.lz_star))
    p = norm.cdf(star)
    count = rows.by_subject(np.ones(len(rows.response)))
    frame = pd.DataFrame(
        {
            "subject": pd.Series(list(rows.subjects), dtype=object),
            "n": np.bincount(rows.subject, measured.rows.weight, len(rows.subjects)),
            **{name: np.where(known, ability[:, place], np.nan) for place, name in enumerate(names)},
            "log_likelihood": np.where(known, found.log_likelihood, np.nan),
            "lz": lz,
            "lz_star": star,
            "p": p,
            "p_holm": adjusted(p),
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
    if has_dimensions(fit.model) and method != "map":
        raise DataError(
            f"{_WHO}: method={method!r} is for one dimension, and {type(fit.model).__name__} measures several: use "
            'method="map"'
        )
    require_independence(fit.model, _WHO, instead='fit_statistics(fit, table, facets=["subject"])')
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


def _modes(fit: Fit, rows: AlignedRows, alpha: float) -> tuple[Array, Array, NDArray[np.bool_]]:
    """What `_abilities` returns, of several dimensions: the first two of shape (S, D)."""
    found = score_dimensions(fit, rows, method="map", level=1 - alpha, draws=0, seed=0, own=False).frame
    estimate = found["estimate"].to_numpy(np.float64).reshape(len(rows.subjects), -1)
    mean, sd, correlation = (fit.parameters[name] for name in (POPULATION_MEAN, POPULATION_SD, CORRELATION))
    pull = np.linalg.solve(correlation * np.outer(sd, sd), (mean - estimate).T).T
    return estimate, pull, rows.by_subject(np.ones(len(rows.response))) > 0


@final
@dataclass(frozen=True)
class _Standardised:
    """Per subject, each of shape (S,); `determined` is whether anything is left once the ability is estimated."""

    log_likelihood: Array
    lz: Array
    lz_star: Array
    determined: NDArray[np.bool_]


def _standardised(rows: AlignedRows, slopes: Array, ability: Array, pull: Array) -> _Standardised:
    """l_z and l_z* at given abilities, shape (S, D), `pull` being r0 of the estimating equation, of the same shape.

    `slopes` are those of the rows' positions by the abilities, shape (R, D).
    """
    terms = _row_terms(rows, np.sum(slopes * ability[rows.subject], axis=1))
    chosen, expected, variance = (rows.by_subject(part) for part in terms[:3])
    covariance = np.stack([rows.by_subject(terms[3] * a) for a in slopes.T], axis=1)
    information = np.stack([[rows.by_subject(terms[4] * a * b) for b in slopes.T] for a in slopes.T]).transpose(2, 0, 1)
    # Dimensions that a subject was not asked about have no information and no covariance.
    slope = np.einsum("sde,se->sd", np.linalg.pinv(information, hermitian=True), covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = variance - np.sum(slope * covariance, axis=1)
        determined = left > _NOTHING * variance
        lz = (chosen - expected) / np.sqrt(variance)
        lz_star = (chosen - expected + np.sum(slope * pull, axis=1)) / np.sqrt(np.where(determined, left, np.nan))
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


def _row_terms(rows: AlignedRows, position: Array) -> Array:
    """Log P_x, its expectation, its variance, its covariance with the score, and the score's variance; shape (5, R).

    The score is the derivative by each row's position, shape (R,).
    """
    rows = replace(rows, model=at_position(rows.model))
    found = np.empty((5, len(rows.response)))
    with double_precision():
        for piece in pieces(rows, 1):
            at = piece.pad(position[piece.where])
            stacked = _terms(rows.model, dict(rows.params), piece.codes, piece.response, at, len(rows.categories))
            found[:, piece.where] = np.asarray(stacked)[:, : piece.count]
    return found
