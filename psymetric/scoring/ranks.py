"""How sure a ranking is: rank intervals, the probability of being best, of every rank, and of beating one another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.scoring.ranked import Ranked, ranked, with_unknown

__all__ = ["p_best", "pairwise_probabilities", "rank_intervals", "rank_probabilities"]

_LARGEST_MATRIX = 5_000


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
        without an estimate or its standard error come last, with missing ranks.

    Raises:
        DataError: Subjects of a fit that integrated them out, scores of several dimensions, an unknown facet, fewer
            than two estimates with standard errors.
    """
    if not 0 < level < 1:
        raise DataError(f"rank_intervals: level={level} is not a coverage between 0 and 1, such as 0.95")
    found = ranked(fit_or_scores, facet, "rank_intervals", draws=draws)
    ranks = found.comparisons.ranks(draws, seed)
    tail = (1 - level) / 2
    lower = np.quantile(ranks, tail, axis=0, method="inverted_cdf")
    upper = np.quantile(ranks, 1 - tail, axis=0, method="inverted_cdf")
    frame = pd.DataFrame(
        {
            "level": found.labels,
            "estimate": found.comparisons.estimate,
            "rank": np.arange(1, len(found.labels) + 1),
            "rank_lower": lower.astype(np.int64),
            "rank_upper": upper.astype(np.int64),
        }
    )
    return with_unknown(frame, found.unknown)


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
    found = ranked(fit_or_scores, facet, "p_best", draws=draws)
    best = np.concatenate([values.argmax(axis=1) for values in found.comparisons.samples(draws, seed)])
    share = np.bincount(best, minlength=len(found.labels)) / len(best)
    frame = pd.DataFrame({"level": found.labels, "estimate": found.comparisons.estimate, "p_best": share})
    return frame.sort_values("p_best", ascending=False, kind="stable", ignore_index=True)


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
    found = ranked(fit_or_scores, facet, "rank_probabilities", draws=draws)
    n = _square(found, "rank_probabilities")
    ranks = found.comparisons.ranks(draws, seed)
    cells = np.arange(n, dtype=np.int64) * n + ranks - 1
    share = np.bincount(cells.ravel(), minlength=n * n).reshape(n, n) / len(ranks)
    return pd.DataFrame(share, index=pd.Index(found.labels, name="level"), columns=range(1, n + 1))


def pairwise_probabilities(fit_or_scores: Fit | Scores, *, facet: str | None = None) -> pd.DataFrame:
    """Probability that the row's level lies above the column's: a square frame, best first, ½ on the diagonal.

    From the draws where there are any, else from the normal distribution of the difference.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.

    Raises:
        DataError: As in `rank_intervals`, or more than 5,000 levels.
    """
    found = ranked(fit_or_scores, facet, "pairwise_probabilities")
    n = _square(found, "pairwise_probabilities")
    above = found.comparisons.matrix(np.arange(n))
    np.fill_diagonal(above, 0.5)
    labels = pd.Index(found.labels, name="level")
    return pd.DataFrame(above, index=labels, columns=labels.rename("below"))


def _square(found: Ranked, who: str) -> int:
    n = len(found.labels)
    if n > _LARGEST_MATRIX:
        raise DataError(
            f"{who}: {n:,} levels make a table of {n * n:,} cells; rank at most {_LARGEST_MATRIX:,}, or use p_best"
        )
    return n
