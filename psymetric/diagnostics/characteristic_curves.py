"""Characteristic curves: the score that each ability can expect, and what subjects of that ability got."""

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
from scipy.interpolate import CubicSpline
from scipy.sparse import csr_array

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.information_curves import ability_grid, one_each
from psymetric.diagnostics.moments import Measured, measure
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.nested import require_independence
from psymetric.models.space import has_ability, require_one_dimension
from psymetric.scoring.fair import category_values
from psymetric.scoring.forms import form_of
from psymetric.scoring.likelihood import model_log_probs, pieces
from psymetric.scoring.posterior import Posterior

__all__ = ["CharacteristicCurves", "characteristic_curves"]

Array = NDArray[np.float64]

_WHO = "characteristic_curves"
_FEWEST = 2.0
"""Responses of a level in a group under which their mean is left out."""
_CENTRAL, _DENSE = 0.875, 141
"""Posteriors are laid out over their inner ± 7 of ± 8 standard deviations, a tenth of one apart."""
_NOTHING = -700.0
"""Logarithm of a weight that counts for nothing."""


@final
@dataclass(frozen=True)
class CharacteristicCurves:
    """Expected and observed scores along the scale, in category labels where these are numbers, else 0…K−1.

    Attributes:
        facet: Whose levels.
        curves: Long: level, theta (logits), expected (score of one response, other facets at their mean).
        test: One row per ability: theta, expected (sum over the levels), average (per level).
        observed: Long, one row per level and group of subjects: level, group (from 1, low to high), theta (mean of the
            group), n (responses, posterior-weighted), observed and expected (means of these responses), se (of the
            observed mean under the model), adjusted (the curve at theta, plus observed minus expected: what the
            group would have scored with other facets at their mean), z ((observed − expected) / se).
        test_observed: The same over all levels together, per response, beside `test.average`.
        scale: Lowest and highest score.
    """

    facet: str
    curves: pd.DataFrame
    test: pd.DataFrame
    observed: pd.DataFrame
    test_observed: pd.DataFrame
    scale: tuple[float, float]


def characteristic_curves(
    fit: Fit, table: ResponseTable, *, facet: str | None = None, groups: int = 6
) -> CharacteristicCurves:
    r"""Item (or judge) characteristic curves and the test characteristic curve, with observed means beside them.

    A curve is the expected score of one response along the ability, the other facets at their mean. Subjects are cut
    into `groups` of equal size by ability. After `JointML` each stands at its measure; else its posterior is spread
    over the groups (pseudo-counts), since groups by an estimate would show misfit where there is none: a subject's own
    response moves its estimate. Which judges and items a group met is allowed for: plotted is the curve plus the mean
    residual, which without other facets is the observed mean up to the curvature within a group.

    Standard errors are the model's, $\sqrt{\sum w^2 V} / \sum w$ with w the responses' posterior weights in the group;
    items, judges and steps count as known. They are approximate where posteriors span several groups. Missing
    responses and (JointML) extreme scores are left out.

    Args:
        fit: A fit of a model with subjects.
        table: The responses.
        facet: Whose levels; by default "item", else the model's first facet.
        groups: Groups of subjects, at least 2.

    Raises:
        DataError: A model without subjects, a facet the model lacks, fewer than two groups, or a mismatch of fit and
            table.

    Source: Lord & Novick (1968), ch. 16; pseudo-counts: Stone (2000), Journal of Educational Measurement 37, 58-75.
    """
    chosen = _checked(fit, facet, groups)
    grid, values = ability_grid(fit), category_values(fit.categories)
    labels, expected = _expected(fit, chosen, grid)
    measured = measure(fit, table, who=_WHO)
    # Levels that the fit could not place have no curve; their responses are extreme and carry no weight.
    place = {label: row for row, label in enumerate(labels)}
    level = np.array([place.get(label, 0) for label in table.levels[chosen]], np.int64)[table.codes[chosen]]
    sums = _group_sums(fit, measured, level, len(labels), groups)
    by_level = _means(sums, grid, expected)
    by_level.insert(0, "level", pd.Series([labels[row] for row in by_level.pop("place")], dtype=object))
    whole = _means(sums.sum(axis=1, keepdims=True), grid, expected.mean(axis=0, keepdims=True))
    return CharacteristicCurves(
        chosen,
        pd.DataFrame(
            {
                "level": pd.Series([label for label in labels for _ in grid], dtype=object),
                "theta": np.tile(grid, len(labels)),
                "expected": expected.ravel(),
            }
        ),
        pd.DataFrame({"theta": grid, "expected": expected.sum(axis=0), "average": expected.mean(axis=0)}),
        by_level,
        whole.drop(columns="place"),
        (float(values.min()), float(values.max())),
    )


def _checked(fit: Fit, facet: str | None, groups: int) -> str:
    if not has_ability(fit.model):
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no subjects along whose ability a score could rise")
    chosen = facet or ("item" if "item" in fit.model.facets else fit.model.facets[0])
    if chosen not in fit.model.facets:
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no facet {chosen!r}: it has {list(fit.model.facets)}")
    require_one_dimension(fit.model, _WHO)
    require_independence(fit.model, _WHO, instead="fit_statistics(fit, table) or category_statistics(fit, table)")
    if groups < 2:
        raise DataError(f"{_WHO}: groups={groups} of subjects; ask for 2 or more")
    return chosen


