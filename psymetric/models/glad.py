"""GLAD: judges of some ability, subjects of some difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from psymetric.core.quadrature import normal_grid
from psymetric.models.base import ParamSpec
from psymetric.models.items import check_scales
from psymetric.models.shared_state import AbstractSharedStateModel
from psymetric.models.truth import AbstractTruthModel

__all__ = ["GLAD"]

_SKILL, _DIFFICULTY_SD = "skill", "difficulty_sd"
_NODES, _HALF_WIDTH = 41, 5.0
"""Spacing of .25 sd: posteriors of difficulties down to .15 sd wide are summed to one in a thousand."""


@final
@dataclass(frozen=True)
class GLAD(AbstractSharedStateModel):
    r"""Latent truth with a skill for every judge and a difficulty of every subject (Whitehill et al., 2009).

    $$\log \frac{P(x = m \mid m, j)}{P(x = y \mid m, j)} = \alpha_j e^{-b_i} \text{ for every } y \ne m, \qquad
      b_i \sim N(0, \sigma^2)$$

    On a hard subject even good judges guess, and labels of one subject hang together beyond its truth. With σ = 0 this
    is `OneCoin` with accuracy 1 / (1 + (K − 1) exp(−α)).

    Parameters: `prevalence` π, shape (truths,), or (groups, truths) with `groups`, probabilities; `skill` α, shape
    (judges,), in logits: the log-odds of the truth against any other label on a subject of middle difficulty, 0 where
    a judge guesses; `difficulty_sd` σ: spread of the log difficulties, a factor of exp(σ) on skills. The middle
    difficulty is the unit of the skills.

    Two departures from the paper. Difficulties are integrated out and their sd is estimated; in the paper they are
    estimated subject by subject, under a prior of sd 1. With more than two categories, nothing known of a subject
    means a guess among all of them; in the paper it means to be right half of the time.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects.
        prior_skill: Where the prior on the skills is centred, in logits: better than chance, which names the truths.
        prior_sd: Scale in logits of the normal prior on the skills.
        difficulty_prior_sd: Scale of the half-normal prior on σ.

    Raises:
        DesignError: A prior of no positive size.

    Source: Whitehill et al. (2009), NeurIPS 22, 2035-2043, eq. 1.
    """

    prior_skill: float = 1.5
    prior_sd: float = 1.0
    difficulty_prior_sd: float = 1.0

    def __post_init__(self) -> None:
        AbstractTruthModel.__post_init__(self)
        check_scales(self)

    @property
    @override
    def needs_prior(self) -> bool:
        return True

    @property
    @override
    def shared_by(self) -> str | None:
        return None

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            self.prevalence,
            ParamSpec(_SKILL, (self.over,), centre=self.prior_skill, prior_sd=self.prior_sd),
            ParamSpec(_DIFFICULTY_SD, (), support="scale", prior_sd=self.difficulty_prior_sd, unit="log difficulty"),
        )

    @override
    def state_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        weight = normal_grid(_NODES, _HALF_WIDTH)[1]
        return jnp.broadcast_to(weight, (1, n_categories, _NODES))

    @override
    def label_state_log_probs(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int
    ) -> Array:
        node = normal_grid(_NODES, _HALF_WIDTH)[0]
        odds = params[_SKILL][codes[self.over]][:, None] * jnp.exp(-params[_DIFFICULTY_SD] * node)
        ahead = (odds - np.log(n_categories - 1))[:, None, :, None]
        wrong = jax.nn.log_sigmoid(-ahead) - np.log(n_categories - 1)
        return jnp.where(np.eye(n_categories, dtype=bool)[:, None, :], jax.nn.log_sigmoid(ahead), wrong)
