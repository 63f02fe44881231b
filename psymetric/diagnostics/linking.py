"""Linking: one fit's measures on the scale of another, through the levels that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing
from psymetric.data.scores import Scores
from psymetric.diagnostics.linking_constants import (
    LinkedForms,
    Sensitivity,
    curve_constants,
    moment_constants,
)
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ParamSpec
from psymetric.models.space import has_ability
from psymetric.scoring.forms import form_of
from psymetric.scoring.population import population

__all__ = ["Link", "LinkMethod", "link"]

Array = NDArray[np.float64]
LinkMethod = Literal["mean_mean", "mean_sigma", "haebara", "stocking_lord"]

_WHO = "link"
_FEW = 5


@final
@dataclass(frozen=True)
class Link:
    """How to get from one fit's scale to another's: a measure x becomes slope × x + shift.

    Attributes:
        method: How the constants were found.
        facet: The facet whose common levels link.
        slope: The slope A; one where it was held.
        shift: The shift B, logits of the target scale.
        covariance: Of slope and shift from the sampling error of both fits, taken as independent, shape (2, 2).
        covariance_levels: Of the same from the choice of levels, as if others had been drawn, shape (2, 2).
        frame: One row per level of the linked fit: `level`, `estimate` and `se` (its own scale), `linked` and
            `linked_se` (on the target scale), `target` and `target_se` (NaN where the target fit lacks the level),
            `difference` (target − linked) and `difference_se`, `common` (whether the level served to link).
        notes: What a reader should know, as plain sentences.
    """

    method: LinkMethod
    facet: str
    slope: float
    shift: float
    covariance: Array
    covariance_levels: Array
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def constants(self) -> pd.DataFrame:
        """One row each for slope and shift: constant, estimate, se (sampling of both fits), se_levels (of levels)."""
        return pd.DataFrame(
            {
                "constant": ["slope", "shift"],
                "estimate": [self.slope, self.shift],
                "se": np.sqrt(np.diag(self.covariance)),
                "se_levels": np.sqrt(np.diag(self.covariance_levels)),
            }
        )

    def apply(self, scores: Scores) -> Scores:
        """Measures of the linked fit on the scale of the target fit.

        Standard errors and intervals are the measures' own, stretched by the slope; the error of the link, which moves
        everyone together and so counts against measures of the target fit only, is in the column `link_se`.

        Raises:
            DataError: Scores that are not in logits.
        """
        if scores.unit != "logits":
            raise DataError(f"{_WHO}: the scores are in {scores.unit}; only measures in logits can be linked")
        frame = scores.frame.copy()
        at = np.column_stack([frame["estimate"].to_numpy(np.float64), np.ones(len(frame))])
        drawn = [str(name) for name in frame if str(name).startswith("pv")]
        for name in ("estimate", "lower", "upper", *drawn):
            frame[name] = self.slope * frame[name] + self.shift
        frame["se"] = self.slope * frame["se"]
        frame["link_se"] = np.sqrt(np.einsum("si,ij,sj->s", at, self.covariance, at))
        carries = f"{scores.carries} The link is taken as known; its error is in link_se."
        return replace(scores, frame=frame, carries=carries, notes=(*scores.notes, *self.notes))

    def _repr_html_(self) -> str:
        from html import escape

        tables = [frame.to_html(index=False, escape=True) for frame in (self.constants, self.frame)]
        return "".join(tables) + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


def link(
    fit_from: Fit,
    fit_to: Fit,
    *,
    facet: str = "item",
    method: LinkMethod = "stocking_lord",
    slope: Literal["model", "free", "one"] = "model",
    levels: Sequence[Label] | None = None,
) -> Link:
    r"""Put one fit on the scale of another through the levels they have in common: $\theta^* = A\theta + B$.

    | method | what is made alike |
    |---|---|
    | `mean_mean` | mean location of the common levels, and their mean discrimination |
    | `mean_sigma` | mean and standard deviation of their locations |
    | `haebara` | probability of every category of every level |
    | `stocking_lord` | expected sum score over the levels |

    The last two read nothing but the models' own category probabilities and so serve any model; the curves are compared
    over both populations, weighted by their densities. Other facets are at their mean in each fit: judges who differ
    between the fits count as equally severe on average. Where they have common levels of their own, link them too.

    Two kinds of error are given. `se` is the sampling error of both fits (delta method; arrays of one fit, such as
    difficulties and discriminations, count as uncorrelated). `se_levels` is what another choice of common levels would
    change (infinitesimal jackknife over levels); it holds the levels' share of the sampling error too, and is the one
    that matters when levels drift.

    Args:
        fit_from: The fit to be moved.
        fit_to: The fit whose scale is kept.
        facet: Whose common levels link.
        method: How.
        slope: "model" estimates A where the model has discriminations and holds it at 1 where it has none, as the Rasch
            family fixes the unit; "free" and "one" say so outright.
        levels: Link through these common levels only.

    Returns:
        The constants with their errors and every level on the target scale.

    Raises:
        DataError: No common level or fewer than two for a slope, models or categories that differ, a method that needs
            what the model lacks, levels without an estimate, or locations that do not vary.

    Source: Kolen & Brennan (2014), Test Equating, Scaling, and Linking, 3rd ed., ch. 6; Haebara (1980); Stocking & Lord
    (1983); errors: Ogasawara (2001), Applied Psychological Measurement 25, 53-67.
    """
    _check(fit_from, fit_to, facet, method, slope)
    common = _common(fit_from, fit_to, facet, levels)
    free = slope == "free" or (slope == "model" and any(map(_is_slope, fit_to.model.parameters)))
    if free and len(common) < 2:
        raise DataError(
            f"{_WHO}: one common level of {facet!r} ({common[0]}) gives no slope; it takes two or slope='one'"
        )
    found = _solve(fit_from, fit_to, facet, method, common, free_slope=free)
    return _labelled(fit_from, fit_to, facet, method, common, found)


def _check(fit_from: Fit, fit_to: Fit, facet: str, method: str, slope: str) -> None:
    if method not in get_args(LinkMethod):
        raise DataError(f"{_WHO}: method={method!r} is not known: use one of {list(get_args(LinkMethod))}")
    if slope not in ("model", "free", "one"):
        raise DataError(f"{_WHO}: slope={slope!r} is not known: use 'model', 'free' or 'one'")
    if type(fit_from.model) is not type(fit_to.model):
        names = [type(fit.model).__name__ for fit in (fit_from, fit_to)]
        raise DataError(f"{_WHO}: the fits are of different models, {names[0]} and {names[1]}")
    for fit in (fit_from, fit_to):
        if not has_ability(fit.model):
            raise DataError(f"{_WHO}: {type(fit.model).__name__} has no subjects; fit comparisons together instead")
        if facet not in fit.model.facets:
            raise DataError(f"{_WHO}: {type(fit.model).__name__} has no facet {facet!r}: it has {[*fit.model.facets]}")
    if fit_from.categories != fit_to.categories:
        raise DataError(
            f"{_WHO}: the fits have different categories, {listing(fit_from.categories)} and "
            f"{listing(fit_to.categories)}; give both tables the same categories="
        )


def _common(fit_from: Fit, fit_to: Fit, facet: str, levels: Sequence[Label] | None) -> list[Label]:
    known = set(fit_from.levels[facet])
    common = [label for label in fit_to.levels[facet] if label in known]
    if not common:
        raise DataError(
            f"{_WHO}: the fits have no level of {facet!r} in common: {listing(fit_from.levels[facet])} and "
            f"{listing(fit_to.levels[facet])}"
        )
    if levels is None:
        return common
    if unknown := [label for label in levels if label not in set(common)]:
        raise DataError(f"{_WHO}: levels names {listing(unknown)}, not among the common ones {listing(common)}")
    if not len(levels):
        raise DataError(f"{_WHO}: levels is empty; name common levels of {facet!r}, such as {listing(common)}")
    chosen = set(levels)
    return [label for label in common if label in chosen]


def _is_slope(spec: ParamSpec) -> bool:
    return bool(spec.axes) and (spec.support == "positive" or spec.unit == "slope")


def _solve(
    fit_from: Fit, fit_to: Fit, facet: str, method: LinkMethod, common: list[Label], *, free_slope: bool
) -> Sensitivity:
    cells = pd.DataFrame({facet: common})
    old, new = (form_of(fit, cells, who=_WHO) for fit in (fit_from, fit_to))
    if method == "haebara" or method == "stocking_lord":
        around = [population(fit, who=_WHO) for fit in (fit_from, fit_to)]
        forms = LinkedForms(old, new, *((place.mean, place.sd) for place in around))
        return curve_constants(forms, method, free_slope=free_slope)
    if facet not in fit_to.parameters:
        raise DataError(f"{_WHO}: the model has no location for each {facet}: use method='haebara' or 'stocking_lord'")
    slopes, pair = None, ((fit_from, old), (fit_to, new))
    if free_slope and method == "mean_mean":
        slopes = next((s.name for s in fit_to.model.parameters if s.axes == (facet,) and _is_slope(s)), None)
        if slopes is None:
            raise DataError(
                f"{_WHO}: mean_mean takes the slope from discriminations, and {facet!r} has none in "
                f"{type(fit_to.model).__name__}: use another method, or slope='one'"
            )
    elif free_slope and min(np.ptp(fit.parameters[facet][form.codes[facet]]) for fit, form in pair) <= 0:
        raise DataError(f"{_WHO}: the common levels of {facet!r} all have one location, which gives no slope")
    codes = old.codes[facet], new.codes[facet]
    return moment_constants(fit_from.parameters, fit_to.parameters, codes, (facet, slopes), free_slope=free_slope)


def _labelled(
    fit_from: Fit, fit_to: Fit, facet: str, method: LinkMethod, common: list[Label], found: Sensitivity
) -> Link:
    slope, shift = float(np.exp(found.constants[0])), float(found.constants[1])
    scale = np.array([[slope], [1.0]])  # from the log slope to the slope
    by_old, by_new = ({name: scale * part for name, part in by.items()} for by in (found.by_old, found.by_new))
    by_level, n = scale * found.by_level, len(common)
    spread = by_level @ by_level.T * n / (n - 1) if n > 1 else np.full((2, 2), np.nan)
    covariance = _quadratic(fit_from, by_old) + _quadratic(fit_to, by_new)
    frame = _levels(fit_from, fit_to, facet, common, (slope, shift), by_old, by_new)
    notes: list[str] = []
    if n < _FEW:
        notes.append(f"linked through {counted(n, 'common level')} of {facet!r}: one that drifts moves everything")
    if np.isnan(covariance).any():
        notes.append("no sampling error: a fit holds no covariance of what the link rests on")
    return Link(method, facet, slope, shift, covariance, spread, frame, tuple(notes))


def _covariance(fit: Fit, name: str) -> Array | None:
    if name in fit.covariances:
        return fit.covariances[name]
    errors = fit.standard_errors.get(name)
    # What is fixed has no covariance and no error.
    return None if errors is None or np.any(errors != 0) else np.zeros((errors.size, errors.size))


def _quadratic(fit: Fit, derivatives: dict[str, Array]) -> Array:
    """D Σ D' over the arrays of a fit; NaN where one that matters has no covariance."""
    rows = next(iter(derivatives.values())).shape[0]
    total = np.zeros((rows, rows))
    for name, part in derivatives.items():
        if not part.any():
            continue
        covariance = _covariance(fit, name)
        total = total + (np.nan if covariance is None else part @ covariance @ part.T)
    return total


