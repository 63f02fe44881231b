"""What a fitted model of comparisons says of two items: how often each is preferred, and how often neither."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.models.tie_rules import Link, TieRule, outcome_log_probs
from psymetric.reporting.evidence import Part

__all__ = ["between_equals", "chances_of", "first_share"]


def first_share(part: Part, position: float) -> float:
    """Share of the decided comparisons of two equal items that the first wins."""
    first, second = between_equals(part, position)[:2]
    return float(first / (first + second))


def between_equals(part: Part, position: float) -> NDArray[np.float64]:
    """Probabilities of left, right and, where it is modelled, tie of two equal items, shape (2 or 3,)."""
    return chances_of(part, np.zeros(1), position)[0]


def chances_of(part: Part, gap: NDArray[np.float64], position: float) -> NDArray[np.float64]:
    """Probabilities of the outcomes at differences of worths, shape (differences, 2 or 3)."""
    model, ties = part.fit.model, part.fit.parameters.get("tie")
    link: Link = getattr(model, "link", "logit")
    rule: TieRule | None = None if ties is None else getattr(model, "ties", None)
    # Judges who tie more and less readily are taken in the middle.
    tie = 0.0 if ties is None else float(np.mean(ties))
    with double_precision():
        return np.exp(np.asarray(outcome_log_probs(jnp.asarray(gap), position, tie, ties=rule, link=link)))
