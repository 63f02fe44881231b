"""Where a fit to comparisons stands: worths with their covariance, and those who can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.adaptive.answers import Answerers
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.bradley_terry import BradleyTerry

__all__ = ["Standing", "standing"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Standing:
    """What choosing a comparison rests on.

    Attributes:
        items: Labels.
        worth: Estimates in logits (means of draws), shape (items,).
        covariance: Of the worths, shape (items, items).
        judges: Who can be asked; empty where judges were not named and do not differ.
        answerers: The same as the model sees them: one per judge, or one who stands for all.
        cost: Of one answer of each, shape (answerers,).
    """

    items: tuple[Label, ...]
    worth: Array
    covariance: Array
    judges: tuple[Label, ...]
    answerers: Answerers
    cost: Array


def standing(
    fit: Fit,
    *,
    judges: Sequence[Label] | None,
    facet: str,
    cost: Mapping[Label, float] | float,
    who: str,
) -> Standing:
    """Read the worths of a fit and its judges.

    Raises:
        DataError: Not a fit of comparisons that can be continued, no covariance, unknown judges, or bad costs.
    """
    model = _model(fit, who)
    items = tuple(fit.levels["item"])
    if len(items) < 2:
        raise DataError(f"{who}: the fit has {counted(len(items), 'item')}; comparing needs at least two")
    worth, covariance = _worths(fit, who)
    owned = facet in (model.position, model.tie_owner, *model.slopes)
    names = _judges(fit, judges, facet, owned=owned, who=who)
    places = np.array([fit.levels[facet].index(name) for name in names] if owned else [0] * max(len(names), 1))
    slope = fit.parameters[f"{facet}_slope"] if facet in model.slopes else np.ones(1)
    answerers = Answerers(
        slope=_of_judges(slope, places, owned=facet in model.slopes),
        position=_of_judges(fit.parameters.get("position", np.zeros(1)), places, owned=model.position == facet),
        tie=_of_judges(fit.parameters.get("tie", np.zeros(1)), places, owned=model.tie_owner == facet),
        ties=model.ties,
        link=model.link,
    )
    return Standing(items, worth, covariance, names, answerers, _costs(cost, names, who))


def _model(fit: Fit, who: str) -> BradleyTerry:
    if not isinstance(fit.model, BradleyTerry):
        mend = "for sets of a ranking use best_worst_sets" if fit.model.table_kind == "rankings" else "fit comparisons"
        raise DataError(
            f"{who}: a fit of {type(fit.model).__name__}; pairs are chosen from one of BradleyTerry, {mend}"
        )
    if fit.model.drift:
        raise DataError(
            f"{who}: worths that move ({[*fit.model.drift]}) have no one order to ask about; fit without drift"
        )
    return fit.model


def _worths(fit: Fit, who: str) -> tuple[Array, Array]:
    worth = np.asarray(fit.parameters["worth"], np.float64)
    covariance = fit.covariances.get("worth")
    if covariance is None and fit.draws is not None and "worth" in fit.draws:
        covariance = np.cov(fit.draws["worth"].reshape(-1, len(worth)), rowvar=False)
    if covariance is None:
        raise DataError(
            f"{who}: this fit of {counted(len(worth), 'item')} by {fit.engine} has no covariance of the worths; fit "
            "with JointML, MAP, Laplace or NUTS, and at most 2,000 items"
        )
    unknown = [label for label, se in zip(fit.levels["item"], np.diag(covariance), strict=True) if not np.isfinite(se)]
    if unknown:
        raise DataError(
            f"{who}: {counted(len(unknown), 'item')} without a standard error, first {unknown[0]!r}; "
            "fit with MAP, whose prior determines them"
        )
    return worth, np.asarray(covariance, np.float64)


def _judges(fit: Fit, judges: Sequence[Label] | None, facet: str, *, owned: bool, who: str) -> tuple[Label, ...]:
    known = fit.levels.get(facet, ())
    if judges is None:
        return tuple(known) if owned else ()
    if isinstance(judges, str) or not len(judges):
        raise DataError(f"{who}: judges={judges!r}; give a list of one or more")
    names = tuple(judges)
    if len(set(names)) < len(names):
        raise DataError(f"{who}: judges={listing(names)} names one twice")
    new = [name for name in names if name not in known]
    # A model in which judges do not differ says as much of a new one.
    if owned and new:
        raise DataError(
            f"{who}: {counted(len(new), 'judge')} not in the fit, first {new[0]!r}; {nearest(new[0], known)}"
        )
    return names


def _of_judges(value: Array, places: NDArray[np.int64], *, owned: bool) -> Array:
    """One value per judge: its own, or what is common to all (the mean, where another facet owns it)."""
    flat = np.asarray(value, np.float64).reshape(-1)
    return flat[places] if owned else np.full(len(places), flat.mean())


def _costs(cost: Mapping[Label, float] | float, judges: tuple[Label, ...], who: str) -> Array:
    if isinstance(cost, Mapping):
        lacking = [name for name in judges if name not in cost]
        if lacking or not judges:
            what = (
                f"{counted(len(lacking), 'judge')} without one, first {lacking[0]!r}" if lacking else "no judges named"
            )
            raise DataError(f"{who}: cost= has {what}; give one number, or one for each of judges=")
        found = np.array([cost[name] for name in judges], dtype=np.float64)
    else:
        found = np.full(max(len(judges), 1), cost, dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if bad.size:
        whose = f" of {judges[bad[0]]!r}" if judges else ""
        raise DataError(f"{who}: the cost{whose} is {found[bad[0]]:g}; costs are numbers above zero")
    return found
