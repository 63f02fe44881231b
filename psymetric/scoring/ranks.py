"""How sure a ranking is: rank intervals, the probability of being best, of every rank, and of beating one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from psymetric.data.messages import counted
from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY

__all__ = ["p_best", "pairwise_probabilities", "rank_intervals", "rank_probabilities"]

Array = NDArray[np.float64]

_LARGEST_MATRIX = 5_000
_CHUNK = 1 << 22


@final
@dataclass(frozen=True)
class _Uncertain:
    """Estimates of n levels with draws of them, or with a normal distribution to draw from.

    Attributes:
        labels: The levels.
        estimate: Shape (n,).
        stored: Draws, shape (draws, n), or None.
        covariance: Shape (n, n), or (n,) where errors are independent.
    """

    labels: list[Any]
    estimate: Array
    stored: Array | None
    covariance: Array

    def samples(self, draws: int, seed: int) -> Iterator[Array]:
        """Draws of all levels in blocks of bounded memory, each of shape (some, n)."""
        n, rng = len(self.labels), np.random.default_rng(seed)
        step = max(_CHUNK // n, 1)
        if self.stored is not None:
            yield from (self.stored[start : start + step] for start in range(0, len(self.stored), step))
            return
        root = _root(self.covariance)
        for start in range(0, draws, step):
            noise = rng.standard_normal((min(step, draws - start), n))
            yield self.estimate + (noise * root if root.ndim == 1 else noise @ root.T)

    def ranks(self, draws: int, seed: int) -> NDArray[np.int32]:
        """Ranks in every draw, 1 is the highest, shape (draws, n)."""
        place = np.arange(1, len(self.labels) + 1, dtype=np.int32)[None]
        found: list[NDArray[np.int32]] = []
        for values in self.samples(draws, seed):
            ranks = np.empty(values.shape, np.int32)
            np.put_along_axis(ranks, np.argsort(-values, axis=1, kind="stable"), place, axis=1)
            found.append(ranks)
        return np.concatenate(found)


def rank_intervals(
    fit_or_scores: Fit | Scores, *, facet: str | None = None, level: float = 0.95, draws: int = 2_000, seed: int = 0
) -> pd.DataFrame:
    """Ranks with the range they may be in.

    Ranks are taken anew in draws from the uncertainty of the estimates. Where the fit holds posterior draws, or the
    scores plausible values (at least 100), these are the draws. Else estimates are drawn from a normal distribution:
    with the fit's covariance for facets and items of pairs, independently for subjects, whose errors then share
    nothing. Rank 1 is the highest estimate, which for a facet of judges is the most severe.

    Args:
        fit_or_scores: `Scores` of subjects; a fit of a pair model; or a fit that keeps subjects (JointML, Laplace,
            NUTS).
        facet: Facet of a fit to rank; by default its items (pairs) or its subjects.
        level: Coverage of the intervals, in (0, 1).
        draws: How many, where they are drawn here.
        seed: Seed of the random numbers.

    Returns:
        Columns level (label), estimate (logits), rank (of the estimate), rank_lower, rank_upper; best first. Levels
        without an estimate come last, with missing ranks.

    Raises:
        DataError: Subjects of a fit that integrated them out, an unknown facet, fewer than two estimates.
    """
    if not 0 < level < 1:
        raise DataError(f"rank_intervals: level={level} is not a coverage between 0 and 1, such as 0.95")
    found, unknown = _uncertain(fit_or_scores, facet, draws, "rank_intervals")
    ranks = found.ranks(draws, seed)
    tail = (1 - level) / 2
    lower = np.quantile(ranks, tail, axis=0, method="inverted_cdf")
    upper = np.quantile(ranks, 1 - tail, axis=0, method="inverted_cdf")
    order = np.argsort(-found.estimate, kind="stable")
    frame = pd.DataFrame(
        {
            "level": [found.labels[place] for place in order],
            "estimate": found.estimate[order],
            "rank": np.arange(1, len(order) + 1),
            "rank_lower": lower[order].astype(np.int64),
            "rank_upper": upper[order].astype(np.int64),
        }
    )
    if not unknown:
        return frame
    ranks_only = ["rank", "rank_lower", "rank_upper"]
    last = pd.DataFrame({"level": unknown, "estimate": np.nan})
    return pd.concat([frame.astype(dict.fromkeys(ranks_only, "Int64")), last], ignore_index=True)


def p_best(
    fit_or_scores: Fit | Scores, *, facet: str | None = None, draws: int = 10_000, seed: int = 0
) -> pd.DataFrame:
    """Probability that each level is the highest of all.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.
        draws: How many, where they are drawn here; the Monte Carlo error of a probability p is √(p(1−p)/draws).
        seed: Seed of the random numbers.

    Returns:
        Columns level, estimate (logits), p_best; best first. Levels without an estimate are left out.

    Raises:
        DataError: As in `rank_intervals`.
    """
    found, _ = _uncertain(fit_or_scores, facet, draws, "p_best")
    best = np.concatenate([values.argmax(axis=1) for values in found.samples(draws, seed)])
    share = np.bincount(best, minlength=len(found.labels)) / len(best)
    order = np.lexsort((-found.estimate, -share))
    labels = [found.labels[place] for place in order]
    return pd.DataFrame({"level": labels, "estimate": found.estimate[order], "p_best": share[order]})


def rank_probabilities(
    fit_or_scores: Fit | Scores, *, facet: str | None = None, draws: int = 10_000, seed: int = 0
) -> pd.DataFrame:
    """Probability of every rank for every level: a square frame, labels (best first) by ranks.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.
        draws: How many, where they are drawn here.
        seed: Seed of the random numbers.

    Raises:
        DataError: As in `rank_intervals`, or more than 5,000 levels.
    """
    found, _ = _uncertain(fit_or_scores, facet, draws, "rank_probabilities")
    n = _square(found, "rank_probabilities")
    ranks = found.ranks(draws, seed)
    cells = np.arange(n, dtype=np.int64) * n + ranks - 1
    share = np.bincount(cells.ravel(), minlength=n * n).reshape(n, n) / len(ranks)
    order = np.argsort(-found.estimate, kind="stable")
    return pd.DataFrame(
        share[order], index=pd.Index([found.labels[k] for k in order], name="level"), columns=range(1, n + 1)
    )


def pairwise_probabilities(fit_or_scores: Fit | Scores, *, facet: str | None = None) -> pd.DataFrame:
    """Probability that the row's level lies above the column's: a square frame, best first, ½ on the diagonal.

    From the draws where there are any, else from the normal distribution of the difference.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.

    Raises:
        DataError: As in `rank_intervals`, or more than 5,000 levels.
    """
    found, _ = _uncertain(fit_or_scores, facet, 2, "pairwise_probabilities")
    n = _square(found, "pairwise_probabilities")
    order = np.argsort(-found.estimate, kind="stable")
    if found.stored is not None:
        draws = found.stored[:, order]
        above = np.stack([np.mean(draws[:, [k]] > draws, axis=0) for k in range(n)])
    else:
        estimate, covariance = found.estimate[order], found.covariance
        covariance = np.diag(covariance[order]) if covariance.ndim == 1 else covariance[np.ix_(order, order)]
        variance = np.add.outer(np.diag(covariance), np.diag(covariance)) - 2 * covariance
        difference = np.subtract.outer(estimate, estimate)
        above = ndtr(difference / np.sqrt(np.maximum(variance, 1e-300)))
    np.fill_diagonal(above, 0.5)
    labels = pd.Index([found.labels[k] for k in order], name="level")
    return pd.DataFrame(above, index=labels, columns=labels.rename("below"))


def _square(found: _Uncertain, who: str) -> int:
    n = len(found.labels)
    if n > _LARGEST_MATRIX:
        raise DataError(
            f"{who}: {n:,} levels make a table of {n * n:,} cells; rank at most {_LARGEST_MATRIX:,}, or use p_best"
        )
    return n


def _uncertain(source: Fit | Scores, facet: str | None, draws: int, who: str) -> tuple[_Uncertain, list[Any]]:
    """The levels that have an estimate, and the labels of those that have none."""
    if draws < 2:
        raise DataError(f"{who}: draws={draws}; ask for at least 2")
    if isinstance(source, Scores):
        if facet not in (None, "subject"):
            raise DataError(f"{who}: scores are of subjects; to rank facet {facet!r} pass the fit")
        labels, estimate, stored, covariance = _of_scores(source)
    else:
        labels, estimate, stored, covariance = _of_fit(source, facet, who)
    known = np.isfinite(estimate)
    if known.sum() < 2:
        raise DataError(f"{who}: {counted(int(known.sum()), 'level')} with an estimate; a ranking needs at least two")
    covariance = covariance[np.ix_(known, known)] if covariance.ndim == 2 else covariance[known]
    kept = [label for label, is_known in zip(labels, known.tolist(), strict=True) if is_known]
    lost = [label for label, is_known in zip(labels, known.tolist(), strict=True) if not is_known]
    return _Uncertain(kept, estimate[known], None if stored is None else stored[:, known], covariance), lost


_ENOUGH_PLAUSIBLE = 100


def _of_scores(scores: Scores) -> tuple[list[Any], Array, Array | None, Array]:
    frame = scores.frame
    values = [name for name in frame.columns if str(name).startswith("pv") and str(name)[2:].isdigit()]
    stored = frame[values].to_numpy(np.float64).T if len(values) >= _ENOUGH_PLAUSIBLE else None
    estimate, se = frame["estimate"].to_numpy(np.float64), frame["se"].to_numpy(np.float64)
    return frame["subject"].tolist(), estimate, stored, se**2


def _of_fit(fit: Fit, facet: str | None, who: str) -> tuple[list[Any], Array, Array | None, Array]:
    facet = facet or ("subject" if fit.model.table_kind == "responses" else "item")
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
    return (
        list(fit.levels[spec.axes[0]]),
        estimate,
        stored,
        fit.standard_errors[name] ** 2 if covariance is None else covariance,
    )


def _root(covariance: Array) -> Array:
    """R with R Rᵀ = covariance, which is singular for levels that sum to zero; shape (n,) for independent errors."""
    if covariance.ndim == 1:
        return np.sqrt(covariance)
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))
