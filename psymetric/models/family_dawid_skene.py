"""Judges of one family share errors: what the family sees may be wrong, and its judges label what it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.core.anchored_unit import AnchoredUnit
from psymetric.core.parameters import Block
from psymetric.core.simplex import complement
from psymetric.errors import DataError, DesignError
from psymetric.models.base import ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.dawid_skene import CONFUSION, confusion_counts
from psymetric.models.shared_state import AbstractSharedStateModel
from psymetric.models.truth import CATEGORY, PREVALENCE, TRUTH, AbstractTruthModel, check_positive, check_share

__all__ = ["FamilyDawidSkene"]

_SHARED = "shared_error"


@final
@dataclass(frozen=True)
class FamilyDawidSkene(AbstractSharedStateModel):
    r"""Dawid and Skene's model for judges that are not independent: those of one family may be wrong together.

    A family f sees subject i as $z_{i,f}$: with probability $1 - \lambda_f$ that is the truth m, else one of the other
    categories, all alike. Its judges label what the family sees, each by its own matrix:

    $$P(z \mid m) = \begin{cases} 1 - \lambda_f & z = m \\ \lambda_f / (K - 1) & z \ne m \end{cases}, \qquad
      P(x \mid z, j) = \theta_{j, z, x}$$

    However many judges of a family agree, the odds of the truth are bounded by what the family sees, where
    `DawidSkene` would grow certain. With λ = 0 the two are one. Within a family only judges of other families tell a
    shared error from the truth: two families are not enough unless the prior says what λ may be, three are. The shared
    error of a family of one judge cannot be told from the judge's own and is held at 0.

    How errors hang together is an assumption that the data check only in part: models of dependence that fit alike may
    differ in the accuracies they give (Albert & Dodd, 2004). Gold labels of some subjects protect from that.

    Parameters, all probabilities: `prevalence` π, shape (truths,), or (groups, truths) with `groups`; `shared_error`
    λ, shape (families,); `confusion` θ, shape (judges, truths, categories), of labels given what the family sees.
    `judge_quality` has what they are given the truth.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects.
        family: The column with the family of each judge.
        prior_labels: What the Dirichlet prior of each row of a confusion matrix is worth in labels.
        prior_accuracy: Share of these labels that agree with what the family sees.
        prior_shared: Where the prior on the shared errors is centred.
        prior_sd: Scale in logits of the normal prior on the logit of the shared errors.

    Raises:
        DesignError: A prior of no positive size, columns that are one.

    Source: in the tradition of latent-class models with dependent tests: Qu, Tan & Kutner (1996), Biometrics 52,
    797-810 (a normal effect instead of a state); Albert & Dodd (2004), Biometrics 60, 427-435 (on the risk).
    """

    family: str = "family"
    prior_labels: float = 4.0
    prior_accuracy: float = 0.8
    prior_shared: float = 0.1
    prior_sd: float = 1.0

    def __post_init__(self) -> None:
        AbstractTruthModel.__post_init__(self)
        if self.family in ("subject", TRUTH, CATEGORY, self.over, self.groups):
            raise DesignError(f"FamilyDawidSkene(family={self.family!r}) must name a column of its own")
        check_positive(self, self.prior_labels, name="prior_labels", unit="labels")
        check_share(self, self.prior_accuracy, name="prior_accuracy")
        check_share(self, self.prior_shared, name="prior_shared")
        check_prior_sd(self, self.prior_sd)

    @property
    @override
    def needs_prior(self) -> bool:
        return True

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return (self.over, self.family)

    @property
    @override
    def shared_by(self) -> str | None:
        return self.family

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        centre = float(np.log(self.prior_shared) - np.log1p(-self.prior_shared))
        return (
            self.prevalence,
            ParamSpec(_SHARED, (self.family,), support="unit", centre=centre, prior_sd=self.prior_sd, unit="share"),
            ParamSpec(CONFUSION, (self.over, TRUTH, CATEGORY), support="simplex", unit="share"),
        )

    @override
    def prior_counts(self, name: str, n_categories: int) -> NDArray[np.float64]:
        if name == PREVALENCE:
            return AbstractTruthModel.prior_counts(self, name, n_categories)
        return confusion_counts(self.prior_labels, self.prior_accuracy, n_categories)

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.name != _SHARED:
            return AbstractTruthModel.blocks(self, spec, table)
        several = self._judges_by_family(table) > 1
        shared = AnchoredUnit.build(np.where(several, np.nan, 0.0))
        return [Block(_SHARED, shared, spec.prior_sd, labels=spec.axes, centre=spec.centre)]

    def _judges_by_family(self, table: Table) -> NDArray[np.int64]:
        """Judges of each family, gold apart, shape (families,)."""
        labels, n_families = self.labels(table), len(table.levels[self.family])
        pairs = np.unique(labels.codes[self.over].astype(np.int64) * n_families + labels.codes[self.family])
        return np.bincount(pairs % n_families, minlength=n_families)

    @override
    def state_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        shared = params[_SHARED][codes[self.family]][:, None, None]
        wrong = jnp.log(shared) - np.log(n_categories - 1)
        return jnp.where(np.eye(n_categories, dtype=bool), jnp.log(complement(shared)), wrong)

    @override
    def label_state_log_probs(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int
    ) -> Array:
        by_view = jnp.log(params[CONFUSION])[codes[self.over]][:, None]
        return jnp.broadcast_to(by_view, (len(by_view), *[n_categories] * 3))

    @override
    def check(self, table: Table) -> None:
        """As for other latent-truth models; every judge must belong to one family."""
        AbstractTruthModel.check(self, table)
        labels, n_judges = self.labels(table), len(self.levels(table)[self.over])
        family, judge = labels.codes[self.family].astype(np.int64), labels.codes[self.over]
        pairs = np.unique(family * n_judges + judge)
        first, count = np.unique(pairs % n_judges, return_counts=True)
        if np.any(count > 1):
            name = self.levels(table)[self.over][int(first[count > 1][0])]
            raise DataError(
                f"FamilyDawidSkene(family={self.family!r}): {int((count > 1).sum())} level(s) of {self.over!r} stand "
                f"with several families, the first {name!r}: give every judge one family"
            )
