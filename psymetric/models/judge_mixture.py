"""Mixtures of judges: comparisons by judges of several unknown kinds, each kind with worths of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.core.mixtures import PerClass
from psymetric.core.parameters import Block
from psymetric.core.simplex import Simplex
from psymetric.data.coding import Label
from psymetric.errors import DataError, DesignError
from psymetric.models.base import AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.checks import check_prior_sd
from psymetric.models.space import parameter_space, weight_name

__all__ = ["CLASS", "MEMBERSHIP", "SHARE", "JudgeMixture"]

CLASS, SHARE, MEMBERSHIP = "class", "share", "membership"


@final
@dataclass(frozen=True)
class JudgeMixture(AbstractMeasurementModel):
    r"""Latent classes of judges (a finite mixture of Bradley-Terry models).

    Judge c belongs to one of C classes, nobody knows which, and judges as its class does:

    $$P(\text{comparisons of } c) = \sum_{k=1}^{C} \pi_k \prod_{r \in c} P(x_r \mid \lambda_k, \alpha_k, \nu_k)$$

    Judges of one class agree but for chance; classes may see the items in different orders. Parameters, with a last
    axis for the class in all arrays of `model`:

    * `share` π, shape (classes,), probabilities: how many of such judges belong to the class. Class 1 is the largest;
    * `worth` λ, shape (items, classes), centred within each class, and so on for what else `model` has: `position` and
      `tie` are of shape (classes,).

    The likelihood has as many equal maxima as there are orders of the classes, and often lower ones besides: engines
    climb from many starts and say how many reached the best. The worths of a class of few judges may have no
    maximum-likelihood estimate, which `JointML` says: `MAP` has.

    Args:
        model: What judges of one class follow. Nothing in it may belong to single judges.
        classes: Number of classes; with one, the model is `model`. `compare_classes` helps to choose.
        over: The facet whose levels belong to classes.
        share_prior_sd: Scale of the normal prior on the centred log-odds of the classes under MAP, Laplace and NUTS.

    Raises:
        DesignError: `model` is no BradleyTerry or has random worths, families or drift; parameters of single judges;
            fewer than one class.

    Source: Croon & Luijkx (1993), in Fligner & Verducci (eds.), Probability Models and Statistical Analyses for Ranking
    Data, Springer, 53-74; Dillon, Kumar & Smith de Borrero (1993), Journal of Marketing Research 30, 38-47.
    """

    model: BradleyTerry = field(default_factory=BradleyTerry)
    classes: int = 2
    over: str = "judge"
    share_prior_sd: float = 1.5

    def __post_init__(self) -> None:
        given: Any = self.model
        if isinstance(given, Mapping):
            given = BradleyTerry(**given)  # pyright: ignore[reportUnknownArgumentType]
            object.__setattr__(self, "model", given)
        if not isinstance(given, BradleyTerry):
            raise DesignError(f"JudgeMixture(model={given!r}) must be a BradleyTerry")
        n: Any = self.classes
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise DesignError(f"JudgeMixture(classes={n!r}) must be a whole number of classes, 1 or more")
        check_prior_sd(self, self.share_prior_sd, name="share_prior_sd")
        self._check_settings(given)

    def _check_settings(self, model: BradleyTerry) -> None:
        if set_ := [name for name in ("random", "family", "drift") if getattr(model, name)]:
            raise DesignError(
                f"JudgeMixture(model=BradleyTerry({set_[0]}=...)): classes have fixed worths that stay; leave it out"
            )
        if self.over in ("item", CLASS) or self.over in model.facets:
            raise DesignError(
                f"JudgeMixture(over={self.over!r}) must name a facet of judges that BradleyTerry's settings do not: a "
                "parameter of each judge's own would explain what its class is for"
            )
        if CLASS in model.facets:
            raise DesignError(f"JudgeMixture: a facet cannot be called {CLASS!r}, the axis of its worths: rename it")

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs", "rankings"]:
        return "pairs"

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return (*self.model.facets, self.over)

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        own = tuple(replace(spec, axes=(*spec.axes, CLASS)) for spec in self.model.parameters)
        if self.classes == 1:
            return own
        return (ParamSpec(SHARE, (CLASS,), support="simplex", prior_sd=self.share_prior_sd, unit="share"), *own)

    @override
    def levels(self, table: Table) -> Mapping[str, tuple[Label, ...]]:
        return {**table.levels, CLASS: tuple(range(1, self.classes + 1))}

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.name == SHARE:
            return [Block(SHARE, Simplex((self.classes,)), self.share_prior_sd, labels=(CLASS,))]
        own = (spec.name, weight_name(spec.name))
        return [
            replace(block, bijector=PerClass(block.bijector, self.classes), labels=(*block.labels, CLASS))
            for block in parameter_space(self.model, table, ability="free").blocks
            if block.name in own
        ]

    @override
    def n_outcomes(self, n_categories: int) -> int:
        return self.model.n_outcomes(n_categories)

    def class_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probability of every outcome by judges of each class, shape (rows, outcomes, classes)."""
        own = {name: value for name, value in params.items() if name not in (SHARE, MEMBERSHIP)}

        def of_class(one: dict[str, Array]) -> Array:
            return self.model.category_log_probs(one, codes, n_categories)

        return jax.vmap(of_class, in_axes=-1, out_axes=-1)(own)

    def shares(self, params: Mapping[str, Array]) -> Array:
        """Probabilities of the classes, shape (classes,)."""
        return params[SHARE] if self.classes > 1 else jnp.ones(1)

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probabilities of one comparison by itself, averaged over what its judge's class may be.

        How likely each class of each judge is may be given as `params["membership"]`, shape (judges, classes); else it
        is the classes' shares. Comparisons of one judge are independent only where its class is known.
        """
        by_class = self.class_log_probs(params, codes, n_categories)
        if MEMBERSHIP in params:
            return logsumexp(by_class, axis=2, b=params[MEMBERSHIP][codes[self.over]][:, None, :])
        return logsumexp(by_class, axis=2, b=self.shares(params))

    def with_membership(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], *, seed: int
    ) -> dict[str, Array]:
        """`params` with a class drawn for every judge in `codes`: `membership` of ones and zeros."""
        n_judges = int(np.max(np.asarray(codes[self.over]), initial=-1)) + 1
        chances = np.asarray(self.shares(params), np.float64)
        drawn = np.random.default_rng((seed, n_judges)).choice(self.classes, n_judges, p=chances / chances.sum())
        return {**params, MEMBERSHIP: jax.device_put(np.eye(self.classes)[drawn])}

    @override
    def simulate(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> NDArray[np.int32]:
        """Draw a class for every judge, unless `params` hold their membership, and then an outcome for every row."""
        known = params if MEMBERSHIP in params else self.with_membership(params, codes, seed=seed)
        return super().simulate(known, codes, self.n_outcomes(n_categories), seed=seed)

    @override
    def check(self, table: Table) -> None:
        if CLASS in table.codes:
            raise DataError(f"JudgeMixture: the table has a facet called {CLASS!r}, the axis of its worths: rename it")
        self.model.check(table)
        made = np.bincount(table.codes[self.over], table.weight, len(table.levels[self.over]))
        n_judges = int(np.count_nonzero(made))
        if self.classes > n_judges:
            raise DataError(
                f"JudgeMixture(classes={self.classes}): {self.over!r} has {n_judges} level(s) with comparisons, and "
                "every class needs one at the least: use fewer classes"
            )
        if self.classes > 1 and made.max() <= 1:
            raise DataError(
                f"JudgeMixture(over={self.over!r}): none of the {n_judges} levels made two comparisons, so that "
                f"nothing shows what hangs together: use {self.model!r} or another facet"
            )
