"""What may come of a comparison, and how much it tells, from the likelihood of the fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.models.tie_rules import Link, TieRule, outcome_log_probs

__all__ = ["Answerers", "AnswerInformation", "answer_information", "outcome_moments"]

Array = NDArray[np.float64]

_NODES: Final = 41
_FEW_NODES: Final = 5
_GRID: Final = 1_001
"""Points of a curve of information: a hundredth of its reach apart, where its error is below a millionth."""
_REACH: Final = 10.0
"""How far curves go, in logits of an answerer's own; beyond, a comparison tells nothing that matters."""


@final
@dataclass(frozen=True)
class Answerers:
    """Judges as the model sees them, or one who stands for all.

    Attributes:
        slope: Discrimination, shape (judges,).
        position: Advantage of the item shown first, in logits, shape (judges,).
        tie: Parameter of the rule for ties, shape (judges,); zero without one.
        ties: The rule.
        link: The distribution function.
    """

    slope: Array
    position: Array
    tie: Array
    ties: TieRule | None
    link: Link


@final
@dataclass(frozen=True)
class AnswerInformation:
    """Fisher information about a difference of worths in one answer, by difference; the mean of both orders.

    Attributes:
        at: Differences from zero upwards, in logits, shape (judges, points); each judge's are those of its slope.
        value: Information in logits⁻², shape (judges, points).
    """

    at: Array
    value: Array

    def expected(self, difference: Array, variance: Array, judge: int) -> Array:
        """Averaged over normal differences of this mean and variance."""
        nodes, weights = _normal_nodes(_FEW_NODES)
        spread = np.sqrt(variance)
        total = np.zeros_like(difference)
        for node, weight in zip(nodes, weights, strict=True):
            here = np.abs(difference + node * spread)
            total += weight * np.interp(here, self.at[judge], self.value[judge], right=0.0)
        return total


def answer_information(answerers: Answerers) -> AnswerInformation:
    """The information in one answer of each judge."""
    at = np.linspace(0.0, _REACH, _GRID) / answerers.slope[:, None] + 0.0
    gap = np.stack([at, -at])
    probability, score = _outcomes(answerers, gap, np.arange(len(at))[None, :, None])
    return AnswerInformation(at, np.sum(probability * score**2, axis=-1).mean(axis=0))


def outcome_moments(
    answerers: Answerers, judge: NDArray[np.int64], difference: Array, variance: Array
) -> tuple[Array, Array, Array]:
    """What each outcome says of a normal difference of left less right.

    Args:
        answerers: Judges.
        judge: Who answers, shape (rows,).
        difference: Means, shape (rows,).
        variance: Variances, shape (rows,).

    Returns:
        Of each outcome, shapes (rows, 2 or 3): its probability, and mean and variance of the difference given it.
    """
    nodes, weights = _normal_nodes(_NODES)
    gap = difference[:, None] + nodes * np.sqrt(variance)[:, None]
    probability, _ = _outcomes(answerers, gap, judge[:, None])
    joint = weights[:, None] * probability
    total = joint.sum(axis=1)
    mean = np.sum(joint * gap[..., None], axis=1) / total
    apart = gap[..., None] - mean[:, None, :]
    return total, mean, np.sum(joint * apart**2, axis=1) / total


def _outcomes(answerers: Answerers, gap: Array, judge: NDArray[np.int64]) -> tuple[Array, Array]:
    """Probabilities of the outcomes and slopes of their logs in the difference, shape of `gap` with outcomes last."""
    judge = np.broadcast_to(judge, gap.shape)
    flat = [part[judge].ravel() for part in (answerers.slope, answerers.position, answerers.tie)]
    with double_precision():
        placed: Any = jax.device_put((gap.ravel(), *flat))
        found = _log_probs_and_slopes(*placed, ties=answerers.ties, link=answerers.link)
    log_probability, score = (np.asarray(part).reshape(*gap.shape, -1) for part in found)
    return np.exp(log_probability), score


@partial(jax.jit, static_argnames=("ties", "link"))
def _log_probs_and_slopes(
    gap: JaxArray, slope: JaxArray, position: JaxArray, tie: JaxArray, *, ties: TieRule | None, link: Link
) -> tuple[JaxArray, JaxArray]:
    def log_probs(at: JaxArray) -> JaxArray:
        return outcome_log_probs(slope * at, position, tie, ties=ties, link=link)

    return jax.jvp(log_probs, (gap,), (jnp.ones_like(gap),))


def _normal_nodes(number: int) -> tuple[Array, Array]:
    """Gauss-Hermite nodes and weights of the standard normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(number)
    return nodes, weights / weights.sum()
