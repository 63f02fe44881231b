"""One calibrated estimate, with all that stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from psymetric.calibration.influence import (
    Influence,
    Spread,
    contrast,
    interval,
    judge_alone,
    minus,
    people_alone,
    powered_mean,
    spread,
    sums,
)
from psymetric.calibration.judged_rows import Estimand, JudgedRows
from psymetric.calibration.misclassification import inverted_limits, inverted_mean
from psymetric.data.messages import listing
from psymetric.errors import DataError, IdentificationError

__all__ = ["Method", "estimated_row", "further", "unestimated_row", "verdict_gap"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Method = Literal["ppi", "rogan_gladen"]

_MOST_CATEGORIES: Final = 20
_UNLIKE: Final = 4.0
"""Standard errors from which labelled rows are not taken for a random sample without a word."""
_FAR_OFF: Final = 0.35
_NUMBERS: Final = (
    *("estimate", "se", "lower", "upper", "judge_alone", "judge_lower", "judge_upper"),
    *("bias", "bias_lower", "bias_upper", "people_alone", "people_lower", "people_upper"),
)


def unestimated_row(parts: Sequence[JudgedRows], why: str) -> dict[str, object]:
    """The row of a group that has no estimate."""
    sizes = {
        "n_judged": sum(len(part.judge) for part in parts),
        "n_labels": sum(int(part.known.sum()) for part in parts),
    }
    ends = dict.fromkeys(("power", "effective_labels", "more_labels", "more_judgements"), np.nan)
    return {**dict.fromkeys(_NUMBERS, np.nan), **sizes, **ends, "note": why}


def estimated_row(
    parts: Sequence[JudgedRows], estimand: Estimand, method: Method, level: float, *, who: str
) -> dict[str, object]:
    """The numbers of `calibrated_estimate` from one set of rows, or from two whose difference is asked for."""
    cluster = None if parts[0].cluster is None else _dense([part.cluster for part in parts])
    estimate_of = _powered if method == "ppi" else _inverted(who)
    found = _joined([estimate_of(part) for part in parts])
    people = _joined(
        [
            people_alone(part.label, values=part.values, weight=part.weight, probability=part.probability)
            for part in parts
        ]
    )
    naive = _joined([judge_alone(part.judge, weight=part.weight) for part in parts])
    values = parts[0].values if len(parts) == 1 else None
    error, error_people = spread(found, cluster), spread(people, cluster)
    ends = interval(found.estimate, error, level, values=values)
    if method == "rogan_gladen":
        ends = _inverted_ends(parts, ends, error, level)
    rated = 0.0 if len(parts) == 1 else -1.0
    if estimand == "win_rate":
        ends = max(ends[0], rated), min(ends[1], 1.0)
    two_valued = values if values and np.isin(parts[0].judge, values).all() else None
    bias = minus(naive, found)
    n_judged, n_labels = len(found.known), int(found.known.sum())
    more_labels, more_judgements = further(error, n_labels, n_judged)
    numbers = (
        *(found.estimate, error.se, *ends),
        *(naive.estimate, *interval(naive.estimate, spread(naive, cluster), level, values=two_valued)),
        *(bias.estimate, *interval(bias.estimate, spread(bias, cluster), level)),
        *(people.estimate, *interval(people.estimate, error_people, level, values=values)),
    )
    return {
        **dict(zip(_NUMBERS, numbers, strict=True)),
        "n_judged": n_judged,
        "n_labels": n_labels,
        "power": found.power,
        "effective_labels": n_labels * (error_people.se / error.se) ** 2 if error.se else np.nan,
        "more_labels": more_labels,
        "more_judgements": more_judgements,
        "note": "; ".join(filter(None, (*(_unlike(part) for part in parts), _of_judge(parts, found)))),
    }


def further(error: Spread, n_labels: int, n_judged: int) -> tuple[float, float]:
    """Further labels that would halve the standard error at the same verdicts, and verdicts at the same labels.

    The variance is V₁ T / T' + V₂ n / n' with T' verdicts and n' of them labelled: what is left when every row is
    labelled, and what labels add to it. Infinite where the other part alone is more than a quarter of the variance, or
    where more labels would be needed than there are rows.
    """
    goal = (error.judged + error.labelled) / 4
    labels = error.labelled * n_labels / (goal - error.judged) if goal > error.judged else np.inf
    verdicts = error.judged * n_judged / (goal - error.labelled) if goal > error.labelled else np.inf
    return (
        float(np.ceil(labels - n_labels)) if labels <= n_judged else np.inf,
        float(np.ceil(verdicts - n_judged)),
    )


def _dense(clusters: Sequence[Codes | None]) -> Codes:
    """Codes 0…C−1 of the clusters that these rows have."""
    joined = np.concatenate([code for code in clusters if code is not None])
    return np.unique(joined, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _joined(found: Sequence[Influence]) -> Influence:
    return found[0] if len(found) == 1 else contrast(found[0], found[1])


def _powered(part: JudgedRows) -> Influence:
    cluster = None if part.cluster is None else _dense([part.cluster])
    return powered_mean(
        part.judge,
        part.label,
        values=part.values,
        weight=part.weight,
        probability=part.probability,
        cluster=cluster,
    )


def _inverted(who: str) -> Callable[[JudgedRows], Influence]:
    def found(part: JudgedRows) -> Influence:
        categories, verdict, label = _categories(part, who)
        if len(categories) == 2 and _youden(verdict, label) <= 0:
            raise IdentificationError(
                f"{who}: the judge is right no more often than a coin (sensitivity and specificity sum to at most 1), "
                'so that its verdicts say nothing of a rate; use method="ppi", or exchange its words'
            )
        return inverted_mean(verdict, label, categories, who=who, weight=part.weight, probability=part.probability)

    return found


def _youden(verdict: Codes, label: Codes) -> float:
    return float(verdict[label == 1].mean() - verdict[label == 0].mean())


def _categories(part: JudgedRows, who: str) -> tuple[Array, Codes, Codes]:
    """Values of the categories, codes of verdicts, and of labels with −1 for none."""
    own = np.unique(part.label[part.known])
    categories = np.union1d(own, np.unique(part.judge))
    if len(categories) > _MOST_CATEGORIES:
        raise DataError(
            f'{who}: method="rogan_gladen" is for categories, and there are {len(categories):,} values; use "ppi"'
        )
    if len(own) < len(categories):
        lacking = np.setdiff1d(categories, own).tolist()
        raise DataError(
            f"{who}: no label is {listing(lacking)}, so that nothing shows how the judge errs there; label such rows, "
            'merge categories by values=, or use method="ppi"'
        )
    if len(categories) > len(seen := np.unique(part.judge)):
        lacking = np.setdiff1d(categories, seen).tolist()
        raise IdentificationError(
            f"{who}: the judge never says {listing(lacking)} and labels do, so that its verdicts cannot tell "
            f'{len(categories)} categories apart; merge categories by values=, or use method="ppi"'
        )
    label = np.where(part.known, np.searchsorted(categories, np.where(part.known, part.label, categories[0])), -1)
    return categories, np.searchsorted(categories, part.judge).astype(np.int64), label.astype(np.int64)


def _inverted_ends(
    parts: Sequence[JudgedRows], ends: tuple[float, float], error: Spread, level: float
) -> tuple[float, float]:
    """Limits within the range of the values; of two values those that a test would not reject."""
    t = float(stdtrit(error.df, (1 + level) / 2))
    lows, highs, useless = [], [], False
    for part in parts:
        categories, verdict, label = _categories(part, "")
        low, high = float(categories[0]), float(categories[-1])
        lows.append(low)
        highs.append(high)
        if len(categories) == 2:
            cluster = None if part.cluster is None else _dense([part.cluster])
            found = inverted_limits(
                verdict, label, t=t, weight=part.weight, probability=part.probability, cluster=cluster
            )
            useless |= found == (0.0, 1.0)
            if len(parts) == 1:
                return low + (high - low) * found[0], low + (high - low) * found[1]
    least, most = (lows[0], highs[0]) if len(parts) == 1 else (lows[0] - highs[1], highs[0] - lows[1])
    return (least, most) if useless else (max(ends[0], least), min(ends[1], most))


def _of_judge(parts: Sequence[JudgedRows], found: Influence) -> str:
    if any(np.ptp(part.judge) == 0 for part in parts):
        return "the judge says the same of every row and adds nothing"
    return "verdicts run against the labels" if found.power < -1e-9 else ""


def _unlike(part: JudgedRows) -> str:
    """Says where labelled rows have other verdicts than a random sample would."""
    known = part.known
    omega = np.full(len(part.judge), 1.0) if part.weight is None else part.weight
    omega = omega / omega.sum()
    if part.probability is not None:
        a = np.where(known, omega / part.probability, 0.0)
        error = float(np.sqrt(np.sum(a * (a - omega) * known)))
        # A few large weights, not drawn, can leave out much more than the error that is seen.
        if abs(a.sum() - 1) > max(_UNLIKE * error, _FAR_OFF):
            return (
                f"the inverse chances of the labelled rows add up to {a.sum():.2f} of the rows instead of 1: are they "
                "the chances with which these rows were drawn from all of these?"
            )
        return ""
    if known.all() or np.ptp(part.judge) == 0:
        return ""
    labelled, rows, error = verdict_gap(part)
    if abs(labelled - rows) <= _UNLIKE * error:
        return ""
    return (
        f"verdicts on labelled rows average {labelled:.3g}, on all {rows:.3g}: not like a random sample; give "
        "probability="
    )


def verdict_gap(part: JudgedRows) -> tuple[float, float, float]:
    """Mean verdict of labelled rows, by the inverse of their chances, and of all rows; standard error of the gap."""
    omega = np.full(len(part.judge), 1.0) if part.weight is None else part.weight
    a = np.where(part.known, omega if part.probability is None else omega / part.probability, 0.0)
    omega, a = omega / omega.sum(), a / a.sum()
    labelled, rows = float(a @ part.judge), float(omega @ part.judge)
    cluster = None if part.cluster is None else _dense([part.cluster])
    error = float(np.sqrt(np.sum(sums(a * (part.judge - labelled) - omega * (part.judge - rows), cluster) ** 2)))
    return labelled, rows, error
