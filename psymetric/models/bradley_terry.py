"""Bradley-Terry model: which of two was preferred, with ties and an advantage of being shown first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from psymetric.errors import DataError
from psymetric.models.base import AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.checks import check_prior_sd

__all__ = ["BradleyTerry"]

_TIE = 2


@final
@dataclass(frozen=True)
class BradleyTerry(AbstractMeasurementModel):
    r"""Bradley-Terry model of paired comparisons, with Davidson ties and a first-position effect.

    $$P(i \succ j) \propto e^{\lambda_i + \alpha},\quad P(j \succ i) \propto e^{\lambda_j},\quad
      P(\text{tie}) \propto \nu\, e^{(\lambda_i + \lambda_j)/2}$$

    for i on the left (shown first). Parameters, in logits: `worth` λ, shape (items,), centred; `position` α, a
    scalar, positive when being first helps; `tie` log ν, a scalar. Under `JointML` this is plain maximum likelihood,
    which needs a strongly connected win graph; MAP, Laplace and NUTS use the prior on the worths.

    Args:
        ties: None (a table with ties is then an error) or "davidson".
        position: Estimate the first-position effect.
        prior_sd: Scale in logits of the normal prior on the worths under MAP, Laplace and NUTS.

    Source: Bradley & Terry (1952), Biometrika 39, 324-345; Davidson (1970), JASA 65, 317-328, eq. 2.5; Davidson &
    Beaver (1977), Biometrics 33, 693-702 (order effect outside the tie term).
    """

    ties: Literal["davidson"] | None = None
    position: bool = False
    prior_sd: float = 2.0

    def __post_init__(self) -> None:
        check_prior_sd(self, self.prior_sd)
        if self.ties not in (None, "davidson"):
            raise DataError(f'BradleyTerry(ties={self.ties!r}) is not known: use None or "davidson"')

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "pairs"

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return ("left", "right")

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        worth = ParamSpec("worth", ("item",), identification="sum_to_zero", prior_sd=self.prior_sd)
        position = (ParamSpec("position", ()),) if self.position else ()
        tie = (ParamSpec("tie", ()),) if self.ties else ()
        return (worth, *position, *tie)

    @override
    def n_outcomes(self, n_categories: int) -> int:
        return 3 if self.ties else 2

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        left, right = params["worth"][codes["left"]], params["worth"][codes["right"]]
        first = left + params["position"] if self.position else left
        outcomes = [first, right]
        if self.ties:
            outcomes.append(params["tie"] + (left + right) / 2)
        return jax.nn.log_softmax(jnp.stack(outcomes, axis=1), axis=1)

    @override
    def check(self, table: Table) -> None:
        ties = int(np.sum(table.response == _TIE))
        if ties and not self.ties:
            first = int(np.flatnonzero(table.response == _TIE)[0])
            raise DataError(
                f"BradleyTerry(ties=None): {ties} of {len(table.response)} comparisons are ties, first at row {first}: "
                'use BradleyTerry(ties="davidson"), or leave the ties out of the table'
            )
        if not ties and self.ties:
            raise DataError('BradleyTerry(ties="davidson"): no comparison is a tie, so that ν is zero: use ties=None')
