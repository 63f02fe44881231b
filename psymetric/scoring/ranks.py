"""How sure a ranking is: rank intervals, the probability of being best, of every rank, and of beating one another."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.scoring.comparisons import Comparisons
from psymetric.scoring.rank_sets import rank_sets
from psymetric.scoring.ranked import Ranked, ranked, with_unknown

__all__ = ["p_best", "pairwise_probabilities", "rank_intervals", "rank_probabilities"]

_LARGEST_MATRIX = 5_000
_SET_DRAWS = 10_000
RankMethod = Literal["draws", "marginal", "simultaneous"]


def rank_intervals(
    fit_or_scores: Fit | Scores,
    *,
    facet: str | None = None,
    level: float = 0.95,
    method: RankMethod = "draws",
    draws: int = 2_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Ranks with the range they may be in.

    Ranks are taken anew in draws from the uncertainty of the estimates. Where the fit holds posterior draws, or the
    scores plausible values (at least 100), these are the draws. Else estimates are drawn from a normal distribution:
    with the fit's covariance for facets and items of pairs, independently for subjects, whose errors then share
    nothing. Rank 1 is the highest estimate, which for a facet of judges is the most severe.

    Such ranges are short, and right where the levels are random or differ clearly; where many levels are close and
    fixed they hold the true rank less often than they say (.81 of 30 nearly equal items in the validation study).
    Confidence sets hold it at least as often as they say, at about twice the width.

    Args:
        fit_or_scores: `Scores` of subjects; a fit of a pair model; or a fit that keeps subjects (JointML, Laplace,
            NUTS).
        facet: Facet of a fit to rank; by default its items (pairs) or its subjects.
        level: Coverage of the intervals, in (0, 1).
        method: "draws": quantiles of the ranks in draws. Confidence sets, of ranks that no significant difference
            rules out: "marginal", each holds its level's rank with probability `level` or more; "simultaneous", all do
            at once.
        draws: How many, where they are drawn here (sets: for their critical values, at least 10,000).
        seed: Seed of the random numbers.

    Returns:
        Columns level (label), estimate (logits), rank (of the estimate), rank_lower, rank_upper; best first. Levels
        without an estimate or its standard error come last, with missing ranks.

    Raises:
        DataError: Subjects of a fit that integrated them out, scores of several dimensions, an unknown facet or
            method, fewer than two estimates with standard errors, sets of more than 2,000 levels.

    Source: of the sets Mogstad, Romano, Shaikh & Wilhelm (2024), Review of Economic Studies 91, 476-518.
    """
    if method not in get_args(RankMethod):
        raise DataError(f"rank_intervals: method={method!r} is not known: use one of {[*get_args(RankMethod)]}")
    if not 0 < level < 1:
        raise DataError(f"rank_intervals: level={level} is not a coverage between 0 and 1, such as 0.95")
    found = ranked(fit_or_scores, facet, "rank_intervals", draws=draws)
    lower, upper = _ranges(found.comparisons, level, method, draws, seed)
    frame = pd.DataFrame(
        {
            "level": found.labels,
            "estimate": found.comparisons.estimate,
            "rank": np.arange(1, len(found.labels) + 1),
            "rank_lower": lower,
            "rank_upper": upper,
        }
    )
    return with_unknown(frame, found.unknown)


def _ranges(
    found: Comparisons, level: float, method: RankMethod, draws: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest rank of each level, shape (levels,) each."""
    if method != "draws":
        covariance = found.covariance if found.draws is None else np.cov(found.draws, rowvar=False)
        size = max(draws, _SET_DRAWS)
        return rank_sets(found.estimate, covariance, coverage=method, level=level, draws=size, seed=seed)
    ranks = found.ranks(draws, seed)
    tail = (1 - level) / 2
    ends = (np.quantile(ranks, end, axis=0, method="inverted_cdf") for end in (tail, 1 - tail))
    lower, upper = (end.astype(np.int64) for end in ends)
    return lower, upper


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
