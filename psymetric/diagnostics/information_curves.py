"""Information curves: how much a form says about each ability, and which of its levels say it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD, has_ability
from psymetric.scoring.forms import Form, form_of
from psymetric.scoring.population import NormalPopulation, population

__all__ = ["InformationCurves", "ability_grid", "information_curves", "one_each"]

Array = NDArray[np.float64]

_WHO = "information_curves"
_POINTS, _REACH = 81, 4.0
_QUADRATURE_REACH = 6.0
"""Population sds over which reliability is averaged; what lies beyond weighs 2e-9."""


@final
@dataclass(frozen=True)
class InformationCurves:
    """Fisher information of a form along the scale.

    Attributes:
        facet: Whose levels `levels` and `peaks` are about.
        curve: One row per ability: theta (logits), information (of the whole form, per squared logit), se (1/√I, of a
            maximum likelihood measure; infinite where nothing is learnt), posterior_sd (1/√(I + 1/σ²), of a measure
            that knows the population), reliability (I / (I + 1/σ²)), density (of the population, per logit).
        levels: Long: level, theta, information of the form's responses to that level. They add up to the whole.
        peaks: One row per level: level, theta and information where it says most, mean_information (over the
            population), share (of the form's mean information).
        marginal_reliability: Mean of `reliability` over the population.
        cells: The form: one row per kind of response, a column per named facet, weight (responses of its kind).
        notes: What a reader of the numbers must know, as sentences.
    """

    facet: str
    curve: pd.DataFrame
    levels: pd.DataFrame
    peaks: pd.DataFrame
    marginal_reliability: float
    cells: pd.DataFrame
    notes: tuple[str, ...]


def information_curves(
    fit: Fit,
    *,
    facet: str | None = None,
    cells: pd.DataFrame | None = None,
    table: ResponseTable | None = None,
    theta: Array | None = None,
) -> InformationCurves:
    r"""Test information, standard error and reliability along the scale, in any model with subjects.

    The information of a response is $I(\theta) = \sum_k P_k(\theta)\, (\partial \log P_k / \partial\theta)^2$, by
    automatic differentiation of the model's own likelihood; that of a form is the sum over its responses, which are
    independent given the ability. Items, judges, steps and population count as known.

    Args:
        fit: A fit of a model with subjects.
        facet: Whose levels to tell apart; by default "item", else the first facet of the form.
        cells: The form: one row per response, a column of labels per facet; facets without a column are at their mean.
            By default every level of `facet` once; where another facet owns the steps, every combination of both.
        table: Instead of `cells`, the responses of the fitted table: the form is what the mean subject was asked.
        theta: Abilities in logits, shape (M,), ascending; by default 81 over the population's mean ± 4 sd.

    Returns:
        The curves. Reliabilities are NaN, with a note, where a JointML fit has no population.

    Raises:
        DataError: A model without subjects, an unknown facet or level, both `cells` and `table`, another table than the
            fitted one, abilities that are not finite and ascending.

    Source: Samejima (1969), Psychometrika Monograph 17; Lord (1980), Applications of IRT, ch. 5; reliability: Green et
    al. (1984), Journal of Educational Measurement 21, 347-360, with the posterior variance as in Thissen (2000).
    """
    if not has_ability(fit.model):
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no subjects to be informed about")
    if cells is not None and table is not None:
        raise DataError(f"{_WHO}: give cells=, or table=, or neither for every level once")
    chosen = _facet(fit, facet, cells)
    form, weight = _weighted_form(fit, chosen, cells, table)
    normal, note = _population(fit)
    grid = ability_grid(fit) if theta is None else _checked(theta)
    labels = list(dict.fromkeys(form.labels[chosen]))
    owner = np.array([labels.index(label) for label in form.labels[chosen]])
    by_level = _by_level(form, weight, owner, grid)
    curve = _curve(grid, by_level.sum(axis=0), normal)
    nodes = _nodes(normal, grid)
    at_nodes = _by_level(form, weight, owner, nodes)
    share = np.ones(len(nodes)) if normal is None else norm.pdf(nodes, normal.mean, normal.sd)
    share = share / share.sum()
    averaged = [f"{' and '.join(form.averaged)} at the mean of the levels in the fit"] if form.averaged else []
    return InformationCurves(
        chosen,
        curve,
        pd.DataFrame(
            {
                "level": pd.Series([label for label in labels for _ in grid], dtype=object),
                "theta": np.tile(grid, len(labels)),
                "information": by_level.ravel(),
            }
        ),
        _peaks(labels, grid, by_level, at_nodes @ share),
        float(share @ _curve(nodes, at_nodes.sum(axis=0), normal)["reliability"]),
        form.labels.assign(weight=weight),
        (*note, *averaged),
    )


def ability_grid(fit: Fit, *, points: int = _POINTS) -> Array:
    """Abilities over every population's mean ± 4 sd; after JointML without one, over the measures and a logit more."""
    normal, _ = _population(fit)
    if normal is not None:
        return normal.mean + normal.sd * np.linspace(-_REACH, _REACH, points)
    if fit.model.population.columns:
        mean, sd = fit.parameters[POPULATION_MEAN], fit.parameters[POPULATION_SD]
        return np.linspace(np.min(mean - _REACH * sd), np.max(mean + _REACH * sd), points)
    known = fit.parameters[ABILITY][np.isfinite(fit.parameters[ABILITY])]
    return np.linspace(known.min() - 1, known.max() + 1, points) if len(known) else np.linspace(-_REACH, _REACH, points)


def one_each(fit: Fit, facet: str) -> pd.DataFrame:
    """Cells of every level of a facet once, or once with every level of the facet that owns the steps.

    Levels without an estimate (extreme ones of a JointML fit) are left out.
    """
    owner = next((spec.axes[0] for spec in fit.model.parameters if spec.axes[1:] == ("step",)), facet)
    named = [facet] if owner == facet else [facet, owner]
    placed = [
        [label for label, known in zip(fit.levels[name], _placed(fit, name), strict=True) if known] for name in named
    ]
    return pd.DataFrame(list(product(*placed)), columns=named, dtype=object)


def _placed(fit: Fit, facet: str) -> NDArray[np.bool_]:
    own = fit.parameters.get(facet)
    return np.ones(len(fit.levels[facet]), bool) if own is None else np.isfinite(own)


def _facet(fit: Fit, facet: str | None, cells: pd.DataFrame | None) -> str:
    known = tuple(fit.model.facets) if cells is None else tuple(map(str, cells.columns))
    if not known:
        raise DataError(f"{_WHO}: cells has no column; give one for each facet of the form")
    chosen = facet if facet is not None else "item" if "item" in known else known[0]
    if chosen not in known:
        raise DataError(f"{_WHO}: facet={chosen!r} is not among {list(known)}")
    return chosen


def _weighted_form(fit: Fit, facet: str, cells: pd.DataFrame | None, table: ResponseTable | None) -> tuple[Form, Array]:
    """The form, and how many responses each of its cells stands for."""
    if table is None:
        form = form_of(fit, one_each(fit, facet) if cells is None else cells, who=_WHO)
        return form, np.ones(len(form.labels))
    if table.hash != fit.table_hash:
        raise DataError(f"{_WHO}: the table is not the one that was fitted: pass that one, or give its cells=")
    facets = fit.model.facets
    shape = tuple(len(table.levels[name]) for name in facets)
    keys, cell = np.unique(
        np.ravel_multi_index(tuple(table.codes[name] for name in facets), shape), return_inverse=True
    )
    total = np.bincount(cell.reshape(-1), table.weight, len(keys))
    codes = np.unravel_index(keys, shape)
    placed = [_placed(fit, name)[code] for name, code in zip(facets, codes, strict=True)]
    kept = np.logical_and.reduce([total > 0, *placed])
    subjects = np.count_nonzero(np.bincount(table.codes["subject"], table.weight))
    columns = {
        name: pd.Series([table.levels[name][place] for place in code[kept].tolist()], dtype=object)
        for name, code in zip(facets, codes, strict=True)
    }
    return form_of(fit, pd.DataFrame(columns), who=_WHO), total[kept] / subjects


def _population(fit: Fit) -> tuple[NormalPopulation | None, tuple[str, ...]]:
    if columns := fit.model.population.columns:
        return None, (f"no reliability: {list(columns)} tell several populations of subjects apart",)
    try:
        normal = population(fit, who=_WHO)
    except DataError:
        return None, (
            "no reliability: this JointML fit has no population, its measures vary no more than their errors",
        )
    return normal, (normal.note,) if normal.note else ()


def _checked(theta: Array) -> Array:
    grid = np.asarray(theta, np.float64)
    if grid.ndim != 1 or len(grid) < 2 or not np.isfinite(grid).all() or not np.all(np.diff(grid) > 0):
        raise DataError(f"{_WHO}: theta must be two or more finite, ascending abilities; got shape {grid.shape}")
    return grid


def _by_level(form: Form, weight: Array, owner: NDArray[np.int64], theta: Array) -> Array:
    """Information of each level's responses, shape (levels, M)."""
    information = weight[:, None] * form.curves(theta)[1]
    found = np.zeros((int(owner.max()) + 1, len(theta)))
    np.add.at(found, owner, information)
    return found


def _nodes(normal: NormalPopulation | None, grid: Array) -> Array:
    """Where means over the population are taken; of the same number as the default grid, to share its program."""
    return (
        grid
        if normal is None
        else normal.mean + normal.sd * np.linspace(-_QUADRATURE_REACH, _QUADRATURE_REACH, _POINTS)
    )


def _curve(theta: Array, information: Array, normal: NormalPopulation | None) -> pd.DataFrame:
    precision = np.nan if normal is None else 1 / normal.sd**2
    with np.errstate(divide="ignore"):
        se = 1 / np.sqrt(information)
    return pd.DataFrame(
        {
            "theta": theta,
            "information": information,
            "se": se,
            "posterior_sd": 1 / np.sqrt(information + precision),
            "reliability": information / (information + precision),
            "density": np.nan if normal is None else norm.pdf(theta, normal.mean, normal.sd),
        }
    )


def _peaks(labels: list[object], grid: Array, by_level: Array, mean: Array) -> pd.DataFrame:
    best = by_level.argmax(axis=1)
    total = mean.sum()
    return pd.DataFrame(
        {
            "level": pd.Series(labels, dtype=object),
            "theta": grid[best],
            "information": by_level[np.arange(len(labels)), best],
            "mean_information": mean,
            "share": mean / total if total > 0 else np.nan,
        }
    )
