"""What can be ranked, read from a fit or from scores: labels, estimates and how sure these are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isclose
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.messages import counted
from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.scoring.comparisons import Comparisons

__all__ = ["Ranked", "intervals_of", "ranked", "read_comparisons", "require_one_order", "with_unknown"]

Array = NDArray[np.float64]

_ENOUGH_PLAUSIBLE = 100


@final
@dataclass(frozen=True)
class Ranked:
    """What can be ranked.

    Attributes:
        labels: Levels with an estimate and its error, from the highest to the lowest.
        places: Their places among all levels.
        comparisons: Their measures, in that order.
        unknown: Labels of the other levels.
    """

    labels: list[Any]
    places: NDArray[np.intp]
    comparisons: Comparisons
    unknown: list[Any]


def ranked(source: Fit | Scores, facet: str | None, who: str, *, draws: int = 2, threshold: float = 0.95) -> Ranked:
    """The levels of a facet that can be ranked, best first, and those that cannot.

    Raises:
        DataError: As `rank_intervals`.
    """
    if draws < 2:
        raise DataError(f"{who}: draws={draws}; ask for at least 2")
    labels, found = read_comparisons(source, facet, who)
    known = found.rankable
    if len(known) < 2:
        raise DataError(
            f"{who}: {counted(len(known), 'level')} with an estimate and a standard error; a ranking needs at least two"
        )
    lost = set(range(len(labels))) - set(known.tolist())
    chosen = replace(found.take(known), threshold=threshold)
    return Ranked([labels[k] for k in known], known, chosen, [labels[k] for k in sorted(lost)])


def intervals_of(
    source: Fit | Scores, facet: str | None, level: float | None, found: Ranked, who: str
) -> tuple[float, Array, Array]:
    """Coverage and ends of the intervals of what is ranked, as the fit or the scores show them.

    Args:
        source: Scores of subjects, or a fit.
        facet: Of a fit.
        level: Coverage; by default .95 of a fit, and that of the scores.
        found: What is ranked.
        who: The public function, for messages.

    Raises:
        DataError: No coverage, or one that the scores do not have.
    """
    coverage = level if level is not None else source.level if isinstance(source, Scores) else 0.95
    if not 0 < coverage < 1:
        raise DataError(f"{who}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if isinstance(source, Fit):
        lower, upper = source.interval(source.spec(facet or _default_facet(source)).name, coverage)
    elif isclose(coverage, source.level):
        lower, upper = (source.frame[end].to_numpy(np.float64) for end in ("lower", "upper"))
    else:
        raise DataError(
            f"{who}: level={level} and the scores have intervals of {source.level:g}: score(..., level={level})"
        )
    return coverage, lower[found.places], upper[found.places]


def with_unknown(frame: pd.DataFrame, unknown: list[Any]) -> pd.DataFrame:
    """The frame of what is ranked with the other levels at its end, nothing but their labels known."""
    if not unknown:
        return frame
    whole = [name for name, kind in frame.dtypes.items() if kind == np.int64]
    last = pd.DataFrame({"level": unknown, "estimate": np.nan})
    return pd.concat([frame.astype(dict.fromkeys(whole, "Int64")), last], ignore_index=True)


def read_comparisons(source: Fit | Scores, facet: str | None, who: str) -> tuple[list[Any], Comparisons]:
    """Labels of all levels of a facet, and their measures in that order.

    Draws are those of the fit, or plausible values where there are at least 100.

    Args:
        source: Scores of subjects, or a fit.
        facet: Of a fit; by default its items (pairs, rankings) or its subjects.
        who: The public function, for messages.

    Raises:
        DataError: Subjects of a fit that integrated them out, several dimensions at once, an unknown facet.
    """
    if isinstance(source, Scores):
        if facet not in (None, "subject"):
            raise DataError(f"{who}: scores are of subjects; to rank facet {facet!r} pass the fit")
        return _of_scores(source, who)
    if not isinstance(source, Fit):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"{who}: got a {type(source).__name__}; pass what psymetric.fit or psymetric.score returned")
    return _of_fit(source, facet, who)


def _of_scores(scores: Scores, who: str) -> tuple[list[Any], Comparisons]:
    frame = scores.frame
    if "dimension" in frame.columns:
        raise DataError(
            f"{who}: the scores are of several dimensions, {frame['dimension'].unique().tolist()}, which have no "
            "common order: keep one, replace(scores, frame=scores.frame[...].drop(columns='dimension'))"
        )
    values = [name for name in frame.columns if str(name).startswith("pv") and str(name)[2:].isdigit()]
    stored = frame[values].to_numpy(np.float64).T if len(values) >= _ENOUGH_PLAUSIBLE else None
    estimate, se = frame["estimate"].to_numpy(np.float64), frame["se"].to_numpy(np.float64)
    return frame["subject"].tolist(), Comparisons(estimate, se**2, stored)


def require_one_order(fit: Fit, who: str) -> None:
    """Refuse a mixture of judges, whose classes each have an order of the items.

    Raises:
        DataError: It is one.
    """
    if isinstance(fit.model, JudgeMixture):
        raise DataError(
            f"{who}: a mixture of judges has an order of the items for each of its {fit.model.classes} classes and "
            f"none for all: pass one class, {who}(fit_of_class(fit, 1))"
        )


def _of_fit(fit: Fit, facet: str | None, who: str) -> tuple[list[Any], Comparisons]:
    require_one_order(fit, who)
    facet = facet or _default_facet(fit)
    spec = fit.spec(facet)
    if spec.name == ABILITY and ABILITY not in fit.parameters:
        raise DataError(f"{who}: {fit.engine} integrates subjects out: rank their scores, {who}(score(fit, table))")
    if len(spec.axes) != 1 or spec.axes == ("step",):
        raise DataError(f"{who}: {facet!r} has no levels to rank; use one of {[*fit.levels]}")
    name = spec.name
    estimate = np.asarray(fit.parameters[name], np.float64)
    stored = None
    if fit.draws is not None and name in fit.draws:
        stored = fit.draws[name].reshape(-1, len(estimate))
    covariance = fit.covariances.get(name)
    variance = np.asarray(fit.standard_errors[name] ** 2 if covariance is None else covariance, np.float64)
    return list(fit.levels[spec.axes[0]]), Comparisons(estimate, variance, stored)


def _default_facet(fit: Fit) -> str:
    return "subject" if fit.model.table_kind == "responses" else "item"