def _levels(
    fit_from: Fit,
    fit_to: Fit,
    facet: str,
    common: list[Label],
    constants: tuple[float, float],
    by_old: dict[str, Array],
    by_new: dict[str, Array],
) -> pd.DataFrame:
    """Every level of the linked fit on both scales, errors by the delta method with the link's own error in them."""
    labels = list(fit_from.levels[facet])
    place = {label: code for code, label in enumerate(fit_to.levels[facet])}
    there = np.array([place.get(label, -1) for label in labels])
    frame = pd.DataFrame({"level": labels, "common": pd.Series(labels).isin(common)})
    if facet not in fit_from.parameters:
        return frame
    slope, shift = constants
    value, known = fit_from.parameters[facet], there >= 0
    lever = np.column_stack([value, np.ones(len(value))])
    old = {name: lever @ part for name, part in by_old.items()}
    new = {name: lever @ part for name, part in by_new.items()}
    old[facet] = old.get(facet, 0.0) + slope * np.eye(len(value))
    target, target_se = (np.full(len(labels), np.nan) for _ in range(2))
    target[known] = fit_to.parameters[facet][there[known]]
    target_se[known] = fit_to.standard_errors[facet][there[known]]
    own = np.zeros((len(labels), len(place)))
    own[known, there[known]] = 1.0
    apart = {name: -part for name, part in new.items()}
    apart[facet] = apart.get(facet, 0.0) + own
    first = np.diag(_quadratic(fit_from, old))
    linked_se = np.sqrt(first + np.diag(_quadratic(fit_to, new)))
    difference_se = np.sqrt(np.maximum(first + np.diag(_quadratic(fit_to, apart)), 0.0))
    return frame.assign(
        estimate=value,
        se=fit_from.standard_errors[facet],
        linked=slope * value + shift,
        linked_se=linked_se,
        target=target,
        target_se=target_se,
        difference=target - slope * value - shift,
        difference_se=np.where(known, difference_se, np.nan),
    )[
        [
            "level",
            "estimate",
            "se",
            "linked",
            "linked_se",
            "target",
            "target_se",
            "difference",
            "difference_se",
            "common",
        ]
    ]
