"""MACE: judges who know the truth or else do not look, and then label by a habit of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.core.simplex import complement
from psymetric.models.base import ParamSpec
from psymetric.models.checks import check_prior_sd
from psymetric.models.truth import CATEGORY, PREVALENCE, AbstractTruthModel, check_positive, check_share

__all__ = ["MACE"]

_COMPETENCE, _HABIT = "competence", "habit"


@final
@dataclass(frozen=True)
class MACE(AbstractTruthModel):
    r"""Multi-annotator competence estimation (Hovy et al., 2013): spam, and what it looks like.

    Judge j copies the truth with probability $\theta_j$; else it does not look at the subject and draws its label from
    a habit $\xi_j$ of its own, which may hit the truth all the same:

    $$P(x \mid m, j) = \theta_j [x = m] + (1 - \theta_j)\, \xi_{j, x}$$

    A judge is never worse than chance here, so that the truths have names. With two categories this is `DawidSkene`
    with judges no worse than chance: sensitivity $\theta + (1 - \theta)\xi_1$, specificity $\theta + (1 -
    \theta)\xi_0$, of which θ is Youden's index.

    Parameters, all probabilities: `prevalence` π, shape (truths,), or (groups, truths) with `groups`; `competence` θ,
    shape (judges,); `habit` ξ, shape (judges, categories), of which the labels of a judge with θ near 1 say nothing.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects. Hovy et al. hold the prevalence
            at equal shares.
        prior_competence: Where the prior on the competences is centred.
        prior_sd: Scale in logits of the normal prior on the logit of the competences.
        prior_labels: What the Dirichlet prior of each habit is worth in labels, evenly spread over the categories.

    Raises:
        DesignError: A prior of no positive size.

    Source: Hovy, Berg-Kirkpatrick, Vaswani & Hovy (2013), NAACL-HLT, 1120-1130, sec. 2; Paun et al. (2018), TACL 6,
    571-585, sec. 3.
    """

    prior_competence: float = 0.5
    prior_sd: float = 1.5
    prior_labels: float = 2.0

    def __post_init__(self) -> None:
        AbstractTruthModel.__post_init__(self)
        check_share(self, self.prior_competence, name="prior_competence")
        check_prior_sd(self, self.prior_sd)
        check_positive(self, self.prior_labels, name="prior_labels", unit="labels")

    @property
    @override
    def needs_prior(self) -> bool:
        return True

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        centre = float(np.log(self.prior_competence) - np.log1p(-self.prior_competence))
        return (
            self.prevalence,
            ParamSpec(
                _COMPETENCE, (self.over,), support="unit", centre=centre, prior_sd=self.prior_sd, unit="share"
            ),
            ParamSpec(_HABIT, (self.over, CATEGORY), support="simplex", unit="share"),
        )  # fmt: skip

    @override
    def prior_counts(self, name: str, n_categories: int) -> NDArray[np.float64]:
        if name == PREVALENCE:
            return AbstractTruthModel.prior_counts(self, name, n_categories)
        return np.full(n_categories, self.prior_labels / n_categories)

    @override
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        judge = codes[self.over]
        knows = params[_COMPETENCE][judge][:, None, None]
        return jnp.log(knows * np.eye(n_categories) + complement(knows) * params[_HABIT][judge][:, None, :])
