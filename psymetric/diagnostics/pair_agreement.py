"""Agreement of each judge with the others on the same comparisons: functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from psymetric.core.distinct import distinct_places
from psymetric.diagnostics.swap_consistency import outcome_shares

__all__ = ["agreement_with_others"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def agreement_with_others(
    question: Codes,
    judge: Codes,
    turned: NDArray[np.bool_],
    response: NDArray[np.int32],
    weight: Array,
    *,
    n_judges: int,
    level: float,
) -> dict[str, Array]:
    r"""Raw and chance-corrected agreement of each judge with every other judge of the same question.

    With $p_{ju}$ the shares of judge j's outcomes on question u (wins of one item, of the other, ties) and $J_u$ its
    judges, the agreement of j is

    $$A_j = \frac{\sum_u \sum_{k \ne j} p_{ju} \cdot p_{ku}}{\sum_u (J_u - 1)}$$

    over questions that another judge answered too. By chance would agree two judges who tie as often as these do on
    the same questions, $t_j$ and $t_{-j}$, and otherwise toss a coin between the items:
    $C_j = (1 - t_j)(1 - t_{-j}) / 2 + t_j t_{-j}$. Corrected it is $\kappa_j = (A_j - C_j) / (1 - C_j)$. A coin,
    because which item is called the first is a name: without ties this is Bennett's S of two categories, $2A_j - 1$.

    Args:
        question: Question of each comparison, shape (R,).
        judge: Judge of each, 0…J−1, shape (R,).
        turned: Whether the question's first item was shown second, shape (R,).
        response: 0 left, 1 right, 2 tie, shape (R,).
        weight: Positive, shape (R,).
        n_judges: J.
        level: Coverage of the intervals.

    Returns:
        n_shared (questions that another judge answered too), agreement, agreement_chance, kappa, and _lower and _upper
        of agreement and kappa (linearised over questions, Student's t; NaN under two); shape (J,) each.

    Source: Bennett, Alpert & Goldstein (1954), Public Opinion Quarterly 18, 303-308; Cochran (1977), Sampling
    Techniques, ch. 6 (ratios).
    """
    n_questions = int(question.max()) + 1
    first, cell = distinct_places([question, judge])
    about, owner = question[first], judge[first]
    share, _ = outcome_shares(cell, turned, response, weight, len(first))
    judges = np.bincount(about, minlength=n_questions)[about]
    together = np.stack([np.bincount(about, part, n_questions) for part in share.T], axis=1)
    others = together[about] - share
    # By question and judge: pairs of judges, agreeing pairs, the judge's ties and those of its partners.
    parts = np.stack([judges - 1.0, np.sum(share * others, axis=1), (judges - 1) * share[:, 2], others[:, 2]])
    shared = np.flatnonzero(judges > 1)
    owner, parts = owner[shared], parts[:, shared]
    n = np.bincount(owner, minlength=n_judges)
    total = np.stack([np.bincount(owner, part, n_judges) for part in parts])
    with np.errstate(divide="ignore", invalid="ignore"):
        agree, own, theirs = total[1:] / total[0]
        chance = (1 - own) * (1 - theirs) / 2 + own * theirs
        kappa = (agree - chance) / (1 - chance)
        # How each question moves the three ratios, and through them kappa.
        moved = (parts[1:] - np.stack([agree, own, theirs])[:, owner] * parts[0]) / total[0][owner]
        of_chance = (theirs - (1 - theirs) / 2)[owner] * moved[1] + (own - (1 - own) / 2)[owner] * moved[2]
        of_kappa = (moved[0] - (1 - kappa)[owner] * of_chance) / (1 - chance)[owner]
        found = {"n_shared": n.astype(np.float64), "agreement": agree, "agreement_chance": chance, "kappa": kappa}
        for name, value, own_part, least in (("agreement", agree, moved[0], 0.0), ("kappa", kappa, of_kappa, -1.0)):
            error = np.sqrt(n / (n - 1) * np.bincount(owner, own_part**2, n_judges))
            half = np.where(n > 1, stdtrit(np.maximum(n - 1, 1), (1 + level) / 2), np.nan) * error
            found |= {f"{name}_lower": np.maximum(value - half, least), f"{name}_upper": np.minimum(value + half, 1.0)}
    return found
