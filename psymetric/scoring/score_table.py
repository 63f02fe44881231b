"""What each sum score of a form is worth in logits, and the score that each ability can expect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.data.coding import Label
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import AbstractMeasurementModel
from psymetric.scoring.abilities import find_roots
from psymetric.scoring.fair import category_values
from psymetric.scoring.forms import Form, form_log_probs, form_of
from psymetric.scoring.population import population
from psymetric.scoring.sum_scores import OUT_OF_REACH, sum_score_log_probs

__all__ = ["ScoreTable", "score_table"]

Array = NDArray[np.float64]

_WHO = "score_table"
_EDGE = 60.0
"""Logits beyond which no measure is looked for."""
_IMPOSSIBLE = -5_000.0
"""A log-probability below this at ability zero belongs to a category that the fit puts out of reach."""
_PIECE = 1 << 22
_REACH, _FINEST = 8.0, 4_001
"""The population is summed over ± this many sds, on at most so many nodes."""


@final
@dataclass(frozen=True)
class ScoreTable:
    """A score-to-measure table of one form.

    Attributes:
        frame: One row per sum score: `score` (sum of the categories 0…K−1), `raw` (sum of the category labels where
            these are consecutive numbers, else `score`), `ml`, `wle`, `eap` with `ml_se`, `wle_se`, `eap_se` (logits),
            `probability` (share of the population with this score), `extreme` (the lowest or the highest score).
        curve: One row per ability: `theta` (logits), `expected` (as `score`), `expected_raw` (as `raw`), `sd` of the
            score, `information` and `se` (logits) of a measure from the score.
        cells: The form: one row per response, a column per named facet.
        notes: What a reader should know, as plain sentences.
    """

    frame: pd.DataFrame
    curve: pd.DataFrame
    cells: pd.DataFrame
    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        from html import escape

        table = self.frame.to_html(index=False, escape=True, float_format=lambda value: f"{value:.3f}")
        return table + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


def score_table(
    fit: Fit,
    *,
    cells: pd.DataFrame | None = None,
    table: ResponseTable | None = None,
    subject: Label | None = None,
    adjustment: float = 0.3,
) -> ScoreTable:
    """Measures of every sum score on a stated form, as a scoring key needs them.

    The measures are those given the sum alone, in any model; in the Rasch family they are those of every pattern with
    that sum, and equal `score`'s. `ml` maximises the probability of the sum, and moves an extreme score inwards by
    `adjustment`; `wle` is Warm's estimate for the sum; `eap` is the posterior mean under the fit's population. Items,
    judges, steps and population count as known. A missing response is no zero: the table holds for subjects who
    answered exactly these cells.

    Args:
        fit: A fit of a model with subjects.
        cells: The form: one row per response, a column of labels per facet. Facets without a column are at their mean.
            By default every item once, other facets at their mean.
        table: With `subject`, instead of `cells`: the responses whose cells are the form.
        subject: Whose cells to take from `table`.
        adjustment: Score points by which `ml` moves an extreme score inwards, in (0, 0.5).

    Returns:
        The table; a score that no pattern can reach is NaN, and `notes` says so.

    Raises:
        DataError: A model without subjects, an unknown facet, level or subject, steps that belong to a facet without a
            column, or a population that cannot be estimated (JointML).

    Source: Lord & Wingersky (1984), Applied Psychological Measurement 8, 453-461; Thissen et al. (1995), Applied
    Psychological Measurement 19, 39-49; Warm (1989), Psychometrika 54, 427-450; Wright & Masters (1982), ch. 4.
    """
    if not 0 < adjustment < 0.5:
        raise DataError(f"{_WHO}: adjustment={adjustment} must lie between 0 and 0.5 score points, such as 0.3")
    form = form_of(fit, _chosen_cells(fit, cells, table, subject), who=_WHO)
    normal = population(fit, who=_WHO)
    reached = _reached(form)
    low, high = int(reached.min()), int(reached.max())
    if low == high:
        raise DataError(f"{_WHO}: every response to these cells is sure; a score of them says nothing")
    n_scores = len(form.labels) * (form.model.n_outcomes(form.n_categories) - 1) + 1
    found: dict[str, Array] = {}
    for name, (estimate, se) in {
        "ml": _maximum_likelihood(form, reached, adjustment),
        "wle": _weighted_likelihood(form, reached),
    }.items():
        found |= {name: _spread(estimate, reached, n_scores), f"{name}_se": _spread(se, reached, n_scores)}
    mean, sd, share = _given_population(form, normal.mean, normal.sd)
    known = np.isin(np.arange(n_scores), reached)
    score = np.arange(n_scores, dtype=np.int64)
    frame = pd.DataFrame(
        {
            "score": score,
            "raw": _raw(fit, form, score),
            **found,
            "eap": np.where(known, mean, np.nan),
            "eap_se": np.where(known, sd, np.nan),
            "probability": share,
            "extreme": (score == low) | (score == high),
        }
    ).iloc[low : high + 1]
    return ScoreTable(
        frame.reset_index(drop=True), _curve(fit, form, found["wle"]), form.labels, _notes(form, frame, normal.note)
    )


def _chosen_cells(
    fit: Fit, cells: pd.DataFrame | None, table: ResponseTable | None, subject: Label | None
) -> pd.DataFrame | None:
    if table is None and subject is None:
        return cells
    if cells is not None or table is None or subject is None:
        raise DataError(f"{_WHO}: give cells=, or table= with subject=, or neither for every item once")
    frame = table.to_frame()
    own = frame[frame["subject"] == subject]
    if not len(own):
        raise DataError(f"{_WHO}: the table has no subject {subject!r}")
    if missing := [facet for facet in fit.model.facets if facet not in own]:
        raise DataError(f"{_WHO}: the fit reads facet {missing[0]!r}, which the table does not have")
    return own.loc[own["weight"] > 0, list(fit.model.facets)] if "weight" in own else own[list(fit.model.facets)]


def _reached(form: Form) -> NDArray[np.int64]:
    """The sums that some pattern of categories in reach adds up to."""
    with double_precision():
        with np.errstate(divide="ignore"):
            possible = np.log(form.probabilities(np.zeros(1))) > _IMPOSSIBLE
        sums = sum_score_log_probs(jnp.where(possible, 0.0, OUT_OF_REACH))
        return np.flatnonzero(np.asarray(sums)[0] > OUT_OF_REACH / 2)


def _spread(values: Array, reached: NDArray[np.int64], n_scores: int) -> Array:
    wide = np.full(n_scores, np.nan)
    wide[reached] = values
    return wide


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _sums(model: AbstractMeasurementModel, params: Any, codes: Any, theta: JaxArray, n_categories: int) -> JaxArray:
    """Log-probabilities of the sums at abilities (M,), and two derivatives by ability, shape (3, M, sums)."""

    def value(at: JaxArray) -> JaxArray:
        return sum_score_log_probs(form_log_probs(model, params, codes, at, n_categories))

    def slope(at: JaxArray) -> tuple[JaxArray, JaxArray]:
        return jax.jvp(value, (at,), (jnp.ones_like(at),))

    (logs, first), (_, second) = jax.jvp(slope, (theta,), (jnp.ones_like(theta),))
    return jnp.stack([logs, first, second])


def _at(form: Form, theta: Array) -> Array:
    """`_sums` in pieces of bounded memory, shape (3, M, sums)."""
    n_outcomes = form.model.n_outcomes(form.n_categories)
    numbers = 3 * (len(form.labels) * (n_outcomes - 1) + 1) * n_outcomes
    length = min(1 << max((_PIECE // numbers).bit_length() - 1, 0), max(64, 1 << (len(theta) - 1).bit_length()))
    found: list[Array] = []
    with double_precision():
        for start in range(0, len(theta), length):
            part = theta[start : start + length]
            values = _sums(form.model, dict(form.params), dict(form.codes), np.resize(part, length), form.n_categories)
            found.append(np.asarray(values)[:, : len(part)])
    return np.concatenate(found, axis=1)


def _moments(found: Array) -> tuple[Array, Array, Array, Array]:
    """Expected sum, its slope, information and Warm's J at each ability, shape (M,) each."""
    logs, first, second = found
    probability, score = np.exp(logs), np.arange(found.shape[2])
    # Where a probability is zero its derivatives may be anything finite: the product is zero as it should be.
    return (
        probability @ score,
        (probability * first) @ score,
        np.sum(probability * first**2, axis=1),
        np.sum(probability * first * (second + first**2), axis=1),
    )


