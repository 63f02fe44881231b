"""Hierarchical rater model: judges as noisy detectors of a category that the work itself deserves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from jax import Array
from typing_extensions import override

from psymetric.errors import DataError, DesignError
from psymetric.models.base import ParamSpec, Table
from psymetric.models.cumulative import cumulative_log_probs
from psymetric.models.items import check_scales
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.population import Population, as_population

__all__ = ["HierarchicalRater"]

_IDEAL, _PRECISION, _CRITERION = "ideal", "precision", "criterion"
_PRECISION_CENTRE = float(np.log(3.0))


@final
@dataclass(frozen=True)
class HierarchicalRater(AbstractNestedModel):
    r"""Hierarchical rater model with signal detection (DeCarlo, Kim & Johnson, 2011).

    The work of subject s on item i deserves an ideal category $\xi_{s,i}$ in 0…K−1, which follows a Rasch partial
    credit model; judges see it through noise, each in its own way:

    $$\log \frac{P(\xi=k)}{P(\xi=k-1)} = \theta_s - \delta_i - \tau_{i,k}, \qquad
      \mathrm{logit}\,P(X \ge k \mid \xi) = d_j (\xi - c_{j,k}), \quad
      c_{j,k} = \tfrac{K-1}{2} + \rho_j + \kappa_{j,k}$$

    However many judges rate one piece of work, what they can tell is its ideal category and no more: intervals of
    subjects shrink with the number of items and not with that of judges for ever, as they do in `ManyFacetRasch`.

    Parameters: `item` δ in logits, centred; `step` τ in logits, as in `ManyFacetRasch`; `judge` ρ, shape (judges,), in
    categories: the severity, by how much the judge's criteria lie too high on average; `precision` d > 0, shape
    (judges,), in logits per category; `criterion` κ, shape (judges, categories - 1), in categories, rising, each
    judge's sum to zero. A judge with ρ = 0 and κ of gaps one has its criteria half-way between the categories, at
    k − 1/2, and as d grows reports the ideal category.

    Precisions run to infinity where judges agree always, and criteria where a judge leaves a category out, so that
    `MAP` is the recommended engine.

    Args:
        judge: The facet of the judges.
        steps: Whether the items share one set of steps ("common") or each has its own ("item").
        prior_sd: Scale in logits of the normal prior on items and steps under MAP, Laplace and NUTS.
        severity_prior_sd: Scale in categories of the normal prior on ρ.
        precision_prior_sd: Scale of the normal prior on log d, centred at log 3, where a judge with perfect criteria
            hits an inner category with probability .64.
        criterion_prior_sd: Scale of the normal prior on the logs of the distances between neighbouring criteria,
            centred at 0, a distance of one category.
        population: Groups or covariates that tell subjects apart.

    Raises:
        DesignError: `steps` is neither "common" nor "item", or `judge` is not a facet of judges.

    Source: DeCarlo, Kim & Johnson (2011), Journal of Educational Measurement 48, 333-356, eqs. 1-3 with Rasch items;
    Patz, Junker, Johnson & Mariano (2002), Journal of Educational and Behavioral Statistics 27, 341-384.
    """

    judge: str = "judge"
    steps: Literal["common", "item"] = "item"
    prior_sd: float = 2.0
    severity_prior_sd: float = 1.0
    precision_prior_sd: float = 0.75
    criterion_prior_sd: float = 0.5
    population: Population = field(default=Population(), kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __post_init__(self) -> None:
        object.__setattr__(self, "population", as_population(self.population))
        if self.steps not in ("common", "item"):
            raise DesignError(f"HierarchicalRater(steps={self.steps!r}) must be 'common' or 'item'")
        if self.judge in ("item", "subject"):
            raise DesignError(f"HierarchicalRater(judge={self.judge!r}) must name the facet of the judges")
        check_scales(self)

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "responses"

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return ("item", self.judge)

    @property
    @override
    def latent(self) -> str:
        return _IDEAL

    @property
    @override
    def within(self) -> str:
        return "item"

    @property
    @override
    def needs_prior(self) -> bool:
        return True

    @property
    def deserved(self) -> ManyFacetRasch:
        """What the ideal categories follow."""
        return ManyFacetRasch(("item",), self.steps, prior_sd=self.prior_sd, population=self.population)

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        judge = self.judge
        return (
            *self.deserved.parameters,
            ParamSpec(judge, (judge,), prior_sd=self.severity_prior_sd, unit="category"),
            ParamSpec(
                _PRECISION, (judge,), support="positive", centre=_PRECISION_CENTRE,
                prior_sd=self.precision_prior_sd, unit="slope",
            ),
            ParamSpec(
                _CRITERION, (judge, "step"), support="ordered", identification="sum_to_zero",
                prior_sd=self.criterion_prior_sd, unit="category",
            ),
        )  # fmt: skip

    @override
    def n_states(self, n_categories: int) -> int:
        return n_categories

    @override
    def state_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        return self.deserved.category_log_probs(params, codes, n_categories)

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        judge = codes[self.judge]
        severity, criterion = params[self.judge][judge], params[_CRITERION][judge]
        ahead = params[_IDEAL][codes[self.owner]] - (n_categories - 1) / 2 - severity
        return cumulative_log_probs(params[_PRECISION][judge][:, None] * (ahead[:, None] - criterion))

    @override
    def check(self, table: Table) -> None:
        used, n_items = table.weight > 0, len(table.levels["item"])
        work = table.codes["subject"].astype(np.int64) * n_items + table.codes["item"]
        n_judges = len(table.levels[self.judge])
        rated = np.unique(work[used] * n_judges + table.codes[self.judge][used])
        if len(np.unique(rated // n_judges)) == len(rated):
            raise DataError(
                "HierarchicalRater: no piece of work (subject and item) was rated by two judges, so that their noise "
                "cannot be told from what it deserves: use ManyFacetRasch()"
            )
