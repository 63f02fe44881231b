"""One-coin models: a judge is right with some probability, and where it is wrong all wrong labels are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from psymetric.core.simplex import complement
from psymetric.errors import DesignError
from psymetric.models.base import ParamSpec
from psymetric.models.checks import check_prior_sd
from psymetric.models.truth import TRUTH, AbstractTruthModel, check_share

__all__ = ["ACCURACY", "OneCoin"]

ACCURACY = "accuracy"


@final
@dataclass(frozen=True)
class OneCoin(AbstractTruthModel):
    r"""Latent truth with one accuracy for every judge, or one for every judge and true category.

    $$P(x \mid m, j) = \begin{cases} a_j & x = m \\ (1 - a_j) / (K - 1) & x \ne m \end{cases}$$

    With `accuracy="truth"`, $a_{j,m}$ in place of $a_j$, this is the class-conditional model: how well a judge knows a
    category may differ, and what it says instead does not. With two categories that is `DawidSkene` in other terms
    (sensitivity and specificity); with more, both have far fewer parameters than a matrix for every judge, which is
    what few labels per judge can bear.

    Parameters: `prevalence` π, shape (truths,), or (groups, truths) with `groups`; `accuracy` a, shape (judges,), or
    (judges, truths). All are probabilities. An accuracy of 1/K tells nothing of the truth.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects.
        accuracy: Whether a judge has one accuracy ("common") or one for each true category ("truth").
        prior_accuracy: Where the prior on the accuracies is centred, better than chance, which names the truths.
        prior_sd: Scale in logits of the normal prior on the logit of the accuracies.

    Raises:
        DesignError: `accuracy` is neither "common" nor "truth"; a prior of no positive size.

    Source: Zhang, Chen, Zhou & Jordan (2016), JMLR 17(102), sec. 5; class-conditional: Pullin, Gurrin & Vukcevic
    (2023), The R Journal 15(2), 254-274, sec. 2.3; two categories: Raykar et al. (2010), JMLR 11, 1297-1322.
    """

    accuracy: Literal["common", "truth"] = "common"
    prior_accuracy: float = 0.75
    prior_sd: float = 1.0

    def __post_init__(self) -> None:
        AbstractTruthModel.__post_init__(self)
        if self.accuracy not in ("common", "truth"):
            raise DesignError(f"OneCoin(accuracy={self.accuracy!r}) must be 'common' or 'truth'")
        check_share(self, self.prior_accuracy, name="prior_accuracy")
        check_prior_sd(self, self.prior_sd)

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        axes = (self.over,) if self.accuracy == "common" else (self.over, TRUTH)
        centre = float(np.log(self.prior_accuracy) - np.log1p(-self.prior_accuracy))
        right = ParamSpec(ACCURACY, axes, support="unit", centre=centre, prior_sd=self.prior_sd, unit="share")
        return (self.prevalence, right)

    @override
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        right = params[ACCURACY][codes[self.over]].reshape(len(codes[self.over]), -1, 1)
        wrong = jnp.log(complement(right)) - np.log(n_categories - 1)
        return jnp.where(np.eye(n_categories, dtype=bool), jnp.log(right), wrong)