def _maximum_likelihood(form: Form, reached: NDArray[np.int64], adjustment: float) -> tuple[Array, Array]:
    place = np.arange(len(reached))
    extreme = (place == 0) | (place == len(reached) - 1)
    inward = adjustment * min(float(reached[-1] - reached[0]), 1.0)
    target = reached + np.where(place == 0, inward, 0.0) - np.where(place == len(reached) - 1, inward, 0.0)

    def expected_is_target(theta: Array) -> tuple[Array, Array]:
        expected, slope, *_ = _moments(_at(form, theta))
        return target - expected, -slope

    def likelihood_is_flat(theta: Array) -> tuple[Array, Array]:
        found = _at(form, theta)
        expected, slope, *_ = _moments(found)
        return (
            np.where(extreme, target - expected, found[1, place, reached]),
            np.where(extreme, -slope, found[2, place, reached]),
        )

    edge = np.full(len(reached), _EDGE)
    start = find_roots(expected_is_target, np.zeros(len(reached)), lower=-edge, upper=edge)
    estimate = find_roots(likelihood_is_flat, start, lower=-edge, upper=edge)
    return estimate, 1 / np.sqrt(_moments(_at(form, estimate))[2])


def _weighted_likelihood(form: Form, reached: NDArray[np.int64]) -> tuple[Array, Array]:
    place = np.arange(len(reached))

    def equation(theta: Array) -> tuple[Array, Array]:
        found = _at(form, theta)
        _, _, information, bias = _moments(found)
        total = np.maximum(information, 1e-300)
        return found[1, place, reached] + bias / (2 * total), np.minimum(found[2, place, reached], -total)

    edge = np.full(len(reached), _EDGE)
    estimate = find_roots(equation, np.zeros(len(reached)), lower=-edge, upper=edge)
    return estimate, 1 / np.sqrt(_moments(_at(form, estimate))[2])


