"""Ordered categories: judges who see the true level through noise, each with criteria and precision of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, final

import numpy as np
from jax import Array
from typing_extensions import override

from psymetric.core.parameters import Block
from psymetric.core.steps import Ordered
from psymetric.errors import DesignError
from psymetric.models.base import Label, ParamSpec, Table
from psymetric.models.cumulative import cumulative_probit_log_probs
from psymetric.models.items import check_scales
from psymetric.models.truth import AbstractTruthModel

__all__ = ["OrdinalProbit"]

_SEVERITY, _PRECISION, _CRITERION, _BOUND = "severity", "precision", "criterion", "bound"
_PRECISION_CENTRE = float(np.log(2.0))


@final
@dataclass(frozen=True)
class OrdinalProbit(AbstractTruthModel):
    r"""Latent truth in one of K ordered levels m = 0…K−1, which judges see through normal noise.

    $$P(x \ge k \mid m, j) = \Phi(d_j (m - c_{j,k})), \qquad c_{j,k} = \tfrac{K-1}{2} + \rho_j + \kappa_{j,k}, \quad
      k = 1, \dots, K - 1$$

    A judge has two numbers in place of the K(K − 1) of a matrix, and errors to a neighbouring level are the likelier
    ones. With `criteria="judge"` each has its own use of the scale besides. It differs from `HierarchicalRater` in that
    the level belongs to the subject itself, that no item or ability stands behind it, and in the link.

    Parameters: `prevalence` π, shape (truths,), or (groups, truths) with `groups`, probabilities; `severity` ρ, shape
    (judges,), in categories: by how much a judge's criteria lie too high; `precision` d > 0, shape (judges,): how many
    sd of its noise a level is wide; with `criteria="judge"` also `criterion` κ, shape (judges, bounds), in
    categories, rising, of sum zero for each judge; else κ is even, with gaps of one category, so that criteria lie
    half-way between the levels but for the severity. As d > 0, the truths have names.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects.
        criteria: Whether all criteria lie half-way between the levels but for the severity ("even"), or each judge has
            its own ("judge").
        severity_prior_sd: Scale in categories of the normal prior on ρ.
        precision_prior_sd: Scale of the normal prior on log d, centred at log 2, where a judge with perfect criteria
            hits an inner level with probability .68.
        criterion_prior_sd: Scale of the normal prior on the logs of the distances between neighbouring criteria,
            centred at 0, a distance of one category.

    Raises:
        DesignError: `criteria` is neither "even" nor "judge"; a prior of no positive size.

    Source: DeCarlo, Kim & Johnson (2011), Journal of Educational Measurement 48, 333-356, eq. 1, with a normal
    detection; Patz et al. (2002), Journal of Educational and Behavioral Statistics 27, 341-384.
    """

    criteria: Literal["even", "judge"] = "even"
    severity_prior_sd: float = 1.0
    precision_prior_sd: float = 0.75
    criterion_prior_sd: float = 0.5

    def __post_init__(self) -> None:
        AbstractTruthModel.__post_init__(self)
        if self.criteria not in ("even", "judge"):
            raise DesignError(f"OrdinalProbit(criteria={self.criteria!r}) must be 'even' or 'judge'")
        check_scales(self)

    @property
    @override
    def needs_prior(self) -> bool:
        return True

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        judge = (self.over,)
        own = (
            self.prevalence,
            ParamSpec(_SEVERITY, judge, prior_sd=self.severity_prior_sd, unit="category"),
            ParamSpec(
                _PRECISION, judge, support="positive", centre=_PRECISION_CENTRE, prior_sd=self.precision_prior_sd,
                unit="slope",
            ),
        )  # fmt: skip
        if self.criteria == "even":
            return own
        axes, scale = (self.over, _BOUND), self.criterion_prior_sd
        return (*own, ParamSpec(_CRITERION, axes, support="ordered", prior_sd=scale, unit="category"))

    @override
    def levels(self, table: Table) -> Mapping[str, tuple[Label, ...]]:
        """As for other latent-truth models, and the bounds between neighbouring categories."""
        names = tuple(f"{low}|{high}" for low, high in pairwise(table.categories))
        return {**AbstractTruthModel.levels(self, table), _BOUND: names}

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.name != _CRITERION:
            return AbstractTruthModel.blocks(self, spec, table)
        # A category that a judge never used tells of its criteria all the same: the truths are known in part.
        used = np.ones((len(self.levels(table)[self.over]), len(table.categories)), bool)
        return [Block(spec.name, Ordered.build(used), spec.prior_sd, labels=spec.axes)]

    @override
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        judge = codes[self.over]
        even = np.arange(n_categories - 1) - (n_categories - 2) / 2
        spread = params[_CRITERION][judge] if self.criteria == "judge" else even
        criterion = (n_categories - 1) / 2 + params[_SEVERITY][judge][:, None] + spread
        ahead = params[_PRECISION][judge][:, None, None] * (np.arange(n_categories)[:, None] - criterion[:, None, :])
        shape = (len(judge), n_categories, n_categories)
        return cumulative_probit_log_probs(ahead.reshape(-1, n_categories - 1)).reshape(shape)
