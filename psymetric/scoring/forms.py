"""A form: the facet cells that a subject answers once each, other facets at their mean."""

from __future__ import annotations

from collections.abc import Mapping
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
from psymetric.data.messages import listing, nearest
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.nested import require_independence
from psymetric.models.space import has_ability
from psymetric.scoring.alignment import KNOWS_DEPENDENCE, recode
from psymetric.scoring.likelihood import model_log_probs

__all__ = ["Form", "form_log_probs", "form_of"]

Array = NDArray[np.float64]

_CELLS = 64


@final
@dataclass(frozen=True)
class Form:
    """N cells of a fit, each answered once, with K categories.

    Attributes:
        model: The fitted model.
        params: The fit's arrays without the subjects', averaged over the facets that no cell names.
        codes: Code of each cell by facet, shape (N,); zeros for an averaged facet.
        labels: One row per cell, a column per named facet.
        averaged: The facets at their mean.
        n_categories: Categories of the fitted table.
    """

    model: AbstractMeasurementModel
    params: Mapping[str, Array]
    codes: Mapping[str, NDArray[np.int32]]
    labels: pd.DataFrame
    averaged: tuple[str, ...]
    n_categories: int

    def log_probs(self, theta: JaxArray) -> JaxArray:
        """Category log-probabilities of every cell at abilities of shape (M,); shape (N, M, K). To be traced by JAX."""
        params = jax.device_put(dict(self.params))
        return form_log_probs(self.model, params, dict(self.codes), theta, self.n_categories)

    def own(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Those arrays that no averaging has touched: an average of centred levels has no error of its own."""
        touched = {spec.name for spec in self.model.parameters if set(spec.axes) & set(self.averaged)}
        return {name: value for name, value in arrays.items() if name not in touched}

    def probabilities(self, theta: Array) -> Array:
        """Category probabilities of every cell at abilities of shape (M,); shape (N, M, K)."""
        with double_precision():
            found = _log_probs(self.model, dict(self.params), dict(self.codes), theta, self.n_categories)
            return np.exp(np.asarray(found))

    def curves(self, theta: Array) -> tuple[Array, Array]:
        """Category probabilities, shape (N, M, K), and Fisher information, shape (N, M), at abilities of shape (M,).

        Information is Σ_k P_k (∂ log P_k / ∂θ)², with the derivative of the model's own likelihood. Cells are taken a
        fixed number at a time, so that forms of every length share a compiled program.
        """
        n_cells = len(self.labels)
        probability = np.empty((n_cells, len(theta), self.model.n_outcomes(self.n_categories)))
        information = np.empty((n_cells, len(theta)))
        with double_precision():
            for start in range(0, n_cells, _CELLS):
                where = slice(start, min(start + _CELLS, n_cells))
                codes = {name: np.resize(code[where], _CELLS) for name, code in self.codes.items()}
                found = _curves(self.model, dict(self.params), codes, theta, self.n_categories)
                probability[where], information[where] = (np.asarray(values)[: where.stop - start] for values in found)
        return probability, information


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _curves(
    model: AbstractMeasurementModel, params: Any, codes: Any, theta: JaxArray, n_categories: int
) -> tuple[JaxArray, JaxArray]:
    def log_probs(at: JaxArray) -> JaxArray:
        return model_log_probs(model, params, codes, at, n_categories)

    wide = jnp.broadcast_to(theta, (_CELLS, theta.shape[0]))
    value, slope = jax.jvp(log_probs, (wide,), (jnp.ones_like(wide),))
    probability = jnp.exp(value)
    return probability, jnp.sum(probability * slope**2, axis=2)


def form_log_probs(
    model: AbstractMeasurementModel,
    params: Any,
    codes: Mapping[str, Any],
    theta: JaxArray,
    n_categories: int,
) -> JaxArray:
    """`Form.log_probs` as a function of its parts, for what is compiled or differentiated by the parameters."""
    n_cells = len(next(iter(codes.values())))
    wide = jnp.broadcast_to(theta, (n_cells, theta.shape[0]))
    return model_log_probs(model, dict(params), dict(codes), wide, n_categories)


_log_probs = jax.jit(form_log_probs, static_argnums=(0, 4))


def form_of(fit: Fit, cells: pd.DataFrame | None, *, who: str) -> Form:
    """The form of some cells.

    Args:
        fit: A fit of a model with subjects.
        cells: One row per response, a column of labels per facet; None for every item once (without items, every level
            of the model's first facet). Facets without a column are averaged: locations by their mean, scales by their
            geometric mean, interactions with them at zero.
        who: The public function, for messages.

    Raises:
        DataError: A model without subjects, no cells, an unknown column or level, a level without an estimate, or steps
            that belong to a facet without a column.
    """
    if not has_ability(fit.model):
        raise DataError(f"{who}: {type(fit.model).__name__} has no subjects who could answer a form")
    require_independence(fit.model, who, instead=KNOWS_DEPENDENCE)
    facets = fit.model.facets
    if cells is None:
        named = "item" if "item" in facets else facets[0]
        cells = pd.DataFrame({named: list(fit.levels[named])})
    if unknown := [str(name) for name in cells.columns if name not in facets]:
        raise DataError(
            f"{who}: cells has a column {unknown[0]!r} that is no facet of {type(fit.model).__name__}; "
            f"{nearest(unknown[0], facets)}"
        )
    if not len(cells) or not len(cells.columns):
        raise DataError(f"{who}: cells is empty; give one row per response and a column for each of {listing(facets)}")
    cells = cells.reset_index(drop=True)
    codes = {facet: np.zeros(len(cells), np.int32) for facet in facets}
    for facet in cells.columns:
        place, labels = pd.factorize(cells[facet], use_na_sentinel=False)
        codes[str(facet)] = recode(place.astype(np.int32), list(labels), fit.levels[facet], who=who, facet=str(facet))
    averaged = tuple(facet for facet in facets if facet not in cells.columns)
    params = averaged_parameters(fit, averaged, who=who)
    form = Form(fit.model, params, codes, cells, averaged, len(fit.categories))
    unknown_cells = np.isnan(form.probabilities(np.zeros(1))).any(axis=(1, 2))
    if unknown_cells.any():
        first = {str(name): value for name, value in cells[unknown_cells].iloc[0].items()}
        raise DataError(
            f"{who}: {unknown_cells.sum()} of {len(cells)} cells have a level without an estimate in the fit, first "
            f"{first}; leave them out, or fit with MarginalML() or MAP()"
        )
    return form


def averaged_parameters(fit: Fit, averaged: tuple[str, ...], *, who: str) -> dict[str, Array]:
    """The arrays of a fit with every level of some facets at the facet's mean; levels without an estimate are left out.

    Raises:
        DataError: Steps that belong to one of these facets: there is no such thing as a mean of scales.
    """
    params: dict[str, Array] = {}
    for spec in fit.model.parameters:
        if spec.name == ABILITY or spec.name not in fit.parameters:
            continue
        value = fit.parameters[spec.name]
        over = tuple(place for place, axis in enumerate(spec.axes) if axis in averaged)
        if over and "step" in spec.axes:
            raise DataError(
                f"{who}: the steps belong to {spec.axes[0]!r}, which has no mean scale: name that facet in the cells"
            )
        if over and spec.support == "positive":
            value = np.broadcast_to(np.exp(np.nanmean(np.log(value), axis=over, keepdims=True)), value.shape)
        elif over:
            value = np.broadcast_to(np.nanmean(value, axis=over, keepdims=True), value.shape)
        params[spec.name] = value
    return params