def _given_population(form: Form, mean: float, sd: float) -> tuple[Array, Array, Array]:
    """Posterior means and sds of every sum, and its share of the population, shape (sums,) each."""
    coarse = mean + sd * np.linspace(-_REACH, _REACH, 65)
    most = float(_moments(_at(form, coarse))[2].max())
    narrowest = 1 / np.sqrt(most + 1 / sd**2)
    n_nodes = min(int(np.ceil(2 * _REACH * sd / (narrowest / 3))) | 1, _FINEST)
    theta = mean + sd * np.linspace(-_REACH, _REACH, max(n_nodes, 65))
    log_prior = -0.5 * ((theta - mean) / sd) ** 2
    joint = np.exp(_at(form, theta)[0] + (log_prior - np.log(np.exp(log_prior).sum()))[:, None])
    share = joint.sum(axis=0)
    weight = joint / np.maximum(share, 1e-300)
    centre = theta @ weight
    return centre, np.sqrt(np.sum(weight * (theta[:, None] - centre) ** 2, axis=0)), share


def _raw(fit: Fit, form: Form, score: NDArray[Any]) -> NDArray[Any]:
    values = category_values(fit.categories)
    consecutive = len(values) > 1 and bool(np.all(np.diff(values) == 1))
    return score + len(form.labels) * values[0] if consecutive else score


def _curve(fit: Fit, form: Form, measures: Array) -> pd.DataFrame:
    """The expected score from a logit below the lowest measure to a logit above the highest."""
    theta = np.linspace(np.nanmin(measures) - 1, np.nanmax(measures) + 1, 201)
    probability = form.probabilities(theta)
    score = np.arange(probability.shape[2])
    expected = probability @ score
    variance = np.sum(probability @ score**2 - expected**2, axis=0)
    information = _moments(_at(form, theta))[2]
    total = expected.sum(axis=0)
    return pd.DataFrame(
        {
            "theta": theta,
            "expected": total,
            "expected_raw": _raw(fit, form, total),
            "sd": np.sqrt(variance),
            "information": information,
            "se": 1 / np.sqrt(information),
        }
    )


def _notes(form: Form, frame: pd.DataFrame, population_note: str) -> tuple[str, ...]:
    notes = [population_note] if population_note else []
    if form.averaged:
        notes.append(f"{' and '.join(form.averaged)} at the mean of the levels in the fit")
    if n_unreached := int(frame["wle"].isna().sum()):
        notes.append(f"{n_unreached} scores cannot be reached with the categories that the fit has seen")
    return tuple(notes)
