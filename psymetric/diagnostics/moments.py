"""What a fit expects of every response, and how far the response departs: the raw material of all fit statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.data.coding import code_names
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.space import has_ability
from psymetric.scoring.alignment import AlignedRows, match, recode
from psymetric.scoring.likelihood import check_possible, model_log_probs, pieces
from psymetric.scoring.population import keeps_subjects
from psymetric.scoring.positions import Positions, positions_of, unit_of
from psymetric.scoring.posterior import Posterior

__all__ = ["Measured", "Moments", "measure", "owners", "response_moments", "share_values"]

Array = NDArray[np.float64]

_PAIR_VALUES = (1.0, 0.0, 0.5)
_SMALL = 1e-300


@final
@dataclass(frozen=True)
class Measured:
    """Rows of a table with what the fit knows about their subjects.

    Where a model has several latent variables, `rows` are those of respondents: a subject is one respondent for all
    its responses that stand at one position, such as those to the items of one dimension, or by one judge.

    Attributes:
        matched: The rows, in the fit's coding.
        rows: The same rows as the model reads them given the position (`scoring.positions`); else `matched`.
        abilities: Posterior of each respondent's position, which is its ability where the model has no more than that;
            a single node at the estimate where subjects are parameters of the fit.
        positions: What it was read from; None where subjects are parameters of the fit, and for pairs.
        extreme: Rows of a subject or level with an extreme score in a JointML fit, which carry no information on fit.
        at_estimates: Whether subjects were taken at their estimates instead of averaged over.
    """

    matched: AlignedRows
    rows: AlignedRows
    abilities: Posterior
    extreme: NDArray[np.bool_]
    at_estimates: bool
    positions: Positions | None = None

    @property
    def measure(self) -> Array:
        """The measure of each respondent, shape (respondents,)."""
        return self.abilities.mean if self.positions is None else self.positions.measure

    @property
    def unit(self) -> str:
        """Unit of the positions, "logit" or "category"."""
        return unit_of(self.matched.model, len(self.matched.categories))

    @property
    def is_composite(self) -> bool:
        """Whether a subject can stand at several positions."""
        return self.rows.model is not self.matched.model


def measure(fit: Fit, table: ResponseTable | PairTable, *, who: str) -> Measured:
    """Match a table to a fit and find its subjects.

    JointML: at the fit's own measures. Other engines: the posterior of every subject given its responses, with items,
    judges, steps and population at their estimates; of all latent variables where the model has several.

    Raises:
        DataError: The table does not match the fit, or every response belongs to an extreme score.
    """
    rows = match(fit, table, who=who)
    none = np.zeros(table.n_rows, bool)
    if not has_ability(fit.model):
        return Measured(rows, rows, Posterior(np.zeros((1, 1)), np.ones((1, 1))), none, True)
    if not keeps_subjects(fit):
        found = positions_of(fit, rows, table, who=who)
        return Measured(rows, found.rows, found.posterior, none, False, found)
    place = recode(table.codes["subject"], table.levels["subject"], fit.levels["subject"], who=who, facet="subject")
    extreme = none.copy()
    for facet, sides in fit.extremes.items():
        code = place if facet == "subject" else rows.codes[facet]
        extreme |= (np.array(sides) != "")[code]
    if extreme.all():
        raise DataError(
            f"{who}: every response belongs to a subject or level with an extreme score, so that nothing can misfit; "
            "fit with MarginalML() or use a sharper rating scale"
        )
    check_possible(rows.take(~extreme), who=who)
    theta = np.zeros(len(rows.subjects))
    theta[table.codes["subject"]] = np.nan_to_num(fit.parameters[ABILITY])[place]
    return Measured(rows, rows, Posterior(theta[:, None], np.ones((len(theta), 1))), extreme, True)


@final
@dataclass(frozen=True)
class Moments:
    """Per row, each of shape (R,), averaged over the posterior of the row's subject; scores are 0…K−1.

    Attributes:
        expected: E.
        between: E², averaged; `between - expected**2` is how far E moves with the subject's uncertainty.
        variance: V, the model's variance of the score.
        information: Fisher information on the location, equal to V for models of unit slope; NaN without abilities.
        squared: (x − E)².
        standardised: (x − E) / √V.
        outfit: (x − E)² / V.
        outfit_variance: C / V² − 1, the model's variance of the latter, C the fourth central moment.
        infit_variance: C − V², the model's variance of (x − E)².
    """

    expected: Array
    between: Array
    variance: Array
    information: Array
    squared: Array
    standardised: Array
    outfit: Array
    outfit_variance: Array
    infit_variance: Array


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _moments(
    model: AbstractMeasurementModel,
    params: Any,
    codes: Any,
    response: JaxArray,
    theta: JaxArray,
    weight: JaxArray,
    values: JaxArray,
    n_categories: int,
) -> JaxArray:
    def log_probs(at: JaxArray) -> JaxArray:
        return model_log_probs(model, params, codes, at, n_categories)

    if has_ability(model):
        log_probability, slope = jax.jvp(log_probs, (theta,), (jnp.ones_like(theta),))
        information = jnp.sum(jnp.exp(log_probability) * slope**2, axis=2)
    else:
        log_probability = log_probs(theta)
        information = jnp.full(theta.shape, jnp.nan)
    probability = jnp.exp(log_probability)
    expected = probability @ values
    apart = values - expected[..., None]
    variance = jnp.maximum(jnp.sum(probability * apart**2, axis=2), _SMALL)
    fourth = jnp.sum(probability * apart**4, axis=2)
    residual = values[response][:, None] - expected
    parts = (
        expected,
        expected**2,
        variance,
        information,
        residual**2,
        residual / jnp.sqrt(variance),
        residual**2 / variance,
        fourth / variance**2 - 1,
        fourth - variance**2,
    )
    return jnp.stack([jnp.sum(part * weight, axis=1) for part in parts])


def share_values(measured: Measured) -> Array:
    """Score of each category: 0…K−1; for pairs the left item's share of the win (1, 0, ½), shape (K,)."""
    if measured.rows.model.table_kind == "pairs":
        return np.array(_PAIR_VALUES[: measured.rows.n_outcomes])
    return np.arange(measured.rows.n_outcomes, dtype=np.float64)


def response_moments(measured: Measured) -> Moments:
    """Moments of every row."""
    rows, posterior = measured.rows, measured.abilities
    values = share_values(measured)
    found = np.empty((9, len(rows.response)))
    with double_precision():
        for piece in pieces(rows, posterior.theta.shape[1]):
            owner = rows.subject[piece.where]
            theta, weight = piece.pad(posterior.theta[owner]), piece.pad(posterior.weight[owner])
            stacked = _moments(
                rows.model, dict(rows.params), piece.codes, piece.response, theta, weight, values, len(rows.categories)
            )
            found[:, piece.where] = np.asarray(stacked)[:, : piece.count]
    return Moments(*found)


def owners(table: ResponseTable | PairTable, facet: str, *, who: str) -> list[NDArray[np.int32]]:
    """Codes of a facet: one array of shape (R,), or two for the items of a pair.

    Raises:
        DataError: The table has no such facet.
    """
    if facet not in table.facets:
        raise DataError(f"{who}: the table has no facet {facet!r}: it has {list(table.facets)}")
    return [table.codes[name] for name in code_names(table.codes, facet)]
