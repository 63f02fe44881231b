"""Dawid and Skene's model: every judge has its own matrix of what it says when the truth is what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.models.base import ParamSpec
from psymetric.models.truth import CATEGORY, PREVALENCE, TRUTH, AbstractTruthModel, check_positive, check_share

__all__ = ["CONFUSION", "DawidSkene", "confusion_counts"]

CONFUSION = "confusion"


@final
@dataclass(frozen=True)
class DawidSkene(AbstractTruthModel):
    r"""Latent truth with a confusion matrix for every judge (Dawid & Skene, 1979).

    $$P(\text{labels of } i) = \sum_m \pi_m \prod_{r \in i} \theta_{j_r, m, x_r}$$

    Parameters, all of them probabilities:

    * `prevalence` π, shape (truths,), or (groups, truths) with `groups`: how common each category is;
    * `confusion` θ, shape (judges, truths, categories): how often a judge says each category where the truth is one.
      Its rows sum to one.

    Labels of one subject are taken as independent given its truth: judges that share their errors count for more than
    they tell. The likelihood is the same under every order of the truths. Maximum likelihood starts from the
    majority's labels and names truths so that labels agree with them; priors under which judges are better than chance
    make one order likelier than the others.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects, evenly spread over the
            categories, under MAP, Laplace, NUTS and SVI.
        prior_labels: What the Dirichlet prior of each row of a confusion matrix is worth in labels.
        prior_accuracy: Share of these labels that agree with the truth; the others are evenly spread.

    Raises:
        DesignError: Priors of no positive size, columns that are one.

    Source: Dawid & Skene (1979), Applied Statistics 28, 20-28; priors: Kim & Ghahramani (2012), AISTATS, 619-627.
    """

    prior_labels: float = 4.0
    prior_accuracy: float = 0.7

    def __post_init__(self) -> None:
        AbstractTruthModel.__post_init__(self)
        check_positive(self, self.prior_labels, name="prior_labels", unit="labels")
        check_share(self, self.prior_accuracy, name="prior_accuracy")

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        confusion = ParamSpec(CONFUSION, (self.over, TRUTH, CATEGORY), support="simplex", unit="share")
        return (self.prevalence, confusion)

    @override
    def prior_counts(self, name: str, n_categories: int) -> NDArray[np.float64]:
        if name == PREVALENCE:
            return AbstractTruthModel.prior_counts(self, name, n_categories)
        return confusion_counts(self.prior_labels, self.prior_accuracy, n_categories)

    @override
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        return jnp.log(params[CONFUSION])[codes[self.over]]


def confusion_counts(labels: float, accuracy: float, n_categories: int) -> NDArray[np.float64]:
    """Labels by truth and category, shape (truths, categories), `accuracy` of them on the diagonal of each row."""
    wrong = (1 - accuracy) / (n_categories - 1)
    return labels * (wrong + (accuracy - wrong) * np.eye(n_categories))
