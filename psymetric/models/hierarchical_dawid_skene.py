"""Dawid and Skene's model with judges drawn from a population, so that judges of few labels borrow from the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.core.bijectors import Positive
from psymetric.core.centred_rows import CentredRows
from psymetric.core.parameters import Block
from psymetric.models.base import ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.dawid_skene import confusion_counts
from psymetric.models.truth import CATEGORY, PREVALENCE, TRUTH, AbstractTruthModel, check_positive, check_share

__all__ = ["HierarchicalDawidSkene"]

_TYPICAL, _DEVIATION = "typical", "deviation"


@final
@dataclass(frozen=True)
class HierarchicalDawidSkene(AbstractTruthModel):
    r"""Latent truth with a confusion matrix for every judge, drawn around that of a typical judge.

    $$\theta_{j, m, \cdot} = \mathrm{softmax}(\log \Theta_{m, \cdot} + u_{j, m, \cdot}), \qquad
      u_{j, m, x} - u_{j, m, y} \sim N(0, 2 \omega^2), \quad \sum_x u_{j, m, x} = 0$$

    Judges with few labels are drawn towards the typical judge as far as the others resemble it: with ω = 0 all judges
    have one matrix, as ω grows this becomes `DawidSkene`.

    Parameters: `prevalence` π, shape (truths,), or (groups, truths) with `groups`, and `typical` Θ, shape (truths,
    categories), are probabilities; `deviation` u, shape (judges, truths, categories), in logits, its rows of sum zero
    and otherwise independent normal of scale `deviation_sd` ω.

    `NUTS` is the engine to use. The mode of deviations and their sd together, which `MAP` takes, is no good estimate
    of that sd.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects.
        prior_labels: What the Dirichlet prior of each row of the typical matrix is worth in labels.
        prior_accuracy: Share of these labels that agree with the truth.
        prior_sd: Scale in logits of the half-normal prior on ω.

    Raises:
        DesignError: A prior of no positive size.

    Source: Paun et al. (2018), TACL 6, 571-585, sec. 3 (there ω differs by cell and rows have a category of
    reference; here no category is special).
    """

    prior_labels: float = 4.0
    prior_accuracy: float = 0.7
    prior_sd: float = 1.0

    def __post_init__(self) -> None:
        AbstractTruthModel.__post_init__(self)
        check_positive(self, self.prior_labels, name="prior_labels", unit="labels")
        check_share(self, self.prior_accuracy, name="prior_accuracy")
        check_prior_sd(self, self.prior_sd)

    @property
    @override
    def needs_prior(self) -> bool:
        return True

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            self.prevalence,
            ParamSpec(_TYPICAL, (TRUTH, CATEGORY), support="simplex", unit="share"),
            ParamSpec(_DEVIATION, (self.over, TRUTH, CATEGORY), random=True),
        )

    @override
    def prior_counts(self, name: str, n_categories: int) -> NDArray[np.float64]:
        if name == PREVALENCE:
            return AbstractTruthModel.prior_counts(self, name, n_categories)
        return confusion_counts(self.prior_labels, self.prior_accuracy, n_categories)

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.name != _DEVIATION:
            return AbstractTruthModel.blocks(self, spec, table)
        levels, scale = self.levels(table), f"{_DEVIATION}_sd"
        rows = CentredRows(tuple(len(levels[axis]) for axis in spec.axes))
        return [
            Block(spec.name, rows, spec.prior_sd, scale, spec.axes),
            Block(scale, Positive(()), self.prior_sd, is_scale=True),
        ]

    @override
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        own = jnp.log(params[_TYPICAL]) + params[_DEVIATION]
        return jax.nn.log_softmax(own, axis=-1)[codes[self.over]]