def _expected(fit: Fit, facet: str, theta: Array) -> tuple[list[Any], Array]:
    """Labels, and the expected score of each level along the scale, shape (levels, M)."""
    form = form_of(fit, one_each(fit, facet), who=_WHO)
    score = form.curves(theta)[0] @ category_values(fit.categories)
    labels = list(dict.fromkeys(form.labels[facet]))
    owner = np.array([labels.index(label) for label in form.labels[facet]])
    total = np.zeros((len(labels), len(theta)))
    np.add.at(total, owner, score)
    return labels, total / np.bincount(owner)[:, None]


def _dense(posterior: Posterior) -> Posterior:
    """The same posteriors on nodes so close that it does not matter which side of a group's edge a node falls on."""
    n_nodes = posterior.theta.shape[1]
    if n_nodes == 1:
        return posterior
    place, dense = np.linspace(-1, 1, n_nodes), np.linspace(-_CENTRAL, _CENTRAL, _DENSE)
    with np.errstate(divide="ignore"):
        log_weight = np.maximum(np.log(posterior.weight), _NOTHING)
    weight = np.exp(CubicSpline(place, log_weight, axis=1)(dense))
    middle, reach = posterior.theta.mean(axis=1), np.ptp(posterior.theta, axis=1) / 2
    return Posterior(middle[:, None] + reach[:, None] * dense, weight / weight.sum(axis=1, keepdims=True))


def _edges(measured: Measured, posterior: Posterior, groups: int) -> Array:
    """Abilities that cut the subjects with responses into groups of equal size, shape (groups − 1,)."""
    answered = measured.rows.by_subject(np.ones(len(measured.rows.response))) > 0
    theta, weight = (values[answered].ravel() for values in (posterior.theta, posterior.weight))
    order = np.argsort(theta, kind="stable")
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return np.interp(np.arange(1, groups) / groups, share, theta[order])


@partial(jax.jit, static_argnames=("model", "n_categories"))
def _in_groups(
    model: AbstractMeasurementModel,
    params: Any,
    codes: Any,
    theta: JaxArray,
    weight: JaxArray,
    edges: JaxArray,
    values: JaxArray,
    n_categories: int,
) -> JaxArray:
    """Per row and group: posterior weight, and with it weighted ability, expected score and its variance."""
    probability = jnp.exp(model_log_probs(model, params, codes, theta, n_categories))
    expected = probability @ values
    variance = probability @ values**2 - expected**2
    group = jnp.searchsorted(edges, theta, side="right")
    member = weight[..., None] * (group[..., None] == jnp.arange(len(edges) + 1))
    parts = jnp.stack([jnp.ones_like(theta), theta, expected, variance])
    return jnp.einsum("prm,rmg->prg", parts, member)


def _group_sums(fit: Fit, measured: Measured, level: NDArray[np.int64], n_levels: int, groups: int) -> Array:
    """Sums over the responses to a level in a group: n, theta, observed, expected, w²V; shape (5, levels, groups)."""
    rows, abilities = measured.rows, _dense(measured.abilities)
    values, edges = category_values(fit.categories), _edges(measured, abilities, groups)
    counts = np.where(measured.extreme, 0.0, rows.weight)
    found = np.zeros((5, n_levels, groups))
    with double_precision():
        for piece in pieces(rows, abilities.theta.shape[1]):
            owner = rows.subject[piece.where]
            theta, weight = piece.pad(abilities.theta[owner]), piece.pad(abilities.weight[owner])
            moments = _in_groups(
                rows.model, dict(rows.params), piece.codes, theta, weight, edges, values, len(rows.categories)
            )
            share, place, expected, variance = np.asarray(moments)[:, : piece.count]
            observed = values[rows.response[piece.where]][:, None] * share
            # Rows of no weight may belong to levels without an estimate.
            known = counts[piece.where] > 0
            stacked = np.stack([share, place, observed, expected, share * variance])[:, known]
            pick = csr_array(
                (counts[piece.where][known], (level[piece.where][known], np.arange(known.sum()))),
                shape=(n_levels, int(known.sum())),
            )
            found += np.stack([pick @ part for part in stacked])
    return found


def _means(sums: Array, theta: Array, curves: Array) -> pd.DataFrame:
    """One row per level and group with enough responses; `place` is the level's position."""
    place, group = np.nonzero(sums[0] >= _FEWEST)
    n, theta_sum, observed_sum, expected_sum, squares = sums[:, place, group]
    at, observed, expected, se = theta_sum / n, observed_sum / n, expected_sum / n, np.sqrt(squares) / n
    curve = np.array([np.interp(x, theta, curves[row]) for x, row in zip(at, place.tolist(), strict=True)], np.float64)
    return pd.DataFrame(
        {
            "place": place,
            "group": group + 1,
            "theta": at,
            "n": n,
            "observed": observed,
            "expected": expected,
            "se": se,
            "adjusted": curve + observed - expected,
            "z": (observed - expected) / se,
        }
    )
