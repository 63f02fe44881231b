"""What a fit says of two items: the chance of being preferred, whichever is shown first, and how it moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.best_worst import BestWorst
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.plackett_luce import PlackettLuce
from psymetric.models.space import weight_name
from psymetric.models.tie_rules import Link, TieRule, outcome_log_probs

__all__ = ["Chances", "Judgement", "Preference", "TieShare", "preference_of"]

Numbers = NDArray[np.float64]

TieShare = Literal["half", "outright", "decided"]
"""A tie is half a win; or none; or left out, so that chances are of the decided comparisons."""

_BLOCK = 1 << 15
"""Comparisons in one call: one size, so that one program is compiled."""


@final
@dataclass(frozen=True)
class Chances:
    """Chances of one item being preferred to another, and their derivatives, all of one shape.

    Attributes:
        value: In [0, 1], the mean over both orders of showing the two.
        by_gap: Derivative by the item's lead in strength.
        by_position: By the advantage of being shown first.
        by_tie: By the parameter of ties.
    """

    value: Numbers
    by_gap: Numbers
    by_position: Numbers
    by_tie: Numbers


@final
@dataclass(frozen=True)
class Judgement:
    """What an average judge goes by: in S draws of the parameters, or S moves of them.

    Attributes:
        worth: Shape (S, items).
        weights: Of the contest covariates, shape (S, covariates).
        position: Advantage of being shown first, shape (S,).
        tie: Readiness to tie, shape (S,).
    """

    worth: Numbers
    weights: Numbers
    position: Numbers
    tie: Numbers


@final
@dataclass(frozen=True)
class Preference:
    """How the chances of two items follow from the parameters of a model.

    Attributes:
        rule: The rule for ties.
        link: The distribution function.
        share: What a tie counts.
        contest: Covariates of a comparison.
        position: Parameter of position, or None.
        tie: Parameter of ties, or None.
        first_order: Whether only the first of the parameters of ties is about two items.
    """

    rule: TieRule | None
    link: Link
    share: TieShare
    contest: tuple[str, ...] = ()
    position: str | None = None
    tie: str | None = None
    first_order: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Arrays that the chances follow from."""
        weights = (weight_name(name) for name in self.contest)
        return ("worth", *weights, *(name for name in (self.position, self.tie) if name))

    def average_judge(self, arrays: Mapping[str, Numbers]) -> Judgement:
        """The judge with slope one and with the mean position and readiness to tie of all; linear in the arrays.

        Args:
            arrays: Those of `names`, shapes (S, ...).
        """
        size = len(arrays["worth"])

        def mean(name: str | None) -> Numbers:
            return arrays[name].reshape(size, -1).mean(axis=1) if name else np.zeros(size)

        weights = [arrays[weight_name(name)].reshape(size) for name in self.contest]
        tie = arrays["tie"][:, 0] if self.first_order else mean(self.tie)
        return Judgement(arrays["worth"], np.array(weights).reshape(-1, size).T, mean(self.position), tie)

    def chances(self, judge: Judgement, lead: Numbers) -> Chances:
        """Chances of the row's item against the column's, each of shape (S, items, items).

        Args:
            judge: What it goes by.
            lead: What the row's item has more of each contest covariate, shape (covariates, items or 1, items or 1).
        """
        gap = judge.worth[:, :, None] - judge.worth[:, None] + np.tensordot(judge.weights, lead, axes=1)
        flat = [
            np.broadcast_to(value, gap.shape).ravel()
            for value in (gap, judge.position[:, None, None], judge.tie[:, None, None])
        ]
        size = gap.size
        # What fills the last block needs a threshold of ties above zero.
        padded = [np.concatenate([value, np.ones(-size % _BLOCK)]) for value in flat]
        found = np.empty((4, len(padded[0])))
        call: Callable[..., tuple[Array, ...]] = partial(_both_orders, rule=self.rule, link=self.link, share=self.share)
        with double_precision():
            for start in range(0, len(padded[0]), _BLOCK):
                part = slice(start, start + _BLOCK)
                found[:, part] = np.stack([np.asarray(row) for row in call(*(jax.device_put(v[part]) for v in padded))])
        return Chances(*(row[:size].reshape(gap.shape) for row in found))


def preference_of(model: AbstractMeasurementModel, share: TieShare, *, who: str) -> Preference:
    """How the chances of two items follow from a model.

    Raises:
        DataError: It compares no items.
    """
    match model:
        case BradleyTerry():
            position, tie = "position" if model.position else None, "tie" if model.ties else None
            return Preference(model.ties, model.link, share, model.contest, position, tie)
        case PlackettLuce() if model.ties:
            return Preference("davidson", "logit", share, tie="tie", first_order=True)
        case PlackettLuce() | BestWorst():
            return Preference(None, "logit", share)
        case _:
            raise DataError(
                f"{who}: {type(model).__name__} does not give the chances of two items; pass a fit of BradleyTerry, "
                "PlackettLuce or BestWorst"
            )


@partial(jax.jit, static_argnames=("rule", "link", "share"))
def _both_orders(
    gap: Array, position: Array, tie: Array, *, rule: TieRule | None, link: Link, share: TieShare
) -> tuple[Array, ...]:
    """Chances and their three derivatives, each of shape (comparisons,)."""

    def summed(gap: Array, position: Array, tie: Array) -> tuple[Array, Array]:
        first = jnp.exp(outcome_log_probs(gap, position, tie, ties=rule, link=link))
        second = jnp.exp(outcome_log_probs(-gap, position, tie, ties=rule, link=link))
        win, loss = (first[:, 0] + second[:, 1]) / 2, (first[:, 1] + second[:, 0]) / 2
        chance = {"half": (1 + win - loss) / 2, "outright": win, "decided": win / (win + loss)}[share]
        return jnp.sum(chance), chance

    slopes, chance = jax.grad(summed, argnums=(0, 1, 2), has_aux=True)(gap, position, tie)
    return (chance, *slopes)
