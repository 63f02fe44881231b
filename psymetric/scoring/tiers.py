"""Tiers of a ranking, and how many pairs it tells apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.scoring.ranked import intervals_of, ranked, with_unknown

__all__ = ["separability", "tiers"]


def tiers(fit_or_scores: Fit | Scores, *, facet: str | None = None, threshold: float = 0.95) -> pd.DataFrame:
    """Levels in tiers: none is told apart from the leader of its tier.

    From the top down, a new tier begins at the first level that its tier's leader exceeds with at least the threshold
    probability. Two members of one tier may still be told apart from one another, and the last of a tier may be close
    to the first of the next: tiers put a cut where there may be none, which intervals and probabilities do not.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.
        threshold: Probability from which one level counts as above another, in (.5, 1).

    Returns:
        Columns level, estimate (logits), rank, tier (from 1), p_leader (probability that the tier's leader exceeds it,
        ½ for the leader itself); best first. Levels without an estimate or its standard error come last, without rank
        and tier. `attrs["rule"]` says the rule in words.

    Raises:
        DataError: As in `rank_intervals`, or a threshold outside (.5, 1).
    """
    _check_threshold(threshold, "tiers")
    found = ranked(fit_or_scores, facet, "tiers", threshold=threshold)
    tier = found.comparisons.tiers
    p_leader = np.empty(len(tier))
    for first in np.unique(tier, return_index=True)[1]:
        members = np.flatnonzero(tier == tier[first])
        p_leader[members] = found.comparisons.above(int(first), members)
    frame = pd.DataFrame(
        {
            "level": found.labels,
            "estimate": found.comparisons.estimate,
            "rank": np.arange(1, len(tier) + 1),
            "tier": tier,
            "p_leader": p_leader,
        }
    )
    frame = with_unknown(frame, found.unknown)
    frame.attrs["rule"] = (
        "A new tier begins at the first level that the leader of the tier above exceeds with probability "
        f"{threshold:g} or more, by {found.comparisons.basis}."
    )
    return frame


def separability(
    fit_or_scores: Fit | Scores, *, facet: str | None = None, level: float | None = None, threshold: float = 0.95
) -> pd.DataFrame:
    """Share of the pairs of levels that are told apart, by two rules.

    "intervals" counts pairs whose intervals do not overlap; it is the separability that leaderboards report, and is
    strict: each interval is that of a level's distance from the mean of all, so that a difference may be sure while
    intervals overlap. "probability" counts pairs of which one lies above the other with at least the threshold
    probability, by the standard error of their difference. Each pair is taken by itself, without correction for how
    many there are.

    Args:
        fit_or_scores: As in `rank_intervals`.
        facet: As in `rank_intervals`.
        level: Coverage of the intervals, in (0, 1); by default .95 of a fit, and that of the scores.
        threshold: Probability from which one level counts as above another, in (.5, 1).

    Returns:
        A row for each rule: rule, bound (`level` or `threshold`), apart (pairs), pairs, share.

    Raises:
        DataError: As in `rank_intervals`; a level or threshold out of range; a level that the scores do not have.

    Source: for non-overlapping intervals Li et al. (2024), arXiv 2406.11939 (separability with confidence).
    """
    _check_threshold(threshold, "separability")
    found = ranked(fit_or_scores, facet, "separability", threshold=threshold)
    coverage, lower, upper = intervals_of(fit_or_scores, facet, level, found, "separability")
    # Every interval that ends below where another begins.
    disjoint = int(np.searchsorted(np.sort(upper), lower, side="left").sum())
    pairs = found.comparisons.pairs
    apart = [disjoint, found.comparisons.pairs_apart]
    return pd.DataFrame(
        {
            "rule": ["intervals", "probability"],
            "bound": [coverage, threshold],
            "apart": apart,
            "pairs": pairs,
            "share": [count / pairs for count in apart],
        }
    )


def _check_threshold(threshold: float, who: str) -> None:
    if not 0.5 < threshold < 1:
        raise DataError(f"{who}: threshold={threshold} is not a probability above .5 and under 1, such as 0.95")
