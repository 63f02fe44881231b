"""Confirmatory multidimensional model: several correlated abilities, and a key that says which items measure which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from psymetric.core.bijectors import Anchored, Fixed, Free, Positive
from psymetric.core.correlations import Correlation
from psymetric.core.parameters import Block
from psymetric.core.subspaces import Orthogonal
from psymetric.data.coding import Label
from psymetric.errors import DataError, DesignError
from psymetric.models.base import ABILITY, DIMENSION, AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.loadings import Loadings, check_rotation, loadings_from_column, loadings_from_key
from psymetric.models.space import (
    CORRELATION,
    POPULATION_MEAN,
    POPULATION_MEAN_PRIOR_SD,
    POPULATION_SD,
    SCALE_PRIOR_SD,
)

__all__ = ["Multidimensional"]


@final
@dataclass(frozen=True)
class Multidimensional(AbstractMeasurementModel):
    r"""Confirmatory multidimensional Rasch or generalised partial credit model.

    $$\log \frac{P(X=k)}{P(X=k-1)} = \sum_d a_{id}\theta_{sd} - \delta_i - \sum_f \gamma_f - \tau_{h,k}$$

    An item may measure one dimension or several; $a_{id}$ is zero where the key does not say that item i measures
    dimension d. Parameters, in logits unless said:

    * `ability` θ, shape (subjects, dimensions), from a normal distribution with `population_mean` μ and `population_sd`
      σ, shape (dimensions,), and `correlation`, shape (dimensions, dimensions);
    * `item` δ, shape (items,), the negative of the intercept d of other programs. Of an item of one dimension,
      $\delta_i / a_i$ is the difficulty on the axis of its dimension;
    * `discrimination` a, shape (items, dimensions), 0 or 1, or free where the key allows;
    * one array γ per further facet, shape (levels,), centred, and not multiplied by slopes;
    * `step` τ, shape (groups, categories - 1), each group's sum to zero. Items may have fewer categories than the
      table, so that right-or-wrong and graded items go together: those an item never drew are left out of it.

    With slopes of one, items are centred within every dimension, which fixes its origin; means and sds are estimated.
    With free slopes, every dimension has mean 0 and sd 1.

    Args:
        key: Items of each dimension: {"E": ("i1", "i2"), "N": ("i2", "i3")}.
        dimension: Without a key, the column that says which dimension an item measures, constant within items.
        discrimination: "one" (the multidimensional Rasch family) or "free".
        facets: "item", and further columns that move the response, such as judges.
        steps: "common" for one rating scale, or the facet whose levels own their steps.
        prior_sd: Scale in logits of the normal prior on items, facets and steps under MAP, Laplace, NUTS and SVI.
        slope_prior_sd: Scale of the normal prior on free discriminations, centred at 1.
        lkj: Concentration η of the LKJ prior on the correlations: density proportional to |R|^(η-1), uniform at 1.

    Raises:
        DesignError: A key with an empty dimension or an item twice under one, or settings that name unknown facets.

    Source: Adams, Wilson & Wang (1997), Applied Psychological Measurement 21, 1-23; Reckase (2009), Multidimensional
    Item Response Theory, ch. 4; Lewandowski, Kurowicka & Joe (2009), Journal of Multivariate Analysis 100, 1989-2001.
    """

    key: Mapping[str, tuple[Label, ...]] = field(default_factory=dict[str, tuple[Label, ...]], hash=False)
    dimension: str = "trait"
    discrimination: Literal["one", "free"] = "one"
    facets: tuple[str, ...] = ("item",)  # pyright: ignore[reportIncompatibleMethodOverride]
    steps: str = "item"
    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5
    lkj: float = 1.0

    def __post_init__(self) -> None:
        facets = (self.facets,) if isinstance(self.facets, str) else tuple(self.facets)
        object.__setattr__(self, "facets", facets)
        if isinstance(self.key, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            key = {name: (items,) if isinstance(items, str) else tuple(items) for name, items in self.key.items()}
            object.__setattr__(self, "key", key)
        self._check_settings()
        check_prior_sd(self, self.prior_sd)
        check_prior_sd(self, self.slope_prior_sd, name="slope_prior_sd")
        check_prior_sd(self, self.lkj, name="lkj")

    def _check_settings(self) -> None:
        name = type(self).__name__
        if not isinstance(self.key, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DesignError(f'{name}(key={self.key!r}) must say which items measure what: {{"E": ("i1", "i2")}}')
        if self.discrimination not in ("one", "free"):
            raise DesignError(f'{name}(discrimination={self.discrimination!r}) must be "one" or "free"')
        if DIMENSION in self.facets:
            raise DesignError(f"{name}: a facet cannot be called {DIMENSION!r}, the axis of its abilities: rename it")
        if "item" not in self.facets or "subject" in self.facets or len(set(self.facets)) != len(self.facets):
            raise DesignError(
                f"{name}(facets={self.facets}) must list each facet once, 'item' among them, no 'subject'"
            )
        if self.steps != "common" and self.steps not in self.facets:
            raise DesignError(f"{name}(steps={self.steps!r}) is neither 'common' nor among its facets {self.facets}")
        for dimension, items in self.key.items():
            if not items:
                raise DesignError(f"{name}: dimension {dimension!r} of the key has no items")
            if len(set(items)) != len(items):
                twice = next(label for label in items if items.count(label) > 1)
                raise DesignError(f"{name}: item {twice!r} stands twice under dimension {dimension!r}")

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "responses"

    @property
    @override
    def scale(self) -> Literal["items", "subjects"]:
        return "items" if self.discrimination == "one" else "subjects"

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        centred = "sum_to_zero" if self.discrimination == "one" else "free"
        steps = ("step",) if self.steps == "common" else (self.steps, "step")
        return (
            ParamSpec(ABILITY, ("subject", DIMENSION), random=True),
            ParamSpec("item", ("item",), identification=centred, prior_sd=self.prior_sd),
            ParamSpec("discrimination", ("item", DIMENSION), centre=1.0, prior_sd=self.slope_prior_sd, unit="slope"),
            *(
                ParamSpec(facet, (facet,), identification="sum_to_zero", prior_sd=self.prior_sd)
                for facet in self.facets
                if facet != "item"
            ),
            ParamSpec("step", steps, identification="sum_to_zero", prior_sd=self.prior_sd),
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        slopes = params["discrimination"][codes["item"]]
        location = jnp.sum(slopes * params[ABILITY][codes["subject"]], axis=1)
        for facet in self.facets:
            location = location - params[facet][codes[facet]]
        steps = params["step"] if self.steps == "common" else params["step"][codes[self.steps]]
        logits = location[:, None] - steps
        return jax.nn.log_softmax(jnp.pad(jnp.cumsum(logits, axis=1), ((0, 0), (1, 0))), axis=1)

    def loadings(self, table: Table) -> Loadings:
        """Which items of a table measure which dimensions.

        Raises:
            DataError: A key or a column that does not fit the table.
        """
        return loadings_from_key(self.key, table) if self.key else loadings_from_column(self.dimension, table)

    @override
    def levels(self, table: Table) -> Mapping[str, tuple[Label, ...]]:
        return {**table.levels, DIMENSION: self.loadings(table).names}

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.name not in (ABILITY, "item", "discrimination"):
            return None
        pattern = self.loadings(table).pattern
        if spec.name == ABILITY:
            return self._population(pattern.shape[1])
        if spec.name == "discrimination":
            slopes = (
                Fixed.build(pattern.astype(np.float64))
                if self.discrimination == "one"
                else Anchored.build(np.where(pattern, np.nan, 0.0))
            )
            return [Block(spec.name, slopes, spec.prior_sd, None, spec.axes, spec.centre)]
        if self.discrimination == "free":
            return None
        return [Block(spec.name, Orthogonal.build(pattern.astype(np.float64)), spec.prior_sd, None, spec.axes)]

    def _population(self, n: int) -> list[Block]:
        """Means, sds and correlations of n dimensions."""
        labels = (DIMENSION,)
        if self.discrimination == "one":
            mean, sd = Free((n,)), Positive((n,))
        else:
            mean, sd = Fixed.build(np.zeros(n)), Fixed.build(np.ones(n))
        return [
            Block(POPULATION_MEAN, mean, POPULATION_MEAN_PRIOR_SD, labels=labels),
            Block(POPULATION_SD, sd, SCALE_PRIOR_SD, labels=labels, is_scale=sd.size > 0),
            Block(CORRELATION, Correlation((n, n)), 1.0, labels=(DIMENSION, DIMENSION), lkj=self.lkj),
        ]

    @override
    def check(self, table: Table) -> None:
        loadings = self.loadings(table)
        n_items, binary = loadings.pattern.sum(axis=0), len(table.categories) == 2
        if self.discrimination == "free":
            # Two items of a dimension that nothing else ties give one covariance for two slopes.
            least = 2 if len(n_items) > 1 or not binary else 3
        else:
            least = 2 if binary and len(self.facets) == 1 else 1
        few = [(name, int(n)) for name, n in zip(loadings.names, n_items.tolist(), strict=True) if n < least]
        if few:
            raise DataError(
                f"{type(self).__name__}(discrimination={self.discrimination!r}) needs at least {least} items for each "
                f"dimension, and {len(few)} have fewer: the first, {few[0][0]!r}, has {few[0][1]}"
            )
        check_rotation(loadings, slopes=self.discrimination == "free")
